//! `nat`: which backend renders the intent, and whose rules go.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use wharf_ops::addresses::AddressOp;
use wharf_ops::links::LinkOp;
use wharf_ops::nat::{Backend, ForwardOptions, NatOp, PortForward};
use wharf_ops::{Attachment, Error, Link, Ns, Reply};

use crate::common::{check_nat, forward_backend as backend_for};
use crate::nftables::taken_over::{self, HostportRule};
use crate::real::RealKernel;
use crate::{addresses, iptables, links, nftables};

pub(crate) fn apply(kernel: &mut RealKernel, owner: &Attachment, op: &NatOp) -> Result<Reply, Error> {
    check_nat(op)?;
    match op {
        NatOp::Detect => detect(kernel).map(Reply::Backend),
        NatOp::Masquerade { rules, backend } => {
            match chosen(kernel, *backend)? {
                Backend::Automatic | Backend::Nftables => {
                    nftables::masquerade(kernel.netfilter()?, owner, rules)?;
                }
                Backend::Iptables => iptables::masquerade(kernel, owner, rules)?,
            }
            Ok(Reply::Done)
        }
        NatOp::GetMasquerades => {
            let mut found = nftables::get_masquerades(kernel.netfilter()?, owner)?;
            found.extend(iptables::get_masquerades(kernel, owner)?);
            found.extend(taken_over::masquerades(kernel.netfilter()?, owner)?);
            Ok(Reply::Masquerades(found))
        }
        NatOp::RemoveMasquerades => {
            let own = both(kernel, owner, nftables::remove_masquerades, iptables::remove_masquerades);
            let theirs = kernel.netfilter().and_then(|socket| taken_over::remove_masquerades(socket, owner));
            own.and(theirs).map(|()| Reply::Done)
        }
        NatOp::ForwardPorts { rules, options } => {
            forward(kernel, owner, rules, options)?;
            Ok(Reply::Done)
        }
        NatOp::GetForwards => {
            let mut found = nftables::get_forwards(kernel.netfilter()?, owner)?;
            let mut chains = iptables::get_forwards(kernel, owner)?;
            // A chain of the reference is of a container, not of an interface.
            let several = |v4| {
                let mut all = chains.iter().map(|one| one.container_address).filter(|to| to.is_ipv4() == v4);
                let first = all.next();
                all.any(|other| Some(other) != first)
            };
            if several(true) || several(false) {
                let elsewhere = elsewhere(kernel, &owner.ifname)?;
                chains.retain(|one| !elsewhere.contains(&one.container_address));
            }
            found.extend(chains);
            let theirs = hostports(kernel, owner)?;
            found.extend(theirs.into_iter().filter_map(|rule| rule.forward));
            Ok(Reply::Forwards(found))
        }
        NatOp::RemoveForwards => {
            let own = both(kernel, owner, nftables::remove_forwards, iptables::remove_forwards);
            let theirs = hostports(kernel, owner)
                .and_then(|theirs| taken_over::remove_hostports(kernel.netfilter()?, &theirs));
            own.and(theirs).map(|()| Reply::Done)
        }
    }
}

/// The attachments of `network` that own firewall state.
pub(crate) fn owners(kernel: &mut RealKernel, network: &str) -> Result<Vec<Attachment>, Error> {
    let mut owners = nftables::owners(kernel.netfilter()?)?;
    owners.extend(iptables::owners(kernel)?);
    owners.retain(|owner| nftables::owner::in_network(owner, network));
    for owner in &mut owners {
        network.clone_into(&mut owner.network);
    }
    owners.sort_unstable();
    owners.dedup();
    Ok(owners)
}

/// Removes all firewall state of `owner`. An error in one place does not keep the others.
pub(crate) fn sweep(kernel: &mut RealKernel, owner: &Attachment) -> Result<(), Error> {
    let outcomes = [
        kernel.netfilter().and_then(|socket| nftables::remove_all(socket, owner)),
        iptables::remove_forwards(kernel, owner),
        iptables::remove_masquerades(kernel, owner),
    ];
    outcomes.into_iter().collect()
}

/// What the reference's portmap made for the attachment with nftables. Its rules name the container alone; those that lead
/// to another of its interfaces are that one's.
fn hostports(kernel: &mut RealKernel, owner: &Attachment) -> Result<Vec<HostportRule>, Error> {
    let mut found = taken_over::hostports(kernel.netfilter()?, &owner.container)?;
    if !found.is_empty() {
        let elsewhere = elsewhere(kernel, &owner.ifname)?;
        found.retain(|rule| rule.to.is_none_or(|to| !elsewhere.contains(&to)));
    }
    Ok(found)
}

/// Addresses of the container's other interfaces; none if its namespace is gone.
fn elsewhere(kernel: &mut RealKernel, ifname: &str) -> Result<Vec<IpAddr>, Error> {
    let ns = Ns::Container;
    let mut found = Vec::new();
    if !kernel.has(ns) {
        return Ok(found);
    }
    for info in links::apply(kernel, &LinkOp::GetAll { ns })?.infos()? {
        if info.name != ifname {
            let on = Link { ns, index: info.index, name: info.name };
            let all = addresses::apply(kernel, &AddressOp::GetAll { on })?.addresses()?;
            found.extend(all.iter().map(IpNetwork::ip));
        }
    }
    Ok(found)
}

fn both(
    kernel: &mut RealKernel,
    owner: &Attachment,
    nftables: impl FnOnce(&mut crate::netlink::Socket, &Attachment) -> Result<(), Error>,
    iptables: impl FnOnce(&mut RealKernel, &Attachment) -> Result<(), Error>,
) -> Result<(), Error> {
    let first = kernel.netfilter().and_then(|socket| nftables(socket, owner));
    first.and(iptables(kernel, owner))
}

/// nf_tables if the kernel has it, else the legacy flavour of iptables, which needs a program.
fn detect(kernel: &mut RealKernel) -> Result<Backend, Error> {
    if nftables::query::works(kernel.netfilter()?)? {
        return Ok(Backend::Nftables);
    }
    iptables::legacy_is_installed().map(|()| Backend::Iptables)
}

/// Never `Automatic`: the kernel is only asked if the configuration leaves it open.
fn chosen(kernel: &mut RealKernel, backend: Backend) -> Result<Backend, Error> {
    match backend {
        Backend::Automatic => detect(kernel),
        given => Ok(given),
    }
}

fn forward(
    kernel: &mut RealKernel,
    owner: &Attachment,
    rules: &[PortForward],
    options: &ForwardOptions,
) -> Result<(), Error> {
    match backend_for(rules, options, |backend| chosen(kernel, backend))? {
        Backend::Iptables => iptables::forward(kernel, owner, rules, options),
        Backend::Automatic | Backend::Nftables => {
            nftables::forward(kernel.netfilter()?, owner, rules, options)
        }
    }
}

#[cfg(test)]
pub(crate) mod testing;

#[cfg(test)]
mod tests;

#[cfg(test)]
mod backend_tests;

#[cfg(test)]
mod condition_tests;
