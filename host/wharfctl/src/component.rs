//! A guest's file: read, compiled, and put into the store.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nix::fcntl::{Flock, FlockArg};
use wharf_broker::Paths;
use wharf_broker::guests::{self, Manifest, artefact_digest};
use wharf_sandbox::Inspection;

/// A file that is a guest which this host can run.
pub(crate) struct Component {
    file: PathBuf,
    /// What is known of it; `artefact` is still empty.
    pub(crate) manifest: Manifest,
    wasm: Vec<u8>,
}

/// A guest that is ready to be stored.
pub(crate) struct Compiled {
    pub(crate) manifest: Manifest,
    pub(crate) artefact: Vec<u8>,
}

impl Component {
    /// Reads and checks a file. Its name is the guest's unless another is given.
    pub(crate) fn read(file: &Path, name: Option<&str>) -> Result<Self> {
        let stem = file.file_stem().and_then(OsStr::to_str).unwrap_or_default();
        let name = name.unwrap_or(stem);
        guests::check_name(name).with_context(|| file.display().to_string())?;
        if name == crate::lists::OWN {
            bail!("{}: `wharf` is the host's own name; call the guest something else", file.display());
        }
        let (wasm, inspection) = inspect(file)?;
        let world = match inspection.world {
            Ok(world) => world.name(),
            Err(reason) => bail!("{} is no guest: {reason}", file.display()),
        };
        if !inspection.missing.is_empty() {
            bail!(
                "{} imports what this host does not offer: {}",
                file.display(),
                inspection.missing.join("; ")
            );
        }
        let manifest = Manifest {
            name: name.to_owned(),
            digest: format!("sha256:{}", inspection.digest),
            artefact: String::new(),
            world: world.to_owned(),
            imports: inspection.operations,
            size: wasm.len() as u64,
            seen: None,
        };
        Ok(Self { file: file.to_owned(), manifest, wasm })
    }

    /// Has it compiled for this architecture.
    pub(crate) fn compile(self, compile: impl Fn(&[u8]) -> Result<Vec<u8>>) -> Result<Compiled> {
        let artefact =
            compile(&self.wasm).with_context(|| format!("cannot compile {}", self.file.display()))?;
        let manifest = Manifest { artefact: artefact_digest(&artefact), ..self.manifest };
        Ok(Compiled { manifest, artefact })
    }
}

/// The compiler.
pub(crate) fn compile(wasm: &[u8]) -> Result<Vec<u8>> {
    Ok(wharf_sandbox::compile(wasm)?)
}

/// The bytes of a component, and what can be read from them.
pub(crate) fn inspect(file: &Path) -> Result<(Vec<u8>, Inspection)> {
    let wasm = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let inspection =
        wharf_sandbox::inspect(&wasm).with_context(|| format!("{} is no guest", file.display()))?;
    Ok((wasm, inspection))
}

/// Keeps others from changing the store, as long as it is held: an artefact is not named by its manifest at once, and
/// what nobody names is removed.
pub(crate) fn hold(paths: &Paths) -> Result<Flock<File>> {
    let folder = paths.artefacts();
    let cannot = || format!("cannot lock {}", folder.display());
    fs::create_dir_all(&folder).with_context(cannot)?;
    let opened = File::open(&folder).with_context(cannot)?;
    Flock::lock(opened, FlockArg::LockExclusive).map_err(|(_, errno)| errno).with_context(cannot)
}

/// Puts a guest into the store, and answers what was there by its name.
///
/// The artefact that it replaces stays: a call that has read the old manifest opens it in a moment. It goes with the next
/// upgrade, or with the guest.
pub(crate) fn store(paths: &Paths, Compiled { manifest, artefact }: &Compiled) -> Result<Option<Manifest>> {
    let _held = hold(paths)?;
    let before = guests::read(paths, &manifest.name).ok();
    guests::install(paths, manifest, artefact)?;
    prune(paths, before.as_ref())?;
    Ok(before)
}

/// Removes artefacts that no manifest names, except `spared`'s. The caller holds the store.
pub(crate) fn prune(paths: &Paths, spared: Option<&Manifest>) -> Result<()> {
    let mut kept: Vec<String> = spared.into_iter().map(|manifest| manifest.artefact.clone()).collect();
    for name in guests::names(paths)? {
        match guests::read(paths, &name) {
            Ok(manifest) => kept.push(manifest.artefact),
            // Nobody knows what it needs.
            Err(_) => return Ok(()),
        }
    }
    let folder = paths.artefacts();
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let file = entry?.path();
        let stem = file.file_stem().and_then(OsStr::to_str).unwrap_or_default();
        if file.extension() == Some(OsStr::new("cwasm")) && !kept.iter().any(|name| name == stem) {
            // Whoever has it open keeps it.
            fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    fn compiled(name: &str, artefact: &[u8]) -> Compiled {
        let manifest = Manifest {
            name: name.into(),
            digest: format!("sha256:{}", "0".repeat(64)),
            artefact: artefact_digest(artefact),
            world: "network".into(),
            imports: Vec::new(),
            size: 1,
            seen: None,
        };
        Compiled { manifest, artefact: artefact.to_vec() }
    }

    fn artefacts(paths: &Paths) -> Vec<String> {
        let entries = fs::read_dir(paths.artefacts()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn an_upgrade_keeps_the_artefact_before_it_and_no_older_one() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        for (version, expected) in [(&b"one"[..], 1), (b"two", 2), (b"three", 2), (b"three", 1)] {
            store(&paths, &compiled("g", version)).unwrap();
            assert_eq!(artefacts(&paths).len(), expected, "{version:?}");
        }
        // Another guest's are nobody else's business.
        store(&paths, &compiled("h", b"four")).unwrap();
        store(&paths, &compiled("g", b"five")).unwrap();
        let four = format!("{}.cwasm", artefact_digest(b"four"));
        assert!(artefacts(&paths).contains(&four));
    }

    #[test]
    fn who_changes_the_store_waits_for_who_does() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        // An artefact that its manifest does not name yet.
        let held = hold(&paths).unwrap();
        let early = paths.artefacts().join(format!("{}.cwasm", artefact_digest(b"early")));
        fs::write(&early, b"early").unwrap();
        let other = std::thread::spawn({
            let paths = paths.clone();
            move || store(&paths, &compiled("other", b"other")).map(drop)
        });
        // It is there, and has to wait.
        let folder = format!(":{} ", fs::metadata(paths.artefacts()).unwrap().ino());
        let waits = |line: &str| line.contains("->") && line.contains(&folder);
        while !fs::read_to_string("/proc/locks").unwrap().lines().any(waits) {
            assert!(!other.is_finished(), "nobody kept it from changing the store");
            std::thread::yield_now();
        }
        guests::install(&paths, &compiled("g", b"early").manifest, b"early").unwrap();
        drop(held);
        other.join().unwrap().unwrap();
        assert!(early.exists() && guests::read(&paths, "g").is_ok());
    }

    #[test]
    fn names_that_cannot_be_are_refused_before_the_file_is_read() {
        for (file, name, words) in [
            ("/nonexistent/a b.wasm", None, "cannot be a guest's name"),
            ("/nonexistent/wharf.wasm", None, "host's own name"),
            ("/nonexistent/x.wasm", Some("../x"), "cannot be a guest's name"),
            ("/nonexistent/x.wasm", None, "cannot read"),
        ] {
            let error = Component::read(Path::new(file), name).err().map(|error| format!("{error:#}"));
            assert!(error.as_deref().is_some_and(|error| error.contains(words)), "{file}: {error:?}");
        }
    }
}
