//! `wharf:firewall/nat`.

use wharf_ops::nat::{Backend, ForwardOptions, MasqueradeRule, NatOp, PortForward, Protocol};
use wharf_ops::{Error, KernelOp, Op, Reply};

use crate::bindings::wharf::firewall::nat as wit;
use crate::convert::{address, cidrs, to_address, to_cidr};
use crate::state::{Answer, State, valid};

fn op(op: NatOp) -> Op {
    Op::Kernel(KernelOp::Nat(op))
}

impl wit::Host for State {
    fn detect(&mut self) -> Answer<wit::Backend> {
        self.ask(op(NatOp::Detect), |reply| {
            Ok(match reply.backend()? {
                Backend::Automatic => wit::Backend::Automatic,
                Backend::Nftables => wit::Backend::Nftables,
                Backend::Iptables => wit::Backend::Iptables,
            })
        })
    }

    fn masquerade(&mut self, from: Vec<wit::MasqueradeRule>, by: wit::Backend) -> Answer<()> {
        let rules = from.into_iter().map(rule).collect::<Result<_, _>>();
        let rules = valid!("nat/masquerade", rules);
        self.ask(op(NatOp::Masquerade { rules, backend: backend(by) }), Reply::done)
    }

    fn get_masquerades(&mut self) -> Answer<Vec<wit::MasqueradeRule>> {
        self.ask(op(NatOp::GetMasquerades), |reply| {
            Ok(reply
                .masquerades()?
                .into_iter()
                .map(|rule| wit::MasqueradeRule {
                    source: to_address(rule.source),
                    except: rule.except.into_iter().map(to_cidr).collect(),
                })
                .collect())
        })
    }

    fn remove_masquerades(&mut self) -> Answer<()> {
        self.ask(op(NatOp::RemoveMasquerades), Reply::done)
    }

    fn forward_ports(&mut self, from: Vec<wit::PortForward>, how: wit::ForwardOptions) -> Answer<()> {
        let rules = from.into_iter().map(forward).collect();
        let options = valid!("nat/forward-ports", options(how));
        self.ask(op(NatOp::ForwardPorts { rules, options }), Reply::done)
    }

    fn get_forwards(&mut self) -> Answer<Vec<wit::PortForward>> {
        self.ask(op(NatOp::GetForwards), |reply| Ok(reply.forwards()?.iter().map(to_forward).collect()))
    }

    fn remove_forwards(&mut self) -> Answer<()> {
        self.ask(op(NatOp::RemoveForwards), Reply::done)
    }
}

fn backend(from: wit::Backend) -> Backend {
    match from {
        wit::Backend::Automatic => Backend::Automatic,
        wit::Backend::Nftables => Backend::Nftables,
        wit::Backend::Iptables => Backend::Iptables,
    }
}

fn rule(from: wit::MasqueradeRule) -> Result<MasqueradeRule, Error> {
    Ok(MasqueradeRule { source: address(from.source), except: cidrs(from.except)? })
}

fn forward(from: wit::PortForward) -> PortForward {
    PortForward {
        protocol: match from.protocol {
            wit::Protocol::Tcp => Protocol::Tcp,
            wit::Protocol::Udp => Protocol::Udp,
            wit::Protocol::Sctp => Protocol::Sctp,
        },
        host_address: from.host_address.map(address),
        host_port: from.host_port,
        container_address: address(from.container_address),
        container_port: from.container_port,
    }
}

fn to_forward(from: &PortForward) -> wit::PortForward {
    wit::PortForward {
        protocol: match from.protocol {
            Protocol::Tcp => wit::Protocol::Tcp,
            Protocol::Udp => wit::Protocol::Udp,
            Protocol::Sctp => wit::Protocol::Sctp,
        },
        host_address: from.host_address.map(to_address),
        host_port: from.host_port,
        container_address: to_address(from.container_address),
        container_port: from.container_port,
    }
}

fn options(from: wit::ForwardOptions) -> Result<ForwardOptions, Error> {
    Ok(ForwardOptions {
        backend: backend(from.backend),
        snat: from.snat,
        masquerade_all: from.masquerade_all,
        subnets: cidrs(from.subnets)?,
        mark_bit: from.mark_bit,
        external_mark_chain: from.external_mark_chain,
        conditions_v4: from.conditions_v4,
        conditions_v6: from.conditions_v6,
    })
}
