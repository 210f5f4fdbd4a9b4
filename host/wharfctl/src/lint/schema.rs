//! The keys that a network configuration list and the plugins of the project know, and what their values look like.
//!
//! Values themselves are the guests' to judge; here is what a guest cannot see: a key that it does not know, it ignores.

/// What a value looks like.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    /// Anything: somebody else's.
    Any,
    /// `true` or `false`.
    Bool,
    /// The same, or one of these two as a string: so libcni reads its own.
    Flag,
    /// A string.
    Text,
    /// A whole number.
    Number,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list of such values.
    List(&'static Shape),
    /// An object with these keys.
    Object(&'static [Key]),
    /// An object whose keys are free, with such values.
    Map(&'static Shape),
}

/// A key and the shape of its value.
pub(super) type Key = (&'static str, Shape);

use Shape::{Any, Bool, Flag, List, Map, Number, Object, Text, Word};

const TEXTS: Shape = List(&Text);
const BACKENDS: Shape = Word(&["nftables", "iptables"]);
const DNS: Shape = Object(&[("nameservers", TEXTS), ("domain", Text), ("search", TEXTS), ("options", TEXTS)]);

/// Of a list (CNI specification, section 1; `disableCheck` and what follows are libcni's).
pub(super) const NETWORK: &[Key] = &[
    ("cniVersion", Text),
    ("cniVersions", TEXTS),
    ("name", Text),
    ("plugins", List(&Any)),
    ("disableCheck", Flag),
    ("disableGC", Flag),
    ("loadOnlyInlinedPlugins", Flag),
];

/// Of every plugin.
pub(super) const PLUGIN: &[Key] = &[
    ("type", Text),
    ("cniVersion", Text),
    ("name", Text),
    ("capabilities", Map(&Bool)),
    ("args", Any),
    ("dns", DNS),
    ("ipam", Any),
    ("ipMasq", Bool),
    ("policies", TEXTS),
    // The runtime writes these.
    ("runtimeConfig", Any),
    ("prevResult", Any),
];

const RANGE: &[Key] = &[("subnet", Text), ("rangeStart", Text), ("rangeEnd", Text), ("gateway", Text)];
const ROUTE: &[Key] = &[
    ("dst", Text),
    ("gw", Text),
    ("mtu", Number),
    ("advmss", Number),
    ("priority", Number),
    ("table", Number),
    ("scope", Number),
];

const HOST_LOCAL: &[Key] = &[
    ("type", Text),
    ("ranges", List(&List(&Object(RANGE)))),
    ("subnet", Text),
    ("rangeStart", Text),
    ("rangeEnd", Text),
    ("gateway", Text),
    ("routes", List(&Object(ROUTE))),
    ("resolvConf", Text),
    ("dataDir", Text),
];

const BRIDGE: &[Key] = &[
    ("bridge", Text),
    ("isGateway", Bool),
    ("isDefaultGateway", Bool),
    ("forceAddress", Bool),
    ("ipMasqBackend", BACKENDS),
    ("mtu", Number),
    ("hairpinMode", Bool),
    ("promiscMode", Bool),
    ("vlan", Number),
    ("vlanTrunk", List(&Object(&[("minID", Number), ("maxID", Number), ("id", Number)]))),
    ("preserveDefaultVlan", Bool),
    ("macspoofchk", Bool),
    ("enabledad", Bool),
    ("disableContainerInterface", Bool),
    ("portIsolation", Bool),
];

const PORTMAP: &[Key] = &[
    ("backend", BACKENDS),
    ("snat", Bool),
    ("masqAll", Bool),
    ("markMasqBit", Number),
    ("externalSetMarkChain", Text),
    ("conditionsV4", TEXTS),
    ("conditionsV6", TEXTS),
];

const BANDWIDTH: &[Key] =
    &[("ingressRate", Number), ("ingressBurst", Number), ("egressRate", Number), ("egressBurst", Number)];

const WHARF: &[Key] = &[("chain", List(&Any))];

/// What a plugin of that type knows besides [`PLUGIN`]; none if it is not the project's.
pub(super) fn of_plugin(kind: &str) -> Option<&'static [Key]> {
    match kind {
        "bridge" => Some(BRIDGE),
        "portmap" => Some(PORTMAP),
        "bandwidth" => Some(BANDWIDTH),
        "loopback" => Some(&[]),
        crate::lists::OWN => Some(WHARF),
        _ => None,
    }
}

/// What an `ipam` section of that type knows; none if it is not the project's.
pub(super) fn of_ipam(kind: &str) -> Option<&'static [Key]> {
    (kind == "host-local").then_some(HOST_LOCAL)
}
