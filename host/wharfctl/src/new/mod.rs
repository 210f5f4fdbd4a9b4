//! `wharfctl new`: a guest's project that builds, is tested and can be installed at once.

mod name;
mod project;
mod sdk;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use name::Name;
use sdk::Sdk;

use crate::say::say;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The guest's name, by which configurations say it as `type`: lower-case letters, digits, `-` and `_`.
    name: Name,
    /// What it is to be.
    #[arg(long, value_enum)]
    world: World,
    /// Where the project is to be; it must not be there, or be empty. [default: ./NAME]
    #[arg(long, value_name = "DIR")]
    path: Option<PathBuf>,
    /// Where the SDK comes from: a clone of Wharf, or the URL of its git repository. [default: the clone that this program, or
    /// the current folder, is in]
    #[arg(long, value_name = "CLONE|URL")]
    sdk: Option<String>,
}

/// The kinds of guests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum World {
    /// Makes a container's interface, as bridge does.
    Interface,
    /// Adds to what the plugins before it made, as portmap does.
    Chained,
    /// Gives out addresses, as host-local does.
    Ipam,
    /// Allows or denies what other guests are about to change.
    Policy,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let Options { name, world, path, sdk } = options;
    let sdk = Sdk::find(sdk.as_deref())?;
    let folder = path.clone().unwrap_or_else(|| PathBuf::from(name.as_str()));
    ensure!(is_free(&folder)?, "{} is there already, and not empty: say another --path", folder.display());
    let files = project::files(*world, name, &sdk)?;
    for (path, content) in &files {
        let path = folder.join(path);
        let write = |parent: &Path| fs::create_dir_all(parent).and_then(|()| fs::write(&path, content));
        write(path.parent().unwrap_or(&folder))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    say!("{}: {}", folder.display(), project::about(*world));
    say!("  cd {}", folder.display());
    say!("  cargo test");
    say!("  cargo build --release --target wasm32-wasip2");
    let file = format!("target/wasm32-wasip2/release/{}.wasm", name.file());
    say!("  sudo wharfctl add {} --name {name} {file}", project::grant_option(*world, name));
    Ok(())
}

/// Whether nothing would be overwritten.
fn is_free(folder: &Path) -> Result<bool> {
    match fs::read_dir(folder) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error).with_context(|| format!("cannot look into {}", folder.display())),
    }
}
