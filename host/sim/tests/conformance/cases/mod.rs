//! The sequences, by room.

pub(crate) mod addresses;
pub(crate) mod bridge_ports;
pub(crate) mod filter;
pub(crate) mod links;
pub(crate) mod nat;
pub(crate) mod neighbours;
pub(crate) mod removal;
pub(crate) mod routes;
pub(crate) mod shaping;
pub(crate) mod sysctl;
pub(crate) mod vlans;

use crate::step::Case;

/// Those of all rooms.
pub(crate) fn all() -> Vec<Case> {
    [
        addresses::all(),
        bridge_ports::all(),
        filter::all(),
        links::all(),
        nat::all(),
        neighbours::all(),
        removal::all(),
        routes::all(),
        shaping::all(),
        sysctl::all(),
        vlans::all(),
    ]
    .concat()
}
