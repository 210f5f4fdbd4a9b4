//! The machine from outside: its namespaces, and what somebody else than Wharf does on it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use crate::device::Kind;
use crate::kernel::{SimKernel, locked};
use crate::shaping::{Ingress, Root};
use crate::world::{At, Space, World};
use crate::{Features, links};

/// A simulated machine. Its clones are the same machine.
#[derive(Clone, Debug)]
pub struct Sim {
    pub(crate) world: Arc<Mutex<World>>,
}

impl Sim {
    /// A machine with nothing but a loopback that is down. What the kernel would make up comes from `seed`.
    pub fn new(seed: u64) -> Self {
        Self { world: Arc::new(Mutex::new(World::new(seed))) }
    }

    /// Another machine in the same state, which goes its own way from here.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self { world: Arc::new(Mutex::new(locked(&self.world).clone())) }
    }

    /// The namespace that it started with.
    pub fn host(&self) -> Space {
        Space(0)
    }

    /// A new namespace that is mounted at `path`: what CNI_NETNS may name.
    pub fn add_namespace(&self, path: impl Into<PathBuf>) -> Space {
        let mut world = locked(&self.world);
        let space = world.add_space();
        world.paths.insert(path.into(), space);
        space
    }

    /// Takes a namespace away, with everything in it.
    pub fn remove_namespace(&self, space: Space) {
        locked(&self.world).remove_space(space);
    }

    /// The kernel for one call. The container's namespace may be gone when something is torn down.
    pub fn kernel(&self, host: Space, container: Option<Space>) -> SimKernel {
        SimKernel { world: Arc::clone(&self.world), host, container }
    }

    /// Says what the kernel was built with.
    pub fn set_features(&self, features: Features) {
        locked(&self.world).features = features;
    }

    /// Adds a device that Wharf does not make, and answers its index: `kind` is as `ip -d link` shows it, empty for
    /// hardware. It has a carrier when it is up, and nobody behind it.
    pub fn add_device(&self, space: Space, name: &str, kind: &str) -> u32 {
        let mut world = locked(&self.world);
        let at = At { space, index: world.next_index(space) };
        links::add(&mut world, at, name, Kind::Other(kind.to_owned()), (None, None));
        at.index
    }

    /// Gives a device another name.
    pub fn rename(&self, space: Space, index: u32, name: &str) {
        if let Some(device) = locked(&self.world).device_mut(At { space, index }) {
            name.clone_into(&mut device.name);
        }
    }

    /// Puts somebody else's qdisc at the root of a device.
    pub fn add_root_qdisc(&self, space: Space, index: u32, kind: &str) {
        if let Some(device) = locked(&self.world).device_mut(At { space, index }) {
            device.root = Some(Root::Other(kind.to_owned()));
        }
    }

    /// Puts somebody else's qdisc, as `clsact`, before what a device receives.
    pub fn add_ingress_qdisc(&self, space: Space, index: u32, kind: &str) {
        if let Some(device) = locked(&self.world).device_mut(At { space, index }) {
            device.ingress = Some(Ingress::Other(kind.to_owned()));
        }
    }

    /// Adds a chain to iptables' nat table, as kube-proxy does.
    pub fn add_chain(&self, space: Space, chain: &str) {
        if let Some(space) = locked(&self.world).space_mut(space) {
            space.firewall.chains.insert(chain.to_owned());
        }
    }
}
