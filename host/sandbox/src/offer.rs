//! What this host offers to guests, compared with what a component wants, in words.

use wharf_ops::OPERATIONS;

/// The interfaces with functions. Those with types only need no implementation.
pub(crate) const INTERFACES: &[&str] = &[
    "wharf:host/logging@0.1.0",
    "wharf:host/delegate@0.1.0",
    "wharf:net/netns@0.1.0",
    "wharf:net/links@0.1.0",
    "wharf:net/bridge-ports@0.1.0",
    "wharf:net/addresses@0.1.0",
    "wharf:net/routes@0.1.0",
    "wharf:net/neighbours@0.1.0",
    "wharf:net/sysctl@0.1.0",
    "wharf:firewall/nat@0.1.0",
    "wharf:firewall/filter@0.1.0",
    "wharf:firewall/conntrack@0.1.0",
    "wharf:tc/shaping@0.1.0",
    "wharf:store/leases@0.1.0",
    "wharf:types/ip@0.1.0",
    "wharf:types/errors@0.1.0",
    "wharf:cni/types@0.1.0",
    "wharf:policy/calls@0.1.0",
    "wharf:policy/changes@0.1.0",
];

/// What a guest may export, one of them.
pub(crate) const NETWORK: &str = "wharf:plugin/network@0.1.0";
/// See [`NETWORK`].
pub(crate) const IPAM: &str = "wharf:plugin/ipam@0.1.0";
/// See [`NETWORK`].
pub(crate) const POLICY: &str = "wharf:plugin/policy@0.1.0";
/// See [`NETWORK`].
pub(crate) const ADMISSION: &str = "wharf:plugin/admission@0.1.0";

/// Functions that give no authority and thus are no operations.
const WITHOUT_AUTHORITY: &[&str] = &["netns/role", "logging/log", "logging/enabled"];

/// The interface of ours that an import of that name is linked to: the same one, in a compatible version.
pub(crate) fn offered(import: &str) -> Option<&'static str> {
    INTERFACES.iter().copied().find(|ours| compatible(import, ours))
}

/// Whether an import of that name is one of WASI's that this host has an answer for.
pub(crate) fn is_wasi(import: &str) -> bool {
    import.starts_with("wasi:") && version(import).is_some_and(|version| version.starts_with("0.2."))
}

/// Same interface, and by semver a version that the other one can stand in for.
pub(crate) fn compatible(theirs: &str, ours: &str) -> bool {
    theirs == ours
        || match (theirs.split_once('@'), ours.split_once('@')) {
            (Some((a, theirs)), Some((b, ours))) => {
                a == b && line(theirs) == line(ours) && !theirs.contains('-')
            }
            _ => false,
        }
}

/// What must be equal for two versions to be compatible: `0.1` of 0.1.7, `2` of 2.3.4.
fn line(version: &str) -> &str {
    let mut dots = version.match_indices('.').map(|(at, _)| at);
    let end = if version.starts_with("0.") { dots.nth(1) } else { dots.next() };
    end.and_then(|end| version.get(..end)).unwrap_or(version)
}

fn version(name: &str) -> Option<&str> {
    name.split_once('@').map(|(_, version)| version)
}

/// The name of a function as grants and [`OPERATIONS`] have it: `links/set-up`.
pub(crate) fn operation(interface: &str, function: &str) -> String {
    let room = interface.split_once('@').map_or(interface, |(room, _)| room);
    let room = room.rsplit('/').next().unwrap_or(room);
    let name = match function.strip_prefix('[').and_then(|method| method.split_once('.')) {
        Some((_, name)) => name,
        None => function,
    };
    format!("{room}/{name}")
}

/// Whether that is a name of an operation.
pub(crate) fn is_operation(name: &str) -> bool {
    OPERATIONS.iter().any(|known| known.name == name)
}

/// Whether the host has that function.
fn known(name: &str) -> bool {
    is_operation(name) || WITHOUT_AUTHORITY.contains(&name)
}

/// Everything that a component wants and this host has not: one sentence for each.
#[derive(Debug, Default)]
pub(crate) struct Missing {
    sentences: Vec<String>,
    /// The imports that are operations.
    operations: Vec<String>,
}

impl Missing {
    /// Looks at an imported interface and its functions.
    pub(crate) fn interface<'a>(&mut self, import: &str, functions: impl Iterator<Item = &'a str>) {
        if is_wasi(import) {
            return;
        }
        if offered(import).is_none() {
            self.sentences.push(stranger(import));
            return;
        }
        for function in functions {
            let operation = operation(import, function);
            if is_operation(&operation) {
                self.operations.push(operation);
            } else if !known(&operation) {
                self.sentences.push(format!(
                    "{import} function {function}: this host's {} does not have it; update wharf or build the guest with an older SDK",
                    offered(import).unwrap_or(import)
                ));
            }
        }
    }

    /// Looks at an import that is no interface.
    pub(crate) fn item(&mut self, import: &str) {
        self.sentences.push(format!("{import}: only interfaces of wharf:* and wasi:* can be imported"));
    }

    /// The sentences, for a guest of that world.
    pub(crate) fn into_sentences(self, world: Option<World>) -> Vec<String> {
        let Self { mut sentences, operations } = self;
        match world {
            Some(World::Policy | World::Admission) if !operations.is_empty() => {
                let operations = operations.join(", ");
                sentences.push(format!(
                    "a policy changes and asks nothing by itself, and this imports {operations}"
                ));
            }
            Some(World::Network | World::Ipam | World::Policy | World::Admission) | None => {}
        }
        sentences
    }
}

/// Why an interface is not offered.
fn stranger(import: &str) -> String {
    let name = import.split_once('@').map_or(import, |(name, _)| name);
    if let Some(ours) =
        INTERFACES.iter().find(|ours| ours.split_once('@').is_some_and(|(ours, _)| ours == name))
    {
        return format!(
            "{import}: this host offers {ours}; rebuild the guest with a matching SDK, or update wharf"
        );
    }
    if import.starts_with("wasi:") {
        return format!("{import}: this host offers wasi:* in versions 0.2.x only");
    }
    if import.starts_with("wharf:") {
        let all: Vec<_> =
            INTERFACES.iter().filter_map(|name| name.split_once('@')).map(|(name, _)| name).collect();
        return format!("{import}: unknown; this host offers {} (all 0.1.x)", all.join(", "));
    }
    format!("{import}: this host offers interfaces of wharf:* (0.1.x) and wasi:* (0.2.x) only")
}

/// Which of the interfaces the exports name, or why that cannot be said.
pub(crate) fn world<'a>(exports: impl Iterator<Item = &'a str>) -> Result<World, String> {
    let (mut worlds, mut others) = (Vec::new(), Vec::new());
    for export in exports {
        match World::ALL.into_iter().find(|world| compatible(export, world.interface())) {
            Some(world) => worlds.push(world),
            None => others.push(export),
        }
    }
    let names = |worlds: &[World], between: &str| {
        worlds.iter().map(|world| world.interface()).collect::<Vec<_>>().join(between)
    };
    match worlds.as_slice() {
        [world] => Ok(*world),
        [] => {
            let others = if others.is_empty() { "nothing".to_owned() } else { others.join(", ") };
            Err(format!("the component exports {others}; a guest exports {}", names(&World::ALL, " or ")))
        }
        several => {
            let several = names(several, " and ");
            Err(format!("the component exports both {several}; a guest is one or the other"))
        }
    }
}

/// What kind of guest a component is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum World {
    /// Exports `wharf:plugin/network`.
    Network,
    /// Exports `wharf:plugin/ipam`.
    Ipam,
    /// Exports `wharf:plugin/policy`.
    Policy,
    /// Exports `wharf:plugin/admission`.
    Admission,
}

impl World {
    const ALL: [Self; 4] = [Self::Network, Self::Ipam, Self::Policy, Self::Admission];

    /// As manifests have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Ipam => "ipam",
            Self::Policy => "policy",
            Self::Admission => "admission",
        }
    }

    fn interface(self) -> &'static str {
        match self {
            Self::Network => NETWORK,
            Self::Ipam => IPAM,
            Self::Policy => POLICY,
            Self::Admission => ADMISSION,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_named_as_grants_name_them() {
        for (interface, function, name) in [
            ("wharf:net/links@0.1.0", "[method]link.set-up", "links/set-up"),
            ("wharf:net/links@0.1.0", "[static]link.delete", "links/delete"),
            ("wharf:store/leases@0.1.7", "[static]pool.open", "leases/open"),
            ("wharf:net/routes@0.1.0", "add", "routes/add"),
        ] {
            assert_eq!(operation(interface, function), name);
            assert!(known(name));
        }
    }

    #[test]
    fn patch_versions_are_compatible_and_minor_ones_of_zero_are_not() {
        assert_eq!(offered("wharf:net/links@0.1.9"), Some("wharf:net/links@0.1.0"));
        assert_eq!(offered("wharf:net/links@0.2.0"), None);
        assert_eq!(offered("wharf:net/links@0.10.0"), None);
        assert_eq!(offered("wharf:net/links"), None);
        assert!(compatible("a:b/c@1.4.0", "a:b/c@1.2.3"));
        assert!(is_wasi("wasi:io/streams@0.2.11") && !is_wasi("wasi:io/streams@0.3.0"));
    }

    #[test]
    fn every_missing_thing_is_named() {
        let mut missing = Missing::default();
        missing.interface("wharf:net/links@0.1.0", ["get", "create-wormhole"].into_iter());
        missing.interface("wharf:net/links@0.2.0", [].into_iter());
        missing.interface("wharf:net/tunnels@0.1.0", [].into_iter());
        missing.interface("wasi:http/types@0.3.0", [].into_iter());
        missing.interface("acme:rockets/launch@1.0.0", [].into_iter());
        missing.interface("wasi:cli/stdout@0.2.6", [].into_iter());
        missing.item("go");
        let text = missing.into_sentences(Some(World::Network));
        assert_eq!(text.len(), 6, "{text:#?}");
        assert!(text[0].contains("create-wormhole"));
        assert!(text[1].contains("offers wharf:net/links@0.1.0"));
        assert!(text[2].contains("wharf:net/routes"));
        assert!(text[3].contains("0.2.x"));
    }

    #[test]
    fn a_policy_imports_no_operation() {
        let of = |world, function| {
            let mut missing = Missing::default();
            missing.interface("wharf:net/links@0.1.0", [function].into_iter());
            missing.interface("wharf:host/logging@0.1.0", ["log"].into_iter());
            missing.into_sentences(Some(world))
        };
        assert!(of(World::Network, "get").is_empty());
        let text = of(World::Policy, "get");
        assert!(text.len() == 1 && text[0].contains("links/get"), "{text:?}");
    }

    #[test]
    fn a_guest_is_of_one_world() {
        assert_eq!(world(["wharf:plugin/network@0.1.3"].into_iter()), Ok(World::Network));
        assert_eq!(world([IPAM].into_iter()), Ok(World::Ipam));
        assert_eq!(world([ADMISSION].into_iter()), Ok(World::Admission));
        assert!(world([IPAM, POLICY].into_iter()).unwrap_err().contains("both"));
        assert!(world(["wasi:cli/run@0.2.0"].into_iter()).unwrap_err().contains("wasi:cli/run@0.2.0"));
        assert!(world([].into_iter()).unwrap_err().contains("nothing"));
    }
}
