//! The host-local plugin.
