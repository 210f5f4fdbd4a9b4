//! `nat`: which backend has the intent, and whose rules go.

use wharf_kernel::common::{Conditions, check_nat, forward_backend};
use wharf_ops::nat::{Backend, ForwardOptions, MasqueradeRule, NatOp, PortForward};
use wharf_ops::{Attachment, Error, Ns, Reply};

use crate::call::Call;
use crate::firewall::{Firewall, Forwards, Rules, kept};

const FAMILIES: [bool; 2] = [true, false];

/// Carries out one operation.
pub(crate) fn apply(call: &mut Call<'_>, owner: &Attachment, op: &NatOp) -> Result<Reply, Error> {
    check_nat(op)?;
    let features = call.world.features;
    let detect = || features.firewall();
    let space = call.space(Ns::Host)?;
    let Some(space) = call.world.space_mut(space) else { return Ok(Reply::Done) };
    let firewall = &mut space.firewall;
    match op {
        NatOp::Detect => return detect().map(Reply::Backend),
        NatOp::Masquerade { rules, backend } => {
            let backend = if *backend == Backend::Automatic { detect()? } else { *backend };
            masquerade(firewall, owner, rules, backend);
        }
        NatOp::GetMasquerades => return Ok(Reply::Masquerades(get_masquerades(firewall, owner))),
        NatOp::RemoveMasquerades => {
            firewall.change(owner, |own| own.masquerades.clear());
            firewall.remove_iptables(owner, true);
        }
        NatOp::ForwardPorts { rules, options } => {
            let chosen = |backend| if backend == Backend::Automatic { detect() } else { Ok(backend) };
            match forward_backend(rules, options, chosen)? {
                Backend::Automatic | Backend::Nftables => forward(firewall, owner, rules, options)?,
                Backend::Iptables => forward_iptables(firewall, owner, rules, options)?,
            }
        }
        NatOp::GetForwards => return Ok(Reply::Forwards(get_forwards(firewall, owner))),
        NatOp::RemoveForwards => {
            firewall.change(owner, |own| own.forwards = None);
            firewall.remove_iptables(owner, false);
        }
    }
    Ok(Reply::Done)
}

fn masquerade(firewall: &mut Firewall, owner: &Attachment, rules: &[MasqueradeRule], backend: Backend) {
    let rules: Vec<MasqueradeRule> = rules.iter().map(kept).collect();
    firewall.tracks |= !rules.is_empty();
    match backend {
        Backend::Automatic | Backend::Nftables => {
            firewall.change(owner, |own| own.masquerades = rules);
        }
        Backend::Iptables => {
            for v4 in FAMILIES {
                let own: Vec<MasqueradeRule> =
                    rules.iter().filter(|rule| rule.source.is_ipv4() == v4).cloned().collect();
                let own = (!own.is_empty()).then_some(Rules::Masquerades(own));
                firewall.put_iptables(owner, v4, own, true);
            }
        }
    }
}

fn get_masquerades(firewall: &Firewall, owner: &Attachment) -> Vec<MasqueradeRule> {
    let mut found = firewall.of(owner).map(|own| own.masquerades.clone()).unwrap_or_default();
    found.extend(FAMILIES.into_iter().flat_map(|v4| firewall.iptables_masquerades(owner, v4)));
    found
}

fn compiled(options: &ForwardOptions, backend: Backend) -> Result<(Conditions, Conditions), Error> {
    let four = Conditions::compile(&options.conditions_v4, true, backend)?;
    Ok((four, Conditions::compile(&options.conditions_v6, false, backend)?))
}

fn forward(
    firewall: &mut Firewall,
    owner: &Attachment,
    rules: &[PortForward],
    options: &ForwardOptions,
) -> Result<(), Error> {
    let conditions = compiled(options, Backend::Nftables)?;
    let forwards = Forwards { rules: rules.to_vec(), options: options.clone(), conditions };
    firewall.tracks |= !rules.is_empty();
    firewall.guards_loopback |= !rules.is_empty();
    firewall.change(owner, |own| own.forwards = Some(forwards).filter(|forwards| !forwards.rules.is_empty()));
    Ok(())
}

/// One family after the other: what the second refuses does not take the first back.
fn forward_iptables(
    firewall: &mut Firewall,
    owner: &Attachment,
    rules: &[PortForward],
    options: &ForwardOptions,
) -> Result<(), Error> {
    let conditions = compiled(options, Backend::Iptables)?;
    for v4 in FAMILIES {
        let own: Vec<PortForward> =
            rules.iter().filter(|rule| rule.container_address.is_ipv4() == v4).cloned().collect();
        if own.is_empty() {
            firewall.put_iptables(owner, v4, None, false);
            continue;
        }
        if options.snat || options.masquerade_all {
            marks(firewall, options)?;
        }
        let forwards = Forwards { rules: own, options: options.clone(), conditions: conditions.clone() };
        firewall.put_iptables(owner, v4, Some(Rules::Forwards(forwards)), false);
        firewall.tracks = true;
        firewall.guards_loopback |= v4;
    }
    Ok(())
}

/// Whether what is to be masqueraded can be marked.
fn marks(firewall: &Firewall, options: &ForwardOptions) -> Result<(), Error> {
    match &options.external_mark_chain {
        Some(chain) if !firewall.chains.contains(chain) => Err(Error::not_found(format!(
            "there is no chain {chain} in iptables' nat table: whoever makes it has to run first"
        ))),
        None if options.mark_bit > 31 => {
            Err(Error::invalid(format!("the mark bit {} is not one of 0 to 31", options.mark_bit)))
        }
        Some(_) | None => Ok(()),
    }
}

fn get_forwards(firewall: &Firewall, owner: &Attachment) -> Vec<PortForward> {
    let mut found: Vec<PortForward> = Vec::new();
    let own = firewall.of(owner).and_then(|own| own.forwards.as_ref());
    for rule in own.into_iter().flat_map(|forwards| &forwards.rules) {
        if !found.contains(rule) {
            found.push(rule.clone());
        }
    }
    for v4 in FAMILIES {
        let Some(forwards) = firewall.iptables_forwards(owner, v4) else { continue };
        // iptables does not keep an unspecified host address.
        found.extend(forwards.rules.iter().map(|rule| PortForward {
            host_address: rule.host_address.filter(|host| !host.is_unspecified()),
            ..rule.clone()
        }));
    }
    found
}
