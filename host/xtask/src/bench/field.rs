//! Where it is measured: for each contender nodes of its own, and container namespaces that exist beforehand.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::netns::Netns;
use crate::sh;
use crate::workspace::create_dir;

/// Makes namespaces under one folder.
pub(crate) struct Field {
    dir: PathBuf,
    made: RefCell<usize>,
}

impl Field {
    /// In an empty folder.
    pub(crate) fn new(dir: &Path) -> Result<Self> {
        create_dir(dir)?;
        Ok(Self { dir: dir.to_owned(), made: RefCell::new(0) })
    }

    /// A new namespace: a node without rules and links, or a container.
    pub(crate) fn namespace(&self) -> Result<Netns> {
        let mut made = self.made.borrow_mut();
        *made += 1;
        Netns::create(&self.dir.join(made.to_string()))
    }

    /// Removes containers and their node, and waits until the kernel has taken them apart: it does that later, beside
    /// whatever is measured then.
    pub(crate) fn clear(&self, containers: &[Netns], node: &Netns) -> Result<()> {
        let witness = self.namespace()?;
        // Whoever measured is still in the node.
        witness.enter()?;
        for container in containers {
            container.remove()?;
        }
        end(node, &witness)?;
        // Links go before all else that a namespace has; one that is removed now is taken apart after that.
        end(&self.namespace()?, &witness)?;
        witness.remove()
    }

    /// As many new ones.
    pub(crate) fn namespaces(&self, count: usize) -> Result<Vec<Netns>> {
        (0..count).map(|_| self.namespace()).collect::<Result<_>>().context("cannot make the containers")
    }
}

/// Removes a namespace and waits for the end of its links, of which another one is witness.
fn end(netns: &Netns, witness: &Netns) -> Result<()> {
    const PATIENCE: Duration = Duration::from_mins(2);
    const LINK: &str = "witness";
    let mut link = Command::new("ip");
    link.args(["link", "add", LINK, "type", "veth", "peer", "name", LINK, "netns"]).arg(witness.path());
    netns.run(|| sh::output(&mut link))?;
    netns.remove()?;
    let end = Instant::now() + PATIENCE;
    while witness.ip("-brief link show type veth")?.contains(LINK) {
        ensure!(Instant::now() < end, "the kernel has not taken a node apart in {PATIENCE:?}");
        sleep(Duration::from_millis(10));
    }
    Ok(())
}
