//! The executable: static, small, without a compiler.

use std::fs;

use wharf_tests::install::Binaries;

/// PT_INTERP and PT_DYNAMIC of elf(5).
const INTERPRETER: u32 = 3;
const LOADED: u32 = 1;

/// The types of the program headers of a 64-bit little-endian ELF file.
fn program_headers(elf: &[u8]) -> Vec<u32> {
    let number = |at: usize, bytes: usize| {
        elf[at..at + bytes].iter().rev().fold(0_usize, |value, byte| value << 8 | usize::from(*byte))
    };
    assert_eq!(&elf[..6], b"\x7fELF\x02\x01", "a 64-bit little-endian ELF file");
    let (offset, size, count) = (number(32, 8), number(54, 2), number(56, 2));
    (0..count).map(|index| u32::try_from(number(offset + index * size, 4)).unwrap()).collect()
}

fn contains(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle.as_bytes())
}

#[test]
fn it_is_static() {
    let elf = fs::read(&Binaries::get().wharf).unwrap();
    let headers = program_headers(&elf);
    assert!(headers.contains(&LOADED), "the headers are read rightly: {headers:?}");
    assert!(!headers.contains(&INTERPRETER), "it needs a dynamic linker");
    assert_eq!(elf[16..18], [3, 0], "and yet has no fixed addresses: ET_DYN");
}

#[test]
fn it_is_small() {
    let size = fs::metadata(&Binaries::get().wharf).unwrap().len();
    assert!(size < 6 << 20, "{size} bytes");
}

#[test]
fn it_contains_no_compiler() {
    let (wharf, wharfctl) =
        (fs::read(&Binaries::get().wharf).unwrap(), fs::read(&Binaries::get().wharfctl).unwrap());
    assert!(
        !contains(&wharf, "cranelift_codegen") && !contains(&wharf, "cranelift-codegen"),
        "the compiler is linked into wharf"
    );
    assert!(
        contains(&wharfctl, "cranelift-codegen") || contains(&wharfctl, "cranelift_codegen"),
        "it would be seen: wharfctl has it"
    );
}
