//! Every command in the documentation is run, and what a page shows of its output is compared.

use std::collections::BTreeSet;
use std::fs;

use wharf_tests::docs::room::Wharf;
use wharf_tests::docs::{Page, Room, page};

/// One test for each page, which are then run side by side.
macro_rules! pages {
    ($($test:ident: $name:literal, $wharf:ident;)*) => {
        const PAGES: &[&str] = &[$($name),*];
        $(
            #[test]
            fn $test() {
                run($name, Wharf::$wharf);
            }
        )*
    };
}

pages! {
    readme: "README.md", Missing;
    contributing: "CONTRIBUTING.md", Missing;
    runtimes: "docs/runtimes.md", Installed;
    tutorial: "docs/tutorial.md", Missing;
    install: "docs/how-to/install.md", Missing;
    conflist: "docs/how-to/conflist.md", Installed;
    third_party_guest: "docs/how-to/third-party-guest.md", Installed;
    test_a_guest: "docs/how-to/test-a-guest.md", Missing;
    lint_and_plan: "docs/how-to/lint-and-plan.md", Installed;
    record_and_replay: "docs/how-to/record-and-replay.md", Installed;
    failed_add: "docs/how-to/failed-add.md", Installed;
    policies_explained: "docs/policies.md", Installed;
    policies: "docs/how-to/policies.md", Installed;
    metrics_and_traces: "docs/how-to/metrics-and-traces.md", Installed;
}

fn run(name: &str, wharf: Wharf) {
    let skipped = Room::new(wharf).run(&Page::read(name));
    for what in skipped {
        println!("SKIPPED: {}: {what}", std::thread::current().name().unwrap_or(name));
    }
}

#[test]
fn every_page_with_commands_has_its_test() {
    let with_commands = |name: &String| !Page::read(name).blocks.is_empty();
    let found: BTreeSet<String> = page::all().into_iter().filter(with_commands).collect();
    let tested: BTreeSet<String> = PAGES.iter().map(ToString::to_string).collect();
    let missing: Vec<_> = found.difference(&tested).collect();
    assert!(missing.is_empty(), "put these into `pages!` in tests/tests/docs.rs: {missing:?}");
}

#[test]
fn links_between_pages_lead_somewhere() {
    for name in page::all() {
        let file = page::root().join(&name);
        let text = fs::read_to_string(&file).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            if path.contains("://") {
                continue;
            }
            let target = if path.is_empty() { file.clone() } else { file.parent().unwrap().join(path) };
            assert!(target.exists(), "{name}: {link} leads nowhere");
            if !anchor.is_empty() && target.extension().is_some_and(|extension| extension == "md") {
                let headings = fs::read_to_string(&target).unwrap();
                let found = headings.lines().filter(|line| line.starts_with('#')).any(|line| {
                    let kept = line.trim_start_matches('#').trim().to_lowercase();
                    let kept = kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
                    kept.collect::<String>().replace(' ', "-") == anchor
                });
                assert!(found, "{name}: {link}: there is no such heading");
            }
        }
    }
}
