//! The synchronous netlink layer under rtnetlink and nf_tables: attributes, message framing, one socket.
//!
//! Requests are written with the builder here or with the types of `netlink-packet-route`. Replies are read
//! attribute by attribute: a kernel newer than any list of types must not fail a call, and a dump of a thousand
//! links need not be built as values first.

pub(crate) mod attr;
mod error;
mod message;
mod socket;
mod sys;

pub(crate) use attr::{Attribute, Attributes, Builder};
pub(crate) use error::NetlinkError;
pub(crate) use message::{Message, Messages};
pub(crate) use socket::{Protocol, Socket};

/// NLM_F_REPLACE.
pub(crate) const REPLACE: u16 = 0x100;
/// NLM_F_EXCL.
pub(crate) const EXCL: u16 = 0x200;
/// NLM_F_CREATE.
pub(crate) const CREATE: u16 = 0x400;
/// NLM_F_ECHO: the kernel sends back what it made. Older kernels ignore it for links.
pub(crate) const ECHO: u16 = 0x8;
