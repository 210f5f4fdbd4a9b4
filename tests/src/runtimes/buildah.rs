//! buildah: a container for each RUN of a build.

use std::process::Child;

use super::image::{self};
use super::pod::Pod;
use super::podman::{VARIABLES, machine};
use super::{List, Machine};

/// buildah on a machine of its own, with one container to work in.
#[derive(Debug)]
pub struct Buildah {
    machine: Machine,
    container: String,
}

/// A command that buildah runs.
#[derive(Debug)]
pub struct Run<'b> {
    buildah: &'b Buildah,
    child: Child,
    line: Vec<String>,
    /// Its network.
    pub pod: Pod,
}

impl Buildah {
    /// With this network. The error says why there is none here.
    pub fn start(list: &List) -> Result<Self, String> {
        let mut buildah = Self { machine: machine(std::slice::from_ref(list))?, container: String::new() };
        let archive = format!("docker-archive:{}", image::put(&buildah.machine));
        buildah.container = buildah.sh(&["from", &archive]);
        Ok(buildah)
    }

    /// Its machine.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    fn sh(&self, args: &[&str]) -> String {
        let output = self.machine.output(self.machine.command("buildah").envs(VARIABLES).args(args));
        output.unwrap_or_else(|error| panic!("buildah {}: {error}", args.join(" ")))
    }

    fn arguments<'a>(&'a self, network: &'a str, line: &[&'a str]) -> Vec<&'a str> {
        let options = ["run", "--runtime=runc", "--isolation=oci", "--cni-plugin-path=/opt/cni/bin"];
        let mut all = options.to_vec();
        all.extend(["--cni-config-dir=/etc/cni/net.d", "--network", network, &self.container, "--"]);
        all.extend(line);
        all
    }

    /// Runs a command to its end. The error is what it says.
    pub fn run(&self, network: &str, line: &[&str]) -> Result<String, String> {
        let mut command = self.machine.command("buildah");
        self.machine.output(command.envs(VARIABLES).args(self.arguments(network, line)))
    }

    /// Starts a command that stays.
    pub fn spawn(&self, network: &str, line: &[&str]) -> Run<'_> {
        let mut command = self.machine.command("buildah");
        command.envs(VARIABLES).args(self.arguments(network, line));
        let (child, _) = self.machine.daemon("buildah", command);
        let process = self.machine.wait("the command", || self.machine.process(line));
        let netns = self.machine.netns(&format!("/proc/{process}/ns/net"));
        let address = |text: &String| text.split('/').next().unwrap_or_default().parse().expect("an address");
        let ips = netns.addresses("eth0").iter().map(address).collect();
        let line = line.iter().map(|&word| word.to_owned()).collect();
        Run { buildah: self, child, line, pod: Pod { id: self.container.clone(), netns, ips } }
    }
}

impl Run<'_> {
    /// Ends the command. buildah then takes its network away.
    pub fn end(mut self) {
        let line: Vec<&str> = self.line.iter().map(String::as_str).collect();
        let machine = &self.buildah.machine;
        let process = machine.process(&line).expect("the command runs");
        machine.sh(&format!("kill -9 {process}"));
        self.child.wait().expect("wait for buildah");
    }
}
