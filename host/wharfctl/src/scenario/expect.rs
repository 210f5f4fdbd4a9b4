//! What a step said that it expects, beside what came of it: each difference in words.

use serde_json::Value;

use super::calls::Done;
use super::format::{self, BothOf, Refusal};

/// The code of what no grant allows.
const DENIED: u64 = wharf_cni::error::code::DENIED as u64;

/// Everything that is not as the step expects.
pub(super) fn compare(says: &format::Step, done: &Done, changes: &[String]) -> Vec<String> {
    let mut wrong = Vec::new();
    wrong.extend(error(says.error.as_ref(), done));
    went_on(&says.goes_on_after, &done.went_on, &mut wrong);
    if let (Some(wanted), Some(found)) = (&says.result, &done.result) {
        differ("result", wanted, found, &mut wrong);
    }
    if let Some(wanted) = &says.changes {
        wrong.extend(in_order(wanted, changes));
    }
    wrong
}

fn error(wanted: Option<&Refusal>, done: &Done) -> Option<String> {
    let found = match &done.error {
        Some((code, message)) if *code == DENIED => {
            format!("code {code}, {message} (WHARF_LOG=error shows which line of a grant would allow it)")
        }
        Some((code, message)) => format!("code {code}, {message}"),
        None => "it succeeded".to_owned(),
    };
    let (wanted_code, words) = match wanted {
        None => {
            return done.error.as_ref().map(|_| format!("expected success, found {found}"));
        }
        Some(Refusal::Code(code)) => (Some(*code), None),
        Some(Refusal::Words(words)) => (None, Some(words)),
        Some(Refusal::Both(BothOf { code, message })) => (Some(*code), Some(message)),
    };
    let as_wanted = done.error.as_ref().is_some_and(|(code, message)| {
        wanted_code.is_none_or(|wanted| u64::from(wanted) == *code)
            && words.is_none_or(|words| message.contains(words.as_str()))
    });
    if as_wanted {
        return None;
    }
    let code = wanted_code.map(|code| format!("code {code}"));
    let words = words.map(|words| format!("a message with {words:?}"));
    let wanted: Vec<_> = code.into_iter().chain(words).collect();
    Some(format!("expected an error with {}, found {found}", wanted.join(" and ")))
}

/// Each failure that a DEL went on after is to be expected, in whatever order.
fn went_on(wanted: &[String], found: &[String], wrong: &mut Vec<String>) {
    let mut missing: Vec<&String> = wanted.iter().collect();
    for words in found {
        match missing.iter().position(|wanted| words.contains(wanted.as_str())) {
            Some(index) => {
                missing.remove(index);
            }
            None => wrong.push(format!(
                "a guest failed, and it went on by what Wharf knows itself: {words}\n  A DEL must do its work without \
                 that. If the failure is meant, say so with words of it: goes-on-after = [{words:?}]"
            )),
        }
    }
    for words in missing {
        wrong.push(format!("goes-on-after: expected a failure with {words:?}, found none"));
    }
}

/// What is wanted must be there; what else is there does not matter. Lists have the same length.
fn differ(path: &str, wanted: &Value, found: &Value, wrong: &mut Vec<String>) {
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => {
            for (key, wanted) in wanted {
                differ(&format!("{path}.{key}"), wanted, found.get(key).unwrap_or(&Value::Null), wrong);
            }
        }
        (Value::Array(wanted), Value::Array(found)) if wanted.len() == found.len() => {
            for (index, (wanted, found)) in wanted.iter().zip(found).enumerate() {
                differ(&format!("{path}[{index}]"), wanted, found, wrong);
            }
        }
        _ if wanted == found => {}
        _ => wrong.push(format!("{path}: expected {wanted}, found {found}")),
    }
}

/// Each is a line that begins with the operation and has all the other words; they come in this order.
fn in_order(wanted: &[String], changes: &[String]) -> Option<String> {
    let mut left = changes.iter();
    let missing = wanted.iter().find(|wanted| !left.any(|line| is(line, wanted)))?;
    let elsewhere = changes.iter().any(|line| is(line, missing));
    let what = if elsewhere { "it is made, but not after the one before it" } else { "it is not made" };
    Some(format!("changes: expected `{missing}`: {what}"))
}

fn is(line: &str, wanted: &str) -> bool {
    let mut words = wanted.split_whitespace();
    let operation = words.next().unwrap_or_default();
    line.split_whitespace().next() == Some(operation) && words.all(|word| line.contains(word))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn failed(code: u64, message: &str) -> Done {
        Done { error: Some((code, message.to_owned())), ..Done::default() }
    }

    #[test]
    fn success_is_expected_unless_an_error_is() {
        let done = Done::default();
        assert_eq!(error(None, &done), None);
        assert!(error(Some(&Refusal::Code(7)), &done).unwrap().contains("it succeeded"));
        assert!(error(None, &failed(7, "no")).unwrap().contains("code 7, no"));
        let both = Refusal::Both(BothOf { code: 7, message: "no".into() });
        assert_eq!(error(Some(&both), &failed(7, "oh no")), None);
        for other in [failed(8, "oh no"), failed(7, "yes")] {
            assert!(error(Some(&both), &other).unwrap().contains("code 7 and a message with \"no\""));
        }
    }

    #[test]
    fn what_a_del_goes_on_after_is_expected_or_wrong() {
        let found = ["mine: I will not".to_owned(), "bridge: a \"b\"".to_owned()];
        let of = |wanted: &[&str], found: &[String]| {
            let wanted: Vec<String> = wanted.iter().map(|words| (*words).to_owned()).collect();
            let mut wrong = Vec::new();
            went_on(&wanted, found, &mut wrong);
            wrong
        };
        assert!(of(&[], &[]).is_empty() && of(&["bridge", "will not"], &found).is_empty());
        let wrong = of(&["will not"], &found);
        assert!(wrong.len() == 1 && wrong[0].contains("bridge: a \"b\""), "{wrong:?}");
        // What it says to write can be written.
        let line = wrong[0].split_once("goes-on-after").unwrap().1;
        let table: toml::Table = toml::from_str(&format!("goes-on-after{line}")).unwrap();
        assert_eq!(table["goes-on-after"][0].as_str(), Some("bridge: a \"b\""));
        // One failure is not two.
        let wrong = of(&["mine", "will not", "bridge"], &found);
        assert_eq!(wrong, ["goes-on-after: expected a failure with \"will not\", found none"]);
    }

    #[test]
    fn a_result_may_have_more() {
        let found = json!({"ips": [{"address": "10.1.0.2/24", "gateway": "10.1.0.1"}], "dns": {}});
        let mut wrong = Vec::new();
        differ("result", &json!({"ips": [{"address": "10.1.0.2/24"}]}), &found, &mut wrong);
        assert!(wrong.is_empty(), "{wrong:?}");
        differ("result", &json!({"ips": [{"address": "10.1.0.3/24"}], "routes": []}), &found, &mut wrong);
        let expected = [
            "result.ips[0].address: expected \"10.1.0.3/24\", found \"10.1.0.2/24\"",
            "result.routes: expected [], found null",
        ];
        assert_eq!(wrong, expected);
    }

    #[test]
    fn changes_have_an_order() {
        let changes = ["links/set-up link=host:cni0#2 up=true", "addresses/add address=10.1.0.1/24"];
        let changes = changes.map(str::to_owned);
        let wanted = |lines: &[&str]| {
            in_order(&lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>(), &changes)
        };
        assert_eq!(wanted(&["links/set-up cni0", "addresses/add 10.1.0.1/24"]), None);
        assert!(wanted(&["addresses/add", "links/set-up"]).unwrap().contains("not after"));
        assert!(wanted(&["addresses/add 10.1.0.2"]).unwrap().contains("is not made"));
    }
}
