//! The format: a header, then frames.
//!
//! The file begins with [`HEADER`]. A frame is the length of its body (u32, little endian), the complement of that
//! length, the first eight bytes of the body's BLAKE3, and the body in postcard. The complement tells a length that was
//! damaged from a frame that was cut off while it was appended; the latter is how a crash looks.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::record::{Begin, Commit, ConfigChange, Effect, GuestRun, Outcome};

/// The version of the format. Another one is not read. (In 1, a namespace had no cookie; in 2, a beginning no
/// configuration.)
const VERSION: u8 = 3;
/// What a journal begins with: its last byte is the version of the format.
pub const HEADER: [u8; 8] = [b'w', b'h', b'a', b'r', b'f', b'j', 0, VERSION];
/// Before the body of a frame.
pub(super) const HEAD: usize = 16;

/// One entry. The order of the variants is part of the format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Frame<'a> {
    /// An ADD starts.
    Begin(Cow<'a, Begin>),
    /// A guest is about to run.
    Guest(Cow<'a, GuestRun>),
    /// Something is about to be done.
    Intent {
        /// From 0 in each transaction.
        seq: u32,
        /// Who asked.
        guest: Cow<'a, str>,
        /// What.
        effect: Cow<'a, Effect>,
    },
    /// What came of an intent. Left out where it was simply done: the next frame says so.
    Done {
        /// Of which.
        seq: u32,
        /// What.
        outcome: Cow<'a, Outcome>,
    },
    /// The ADD succeeded.
    Commit(Cow<'a, Commit>),
    /// A policy is going to be asked about it.
    Policy(Cow<'a, GuestRun>),
    /// A policy changed the configuration of a plugin.
    Changed(Cow<'a, ConfigChange>),
}

/// Appends a frame to `buffer`, as it stands in a file. It fails where the frame is too large, 4 GiB and more.
pub fn encode(frame: &Frame<'_>, buffer: &mut Vec<u8>) -> Result<(), postcard::Error> {
    let start = buffer.len();
    buffer.resize(start + HEAD, 0);
    match postcard::to_extend(frame, std::mem::take(buffer)) {
        Ok(written) => *buffer = written,
        Err(error) => return Err(error),
    }
    let Some((head, body)) = buffer.get_mut(start..).and_then(|frame| frame.split_at_mut_checked(HEAD))
    else {
        return Err(postcard::Error::SerializeBufferFull);
    };
    let length = u32::try_from(body.len()).map_err(|_| postcard::Error::SerializeBufferFull)?;
    let bytes = length.to_le_bytes().into_iter().chain((!length).to_le_bytes()).chain(checksum(body));
    head.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
    Ok(())
}

/// The first bytes of the body's BLAKE3.
pub(super) fn checksum(body: &[u8]) -> [u8; 8] {
    let hash = blake3::hash(body);
    hash.as_bytes().first_chunk().copied().unwrap_or_default()
}
