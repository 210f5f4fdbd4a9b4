//! `wharfctl remove`: a guest goes, and what it set up stays deletable.
//!
//! DEL needs a record, not the guest. But a runtime has to find a binary to call for it: the link of a drop-in stays as
//! long as one of its attachments lives.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use wharf_broker::journal::Store;
use wharf_broker::{Paths, guests};

use crate::component::prune;
use crate::lists;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The guest.
    guest: String,
    /// Also if a network configuration list names it: attachments by that list will fail.
    #[arg(long)]
    force: bool,
    /// The runtime's folder of network configuration lists; below WHARF_ROOT.
    #[arg(long, default_value = lists::CONF_DIR)]
    conf_dir: PathBuf,
    /// Where the runtime looks for CNI plugins; below WHARF_ROOT.
    #[arg(long, default_value = "/opt/cni/bin")]
    bin_dir: PathBuf,
}

pub(crate) fn run(paths: &Paths, options: &Options) -> Result<()> {
    let name = &options.guest;
    guests::check_name(name)?;
    let manifest = paths.guests().join(format!("{name}.json"));
    if !manifest.exists() {
        bail!("there is no guest {name:?}; `wharfctl guests` lists those that are installed");
    }
    let named = named_by(&paths.inside(&options.conf_dir.to_string_lossy()), name)?;
    if !named.is_empty() && !options.force {
        bail!(
            "{name} is named by {}: change that first, or say --force to have attachments by it fail",
            named.join(" and ")
        );
    }
    // The manifest first: from here on the guest is not there for new calls.
    remove(&manifest)?;
    remove(&paths.grants().join(format!("{name}.toml")))?;
    prune(paths, None)?;
    println!("{name} is removed");
    let link = paths.inside(&options.bin_dir.to_string_lossy()).join(name);
    if fs::read_link(&link).is_ok_and(|target| target == Path::new(lists::OWN)) {
        match attached(paths, name)? {
            0 => {
                remove(&link)?;
                println!("{} is removed", link.display());
            }
            some => println!(
                "{} stays: by it the runtime deletes {some} attachments. Remove it when they are gone",
                link.display()
            ),
        }
    }
    Ok(())
}

/// The places of lists where the guest is named, as plugin or as address manager.
fn named_by(conf_dir: &Path, name: &str) -> Result<Vec<String>> {
    let mut places = Vec::new();
    for file in lists::read(conf_dir)? {
        let Ok(list) = &file.list else { continue };
        for plugin in &list.plugins {
            for (key, kind) in [("type", Some(plugin.kind.as_str())), ("ipam.type", plugin.ipam())] {
                if kind == Some(name) {
                    places.push(format!("{}: {}.{key}", file.path.display(), plugin.place));
                }
            }
        }
    }
    Ok(places)
}

/// How many attachments were made by calls under the guest's own name.
fn attached(paths: &Paths, name: &str) -> Result<usize> {
    let records = Store::of(paths).list()?;
    Ok(records.iter().filter(|listed| listed.record.entry() == Some(name)).count())
}

fn remove(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", file.display()))
        }
        _ => Ok(()),
    }
}
