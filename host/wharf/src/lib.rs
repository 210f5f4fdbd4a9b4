//! What the CNI binary shares with tools that run guests as it does: the way sandboxes are started.

mod launcher;

pub use launcher::{ForkLauncher, Mapped};
