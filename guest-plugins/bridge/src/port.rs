//! The veth pair, and its host end as a port of the bridge.

use std::hash::{BuildHasher, Hasher, RandomState};

use wharf_sdk::net::{VethEnd, VlanRange};
use wharf_sdk::{Context, Error, HostErrorKind, Link, Mac, Netns, Result, code};

use crate::config::Config;
use crate::host::{ignore_advertisements, tune};

/// How often a random name may be taken before something else must be wrong.
const ATTEMPTS: usize = 10;

/// IN6_ADDR_GEN_MODE_NONE (linux/if_link.h).
const NO_ADDRESS: &str = "1";

const PREFIX: &str = "veth";
const DIGITS: usize = 8;

/// Both ends of a veth.
#[derive(Debug)]
pub(crate) struct Pair {
    /// The end in the host, with a random name.
    pub(crate) host: Link,
    pub(crate) name: String,
    /// The other end: the container's link, or the host's into a VLAN.
    pub(crate) inner: Link,
    pub(crate) inner_name: String,
}

/// A pair whose `inner` end is created directly inside `namespace`. Its host end is named at random;
/// [`code::DUPLICATE`] is the code if the inner name is taken. Of other names the kernel's words are in the message: by
/// them the host knows that it is not the caller's fault.
pub(crate) fn create(host: &Netns, namespace: &Netns, inner: &VethEnd) -> Result<Pair> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        let end = VethEnd { mtu: inner.mtu, ..VethEnd::new(random_name()) };
        match host.create_veth(&end, namespace, inner) {
            Ok((host, made)) => {
                return Ok(Pair { host, name: end.name, inner: made, inner_name: inner.name.clone() });
            }
            Err(error) if error.kind == HostErrorKind::AlreadyExists => {
                if namespace.link(&inner.name)?.is_some() {
                    let msg =
                        format!("the {} namespace has a link {:?} already", namespace.role(), inner.name);
                    return Err(Error::new(code::DUPLICATE, msg).with_details(error.message));
                }
                if attempts == ATTEMPTS {
                    let what = format_args!(
                        "no free name for the host's end of {:?} in {ATTEMPTS} tries",
                        inner.name
                    );
                    return Err(Error::from(error).context(what));
                }
            }
            Err(error) => return Err(Error::from(error).context(format_args!("create {:?}", inner.name))),
        }
    }
}

/// Makes the host end a port of the bridge, as configured, and raises it.
pub(crate) fn attach(host: &Netns, pair: &Pair, bridge: &Link, config: &Config) -> Result<()> {
    quiet(host, pair)?;
    join(pair, bridge, config)?;
    set_up(pair)
}

/// Raises the host end.
pub(crate) fn raise(host: &Netns, pair: &Pair) -> Result<()> {
    quiet(host, pair)?;
    set_up(pair)
}

/// A port speaks for the container, not for itself. An address of its own would be two or three more routes, which the kernel
/// walks past whenever a link of the node comes or goes.
fn quiet(host: &Netns, pair: &Pair) -> Result<()> {
    ignore_advertisements(host, &pair.name)?;
    tune(host, &format!("ipv6/conf/{}/addr_gen_mode", pair.name), NO_ADDRESS);
    Ok(())
}

fn set_up(pair: &Pair) -> Result<()> {
    pair.host.set_up().context(format_args!("raise {:?}", pair.name))
}

/// Makes the host end a port of the bridge, as configured.
pub(crate) fn join(pair: &Pair, bridge: &Link, config: &Config) -> Result<()> {
    let Pair { host: port, name, .. } = pair;
    port.set_master(Some(bridge)).context(format_args!("attach {name:?} to {:?}", config.bridge))?;
    // A fresh port has neither flag.
    if config.hairpin {
        port.set_hairpin(true).context("hairpinMode")?;
    }
    if config.isolated {
        port.set_isolated(true).context("portIsolation")?;
    }
    set_vlans(port, &config.vlans.port(), config.vlans.keep_default)
}

/// Gives the port these VLANs, and without `keep_default` no others.
pub(crate) fn set_vlans(port: &Link, wanted: &[VlanRange], keep_default: bool) -> Result<()> {
    if wanted.is_empty() {
        return Ok(());
    }
    if !keep_default {
        for range in port.vlans().context("vlan")? {
            port.remove_vlan(range).context("vlan")?;
        }
    }
    for range in wanted {
        port.add_vlan(*range).context("vlan")?;
    }
    Ok(())
}

/// `veth` and eight hexadecimal digits.
pub(crate) fn random_name() -> String {
    let [a, b, c, d, ..] = random();
    format!("{PREFIX}{:0DIGITS$x}", u32::from_le_bytes([a, b, c, d]))
}

/// A unicast address that is administered locally.
pub(crate) fn random_mac() -> Mac {
    let [first, rest @ .., _, _] = random();
    let mut mac = Mac::default();
    let [to, others @ ..] = &mut mac.0;
    *to = first & 0xfc | 0x02;
    *others = rest;
    mac
}

/// The hasher's keys are random, and that is randomness enough for names and addresses.
fn random() -> [u8; 8] {
    RandomState::new().build_hasher().finish().to_le_bytes()
}

/// Whether a link of the host has a name as this plugin gives it.
pub(crate) fn is_host_end(name: &str) -> bool {
    name.strip_prefix(PREFIX).is_some_and(|digits| {
        digits.len() == DIGITS && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
    })
}
