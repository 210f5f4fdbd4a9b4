//! The simulated machine as a broker sees one: its namespaces are stand-ins.

use std::path::Path;

use wharf_kernel::{Kernel, Machine, Netns, NetnsError};

use crate::kernel::locked;
use crate::sim::Sim;
use crate::world::Space;

/// The device number of namespaces that only the simulation knows: no file system has it.
const DEVICE: u64 = u64::MAX;

impl Sim {
    fn netns(space: Space) -> Result<Netns, NetnsError> {
        Netns::stand_in((DEVICE, u64::from(space.0)))
    }

    /// The namespace that a stand-in is for.
    fn space_of(&self, netns: &Netns) -> Option<Space> {
        let (device, number) = netns.identity();
        let space = Space(u32::try_from(number).ok()?);
        (device == DEVICE && locked(&self.world).space(space).is_some()).then_some(space)
    }
}

impl Machine for Sim {
    fn kernel(&self, host: Netns, container: Option<Netns>) -> Box<dyn Kernel> {
        let host = self.space_of(&host).unwrap_or_else(|| self.host());
        let container = container.and_then(|container| self.space_of(&container));
        Box::new(Self::kernel(self, host, container))
    }

    fn own(&self) -> Result<Netns, NetnsError> {
        Self::netns(self.host())
    }

    fn open(&self, path: &Path) -> Result<Netns, NetnsError> {
        let found = locked(&self.world).paths.get(path).copied();
        found.map_or_else(|| Err(NetnsError::NotFound(path.to_owned())), Self::netns)
    }
}
