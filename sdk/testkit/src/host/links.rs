//! `wharf:net/links`.

use wharf_ops::Reply;
use wharf_ops::links::{LinkOp, VethEnd};
use wharf_sdk::Netns;
use wharf_sdk::native::wit::net::links::{Bridge, Common, End, Info};
use wharf_sdk::native::wit::types::ip::Mac;
use wharf_sdk::native::{Link, Links};

use super::{Answer, Host};
use crate::convert::{common, link, mac, ns, to_info, to_link};

impl Links for Host {
    fn info(&self, of: &Link) -> Answer<Info> {
        self.ask(LinkOp::Info { link: link(of) }, |reply| reply.info().map(to_info))
    }

    fn set_up(&self, of: &Link, up: bool) -> Answer<()> {
        self.ask(LinkOp::SetUp { link: link(of), up }, Reply::done)
    }

    fn set_mtu(&self, of: &Link, mtu: u32) -> Answer<()> {
        self.ask(LinkOp::SetMtu { link: link(of), mtu }, Reply::done)
    }

    fn set_mac(&self, of: &Link, address: Mac) -> Answer<()> {
        self.ask(LinkOp::SetMac { link: link(of), mac: mac(address) }, Reply::done)
    }

    fn set_master(&self, of: &Link, master: Option<&Link>) -> Answer<()> {
        self.ask(LinkOp::SetMaster { link: link(of), master: master.map(link) }, Reply::done)
    }

    fn set_promiscuous(&self, of: &Link, on: bool) -> Answer<()> {
        self.ask(LinkOp::SetPromiscuous { link: link(of), on }, Reply::done)
    }

    fn set_alias(&self, of: &Link, alias: &str) -> Answer<()> {
        self.ask(LinkOp::SetAlias { link: link(of), alias: alias.to_owned() }, Reply::done)
    }

    fn wait_operational(&self, of: &Link) -> Answer<()> {
        self.ask(LinkOp::WaitOperational { link: link(of) }, Reply::done)
    }

    fn delete(&self, of: &Link) -> Answer<()> {
        self.ask(LinkOp::Delete { link: link(of) }, Reply::done)
    }

    fn get(&self, within: &Netns, name: &str) -> Answer<Option<Link>> {
        let op = LinkOp::Get { ns: ns(within.side()), name: name.to_owned() };
        self.ask(op, |reply| Ok(reply.maybe_link()?.map(to_link)))
    }

    fn get_all(&self, within: &Netns) -> Answer<Vec<Info>> {
        let op = LinkOp::GetAll { ns: ns(within.side()) };
        self.ask(op, |reply| Ok(reply.infos()?.into_iter().map(to_info).collect()))
    }

    fn peer(&self, of: &Link, within: &Netns) -> Answer<Option<Link>> {
        let op = LinkOp::Peer { of: link(of), ns: ns(within.side()) };
        self.ask(op, |reply| Ok(reply.maybe_link()?.map(to_link)))
    }

    fn create_veth(&self, in_a: &Netns, a: &End, in_b: &Netns, b: &End) -> Answer<(Link, Link)> {
        let op = LinkOp::CreateVeth { a: end(in_a, a), b: end(in_b, b) };
        self.ask(op, |reply| reply.pair().map(|(a, b)| (to_link(a), to_link(b))))
    }

    fn ensure_bridge(&self, within: &Netns, spec: &Bridge) -> Answer<(Link, bool)> {
        let op = LinkOp::EnsureBridge {
            ns: ns(within.side()),
            common: common(&spec.common),
            vlan_filtering: spec.vlan_filtering,
        };
        self.ask(op, |reply| reply.bridge().map(|(link, new)| (to_link(link), new)))
    }

    fn create_ifb(&self, within: &Netns, spec: &Common) -> Answer<Link> {
        let op = LinkOp::CreateIfb { ns: ns(within.side()), common: common(spec) };
        self.ask(op, |reply| reply.link().map(to_link))
    }
}

fn end(within: &Netns, from: &End) -> VethEnd {
    VethEnd {
        ns: ns(within.side()),
        name: from.name.clone(),
        mtu: from.mtu,
        mac: from.mac.map(mac),
        tx_queue_length: from.tx_queue_length,
    }
}
