//! What a native guest holds in the place of resource handles.

use super::wharf::store::leases;

/// One of the two namespaces of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The runtime's own.
    Host,
    /// The one that `CNI_NETNS` names.
    Container,
}

/// A namespace that is lent for one call.
#[derive(Debug)]
pub struct Netns {
    pub(super) side: Side,
}

impl Netns {
    /// `host` or `container`; for log lines only.
    pub fn role(&self) -> String {
        match self.side {
            Side::Host => "host",
            Side::Container => "container",
        }
        .to_owned()
    }

    /// Which of the two it is.
    pub fn side(&self) -> Side {
        self.side
    }
}

/// What a guest is called with: the namespace of that side.
pub fn lend(side: Side) -> Netns {
    Netns { side }
}

/// A link that the host handed out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Link {
    /// Where it is.
    pub side: Side,
    /// Its index there.
    pub index: u32,
    /// Its name when it was handed out.
    pub name: String,
}

/// An open pool. Dropping it closes it.
#[derive(Debug)]
pub struct Pool {
    /// What the host calls it.
    pub number: u32,
}

impl Drop for Pool {
    fn drop(&mut self) {
        leases::closed(self.number);
    }
}
