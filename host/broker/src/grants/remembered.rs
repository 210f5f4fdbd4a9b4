//! What a grant file says, in a form that is read in a fraction of the time that its TOML takes: a call of four guests
//! spends more on parsing their grants than on its journal.
//!
//! One file per guest: the BLAKE3 of the grant's text, that of the rest, and the rest, which is the same document as JSON.
//! It may vanish at any time. One that is of another text, damaged or half written is none, and the next reader that
//! parses the text writes it anew.

use std::fs::{DirBuilder, File};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use nix::libc::O_NOFOLLOW;

use super::Document;

/// Each of the two digests, in bytes.
const DIGEST: usize = 32;

/// The document of that text, if it is remembered.
pub(super) fn recall(directory: &Path, name: &str, text: &str) -> Option<Document> {
    let path = directory.join(name);
    let mut file = File::options().read(true).custom_flags(O_NOFOLLOW).open(&path).ok()?;
    crate::guests::own(&file).ok()?;
    let mut bytes = Vec::with_capacity(4096);
    file.read_to_end(&mut bytes).ok()?;
    let (of, rest) = bytes.split_first_chunk::<DIGEST>()?;
    let (whole, json) = rest.split_first_chunk::<DIGEST>()?;
    let same = blake3::hash(text.as_bytes()) == *of && blake3::hash(json) == *whole;
    if same { serde_json::from_slice(json).ok() } else { None }
}

/// Writes the document of a text that was parsed. Who cannot write does without.
pub(super) fn remember(directory: &Path, name: &str, text: &str) {
    let Ok(Ok(json)) = toml::from_str::<toml::Value>(text).map(|document| serde_json::to_vec(&document))
    else {
        return;
    };
    let (of, whole) = (blake3::hash(text.as_bytes()), blake3::hash(&json));
    let bytes = [of.as_bytes(), whole.as_bytes(), json.as_slice()].concat();
    let written = DirBuilder::new().recursive(true).mode(0o700).create(directory).and_then(|()| {
        let mut options = File::options();
        options.write(true).create(true).truncate(true).mode(0o600).custom_flags(O_NOFOLLOW);
        options.open(directory.join(name))?.write_all(&bytes)
    });
    drop(written);
}

#[cfg(test)]
mod tests {
    use super::super::tests::DIGEST as COMPONENT;
    use super::*;

    fn text() -> String {
        format!("digest = {COMPONENT:?}\noperations = ['links/*'] # all\n[links]\nnames = ['cni0']")
    }

    #[test]
    fn what_is_remembered_is_the_document_of_the_same_text() {
        let directory = tempfile::tempdir().unwrap();
        let folder = directory.path().join("run/grants");
        assert!(recall(&folder, "g", &text()).is_none());
        remember(&folder, "g", &text());
        let document = recall(&folder, "g", &text()).unwrap();
        let parsed: Document = toml::from_str(&text()).unwrap();
        assert_eq!(format!("{document:?}"), format!("{parsed:?}"));
        let changed = text().replace("cni0", "cni1");
        assert!(recall(&folder, "g", &changed).is_none(), "an edited grant counts at once");
        remember(&folder, "g", &changed);
        assert!(recall(&folder, "g", &text()).is_none() && recall(&folder, "g", &changed).is_some());
    }

    #[test]
    fn what_is_damaged_or_a_strangers_counts_for_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("g");
        remember(directory.path(), "g", &text());
        let whole = std::fs::read(&file).unwrap();
        for length in 0..whole.len() {
            std::fs::write(&file, &whole[..length]).unwrap();
            assert!(recall(directory.path(), "g", &text()).is_none(), "the first {length} bytes");
        }
        for place in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[place] ^= 1;
            std::fs::write(&file, bytes).unwrap();
            assert!(recall(directory.path(), "g", &text()).is_none(), "byte {place}");
        }
        std::fs::rename(&file, directory.path().join("elsewhere")).unwrap();
        std::os::unix::fs::symlink("elsewhere", &file).unwrap();
        remember(directory.path(), "g", &text());
        assert!(recall(directory.path(), "g", &text()).is_none(), "a link is not followed");
    }
}
