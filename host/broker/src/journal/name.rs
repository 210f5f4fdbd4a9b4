//! The names of journals: `container:ifname:entry:network`. None of the four can contain a colon.

use wharf_ops::Attachment;

/// NAME_MAX.
const LONGEST: usize = 255;
/// Of names that are hashes, for the real ones are too long.
const HASHED: &str = "blake3-";
const SEPARATOR: char = ':';

/// What a journal is found by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) attachment: Attachment,
    pub(crate) entry: String,
}

impl Key {
    /// The file's name.
    pub(crate) fn file_name(&self) -> String {
        let Attachment { network, container, ifname } = &self.attachment;
        let parts = [container, ifname, &self.entry, network];
        let name = parts.map(String::as_str).join(":");
        let plain = |part: &&String| {
            !part.is_empty() && !part.contains(|c: char| c == '/' || c == SEPARATOR || c.is_control())
        };
        if name.len() <= LONGEST && parts.iter().all(plain) && !name.starts_with('.') {
            return name;
        }
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
        }
        format!("{HASHED}{}", hasher.finalize().to_hex())
    }

    /// Whether `other` is this one but for the network.
    pub(crate) fn same_but_network(&self, other: &Self) -> bool {
        (&self.attachment.container, &self.attachment.ifname, &self.entry)
            == (&other.attachment.container, &other.attachment.ifname, &other.entry)
    }
}

/// The key that a name tells; none if it has to be looked for inside.
pub(super) fn parse(name: &str) -> Option<Key> {
    let mut parts = name.split(SEPARATOR).map(str::to_owned);
    let (container, ifname, entry, network) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    Some(Key { attachment: Attachment { network, container, ifname }, entry })
}

/// Whether a file of that name may be a journal.
pub(super) fn is_journal(name: &str) -> bool {
    name.starts_with(HASHED) || parse(name).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(container: &str, entry: &str) -> Key {
        let attachment =
            Attachment { network: "net".into(), container: container.into(), ifname: "eth0".into() };
        Key { attachment, entry: entry.into() }
    }

    #[test]
    fn the_name_tells_the_key() {
        let key = key("abc", "bridge");
        assert_eq!(key.file_name(), "abc:eth0:bridge:net");
        assert_eq!(parse(&key.file_name()).unwrap(), key);
        assert!(parse("a:b:c").is_none() && parse("a:b:c:d:e").is_none());
    }

    #[test]
    fn what_is_no_file_name_is_hashed() {
        let names = [
            key(&"c".repeat(255), "bridge"),
            key(&"c".repeat(255), "wharf"),
            key("c", "a:b"),
            key("c", "a/b"),
        ]
        .map(|key| key.file_name());
        for (index, name) in names.iter().enumerate() {
            assert!(name.len() <= LONGEST && !name.contains('/') && is_journal(name), "{name}");
            assert!(parse(name).is_none() && !names.iter().skip(index + 1).any(|other| other == name));
        }
    }
}
