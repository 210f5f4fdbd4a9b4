//! The iptables backend: the nat table as the reference plugins fill it, in the flavour that the host uses.
//!
//! The nft flavour is written by netlink, and its rules carry their owner in userdata, which iptables neither
//! shows nor compares. The legacy flavour needs iptables' own program, and a comment inside the chains for the owner.

mod extensions;
mod legacy;
mod loopback;
mod memory;
mod nft;
mod plan;
mod reference;
mod tables;
mod xt;

use std::net::IpAddr;

use wharf_ops::nat::{ForwardOptions, MasqueradeRule, PortForward};
use wharf_ops::{Attachment, Error, Ns};

pub(crate) use crate::common::iptables::{names, rule, words};
use crate::flavour::Flavour;
use crate::nftables;
use crate::nftables::expr::Side;
use crate::nftables::owner;
use crate::real::RealKernel;

use legacy::Legacy;
pub(crate) use memory::Memory;
pub(crate) use names::reference_ifb;
use names::{HOSTPORT_DNAT, POSTROUTING, PREROUTING};
use nft::Nft;
pub(crate) use reference::{reference_leftovers, remove_reference_chain};
use rule::Target;
use tables::{Found, Tables};

/// The chains of a container on a network: ipMasq's, portmap's, and that of portmap's old versions.
#[cfg(test)]
pub(crate) fn chain_names(owner: &Attachment) -> [String; 3] {
    [names::masquerade(owner), names::forward(owner), names::old_snat(owner)]
}

const MASQUERADING: &str = "masquerading with iptables";
const FORWARDING: &str = "forwarding ports with iptables";
const FAMILIES: [bool; 2] = [true, false];
/// Where kube-proxy writes, in the flavour that the host uses.
const FOREIGN: [&str; 3] = ["KUBE-POSTROUTING", "KUBE-MARK-MASQ", "KUBE-SERVICES"];

/// Replaces what the attachment has.
pub(crate) fn masquerade(
    kernel: &mut RealKernel,
    owner: &Attachment,
    rules: &[MasqueradeRule],
) -> Result<(), Error> {
    let legacy = uses_legacy(kernel)?;
    for v4 in FAMILIES {
        let rules: Vec<&MasqueradeRule> = rules.iter().filter(|rule| rule.source.is_ipv4() == v4).collect();
        let mut tables = if legacy { writing(kernel, v4)? } else { native(kernel, v4)? };
        tables.change(owner, MASQUERADING, |tables| plan::masquerades(tables, owner, &rules))?;
    }
    Ok(())
}

/// Replaces what the attachment has.
pub(crate) fn forward(
    kernel: &mut RealKernel,
    owner: &Attachment,
    rules: &[PortForward],
    options: &ForwardOptions,
) -> Result<(), Error> {
    for (words, v4) in [(&options.conditions_v4, true), (&options.conditions_v6, false)] {
        words::conditions(words, v4)?;
    }
    let legacy = uses_legacy(kernel)?;
    for v4 in FAMILIES {
        let rules: Vec<&PortForward> =
            rules.iter().filter(|rule| rule.container_address.is_ipv4() == v4).collect();
        let opens = v4 && !rules.is_empty();
        let mut tables = match legacy {
            true if opens => Tables::Legacy(Legacy::new(kernel.netns(Ns::Host)?, v4).guarding_loopback()),
            true => writing(kernel, v4)?,
            false => native(kernel, v4)?,
        };
        tables.change(owner, FORWARDING, |tables| plan::forwards(tables, owner, &rules, options))?;
        if opens && !legacy {
            loopback::guard(kernel.netfilter()?)?;
        }
    }
    Ok(())
}

/// What the attachment has.
pub(crate) fn get_masquerades(
    kernel: &mut RealKernel,
    owner: &Attachment,
) -> Result<Vec<MasqueradeRule>, Error> {
    let chain = names::masquerade(owner);
    let mut result = Vec::new();
    let passes_over = kernel.passes_over_legacy();
    each(kernel, &chain, passes_over, |tables| {
        let inner = mine(tables, &chain, owner)?;
        for jump in mine(tables, POSTROUTING, owner)? {
            let source = jump.rule.as_ref().and_then(|rule| rule.network(Side::Source));
            let Some(source) = source.filter(|_| jump.target.as_deref() == Some(&chain)) else { continue };
            let accepts = inner.iter().filter_map(|found| found.rule.as_ref()).filter(|rule| {
                rule.target == Target::Accept && rule.network(Side::Source).is_none_or(|from| from == source)
            });
            let except = accepts.filter_map(|rule| rule.network(Side::Destination)).collect();
            result.push(MasqueradeRule { source: source.ip(), except });
        }
        Ok(())
    })?;
    Ok(result)
}

/// What the attachment has in force. An unspecified host address comes back as none, for iptables does not keep it.
pub(crate) fn get_forwards(kernel: &mut RealKernel, owner: &Attachment) -> Result<Vec<PortForward>, Error> {
    let chain = names::forward(owner);
    let mut result = Vec::new();
    let guarded = loopback::present(kernel.netfilter()?)?;
    let passes_over = kernel.passes_over_legacy();
    each(kernel, &chain, passes_over, |tables| {
        if !plan::is_reached(tables, &chain)? {
            return Ok(());
        }
        let open = tables.v4() && matches!(tables, Tables::Nft(_)) && !guarded;
        for found in mine(tables, &chain, owner)? {
            // The reference guards nothing.
            if open && found.owner.is_some() {
                continue;
            }
            let Some(rule) = found.rule else { continue };
            let (Target::Dnat(address, port), Some(protocol), Some(host_port)) =
                (&rule.target, rule.protocol().and_then(nftables::protocol_of), rule.port(Side::Destination))
            else {
                continue;
            };
            let host: Option<IpAddr> = rule.network(Side::Destination).map(|network| network.ip());
            result.push(PortForward {
                protocol,
                host_address: host,
                host_port,
                container_address: *address,
                container_port: *port,
            });
        }
        Ok(())
    })?;
    Ok(result)
}

/// Absent is success, and costs a question per family.
pub(crate) fn remove_masquerades(kernel: &mut RealKernel, owner: &Attachment) -> Result<(), Error> {
    let chain = names::masquerade(owner);
    each(kernel, &chain, false, |tables| {
        tables.change(owner, MASQUERADING, |tables| plan::removal(tables, owner, &chain, POSTROUTING))
    })
}

/// Absent is success, and costs a question per family.
pub(crate) fn remove_forwards(kernel: &mut RealKernel, owner: &Attachment) -> Result<(), Error> {
    let chain = names::forward(owner);
    each(kernel, &chain, false, |tables| {
        tables.change(owner, FORWARDING, |tables| plan::removal(tables, owner, &chain, HOSTPORT_DNAT))
    })
}

/// Everybody who has rules with an owner in iptables' nat table.
pub(crate) fn owners(kernel: &mut RealKernel) -> Result<Vec<Attachment>, Error> {
    let mut result = Vec::new();
    for v4 in FAMILIES {
        result.extend(native(kernel, v4)?.all()?.iter().filter_map(|found| found.owner.clone()));
        if legacy_has_nat(kernel, v4)? {
            let mut tables = Tables::Legacy(Legacy::read(kernel.netns(Ns::Host)?, v4)?);
            result.extend(tables.all()?.iter().filter_map(|found| found.owner.clone()));
        }
    }
    Ok(result)
}

/// Whether rules go to the legacy flavour: where others' already are, nft first.
fn uses_legacy(kernel: &mut RealKernel) -> Result<bool, Error> {
    let mut nft = native(kernel, true)?;
    for chain in FOREIGN.into_iter().chain([POSTROUTING, PREROUTING]) {
        if nft.chain_use(chain)?.is_some() {
            return Ok(false);
        }
    }
    Ok(legacy_has_nat(kernel, true)? || legacy_has_nat(kernel, false)?)
}

/// Whether there is the program that the legacy flavour needs. Nothing is executed.
pub(crate) fn legacy_is_installed() -> Result<(), Error> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    legacy::installed(std::env::split_paths(&path).chain(legacy::FOLDERS.map(Into::into)))
}

/// Whether the legacy flavour has a nat table in the host's namespace. Asking the program would make one.
pub(crate) fn legacy_has_nat(kernel: &mut RealKernel, v4: bool) -> Result<bool, Error> {
    // Not /proc/net: that is the main thread's namespace.
    let file = if v4 { "ip_tables_names" } else { "ip6_tables_names" };
    let names = kernel
        .in_ns(Ns::Host, || Ok(std::fs::read_to_string(format!("/proc/thread-self/net/{file}"))))?
        .unwrap_or_default();
    Ok(names.lines().any(|name| name == "nat"))
}

/// The flavour in which the nat table has a chain.
pub(crate) fn nat_chain(kernel: &mut RealKernel, chain: &str, v4: bool) -> Result<Option<Flavour>, Error> {
    if native(kernel, v4)?.chain_use(chain)?.is_some() {
        return Ok(Some(Flavour::Nft));
    }
    if !legacy_has_nat(kernel, v4)? {
        return Ok(None);
    }
    let mut legacy = Tables::Legacy(Legacy::read(kernel.netns(Ns::Host)?, v4)?);
    Ok(legacy.chain_use(chain)?.map(|_| Flavour::Legacy))
}

fn native(kernel: &mut RealKernel, v4: bool) -> Result<Tables<'_>, Error> {
    let (socket, memory) = kernel.netfilter_and_memory()?;
    Ok(Tables::Nft(Nft::new(socket, v4, memory)))
}

fn writing(kernel: &RealKernel, v4: bool) -> Result<Tables<'_>, Error> {
    Ok(Tables::Legacy(Legacy::new(kernel.netns(Ns::Host)?, v4)))
}

/// Both families, both flavours, as far as the chain is there. With `passes_over`, a table of the legacy flavour that
/// cannot be read has no such chain.
fn each(
    kernel: &mut RealKernel,
    chain: &str,
    passes_over: bool,
    mut f: impl FnMut(&mut Tables<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    for v4 in FAMILIES {
        let mut nft = native(kernel, v4)?;
        if nft.chain_use(chain)?.is_some() {
            f(&mut nft)?;
        }
        if legacy_has_nat(kernel, v4)? {
            let mut legacy = match Legacy::read(kernel.netns(Ns::Host)?, v4) {
                Err(_) if passes_over => continue,
                read => Tables::Legacy(read?),
            };
            if legacy.chain_use(chain)?.is_some() {
                f(&mut legacy)?;
            }
        }
    }
    Ok(())
}

/// Rules of the attachment, and those of nobody: in a chain that is named after container and network they are what the
/// reference made.
fn mine(tables: &mut Tables<'_>, chain: &str, owner: &Attachment) -> Result<Vec<Found>, Error> {
    let found = tables.found(chain)?;
    let mine =
        found.iter().filter(|found| found.owner.as_ref().is_none_or(|found| owner::same(found, owner)));
    Ok(mine.cloned().collect())
}
