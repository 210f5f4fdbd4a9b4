//! Masquerading and port forwarding for the attachment of the call.

use std::net::IpAddr;

use ipnetwork::IpNetwork;

use crate::bindings::wharf::firewall::nat as wit;
pub use crate::bindings::wharf::firewall::nat::{Backend, Protocol};
use crate::error::{Error, HostError, HostResult, Result, code};

/// Whose source address is rewritten on the way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MasqueradeRule {
    /// The container's address.
    pub source: IpAddr,
    /// Traffic to these, and to multicast, keeps its source.
    pub except: Vec<IpNetwork>,
}

/// A port of the host that leads into the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortForward {
    /// The transport protocol.
    pub protocol: Protocol,
    /// None, or the unspecified address, is every local address of the family.
    pub host_address: Option<IpAddr>,
    /// The port on the host.
    pub host_port: u16,
    /// The address in the container.
    pub container_address: IpAddr,
    /// The port in the container.
    pub container_port: u16,
}

/// How ports are forwarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardOptions {
    /// What renders the rules.
    pub backend: Backend,
    /// Rewrite the source where the answer would otherwise not come back.
    pub snat: bool,
    /// Rewrite the source of all forwarded traffic.
    pub masquerade_all: bool,
    /// The container's subnets, one per family: what counts as hairpin.
    pub subnets: Vec<IpNetwork>,
    /// iptables only: the bit (0 to 31) that marks packets to be masqueraded.
    pub mark_bit: u8,
    /// iptables only: an existing chain that marks packets instead.
    pub external_mark_chain: Option<String>,
    /// Extra matches for IPv4 in the backend's own words.
    pub conditions_v4: Vec<String>,
    /// Extra matches for IPv6 in the backend's own words.
    pub conditions_v6: Vec<String>,
}

/// Which backend `Backend::Automatic` means on this host.
pub fn detect() -> HostResult<Backend> {
    Ok(wit::detect()?)
}

/// For STATUS: whether this host can render the rules of a backend. The error is [`code::NOT_AVAILABLE`] and says what
/// is missing.
pub fn available(backend: Backend) -> Result<()> {
    match (backend, detect().map_err(HostError::not_available)?) {
        (Backend::Nftables, Backend::Iptables) => {
            let reason = "the kernel of this host has no nf_tables, which the nftables backend needs: load the module, \
                          or choose the iptables backend";
            Err(Error::new(code::NOT_AVAILABLE, reason))
        }
        _ => Ok(()),
    }
}

/// Masquerades, in one kernel transaction; replaces what the attachment had.
pub fn masquerade(rules: &[MasqueradeRule], backend: Backend) -> HostResult<()> {
    let rules: Vec<_> = rules
        .iter()
        .map(|rule| wit::MasqueradeRule {
            source: rule.source.into(),
            except: rule.except.iter().copied().map(Into::into).collect(),
        })
        .collect();
    Ok(wit::masquerade(&rules, backend)?)
}

/// The attachment's masquerading as the kernel has it.
pub fn masquerades() -> HostResult<Vec<MasqueradeRule>> {
    let all = wit::get_masquerades()?.into_iter();
    Ok(all
        .map(|rule| MasqueradeRule {
            source: rule.source.into(),
            except: rule.except.into_iter().map(Into::into).collect(),
        })
        .collect())
}

/// Removes the attachment's masquerading, whichever backend made it; absent is success.
pub fn remove_masquerades() -> HostResult<()> {
    Ok(wit::remove_masquerades()?)
}

/// Forwards ports, in one kernel transaction; replaces what the attachment had.
pub fn forward_ports(rules: &[PortForward], options: &ForwardOptions) -> HostResult<()> {
    let rules: Vec<_> = rules
        .iter()
        .map(|rule| wit::PortForward {
            protocol: rule.protocol,
            host_address: rule.host_address.map(Into::into),
            host_port: rule.host_port,
            container_address: rule.container_address.into(),
            container_port: rule.container_port,
        })
        .collect();
    let options = wit::ForwardOptions {
        backend: options.backend,
        snat: options.snat,
        masquerade_all: options.masquerade_all,
        subnets: options.subnets.iter().copied().map(Into::into).collect(),
        mark_bit: options.mark_bit,
        external_mark_chain: options.external_mark_chain.clone(),
        conditions_v4: options.conditions_v4.clone(),
        conditions_v6: options.conditions_v6.clone(),
    };
    Ok(wit::forward_ports(&rules, &options)?)
}

/// The attachment's forwarded ports as the kernel has them.
pub fn forwards() -> HostResult<Vec<PortForward>> {
    let all = wit::get_forwards()?.into_iter();
    Ok(all
        .map(|rule| PortForward {
            protocol: rule.protocol,
            host_address: rule.host_address.map(Into::into),
            host_port: rule.host_port,
            container_address: rule.container_address.into(),
            container_port: rule.container_port,
        })
        .collect())
}

/// Removes the attachment's forwarded ports, whichever backend made them; absent is success.
pub fn remove_forwards() -> HostResult<()> {
    Ok(wit::remove_forwards()?)
}
