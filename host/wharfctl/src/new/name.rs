//! What a guest is called: in configurations, as a crate, and as a type.

use std::fmt;
use std::str::FromStr;

use wharf_broker::guests::SHIPPED;

use crate::lists::OWN;

/// Longer ones make awkward file names.
const LONGEST: usize = 48;

/// What cargo does not take for a library, or what would hide a crate that a guest needs.
const RESERVED: &[&str] =
    &["alloc", "core", "proc_macro", "serde", "std", "test", "wharf_sdk", "wharf_testkit"];

/// A name that is good for everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name(String);

impl Name {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The crate's library, and what cargo calls the component: `rate_limit`.
    pub(super) fn file(&self) -> String {
        self.0.replace('-', "_")
    }

    /// The guest's type: `RateLimit`.
    pub(super) fn type_name(&self) -> String {
        let words = self.0.split(['-', '_']);
        words
            .map(|word| {
                let mut letters = word.chars();
                let first = letters.next().map(|letter| letter.to_ascii_uppercase());
                first.into_iter().chain(letters).collect::<String>()
            })
            .collect()
    }
}

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        if text.is_empty() || text.len() > LONGEST || !text.chars().all(letters) {
            return Err(format!(
                "1 to {LONGEST} lower-case letters, digits, `-` and `_`, such as `rate-limit`"
            ));
        }
        if !text.starts_with(|c: char| c.is_ascii_lowercase()) || text.ends_with(['-', '_']) {
            return Err("begin with a letter, and end with a letter or a digit".to_owned());
        }
        if text == OWN || SHIPPED.contains(&text) {
            return Err("Wharf's own are called that: choose another".to_owned());
        }
        let name = Self(text.to_owned());
        if RESERVED.contains(&name.file().as_str()) {
            return Err("a crate of that name is needed itself: choose another".to_owned());
        }
        if is_keyword(&name.file()) {
            return Err("that is a word of Rust: choose another".to_owned());
        }
        Ok(name)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Those of lower-case letters, kept for later or in use.
fn is_keyword(word: &str) -> bool {
    const KEYWORDS: &str = "abstract as async await become box break const continue crate do dyn else enum extern \
                            false final fn for gen if impl in let loop macro match mod move mut override priv pub ref \
                            return self static struct super trait true try type typeof unsafe unsized use virtual \
                            where while yield";
    KEYWORDS.split_whitespace().any(|keyword| keyword == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_good_for_files_and_types() {
        let name: Name = "rate-limit_2".parse().unwrap();
        assert_eq!((name.file().as_str(), name.type_name().as_str()), ("rate_limit_2", "RateLimit2"));
    }

    #[test]
    fn what_cargo_or_rust_would_refuse_is_refused_first() {
        for (text, says) in [
            ("", "1 to 48"),
            ("Rate", "lower-case"),
            ("../x", "lower-case"),
            ("2fast", "begin with a letter"),
            ("rate-", "end with a letter"),
            ("match", "a word of Rust"),
            ("wharf-sdk", "is needed itself"),
            ("wharf", "Wharf's own"),
            ("host-local", "Wharf's own"),
        ] {
            let error = text.parse::<Name>().unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
