//! Types that nobody serves: a slip in one of them, and nobody judges what stands there.

use wharf_broker::spelling::nearest;
use wharf_broker::{Paths, guests};

use crate::doctor::{Findings, Node};
use crate::lists::{List, OWN};

/// What is looked for away from the node: the guests of `given`, where there are some, else what looks like a slip.
pub(super) fn check(
    node: &Node<'_>,
    given: Option<&Paths>,
    file: &str,
    list: &List,
    findings: &mut Findings,
) {
    let known = given.and_then(|given| guests::names(given).ok());
    for plugin in &list.plugins {
        for (member, name) in plugin.names() {
            let place = format!("{file}: {}.{member}", plugin.place);
            // A program may be there without any guest. A name with slashes is none of a program.
            if name == OWN || !name.contains('/') && node.bin_dir.join(name).is_file() {
                continue;
            }
            match &known {
                Some(known) if known.iter().any(|known| known == name) => {}
                Some(known) => {
                    let program = node.bin_dir.join(name);
                    let what = format!("no guest {name:?} was given, and {} is missing", program.display());
                    match nearest(name, known.iter().map(String::as_str).chain([OWN])) {
                        Some(meant) => findings.error(place, what, format!("did you mean {meant:?}?")),
                        None => findings.warning(
                            place,
                            what,
                            "correct it, or say by --bin-dir where it is: no ADD is served without it",
                        ),
                    }
                }
                None if member == "policies" => {}
                None => {
                    // Nothing is installed that could tell what is meant.
                    let ours = guests::SHIPPED.into_iter().chain([OWN]);
                    if let Some(meant) = nearest(name, ours).filter(|meant| *meant != name) {
                        let what = format!("{name:?} is none of Wharf's plugins, and looks like one");
                        findings.warning(place, what, format!("did you mean {meant:?}?"));
                    }
                }
            }
        }
    }
}

/// The guest or program of the node that is meant by a name that is none's.
pub(super) fn meant(node: &Node<'_>, name: &str) -> Option<String> {
    let mut known = guests::names(node.paths).unwrap_or_default();
    let programs = std::fs::read_dir(&node.bin_dir).into_iter().flatten().flatten();
    known.extend(programs.filter_map(|program| program.file_name().into_string().ok()));
    nearest(name, known.iter().map(String::as_str)).filter(|meant| *meant != name).map(str::to_owned)
}
