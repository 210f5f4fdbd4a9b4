//! The report that CI systems read: JUnit's XML.

use std::fmt::Write as _;
use std::time::Duration;

/// One scenario.
pub(super) struct Case {
    pub(super) name: String,
    pub(super) time: Duration,
    pub(super) failures: Vec<String>,
}

/// All of them.
pub(super) fn xml(cases: &[Case]) -> String {
    let failed = cases.iter().filter(|case| !case.failures.is_empty()).count();
    let time: Duration = cases.iter().map(|case| case.time).sum();
    let counts =
        format!("tests=\"{}\" failures=\"{failed}\" time=\"{:.3}\"", cases.len(), time.as_secs_f64());
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {counts}>\n  <testsuite name=\"scenarios\" {counts}>\n"
    );
    for case in cases {
        let (folder, name) = case.name.rsplit_once('/').unwrap_or(("scenarios", &case.name));
        // Writing to a String does not fail.
        let _ = write!(
            text,
            "    <testcase classname=\"{}\" name=\"{}\" time=\"{:.3}\"",
            escape(folder),
            escape(name),
            case.time.as_secs_f64()
        );
        if case.failures.is_empty() {
            text.push_str("/>\n");
            continue;
        }
        text.push_str(">\n");
        for failure in &case.failures {
            let first = failure.lines().next().unwrap_or_default();
            let (first, all) = (escape(first), escape(failure));
            let _ = writeln!(text, "      <failure message=\"{first}\">{all}</failure>");
        }
        text.push_str("    </testcase>\n");
    }
    text + "  </testsuite>\n</testsuites>\n"
}

/// XML has no way to write most control characters.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push('\n'),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_counts_and_escapes() {
        let case = |name: &str, failures: &[&str]| Case {
            name: name.into(),
            time: Duration::from_millis(1500),
            failures: failures.iter().map(|failure| (*failure).to_owned()).collect(),
        };
        let text = xml(&[case("bridge/one", &[]), case("two", &["1. ADD: <a> & \"b\"\n- c\u{1b}"])]);
        assert!(text.contains("<testsuites tests=\"2\" failures=\"1\" time=\"3.000\">"), "{text}");
        assert!(text.contains("<testcase classname=\"bridge\" name=\"one\" time=\"1.500\"/>"), "{text}");
        let failure = "<failure message=\"1. ADD: &lt;a&gt; &amp; &quot;b&quot;\">1. ADD: &lt;a&gt; &amp; &quot;b&quot;\n- c\u{fffd}</failure>";
        assert!(text.contains(failure), "{text}");
    }
}
