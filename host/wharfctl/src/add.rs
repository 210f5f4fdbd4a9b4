//! `wharfctl add`: a guest from anywhere, installed with what an operator allows it.
//!
//! Everything is checked before anything is changed: a guest that could not run is not installed, and one that is there
//! already goes on as it is.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use wharf_broker::Paths;
use wharf_broker::grants::{Grant, suggest, with_digest};
use wharf_broker::guests::{self, Manifest, SHIPPED, write_atomically};

use crate::component::{self, Component, compile};
use crate::grants;
use crate::install;
use crate::say::say;
use crate::told::whole;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The component (*.wasm).
    file: PathBuf,
    /// The name by which configurations say it as `type`. [default: the file's, without .wasm]
    #[arg(long)]
    name: Option<String>,
    /// What it may do: a grant file for just this component; `wharfctl grants suggest --component FILE` prints one to
    /// start with. One without a digest is for whatever component it is named with.
    #[arg(long, value_name = "GRANT", conflicts_with = "suggest")]
    grant: Option<PathBuf>,
    /// Allow what it imports, within the constraints that `wharfctl grants suggest` prints.
    #[arg(long)]
    suggest: bool,
    /// Also under the name of one of Wharf's own guests, which it replaces.
    #[arg(long)]
    force: bool,
    /// Also link its name to the binary, for lists that name it outside of a `wharf` chain.
    #[arg(long)]
    drop_in: bool,
    /// Where the runtime looks for CNI plugins; a whole path, below WHARF_ROOT.
    #[arg(long, default_value = "/opt/cni/bin", value_parser = whole::<PathBuf>)]
    bin_dir: PathBuf,
}

pub(crate) fn run(paths: &Paths, options: &Options) -> Result<()> {
    let component = Component::read(&options.file, options.name.as_deref())?;
    if !options.force {
        spare_own(paths, &options.file, &component.manifest)?;
    }
    let grant = grant(paths, options, &component.manifest)?;
    let bin_dir = paths.inside(&options.bin_dir.to_string_lossy());
    if options.drop_in && !bin_dir.join(crate::lists::OWN).is_file() {
        bail!("{} is missing: run `wharfctl install` first", bin_dir.join("wharf").display());
    }
    let guest = component.compile(compile)?;
    let name = guest.manifest.name.clone();
    // A grant of another digest allows nothing: between these two steps the guest's calls fail, and change nothing.
    component::store(paths, &guest)?;
    write_atomically(&paths.grants(), &format!("{name}.toml"), grant.as_bytes())?;
    say!("{name}  {}", guest.manifest.digest);
    let file = paths.grants().join(format!("{name}.toml"));
    say!("  may do what {} says; `wharfctl grants explain {name}` says it in words", file.display());
    if options.drop_in {
        install::Installed::note_bin_dir(paths, &bin_dir)?;
        install::drop_in(&bin_dir, &name)?;
    }
    Ok(())
}

/// Whoever names `bridge` in a list means Wharf's.
fn spare_own(paths: &Paths, file: &Path, manifest: &Manifest) -> Result<()> {
    let name = manifest.name.as_str();
    if !SHIPPED.contains(&name) {
        return Ok(());
    }
    let installed = guests::read(paths, name).ok();
    let replaced = match installed {
        Some(same) if same.digest == manifest.digest => return Ok(()),
        Some(other) => format!("would replace {}, which is installed", other.digest),
        None => "would be taken for it".to_owned(),
    };
    let file = file.display();
    bail!(
        "{name} is a guest of Wharf's own, and {file} {replaced}: every list that names {name} would run it instead. \
         Give it another name by --name, or say --force"
    );
}

/// The text of a grant by which the guest can run.
fn grant(paths: &Paths, options: &Options, manifest: &Manifest) -> Result<String> {
    let (name, digest) = (&manifest.name, &manifest.digest);
    if let Some(file) = &options.grant {
        let mut text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let table: toml::Table = toml::from_str(&text).with_context(|| file.display().to_string())?;
        if !table.contains_key("digest") {
            text = format!("digest = {digest:?}\n{text}");
        }
        let grant = Grant::parse(&text).map_err(|reason| anyhow!("{}: {reason}", file.display()))?;
        // What somebody has allowed one component is not another's.
        if grant.digest != *digest {
            bail!(
                "{}: it is for {}, and {} is {digest}",
                file.display(),
                grant.digest,
                options.file.display()
            );
        }
        enough(&grant, file, manifest)?;
        return Ok(text);
    }
    let own = paths.grants().join(format!("{name}.toml"));
    if options.suggest || manifest.imports.is_empty() && !own.exists() {
        return Ok(suggest(name, &manifest.world, digest, &manifest.imports));
    }
    if !own.exists() {
        let file = options.file.display();
        bail!(
            "nothing says what {name} may do, and by default that is nothing. See what it wants by `wharfctl inspect \
             {file}`; then say --suggest to allow that within careful constraints, or write a grant, beginning with \
             `wharfctl grants suggest --component {file}`, and name it by --grant"
        );
    }
    // One that is there already is upgraded by the grant that it has.
    let text = fs::read_to_string(&own).with_context(|| format!("cannot read {}", own.display()))?;
    let text = with_digest(&text, digest).map_err(|reason| anyhow!("{}: {reason}", own.display()))?;
    let grant = Grant::parse(&text).map_err(|reason| anyhow!("{}: {reason}", own.display()))?;
    enough(&grant, &own, manifest).context("say --suggest to have the grant written anew, or add to it")?;
    Ok(text)
}

/// A guest whose imports are not all granted does not run.
fn enough(grant: &Grant, file: &Path, manifest: &Manifest) -> Result<()> {
    let missing = grant.missing(&manifest.imports);
    if missing.is_empty() {
        return Ok(());
    }
    bail!(
        "{} does not grant everything that this {} imports; what is missing in its operations:\n{}",
        file.display(),
        manifest.name,
        grants::as_lines(&missing)
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(name: &str, digit: &str) -> Manifest {
        Manifest {
            name: name.to_owned(),
            digest: format!("sha256:{}", digit.repeat(64)),
            artefact: wharf_broker::guests::artefact_digest(b"x"),
            world: "network".to_owned(),
            imports: Vec::new(),
            size: 1,
            seen: None,
        }
    }

    #[test]
    fn a_name_of_wharfs_own_is_not_taken_by_mistake() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        let refused = |manifest: &Manifest| {
            spare_own(&paths, Path::new("o.wasm"), manifest).err().map(|error| error.to_string())
        };
        assert_eq!(refused(&manifest("mtu", "1")), None);
        let error = refused(&manifest("portmap", "1")).unwrap();
        assert!(
            error.contains("portmap") && error.contains("--name") && error.contains("--force"),
            "{error}"
        );
        let own = manifest("bridge", "2");
        guests::install(&paths, &own, b"x").unwrap();
        let error = refused(&manifest("bridge", "1")).unwrap();
        assert!(error.contains("o.wasm would replace sha256:2222"), "{error}");
        assert_eq!(refused(&own), None, "nothing is replaced");
    }
}
