//! `wharfctl support`: everything that a bug report needs, in one tar that can be attached to it.
//!
//! It looks, and changes nothing. Secrets are replaced before anything is written, those that keys of configurations name
//! and those that look like some; what cannot be read as what it is, and so cannot be cleaned, is left out and named.

mod bundle;
mod parts;
mod shapes;

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use anyhow::{Context, Result};
use wharf_broker::Paths;

use crate::doctor::Node;
use crate::lists::CONF_DIR;
use crate::say;
use crate::told::whole;
use bundle::Bundle;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The file to write. [default: wharf-support-HOST.tar in this folder]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The runtime's folder of network configuration lists; a whole path, below WHARF_ROOT.
    #[arg(long, default_value = CONF_DIR, value_parser = whole::<PathBuf>)]
    conf_dir: PathBuf,
    /// Where the runtime looks for CNI plugins; a whole path, below WHARF_ROOT.
    #[arg(long, default_value = "/opt/cni/bin", value_parser = whole::<PathBuf>)]
    bin_dir: PathBuf,
}

pub(crate) fn run(paths: &Paths, options: &Options) -> Result<()> {
    let host = nix::unistd::gethostname().context("this host's name")?.to_string_lossy().into_owned();
    let output = options.output.clone().unwrap_or_else(|| format!("wharf-support-{host}.tar").into());
    let node = Node::new(paths, &options.conf_dir, &options.bin_dir)?;
    let mut bundle = Bundle::default();
    // Before anything else: what is learned here is cleaned from everything.
    parts::lists(&node, &mut bundle);
    parts::journals(&node, &mut bundle);
    parts::system(&node, &mut bundle);
    parts::installation(&node, &mut bundle);
    parts::state(&node, &mut bundle);
    parts::calls(&node, &mut bundle);
    parts::network(&mut bundle);
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&output);
    let file = file.with_context(|| format!("cannot write {}", output.display()))?;
    let names = bundle.write(file, &host).with_context(|| format!("cannot write {}", output.display()))?;
    let text = format!(
        "{}:\n  {}\nSecrets are replaced as far as a key or their shape tells them; addresses, names of pods and rules are not. Look before you \
         send it.\n",
        output.display(),
        names.join("\n  ")
    );
    say::text(&text)
}
