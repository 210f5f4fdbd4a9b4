//! What the CNI binary promises and a build could silently break: static, small, without a compiler, without faults on
//! purpose.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::say;

/// The size that the CNI binary stays below.
const LIMIT: u64 = 6_000_000;
/// What only a binary with the feature `faults` contains: the variable that it obeys.
const FAULTS: &str = "WHARF_FAULT";
const PT_INTERP: u32 = 3;
const ET_DYN: u16 = 3;

/// Checks the built binary; a debug build is larger than the limit and holds that alone.
pub(crate) fn wharf(file: &Path, debug: bool) -> Result<()> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let size = bytes.len() as u64;
    if needs_loader(&bytes)? {
        bail!("{} is not static: it names a dynamic loader", file.display());
    }
    if bytes.get(16..18) != Some(&ET_DYN.to_le_bytes()) {
        bail!(
            "{} has fixed addresses: it was not linked as a position-independent executable",
            file.display()
        );
    }
    if let Some(word) =
        ["cranelift_codegen", "cranelift-codegen"].into_iter().find(|word| contains(&bytes, word))
    {
        bail!("{} contains the compiler (`{word}`): a feature of wasmtime leaked into it", file.display());
    }
    if contains(&bytes, FAULTS) {
        bail!("{} was built with the feature `faults`, which is for tests", file.display());
    }
    if size >= LIMIT && !debug {
        bail!("{} has {}, the limit is {}", file.display(), megabytes(size), megabytes(LIMIT));
    }
    say::line(format_args!("{:<18} {}, static, no compiler in it", "wharf", megabytes(size)));
    Ok(())
}

/// Checks the binary for tests: were it without faults, they would prove nothing, and the check of the released one would
/// look for the wrong word.
pub(crate) fn faults(file: &Path) -> Result<()> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    if !contains(&bytes, FAULTS) {
        bail!("{} knows nothing of `{FAULTS}`: it was built without the feature `faults`", file.display());
    }
    Ok(())
}

/// A size as people read it.
pub(crate) fn megabytes(bytes: u64) -> String {
    format!("{}.{:02} MB", bytes / 1_000_000, bytes % 1_000_000 / 10_000)
}

/// Whether a 64-bit little-endian ELF file has a `PT_INTERP` segment.
fn needs_loader(elf: &[u8]) -> Result<bool> {
    if elf.get(..6) != Some(b"\x7fELF\x02\x01") {
        bail!("not a 64-bit little-endian ELF file");
    }
    let field = |at: usize, size: usize| -> Result<u64> {
        let bytes =
            at.checked_add(size).and_then(|end| elf.get(at..end)).context("the ELF file is cut short")?;
        Ok(bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    };
    let start = usize::try_from(field(32, 8)?).context("the program headers are out of reach")?;
    let (size, count) = (field(54, 2)?, field(56, 2)?);
    for index in 0..count {
        let offset = usize::try_from(index * size).context("the program headers are out of reach")?;
        if field(start.saturating_add(offset), 4)? == u64::from(PT_INTERP) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn contains(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|window| window == word.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ELF header with program headers of the given types.
    fn elf(kinds: &[u32]) -> Vec<u8> {
        let mut bytes = vec![0; 64];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[16..18].copy_from_slice(&ET_DYN.to_le_bytes());
        bytes[32] = 64;
        bytes[54] = 56;
        bytes[56] = u8::try_from(kinds.len()).unwrap();
        for kind in kinds {
            let mut header = [0; 56];
            header[..4].copy_from_slice(&kind.to_le_bytes());
            bytes.extend(header);
        }
        bytes
    }

    #[test]
    fn a_dynamic_binary_is_told_from_a_static_one() {
        assert!(!needs_loader(&elf(&[1, 2, 6])).unwrap());
        assert!(needs_loader(&elf(&[6, PT_INTERP, 1])).unwrap());
        assert!(needs_loader(&fs::read("/bin/sh").unwrap()).unwrap());
    }

    #[test]
    fn broken_files_are_errors() {
        assert!(needs_loader(b"#!/bin/sh\n").is_err());
        let mut cut = elf(&[1, 2]);
        cut.truncate(100);
        assert!(needs_loader(&cut).is_err());
    }

    #[test]
    fn the_compiler_is_found_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("wharf");
        let mut bytes = elf(&[1]);
        fs::write(&file, &bytes).unwrap();
        wharf(&file, false).unwrap();
        bytes.extend(b"src/cranelift-codegen-0.130.0/lib.rs");
        fs::write(&file, &bytes).unwrap();
        assert!(wharf(&file, true).unwrap_err().to_string().contains("compiler"));
    }

    #[test]
    fn faults_on_purpose_are_for_tests() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("wharf");
        let mut bytes = elf(&[1]);
        bytes.extend(b"WHARF_FAULT=");
        fs::write(&file, &bytes).unwrap();
        assert!(wharf(&file, true).unwrap_err().to_string().contains("faults"));
        faults(&file).unwrap();
        fs::write(&file, elf(&[1])).unwrap();
        assert!(faults(&file).unwrap_err().to_string().contains("without the feature"));
    }

    #[test]
    fn addresses_must_not_be_fixed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("wharf");
        let mut bytes = elf(&[1]);
        // ET_EXEC
        bytes[16] = 2;
        fs::write(&file, bytes).unwrap();
        assert!(wharf(&file, true).unwrap_err().to_string().contains("position-independent"));
    }

    #[test]
    fn only_a_release_build_must_be_small() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("wharf");
        let mut bytes = elf(&[1]);
        bytes.resize(6_000_000, 0);
        fs::write(&file, bytes).unwrap();
        wharf(&file, true).unwrap();
        assert!(wharf(&file, false).unwrap_err().to_string().contains("6.00 MB"));
    }
}
