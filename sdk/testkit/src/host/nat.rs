//! `wharf:firewall/nat`.

use wharf_ops::Reply;
use wharf_ops::nat::{self, NatOp};
use wharf_sdk::native::Nat;
use wharf_sdk::native::wit::firewall::nat::{Backend, ForwardOptions, MasqueradeRule, PortForward, Protocol};

use super::{Answer, Host};
use crate::convert::{cidrs, to_cidrs};

impl Nat for Host {
    fn detect(&self) -> Answer<Backend> {
        self.ask(NatOp::Detect, |reply| {
            Ok(match reply.backend()? {
                nat::Backend::Automatic => Backend::Automatic,
                nat::Backend::Nftables => Backend::Nftables,
                nat::Backend::Iptables => Backend::Iptables,
            })
        })
    }

    fn masquerade(&self, rules: &[MasqueradeRule], by: Backend) -> Answer<()> {
        let rules = rules
            .iter()
            .map(|rule| nat::MasqueradeRule { source: rule.source.into(), except: cidrs(&rule.except) })
            .collect();
        self.ask(NatOp::Masquerade { rules, backend: backend(by) }, Reply::done)
    }

    fn get_masquerades(&self) -> Answer<Vec<MasqueradeRule>> {
        self.ask(NatOp::GetMasquerades, |reply| {
            let rules = reply.masquerades()?.into_iter();
            Ok(rules
                .map(|rule| MasqueradeRule { source: rule.source.into(), except: to_cidrs(rule.except) })
                .collect())
        })
    }

    fn remove_masquerades(&self) -> Answer<()> {
        self.ask(NatOp::RemoveMasquerades, Reply::done)
    }

    fn forward_ports(&self, rules: &[PortForward], how: &ForwardOptions) -> Answer<()> {
        let options = nat::ForwardOptions {
            backend: backend(how.backend),
            snat: how.snat,
            masquerade_all: how.masquerade_all,
            subnets: cidrs(&how.subnets),
            mark_bit: how.mark_bit,
            external_mark_chain: how.external_mark_chain.clone(),
            conditions_v4: how.conditions_v4.clone(),
            conditions_v6: how.conditions_v6.clone(),
        };
        self.ask(NatOp::ForwardPorts { rules: rules.iter().map(forward).collect(), options }, Reply::done)
    }

    fn get_forwards(&self) -> Answer<Vec<PortForward>> {
        self.ask(NatOp::GetForwards, |reply| Ok(reply.forwards()?.iter().map(to_forward).collect()))
    }

    fn remove_forwards(&self) -> Answer<()> {
        self.ask(NatOp::RemoveForwards, Reply::done)
    }
}

fn backend(from: Backend) -> nat::Backend {
    match from {
        Backend::Automatic => nat::Backend::Automatic,
        Backend::Nftables => nat::Backend::Nftables,
        Backend::Iptables => nat::Backend::Iptables,
    }
}

fn forward(from: &PortForward) -> nat::PortForward {
    nat::PortForward {
        protocol: match from.protocol {
            Protocol::Tcp => nat::Protocol::Tcp,
            Protocol::Udp => nat::Protocol::Udp,
            Protocol::Sctp => nat::Protocol::Sctp,
        },
        host_address: from.host_address.map(Into::into),
        host_port: from.host_port,
        container_address: from.container_address.into(),
        container_port: from.container_port,
    }
}

fn to_forward(from: &nat::PortForward) -> PortForward {
    PortForward {
        protocol: match from.protocol {
            nat::Protocol::Tcp => Protocol::Tcp,
            nat::Protocol::Udp => Protocol::Udp,
            nat::Protocol::Sctp => Protocol::Sctp,
        },
        host_address: from.host_address.map(Into::into),
        host_port: from.host_port,
        container_address: from.container_address.into(),
        container_port: from.container_port,
    }
}
