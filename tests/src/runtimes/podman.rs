//! podman with its CNI backend.

use serde_json::Value;

use super::image::{self, IMAGE};
use super::machine::STATE;
use super::pod::{Pod, Spec};
use super::{List, Machine};

/// Which of podman's files say what; for podman and for buildah.
pub(crate) const VARIABLES: [(&str, &str); 2] =
    [("CONTAINERS_CONF", "/var/lib/containers.conf"), ("CONTAINERS_STORAGE_CONF", "/var/lib/storage.conf")];

/// podman on a machine of its own.
#[derive(Debug)]
pub struct Podman {
    machine: Machine,
}

impl Podman {
    /// With these networks. The error says why there is none here.
    pub fn start(lists: &[List]) -> Result<Self, String> {
        let podman = Self { machine: machine(lists)? };
        let archive = image::put(&podman.machine);
        podman.sh(&["load", "-q", "-i", archive]);
        Ok(podman)
    }

    /// Its machine.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// The machine is switched off without a word, and on again.
    pub fn reboot(&mut self) {
        self.machine.reboot();
    }

    /// Runs podman. The error is what it says.
    pub fn try_sh(&self, args: &[&str]) -> Result<String, String> {
        self.machine.output(self.machine.command("podman").envs(VARIABLES).args(args))
    }

    /// Runs podman, must succeed.
    #[track_caller]
    pub fn sh(&self, args: &[&str]) -> String {
        self.try_sh(args).unwrap_or_else(|error| panic!("podman {}: {error}", args.join(" ")))
    }

    /// Makes a container on the network of this name, which may carry options: `net:ip=...,mac=...`.
    pub fn run(&self, spec: &Spec, networks: &[&str]) -> Result<Pod, String> {
        let ports: Vec<String> = spec.ports.iter().map(port).collect();
        let cgroup = format!("--cgroup-parent=/{}", self.machine.cgroup);
        let mut args = vec!["run", "-d", "--name", &spec.name, &cgroup];
        for port in &ports {
            args.extend(["-p", port.as_str()]);
        }
        for network in networks {
            args.extend(["--network", network]);
        }
        args.push(IMAGE);
        self.try_sh(&args).map(|_| self.pod(&spec.name))
    }

    /// A container that is there.
    pub fn pod(&self, name: &str) -> Pod {
        let inspected = self.inspect(name);
        let settings = &inspected["NetworkSettings"];
        let networks = settings["Networks"].as_object().expect("networks");
        let of = |network: &Value| ["IPAddress", "GlobalIPv6Address"].map(|key| network[key].clone());
        let ips = networks.values().flat_map(of);
        let ips = ips.filter_map(|ip| ip.as_str().and_then(|text| text.parse().ok())).collect();
        let netns = self.machine.netns(settings["SandboxKey"].as_str().expect("a namespace"));
        Pod { id: name.to_owned(), netns, ips }
    }

    /// What podman knows of a container.
    pub fn inspect(&self, name: &str) -> Value {
        let text = self.sh(&["inspect", name]);
        let all: Value = serde_json::from_str(&text).expect("podman prints JSON");
        all[0].clone()
    }

    /// Ends and removes a container.
    pub fn remove(&self, pod: &Pod) {
        self.sh(&["rm", "-f", "-t", "0", &pod.id]);
    }
}

fn port(port: &super::pod::Port) -> String {
    let address = port.address.map(|address| format!("{address}:")).unwrap_or_default();
    format!("{address}{}:{}/{}", port.host, port.container, port.protocol)
}

/// A machine that podman and buildah are set up on.
pub(crate) fn machine(lists: &[List]) -> Result<Machine, String> {
    let machine = Machine::new()?;
    // Neither systemd nor rights to raise limits nor crun, which refuses hybrid control groups.
    machine.write(
        VARIABLES[0].1,
        "[containers]\n\
         default_ulimits = [\"nofile=1024:4096\", \"nproc=4096:4096\"]\n\
         cgroupns = \"host\"\n\
         seccomp_profile = \"unconfined\"\n\
         [engine]\n\
         cgroup_manager = \"cgroupfs\"\n\
         events_logger = \"file\"\n\
         runtime = \"runc\"\n\
         [network]\n\
         network_backend = \"cni\"\n\
         cni_plugin_dirs = [\"/opt/cni/bin\"]\n\
         network_config_dir = \"/etc/cni/net.d\"\n",
    );
    machine.write(
        VARIABLES[1].1,
        &format!(
            "[storage]\ndriver = \"overlay\"\ngraphroot = \"{STATE}/storage\"\nrunroot = \"/run/containers/storage\"\n"
        ),
    );
    for list in lists {
        list.install(&machine);
    }
    Ok(machine)
}
