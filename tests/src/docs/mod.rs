//! The documentation under test: its commands are run, and what is made from the sources is made again.

pub mod page;
pub mod room;
pub mod wit;

pub use page::Page;
pub use room::Room;
