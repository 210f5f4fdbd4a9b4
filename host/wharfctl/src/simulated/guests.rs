//! The guests of a simulated node: components, compiled into a store of their own, with the grants that
//! `wharfctl install` would write.

use std::path::PathBuf;

use anyhow::Result;
use tempfile::TempDir;
use wharf_broker::Paths;
use wharf_broker::guests as store;

use super::cache::Cache;
use crate::component::Component;
use crate::grants;

/// A store in a temporary folder.
pub(crate) struct Guests {
    paths: Paths,
    /// Goes with it.
    _folder: TempDir,
}

impl Guests {
    /// Of these files; each is called by its name without `.wasm`.
    pub(crate) fn of(files: &[PathBuf], cache: &Cache) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let paths = Paths::below(folder.path());
        for file in files {
            let guest = Component::read(file, None)?.compile(|wasm| cache.compiled(wasm))?;
            store::install(&paths, &guest.manifest, &guest.artefact)?;
            grants::write(&paths, &guest.manifest, None)?;
        }
        Ok(Self { paths, _folder: folder })
    }

    /// Where they are.
    pub(crate) fn paths(&self) -> &Paths {
        &self.paths
    }
}
