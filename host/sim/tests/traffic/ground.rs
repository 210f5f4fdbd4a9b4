//! A host with two containers, and somebody outside.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{setsockopt, sockopt};
use wharf_kernel::{Kernel, Netns, RealKernel};
use wharf_ops::{Attachment, Error, KernelOp, Reply};
use wharf_sim::{Outcome, Probe, Sim, Space};

/// A namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Host,
    One,
    Two,
    Outside,
}

/// The others than the host.
const OTHERS: [Who; 3] = [Who::One, Who::Two, Who::Outside];
/// Ports that somebody listens on everywhere.
pub(crate) const PORTS: [u16; 3] = [80, 7000, 8080];
/// How long a packet may take. One that is dropped is waited for as long.
const PATIENCE: Duration = Duration::from_millis(400);

pub(crate) trait Ground {
    /// An operation of the host with one of the others as its container.
    fn apply(&mut self, who: Who, op: &KernelOp) -> Result<Reply, Error>;

    /// Who gets a datagram, and from whom, in their eyes.
    fn send(
        &mut self,
        from: Who,
        source: Option<IpAddr>,
        port: u16,
        to: SocketAddr,
    ) -> Option<(Who, SocketAddr)>;
}

fn owner(who: Who) -> Attachment {
    Attachment { network: "net".into(), container: format!("{who:?}"), ifname: "eth0".into() }
}

pub(crate) struct Simulated {
    sim: Sim,
    others: [Space; 3],
}

impl Simulated {
    pub(crate) fn new() -> Self {
        let sim = Sim::new(3);
        let others = OTHERS.map(|who| sim.add_namespace(format!("/run/netns/{who:?}")));
        Self { sim, others }
    }

    fn space(&self, who: Who) -> Space {
        let other = OTHERS.iter().position(|other| *other == who);
        other.map_or(self.sim.host(), |other| self.others[other])
    }
}

impl Ground for Simulated {
    fn apply(&mut self, who: Who, op: &KernelOp) -> Result<Reply, Error> {
        self.sim.kernel(self.sim.host(), Some(self.space(who))).apply(&owner(who), op)
    }

    fn send(
        &mut self,
        from: Who,
        source: Option<IpAddr>,
        port: u16,
        to: SocketAddr,
    ) -> Option<(Who, SocketAddr)> {
        let probe = Probe { source, source_port: port, ..Probe::udp(self.space(from), to) };
        let before = self.sim.probe(&probe);
        let passage = self.sim.send(&probe);
        assert_eq!(before, passage, "a question changes nothing");
        match passage.outcome {
            Outcome::Delivered { at, source, .. } => {
                let who = [Who::Host, Who::One, Who::Two, Who::Outside];
                Some((who.into_iter().find(|who| self.space(*who) == at)?, source))
            }
            Outcome::Left { .. } | Outcome::Dropped { .. } => None,
        }
    }
}

pub(crate) struct Real {
    host: Netns,
    others: [Netns; 3],
    listeners: Vec<(Who, UdpSocket)>,
}

impl Real {
    pub(crate) fn new() -> Self {
        let space = || Netns::anonymous().unwrap();
        let (host, others) = (space(), [space(), space(), space()]);
        let mut listeners = Vec::new();
        let spaces = OTHERS.into_iter().zip(&others).chain([(Who::Host, &host)]);
        for (who, netns) in spaces {
            for port in PORTS {
                let four = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
                let six = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
                for address in [four, six] {
                    listeners.push((who, netns.enter(|| socket(address)).unwrap()));
                }
            }
        }
        Self { host, others, listeners }
    }

    fn netns(&self, who: Who) -> &Netns {
        let other = OTHERS.iter().position(|other| *other == who);
        other.map_or(&self.host, |other| &self.others[other])
    }
}

fn socket(address: SocketAddr) -> UdpSocket {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, bind};
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd = nix::sys::socket::socket(family, SockType::Datagram, flags, None).unwrap();
    if address.is_ipv6() {
        setsockopt(&fd, sockopt::Ipv6V6Only, &true).unwrap();
    }
    bind(fd.as_raw_fd(), &SockaddrStorage::from(address)).unwrap();
    UdpSocket::from(fd)
}

fn again(netns: &Netns) -> Netns {
    Netns::open(format!("/proc/self/fd/{}", netns.as_fd().as_raw_fd())).unwrap()
}

impl Ground for Real {
    fn apply(&mut self, who: Who, op: &KernelOp) -> Result<Reply, Error> {
        let mut kernel = RealKernel::new(again(&self.host), Some(again(self.netns(who))));
        kernel.set_deadline(Some(Instant::now() + Duration::from_secs(5)));
        kernel.apply(&owner(who), op)
    }

    fn send(
        &mut self,
        from: Who,
        source: Option<IpAddr>,
        port: u16,
        to: SocketAddr,
    ) -> Option<(Who, SocketAddr)> {
        let any = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let own = SocketAddr::new(source.unwrap_or(any), port);
        let sender = self.netns(from).enter(|| socket(own)).unwrap();
        match sender.send_to(b"x", to) {
            Ok(_) => {}
            // The kernel knows already that nobody will get it.
            Err(_) => return None,
        }
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let mut waiting: Vec<PollFd<'_>> =
                self.listeners.iter().map(|(_, one)| PollFd::new(one.as_fd(), PollFlags::POLLIN)).collect();
            let timeout = PollTimeout::try_from(left).unwrap();
            if poll(&mut waiting, timeout).unwrap() == 0 {
                return None;
            }
            for (who, listener) in &self.listeners {
                match listener.recv_from(&mut [0; 8]) {
                    Ok((_, from)) => return Some((*who, from)),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) => panic!("{who:?}: {error}"),
                }
            }
        }
    }
}
