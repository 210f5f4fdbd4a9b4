//! `ctr run --cni`: containerd without CRI. It knows one place for configurations and one for plugins.

use std::process::Child;

use super::containerd::{Containerd, Release, SOCKET};
use super::image::IMAGE;
use super::pod::Pod;
use super::{List, Machine};

/// ctr on a machine of its own.
#[derive(Debug)]
pub struct Ctr(Containerd);

/// A container that ctr watches.
#[derive(Debug)]
pub struct Run<'c> {
    ctr: &'c Ctr,
    child: Child,
    /// Its network.
    pub pod: Pod,
}

impl Ctr {
    /// With this network. The error says why there is none here.
    pub fn start(release: Release, list: &List) -> Result<Self, String> {
        Containerd::start(release, list).map(Self)
    }

    /// Its machine.
    pub fn machine(&self) -> &Machine {
        self.0.machine()
    }

    fn arguments(line: &str) -> Vec<String> {
        format!("-a {SOCKET} -n k8s.io {line}").split(' ').map(str::to_owned).collect()
    }

    fn options(&self, name: &str) -> String {
        format!("run --rm --cni --cgroup /{}/{name}", self.machine().cgroup)
    }

    /// Runs a container to its end. The error is what ctr says.
    pub fn run(&self, name: &str, line: &str) -> Result<String, String> {
        let line = format!("{} {IMAGE} {name} {line}", self.options(name));
        self.machine().output(self.machine().command("ctr").args(Self::arguments(&line)))
    }

    /// Starts a container that stays. ctr stays too, for it removes the network.
    pub fn spawn(&self, name: &str) -> Run<'_> {
        let mut command = self.machine().command("ctr");
        command.args(Self::arguments(&format!("{} {IMAGE} {name} sleep 1000000", self.options(name))));
        let (child, _) = self.machine().daemon("ctr", command);
        let process = self.machine().wait("the container", || {
            let tasks = Self::arguments("task ls");
            let tasks = self.machine().output(self.machine().command("ctr").args(tasks)).ok()?;
            let mut words = tasks.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
            let task =
                words.find(|words| words.first() == Some(&name) && words.last() == Some(&"RUNNING"))?;
            task.get(1).map(|&number| number.to_owned())
        });
        let netns = self.machine().netns(&format!("/proc/{process}/ns/net"));
        let address = |text: &String| text.split('/').next().unwrap_or_default().parse().expect("an address");
        let ips = netns.addresses("eth0").iter().map(address).collect();
        Run { ctr: self, child, pod: Pod { id: name.to_owned(), netns, ips } }
    }
}

impl Run<'_> {
    /// Ends the container. ctr then takes its network away.
    pub fn end(mut self) {
        let kill = Ctr::arguments(&format!("task kill -s 9 {}", self.pod.id));
        self.ctr.machine().output(self.ctr.machine().command("ctr").args(kill)).expect("kill the task");
        self.child.wait().expect("wait for ctr");
    }
}
