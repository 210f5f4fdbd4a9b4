//! One side against the other, and what is expected of that.

use std::collections::BTreeSet;

use serde_json::Value;

use super::case::Difference;
use super::picture::Picture;

/// A difference at one of its paths.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The path; `*` stands for any text.
    pub at: &'a str,
    /// The difference.
    pub difference: &'a Difference,
}

/// Differences that nobody expected, and expectations that came true.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Each as a line.
    pub complaints: Vec<String>,
    /// The indices of the expectations that came true.
    pub occurred: BTreeSet<usize>,
}

/// Compares; each difference must be one of those expected. What only one side has differs as a whole: the paths below it
/// are not looked at.
pub fn compare(reference: &Picture, ours: &Picture, expected: &[Expected<'_>]) -> Verdict {
    let mut verdict = Verdict::default();
    let paths: BTreeSet<&String> = reference.keys().chain(ours.keys()).collect();
    let mut only: Option<String> = None;
    for path in paths {
        let (theirs, own) = (value(reference, path), value(ours, path));
        let is_below =
            |whole: &String| path.strip_prefix(whole.as_str()).is_some_and(|rest| rest.starts_with(' '));
        if theirs == own || only.as_ref().is_some_and(is_below) {
            continue;
        }
        if theirs.is_null() || own.is_null() {
            only = Some(path.clone());
        }
        let explains = |Expected { at, difference }: &Expected<'_>| {
            matches(at, path)
                && difference.reference.as_ref().is_none_or(|wanted| *wanted == theirs)
                && difference.ours.as_ref().is_none_or(|wanted| *wanted == own)
        };
        let explained: Vec<usize> =
            expected.iter().enumerate().filter(|(_, one)| explains(one)).map(|(index, _)| index).collect();
        if explained.is_empty() {
            verdict.complaints.push(format!("{path}: the reference has {theirs}, we have {own}"));
        }
        verdict.occurred.extend(explained);
    }
    verdict
}

fn value(picture: &Picture, path: &str) -> Value {
    picture.get(path).cloned().unwrap_or_default()
}

/// Whether a path is one of a pattern's; `*` stands for any text.
pub fn matches(pattern: &str, path: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = path.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn picture(entries: &[(&str, Value)]) -> Picture {
        entries.iter().map(|(path, value)| ((*path).to_owned(), value.clone())).collect()
    }

    fn difference(value: &Value) -> Difference {
        serde_json::from_value(value.clone()).unwrap()
    }

    fn expected<'a>(all: &[&'a Difference]) -> Vec<Expected<'a>> {
        let each = |difference: &&'a Difference| Expected { at: &difference.at[0], difference };
        all.iter().map(each).collect()
    }

    #[test]
    fn a_star_is_any_text() {
        for (pattern, path, is) in [
            ("add link br0 mtu", "add link br0 mtu", true),
            ("add link br0 mtu", "add link br0 mtux", false),
            ("* mtu", "add link br0 mtu", true),
            ("add * br0 *", "add link br0 mtu", true),
            ("add *", "del link br0 mtu", false),
            ("*mtu*", "mtu", true),
            ("* link * mtu", "add link mtu", false),
        ] {
            assert_eq!(matches(pattern, path), is, "{pattern:?} and {path:?}");
        }
    }

    #[test]
    fn what_one_side_lacks_is_one_difference() {
        let reference = picture(&[("link a", json!(true)), ("link a mtu", json!(1)), ("link ab", json!(1))]);
        let verdict = compare(&reference, &picture(&[]), &[]);
        assert_eq!(
            verdict.complaints,
            ["link a: the reference has true, we have null", "link ab: the reference has 1, we have null"]
        );
    }

    #[test]
    fn only_what_is_expected_may_differ() {
        let reference = picture(&[("a", json!(0)), ("b", json!(1)), ("same", json!("x"))]);
        let ours = picture(&[("a", json!(1000)), ("c", json!(1)), ("same", json!("x"))]);
        let verdict = compare(&reference, &ours, &[]);
        assert_eq!(
            verdict.complaints,
            [
                "a: the reference has 0, we have 1000",
                "b: the reference has 1, we have null",
                "c: the reference has null, we have 1",
            ]
        );
        let exact = difference(&json!({"at": "a", "reference": 0, "ours": 1000, "why": "w"}));
        let any = difference(&json!({"at": "b", "why": "w"}));
        let absent = difference(&json!({"at": "c", "reference": null, "why": "w"}));
        let verdict = compare(&reference, &ours, &expected(&[&exact, &any, &absent]));
        assert_eq!(verdict, Verdict { complaints: Vec::new(), occurred: [0, 1, 2].into() });
        // Other values than those that were said are no expected difference.
        let other = difference(&json!({"at": "a", "reference": 0, "ours": 999, "why": "w"}));
        let verdict = compare(&reference, &ours, &expected(&[&other, &any, &absent]));
        assert_eq!(verdict.complaints.len(), 1);
        assert_eq!(verdict.occurred, [1, 2].into());
    }
}
