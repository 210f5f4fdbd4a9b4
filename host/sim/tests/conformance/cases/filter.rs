//! Guarded bridge ports.

use wharf_ops::KernelOp;
use wharf_ops::filter::FilterOp;

use crate::ops::*;
use crate::step::{Case, Step, case, named, owner};

pub(crate) fn all() -> Vec<Case> {
    let other = || named("net", "two", "eth0");
    let unguard = || KernelOp::Filter(FilterOp::RemoveAntiSpoof);
    vec![
        case(
            "a port is guarded",
            [
                Step::Do(guarded("va")),
                Step::Do(guard("va", A)),
                Step::Do(guarded("va")),
                Step::Do(guard("va", B)),
                Step::Do(guarded("va")),
                Step::Do(guard("vb", C)),
                Step::Do(guarded("va")),
                Step::Do(guarded("vb")),
                Step::As(other(), guarded("va")),
                Step::Do(unguard()),
                Step::Do(unguard()),
                Step::Do(guarded("va")),
            ],
        ),
        case(
            "a name that comes again",
            [
                Step::Do(guard("va", A)),
                Step::As(other(), guard("va", B)),
                Step::Do(guarded("va")),
                Step::As(other(), guarded("va")),
                Step::Owners("net"),
                Step::Sweep(owner()),
                Step::Owners("net"),
                Step::As(other(), guarded("va")),
                Step::Do(guard("va", A)),
                Step::As(other(), guard("va", B)),
                Step::Do(guard("vb", A)),
                Step::Do(guarded("va")),
            ],
        ),
        case(
            "names that cannot be",
            ["", ".", "..", "a/b", "a:b", "a b", "a\tb", "a\0b", "sixteen-bytes-xx"]
                .map(|name| Step::Do(guard(name, A)))
                .into_iter()
                .chain([Step::Do(guarded("a b"))]),
        ),
    ]
}
