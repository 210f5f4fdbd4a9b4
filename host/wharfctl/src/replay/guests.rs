//! Which guests run: those that are named, those that are installed, those that came with this program.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;
use wharf::{ForkLauncher, Mapped};
use wharf_broker::Paths;
use wharf_broker::guests::{self as store, Manifest, StoreError};
use wharf_broker::launch::Launcher as _;

use crate::component::Component;
use crate::install;
use crate::record::Recording;
use crate::simulated::Cache;

/// The guests of a recording, compiled.
pub(super) struct Guests {
    /// With the store that each is in.
    all: BTreeMap<String, (Paths, Manifest)>,
    /// Holds those that are not installed, and goes with them.
    _folder: TempDir,
}

impl Guests {
    /// Finds one for each call.
    pub(super) fn collect(
        installed: &Paths,
        given: &[(String, PathBuf)],
        recording: &Recording,
    ) -> Result<Self> {
        let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
        let own = Paths::below(folder.path());
        let names: BTreeSet<&str> = recording.calls.iter().map(|call| call.guest.as_str()).collect();
        for (name, _) in given {
            let known = || names.iter().copied().collect::<Vec<_>>().join(", ");
            ensure!(
                names.contains(name.as_str()),
                "--guest {name}: the recording has no call of that guest; its guests are {}",
                known()
            );
        }
        let cache = Cache::of_user();
        let mut all = BTreeMap::new();
        for name in names {
            let file = given.iter().rev().find(|(of, _)| of == name).map(|(_, file)| file.clone());
            let found = match file {
                Some(file) => compiled(&own, name, &file, &cache)?,
                None => match store::read(installed, name) {
                    Ok(manifest) => (installed.clone(), manifest),
                    Err(StoreError::NotInstalled { .. }) => match shipped(name) {
                        Some(file) => compiled(&own, name, &file, &cache)?,
                        None => bail!(
                            "the guest {name:?} of the recording is not installed: name its component by --guest {name}=FILE.wasm"
                        ),
                    },
                    Err(error) => return Err(error.into()),
                },
            };
            let world = found.1.world.as_str();
            ensure!(matches!(world, "network" | "ipam"), "{name}: it is a {world} guest, and no plugin");
            all.insert(name.to_owned(), found);
        }
        Ok(Self { all, _folder: folder })
    }

    /// Its component's digest, and what runs.
    pub(super) fn map(&self, name: &str, launcher: &ForkLauncher) -> Result<(&str, Mapped)> {
        let (paths, manifest) = self.all.get(name).with_context(|| format!("no guest {name:?}"))?;
        let file = store::open(paths, manifest)?;
        let mapped = launcher.map(&file).with_context(|| format!("cannot map the guest {name:?}"))?;
        store::verify(paths, manifest, &file, mapped.as_ref())?;
        Ok((&manifest.digest, mapped))
    }
}

fn compiled(own: &Paths, name: &str, file: &Path, cache: &Cache) -> Result<(Paths, Manifest)> {
    let guest = Component::read(file, Some(name))?.compile(|wasm| cache.compiled(wasm))?;
    store::install(own, &guest.manifest, &guest.artefact)?;
    Ok((own.clone(), guest.manifest))
}

/// The component that came with this program.
fn shipped(name: &str) -> Option<PathBuf> {
    let file = install::default_guests().ok()?.join(format!("{name}.wasm"));
    file.is_file().then_some(file)
}
