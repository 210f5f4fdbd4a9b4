//! The bandwidth plugin.
