//! Masquerading and port forwarding for the attachment of the call.

use std::net::IpAddr;

use ipnetwork::IpNetwork;

use crate::bindings::wharf::firewall::nat as wit;
pub use crate::bindings::wharf::firewall::nat::{Backend, Protocol};
use crate::error::{Error, HostResult, Result, code};

/// Whose source address is rewritten on the way out.
///
/// ```
/// use wharf_sdk::firewall::nat::MasqueradeRule;
/// let rule = MasqueradeRule { source: [10, 22, 0, 2].into(), except: vec!["10.22.0.0/16".parse()?] };
/// assert!(rule.except[0].contains(rule.source), "its own subnet sees the real source");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MasqueradeRule {
    /// The container's address.
    pub source: IpAddr,
    /// Traffic to these, and to multicast, keeps its source.
    pub except: Vec<IpNetwork>,
}

/// A port of the host that leads into the container.
///
/// ```
/// use wharf_sdk::firewall::nat::{PortForward, Protocol};
/// let web = PortForward {
///     protocol: Protocol::Tcp,
///     host_address: None,
///     host_port: 8080,
///     container_address: [10, 22, 0, 2].into(),
///     container_port: 80,
/// };
/// assert_ne!(web.host_port, web.container_port);
/// ```
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
///
/// ```
/// use wharf_sdk::firewall::nat::{Backend, ForwardOptions};
/// let options = ForwardOptions { snat: true, subnets: vec!["10.22.0.0/16".parse()?], ..ForwardOptions::default() };
/// assert_eq!((options.backend, options.mark_bit), (Backend::Automatic, 13));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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

impl Default for ForwardOptions {
    /// As the portmap plugin has it: the source is rewritten where it must be, bit 13 marks.
    fn default() -> Self {
        Self {
            backend: Backend::Automatic,
            snat: true,
            masquerade_all: false,
            subnets: Vec::new(),
            mark_bit: 13,
            external_mark_chain: None,
            conditions_v4: Vec::new(),
            conditions_v6: Vec::new(),
        }
    }
}

/// Which backend `Backend::Automatic` means on this host.
///
/// ```
/// # wharf_testkit::run(|_, _, _| {
/// use wharf_sdk::firewall::nat::{Backend, detect};
/// assert_eq!(detect()?, Backend::Nftables);
/// # Ok(())
/// # });
/// ```
pub fn detect() -> HostResult<Backend> {
    Ok(wit::detect()?)
}

/// For STATUS: whether this host can render the rules of a backend. The error says what is missing. It is
/// [`code::LIMITED_CONNECTIVITY`], for what cannot be rendered any more may be missing for containers that have it; on a
/// node without any, the host makes [`code::NOT_AVAILABLE`] of it.
///
/// ```
/// # wharf_testkit::run(|_, _, _| {
/// use wharf_sdk::firewall::nat::{Backend, available};
/// available(Backend::Automatic)?;
/// # Ok(())
/// # });
/// ```
pub fn available(backend: Backend) -> Result<()> {
    let limited = |error: Error| match error.code {
        code::NOT_AVAILABLE => Error { code: code::LIMITED_CONNECTIVITY, ..error },
        _ => error,
    };
    match (backend, detect().map_err(|error| limited(error.not_available()))?) {
        (Backend::Nftables, Backend::Iptables) => {
            let reason = "the kernel of this host has no nf_tables, which the nftables backend needs: load the module, \
                          or choose the iptables backend";
            Err(Error::new(code::LIMITED_CONNECTIVITY, reason))
        }
        _ => Ok(()),
    }
}

/// Masquerades, in one kernel transaction; replaces what the attachment had.
///
/// ```
/// # wharf_testkit::run(|_, _, _| {
/// use wharf_sdk::firewall::nat::{self, Backend, MasqueradeRule};
/// let rule = MasqueradeRule { source: [10, 22, 0, 2].into(), except: vec!["10.22.0.0/16".parse().expect("a constant")] };
/// nat::masquerade(&[rule.clone()], Backend::Automatic)?;
/// assert_eq!(nat::masquerades()?, [rule]);
/// # Ok(())
/// # });
/// ```
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
///
/// ```
/// # wharf_testkit::run(|_, _, _| {
/// assert!(wharf_sdk::firewall::nat::masquerades()?.is_empty());
/// # Ok(())
/// # });
/// ```
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
///
/// ```
/// # wharf_testkit::run(|_, _, _| {
/// use wharf_sdk::firewall::nat::{self, Backend, MasqueradeRule};
/// let rule = MasqueradeRule { source: [10, 22, 0, 2].into(), except: vec!["10.22.0.0/16".parse().expect("a constant")] };
/// nat::masquerade(&[rule.clone()], Backend::Automatic)?;
/// nat::remove_masquerades()?;
/// assert!(nat::masquerades()?.is_empty());
/// # Ok(())
/// # });
/// ```
pub fn remove_masquerades() -> HostResult<()> {
    Ok(wit::remove_masquerades()?)
}

/// Forwards ports, in one kernel transaction; replaces what the attachment had.
///
/// ```
/// # wharf_testkit::run(|_, _, _| {
/// use wharf_sdk::firewall::nat::{self, ForwardOptions, PortForward, Protocol};
/// let web = PortForward {
///     protocol: Protocol::Tcp,
///     host_address: None,
///     host_port: 8080,
///     container_address: [10, 22, 0, 2].into(),
///     container_port: 80,
/// };
/// nat::forward_ports(&[web], &ForwardOptions::default())?;
/// assert_eq!(nat::forwards()?, [web]);
/// # Ok(())
/// # });
/// ```
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
///
/// ```
/// # wharf_testkit::run(|_, _, _| {
/// assert!(wharf_sdk::firewall::nat::forwards()?.is_empty());
/// # Ok(())
/// # });
/// ```
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
///
/// ```
/// # wharf_testkit::run(|_, _, _| {
/// use wharf_sdk::firewall::nat::{self, ForwardOptions, PortForward, Protocol};
/// let web = PortForward {
///     protocol: Protocol::Tcp,
///     host_address: None,
///     host_port: 8080,
///     container_address: [10, 22, 0, 2].into(),
///     container_port: 80,
/// };
/// nat::forward_ports(&[web], &ForwardOptions::default())?;
/// nat::remove_forwards()?;
/// assert!(nat::forwards()?.is_empty());
/// # Ok(())
/// # });
/// ```
pub fn remove_forwards() -> HostResult<()> {
    Ok(wit::remove_forwards()?)
}
