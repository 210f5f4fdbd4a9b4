//! The portmap plugin.
