//! A simulated node in the state of this one: its kernel, and the files that calls look into.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use wharf_broker::Paths;
use wharf_kernel::Netns;
use wharf_ops::Ns;
use wharf_sim::Sim;

use super::Options;
use crate::lists::{List, pools, resolv_confs};
use crate::recover::kernel;
use crate::simulated::{Guests, Node};

/// Stands for the container's namespace where none is named.
const FRESH: &str = "/run/netns/planned";

/// Whether that is the namespace of this process, however it is called. What cannot be opened is none.
pub(super) fn is_own(path: &Path) -> bool {
    let (own, named) = (Netns::own(), Netns::open(path));
    own.is_ok_and(|own| named.is_ok_and(|named| named.same_as(&own)))
}

/// The node, and what CNI_NETNS is there. What could not be taken over is added to `unknown`.
pub(super) fn like_this_host(
    paths: &Paths,
    options: &Options,
    list: &List,
    unknown: &mut Vec<String>,
) -> Result<(Node, String)> {
    let sim = Sim::new(1);
    let host = Netns::own().context("cannot open the namespace of this process")?;
    let path = options.netns.clone().unwrap_or_else(|| FRESH.into());
    let container = match &options.netns {
        Some(path) => Some(Netns::open(path).with_context(|| format!("--netns {}", path.display()))?),
        None => None,
    };
    let given = container.is_some();
    let mut real = kernel(host, container);
    unknown.extend(
        sim.imitate(sim.host(), real.as_mut(), Ns::Host).context("cannot read the state of this host")?,
    );
    let space = sim.add_namespace(&path);
    if given {
        let left_out = sim.imitate(space, real.as_mut(), Ns::Container);
        unknown.extend(left_out.with_context(|| format!("cannot read what is in {}", path.display()))?);
    }
    let node = match &options.guests {
        Some(folder) => {
            let files = crate::install::components(folder)?;
            Node::with(Guests::of(&files, &crate::simulated::Cache::of_user())?, sim)?
        }
        None => Node::new(paths, sim)?,
    };
    for file in [paths.settings(), paths.pod_cidrs()] {
        take(paths, &node, &file)?;
    }
    for path in resolv_confs(list) {
        take(paths, &node, &paths.inside(path))?;
    }
    for pool in pools(paths, list) {
        for entry in fs::read_dir(&pool.directory).into_iter().flatten().flatten() {
            take(paths, &node, &entry.path())?;
        }
    }
    Ok((node, path.to_string_lossy().into_owned()))
}

/// Copies a file of this node to the same place there. One that is not there is none there, too.
fn take(paths: &Paths, node: &Node, file: &Path) -> Result<()> {
    let Ok(bytes) = fs::read(file) else { return Ok(()) };
    let inside = file.strip_prefix(paths.root()).unwrap_or(file);
    node.put(inside, &bytes).with_context(|| format!("cannot copy {}", file.display()))
}
