//! The suites, by subject. Each test has a node of its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "this is test code: a panic is how it says that something is wrong"
)]

mod common;

mod attachments;
mod bad_config;
mod bad_input;
mod bandwidth;
mod bench_guest;
mod binary;
mod bridge;
mod bridge_check;
mod bridge_gateway;
mod bridge_link;
mod check_record;
mod concurrency;
mod conflist;
mod crash;
mod crowd;
mod cve;
mod del;
mod delegation;
mod deploy;
mod docs;
mod doctor;
mod earlier_boot;
mod fault_sweep;
mod faults;
mod gc_status;
mod grants;
mod guard;
mod host_local;
mod host_local_requests;
mod host_local_scale;
mod hostile;
mod install;
mod languages;
mod loopback;
mod masquerade;
mod modes;
mod new_project;
mod no_exec;
mod nobody;
mod parity;
mod plan;
mod pod_cidr;
mod policy;
mod portmap;
mod portmap_iptables;
mod portmap_rules;
mod protocol;
mod random_kills;
mod reconcile;
mod record;
mod record_replay;
mod recorded;
mod reference;
mod results;
mod rollback;
mod rootless;
mod routes;
mod runtimes;
mod sandbox;
mod scenarios;
mod second_interface;
mod support;
mod takeover;
mod telemetry;
mod third_party;
mod told;
mod unread;
mod vlan;
mod wharfctl_gc;
