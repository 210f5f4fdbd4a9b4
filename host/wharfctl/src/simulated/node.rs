//! A simulated node: a machine, its files, and calls as a runtime makes them.

use std::cell::RefCell;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Component, Path};
use std::rc::Rc;

use tempfile::TempDir;
use wharf::ForkLauncher;
use wharf_broker::guests::sha256_hex;
use wharf_broker::log::Log;
use wharf_broker::settings::Settings;
use wharf_broker::spent::{Meter, Spent};
use wharf_broker::{Broker, Output, Paths};
use wharf_sim::Sim;

use super::files::Files;
use super::guests::Guests;
use super::story::{Story, Watched};

/// One call of the CNI binary.
#[derive(Clone, Debug)]
pub(crate) struct Call<'a> {
    /// CNI_COMMAND.
    pub(crate) command: &'a str,
    /// CNI_CONTAINERID.
    pub(crate) container: &'a str,
    /// CNI_IFNAME.
    pub(crate) ifname: &'a str,
    /// CNI_NETNS.
    pub(crate) netns: Option<&'a str>,
    /// CNI_ARGS.
    pub(crate) args: &'a str,
    /// The name that the binary is called by: a plugin's, or `wharf` for a chain.
    pub(crate) name: &'a str,
    /// What it reads on standard input.
    pub(crate) config: &'a [u8],
}

impl Call<'_> {
    fn variable(&self, key: &str) -> Option<String> {
        let value = match key {
            "CNI_COMMAND" => self.command,
            "CNI_CONTAINERID" => self.container,
            "CNI_IFNAME" => self.ifname,
            "CNI_NETNS" => self.netns?,
            "CNI_ARGS" => self.args,
            _ => return None,
        };
        Some(value.to_owned())
    }

    /// What guests make names and addresses up from: the same in each run, and another for each attachment.
    fn seed(&self) -> u64 {
        let digest = sha256_hex(format!("{}\0{}\0{}", self.name, self.container, self.ifname).as_bytes());
        digest.get(..16).and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or_default()
    }
}

/// A simulated machine with its files. They go with it.
pub(crate) struct Node {
    folder: TempDir,
    paths: Paths,
    /// The machine.
    pub(crate) sim: Sim,
    /// What calls do on it.
    pub(crate) story: Rc<Story>,
    log: Log,
    /// Goes with it, unless the guests are somebody else's.
    _guests: Option<Guests>,
}

impl Node {
    /// With guests of its own.
    pub(crate) fn with(guests: Guests, sim: Sim) -> io::Result<Self> {
        let node = Self::new(guests.paths(), sim)?;
        Ok(Self { _guests: Some(guests), ..node })
    }

    /// With the guests and grants of another root, and no other file.
    pub(crate) fn new(guests: &Paths, sim: Sim) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let paths = Paths::below(folder.path());
        link(&guests.guests(), &paths.guests())?;
        link(&guests.artefacts(), &paths.artefacts())?;
        link(&guests.grants(), &paths.grants())?;
        // Unlike for a runtime, nobody reads what guests say, unless somebody asks.
        let log = if std::env::var_os("WHARF_LOG").is_some() { Log::from_env() } else { Log::OFF };
        Ok(Self { folder, paths, sim, story: Rc::default(), log, _guests: None })
    }

    /// Another one in the same state: a machine with the same content, and these files.
    pub(crate) fn copy(&self, sim: &Sim, files: &Files) -> io::Result<Self> {
        let other = Self::new(&self.paths, sim.copy())?;
        files.write(other.root())?;
        Ok(other)
    }

    /// Where its files are.
    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Its files, below [`Node::root`].
    pub(crate) fn paths(&self) -> &Paths {
        &self.paths
    }

    /// Puts a file to where a call looks for it. A path that leads elsewhere is none that a call would follow.
    pub(crate) fn put(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let inside = path.strip_prefix("/").unwrap_or(path);
        if !inside.components().all(|part| matches!(part, Component::Normal(_))) {
            return Ok(());
        }
        let target = self.root().join(inside);
        std::fs::create_dir_all(target.parent().unwrap_or(self.root()))?;
        std::fs::write(&target, bytes)
    }

    /// What calls left in files.
    pub(crate) fn files(&self) -> io::Result<Files> {
        Files::read(self.root())
    }

    /// The broker of one call. The caller must be single-threaded: sandboxes are forks of it.
    pub(crate) fn broker(&self) -> Broker<ForkLauncher> {
        let machine = Watched { sim: self.sim.clone(), story: Rc::clone(&self.story) };
        let launcher = ForkLauncher::on_this_cpu(self.log);
        let mut broker = Broker::new(self.paths.clone(), launcher, machine, self.log);
        broker.policies = Settings::read(&self.paths, |_| None).0.policies;
        let story = Rc::clone(&self.story);
        broker.lease_hook = Box::new(move |change, moment| story.lease(change, moment));
        let story = Rc::clone(&self.story);
        broker.went_on = Box::new(move |error| story.goes_on(error));
        broker
    }

    /// Makes a call.
    pub(crate) fn run(&self, call: &Call<'_>) -> Output {
        Self::run_by(&mut self.broker(), call)
    }

    /// Makes a call, and tells where the time of its guests went.
    pub(crate) fn run_metered(&self, call: &Call<'_>) -> (Output, Vec<Spent>) {
        let mut broker = self.broker();
        broker.meter = Meter::Kept(RefCell::default());
        let output = Self::run_by(&mut broker, call);
        (output, broker.meter.take())
    }

    fn run_by(broker: &mut Broker<ForkLauncher>, call: &Call<'_>) -> Output {
        broker.launcher.seed = Some(call.seed());
        broker.run(call.name, |key| call.variable(key), call.config)
    }
}

/// A folder with links to the files of another node's, which need not be there. The folder itself is this node's: what a
/// call writes there stays here.
fn link(folder: &Path, at: &Path) -> io::Result<()> {
    std::fs::create_dir_all(at)?;
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    for entry in entries {
        let file = entry?.path();
        if let Some(name) = file.file_name() {
            symlink(&file, at.join(name))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulated::{At, Fault};

    /// Without guests there are calls, too: DEL of what nobody knows, and an error that says what is missing.
    #[test]
    fn a_node_has_its_own_files_and_says_what_is_missing() {
        let guests = tempfile::tempdir().unwrap();
        let node = Node::new(&Paths::below(guests.path()), Sim::new(1)).unwrap();
        node.sim.add_namespace("/run/netns/c1");
        let config = br#"{"cniVersion":"1.1.0","name":"net","type":"none"}"#;
        let call = Call {
            command: "ADD",
            container: "c1",
            ifname: "eth0",
            netns: Some("/run/netns/c1"),
            args: "",
            name: "none",
            config,
        };
        let output = node.run(&call);
        assert!(output.status == 1 && output.stdout.contains("wharfctl add"), "{}", output.stdout);
        assert_eq!(node.files().unwrap().lines(), [""; 0]);
        assert!(node.story.take().is_empty());
        node.story.plan(Some(Fault { at: At::Change(1), errno: 5 }));
        assert!(!node.story.plan(None), "nothing was changed");
    }

    #[test]
    fn a_copy_goes_its_own_way() {
        let guests = tempfile::tempdir().unwrap();
        let node = Node::new(&Paths::below(guests.path()), Sim::new(1)).unwrap();
        let copy = node.copy(&node.sim, &node.files().unwrap()).unwrap();
        copy.sim.add_device(copy.sim.host(), "eth0", "");
        assert_ne!(copy.sim.picture(copy.sim.host()), node.sim.picture(node.sim.host()));
        assert_ne!(copy.root(), node.root());
    }
}
