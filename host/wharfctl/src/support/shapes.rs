//! Secrets that no key of a configuration names: they are known by their shape. A bundle goes to strangers, and so rather
//! too much is taken out of it than too little.

use serde_json::Value;
use wharf_broker::secrets::{REDACTED, is_secret};

/// No key is longer, in bytes.
const LONGEST_PEM: usize = 16 << 10;
const DASHES: &str = "-----";
/// What a JWT begins with, and a PEM block in base64.
const ENCODED: [&str; 2] = ["eyJ", "LS0tLS1CRUdJTi"];
/// Shorter ones are words.
const SHORTEST_ENCODED: usize = 16;
/// Names in the query of a URL that say little elsewhere.
const IN_QUERIES: [&str; 4] = ["code", "key", "sig", "signature"];
/// Values that say that there is no secret, or how it is used.
const ORDINARY: [&str; 4] = ["true", "false", "null", "none"];
const SCHEMES: [&str; 3] = ["bearer", "basic", "token"];

/// A text without what looks like a secret.
pub(super) fn mask(text: &str) -> String {
    pairs(&users(&encoded(&pem(text))), &mut Vec::new())
}

/// The same of every string of a value, which is better understood than a text is. What was found is added to `found`.
pub(super) fn mask_value(value: &mut Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => *text = whole(text, found),
        Value::Array(items) => {
            let mut flagged = false;
            for item in items {
                match &mut *item {
                    Value::String(text) if flagged && !text.starts_with('-') => take(text, found),
                    item => mask_value(item, found),
                }
                flagged = item.as_str().is_some_and(is_secret_flag);
            }
        }
        Value::Object(members) => {
            // As in the environment of a container.
            let named = ["name", "key"].iter().filter_map(|key| members.get(*key)?.as_str()).any(is_secret);
            for (key, member) in members {
                match member {
                    Value::String(text) if named && key == "value" => take(text, found),
                    member => mask_value(member, found),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// `--token`, whose value is the next word.
fn is_secret_flag(text: &str) -> bool {
    text.starts_with('-') && text.chars().all(is_name) && is_secret(text)
}

fn take(text: &mut String, found: &mut Vec<String>) {
    if text != REDACTED {
        found.push(std::mem::replace(text, REDACTED.to_owned()));
    }
}

/// A string of a value: where it begins as `NAME=`, all the rest is the value, also with spaces.
fn whole(text: &str, found: &mut Vec<String>) -> String {
    if text.trim_start().starts_with(['{', '['])
        && let Ok(mut inner) = serde_json::from_str::<Value>(text)
    {
        mask_value(&mut inner, found);
        return inner.to_string();
    }
    // CNI_ARGS are several of them.
    let args: Option<Vec<(&str, &str)>> = text.split(';').map(pair).collect();
    let args = args.filter(|args| args.len() > 1).or_else(|| pair(text).map(|one| vec![one]));
    if let Some(args) = args.filter(|args| args.iter().any(|(name, _)| is_secret(name))) {
        let clean = args.into_iter().map(|(name, value)| {
            if is_secret(name) && !value.starts_with(REDACTED) {
                found.push(value.to_owned());
                return [name, "=", REDACTED].concat();
            }
            [name, "=", value].concat()
        });
        return clean.collect::<Vec<_>>().join(";");
    }
    pairs(&users(&encoded(&pem(text))), found)
}

fn pair(text: &str) -> Option<(&str, &str)> {
    text.split_once('=').filter(|(name, _)| !name.is_empty() && name.chars().all(is_name))
}

/// The bodies of PEM blocks that are neither certificates nor public keys.
fn pem(text: &str) -> String {
    const BEGIN: &str = "-----BEGIN ";
    let mut new = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once(BEGIN) {
        new.push_str(before);
        new.push_str(BEGIN);
        rest = behind;
        let Some((label, body)) = behind.split_once(DASHES) else { continue };
        let open = ["PUBLIC", "CERTIFICATE", "\n"].iter().any(|word| label.contains(word));
        if open || body.starts_with(REDACTED) {
            continue;
        }
        new.push_str(label);
        new.push_str(DASHES);
        let end = body.find(DASHES).filter(|end| *end <= LONGEST_PEM);
        // Of one that was cut off, what can be a part of it.
        let foreign = |c: char| !(c.is_ascii_alphanumeric() || c.is_whitespace() || "+/=\\,:-".contains(c));
        let end = end.or_else(|| body.find(foreign)).unwrap_or(body.len());
        new.push_str(REDACTED);
        rest = body.get(end..).unwrap_or_default();
    }
    new.push_str(rest);
    new
}

/// What is base64 of a JSON object or of a PEM block.
fn encoded(text: &str) -> String {
    let mut new = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = ENCODED.iter().filter_map(|begin| rest.find(begin)).min() {
        let (before, found) = rest.split_at(at);
        new.push_str(before);
        let outside = |c: char| !(c.is_ascii_alphanumeric() || "_-+/=.".contains(c));
        let length = found.find(outside).unwrap_or(found.len());
        let (run, behind) = found.split_at(length);
        let new_word = {
            let mut last = new.chars().rev();
            let (last, one_before) = (last.next(), last.next());
            // Behind a line break that is escaped, a letter is none.
            !last.is_some_and(|c| c.is_ascii_alphanumeric()) || one_before == Some('\\')
        };
        new.push_str(if new_word && length >= SHORTEST_ENCODED { REDACTED } else { run });
        rest = behind;
    }
    new.push_str(rest);
    new
}

/// `scheme://user:password@host`: without the password, or without the user where that is all there is.
fn users(text: &str) -> String {
    let mut new = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("://") {
        new.push_str(before);
        new.push_str("://");
        let ends = |c: char| c.is_whitespace() || "/?#\"'`<>\\".contains(c);
        let (authority, after) = behind.split_at(behind.find(ends).unwrap_or(behind.len()));
        rest = behind;
        if let Some((user, host)) = authority.rsplit_once('@') {
            if let Some((name, _)) = user.split_once(':') {
                new.push_str(name);
                new.push(':');
            }
            new.push_str(REDACTED);
            new.push('@');
            new.push_str(host);
            rest = after;
        }
    }
    new.push_str(rest);
    new
}

/// Values behind secret names: `NAME=value`, `name: value`, `--flag value`, `"name":"value"`, `?name=value&`.
fn pairs(text: &str, found: &mut Vec<String>) -> String {
    let mut new = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(is_name) {
        let (between, from_name) = rest.split_at(at);
        new.push_str(between);
        let before = new.chars().next_back().unwrap_or(' ');
        let (name, behind) = from_name.split_at(from_name.find(|c| !is_name(c)).unwrap_or(from_name.len()));
        new.push_str(name);
        rest = behind;
        if let Some((separator, value, after)) = value(before, name, behind) {
            new.push_str(separator);
            new.push_str(REDACTED);
            found.push(value.to_owned());
            rest = after;
        }
    }
    new.push_str(rest);
    new
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')
}

/// What is between a secret's name and its value, the value, and what follows; none if the name is no secret's, or has
/// no value.
fn value<'t>(before: char, name: &str, behind: &'t str) -> Option<(&'t str, &'t str, &'t str)> {
    let in_query = matches!(before, '?' | '&');
    // `\n` is a line break where a text is escaped.
    let escaped = name.get(1..).filter(|_| before == '\\');
    let secret = is_secret(name) || escaped.is_some_and(is_secret);
    if !(secret || in_query && IN_QUERIES.contains(&name)) {
        return None;
    }
    let is_flag = name.starts_with('-') || escaped.is_some_and(|name| name.starts_with('-'));
    let closing = quote(behind);
    let from = separated(closing, behind, is_flag)?;
    let from = from.trim_start_matches([' ', '\t']);
    let opening = quote(from);
    let from = from.get(opening.len()..)?;
    if from.starts_with(REDACTED) {
        return None;
    }
    let line = from.find('\n').unwrap_or(from.len());
    // A number in JSON, a part of a URL, one of several arguments.
    let ends: &[char] = match before {
        '?' | '&' => &['&', '#'],
        ';' => &[';'],
        _ if !closing.is_empty() => &[',', '}', ']'],
        _ => &[],
    };
    let length = if !opening.is_empty() {
        // Not at a quote that is a part of it.
        let ends =
            |(at, _): &(usize, &str)| opening.len() > 1 || !from.get(..*at).unwrap_or("").ends_with('\\');
        from.match_indices(opening).find(ends).map_or(line, |(at, _)| at)
    } else if from.starts_with(['[', '{']) {
        line
    } else {
        bare(from, ends)
    };
    let (value, after) = from.split_at_checked(length)?;
    let plain = value.trim_matches(|c: char| !c.is_alphanumeric());
    if plain.is_empty() || ORDINARY.contains(&plain) {
        return None;
    }
    let separator = behind.get(..behind.len() - from.len())?;
    Some((separator, value, after))
}

/// What follows the separator of a name and its value; none if there is none.
fn separated<'t>(closing: &str, behind: &'t str, is_flag: bool) -> Option<&'t str> {
    let tail = behind.get(closing.len()..)?.trim_start_matches([' ', '\t']);
    if let Some(from) = tail.strip_prefix('=') {
        return (!from.starts_with('=')).then_some(from);
    }
    if let Some(from) = tail.strip_prefix(':') {
        return (!closing.is_empty() || from.starts_with([' ', '\t', '"', '\''])).then_some(from);
    }
    let from = if closing.is_empty() { tail } else { tail.strip_prefix(',').unwrap_or(tail) };
    let next_flag = from.trim_start_matches([' ', '\t', '"', '\'', '\\']).starts_with('-');
    (is_flag && from.len() < behind.len() && !next_flag).then_some(from)
}

/// The quote that a text begins with, with what escapes it; empty if there is none.
fn quote(text: &str) -> &str {
    let marks = text.trim_start_matches('\\');
    let length = if marks.starts_with(['"', '\'', '`']) { text.len() - marks.len() + 1 } else { 0 };
    text.get(..length).unwrap_or_default()
}

/// The length of a value that is not quoted: to the next space or quote, or one of `ends`.
fn bare(text: &str, ends: &[char]) -> usize {
    let is_end = |(at, c): (usize, char)| {
        let escapes =
            || text.get(at + 1..).is_some_and(|rest| rest.starts_with(['"', '\'', '\\', 'n', 'r', 't']));
        let quotes = matches!(c, '"' | '\'' | '`') || (c == '\\' && escapes());
        (c.is_whitespace() || quotes || ends.contains(&c)).then_some(at)
    };
    let length = text.char_indices().find_map(is_end).unwrap_or(text.len());
    let (word, behind) = text.split_at_checked(length).unwrap_or((text, ""));
    // `Authorization: Bearer` has it in the next word.
    let scheme = SCHEMES.iter().any(|scheme| word.eq_ignore_ascii_case(scheme));
    match behind.strip_prefix(' ') {
        Some(next) if scheme => length + 1 + bare(next, ends),
        _ => length,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_behind_secret_names_are_taken_out() {
        for (text, expected) in [
            ("env DB_PASSWORD=planted x=1", "env DB_PASSWORD=[redacted] x=1"),
            ("DB_PASSWORD='planted two' x", "DB_PASSWORD='[redacted]' x"),
            ("run --token=planted -v", "run --token=[redacted] -v"),
            ("run --token planted -v", "run --token [redacted] -v"),
            ("run -psk \"planted two\" -v", "run -psk \"[redacted]\" -v"),
            (r#"["--token", "planted", "-v"]"#, r#"["--token", "[redacted]", "-v"]"#),
            ("run --token --verbose", "run --token --verbose"),
            ("GET /x?a=1&access_token=planted&b=2", "GET /x?a=1&access_token=[redacted]&b=2"),
            ("GET /x?key=planted#top", "GET /x?key=[redacted]#top"),
            ("a=b;API_TOKEN=planted;K8S_POD_NAME=p", "a=b;API_TOKEN=[redacted];K8S_POD_NAME=p"),
            (r#"{"psk":"planted","mtu":1}"#, r#"{"psk":"[redacted]","mtu":1}"#),
            (r#"{\"psk\":\"planted\",\"mtu\":1}"#, r#"{\"psk\":\"[redacted]\",\"mtu\":1}"#),
            (r#"{"pin":1234567}"#, r#"{"pin":[redacted]}"#),
            (r#"{"psk":"planted \"planted","mtu":1}"#, r#"{"psk":"[redacted]","mtu":1}"#),
            ("pw = 12 # of it", "pw = [redacted] # of it"),
            ("tokens = ['planted', 'planted']\nx = 1", "tokens = [redacted]\nx = 1"),
            ("Authorization: Bearer planted\nHost: h", "Authorization: [redacted]\nHost: h"),
            (r"first\npsk=planted\nmtu=1", r"first\npsk=[redacted]\nmtu=1"),
            ("password: planted, it said", "password: [redacted] it said"),
        ] {
            assert_eq!(mask(text), expected, "{text}");
            assert_eq!(mask(expected), expected, "once is enough");
        }
    }

    #[test]
    fn keys_and_tokens_are_known_without_a_name() {
        let key = "-----BEGIN EC PRIVATE KEY-----\nplanted+/=\nplanted\n-----END EC PRIVATE KEY-----";
        let clean = "-----BEGIN EC PRIVATE KEY-----[redacted]-----END EC PRIVATE KEY-----";
        for (text, expected) in [
            (format!("a {key} b"), format!("a {clean} b")),
            (key.replace('\n', "\\n"), clean.to_owned()),
            (key.replace('\n', "\nnode wharf[7]: "), clean.to_owned()),
            (
                "-----BEGIN PRIVATE KEY-----\nplanted".to_owned(),
                "-----BEGIN PRIVATE KEY-----[redacted]".to_owned(),
            ),
            ("said eyJplanted.eyJplanted-_x, and".to_owned(), "said [redacted], and".to_owned()),
            (r"\neyJplanted.eyJplanted".to_owned(), r"\n[redacted]".to_owned()),
            ("data LS0tLS1CRUdJTiBplanted=".to_owned(), "data [redacted]".to_owned()),
            (
                "https://u:planted@h:1/x ftp://planted@h".to_owned(),
                "https://u:[redacted]@h:1/x ftp://[redacted]@h".to_owned(),
            ),
        ] {
            assert_eq!(mask(&text), expected, "{text}");
            assert_eq!(mask(&expected), expected, "once is enough");
        }
    }

    #[test]
    fn what_only_looks_like_it_stays() {
        for text in [
            "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
            "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----",
            "http://10.0.0.1:2379/a@b eyJ keyJournalOfSomething",
            "-A POSTROUTING -s 10.1.0.2/32 -m comment --comment \"name: \\\"net\\\"\" -j CNI-SN-1 --to-ports 80",
            "{\n  \"auth\": {\n    \"type\": \"x\"\n  },\n  \"session\": true,\n  \"tokens\": []\n}",
            "0::/user.slice/session-1.scope key=value \"key\": \"app\" token == x net.ipv4.tcp_syncookies = 1",
            "sha256:0123 fd00::1 20:00:01 net.ipv6.conf.all.forwarding = 1",
        ] {
            assert_eq!(mask(text), text);
        }
    }

    #[test]
    fn a_value_is_understood_better_than_a_text() {
        let mut value = json!({
            "env": ["DB_PASSWORD=planted two words", "PATH=/bin", {"name": "WIFI_PSK", "value": "planted psk"}],
            "command": ["run", "--token", "planted flag", "--token", "-v"],
            "text": json!({"args": ["--pw=planted pw"], "mtu": 1}).to_string(),
            "labels": [{"key": "app", "value": "web"}],
            "args": "IgnoreUnknown=1;PW=planted arg;K8S_POD_NAME=p",
        });
        let mut found = Vec::new();
        mask_value(&mut value, &mut found);
        let expected = json!({
            "env": ["DB_PASSWORD=[redacted]", "PATH=/bin", {"name": "WIFI_PSK", "value": REDACTED}],
            "command": ["run", "--token", REDACTED, "--token", "-v"],
            "text": json!({"args": ["--pw=[redacted]"], "mtu": 1}).to_string(),
            "labels": [{"key": "app", "value": "web"}],
            "args": "IgnoreUnknown=1;PW=[redacted];K8S_POD_NAME=p",
        });
        assert_eq!(value, expected);
        found.sort();
        assert_eq!(found, ["planted arg", "planted flag", "planted psk", "planted pw", "planted two words"]);
    }
}
