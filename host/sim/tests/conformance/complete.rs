//! Every operation of the kernel is in a sequence.

use std::collections::BTreeSet;

use wharf_ops::{KernelOp, OPERATIONS};

use crate::cases;
use crate::step::{Case, Step};

/// Interfaces of guests that are not the kernel's.
const OTHERS: [&str; 2] = ["leases/", "delegate/"];
/// Where each variant has its name: guests are not offered all of them.
const SOURCE: &str = include_str!("../../../ops/src/op.rs");

/// The names in the match over all variants.
fn names() -> BTreeSet<&'static str> {
    let parts = SOURCE.split("=> read(\"").chain(SOURCE.split("=> change(\"")).skip(1);
    let names =
        parts.filter_map(|part| part.split('"').next()).filter(|name| !name.contains(char::is_whitespace));
    names.filter(|name| !OTHERS.iter().any(|other| name.starts_with(other))).collect()
}

fn used(cases: &[Case]) -> impl Iterator<Item = &KernelOp> {
    cases.iter().flat_map(|case| &case.steps).filter_map(|step| match step {
        Step::Do(op) | Step::As(_, op) => Some(op),
        _ => None,
    })
}

#[test]
fn no_operation_is_missing() {
    let all = cases::all();
    let used: BTreeSet<&str> = used(&all).map(|op| op.operation().name).collect();
    let names = names();
    let missing: Vec<_> = names.difference(&used).collect();
    assert!(missing.is_empty(), "in no sequence: {missing:?}");
}

#[test]
fn the_names_are_those_of_the_table_and_more() {
    let names = names();
    let offered = OPERATIONS.iter().map(|operation| operation.name);
    let mut offered = offered.filter(|name| !OTHERS.iter().any(|other| name.starts_with(other)));
    assert!(offered.all(|name| names.contains(name)), "{names:?}");
    assert!(names.contains("links/delete-many") && names.len() > 50);
}

#[test]
fn there_are_hundreds_of_steps() {
    let steps: usize = cases::all().iter().map(|case| case.steps.len()).sum();
    assert!(steps > 500, "{steps}");
}
