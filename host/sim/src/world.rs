//! The state of the simulated machine: namespaces, what is in them, and how things are found there.

use std::collections::BTreeMap;
use std::path::PathBuf;

use wharf_ops::Mac;

use crate::Features;
use crate::conntrack::Flow;
use crate::device::{Device, Kind};
use crate::firewall::Firewall;
use crate::history::History;
use crate::routes::Entry;
use crate::sysctl::Sysctls;

/// A namespace of the simulated machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Space(pub(crate) u32);

/// A device: its namespace, and its index there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct At {
    pub(crate) space: Space,
    pub(crate) index: u32,
}

/// What a namespace holds.
#[derive(Clone, Debug)]
pub(crate) struct Namespace {
    /// By index, which is the order that the kernel lists them in.
    pub(crate) devices: BTreeMap<u32, Device>,
    /// The index that was given out last: it is not given out again.
    pub(crate) last_index: u32,
    /// Of all tables and both families; those to the same destination in the order that they are looked at.
    pub(crate) routes: Vec<Entry>,
    pub(crate) sysctls: Sysctls,
    pub(crate) firewall: Firewall,
    pub(crate) flows: Vec<Flow>,
}

/// Everything.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) spaces: BTreeMap<Space, Namespace>,
    /// Where namespaces are mounted.
    pub(crate) paths: BTreeMap<PathBuf, Space>,
    pub(crate) features: Features,
    pub(crate) history: History,
    spaces_made: u32,
    random: u64,
}

impl World {
    /// With one namespace, the host's.
    pub(crate) fn new(seed: u64) -> Self {
        let mut world = Self {
            spaces: BTreeMap::new(),
            paths: BTreeMap::new(),
            features: Features::default(),
            history: History::default(),
            spaces_made: 0,
            random: seed,
        };
        world.add_space();
        world
    }

    /// A namespace with nothing but a loopback that is down.
    pub(crate) fn add_space(&mut self) -> Space {
        let space = Space(self.spaces_made);
        self.spaces_made += 1;
        let sysctls = Sysctls::default();
        let lo = Device::new(1, "lo", Kind::Loopback, Mac([0; 6]), &sysctls);
        let namespace = Namespace {
            devices: BTreeMap::from([(1, lo)]),
            last_index: 1,
            routes: Vec::new(),
            sysctls,
            firewall: Firewall::default(),
            flows: Vec::new(),
        };
        self.spaces.insert(space, namespace);
        space
    }

    /// Takes a namespace away, with all that is in it and the other ends of its veths.
    pub(crate) fn remove_space(&mut self, space: Space) {
        let inside: Vec<u32> =
            self.spaces.get(&space).map(|space| space.devices.keys().copied().collect()).unwrap_or_default();
        for index in inside {
            self.remove_device(At { space, index });
        }
        self.spaces.remove(&space);
        self.paths.retain(|_, at| *at != space);
    }

    pub(crate) fn space(&self, space: Space) -> Option<&Namespace> {
        self.spaces.get(&space)
    }

    pub(crate) fn space_mut(&mut self, space: Space) -> Option<&mut Namespace> {
        self.spaces.get_mut(&space)
    }

    pub(crate) fn device(&self, at: At) -> Option<&Device> {
        self.spaces.get(&at.space)?.devices.get(&at.index)
    }

    pub(crate) fn device_mut(&mut self, at: At) -> Option<&mut Device> {
        self.spaces.get_mut(&at.space)?.devices.get_mut(&at.index)
    }

    /// The devices of a namespace.
    pub(crate) fn devices(&self, space: Space) -> impl Iterator<Item = &Device> {
        self.spaces.get(&space).into_iter().flat_map(|space| space.devices.values())
    }

    /// The device of that name.
    pub(crate) fn named(&self, space: Space, name: &str) -> Option<At> {
        let found = self.devices(space).find(|device| device.name == name)?;
        Some(At { space, index: found.index })
    }

    /// The ports of a bridge.
    pub(crate) fn ports(&self, bridge: At) -> Vec<At> {
        let ports = self.devices(bridge.space).filter(|device| device.master == Some(bridge.index));
        ports.map(|device| At { space: bridge.space, index: device.index }).collect()
    }

    /// An index that no device of the namespace has or had.
    pub(crate) fn next_index(&mut self, space: Space) -> u32 {
        self.spaces.get_mut(&space).map_or(0, |space| {
            space.last_index += 1;
            space.last_index
        })
    }

    /// A hardware address that is locally administered, as the kernel makes one up.
    pub(crate) fn random_mac(&mut self) -> Mac {
        let made_up = self.random().to_be_bytes();
        let mut mac = Mac::default();
        mac.0.iter_mut().zip(made_up).for_each(|(byte, random)| *byte = random);
        if let Some(first) = mac.0.first_mut() {
            *first = *first & 0xfc | 0x02;
        }
        mac
    }

    /// splitmix64.
    pub(crate) fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.random;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }
}
