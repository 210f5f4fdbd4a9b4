//! What the simulated machine says of a packet is what becomes of a real one: the same operations on both, then a datagram
//! from the same sender to the same address, and the same receiver sees it from the same address, or nobody does.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "this is test code: a panic is how it says that something is wrong"
)]

mod ground;
mod scenes;

use ground::{Ground, Real, Simulated};
use scenes::{Act, Scene};

/// What came of each packet of a scene.
fn play(ground: &mut dyn Ground, scene: &Scene) -> Vec<String> {
    let mut told = Vec::new();
    let mut ports = 40_000;
    for act in &scene.acts {
        match act {
            Act::Do(who, op) => {
                let done = ground.apply(*who, op);
                done.unwrap_or_else(|error| panic!("{}: {op:?}: {error}", scene.name));
            }
            Act::Send { from, source, to, again } => {
                ports += u16::from(!again);
                let from_where = source.map(|source| format!(" as {source}")).unwrap_or_default();
                let outcome = ground.send(*from, *source, ports, *to);
                let outcome = outcome.map_or_else(
                    || "nobody gets it".to_owned(),
                    |(who, source)| format!("{who:?} gets it from {source}"),
                );
                told.push(format!("{from:?}{from_where} to {to}: {outcome}"));
            }
        }
    }
    told
}

#[test]
fn a_packet_goes_where_it_is_expected() {
    for scene in scenes::all() {
        let told = play(&mut Simulated::new(), &scene);
        assert_eq!(told, scene.expected, "{}", scene.name);
    }
}

#[test]
fn a_real_packet_goes_there_too() {
    if !nix::unistd::geteuid().is_root() {
        println!("SKIPPED: a_real_packet_goes_there_too: only root may change the real kernel");
        return;
    }
    for scene in scenes::all() {
        let told = play(&mut Real::new(), &scene);
        assert_eq!(told, scene.expected, "{}", scene.name);
    }
}
