//! The body of the fuzz target `grant_file`, shared with `tests/grant_fuzz_smoke.rs`: what an operator may have written.
#![allow(clippy::panic, clippy::unwrap_used, reason = "helpers of tests")]

use std::fmt::Write as _;

use wharf_broker::grants::{Grant, Key, fresh, is_untouched, tables, with_digest, with_tables};
use wharf_ops::OPERATIONS;

const DIGEST: &str = "sha256:ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";

/// Runs one text: it is a grant or an error of one line, and what the installer makes of a grant is one again.
pub(crate) fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let untouched = is_untouched(&text, None);
    let grant = match Grant::parse(&text) {
        Ok(grant) => grant,
        Err(reason) => {
            assert!(!reason.is_empty() && !reason.contains('\n'), "{reason:?}");
            assert!(reason.len() < 4 * text.len() + 8192, "a message of {} bytes", reason.len());
            return;
        }
    };
    let carried = with_digest(&text, DIGEST).unwrap();
    let again = Grant::parse(&carried).unwrap();
    let mut expected = grant.clone();
    expected.digest = DIGEST.into();
    assert_eq!(again, expected);
    assert!(!untouched || carried == text || !is_untouched(&carried, None));

    let all: Vec<String> = OPERATIONS.iter().map(|operation| operation.name.to_string()).collect();
    let missing = grant.missing(&all);
    assert!(all.iter().all(|name| grant.allows(name) != missing.contains(&name.as_str())));
    let granted: Vec<String> = all.iter().filter(|name| grant.allows(name)).cloned().collect();
    let needs_none = !grant.is_unconstrained() || marked(&text) || tables("bridge", &granted).is_empty();
    let grown = with_tables(&text, "bridge", &all).unwrap();
    assert_eq!(grown.is_none(), needs_none);
    if let Some(grown) = grown {
        let grown = Grant::parse(&grown).unwrap();
        assert!(!grown.is_unconstrained());
        assert_eq!((&grown.digest, &grown.limits), (&grant.digest, &grant.limits));
        assert_eq!(grown.missing(&all), missing);
    }
    written_again(&grant);
}

/// Whether the first line is the installer's, whatever stands behind it.
fn marked(text: &str) -> bool {
    fresh("bridge", "network", DIGEST, &[])
        .split_inclusive(": ")
        .next()
        .is_some_and(|mark| text.starts_with(mark))
}

/// The lists as `grants explain` shows them mean the same when they are written into a file.
fn written_again(grant: &Grant) {
    let mut text = format!("digest = {DIGEST:?}\noperations = []\n");
    for key in Key::ALL {
        if let Some(patterns) = grant.constraint(key) {
            // JSON's strings are TOML's.
            let patterns = serde_json::to_string(&patterns).unwrap();
            let _ = writeln!(text, "{}.{} = {patterns}", key.table(), key.name());
        }
    }
    let again = Grant::parse(&text).unwrap_or_else(|reason| panic!("{reason}\n{text}"));
    for key in Key::ALL {
        assert_eq!(again.constraint(key), grant.constraint(key), "{key}");
    }
}
