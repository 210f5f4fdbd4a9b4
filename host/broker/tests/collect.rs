//! Collecting a network's leftovers over the real kernel and a lease directory.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::net::IpAddr;

use wharf_broker::Paths;
use wharf_broker::collect::{Collection, Kind, Outcome, Report};
use wharf_kernel::{Kernel, Netns, RealKernel};
use wharf_ops::links::{Common, LinkOp};
use wharf_ops::nat::{Backend, MasqueradeRule, NatOp};
use wharf_ops::{Attachment, KernelOp, Ns, Reply};

/// A node with a root and a namespace of its own.
struct Node {
    root: tempfile::TempDir,
    kernel: RealKernel,
}

impl Node {
    fn new() -> Self {
        let host = Netns::anonymous().unwrap();
        let again = host.enter(|| Netns::own().unwrap()).unwrap();
        Self { root: tempfile::tempdir().unwrap(), kernel: RealKernel::new(again, None) }
    }

    fn lease(&self, network: &str, address: &str, content: &str) {
        let place = Paths::below(self.root.path()).leases(None, network);
        fs::create_dir_all(&place).unwrap();
        fs::write(place.join(address), content).unwrap();
    }

    fn leased(&self, network: &str) -> Vec<String> {
        let place = Paths::below(self.root.path()).leases(None, network);
        let names = fs::read_dir(place).into_iter().flatten().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
        names.retain(|name| name.parse::<IpAddr>().is_ok());
        names.sort();
        names
    }

    /// Rules and an ifb, as guests make them.
    fn attach(&mut self, network: &str, container: &str, address: &str, backend: Backend) {
        let owner = attachment(network, container);
        let rules = vec![MasqueradeRule { source: address.parse().unwrap(), except: vec![] }];
        self.kernel.apply(&owner, &KernelOp::Nat(NatOp::Masquerade { rules, backend })).unwrap();
        let common = Common { name: format!("bwp{network}{container}"), ..Common::default() };
        let create = KernelOp::Link(LinkOp::CreateIfb { ns: Ns::Host, common });
        let link = self.kernel.apply(&owner, &create).and_then(Reply::link).unwrap();
        let alias = format!("wharf:{network}/{container}/eth0");
        self.kernel.apply(&owner, &KernelOp::Link(LinkOp::SetAlias { link, alias })).unwrap();
        self.lease(network, address, &format!("{container}\r\neth0"));
    }

    fn collect(&mut self, wanted: &Collection) -> Report {
        wanted.run(&Paths::below(self.root.path()), &mut self.kernel)
    }

    fn links(&mut self) -> Vec<String> {
        let all = KernelOp::Link(LinkOp::GetAll { ns: Ns::Host });
        let all = self.kernel.apply(&attachment("", ""), &all).and_then(Reply::infos).unwrap();
        let mut names: Vec<String> = all.into_iter().map(|info| info.name).collect();
        names.retain(|name| name.starts_with("bwp"));
        names.sort();
        names
    }

    fn owners(&mut self, network: &str) -> Vec<String> {
        self.kernel.owners(network).unwrap().into_iter().map(|owner| owner.container).collect()
    }
}

fn attachment(network: &str, container: &str) -> Attachment {
    Attachment { network: network.into(), container: container.into(), ifname: "eth0".into() }
}

fn collection(valid: &[(&str, &str)]) -> Collection {
    let valid = valid.iter().map(|(container, ifname)| ((*container).into(), (*ifname).into())).collect();
    Collection { network: "net".into(), valid, data_dir: None, adopt: false, dry_run: false }
}

#[test]
fn what_is_stale_goes_and_everything_else_stays() {
    for backend in [Backend::Nftables, Backend::Iptables] {
        let mut node = Node::new();
        node.attach("net", "live", "10.1.0.2", backend);
        node.attach("net", "gone", "10.1.0.3", backend);
        node.attach("other", "gone", "10.9.0.3", backend);
        node.lease("net", "fd01::3", "gone\r\neth0");
        node.lease("net", "10.1.0.4", "live\r\neth1");
        node.lease("net", "10.1.0.5", "live");
        let wanted = collection(&[("live", "eth0")]);

        let dry = node.collect(&Collection { dry_run: true, ..wanted.clone() });
        assert!(dry.items.iter().all(|item| item.outcome == Outcome::WouldRemove), "{dry:?}");
        assert_eq!((node.leased("net").len(), node.links().len(), node.owners("net").len()), (5, 3, 2));

        let report = node.collect(&wanted);
        assert!(report.is_complete(), "{report:?}");
        let count = |kind| report.items.iter().filter(|item| item.kind == kind).count();
        assert_eq!((count(Kind::Rules), count(Kind::Link), count(Kind::Lease)), (1, 1, 3), "{report:?}");
        assert_eq!(report.items.len(), dry.items.len());
        assert_eq!(node.leased("net"), ["10.1.0.2", "10.1.0.5"]);
        assert_eq!(node.links(), ["bwpnetlive", "bwpothergone"]);
        assert_eq!((node.owners("net"), node.owners("other")), (vec!["live".into()], vec!["gone".into()]));
        assert_eq!(node.leased("other"), ["10.9.0.3"]);
        assert_eq!(node.collect(&wanted), Report::default(), "nothing is left to do");

        node.collect(&collection(&[]));
        assert!(node.leased("net").is_empty() && node.owners("net").is_empty());
        assert_eq!((node.links(), node.leased("other").len()), (vec!["bwpothergone".to_owned()], 1));
    }
}

#[test]
fn a_container_whose_name_is_too_long_for_the_kernel_is_known_by_its_hash() {
    let mut node = Node::new();
    let long = "c".repeat(300);
    let rules = vec![MasqueradeRule { source: "10.1.0.2".parse().unwrap(), except: vec![] }];
    let masquerade = KernelOp::Nat(NatOp::Masquerade { rules, backend: Backend::Nftables });
    node.kernel.apply(&attachment("net", &long), &masquerade).unwrap();
    assert_eq!(node.collect(&collection(&[(&long, "eth0")])), Report::default());
    assert_eq!(node.collect(&collection(&[(&long, "eth1")])).items.len(), 1);
    assert!(node.owners("net").is_empty());
}

#[test]
fn a_network_that_nobody_knows_gets_no_directory() {
    let mut node = Node::new();
    assert_eq!(node.collect(&Collection { adopt: true, ..collection(&[]) }), Report::default());
    assert_eq!(fs::read_dir(node.root.path()).unwrap().count(), 0);
}

#[test]
fn one_place_that_cannot_be_looked_at_keeps_no_other() {
    let mut node = Node::new();
    node.attach("net", "gone", "10.1.0.3", Backend::Nftables);
    let wanted = Collection { data_dir: Some("/../etc".into()), ..collection(&[]) };
    let report = node.collect(&wanted);
    assert!(!report.is_complete() && report.errors[0].contains("/../etc"), "{report:?}");
    assert!(node.owners("net").is_empty() && node.links().is_empty());
}
