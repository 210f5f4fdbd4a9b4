//! Where things are: the checkout, cargo's build folder, the guests, and the files that a build leaves.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow};
use serde_json::Value;

use crate::sh;

/// The checkout, as cargo sees it.
pub(crate) struct Workspace {
    /// The folder with the root `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// Cargo's build folder; differs from [`Workspace::target`] when `CARGO_TARGET_DIR` is set.
    pub(crate) build_dir: PathBuf,
    /// The crates under `guest-plugins/`, sorted by name.
    pub(crate) guests: Vec<Guest>,
    /// The crates under `sdk/rust/examples/`: policies, which nobody installs by default.
    pub(crate) policies: Vec<Guest>,
}

/// One guest crate.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Guest {
    /// Cargo's name of the package.
    pub(crate) package: String,
    /// The plugin's name: the crate's folder.
    pub(crate) name: String,
    /// The library's name, by which cargo calls the built file.
    pub(crate) library: String,
}

impl Workspace {
    /// Asks cargo about the checkout that this program was built from.
    pub(crate) fn find() -> Result<Self> {
        let here = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let text =
            sh::output(cargo().args(["metadata", "--no-deps", "--format-version", "1"]).current_dir(&here))
                .context("cannot read the workspace")?;
        let metadata: Value = serde_json::from_str(&text).context("cargo metadata printed no JSON")?;
        let path = |key: &str| {
            metadata
                .get(key)
                .and_then(Value::as_str)
                .map(PathBuf::from)
                .ok_or_else(|| anyhow!("cargo metadata has no `{key}`"))
        };
        let root = path("workspace_root")?;
        let guests = |folder: &str| guests(&metadata, &root.join(folder));
        let (guests, policies) = (guests("guest-plugins"), guests("sdk/rust/examples"));
        Ok(Self { build_dir: path("target_directory")?, root, guests, policies })
    }

    /// The `target` folder of the checkout, where finished files are left.
    pub(crate) fn target(&self) -> PathBuf {
        self.root.join("target")
    }

    /// Cargo, started in the checkout.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = cargo();
        command.current_dir(&self.root);
        command
    }
}

/// The cargo that started this program, or the one on PATH.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// The rustc that cargo uses.
pub(crate) fn rustc() -> Command {
    Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
}

fn guests(metadata: &Value, folder: &Path) -> Vec<Guest> {
    let packages = metadata.get("packages").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut guests: Vec<Guest> = packages.iter().filter_map(|package| guest(package, folder)).collect();
    guests.sort_by(|a, b| a.name.cmp(&b.name));
    guests
}

fn guest(package: &Value, folder: &Path) -> Option<Guest> {
    let dir = Path::new(package.get("manifest_path")?.as_str()?).parent()?;
    if dir.parent() != Some(folder) {
        return None;
    }
    let is_library = |target: &&Value| {
        target
            .get("crate_types")
            .and_then(Value::as_array)
            .is_some_and(|kinds| kinds.iter().any(|kind| kind == "cdylib"))
    };
    let library = package.get("targets")?.as_array()?.iter().find(is_library)?.get("name")?.as_str()?;
    Some(Guest {
        package: package.get("name")?.as_str()?.to_owned(),
        name: dir.file_name()?.to_str()?.to_owned(),
        library: library.replace('-', "_"),
    })
}

/// Writes `bytes` to `file` so that a reader sees the old file or the new one, never a part of it.
pub(crate) fn write_atomically(file: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = temporary(file);
    fs::write(&temporary, bytes)
        .and_then(|()| fs::rename(&temporary, file))
        .with_context(|| format!("cannot write {}", file.display()))
}

/// Copies a file with its permissions, atomically; does nothing when both paths name the same file.
pub(crate) fn copy_atomically(from: &Path, to: &Path) -> Result<()> {
    let same = |a: &Path, b: &Path| Some(a.canonicalize().ok()? == b.canonicalize().ok()?);
    if same(from, to) == Some(true) {
        return Ok(());
    }
    let temporary = temporary(to);
    fs::copy(from, &temporary)
        .and_then(|_| fs::rename(&temporary, to))
        .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
}

/// Creates a folder and its parents.
pub(crate) fn create_dir(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))
}

fn temporary(file: &Path) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    file.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_component_crates_under_guest_plugins_are_guests() {
        let metadata = json!({"packages": [
            {"name": "wharf-guest-host-local", "manifest_path": "/w/guest-plugins/host-local/Cargo.toml",
             "targets": [{"name": "host-local", "crate_types": ["cdylib", "rlib"]}]},
            {"name": "wharf-guest-bridge", "manifest_path": "/w/guest-plugins/bridge/Cargo.toml",
             "targets": [{"name": "t", "crate_types": ["bin"]}, {"name": "bridge", "crate_types": ["cdylib"]}]},
            {"name": "wharf", "manifest_path": "/w/host/wharf/Cargo.toml",
             "targets": [{"name": "wharf", "crate_types": ["bin"]}]},
        ]});
        let found = guests(&metadata, Path::new("/w/guest-plugins"));
        let names: Vec<_> = found.iter().map(|g| (g.name.as_str(), g.library.as_str())).collect();
        assert_eq!(names, [("bridge", "bridge"), ("host-local", "host_local")]);
    }

    #[test]
    fn copying_a_file_onto_itself_keeps_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a");
        fs::write(&file, "content").unwrap();
        copy_atomically(&file, &file).unwrap();
        copy_atomically(&file, &dir.path().join("b")).unwrap();
        assert_eq!(fs::read(dir.path().join("b")).unwrap(), b"content");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "no temporary file stays");
    }
}
