//! The WIT packages as Rust types: one world of everything that any published world imports or exports.
//!
//! No guest is instantiated against this world. `run` links the interfaces that a guest imports, one by one, and
//! looks for the one interface that it exports. The `unsafe` in what the macro writes is Wasmtime's own.

#![allow(
    unsafe_code,
    missing_docs,
    dead_code,
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    reason = "generated code"
)]

wasmtime::component::bindgen!({
    inline: "
        package wharf:everything@0.1.0;
        world everything {
            import wharf:host/logging@0.1.0;
            import wharf:host/delegate@0.1.0;
            import wharf:net/netns@0.1.0;
            import wharf:net/links@0.1.0;
            import wharf:net/bridge-ports@0.1.0;
            import wharf:net/addresses@0.1.0;
            import wharf:net/routes@0.1.0;
            import wharf:net/neighbours@0.1.0;
            import wharf:net/sysctl@0.1.0;
            import wharf:firewall/nat@0.1.0;
            import wharf:firewall/filter@0.1.0;
            import wharf:firewall/conntrack@0.1.0;
            import wharf:tc/shaping@0.1.0;
            import wharf:store/leases@0.1.0;
            export wharf:plugin/network@0.1.0;
            export wharf:plugin/ipam@0.1.0;
            export wharf:plugin/policy@0.1.0;
            export wharf:plugin/admission@0.1.0;
        }
    ",
    path: [
        "../../wit/types",
        "../../wit/cni",
        "../../wit/net",
        "../../wit/firewall",
        "../../wit/tc",
        "../../wit/store",
        "../../wit/host",
        "../../wit/policy",
        "../../wit/plugin",
    ],
    imports: { default: trappable },
    with: {
        "wharf:net/netns.netns": wharf_ops::Ns,
        "wharf:net/links.link": wharf_ops::Link,
        "wharf:store/leases.pool": crate::leases::Pool,
    },
});
