//! Network namespaces made for the demo and the bench, kept by bind mounts inside a private mount namespace.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, anyhow};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};

use crate::sh;

/// A network namespace; gone with the mount namespace of this process at the latest.
#[derive(Debug, Clone)]
pub(crate) struct Netns {
    path: PathBuf,
}

impl Netns {
    /// Creates a namespace, its loopback up, and mounts it on the new file `path`.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        File::create_new(path).with_context(|| format!("cannot create {}", path.display()))?;
        let netns = Self { path: path.to_owned() };
        on_a_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET).context("cannot make a network namespace")?;
            let none = None::<&str>;
            mount(Some("/proc/thread-self/ns/net"), path, none, MsFlags::MS_BIND, none)
                .with_context(|| format!("cannot mount a network namespace on {}", path.display()))
        })?;
        Ok(netns)
    }

    /// Lets go of the namespace. It ends when nobody is inside any more.
    pub(crate) fn remove(&self) -> Result<()> {
        umount2(&self.path, MntFlags::MNT_DETACH)
            .with_context(|| format!("cannot unmount {}", self.path.display()))?;
        fs::remove_file(&self.path).with_context(|| format!("cannot remove {}", self.path.display()))
    }

    /// Where the namespace is mounted; what goes into `CNI_NETNS`.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `work` on a thread inside the namespace. Processes and sockets that it makes stay there.
    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        on_a_thread(|| {
            self.enter()?;
            work()
        })
    }

    /// Moves the calling thread into the namespace.
    pub(crate) fn enter(&self) -> Result<()> {
        let file = File::open(&self.path).with_context(|| format!("cannot open {}", self.path.display()))?;
        setns(file, CloneFlags::CLONE_NEWNET).with_context(|| format!("cannot enter {}", self.path.display()))
    }

    /// Runs `ip` with the given words inside the namespace and returns what it printed.
    pub(crate) fn ip(&self, words: &str) -> Result<String> {
        self.run(|| ip(words))
    }
}

/// Runs `ip` with the given words in the calling thread's namespace.
pub(crate) fn ip(words: &str) -> Result<String> {
    sh::output(Command::new("ip").args(words.split_whitespace()))
}

fn on_a_thread<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| scope.spawn(work).join())
        .map_err(|_| anyhow!("a thread of the namespace panicked"))?
}
