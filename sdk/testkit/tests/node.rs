//! What the node does around a guest.

use wharf_sdk::firewall::nat::{self, Backend, MasqueradeRule};
use wharf_sdk::leases::Pool;
use wharf_sdk::net::{Bridge, LinkCommon, VethEnd};
use wharf_sdk::{
    Config, Error, HostErrorKind, Interface, IpConfig, Netns, Network, NetworkResult, Owner, Request, Result,
    code, delegate, info, interface,
};
use wharf_testkit::{Fault, Node, json};

/// A veth with an address from IPAM; its `del` leaves everything to the host.
struct Cable;

#[wharf_sdk::network(name = "cable")]
impl Cable {
    fn add(request: &Request, host: &Netns, container: &Netns) -> Result<NetworkResult> {
        let name = format!("v{}", request.attachment().container);
        let (outer, inner) =
            host.create_veth(&VethEnd::new(name), container, &VethEnd::new(request.ifname()))?;
        outer.set_up()?;
        let mut result = match delegate::Ipam::of_request(request)? {
            Some(ipam) => ipam.add()?,
            None => NetworkResult::default(),
        };
        let netns = request.netns_path().unwrap_or_default();
        let index = result.add_interface(Interface::new(request.ifname()).in_sandbox(netns));
        result.ips.iter_mut().for_each(|ip| ip.interface = Some(index));
        interface::configure(container, &inner, &result)?;
        let rules: Vec<_> =
            result.ips.iter().map(|ip| MasqueradeRule { source: ip.address.ip(), except: vec![] }).collect();
        nat::masquerade(&rules, Backend::Automatic)?;
        info!("plugged in"; addresses = result.ips.len());
        Ok(result)
    }

    fn check(_request: &Request, _host: &Netns, container: &Netns) -> Result<()> {
        Ok(container.set_sysctl("ipv4/ip_forward", "1")?)
    }

    fn status(config: &Config) -> Result<()> {
        delegate::Ipam::of(config)?.map_or(Ok(()), |ipam| ipam.status())
    }

    fn gc(config: &Config, _valid: &[Owner], _host: &Netns) -> Result<()> {
        delegate::Ipam::of(config)?.map_or(Ok(()), |ipam| ipam.gc())
    }
}

/// The addresses 10.9.0.2 and 10.9.0.3.
struct Two;

#[wharf_sdk::ipam(name = "two")]
impl Two {
    fn add(request: &Request) -> Result<NetworkResult> {
        let (first, last) = ([10, 9, 0, 2].into(), [10, 9, 0, 3].into());
        let taken = Pool::open(None)?.reserve_next(first, last, None, &[], &request.attachment().owner())?;
        let address = taken.ok_or_else(|| Error::new(code::EXHAUSTED, "both are taken"))?;
        let ips =
            vec![IpConfig::new(format!("{address}/24").parse().map_err(|_| Error::plugin("no address"))?)];
        Ok(NetworkResult { ips, ..NetworkResult::default() })
    }

    fn gc(_config: &Config, valid: &[Owner]) -> Result<()> {
        let pool = Pool::open(None)?;
        for lease in pool.leases()?.into_iter().filter(|lease| !valid.contains(&lease.owner)) {
            pool.release(&lease.owner)?;
        }
        Ok(())
    }
}

fn node() -> Node {
    let node = Node::new();
    node.delegate::<Two>();
    node
}

fn conf() -> serde_json::Value {
    json!({"ipam": {"type": "two"}})
}

#[test]
fn an_add_is_there_and_its_del_leaves_nothing() {
    let node = node();
    let before = node.host().links().len();
    let pod = node.container("c1");
    let result = node.add::<Cable>(&pod, conf()).unwrap();
    assert_eq!(result.ips[0].address, "10.9.0.2/24".parse().unwrap());
    assert_eq!(pod.addresses("eth0")[0], "10.9.0.2/24".parse().unwrap());
    assert_eq!(pod.masquerades().len(), 1);
    assert_eq!(node.leases("test")[0].owner.container, "c1");
    assert_eq!(node.log()[0].to_string(), "info: plugged in addresses=1");
    let changes: Vec<_> = node.changes().iter().map(|change| change.operation).collect();
    assert_eq!(
        changes,
        [
            "links/create-veth",
            "links/set-up",
            "delegate/add",
            "leases/reserve-next",
            "addresses/add",
            "links/set-up",
            "nat/masquerade"
        ]
    );

    node.del::<Cable>(&pod, conf()).unwrap();
    assert_eq!(node.host().links().len(), before);
    assert!(pod.link("eth0").is_none() && pod.masquerades().is_empty());
    assert!(node.leases("test").is_empty());
    node.del::<Cable>(&pod, conf()).unwrap();
}

#[test]
fn a_del_after_the_namespace_is_gone_leaves_nothing_either() {
    let node = node();
    let pod = node.container("c1");
    node.add::<Cable>(&pod, conf()).unwrap();
    pod.remove_namespace();
    assert!(node.host().link("vc1").is_none(), "the other end goes with it");
    node.del::<Cable>(&pod, conf()).unwrap();
    assert!(node.leases("test").is_empty());
}

#[test]
fn an_add_that_fails_is_undone() {
    for operation in ["links/set-up", "leases/reserve-next", "addresses/add", "nat/masquerade"] {
        let node = node();
        let before = node.host().links();
        let pod = node.container("c1");
        node.fail(operation);
        let error = node.add::<Cable>(&pod, conf()).unwrap_err();
        assert!(error.msg.contains(operation), "{error}");
        assert_eq!(node.host().links(), before, "{operation}");
        assert!(pod.link("eth0").is_none() && node.leases("test").is_empty(), "{operation}");
        node.add::<Cable>(&pod, conf()).unwrap();
    }
}

#[test]
fn a_fault_strikes_when_it_is_told_to() {
    let node = node();
    let pod = node.container("c1");
    node.fail(Fault::at("links/*").nth(2).kind(HostErrorKind::Busy));
    assert_eq!(node.add::<Cable>(&pod, conf()).unwrap_err().code, code::TRY_AGAIN_LATER);
    node.deny("nat/*");
    for _ in 0..2 {
        assert_eq!(node.add::<Cable>(&pod, conf()).unwrap_err().code, code::DENIED);
    }
}

#[test]
#[should_panic(expected = "there is no operation \"links/fly\"")]
fn a_fault_of_nothing_is_a_mistake() {
    Fault::at("links/fly");
}

#[test]
#[should_panic(expected = "the node was to fail nat/masquerade, which no guest asked for that often")]
fn a_fault_that_never_strikes_is_a_mistake() {
    let node = node();
    // Whoever is in the way is no matter of the test's.
    node.deny("shaping/*");
    node.add::<Cable>(&node.container("c1"), conf()).unwrap();
    node.fail(Fault::at("nat/masquerade"));
    node.del::<Cable>(&node.container("c1"), conf()).unwrap();
}

#[test]
fn check_and_status_may_only_look() {
    let node = node();
    let pod = node.container("c1");
    node.add::<Cable>(&pod, conf()).unwrap();
    let error = node.check::<Cable>(&pod, conf()).unwrap_err();
    assert_eq!(error.code, code::DENIED);
    assert!(error.msg.contains("may only look"), "{error}");
    node.status::<Cable>(conf()).unwrap();
}

#[test]
fn gc_keeps_what_is_valid() {
    let node = node();
    let (one, two) = (node.container("c1"), node.container("c2"));
    node.add::<Cable>(&one, conf()).unwrap();
    node.add::<Cable>(&two, conf()).unwrap();
    let error = node.add::<Cable>(&node.container("c3"), conf()).unwrap_err();
    assert_eq!((error.code, error.msg.as_str()), (code::EXHAUSTED, "both are taken"));
    node.gc::<Cable>(&[&two], conf()).unwrap();
    let holders: Vec<_> = node.leases("test").into_iter().map(|lease| lease.owner.container).collect();
    assert_eq!(holders, ["c2"]);
}

#[test]
fn a_reboot_leaves_leases_that_are_nobodys() {
    let node = node();
    node.add::<Cable>(&node.container("c1"), conf()).unwrap();
    node.add::<Cable>(&node.container("c2"), conf()).unwrap();
    node.reboot();
    assert!(node.host().link("vc1").is_none());
    assert_eq!(node.leases("test").len(), 2);
    let pool = node.run(&node.container("c3").with_ifname("x"), |request, _, _| {
        let (owner, pool) = (request.attachment().owner(), Pool::open(None)?);
        let next = || pool.reserve_next([10, 9, 0, 2].into(), [10, 9, 0, 3].into(), None, &[], &owner);
        Ok((next()?, next()?))
    });
    assert_eq!(pool.unwrap(), (None, Some([10, 9, 0, 2].into())));
}

/// Passes on what came before.
#[wharf_sdk::network(guest = Pass, name = "pass")]
fn pass(request: &Request, _host: &Netns, _container: &Netns) -> Result<NetworkResult> {
    Ok(request.require_previous()?.clone())
}

#[test]
fn a_chain_hands_its_result_on() {
    let node = node();
    let pod = node.container("c1");
    let error = node.add::<Pass>(&pod, json!({})).unwrap_err();
    assert!(error.msg.contains("prevResult"), "{error}");
    let made = node.add::<Cable>(&pod, conf()).unwrap();
    assert_eq!(node.add::<Pass>(&pod, json!({})).unwrap(), made);
    let error = node.add::<Pass>(&pod, json!({"prevResult": {}})).unwrap_err();
    assert!(error.msg.contains("Container::with_previous"), "{error}");
    let given = NetworkResult { ips: vec![IpConfig::new("192.0.2.77/24".parse().unwrap())], ..made };
    assert_eq!(node.add::<Pass>(&pod.clone().with_previous(given.clone()), json!({})).unwrap(), given);
}

/// Does to links of the host what it must not.
struct Rude;

impl Network for Rude {
    const NAME: &'static str = "rude";
    const VERSION: &'static str = "1";

    fn add(_request: &Request, host: &Netns, _container: &Netns) -> Result<NetworkResult> {
        let uplink = host.link("ens3")?.ok_or_else(|| Error::plugin("no uplink"))?;
        uplink.set_mtu(1400)?;
        Ok(NetworkResult::default())
    }
}

wharf_sdk::export_network!(Rude);

#[test]
fn links_of_the_host_are_not_the_guests() {
    let node = node();
    let error = node.add::<Rude>(&node.container("c1"), json!({})).unwrap_err();
    assert_eq!(error.code, code::DENIED);
    assert!(error.msg.contains("\"ens3\"") && error.msg.contains("may not be changed"), "{error}");
}

#[test]
fn leases_are_the_attachments_own() {
    let node = node();
    let error = node.run(&node.container("c1"), |_, _, _| {
        let other = Owner { container: "c2".into(), ifname: "eth0".into() };
        Ok(Pool::open(None)?.release(&other)?)
    });
    assert_eq!(error.unwrap_err().code, code::DENIED);
}

#[test]
fn a_delegate_that_is_not_there_is_named() {
    let node = Node::new();
    let error = node.add::<Cable>(&node.container("c1"), conf()).unwrap_err();
    assert_eq!(error.code, code::NOT_AVAILABLE);
    assert!(error.msg.contains("\"two\"") && error.msg.contains("Node::delegate"), "{error}");
    let ips = vec![IpConfig::new("10.9.9.9/24".parse().unwrap())];
    node.delegate_answers("two", NetworkResult { ips, ..NetworkResult::default() });
    let result = node.add::<Cable>(&node.container("c2"), conf()).unwrap();
    assert_eq!(result.ips[0].address, "10.9.9.9/24".parse().unwrap());
}

#[test]
fn bridges_are_shared() {
    let node = Node::new();
    let spec = Bridge { common: LinkCommon::new("br0"), vlan_filtering: false };
    for id in ["c1", "c2"] {
        node.run(&node.container(id), |_, host, _| {
            let (bridge, _) = host.ensure_bridge(&spec)?;
            bridge.set_up().map_err(Error::from)?;
            Ok(bridge.set_mtu(1400)?)
        })
        .unwrap();
    }
    assert_eq!(node.host().link("br0").unwrap().mtu, 1400);
}

#[test]
fn operations_are_what_a_grant_must_allow() {
    let node = node();
    node.add::<Cable>(&node.container("c1"), conf()).unwrap();
    let operations = node.operations();
    assert!(
        operations.contains(&"leases/open") && operations.contains(&"links/create-veth"),
        "{operations:?}"
    );
    assert!(operations.is_sorted());
}
