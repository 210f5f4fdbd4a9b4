//! `--probe`: a real attachment by the installed binary and guests, with traffic, in throw-away namespaces.
//!
//! The namespaces have no name: when this ends, however it ends, the kernel removes what is in them. Leases and journals
//! go to a folder of its own.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wharf_broker::guests;
use wharf_kernel::Netns;
use wharf_kernel::flavour;

use super::{Findings, Node};
use crate::lists::OWN;
use crate::status;

const PATIENCE: Duration = Duration::from_secs(3);
const HOST_PORT: u16 = 8080;
const PORT: u16 = 80;
const WORD: &[u8] = b"wharf";

pub(super) fn check(node: &Node<'_>, findings: &mut Findings) {
    let probed = Probe::new(node).and_then(|probe| probe.run(findings));
    if let Err(reason) = probed {
        findings.error("attachment", reason, "see the findings above; WHARF_LOG=debug shows what guests say");
    }
}

struct Probe<'a> {
    node: &'a Node<'a>,
    folder: Folder,
    host: Netns,
    container: Netns,
    installed: Vec<String>,
}

/// A folder that goes.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl<'a> Probe<'a> {
    fn new(node: &'a Node<'a>) -> Result<Self, String> {
        let installed = guests::names(node.paths).map_err(|error| error.to_string())?;
        for needed in ["bridge", "host-local"] {
            if !installed.iter().any(|name| name == needed) {
                return Err(format!("the guest {needed} is not installed: run `wharfctl install`"));
            }
        }
        let folder = std::env::temp_dir().join("wharf-doctor.XXXXXX");
        let folder =
            Folder(nix::unistd::mkdtemp(&folder).map_err(|errno| format!("a temporary folder: {errno}"))?);
        // The installation as it is; everything that is written goes elsewhere.
        for (own, real) in [("var/lib/wharf", "/var/lib/wharf"), ("etc/cni/wharf.d", "/etc/cni/wharf.d")] {
            let link = folder.0.join(own);
            let made = link
                .parent()
                .map_or(Ok(()), fs::create_dir_all)
                .and_then(|()| symlink(node.paths.inside(real), &link));
            made.map_err(|error| format!("{}: {error}", link.display()))?;
        }
        let space = || Netns::anonymous().map_err(|error| error.to_string());
        Ok(Self { node, folder, host: space()?, container: space()?, installed })
    }

    fn has(&self, name: &str) -> bool {
        self.installed.iter().any(|installed| installed == name)
    }

    /// All that is installed, as one process.
    fn configuration(&self, previous: Option<&Value>) -> Value {
        let ranges = json!([[{"subnet": "198.51.100.0/24"}], [{"subnet": "2001:db8:51::/64"}]]);
        let mut chain = vec![json!({
            "type": "bridge", "bridge": "wharf-dr0", "isDefaultGateway": true, "ipMasq": true, "hairpinMode": true,
            "ipam": {"type": "host-local", "ranges": ranges},
        })];
        chain.extend(self.has("portmap").then(|| json!({"type": "portmap"})));
        chain.extend(self.has("bandwidth").then(|| json!({"type": "bandwidth"})));
        let mut conf = json!({
            "cniVersion": "1.0.0", "name": "wharf-doctor", "type": OWN, "chain": chain,
            "runtimeConfig": {
                "portMappings": [{"hostPort": HOST_PORT, "containerPort": PORT, "protocol": "tcp"}],
                "bandwidth": {"ingressRate": 1_000_000_000, "ingressBurst": 100_000_000,
                              "egressRate": 1_000_000_000, "egressBurst": 100_000_000},
            },
        });
        if let (Some(previous), Some(object)) = (previous, conf.as_object_mut()) {
            object.insert("prevResult".to_owned(), previous.clone());
        }
        conf
    }

    /// One call, in the namespace that plays the host.
    fn call(&self, command: &str, previous: Option<&Value>) -> Result<Value, String> {
        let netns = format!("/proc/{}/fd/{}", std::process::id(), self.container.as_fd().as_raw_fd());
        let mut plugin = Command::new(self.node.bin_dir.join(OWN));
        plugin
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("WHARF_ROOT", &self.folder.0)
            .env("CNI_COMMAND", command)
            .env("CNI_CONTAINERID", "wharf-doctor")
            .env("CNI_NETNS", netns)
            .env("CNI_IFNAME", "eth0")
            .env("CNI_PATH", &self.node.bin_dir);
        if let Ok(level) = std::env::var("WHARF_LOG") {
            plugin.env("WHARF_LOG", level);
        }
        let conf = self.configuration(previous).to_string();
        let answer = self
            .host
            .enter(|| status::run(&mut plugin, conf.as_bytes()))
            .map_err(|error| error.to_string())?;
        let stdout = answer.map_err(|reason| format!("{command}: {reason}"))?;
        if stdout.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&stdout).map_err(|error| format!("{command}: {error}"))
    }

    fn run(&self, findings: &mut Findings) -> Result<(), String> {
        self.up()?;
        let started = Instant::now();
        let result = self.call("ADD", None)?;
        findings.ok("ADD", format!("{} ms", started.elapsed().as_millis()));
        let outcome = self.look(&result, findings);
        // Also where something did not work: it shows whether this does.
        self.call("DEL", Some(&result))?;
        outcome?;
        findings.ok("DEL", "done");
        self.clean(findings)
    }

    /// The loopback, by which mapped ports are asked for.
    fn up(&self) -> Result<(), String> {
        let mut kernel = crate::recover::kernel(self.again()?, None);
        let nobody =
            wharf_ops::Attachment { network: String::new(), container: String::new(), ifname: String::new() };
        let lo = wharf_ops::Link { ns: wharf_ops::Ns::Host, index: 1, name: "lo".into() };
        let up = wharf_ops::KernelOp::Link(wharf_ops::links::LinkOp::SetUp { link: lo, up: true });
        kernel.apply(&nobody, &up).map(drop).map_err(|error| error.to_string())
    }

    fn again(&self) -> Result<Netns, String> {
        let own = self.host.enter(Netns::own).map_err(|error| error.to_string())?;
        own.map_err(|error| error.to_string())
    }

    fn look(&self, result: &Value, findings: &mut Findings) -> Result<(), String> {
        for ip in result.get("ips").and_then(Value::as_array).into_iter().flatten() {
            let text = ip.get("address").and_then(Value::as_str).unwrap_or_default();
            let address: IpAddr = text
                .split('/')
                .next()
                .unwrap_or_default()
                .parse()
                .map_err(|_| format!("{text}: no address"))?;
            let took = self.connect(SocketAddr::new(address, PORT))?;
            findings.ok("traffic", format!("node to pod, {address}: {} µs", took.as_micros()));
            if address.is_ipv4() && self.has("portmap") {
                let took = self.connect(SocketAddr::new(std::net::Ipv4Addr::LOCALHOST.into(), HOST_PORT))?;
                findings.ok("traffic", format!("mapped port 127.0.0.1:{HOST_PORT}: {} µs", took.as_micros()));
            }
        }
        self.call("CHECK", Some(result))?;
        findings.ok("CHECK", "nothing differs");
        Ok(())
    }

    /// A connection from the host that the container answers; how long that took.
    fn connect(&self, to: SocketAddr) -> Result<Duration, String> {
        let fault = |what: &'static str| move |error: std::io::Error| format!("{to}: {what}: {error}");
        let any: SocketAddr = ([0u16; 8], PORT).into();
        let listener = self.container.enter(|| TcpListener::bind(any)).map_err(|error| error.to_string())?;
        let listener = listener.map_err(fault("listening in the container"))?;
        let started = Instant::now();
        let client = self
            .host
            .enter(|| TcpStream::connect_timeout(&to, PATIENCE))
            .map_err(|error| error.to_string())?;
        let mut client = client.map_err(fault("no connection"))?;
        // It is in the queue of what is to be accepted.
        let (mut server, _) = listener.accept().map_err(fault("accepting"))?;
        let exchange = || {
            server.write_all(WORD)?;
            drop(server);
            client.set_read_timeout(Some(PATIENCE))?;
            let mut heard = Vec::new();
            client.read_to_end(&mut heard)?;
            Ok(heard)
        };
        match exchange().map_err(fault("no answer"))? {
            heard if heard == WORD => Ok(started.elapsed()),
            heard => Err(format!("{to}: somebody else answered: {:?}", String::from_utf8_lossy(&heard))),
        }
    }

    /// What a DEL has to leave: nothing of the attachment.
    fn clean(&self, findings: &mut Findings) -> Result<(), String> {
        let mut left: Vec<String> = Vec::new();
        for (what, netns) in [("the container", &self.container), ("the host", &self.host)] {
            let links = netns
                .enter(|| fs::read_to_string("/proc/thread-self/net/dev"))
                .map_err(|error| error.to_string())?;
            let links = links.unwrap_or_default();
            let names = links.lines().skip(2).filter_map(|line| line.split(':').next()).map(str::trim);
            left.extend(
                names
                    .filter(|name| !["lo", "wharf-dr0"].contains(name))
                    .map(|name| format!("link {name} in {what}")),
            );
        }
        let leases = files(&self.folder.0.join("var/lib/cni/networks/wharf-doctor"));
        left.extend(
            leases
                .into_iter()
                .filter(|name| name.parse::<IpAddr>().is_ok())
                .map(|lease| format!("lease {lease}")),
        );
        left.extend(
            files(&self.folder.0.join("run/wharf/attachments"))
                .into_iter()
                .map(|name| format!("journal {name}")),
        );
        let mut kernel = wharf_kernel::RealKernel::new(self.again()?, None);
        let owners =
            wharf_kernel::Kernel::owners(&mut kernel, "wharf-doctor").map_err(|error| error.to_string())?;
        left.extend(owners.iter().map(|owner| format!("rules of {}/{}", owner.container, owner.ifname)));
        if left.is_empty() {
            let backend = flavour::firewall(&mut kernel).map_err(|error| error.to_string())?;
            findings.ok(
                "after",
                if backend.legacy_nat { "nothing is left (iptables-legacy)" } else { "nothing is left" },
            );
            return Ok(());
        }
        Err(format!("a DEL left: {}", left.join(", ")))
    }
}

fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}
