//! A host with a bridge, two containers on it and a neighbour outside, for tests with real traffic.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::thread;
use std::time::Duration;

use wharf_ops::nat::{Backend, ForwardOptions, NatOp, PortForward, Protocol};
use wharf_ops::{Attachment, Error, KernelOp, Reply};

use crate::{Kernel, Netns, RealKernel};

/// Long for a packet between namespaces, short for a test that expects none.
const PATIENCE: Duration = Duration::from_millis(700);

pub(crate) const HOST: &str = "192.0.2.1";
pub(crate) const HOST_6: &str = "2001:db8::1";
pub(crate) const PEER: &str = "192.0.2.2";
pub(crate) const BRIDGE: &str = "10.1.0.1";

/// Four namespaces, wired.
pub(crate) struct World {
    pub(crate) host: Netns,
    pub(crate) one: Netns,
    pub(crate) two: Netns,
    pub(crate) peer: Netns,
}

impl World {
    /// Containers are 10.1.0.2 and 10.1.0.3 (fd01::2, fd01::3) behind br0; the neighbour has no route to them.
    pub(crate) fn new() -> Self {
        let space = || Netns::anonymous().unwrap();
        let world = Self { host: space(), one: space(), two: space(), peer: space() };
        // Usable at once: no duplicate address detection, no learning of multicast groups.
        for space in [&world.host, &world.one, &world.two, &world.peer] {
            sh(space, "for of in all default; do echo 0 > /proc/sys/net/ipv6/conf/$of/accept_dad; done");
        }
        sh(
            &world.host,
            "ip link set lo up; ip link add br0 type bridge mcast_snooping 0; ip addr add 10.1.0.1/16 dev br0
             ip addr add fd01::1/64 dev br0 nodad; ip link set br0 up
             echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
             echo 1 > /proc/sys/net/ipv4/conf/br0/route_localnet",
        );
        world.wire(&world.one, "one", "br0", "10.1.0.2/16", "fd01::2/64", "10.1.0.1", "fd01::1");
        world.wire(&world.two, "two", "br0", "10.1.0.3/16", "fd01::3/64", "10.1.0.1", "fd01::1");
        world.wire(&world.peer, "peer", "", "192.0.2.2/24", "2001:db8::2/64", "", "");
        sh(&world.host, "ip addr add 192.0.2.1/24 dev peer; ip addr add 2001:db8::1/64 dev peer nodad");
        world
    }

    #[expect(clippy::too_many_arguments, reason = "a row of a table")]
    fn wire(&self, to: &Netns, name: &str, bridge: &str, four: &str, six: &str, gw: &str, gw6: &str) {
        use std::os::fd::{AsFd as _, AsRawFd as _};
        let place = format!("/proc/{}/fd/{}", std::process::id(), to.as_fd().as_raw_fd());
        sh(
            &self.host,
            &format!("ip link add {name} type veth peer name eth0 netns {place}; ip link set {name} up"),
        );
        if !bridge.is_empty() {
            sh(
                &self.host,
                &format!("ip link set {name} master {bridge}; bridge link set dev {name} hairpin on"),
            );
        }
        sh(
            to,
            &format!(
                "ip link set lo up; ip addr add {four} dev eth0; ip addr add {six} dev eth0 nodad; ip link set eth0 up"
            ),
        );
        if !gw.is_empty() {
            sh(to, &format!("ip route add default via {gw}; ip route add default via {gw6}"));
        }
    }

    pub(crate) fn kernel(&self) -> RealKernel {
        kernel(&self.host)
    }
}

pub(crate) fn kernel(host: &Netns) -> RealKernel {
    RealKernel::new(host.enter(|| Netns::own().unwrap()).unwrap(), None)
}

/// Runs a shell script in a namespace; answers what it prints.
pub(crate) fn sh(netns: &Netns, script: &str) -> String {
    let (status, out, err) = try_sh(netns, script);
    assert!(status, "{script}: {err}");
    out
}

/// As `sh`, but failing is an answer.
pub(crate) fn try_sh(netns: &Netns, script: &str) -> (bool, String, String) {
    let output = netns.enter(|| Command::new("sh").args(["-e", "-c", script]).output().unwrap()).unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

/// A TCP server in a namespace that tells each client the address that it sees it by, and its own name.
pub(crate) fn serve(netns: &Netns, address: &str, name: &'static str) {
    let listener = netns.enter(|| TcpListener::bind(address).unwrap()).unwrap();
    thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(mut client) = client else { return };
            let seen = client.peer_addr().unwrap().ip();
            let _ = client.write_all(format!("{name} {seen}").as_bytes());
        }
    });
}

/// What the server at that address says to somebody in a namespace, or none if nobody answers.
pub(crate) fn ask(from: &Netns, address: &str) -> Option<String> {
    let address: SocketAddr = address.parse().unwrap();
    let mut stream = from.enter(|| TcpStream::connect_timeout(&address, PATIENCE)).unwrap().ok()?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some(text)
}

/// A UDP socket in a namespace.
pub(crate) fn udp(netns: &Netns, address: &str) -> UdpSocket {
    let socket = netns.enter(|| UdpSocket::bind(address).unwrap()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// The sender of the next datagram.
pub(crate) fn sender(socket: &UdpSocket) -> Option<IpAddr> {
    socket.recv_from(&mut [0; 64]).ok().map(|(_, from)| from.ip())
}

pub(crate) fn owner(container: &str, ifname: &str) -> Attachment {
    Attachment { network: "net".into(), container: container.into(), ifname: ifname.into() }
}

pub(crate) fn forward(host_port: u16, container: &str) -> PortForward {
    let to: SocketAddr = container.parse().unwrap();
    PortForward {
        protocol: Protocol::Tcp,
        host_address: None,
        host_port,
        container_address: to.ip(),
        container_port: to.port(),
    }
}

pub(crate) fn options(backend: Backend) -> ForwardOptions {
    ForwardOptions {
        backend,
        snat: true,
        masquerade_all: false,
        subnets: vec!["10.1.0.0/16".parse().unwrap(), "fd01::/64".parse().unwrap()],
        mark_bit: 13,
        external_mark_chain: None,
        conditions_v4: Vec::new(),
        conditions_v6: Vec::new(),
    }
}

pub(crate) fn nat(kernel: &mut RealKernel, owner: &Attachment, op: NatOp) -> Result<Reply, Error> {
    kernel.apply(owner, &KernelOp::Nat(op))
}

pub(crate) fn forward_ports(
    kernel: &mut RealKernel,
    owner: &Attachment,
    rules: &[PortForward],
    options: &ForwardOptions,
) {
    let op = NatOp::ForwardPorts { rules: rules.to_vec(), options: options.clone() };
    nat(kernel, owner, op).unwrap().done().unwrap();
}
