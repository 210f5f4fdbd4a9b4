//! The machine that a broker works on: how its namespaces are found, and what kernel they are in.

use std::path::Path;

use crate::{Kernel, Netns, NetnsError};

/// Namespaces and the kernel that they are in. For this machine's own, a function that makes the [`Kernel`] is
/// enough; a model of one finds its namespaces by itself.
pub trait Machine {
    /// The kernel for the two namespaces of a call.
    fn kernel(&self, host: Netns, container: Option<Netns>) -> Box<dyn Kernel>;

    /// The namespace that the caller is in.
    fn own(&self) -> Result<Netns, NetnsError> {
        Netns::own()
    }

    /// The namespace at a path.
    fn open(&self, path: &Path) -> Result<Netns, NetnsError> {
        Netns::open(path)
    }
}

impl<F: Fn(Netns, Option<Netns>) -> Box<dyn Kernel>> Machine for F {
    fn kernel(&self, host: Netns, container: Option<Netns>) -> Box<dyn Kernel> {
        self(host, container)
    }
}
