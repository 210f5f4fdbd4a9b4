//! `wharfctl grants suggest`.

use std::ffi::OsStr;
use std::path::Path;

use anyhow::{Context, Result, bail};
use wharf_broker::guests::{check_name, sha256_hex};
use wharf_broker::{Paths, grants, guests};

pub(crate) fn run(paths: &Paths, guest: Option<&str>, component: Option<&Path>, json: bool) -> Result<()> {
    let (name, world, digest, imports) = match (guest, component) {
        (guest, Some(file)) => of_file(guest, file)?,
        (Some(guest), None) => {
            let manifest = guests::read(paths, guest).map_err(|error| error.or(super::NOT_THERE))?;
            (manifest.name, manifest.world, manifest.digest, manifest.imports)
        }
        (None, None) => bail!("name an installed guest, or a file by --component"),
    };
    let text = grants::suggest(&name, &world, &digest, &imports);
    if !json {
        return super::print(&text);
    }
    let file = paths.grants().join(format!("{name}.toml"));
    let value = serde_json::json!({"guest": name, "digest": digest, "file": file, "text": text});
    super::print(&(serde_json::to_string_pretty(&value)? + "\n"))
}

fn of_file(guest: Option<&str>, file: &Path) -> Result<(String, String, String, Vec<String>)> {
    let stem = file.file_stem().and_then(OsStr::to_str).unwrap_or_default();
    let name = guest.unwrap_or(stem);
    check_name(name).with_context(|| file.display().to_string())?;
    let wasm = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let inspection =
        wharf_sandbox::inspect(&wasm).with_context(|| format!("{} is no guest", file.display()))?;
    let world = match inspection.world {
        Ok(world) => world.name().to_owned(),
        Err(reason) => bail!("{} is no guest: {reason}", file.display()),
    };
    Ok((name.to_string(), world, format!("sha256:{}", sha256_hex(&wasm)), inspection.operations))
}
