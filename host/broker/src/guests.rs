//! The store of guests: one manifest per name, and the compiled artefacts named by their BLAKE3 digest.
//!
//! Both are written only by `wharfctl`, to a temporary name that is then renamed. The broker refuses files that
//! somebody else than root could have written, and compares each artefact with its digest before it runs. An artefact
//! whose inode, size and times are still those that the manifest has seen was compared when it was installed: nobody can
//! write to a file without changing its ctime (inode(7)), short of turning the clock back as root. Any other is hashed,
//! with a hash that needs less time than the SHA-256 of `wharf`; components keep SHA-256, which people compare.

use std::fmt::Write as _;
use std::fs::{self, File, Metadata};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Paths;

/// What is known of an installed guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The name that configurations use as `type`.
    pub name: String,
    /// Of the component: `sha256:` and 64 hexadecimal digits.
    pub digest: String,
    /// BLAKE3 of the compiled artefact, in hexadecimal: its file name.
    pub artefact: String,
    /// `network` or `ipam`.
    pub world: String,
    /// Every operation that the component imports.
    pub imports: Vec<String>,
    /// Size of the component in bytes.
    pub size: u64,
    /// The artefact's file as it was when it was last compared; set by [`install`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Seen>,
}

/// What changes when a file is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    inode: u64,
    bytes: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Seen {
    /// Of this file, now.
    fn of(file: &File) -> io::Result<Self> {
        let now = file.metadata()?;
        Ok(Self {
            inode: now.ino(),
            bytes: now.size(),
            modified: (now.mtime(), now.mtime_nsec()),
            changed: (now.ctime(), now.ctime_nsec()),
        })
    }
}

/// Why a guest cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It is not there.
    #[error("the guest {name:?} is not installed ({path} is missing): {cure}")]
    NotInstalled {
        /// Which guest.
        name: String,
        /// Where its manifest was looked for.
        path: String,
        /// What to do: of a plugin of a chain, unless [`StoreError::or`] says something else.
        cure: &'static str,
    },
    /// A file of the store cannot be read or written.
    #[error("the guest store: {path}: {source}")]
    Io {
        /// Which file.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// A file cannot be written, of the store or of whoever else writes by [`write_atomically`].
    #[error("cannot write {path}: {source}")]
    Write {
        /// Which file.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// A file of the store is not what it should be.
    #[error("the guest store is damaged: {path}: {reason}; run `wharfctl install`")]
    Damaged {
        /// Which file.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// The name cannot be a guest's.
    #[error(
        "{0:?} cannot be a guest's name: use letters, digits, `_`, `.` and `-`, a letter or digit first, 64 at most"
    )]
    Name(String),
}

impl StoreError {
    /// The same for whom a guest that is not there is no plugin of a chain. Those that come with Wharf have one cure.
    #[must_use]
    pub fn or(self, cure: &'static str) -> Self {
        match self {
            Self::NotInstalled { name, path, .. } if !SHIPPED.contains(&name.as_str()) => {
                Self::NotInstalled { name, path, cure }
            }
            other => other,
        }
    }
}

/// The guests that come with Wharf, by the names that the plugins have which they replace. Nobody else's has one of these
/// by mistake.
pub const SHIPPED: [&str; 5] = ["bridge", "host-local", "loopback", "portmap", "bandwidth"];

fn cure(name: &str) -> &'static str {
    if SHIPPED.contains(&name) {
        return "run `wharfctl install`";
    }
    "a chain runs nothing but guests. If it is one, `wharfctl add` installs it; a native plugin goes beside the chain into \
     the list's \"plugins\", where the runtime executes it"
}

/// Checks that a name can be a file name here.
pub fn check_name(name: &str) -> Result<(), StoreError> {
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    let rest = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    if first && rest && name.len() <= 64 {
        Ok(())
    } else {
        Err(StoreError::Name(name.chars().take(80).collect()))
    }
}

/// SHA-256 in hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// The digest that names a compiled artefact.
pub fn artefact_digest(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// The manifest of `name`.
pub fn read(paths: &Paths, name: &str) -> Result<Manifest, StoreError> {
    check_name(name)?;
    let file = paths.guests().join(format!("{name}.json"));
    let path = file.display().to_string();
    let handle = match File::open(&file) {
        // A native plugin of that name takes the place of a guest that is not installed, and of no other.
        Err(error) if crate::is_absent(&file, &error) => {
            return Err(StoreError::NotInstalled { name: name.to_string(), path, cure: cure(name) });
        }
        other => other.map_err(|source| StoreError::Io { path: path.clone(), source })?,
    };
    check_owner(&handle, &path)?;
    let text = io::read_to_string(handle).map_err(|source| StoreError::Io { path: path.clone(), source })?;
    let manifest: Manifest = serde_json::from_str(&text)
        .map_err(|error| StoreError::Damaged { path: path.clone(), reason: error.to_string() })?;
    if manifest.name != name {
        let reason = format!("it is the manifest of {:?}", manifest.name);
        return Err(StoreError::Damaged { path, reason });
    }
    Ok(manifest)
}

/// The compiled artefact of a manifest. Its bytes are still to be checked with [`verify`].
pub fn open(paths: &Paths, manifest: &Manifest) -> Result<File, StoreError> {
    if manifest.artefact.len() != 64 || !manifest.artefact.bytes().all(|b| b.is_ascii_hexdigit()) {
        let path = paths.guests().join(format!("{}.json", manifest.name)).display().to_string();
        return Err(StoreError::Damaged { path, reason: "`artefact` is no BLAKE3 digest".into() });
    }
    let file = paths.artefacts().join(format!("{}.cwasm", manifest.artefact));
    let path = file.display().to_string();
    let handle = File::open(&file).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => StoreError::Damaged { path: path.clone(), reason: "it is missing".into() },
        _ => StoreError::Io { path: path.clone(), source },
    })?;
    check_owner(&handle, &path)?;
    Ok(handle)
}

/// Compares an artefact with its manifest. `bytes` are the file's, and were read before this is called.
pub fn verify(paths: &Paths, manifest: &Manifest, file: &File, bytes: &[u8]) -> Result<(), StoreError> {
    if manifest.seen.is_some() && manifest.seen == Seen::of(file).ok() {
        return Ok(());
    }
    let found = artefact_digest(bytes);
    if found == manifest.artefact {
        return Ok(());
    }
    let path = paths.artefacts().join(format!("{}.cwasm", manifest.artefact)).display().to_string();
    Err(StoreError::Damaged { path, reason: format!("its BLAKE3 digest is {found}") })
}

/// The names of all installed guests, sorted.
pub fn names(paths: &Paths) -> Result<Vec<String>, StoreError> {
    let directory = paths.guests();
    let fault = |source| StoreError::Io { path: directory.display().to_string(), source };
    let entries = match fs::read_dir(&directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(fault)?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(fault)?.file_name();
        if let Some(name) = name.to_str().and_then(|name| name.strip_suffix(".json")) {
            names.push(name.to_string());
        }
    }
    names.sort();
    Ok(names)
}

/// Puts a compiled guest into the store. The manifest comes last, so that it never names what is not there.
pub fn install(paths: &Paths, manifest: &Manifest, artefact: &[u8]) -> Result<(), StoreError> {
    check_name(&manifest.name)?;
    // What is there already stays as it is, and as other manifests have seen it.
    let there = open(paths, manifest).ok().and_then(|mut file| {
        let mut bytes = Vec::with_capacity(artefact.len());
        file.read_to_end(&mut bytes).ok().map(|_| bytes == artefact)
    });
    if there != Some(true) {
        write_atomically(&paths.artefacts(), &format!("{}.cwasm", manifest.artefact), artefact)?;
    }
    // Without it the artefact is hashed at each call.
    let seen = Seen::of(&open(paths, manifest)?).ok();
    let manifest = &Manifest { seen, ..manifest.clone() };
    let text = serde_json::to_vec_pretty(manifest)
        .map_err(|error| StoreError::Damaged { path: manifest.name.clone(), reason: error.to_string() })?;
    write_atomically(&paths.guests(), &format!("{}.json", manifest.name), &text)
}

/// Writes a file of mode 0644 by way of a temporary one in the same directory.
pub fn write_atomically(directory: &Path, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
    let target = directory.join(name);
    let temporary = directory.join(format!(".{name}.{}", std::process::id()));
    let write = || {
        fs::create_dir_all(directory)?;
        let mut file =
            File::options().write(true).create(true).truncate(true).mode(0o644).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, &target)
    };
    write().map_err(|source| {
        let _ = fs::remove_file(&temporary);
        StoreError::Write { path: target.display().to_string(), source }
    })
}

/// Only root, or whoever runs this, may have written the file of the store.
fn check_owner(file: &File, path: &str) -> Result<(), StoreError> {
    own(file).map_err(|reason| StoreError::Damaged { path: path.to_string(), reason })
}

/// Why a file does not count: somebody else than root, or than whoever runs this, may have written it.
pub(crate) fn own(file: &File) -> Result<(), String> {
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    writable_by_others(&metadata).map_or(Ok(()), Err)
}

/// What is to be done about that, where no command of ours writes the file.
pub(crate) const GIVE_TO_ROOT: &str = "and so it counts for nothing: give it to root with mode 644";

/// Why somebody else than root and this user could write a file; none if nobody can.
pub(crate) fn writable_by_others(file: &Metadata) -> Option<String> {
    let owner = file.uid();
    if owner != 0 && owner != nix::unistd::geteuid().as_raw() {
        return Some(format!("it belongs to user {owner}"));
    }
    (file.mode() & 0o022 != 0).then(|| format!("others may write it (mode {:o})", file.mode() & 0o7777))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn sample(artefact: &[u8]) -> Manifest {
        Manifest {
            name: "bridge".into(),
            digest: format!("sha256:{}", sha256_hex(b"wasm")),
            artefact: artefact_digest(artefact),
            world: "network".into(),
            imports: vec!["links/get".into()],
            size: 4,
            seen: None,
        }
    }

    #[test]
    fn what_was_installed_is_found_and_verified() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        let manifest = sample(b"code");
        install(&paths, &manifest, b"code").unwrap();
        let found = read(&paths, "bridge").unwrap();
        assert_eq!(Manifest { seen: None, ..found.clone() }, manifest);
        assert_eq!(names(&paths).unwrap(), ["bridge"]);
        let file = open(&paths, &manifest).unwrap();
        // As installed, and without what was seen then.
        verify(&paths, &found, &file, b"code").unwrap();
        verify(&paths, &manifest, &file, b"code").unwrap();
        assert!(verify(&paths, &manifest, &file, b"c0de").unwrap_err().to_string().contains("BLAKE3"));
    }

    #[test]
    fn an_artefact_that_was_written_to_is_hashed_again() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        install(&paths, &sample(b"code"), b"code").unwrap();
        let manifest = read(&paths, "bridge").unwrap();
        let path = paths.artefacts().join(format!("{}.cwasm", manifest.artefact));
        let times = fs::metadata(&path).unwrap().modified().unwrap();
        // Of the same length, in place, and with its old modification time.
        fs::write(&path, b"c0de").unwrap();
        File::options().write(true).open(&path).unwrap().set_modified(times).unwrap();
        let file = open(&paths, &manifest).unwrap();
        let error = verify(&paths, &manifest, &file, b"c0de").unwrap_err().to_string();
        assert!(error.contains("BLAKE3"), "{error}");
        // And replaced by another file.
        fs::remove_file(&path).unwrap();
        fs::write(&path, b"c0de").unwrap();
        let file = open(&paths, &manifest).unwrap();
        assert!(verify(&paths, &manifest, &file, b"c0de").is_err());
    }

    #[test]
    fn a_missing_guest_says_what_to_run() {
        let root = tempfile::tempdir().unwrap();
        let error = read(&Paths::below(root.path()), "bridge").unwrap_err();
        assert!(matches!(error, StoreError::NotInstalled { .. }));
        assert!(error.to_string().contains("run `wharfctl install`"), "{error}");
        // That does not install what is not Wharf's.
        let error = read(&Paths::below(root.path()), "tuning").unwrap_err().to_string();
        assert!(!error.contains("wharfctl install") && error.contains("wharfctl add"), "{error}");
        assert!(error.contains("a chain runs nothing but guests"), "{error}");
        // Nor is everything that is missing a plugin of a chain.
        let missing =
            |name| read(&Paths::below(root.path()), name).unwrap_err().or("look elsewhere").to_string();
        assert!(missing("tuning").ends_with("is missing): look elsewhere"), "{}", missing("tuning"));
        assert!(missing("bridge").ends_with("run `wharfctl install`"), "{}", missing("bridge"));
    }

    #[test]
    fn what_cannot_be_written_is_not_called_the_store() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("file"), "").unwrap();
        let error = write_atomically(&root.path().join("file/folder"), "name", b"").unwrap_err().to_string();
        assert!(error.starts_with("cannot write /") && !error.contains("store"), "{error}");
    }

    #[test]
    fn a_manifest_that_leads_nowhere_is_of_a_guest_that_is_installed() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        fs::create_dir_all(paths.guests()).unwrap();
        std::os::unix::fs::symlink("nowhere", paths.guests().join("bridge.json")).unwrap();
        assert!(matches!(read(&paths, "bridge"), Err(StoreError::Io { .. })));
    }

    #[test]
    fn names_cannot_leave_the_store() {
        let root = tempfile::tempdir().unwrap();
        for name in ["", "../bridge", "/bridge", ".bridge", "a b", "a\0b", &"x".repeat(65)] {
            assert!(matches!(read(&Paths::below(root.path()), name), Err(StoreError::Name(_))), "{name:?}");
        }
    }

    #[test]
    fn a_file_that_others_may_write_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        install(&paths, &sample(b"code"), b"code").unwrap();
        let file = paths.guests().join("bridge.json");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
        assert!(read(&paths, "bridge").unwrap_err().to_string().contains("others may write it"));
    }
}
