//! x
mod bindings; mod leases;
