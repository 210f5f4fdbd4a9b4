//! Network devices.

use super::Netns;
use crate::addr::Mac;
use crate::bindings::wharf::net::links as wit;
use crate::error::HostResult;

/// What the kernel says about a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkInfo {
    /// The interface index inside its namespace.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// The kernel's own word: `veth`, `bridge`, ...; empty for `lo` and hardware.
    pub kind: String,
    /// Its hardware address.
    pub mac: Option<Mac>,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// The administrative state.
    pub up: bool,
    /// Whether it carries traffic.
    pub operational: bool,
    /// Whether it takes every frame.
    pub promiscuous: bool,
    /// The index of the bridge or other master that it is a port of.
    pub master: Option<u32>,
    /// A veth's other end, a VLAN's parent: an index in the namespace where that link lives.
    pub peer: Option<u32>,
    /// Its alias.
    pub alias: Option<String>,
}

impl From<wit::Info> for LinkInfo {
    fn from(from: wit::Info) -> Self {
        Self {
            index: from.index,
            name: from.name,
            kind: from.kind,
            mac: from.mac.map(Into::into),
            mtu: from.mtu,
            up: from.up,
            operational: from.operational,
            promiscuous: from.promiscuous,
            master: from.master,
            peer: from.peer,
            alias: from.alias,
        }
    }
}

/// What every new link has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkCommon {
    /// 1 to 15 bytes, without `/`, `:` and white space.
    pub name: String,
    /// In bytes; none leaves it to the kernel.
    pub mtu: Option<u32>,
    /// None leaves it to the kernel.
    pub mac: Option<Mac>,
}

impl LinkCommon {
    /// A link with only a name.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    fn to_wit(&self) -> wit::Common {
        wit::Common { name: self.name.clone(), mtu: self.mtu, mac: self.mac.map(Into::into) }
    }
}

/// One end of a new veth pair.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VethEnd {
    /// 1 to 15 bytes, without `/`, `:` and white space.
    pub name: String,
    /// In bytes; none leaves it to the kernel.
    pub mtu: Option<u32>,
    /// None leaves it to the kernel.
    pub mac: Option<Mac>,
    /// Packets of the transmit queue; none is the kernel's 1000.
    pub tx_queue_length: Option<u32>,
}

impl VethEnd {
    /// An end with only a name.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    fn to_wit(&self) -> wit::End {
        wit::End {
            name: self.name.clone(),
            mtu: self.mtu,
            mac: self.mac.map(Into::into),
            tx_queue_length: self.tx_queue_length,
        }
    }
}

/// A bridge to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bridge {
    /// Its name, MTU and hardware address.
    pub common: LinkCommon,
    /// Given at creation only; an existing bridge keeps what it has.
    pub vlan_filtering: bool,
}

/// A link inside one namespace.
#[derive(Debug)]
pub struct Link {
    pub(crate) raw: wit::Link,
}

impl From<wit::Link> for Link {
    fn from(raw: wit::Link) -> Self {
        Self { raw }
    }
}

impl Link {
    /// What the kernel says now.
    pub fn info(&self) -> HostResult<LinkInfo> {
        Ok(self.raw.info()?.into())
    }

    /// Raises the link.
    pub fn set_up(&self) -> HostResult<()> {
        Ok(self.raw.set_up(true)?)
    }

    /// Lowers the link.
    pub fn set_down(&self) -> HostResult<()> {
        Ok(self.raw.set_up(false)?)
    }

    /// Sets the MTU, in bytes.
    pub fn set_mtu(&self, mtu: u32) -> HostResult<()> {
        Ok(self.raw.set_mtu(mtu)?)
    }

    /// Sets the hardware address.
    pub fn set_mac(&self, mac: Mac) -> HostResult<()> {
        Ok(self.raw.set_mac(mac.into())?)
    }

    /// Makes the link a port of `master`, or of nothing.
    pub fn set_master(&self, master: Option<&Link>) -> HostResult<()> {
        Ok(self.raw.set_master(master.map(|link| &link.raw))?)
    }

    /// Whether the link takes every frame.
    pub fn set_promiscuous(&self, on: bool) -> HostResult<()> {
        Ok(self.raw.set_promiscuous(on)?)
    }

    /// Sets the alias, up to 255 bytes.
    pub fn set_alias(&self, alias: &str) -> HostResult<()> {
        Ok(self.raw.set_alias(alias)?)
    }

    /// Waits until the link carries traffic; `timed-out` at the call's deadline.
    pub fn wait_operational(&self) -> HostResult<()> {
        Ok(self.raw.wait_operational()?)
    }

    /// Removes the link; a veth takes its other end along. Absent is success.
    pub fn delete(self) -> HostResult<()> {
        Ok(wit::Link::delete(self.raw)?)
    }

    /// The other end of a veth, if it lives in `ns`.
    pub fn peer(&self, ns: &Netns) -> HostResult<Option<Link>> {
        Ok(wit::peer(&self.raw, ns)?.map(Into::into))
    }
}

impl Netns {
    /// The link of that name, or none.
    pub fn link(&self, name: &str) -> HostResult<Option<Link>> {
        Ok(wit::get(self, name)?.map(Into::into))
    }

    /// Every link of the namespace.
    pub fn links(&self) -> HostResult<Vec<LinkInfo>> {
        Ok(wit::get_all(self)?.into_iter().map(Into::into).collect())
    }

    /// A veth pair: `here` in this namespace, `there` created directly inside `other`. Both are down. Fails with
    /// `already-exists` if either name is taken.
    pub fn create_veth(&self, here: &VethEnd, other: &Netns, there: &VethEnd) -> HostResult<(Link, Link)> {
        let (a, b) = wit::create_veth(self, &here.to_wit(), other, &there.to_wit())?;
        Ok((a.into(), b.into()))
    }

    /// The bridge of that name, created when it is missing; `conflict` if the name is another kind of link. The
    /// second value says whether it was created.
    pub fn ensure_bridge(&self, spec: &Bridge) -> HostResult<(Link, bool)> {
        let spec = wit::Bridge { common: spec.common.to_wit(), vlan_filtering: spec.vlan_filtering };
        let (link, created) = wit::ensure_bridge(self, &spec)?;
        Ok((link.into(), created))
    }

    /// An intermediate functional block: a device to shape what another one receives.
    pub fn create_ifb(&self, common: &LinkCommon) -> HostResult<Link> {
        Ok(wit::create_ifb(self, &common.to_wit())?.into())
    }
}
