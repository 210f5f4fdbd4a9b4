//! The simulated kernel answers as the real one does. Sequences of operations run on both: what each step answers, and
//! what is there afterwards, stands in `golden/`, which is what both are compared with. `WHARF_BLESS=1` writes it from
//! the simulated kernel; the real one then says whether that is true.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "this is test code: a panic is how it says that something is wrong"
)]

mod cases;
mod complete;
mod full_bridge;
mod machine;
mod ops;
mod random;
mod step;
mod transcript;
mod words;

use machine::{Real, Simulated};
use transcript::{golden, on_simulated, rooted};

/// One test for the simulated kernel, one for the real kernel, of each room.
macro_rules! rooms {
    ($($room:ident)*) => {$(
        mod $room {
            #[test]
            fn simulated() {
                super::golden(stringify!($room), &super::on_simulated(&super::cases::$room::all()));
            }

            #[test]
            fn real() {
                super::rooted!();
                super::transcript::on_real(&super::cases::$room::all());
            }
        }
    )*};
}

rooms! { addresses bridge_ports filter links nat neighbours removal routes shaping sysctl vlans }

#[test]
fn random_sequences_are_answered_alike() {
    rooted!();
    for seed in random::seeds() {
        random::compare(seed, &mut Simulated::new(), &mut Real::new());
    }
}

#[test]
fn the_same_seed_is_the_same_machine() {
    let run = || on_simulated(&cases::links::all());
    assert_eq!(run(), run());
}
