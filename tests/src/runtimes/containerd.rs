//! containerd with its CRI plugin, in three releases.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Child;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::cri::{Cri, LinuxPodSandboxConfig, PodSandboxConfig, PodSandboxMetadata, PortMapping};
use super::grpc::Status;
use super::image::{self, IMAGE};
use super::machine::STATE;
use super::pod::{Pod, Spec};
use super::{List, Machine};

/// Where it listens.
pub const SOCKET: &str = "/run/containerd/containerd.sock";
/// Where it tells its metrics, inside its node.
const METRICS: &str = "127.0.0.1:1338";
const CONFIG: &str = "/run/containerd/config.toml";
/// What CRI's images are kept under.
const NAMESPACE: &str = "k8s.io";

/// A release of containerd.
#[derive(Clone, Copy, Debug)]
pub struct Release {
    /// What its version begins with.
    pub version: &'static str,
    /// The folders of unpacked packages over Debian 12's.
    over: &'static [&'static str],
    /// Whether its configuration is of version 3.
    split: bool,
}

impl Release {
    /// Debian 12's.
    pub const V1_6: Self = Self { version: "1.6.", over: &[], split: false };
    /// Debian 13's.
    pub const V1_7: Self = Self { version: "1.7.", over: &["containerd-1.7"], split: false };
    /// Debian sid's.
    pub const V2: Self = Self { version: "2.", over: &["containerd-2"], split: true };

    fn config(&self) -> String {
        let common = format!(
            "root = \"{STATE}/containerd\"\nstate = \"/run/containerd\"\n[grpc]\naddress = \"{SOCKET}\"\n\
             [metrics]\naddress = \"{METRICS}\"\n"
        );
        // No systemd, no AppArmor, and no right to lower an OOM score.
        let cri = "restrict_oom_score_adj = true\ndisable_apparmor = true\n";
        // Debian has other defaults than upstream.
        let folders = "conf_dir = '/etc/cni/net.d'\nbin_dir = '/opt/cni/bin'\n";
        if self.split {
            format!(
                "version = 3\n{common}[plugins.'io.containerd.cri.v1.runtime']\n{cri}\
                 [plugins.'io.containerd.cri.v1.runtime'.cni]\n{folders}\
                 [plugins.'io.containerd.cri.v1.images'.pinned_images]\nsandbox = '{IMAGE}'\n"
            )
        } else {
            format!(
                "version = 2\n{common}[plugins.'io.containerd.grpc.v1.cri']\n{cri}sandbox_image = '{IMAGE}'\n\
                 [plugins.'io.containerd.grpc.v1.cri'.cni]\n{folders}"
            )
        }
    }
}

/// A containerd that runs on a machine of its own.
#[derive(Debug)]
pub struct Containerd {
    /// Which one.
    pub release: Release,
    machine: Machine,
    server: Option<(Child, u32)>,
    cri: Option<Cri>,
}

impl Containerd {
    /// Starts one with this network. The error says why there is none here.
    pub fn start(release: Release, list: &List) -> Result<Self, String> {
        Self::prepared(release, list, |_| ())
    }

    /// Starts one on a machine to which something was done before.
    pub fn prepared(release: Release, list: &List, prepare: impl FnOnce(&Machine)) -> Result<Self, String> {
        let machine = Machine::with(release.over)?;
        prepare(&machine);
        list.install(&machine);
        let mut containerd = Self { release, machine, server: None, cri: None };
        containerd.up();
        let archive = image::put(&containerd.machine);
        containerd.machine.sh(&format!("ctr -a {SOCKET} -n {NAMESPACE} image import {archive}"));
        containerd.machine.wait("the image", || containerd.cri().has_image(IMAGE).ok()?.then_some(()));
        Ok(containerd)
    }

    /// Starts the server.
    fn up(&mut self) {
        self.machine.write(CONFIG, &self.release.config());
        let mut command = self.machine.command("containerd");
        command.args(["--config", CONFIG]);
        self.server = Some(self.machine.daemon("containerd", command));
        let socket = self.machine.path(SOCKET);
        let cri = self.machine.wait("containerd", || {
            let cri = Cri::connect(&socket).ok()?;
            let version = cri.version().ok()?;
            let version = version.trim_start_matches('v');
            assert!(version.starts_with(self.release.version), "this is containerd {version}");
            Some(cri)
        });
        self.cri = Some(cri);
    }

    /// Ends the server. Its pods go on.
    fn down(&mut self) {
        self.cri = None;
        if let Some((mut child, pid)) = self.server.take() {
            let pid = Pid::from_raw(i32::try_from(pid).expect("a process id"));
            kill(pid, Signal::SIGTERM).expect("end containerd");
            child.wait().expect("wait for containerd");
        }
    }

    /// The server ends and starts again, its pods go on.
    pub fn restart(&mut self) {
        self.down();
        self.up();
    }

    /// The machine is switched off without a word, and on again.
    pub fn reboot(&mut self) {
        self.cri = None;
        let server = self.server.take();
        self.machine.reboot();
        if let Some((mut child, _)) = server {
            child.wait().expect("wait for containerd");
        }
        self.up();
    }

    /// Its machine.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Its interface.
    pub fn cri(&self) -> &Cri {
        self.cri.as_ref().expect("containerd runs")
    }

    /// How long its network plugins took in all, by its own measurement, for setting up and tearing down.
    pub fn network_time(&self) -> [Duration; 2] {
        let text = self.machine.node().run(|| {
            let mut stream = TcpStream::connect(METRICS).expect("containerd tells its metrics");
            stream.write_all(b"GET /v1/metrics HTTP/1.0\r\n\r\n").expect("ask for the metrics");
            let mut text = String::new();
            stream.read_to_string(&mut text).expect("read the metrics");
            text
        });
        ["set_up_pod", "tear_down_pod"].map(|operation| {
            let label = format!("operation_type=\"{operation}\"");
            let sum = |line: &&str| line.contains("_duration_seconds_seconds_sum{") && line.contains(&label);
            let seconds = text.lines().find(sum).and_then(|line| line.rsplit(' ').next()?.parse().ok());
            Duration::from_secs_f64(seconds.unwrap_or_default())
        })
    }

    /// Another connection, for a thread of its own.
    pub fn connect(&self) -> Cri {
        Cri::connect(&self.machine.path(SOCKET)).expect("containerd runs")
    }

    /// What it is told to make a pod.
    pub fn config(&self, spec: &Spec) -> PodSandboxConfig {
        let mapping = |port: &super::pod::Port| PortMapping {
            protocol: i32::from(port.protocol == "udp"),
            container_port: port.container.into(),
            host_port: port.host.into(),
            host_ip: port.address.unwrap_or_default().to_owned(),
        };
        let mut annotations = BTreeMap::new();
        if let Some([into, out_of]) = spec.limits {
            annotations.insert("kubernetes.io/ingress-bandwidth".to_owned(), format!("{into}M"));
            annotations.insert("kubernetes.io/egress-bandwidth".to_owned(), format!("{out_of}M"));
        }
        PodSandboxConfig {
            metadata: Some(PodSandboxMetadata {
                name: spec.name.clone(),
                uid: format!("uid-{}", spec.name),
                namespace: "default".to_owned(),
                attempt: 0,
            }),
            hostname: spec.name.clone(),
            log_directory: "/run/pods".to_owned(),
            dns_config: None,
            port_mappings: spec.ports.iter().map(mapping).collect(),
            annotations,
            linux: Some(LinuxPodSandboxConfig {
                cgroup_parent: format!("/{}", self.machine.cgroup),
                sysctls: BTreeMap::new(),
            }),
        }
    }

    /// Makes a pod.
    pub fn run(&self, spec: &Spec) -> Result<Pod, Status> {
        let id = self.cri().run(self.config(spec))?;
        self.pod(&id)
    }

    /// A pod that is there.
    pub fn pod(&self, id: &str) -> Result<Pod, Status> {
        let (status, info) = self.cri().status(id)?;
        let network = status.network.unwrap_or_default();
        let additional = network.additional_ips.into_iter().map(|ip| ip.ip);
        let ips = [network.ip].into_iter().chain(additional).filter(|ip| !ip.is_empty());
        let ips = ips.map(|ip| ip.parse().expect("an address")).collect();
        let path = namespace(&info).unwrap_or_else(|| panic!("no network namespace in {info}"));
        Ok(Pod { id: id.to_owned(), netns: self.machine.netns(&path), ips })
    }

    /// Stops and removes a pod, as the kubelet does.
    pub fn remove(&self, pod: &Pod) -> Result<(), Status> {
        self.cri().stop(&pod.id)?;
        self.cri().remove(&pod.id)
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        if let Some((mut child, pid)) = self.server.take() {
            let _ = kill(Pid::from_raw(i32::try_from(pid).unwrap_or_default()), Signal::SIGKILL);
            let _ = child.wait();
        }
    }
}

/// The path of a pod's network namespace, from what PodSandboxStatus tells.
fn namespace(info: &Value) -> Option<String> {
    let namespaces = info["runtimeSpec"]["linux"]["namespaces"].as_array()?;
    let network = namespaces.iter().find(|namespace| namespace["type"] == "network")?;
    network["path"].as_str().map(str::to_owned)
}
