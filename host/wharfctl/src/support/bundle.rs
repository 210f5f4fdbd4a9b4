//! The parts of a bundle, and the tar that they become.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tar::{Builder, EntryType, Header};
use wharf_broker::secrets::{learn_values, redact, scrub};
use wharf_broker::time::utc;

use super::shapes::{mask, mask_value};

/// No part is longer, in bytes: the end of a long one tells more than its begin.
const LONGEST: usize = 4 << 20;

/// What goes into the tar.
#[derive(Debug, Default)]
pub(super) struct Bundle {
    parts: Vec<Part>,
    left_out: Vec<String>,
}

#[derive(Debug)]
struct Part {
    name: String,
    /// What it is, for the list.
    about: &'static str,
    text: String,
}

impl Bundle {
    /// Adds a text. It is cleaned when the tar is written, when all secrets are known.
    pub(super) fn text(&mut self, name: &str, about: &'static str, text: impl Into<String>) {
        self.parts.push(Part { name: name.to_owned(), about, text: text.into() });
    }

    /// Adds a JSON value without its secrets.
    pub(super) fn json(&mut self, name: &str, about: &'static str, mut value: Value) {
        scrub(&mut value);
        let mut found = Vec::new();
        mask_value(&mut value, &mut found);
        learn_values(found);
        let text = serde_json::to_string_pretty(&value).unwrap_or_default() + "\n";
        self.text(name, about, text);
    }

    /// Adds what there is, or why there is nothing.
    pub(super) fn attempt<E: std::fmt::Display>(
        &mut self,
        name: &str,
        about: &'static str,
        text: Result<String, E>,
    ) {
        match text {
            Ok(text) => self.text(name, about, text),
            Err(error) => self.leave_out(name, &error.to_string()),
        }
    }

    /// Says what is not in it, and why.
    pub(super) fn leave_out(&mut self, name: &str, reason: &str) {
        self.left_out.push(format!("{name}: {reason}"));
    }

    /// Writes the tar; the names of what is in it.
    pub(super) fn write(mut self, to: impl Write, host: &str) -> io::Result<Vec<String>> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        self.parts.sort_by(|a, b| a.name.cmp(&b.name));
        let contents = self.contents(host, now);
        self.parts.insert(0, Part { name: "CONTENTS.txt".to_owned(), about: "", text: contents });
        let mut tar = Builder::new(to);
        for part in &self.parts {
            let clean = mask(&redact(&part.text));
            let start = clean.len().saturating_sub(LONGEST);
            let text = clean.get(clean.ceil_char_boundary(start)..).unwrap_or_default();
            let mut header = Header::new_gnu();
            header.set_entry_type(EntryType::Regular);
            header.set_size(text.len() as u64);
            header.set_mode(0o600);
            header.set_mtime(now);
            tar.append_data(&mut header, format!("wharf-support/{}", part.name), text.as_bytes())?;
        }
        tar.into_inner()?.flush()?;
        Ok(self.parts.into_iter().map(|part| part.name).collect())
    }

    fn contents(&self, host: &str, now: u64) -> String {
        let mut text = format!("Wharf on {host}, {}\n\n", utc(now));
        for part in &self.parts {
            // Writing to a String does not fail.
            let _ = writeln!(text, "{:<32} {}", part.name, part.about);
        }
        text.push_str(
            "\nWhat a key of a configuration, a variable, a flag or a part of a URL names as a secret (password, token, \
             psk, ...) is replaced by [redacted], wherever it stands, and so are private keys and JSON web tokens. \
             Addresses, names and rules are as they are.\n",
        );
        if !self.left_out.is_empty() {
            let _ = writeln!(text, "\nLeft out:\n{}", self.left_out.join("\n"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wharf_broker::secrets::learn;

    use super::*;

    #[test]
    fn a_bundle_lists_itself_and_has_no_secrets() {
        let mut bundle = Bundle::default();
        let conf = json!({"type": "x", "password": "bundled-secret"});
        wharf_broker::secrets::learn(conf.as_object().unwrap());
        bundle.json("b.json", "a list", json!({"config": conf.to_string(), "token": 7}));
        bundle.text("a.log", "a log", "it said bundled-secret\n");
        bundle.attempt("c.txt", "a program", Err::<String, _>("it is not installed"));
        let mut bytes = Vec::new();
        assert_eq!(bundle.write(&mut bytes, "node-1").unwrap(), ["CONTENTS.txt", "a.log", "b.json"]);
        let whole = String::from_utf8_lossy(&bytes);
        assert!(!whole.contains("bundled-secret"), "{whole}");
        for words in
            ["it said [redacted]", "c.txt: it is not installed", "a list", r#"\"password\":\"[redacted]\""#]
        {
            assert!(whole.contains(words), "{words} in {whole}");
        }
        let mut archive = tar::Archive::new(&bytes[..]);
        let names: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .collect();
        assert_eq!(names, ["wharf-support/CONTENTS.txt", "wharf-support/a.log", "wharf-support/b.json"]);
    }

    #[test]
    fn no_secret_is_in_the_tar_by_whatever_it_is_known() {
        let mut bundle = Bundle::default();
        let list = json!({"type": "x", "plugins": [{
            "psk": "planted-psk", "pw": "planted-pw", "sasl": {"user": "planted-sasl"}, "etcd_key": "planted-etcd",
            "auth": {"type": "x", "value": "planted-auth"}, "community": "planted-community",
            "env": ["DB_PASSWORD=planted in a variable"], "command": ["run", "--token", "planted-flag"],
            "url": "http://planted-user@h/x?a=1&access_token=planted-query&b=2",
            "file": "-----BEGIN PRIVATE KEY-----\nplantedPEM\n-----END PRIVATE KEY-----\n",
        }]});
        learn(list.as_object().unwrap());
        bundle.json("lists/a.conflist", "a list", list.clone());
        bundle.json(
            "journals.json",
            "records",
            json!([{"config": list.to_string(), "args": "A=1;PIN=planted-pin"}]),
        );
        bundle.text(
            "wharf.log",
            "the log",
            "it has planted in a variable and planted-psk, DB_PASSWORD=planted-log --token=planted-word\n\
             GET /?access_token=planted-get eyJplantedJwt.eyJplantedJwt.x http://root:planted-url@h\n\
             -----BEGIN RSA PRIVATE KEY-----\nplantedKey\nplantedKey==\n-----END RSA PRIVATE KEY-----\n\
             {\"message\":\"psk=planted-message\",\"pw\":\"planted-member\"}\n",
        );
        bundle.leave_out("settings", "token = \"planted-fault\"");
        let mut bytes = Vec::new();
        bundle.write(&mut bytes, "h").unwrap();
        let whole = String::from_utf8_lossy(&bytes);
        let left: Vec<&str> = whole.lines().filter(|line| line.contains("lanted")).collect();
        assert!(left.is_empty(), "{left:#?}");
        assert!(
            whole.contains("?a=1&access_token=[redacted]&b=2") && whole.contains("A=1;PIN=[redacted]"),
            "{whole}"
        );
    }

    #[test]
    fn of_a_long_part_the_end_is_kept() {
        let mut bundle = Bundle::default();
        bundle.text("long", "", "ä".repeat(LONGEST) + "the end");
        let mut bytes = Vec::new();
        bundle.write(&mut bytes, "h").unwrap();
        assert!(bytes.len() < LONGEST + 10_000);
        assert!(String::from_utf8_lossy(&bytes).contains("the end"));
    }
}
