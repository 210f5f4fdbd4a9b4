//! `wharf:net/netns` and `wharf:net/links`.

use wasmtime::component::Resource;
use wharf_ops::links::{LinkOp, VethEnd};
use wharf_ops::{KernelOp, Link, Ns, Op, Reply};

use crate::bindings::wharf::net::links as wit;
use crate::bindings::wharf::net::netns;
use crate::convert::mac;
use crate::state::{self, Answer, State};

fn op(op: LinkOp) -> Op {
    Op::Kernel(KernelOp::Link(op))
}

impl netns::Host for State {}

impl netns::HostNetns for State {
    fn role(&mut self, this: Resource<Ns>) -> wasmtime::Result<String> {
        Ok(match state::ns(&this) {
            Ns::Host => "host",
            Ns::Container => "container",
        }
        .to_owned())
    }

    /// Namespaces are only ever lent, so there is nothing to give back.
    fn drop(&mut self, _: Resource<Ns>) -> wasmtime::Result<()> {
        Ok(())
    }
}

impl wit::HostLink for State {
    fn info(&mut self, this: Resource<Link>) -> Answer<wit::Info> {
        let link = self.link(&this)?;
        self.ask(op(LinkOp::Info { link }), |reply| reply.info().map(Into::into))
    }

    fn set_up(&mut self, this: Resource<Link>, up: bool) -> Answer<()> {
        let link = self.link(&this)?;
        self.ask(op(LinkOp::SetUp { link, up }), Reply::done)
    }

    fn set_mtu(&mut self, this: Resource<Link>, mtu: u32) -> Answer<()> {
        let link = self.link(&this)?;
        self.ask(op(LinkOp::SetMtu { link, mtu }), Reply::done)
    }

    fn set_mac(&mut self, this: Resource<Link>, address: wit::Mac) -> Answer<()> {
        let link = self.link(&this)?;
        self.ask(op(LinkOp::SetMac { link, mac: mac(address) }), Reply::done)
    }

    fn set_master(&mut self, this: Resource<Link>, master: Option<Resource<Link>>) -> Answer<()> {
        let link = self.link(&this)?;
        let master = master.map(|master| self.link(&master)).transpose()?;
        self.ask(op(LinkOp::SetMaster { link, master }), Reply::done)
    }

    fn set_promiscuous(&mut self, this: Resource<Link>, on: bool) -> Answer<()> {
        let link = self.link(&this)?;
        self.ask(op(LinkOp::SetPromiscuous { link, on }), Reply::done)
    }

    fn set_alias(&mut self, this: Resource<Link>, alias: String) -> Answer<()> {
        let link = self.link(&this)?;
        self.ask(op(LinkOp::SetAlias { link, alias }), Reply::done)
    }

    fn wait_operational(&mut self, this: Resource<Link>) -> Answer<()> {
        let link = self.link(&this)?;
        self.ask(op(LinkOp::WaitOperational { link }), Reply::done)
    }

    fn delete(&mut self, this: Resource<Link>) -> Answer<()> {
        let link = self.table.delete(this)?;
        self.ask(op(LinkOp::Delete { link }), Reply::done)
    }

    fn drop(&mut self, this: Resource<Link>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl wit::Host for State {
    fn get(&mut self, ns: Resource<Ns>, name: String) -> Answer<Option<Resource<Link>>> {
        let ns = state::ns(&ns);
        let answer = self.ask(op(LinkOp::Get { ns, name }), Reply::maybe_link)?;
        self.hand_out_option(answer)
    }

    fn get_all(&mut self, ns: Resource<Ns>) -> Answer<Vec<wit::Info>> {
        let ns = state::ns(&ns);
        self.ask(op(LinkOp::GetAll { ns }), |reply| Ok(reply.infos()?.into_iter().map(Into::into).collect()))
    }

    fn peer(&mut self, of: Resource<Link>, ns: Resource<Ns>) -> Answer<Option<Resource<Link>>> {
        let (of, ns) = (self.link(&of)?, state::ns(&ns));
        let answer = self.ask(op(LinkOp::Peer { of, ns }), Reply::maybe_link)?;
        self.hand_out_option(answer)
    }

    fn create_veth(
        &mut self,
        in_a: Resource<Ns>,
        a: wit::End,
        in_b: Resource<Ns>,
        b: wit::End,
    ) -> Answer<(Resource<Link>, Resource<Link>)> {
        let (a, b) = (end(state::ns(&in_a), a), end(state::ns(&in_b), b));
        Ok(match self.ask(op(LinkOp::CreateVeth { a, b }), Reply::pair)? {
            Ok((a, b)) => Ok((self.hand_out(a)?, self.hand_out(b)?)),
            Err(error) => Err(error),
        })
    }

    fn ensure_bridge(&mut self, ns: Resource<Ns>, spec: wit::Bridge) -> Answer<(Resource<Link>, bool)> {
        let ns = state::ns(&ns);
        let wit::Bridge { common, vlan_filtering } = spec;
        let operation = LinkOp::EnsureBridge { ns, common: common.into(), vlan_filtering };
        Ok(match self.ask(op(operation), Reply::bridge)? {
            Ok((link, new)) => Ok((self.hand_out(link)?, new)),
            Err(error) => Err(error),
        })
    }

    fn create_ifb(&mut self, ns: Resource<Ns>, common: wit::Common) -> Answer<Resource<Link>> {
        let ns = state::ns(&ns);
        let answer = self.ask(op(LinkOp::CreateIfb { ns, common: common.into() }), Reply::link)?;
        self.hand_out_answer(answer)
    }
}

fn end(ns: Ns, from: wit::End) -> VethEnd {
    let wit::End { name, mtu, mac: address, tx_queue_length } = from;
    VethEnd { ns, name, mtu, mac: address.map(mac), tx_queue_length }
}
