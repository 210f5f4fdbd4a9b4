//! What a component says of its origin: that it was made with this SDK, and with which version. `wharfctl inspect` shows it.
//!
//! A linker that strips a guest drops the section `producers` of its modules. What the section of a world says of producers
//! survives, for the encoder of components reads it later. So this is a world, with nothing in it but that.

/// The world of nothing `wharf:sdk/origin`, as `wit-component` encodes one for a core module (its format 4).
const WORLD: [u8; 78] = *b"\0asm\x0d\0\x01\0\
    \0\x19\x16wit-component-encoding\x04\0\
    \x07\x1b\x01A\x02\x01A\0\x04\0\x10wharf:sdk/origin\x04\0\
    \x0b\x0c\x01\0\x06origin\x03\0\0";

/// One field, `sdk`, with one value, whose version follows.
const SDK: [u8; 26] = *b"\x09producers\x01\x03sdk\x01\x09wharf-sdk";

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// How long what follows the section's own length is. LEB128 has one byte for what is less than 128.
const LENGTH: usize = SDK.len() + 1 + VERSION.len();
const _: () = assert!(LENGTH < 0x80, "the version of wharf-sdk is too long for a length of one byte");

/// A custom section: bytes only, so that nothing is between the fields.
#[derive(Debug)]
#[repr(C)]
pub struct Section {
    world: [u8; WORLD.len()],
    custom: u8,
    length: u8,
    sdk: [u8; SDK.len()],
    version_length: u8,
    version: [u8; VERSION.len()],
}

/// What [`origin!`](crate::origin) emits.
pub const SECTION: Section = Section {
    world: WORLD,
    custom: 0,
    length: byte(LENGTH),
    sdk: SDK,
    version_length: byte(VERSION.len()),
    version: match VERSION.as_bytes().first_chunk() {
        Some(version) => *version,
        // It is as long as itself.
        None => [0; VERSION.len()],
    },
};

/// A length that is known to fit.
const fn byte(length: usize) -> u8 {
    let [low, ..] = length.to_le_bytes();
    low
}

/// Makes the section a part of the guest: in the guest's own crate, for a linker may leave out what is in a library and
/// nobody calls. Each world has a section of its own, because sections of one name are joined to what nobody can read.
#[doc(hidden)]
#[macro_export]
macro_rules! origin {
    ($section:literal) => {
        #[unsafe(link_section = $section)]
        static ORIGIN: $crate::origin::Section = $crate::origin::SECTION;
    };
}
