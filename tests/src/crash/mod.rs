//! Calls that fail or end in their middle, what a runtime does then, and what is left.
//!
//! A [`Scene`] is a node with one container and a list of plugins. [`sweep`] makes each single change of an ADD or a DEL
//! fail, or the last one before a process ends; [`random`] ends calls at random instants, those of the reference plugins
//! too. Both compare a [`Picture`] from before with one from after.

pub mod attempt;
pub mod picture;
mod plan;
pub mod random;
pub mod report;
pub mod scene;
pub mod sweep;

pub use attempt::{Attempt, Ended, Kill};
pub use picture::Picture;
pub use scene::{Backend, List, Scene, Side};
