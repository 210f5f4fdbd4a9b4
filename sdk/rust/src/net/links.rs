//! Network devices.

use super::Netns;
use crate::addr::Mac;
use crate::bindings::wharf::net::links as wit;
use crate::error::HostResult;

/// What the kernel says about a link.
///
/// ```
/// # wharf_testkit::run(|_request, _host, container| {
/// let lo = container.link("lo")?.expect("every namespace has one").info()?;
/// assert_eq!((lo.index, lo.name.as_str(), lo.up), (1, "lo", false));
/// # Ok(())
/// # });
/// ```
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
///
/// ```
/// # wharf_testkit::run(|_request, _host, container| {
/// use wharf_sdk::net::LinkCommon;
/// let common = LinkCommon { mtu: Some(1400), ..LinkCommon::new("ifb0") };
/// assert_eq!(container.create_ifb(&common)?.info()?.mtu, 1400);
/// # Ok(())
/// # });
/// ```
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
    ///
    /// ```
    /// let common = wharf_sdk::net::LinkCommon::new("ifb0");
    /// assert_eq!((common.name.as_str(), common.mtu), ("ifb0", None));
    /// ```
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    fn to_wit(&self) -> wit::Common {
        wit::Common { name: self.name.clone(), mtu: self.mtu, mac: self.mac.map(Into::into) }
    }
}

/// One end of a new veth pair.
///
/// ```
/// use wharf_sdk::net::VethEnd;
/// let end = VethEnd { mac: "0a:58:0a:16:00:02".parse().ok(), ..VethEnd::new("eth0") };
/// assert_eq!(end.name, "eth0");
/// ```
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
    ///
    /// ```
    /// let end = wharf_sdk::net::VethEnd::new("eth0");
    /// assert_eq!((end.name.as_str(), end.tx_queue_length), ("eth0", None));
    /// ```
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
///
/// ```
/// use wharf_sdk::net::{Bridge, LinkCommon};
/// let spec = Bridge { common: LinkCommon::new("br0"), vlan_filtering: true };
/// assert_eq!(spec.common.name, "br0");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bridge {
    /// Its name, MTU and hardware address.
    pub common: LinkCommon,
    /// Given at creation only; an existing bridge keeps what it has.
    pub vlan_filtering: bool,
}

/// A link inside one namespace.
///
/// ```
/// # wharf_testkit::run(|_request, _host, container| {
/// let lo = container.link("lo")?.expect("every namespace has one");
/// lo.set_up()?;
/// lo.add_address("127.0.0.53/8".parse().expect("a constant"))?;
/// assert!(lo.info()?.up);
/// # Ok(())
/// # });
/// ```
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
    ///
    /// ```
    /// # wharf_testkit::run(|_request, _host, container| {
    /// use wharf_sdk::Error;
    /// let lo = container.link("lo")?.ok_or_else(|| Error::plugin("there is no lo"))?;
    /// assert_eq!(lo.info()?.mtu, 65536);
    /// # Ok(())
    /// # });
    /// ```
    pub fn info(&self) -> HostResult<LinkInfo> {
        Ok(self.raw.info()?.into())
    }

    /// Raises the link.
    ///
    /// ```
    /// # wharf_testkit::run(|_request, _host, container| {
    /// let lo = container.link("lo")?.expect("every namespace has one");
    /// lo.set_up()?;
    /// assert!(lo.info()?.up);
    /// # Ok(())
    /// # });
    /// ```
    pub fn set_up(&self) -> HostResult<()> {
        Ok(self.raw.set_up(true)?)
    }

    /// Lowers the link.
    ///
    /// ```
    /// # wharf_testkit::run(|_request, _host, container| {
    /// let lo = container.link("lo")?.expect("every namespace has one");
    /// lo.set_up()?;
    /// lo.set_down()?;
    /// assert!(!lo.info()?.up);
    /// # Ok(())
    /// # });
    /// ```
    pub fn set_down(&self) -> HostResult<()> {
        Ok(self.raw.set_up(false)?)
    }

    /// Sets the MTU, in bytes.
    ///
    /// ```
    /// # wharf_testkit::run(|_request, _host, container| {
    /// use wharf_sdk::net::LinkCommon;
    /// let ifb = container.create_ifb(&LinkCommon::new("ifb0"))?;
    /// ifb.set_mtu(1400)?;
    /// assert_eq!(ifb.info()?.mtu, 1400);
    /// # Ok(())
    /// # });
    /// ```
    pub fn set_mtu(&self, mtu: u32) -> HostResult<()> {
        Ok(self.raw.set_mtu(mtu)?)
    }

    /// Sets the hardware address.
    ///
    /// ```
    /// # wharf_testkit::run(|_request, host, container| {
    /// use wharf_sdk::net::VethEnd;
    /// let (_, eth0) = host.create_veth(&VethEnd::new("veth0"), container, &VethEnd::new("eth0"))?;
    /// let mac = "0a:58:0a:16:00:02".parse().expect("a constant");
    /// eth0.set_mac(mac)?;
    /// assert_eq!(eth0.info()?.mac, Some(mac));
    /// # Ok(())
    /// # });
    /// ```
    pub fn set_mac(&self, mac: Mac) -> HostResult<()> {
        Ok(self.raw.set_mac(mac.into())?)
    }

    /// Makes the link a port of `master`, or of nothing.
    ///
    /// ```
    /// # wharf_testkit::run(|_request, host, container| {
    /// use wharf_sdk::net::{Bridge, LinkCommon, VethEnd};
    /// let (bridge, _) = host.ensure_bridge(&Bridge { common: LinkCommon::new("br0"), vlan_filtering: false })?;
    /// let (port, _inside) = host.create_veth(&VethEnd::new("port0"), container, &VethEnd::new("eth0"))?;
    /// port.set_master(Some(&bridge))?;
    /// assert_eq!(port.info()?.master, Some(bridge.info()?.index));
    /// port.set_master(None)?;
    /// # Ok(())
    /// # });
    /// ```
    pub fn set_master(&self, master: Option<&Link>) -> HostResult<()> {
        Ok(self.raw.set_master(master.map(|link| &link.raw))?)
    }

    /// Whether the link takes every frame.
    ///
    /// ```
    /// # wharf_testkit::run(|_request, _host, container| {
    /// use wharf_sdk::net::LinkCommon;
    /// let ifb = container.create_ifb(&LinkCommon::new("ifb0"))?;
    /// ifb.set_promiscuous(true)?;
    /// assert!(ifb.info()?.promiscuous);
    /// # Ok(())
    /// # });
    /// ```
    pub fn set_promiscuous(&self, on: bool) -> HostResult<()> {
        Ok(self.raw.set_promiscuous(on)?)
    }

    /// Sets the alias, up to 255 bytes.
    ///
    /// ```
    /// # wharf_testkit::run(|_request, _host, container| {
    /// use wharf_sdk::net::LinkCommon;
    /// let ifb = container.create_ifb(&LinkCommon::new("ifb0"))?;
    /// ifb.set_alias("shapes eth0")?;
    /// assert_eq!(ifb.info()?.alias.as_deref(), Some("shapes eth0"));
    /// # Ok(())
    /// # });
    /// ```
    pub fn set_alias(&self, alias: &str) -> HostResult<()> {
        Ok(self.raw.set_alias(alias)?)
    }

    /// Waits until the link carries traffic; `timed-out` at the call's deadline.
    ///
    /// ```
    /// # wharf_testkit::run(|_request, host, container| {
    /// use wharf_sdk::net::VethEnd;
    /// let (outside, inside) = host.create_veth(&VethEnd::new("veth0"), container, &VethEnd::new("eth0"))?;
    /// outside.set_up()?;
    /// inside.set_up()?;
    /// outside.wait_operational()?;
    /// # Ok(())
    /// # });
    /// ```
    pub fn wait_operational(&self) -> HostResult<()> {
        Ok(self.raw.wait_operational()?)
    }

    /// Removes the link; a veth takes its other end along. Absent is success.
    ///
    /// ```
    /// # wharf_testkit::run(|_request, _host, container| {
    /// use wharf_sdk::net::LinkCommon;
    /// container.create_ifb(&LinkCommon::new("ifb0"))?.delete()?;
    /// assert!(container.link("ifb0")?.is_none());
    /// # Ok(())
    /// # });
    /// ```
    pub fn delete(self) -> HostResult<()> {
        Ok(wit::Link::delete(self.raw)?)
    }

    /// The other end of a veth, if it lives in `ns`.
    ///
    /// ```
    /// # wharf_testkit::run(|_request, host, container| {
    /// use wharf_sdk::net::VethEnd;
    /// let (_outside, inside) = host.create_veth(&VethEnd::new("veth0"), container, &VethEnd::new("eth0"))?;
    /// let peer = inside.peer(host)?.expect("it lives there");
    /// assert_eq!(peer.info()?.name, "veth0");
    /// # Ok(())
    /// # });
    /// ```
    pub fn peer(&self, ns: &Netns) -> HostResult<Option<Link>> {
        Ok(wit::peer(&self.raw, ns)?.map(Into::into))
    }
}

impl Netns {
    /// The link of that name, or none.
    ///
    /// ```
    /// # wharf_testkit::run(|_request, _host, container| {
    /// assert!(container.link("lo")?.is_some());
    /// assert!(container.link("eth7")?.is_none());
    /// # Ok(())
    /// # });
    /// ```
    pub fn link(&self, name: &str) -> HostResult<Option<Link>> {
        Ok(wit::get(self, name)?.map(Into::into))
    }

    /// Every link of the namespace.
    ///
    /// ```
    /// # wharf_testkit::run(|_request, _host, container| {
    /// let names: Vec<_> = container.links()?.into_iter().map(|link| link.name).collect();
    /// assert_eq!(names, ["lo"]);
    /// # Ok(())
    /// # });
    /// ```
    pub fn links(&self) -> HostResult<Vec<LinkInfo>> {
        Ok(wit::get_all(self)?.into_iter().map(Into::into).collect())
    }

    /// A veth pair: `here` in this namespace, `there` created directly inside `other`. Both are down. Fails with
    /// `already-exists` if either name is taken.
    ///
    /// ```
    /// # wharf_testkit::run(|request, host, container| {
    /// use wharf_sdk::net::VethEnd;
    /// let (here, there) = (VethEnd::new("veth0"), VethEnd::new(request.ifname()));
    /// let (outside, inside) = host.create_veth(&here, container, &there)?;
    /// outside.set_up()?;
    /// inside.set_up()?;
    /// assert!(inside.info()?.operational);
    /// # Ok(())
    /// # });
    /// ```
    pub fn create_veth(&self, here: &VethEnd, other: &Netns, there: &VethEnd) -> HostResult<(Link, Link)> {
        let (a, b) = wit::create_veth(self, &here.to_wit(), other, &there.to_wit())?;
        Ok((a.into(), b.into()))
    }

    /// The bridge of that name, created when it is missing; `conflict` if the name is another kind of link. The
    /// second value says whether it was created.
    ///
    /// ```
    /// # wharf_testkit::run(|_request, host, _container| {
    /// use wharf_sdk::net::{Bridge, LinkCommon};
    /// let spec = Bridge { common: LinkCommon::new("br0"), vlan_filtering: false };
    /// let (_, created) = host.ensure_bridge(&spec)?;
    /// let (_, again) = host.ensure_bridge(&spec)?;
    /// assert!(created && !again);
    /// # Ok(())
    /// # });
    /// ```
    pub fn ensure_bridge(&self, spec: &Bridge) -> HostResult<(Link, bool)> {
        let spec = wit::Bridge { common: spec.common.to_wit(), vlan_filtering: spec.vlan_filtering };
        let (link, created) = wit::ensure_bridge(self, &spec)?;
        Ok((link.into(), created))
    }

    /// An intermediate functional block: a device to shape what another one receives.
    ///
    /// ```
    /// # wharf_testkit::run(|_request, host, _container| {
    /// use wharf_sdk::net::LinkCommon;
    /// let ifb = host.create_ifb(&LinkCommon::new("ifb0"))?;
    /// assert_eq!(ifb.info()?.kind, "ifb");
    /// # Ok(())
    /// # });
    /// ```
    pub fn create_ifb(&self, common: &LinkCommon) -> HostResult<Link> {
        Ok(wit::create_ifb(self, &common.to_wit())?.into())
    }
}
