//! `wharfctl remove`: a guest goes, and what it set up stays deletable.
//!
//! DEL needs a record, not the guest. But a runtime has to find a binary to call for it: the link of a drop-in stays as
//! long as one of its attachments lives.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use wharf_broker::journal::Store;
use wharf_broker::settings::Settings;
use wharf_broker::{Paths, guests};

use crate::component::{hold, prune};
use crate::drop_in::{gone, unlink};
use crate::lists;
use crate::say::say;
use crate::told::whole;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The guest.
    guest: String,
    /// Also if a network configuration list or the node names it: attachments that need it will fail.
    #[arg(long)]
    force: bool,
    /// The runtime's folder of network configuration lists; a whole path, below WHARF_ROOT.
    #[arg(long, default_value = lists::CONF_DIR, value_parser = whole::<PathBuf>)]
    conf_dir: PathBuf,
    /// Where the runtime looks for CNI plugins; a whole path, below WHARF_ROOT.
    #[arg(long, default_value = "/opt/cni/bin", value_parser = whole::<PathBuf>)]
    bin_dir: PathBuf,
}

pub(crate) fn run(paths: &Paths, options: &Options) -> Result<()> {
    let name = &options.guest;
    guests::check_name(name)?;
    let manifest = paths.guests().join(format!("{name}.json"));
    if !manifest.exists() {
        bail!("there is no guest {name:?}; `wharfctl guests` lists those that are installed");
    }
    let named = named_by(paths, &paths.inside(&options.conf_dir.to_string_lossy()), name)?;
    if !named.is_empty() && !options.force {
        bail!(
            "{name} is named by {}: change that first, or say --force to have what needs it fail",
            named.join(" and ")
        );
    }
    let held = hold(paths)?;
    // The manifest first: from here on the guest is not there for new calls.
    gone(fs::remove_file(&manifest), &manifest)?;
    let grant = paths.grants().join(format!("{name}.toml"));
    gone(fs::remove_file(&grant), &grant)?;
    prune(paths, None)?;
    drop(held);
    say!("{name} is removed");
    let link = paths.inside(&options.bin_dir.to_string_lossy()).join(name);
    if fs::read_link(&link).is_ok_and(|target| target == Path::new(lists::OWN)) {
        match attached(paths, name)? {
            0 => {
                unlink(&link)?;
                if !link.exists() {
                    say!("{} is removed", link.display());
                }
            }
            some => say!(
                "{} stays: by it the runtime deletes {some} attachments. Remove it when they are gone",
                link.display()
            ),
        }
    }
    Ok(())
}

/// Where the guest is named: among the policies of the node, and in its lists.
fn named_by(paths: &Paths, conf_dir: &Path, name: &str) -> Result<Vec<String>> {
    let mut places = Vec::new();
    let file = paths.settings();
    let policies = Settings::read(paths, |_| None).0.policies;
    if let Some(fault) = policies.fault() {
        bail!("{fault}: whether {name} is a policy of this node cannot be told; correct the file first");
    }
    if policies.names().iter().any(|known| known == name) {
        places.push(format!("{}: policies", file.display()));
    }
    for file in lists::read(conf_dir)? {
        let Ok(list) = &file.list else { continue };
        for plugin in &list.plugins {
            let members = plugin.names().into_iter().filter(|(_, known)| *known == name);
            places.extend(
                members.map(|(member, _)| format!("{}: {}.{member}", file.path.display(), plugin.place)),
            );
        }
    }
    Ok(places)
}

/// How many attachments were made by calls under the guest's own name.
fn attached(paths: &Paths, name: &str) -> Result<usize> {
    let records = Store::of(paths).list()?;
    Ok(records.iter().filter(|listed| listed.record.entry() == Some(name)).count())
}
