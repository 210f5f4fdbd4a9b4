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
