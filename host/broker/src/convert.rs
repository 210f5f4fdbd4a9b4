//! Between the protocol's data (`wharf-cni`) and what guests see (`wharf-ops`), which do not know each other.

use wharf_cni as cni;
use wharf_ops::{Mac, call};

/// A result as a guest sees it. A hardware address that is not an EUI-48 one (InfiniBand, or none) is left out;
/// [`from_guest`] puts it back.
pub(crate) fn to_guest(result: &cni::NetworkResult) -> call::NetworkResult {
    call::NetworkResult {
        interfaces: result
            .interfaces
            .iter()
            .map(|interface| call::Interface {
                name: interface.name.clone(),
                mac: interface.mac.as_deref().and_then(mac_of),
                mtu: interface.mtu,
                sandbox: interface.sandbox.clone(),
                socket_path: interface.socket_path.clone(),
                pci_id: interface.pci_id.clone(),
            })
            .collect(),
        ips: result
            .ips
            .iter()
            .map(|ip| call::IpConfig { address: ip.address, gateway: ip.gateway, interface: ip.interface })
            .collect(),
        routes: result
            .routes
            .iter()
            .map(|route| call::ResultRoute {
                dst: route.dst,
                gw: route.gw,
                mtu: route.mtu,
                advmss: route.advmss,
                priority: route.priority,
                table: route.table,
                scope: route.scope,
            })
            .collect(),
        dns: call::Dns {
            nameservers: result.dns.nameservers.clone(),
            domain: result.dns.domain.clone(),
            search: result.dns.search.clone(),
            options: result.dns.options.clone(),
        },
    }
}

/// A guest's result as the protocol's. An interface that it passed on from `previous` keeps a hardware address that the
/// guest could not be shown.
pub(crate) fn from_guest(
    result: call::NetworkResult,
    previous: Option<&cni::NetworkResult>,
) -> cni::NetworkResult {
    let unseen = |interface: &call::Interface| {
        let mut all = previous.into_iter().flat_map(|previous| &previous.interfaces);
        let same = all.find(|one| one.name == interface.name && one.sandbox == interface.sandbox)?;
        same.mac.clone().filter(|text| mac_of(text).is_none())
    };
    cni::NetworkResult {
        interfaces: result
            .interfaces
            .into_iter()
            .map(|interface| cni::Interface {
                mac: interface.mac.map(|mac| mac.to_string()).or_else(|| unseen(&interface)),
                name: interface.name,
                mtu: interface.mtu,
                sandbox: interface.sandbox,
                socket_path: interface.socket_path,
                pci_id: interface.pci_id,
            })
            .collect(),
        ips: result
            .ips
            .into_iter()
            .map(|ip| cni::IpConfig { address: ip.address, gateway: ip.gateway, interface: ip.interface })
            .collect(),
        routes: result
            .routes
            .into_iter()
            .map(|route| cni::Route {
                dst: route.dst,
                gw: route.gw,
                mtu: route.mtu,
                advmss: route.advmss,
                priority: route.priority,
                table: route.table,
                scope: route.scope,
            })
            .collect(),
        dns: cni::Dns {
            nameservers: result.dns.nameservers,
            domain: result.dns.domain,
            search: result.dns.search,
            options: result.dns.options,
        },
    }
}

fn mac_of(text: &str) -> Option<Mac> {
    text.parse().ok()
}

/// An error as a guest sees it.
pub(crate) fn error_to_guest(error: cni::CniError) -> call::CniError {
    call::CniError { code: error.code, msg: error.msg, details: error.details }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_survives_both_ways() {
        let text = r#"{"cniVersion":"1.1.0",
            "interfaces":[{"name":"eth0","mac":"02:42:ac:11:00:02","mtu":1400,"sandbox":"/run/netns/x","socketPath":"/s","pciID":"0"}],
            "ips":[{"address":"10.1.2.3/24","gateway":"10.1.2.1","interface":0}],
            "routes":[{"dst":"0.0.0.0/0","gw":"10.1.2.1","mtu":1300,"advmss":1200,"priority":5,"table":7,"scope":0}],
            "dns":{"nameservers":["1.1.1.1"],"domain":"d","search":["s"],"options":["o"]}}"#;
        let result = cni::NetworkResult::from_slice(text.as_bytes(), cni::Version::V1_1_0).unwrap();
        assert_eq!(from_guest(to_guest(&result), None), result);
    }

    #[test]
    fn a_hardware_address_that_guests_cannot_have_goes_past_them() {
        const INFINIBAND: &str = "80:00:02:08:fe:80:00:00:00:00:00:00:f4:52:14:03:00:7b:cb:a1";
        let interface = |name: &str, mac: &str, sandbox: Option<&str>| cni::Interface {
            name: name.to_owned(),
            mac: Some(mac.to_owned()),
            sandbox: sandbox.map(str::to_owned),
            ..cni::Interface::default()
        };
        let previous = cni::NetworkResult {
            interfaces: vec![
                interface("ib0", INFINIBAND, Some("/run/netns/x")),
                interface("eth0", "02:42:ac:11:00:02", None),
            ],
            ..cni::NetworkResult::default()
        };
        let mut result = to_guest(&previous);
        assert_eq!(result.interfaces[0].mac, None);
        assert_eq!(from_guest(result.clone(), Some(&previous)), previous);

        // What the guest says counts, and what it took away stays away.
        result.interfaces[0].mac = result.interfaces[1].mac.take();
        let macs = |result| {
            let interfaces = from_guest(result, Some(&previous)).interfaces.into_iter();
            interfaces.map(|interface| interface.mac).collect::<Vec<_>>()
        };
        assert_eq!(macs(result.clone()), [Some("02:42:ac:11:00:02".to_owned()), None]);
        result.interfaces[0].mac = None;
        result.interfaces[0].sandbox = None;
        assert_eq!(macs(result), [None, None], "another interface");
    }
}
