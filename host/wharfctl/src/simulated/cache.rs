//! Compiled guests, kept from one run to the next: compiling takes a second, everything else here milliseconds.
//!
//! An entry is named by the component's digest, in a folder named by the compiler. It is a guest store in small, so what
//! somebody else wrote, or what was damaged, is not used.

use std::env;
use std::path::PathBuf;

use anyhow::Result;
use wharf_broker::Paths;
use wharf_broker::guests::{self, Manifest, artefact_digest, sha256_hex};

/// Where entries are.
pub(crate) struct Cache(Option<Paths>);

impl Cache {
    /// The user's: below `XDG_CACHE_HOME`, else below `HOME`. Whoever has neither compiles each time.
    pub(crate) fn of_user() -> Self {
        let absolute = |key: &str| env::var_os(key).map(PathBuf::from).filter(|path| path.is_absolute());
        let folder = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")));
        Self(folder.map(|folder| Paths::below(folder.join("wharf").join(wharf_sandbox::compiler()))))
    }

    /// The compiled form of a component.
    pub(crate) fn compiled(&self, wasm: &[u8]) -> Result<Vec<u8>> {
        let name = sha256_hex(wasm);
        if let Some(kept) = self.0.as_ref().and_then(|paths| kept(paths, &name)) {
            return Ok(kept);
        }
        let artefact = wharf_sandbox::compile(wasm)?;
        if let Some(paths) = &self.0 {
            let manifest = Manifest {
                name,
                digest: String::new(),
                artefact: artefact_digest(&artefact),
                world: String::new(),
                imports: Vec::new(),
                size: wasm.len() as u64,
                seen: None,
            };
            // Without an entry, the next run compiles again.
            let _ = guests::install(paths, &manifest, &artefact);
        }
        Ok(artefact)
    }
}

/// What is there of that name, if it is whole.
fn kept(paths: &Paths, name: &str) -> Option<Vec<u8>> {
    let manifest = guests::read(paths, name).ok()?;
    let mut file = guests::open(paths, &manifest).ok()?;
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut file, &mut bytes).ok()?;
    guests::verify(paths, &manifest, &file, &bytes).ok().map(|()| bytes)
}
