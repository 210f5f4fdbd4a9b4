//! What came of executing a plugin, held to the protocol: exit status 0 or 1, and on standard output one JSON object
//! or nothing.

use std::path::Path;
use std::process::Output;

use serde_json::Value;

/// The end of one execution.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What was executed, for messages.
    call: String,
    /// 0 or 1.
    pub status: i32,
    /// Standard output as text.
    pub stdout: String,
    /// Standard error as text.
    pub stderr: String,
    /// Standard output as JSON; `null` if it is empty.
    pub json: Value,
}

impl Outcome {
    pub(crate) fn new(program: &Path, env: &[(&str, &str)], output: Output) -> Self {
        let name = program.file_name().unwrap_or_default().to_string_lossy();
        let call = env.iter().fold(name.into_owned(), |call, (key, value)| format!("{call} {key}={value}"));
        let stdout = String::from_utf8(output.stdout).expect("standard output is UTF-8");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let context = || format!("{call}\nstdout: {stdout}\nstderr: {stderr}");
        let mut objects = serde_json::Deserializer::from_str(&stdout).into_iter::<Value>();
        let json = match objects.next() {
            None => Value::Null,
            Some(Ok(object @ Value::Object(_))) => object,
            Some(other) => panic!("not a JSON object but {other:?} on standard output of {}", context()),
        };
        assert!(objects.next().is_none(), "more than one JSON object on standard output of {}", context());
        let Some(status @ 0..=1) = output.status.code() else {
            panic!("{} is no exit status of a plugin: {}", output.status, context());
        };
        Self { call, status, stdout, stderr, json }
    }

    /// It succeeded. Answers its result, `null` if there is none.
    #[track_caller]
    pub fn ok(self) -> Value {
        assert_eq!(self.status, 0, "{self}");
        self.json
    }

    /// It succeeded and printed nothing.
    #[track_caller]
    pub fn silent(self) {
        assert_eq!(self.status, 0, "{self}");
        assert_eq!(self.stdout, "", "{self}");
    }

    /// It failed with an error object of this code. Answers the message and the details as one text.
    #[track_caller]
    pub fn error(self, code: u32) -> String {
        assert_eq!(self.status, 1, "{self}");
        assert_eq!(self.json["code"], code, "{self}");
        let version = self.json["cniVersion"].as_str();
        assert!(version.is_some(), "an error object has a cniVersion: {self}");
        let msg = self.json["msg"].as_str().filter(|msg| !msg.is_empty());
        let msg = msg.unwrap_or_else(|| panic!("an error object has a message: {self}"));
        match self.json.get("details").map(|details| details.as_str().expect("details are text")) {
            Some(details) => format!("{msg}; {details}"),
            None => msg.to_owned(),
        }
    }

    /// As [`Outcome::error`], and the message has each of these words. Words are whole: no letter or digit is beside them.
    #[track_caller]
    pub fn error_saying(self, code: u32, words: &[&str]) {
        self.error_explaining(code, words, &[]);
    }

    /// As [`Outcome::error_saying`], and the details have words of their own.
    #[track_caller]
    pub fn error_explaining(self, code: u32, words: &[&str], details: &[&str]) {
        let part = |key: &str| self.json[key].as_str().unwrap_or_default().to_owned();
        let parts = [(part("msg"), words), (part("details"), details)];
        self.error(code);
        for (text, words) in parts {
            for word in words {
                assert!(has_word(&text, word), "the error does not say {word:?}: {text}");
            }
        }
    }

    /// As [`Outcome::error`], and the text holds each of these words, be it in the message or in the details.
    #[track_caller]
    pub fn error_naming(self, code: u32, words: &[&str]) {
        let text = self.error(code);
        for word in words {
            assert!(text.contains(word), "the error does not name {word:?}: {text}");
        }
    }
}

/// Whether a word is in a text, and not as a part of a longer one: `5` is not in `50`, nor in most digests.
fn has_word(text: &str, word: &str) -> bool {
    let ends = |beside: Option<char>| !beside.is_some_and(char::is_alphanumeric);
    text.match_indices(word).any(|(start, _)| {
        let (before, after) = (&text[..start], &text[start + word.len()..]);
        ends(before.chars().next_back()) && ends(after.chars().next())
    })
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: status {}\nstdout: {}\nstderr: {}", self.call, self.status, self.stdout, self.stderr)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_whole() {
        let text = "mtu: 70000 is no MTU of \"br0\", sha256:5b80, über";
        for (word, is_there) in [
            ("mtu", true),
            ("mtu: 70000", true),
            ("\"br0\"", true),
            ("über", true),
            ("7000", false),
            ("0", false),
            ("5", false),
            ("80", false),
            ("MT", false),
            ("ber", false),
            ("eth0", false),
        ] {
            assert_eq!(has_word(text, word), is_there, "{word}");
        }
    }
}
