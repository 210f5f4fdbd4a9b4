//! A broker on a simulated machine, with files of its own in a temporary folder: the same pipeline, the same sandboxes
//! and the same guests as on a node, without root and without touching anything.
//!
//! [`Node`] is the machine and what calls do on it, [`ListAdd`] the calls for a whole list, [`Guests`] what they run,
//! [`Story`] what happens, in order.

mod cache;
mod files;
mod guests;
mod list_add;
mod node;
mod story;

pub(crate) use cache::Cache;
pub(crate) use files::Files;
pub(crate) use guests::Guests;
pub(crate) use list_add::{Entry, ListAdd};
pub(crate) use node::{Call, Node};
pub(crate) use story::{At, Fault, Story};
