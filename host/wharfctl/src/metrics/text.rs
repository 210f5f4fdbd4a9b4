//! The text format of Prometheus.

use std::fmt::{Display, Write as _};

/// What is written so far.
#[derive(Debug, Default)]
pub(super) struct Page {
    text: String,
    name: &'static str,
}

impl Page {
    /// Begins a metric. Its values follow.
    pub(super) fn metric(&mut self, name: &'static str, kind: &str, help: &str) {
        self.name = name;
        // Writing to a String does not fail, here and below.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// A value of it.
    pub(super) fn value(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.part("", labels, value);
    }

    /// A value of a part of it: `_bucket`, `_sum`, `_count`.
    pub(super) fn part(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) {
        let _ = write!(self.text, "{}{suffix}", self.name);
        if !labels.is_empty() {
            let labels: Vec<String> =
                labels.iter().map(|(key, text)| format!("{key}=\"{}\"", escaped(text))).collect();
            let _ = write!(self.text, "{{{}}}", labels.join(","));
        }
        let _ = writeln!(self.text, " {value}");
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        let mut page = Page::default();
        page.metric("wharf_x", "gauge", "What it is.");
        page.value(&[], 1);
        page.value(&[("a", "b\"c\\d\ne")], 2.5);
        assert_eq!(
            page.into_text(),
            "# HELP wharf_x What it is.\n# TYPE wharf_x gauge\nwharf_x 1\nwharf_x{a=\"b\\\"c\\\\d\\ne\"} 2.5\n"
        );
    }
}
