//! One operation's view of the world: the two namespaces of a call, and how its handles are resolved.

use wharf_kernel::common;
use wharf_ops::{Error, Link, Ns};

use crate::device::Device;
use crate::world::{At, Space, World};

/// The world, seen from a host and a container.
pub(crate) struct Call<'a> {
    pub(crate) world: &'a mut World,
    pub(crate) host: Space,
    pub(crate) container: Option<Space>,
}

impl Call<'_> {
    /// One of the two namespaces.
    pub(crate) fn space(&self, ns: Ns) -> Result<Space, Error> {
        let space = match ns {
            Ns::Host => Some(self.host),
            Ns::Container => self.container,
        };
        space.filter(|space| self.world.space(*space).is_some()).ok_or_else(common::no_container)
    }

    /// Whether that namespace is there. What was in one that is gone is gone too.
    pub(crate) fn has(&self, ns: Ns) -> bool {
        self.space(ns).is_ok()
    }

    /// The place that a handle means, whether there is a device or not; a handle without an index is looked up.
    pub(crate) fn place(&self, link: &Link) -> Result<At, Error> {
        if link.index != 0 {
            return Ok(At { space: self.space(link.ns)?, index: link.index });
        }
        self.read(link).map(|(at, _)| at)
    }

    /// The place behind a handle, or none if no link of that name is left.
    pub(crate) fn place_if_there(&self, link: &Link) -> Result<Option<At>, Error> {
        if link.index != 0 {
            return self.place(link).map(Some);
        }
        common::check_name(&link.name)?;
        Ok(self.world.named(self.space(link.ns)?, &link.name))
    }

    /// The device behind a handle, as somebody sees it who looks.
    pub(crate) fn read(&self, link: &Link) -> Result<(At, &Device), Error> {
        match self.look(link)? {
            Some(found) => Ok(found),
            None => Err(Error {
                errno: Some(libc::ENODEV),
                ..Error::not_found(format!("{} is not there", common::describe(link)))
            }),
        }
    }

    /// As [`Call::read`], or none.
    pub(crate) fn look(&self, link: &Link) -> Result<Option<(At, &Device)>, Error> {
        let space = self.space(link.ns)?;
        let at = if link.index == 0 {
            common::check_name(&link.name)?;
            self.world.named(space, &link.name)
        } else {
            Some(At { space, index: link.index })
        };
        Ok(at.and_then(|at| Some((at, self.world.device(at)?))))
    }

    /// The device at a place that a request names: the kernel says ENODEV if there is none.
    pub(crate) fn device(&self, at: At, what: impl FnOnce() -> String) -> Result<&Device, Error> {
        self.world.device(at).ok_or_else(|| common::refused(libc::ENODEV, None, what()))
    }
}
