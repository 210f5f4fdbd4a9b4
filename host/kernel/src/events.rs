//! Changes of nf_tables as they happen.

use std::os::fd::{AsFd, BorrowedFd};

use wharf_ops::Error;

use crate::netlink::{Message, NetlinkError, Protocol, Socket};

/// NFNLGRP_NFTABLES.
const GROUP: u32 = 7;
/// NFNL_SUBSYS_NFTABLES and NFT_MSG_*.
const NEWGEN: u16 = 0x0a00 + 15;
const REMOVALS: [u16; 5] = [0x0a02, 0x0a05, 0x0a08, 0x0a0b, 0x0a0e];
/// Of struct nfgenmsg.
const HEADER: usize = 4;
/// NFTA_GEN_PROC_PID and NFTA_GEN_PROC_NAME.
const PID: u16 = 2;
const NAME: u16 = 3;

/// A listener to nf_tables in one network namespace, whoever changes it: nft, iptables-nft, firewalld, a container
/// engine. iptables-legacy is not heard.
#[derive(Debug)]
pub struct FirewallEvents {
    socket: Socket,
    /// The thread that made it, by its number and its name: its own changes are no news.
    own: (u32, String),
    /// Whether the batch that is being told removed something.
    removing: bool,
}

impl AsFd for FirewallEvents {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl FirewallEvents {
    /// In the namespace of the calling thread, which is also the one whose changes are passed over.
    pub fn listen() -> Result<Self, Error> {
        let explain = |error: NetlinkError| error.explain("listening for changes of nf_tables");
        let mut socket = Socket::open(Protocol::Netfilter).map_err(explain)?;
        socket.subscribe(GROUP).map_err(explain)?;
        let id = u32::try_from(nix::unistd::gettid().as_raw()).unwrap_or_default();
        let name = std::fs::read_to_string("/proc/thread-self/comm").unwrap_or_default();
        Ok(Self { socket, own: (id, name.trim_end().to_owned()), removing: false })
    }

    /// Reads what is queued, and says whether somebody else removed anything: a table, chain, rule, set or element.
    /// Events that were lost count as such. Does not wait.
    pub fn removed(&mut self) -> Result<bool, Error> {
        let mut removed = false;
        loop {
            let (own, removing) = (&self.own, &mut self.removing);
            let mut heard = false;
            let received = self.socket.receive_now(|message| {
                heard |= hear(message, own, removing);
                Ok(())
            });
            removed |= heard;
            match received {
                Ok(true) => {}
                Ok(false) => return Ok(removed),
                Err(NetlinkError::Lost | NetlinkError::Malformed(_)) => removed = true,
                Err(error) => return Err(error.explain("listening for changes of nf_tables")),
            }
        }
    }
}

/// A batch is told change by change, and then who made it.
fn hear(message: &Message<'_>, own: &(u32, String), removing: &mut bool) -> bool {
    if REMOVALS.contains(&message.kind) {
        *removing = true;
    }
    if message.kind != NEWGEN {
        return false;
    }
    let attributes = message.attributes(HEADER);
    let pid = attributes.find(PID).and_then(|pid| pid.be32());
    let name = attributes.find(NAME).and_then(|name| name.text());
    let is_own = pid == Some(own.0) && name == Some(own.1.as_str());
    std::mem::take(removing) && !is_own
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use wharf_ops::nat::{Backend, MasqueradeRule, NatOp};
    use wharf_ops::{KernelOp, Ns};

    use super::*;
    use crate::testing::Rig;

    fn wait(events: &mut FirewallEvents, seconds: u64) -> bool {
        let end = Instant::now() + Duration::from_secs(seconds);
        loop {
            if events.removed().unwrap() {
                return true;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let left = PollTimeout::try_from(left.as_millis() + 1).unwrap();
            poll(&mut [PollFd::new(events.as_fd(), PollFlags::POLLIN)], left).unwrap();
        }
    }

    fn masquerade(rig: &mut Rig, source: &str) {
        let rules = vec![MasqueradeRule { source: source.parse().unwrap(), except: Vec::new() }];
        rig.apply(KernelOp::Nat(NatOp::Masquerade { rules, backend: Backend::Nftables })).unwrap();
    }

    #[test]
    fn removals_by_others_are_heard_and_own_ones_are_not() {
        let mut rig = Rig::new();
        let mut events = rig.netns(Ns::Host).enter(FirewallEvents::listen).unwrap().unwrap();
        masquerade(&mut rig, "10.0.0.2");
        masquerade(&mut rig, "10.0.0.3");
        assert!(!events.removed().unwrap(), "the second replaced the first, but that was this thread");
        rig.run(Ns::Host, "nft add table inet other");
        assert!(!events.removed().unwrap(), "nothing was removed");
        for line in [
            "nft delete table inet other",
            "nft flush table inet wharf-masquerade",
            "nft delete table inet wharf-masquerade",
        ] {
            rig.run(Ns::Host, line);
            assert!(wait(&mut events, 5), "{line}");
            assert!(!events.removed().unwrap(), "{line}: told once");
        }
        masquerade(&mut rig, "10.0.0.2");
        rig.run(Ns::Host, "nft flush ruleset");
        assert!(wait(&mut events, 5));
    }

    #[test]
    fn another_namespace_is_not_heard() {
        let rig = Rig::new();
        let mut events = rig.netns(Ns::Host).enter(FirewallEvents::listen).unwrap().unwrap();
        rig.run(Ns::Container, "nft add table inet other");
        rig.run(Ns::Container, "nft flush ruleset");
        assert!(!events.removed().unwrap());
    }

    #[test]
    fn lost_events_count_as_removals() {
        let rig = Rig::new();
        let mut events = rig.netns(Ns::Host).enter(FirewallEvents::listen).unwrap().unwrap();
        let line = "nft add table inet t; for i in $(seq 400); do echo add set inet t s$i '{ type ipv4_addr; }'; done";
        let many = format!("{line} | nft -f -");
        for _ in 0..8 {
            let output =
                rig.netns(Ns::Host).enter(|| std::process::Command::new("sh").arg("-c").arg(&many).output());
            assert!(output.unwrap().unwrap().status.success());
        }
        // Only additions, but more of them than the socket can hold.
        assert!(wait(&mut events, 5));
    }
}
