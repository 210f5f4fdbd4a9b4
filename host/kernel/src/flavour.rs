//! Which firewall a host uses, for people who ask. What renders rules decides by itself.

use wharf_ops::{Error, Ns};

use crate::iptables::{legacy_has_nat, legacy_is_installed, nat_chain};
use crate::nftables::query;
use crate::nftables::transaction::Table;
use crate::real::RealKernel;

/// NFPROTO_IPV4.
const IPV4: u8 = 2;
/// Where kube-proxy's nftables mode works.
const KUBE_PROXY: Table = Table { family: IPV4, name: "kube-proxy" };

/// The two that iptables comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// It writes nf_tables.
    Nft,
    /// It has tables of its own.
    Legacy,
}

/// What a host has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Firewall {
    /// The kernel has nf_tables.
    pub nf_tables: bool,
    /// There is a nat table of iptables-legacy.
    pub legacy_nat: bool,
    /// What iptables-legacy needs is missing, in a sentence; asked only where there is such a table.
    pub legacy_missing: Option<String>,
    /// kube-proxy works in its nftables mode.
    pub kube_proxy_nftables: bool,
}

/// Looks at the host's namespace. Changes nothing, and executes nothing.
pub fn firewall(kernel: &mut RealKernel) -> Result<Firewall, Error> {
    let legacy_nat = legacy_has_nat(kernel, true)? || legacy_has_nat(kernel, false)?;
    let nf_tables = query::works(kernel.netfilter()?)?;
    Ok(Firewall {
        nf_tables,
        legacy_nat,
        legacy_missing: legacy_is_installed().err().filter(|_| legacy_nat).map(|error| error.message),
        kube_proxy_nftables: nf_tables
            && query::chain_use(kernel.netfilter()?, KUBE_PROXY, "services")?.is_some(),
    })
}

/// The flavour in which iptables' nat table has a chain, of IPv4 or IPv6. Legacy tables are read by their own program.
pub fn iptables_chain(kernel: &mut RealKernel, chain: &str, v4: bool) -> Result<Option<Flavour>, Error> {
    nat_chain(kernel, chain, v4)
}

/// The value of a parameter below /proc/sys/net, in the host's namespace; none if there is none.
pub fn parameter(kernel: &mut RealKernel, key: &str) -> Result<Option<String>, Error> {
    let path = format!("/proc/sys/net/{key}");
    let read = kernel.in_ns(Ns::Host, || Ok(std::fs::read_to_string(&path)))?;
    match read {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::from_io(&error, format_args!("read {path}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Netns;
    use crate::testing::Rig;

    fn kernel(host: &Netns) -> RealKernel {
        RealKernel::new(host.enter(Netns::own).unwrap().unwrap(), None)
    }

    #[test]
    fn a_fresh_namespace_has_nothing_and_kube_proxys_chain_is_found_in_its_flavour() {
        let rig = Rig::new();
        let mut kernel = kernel(&rig.host);
        let before = firewall(&mut kernel).unwrap();
        assert!(before.nf_tables && !before.legacy_nat && !before.kube_proxy_nftables, "{before:?}");
        assert_eq!(iptables_chain(&mut kernel, "KUBE-MARK-MASQ", true).unwrap(), None);
        rig.try_run(wharf_ops::Ns::Host, "iptables-nft -t nat -N KUBE-MARK-MASQ").unwrap();
        assert_eq!(iptables_chain(&mut kernel, "KUBE-MARK-MASQ", true).unwrap(), Some(Flavour::Nft));
        assert_eq!(iptables_chain(&mut kernel, "KUBE-MARK-MASQ", false).unwrap(), None);
        rig.try_run(wharf_ops::Ns::Host, "ip6tables-legacy -t nat -N KUBE-MARK-MASQ").unwrap();
        assert_eq!(iptables_chain(&mut kernel, "KUBE-MARK-MASQ", false).unwrap(), Some(Flavour::Legacy));
        assert!(firewall(&mut kernel).unwrap().legacy_nat);
        rig.try_run(wharf_ops::Ns::Host, "nft add table ip kube-proxy").unwrap();
        rig.try_run(wharf_ops::Ns::Host, "nft add chain ip kube-proxy services").unwrap();
        assert!(firewall(&mut kernel).unwrap().kube_proxy_nftables);
    }

    #[test]
    fn parameters_are_the_namespaces_own() {
        let rig = Rig::new();
        let mut kernel = kernel(&rig.host);
        rig.host.enter(|| std::fs::write("/proc/sys/net/ipv4/ip_forward", "1")).unwrap().unwrap();
        assert_eq!(parameter(&mut kernel, "ipv4/ip_forward").unwrap().as_deref(), Some("1"));
        assert_eq!(parameter(&mut kernel, "ipv4/no_such_thing").unwrap(), None);
    }
}
