//! Operations and answers as lines of text that are the same wherever they come from.
//!
//! What a kernel makes up is numbered in the order in which it is seen: hardware addresses that nobody chose, and the
//! link-local addresses that are made of them. What a kernel says in parentheses behind an errno differs between
//! versions, and is left out.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::Ipv6Addr;

use serde_json::Value;
use wharf_ops::{Attachment, Error, KernelOp, Mac, Reply};

/// How one machine's answers are told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Words {
    /// How many devices a new namespace has besides `lo`.
    extra: u32,
    chosen: BTreeSet<Mac>,
    made_up: Vec<Mac>,
}

impl Words {
    /// Of a machine with that many.
    pub(crate) fn of(extra: u32) -> Self {
        Self { extra, ..Self::default() }
    }

    /// An operation: its name and its arguments. The hardware addresses in it are somebody's choice.
    pub(crate) fn op(&mut self, op: &KernelOp) -> String {
        let value = serde_json::to_value(op).expect("an operation is JSON");
        let arguments = value.as_object().and_then(|room| room.values().next()).cloned().unwrap_or_default();
        let arguments = arguments.as_object().and_then(|op| op.values().next()).cloned().unwrap_or_default();
        self.choose(&arguments);
        format!("{} {}", op.operation().name, flat(&arguments)).trim_end().to_owned()
    }

    fn choose(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.chosen.extend(text.parse::<Mac>()),
            Value::Array(items) => items.iter().for_each(|item| self.choose(item)),
            Value::Object(members) => members.values().for_each(|member| self.choose(member)),
            _ => {}
        }
    }

    /// What came of it, indented, in one line for each thing.
    pub(crate) fn answer(&mut self, answer: &Result<Reply, Error>) -> String {
        match answer {
            Ok(reply) => {
                let mut value = serde_json::to_value(reply).expect("a reply is JSON");
                self.renumber(&mut value);
                self.indented(&value)
            }
            Err(error) => {
                let errno = error.errno.map(|errno| format!(" errno {errno}")).unwrap_or_default();
                let message = self.same_numbers(&without_asides(error));
                self.same(&format!("    {:?}{errno}: {message}\n", error.kind))
            }
        }
    }

    /// Attachments.
    pub(crate) fn owners(&mut self, owners: &[Attachment]) -> String {
        self.indented(&serde_json::to_value(owners).expect("JSON"))
    }

    fn indented(&mut self, value: &Value) -> String {
        let (name, inner) = match value.as_object().filter(|members| members.len() == 1) {
            Some(members) => {
                members.iter().next().map_or(("", value), |(name, inner)| (name.as_str(), inner))
            }
            None => ("", value),
        };
        let text = match inner.as_array().filter(|items| items.iter().any(Value::is_object) && name != "pair")
        {
            Some(items) => items.iter().fold(format!("    {name}\n"), |mut text, item| {
                let _ = writeln!(text, "      {}", flat(item));
                text
            }),
            None => format!("    {}\n", format!("{name} {}", flat(inner)).trim()),
        };
        self.same(&text)
    }

    /// The number that a link has on a machine whose namespaces are empty at first.
    fn renumber(&self, value: &mut Value) {
        let extra = u64::from(self.extra);
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.renumber(item)),
            Value::Object(members) => {
                for (key, member) in members.iter_mut() {
                    let number = member.as_u64().filter(|number| *number > extra);
                    match (key.as_str(), number) {
                        ("index" | "peer" | "master" | "link" | "maybe-index", Some(number)) => {
                            *member = (number - extra).into();
                        }
                        _ => self.renumber(member),
                    }
                }
            }
            _ => {}
        }
    }

    fn same_numbers(&self, text: &str) -> String {
        let mut parts = text.split('#');
        let mut told = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let digits = part.len() - part.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let number: u32 = part[..digits].parse().unwrap_or(0);
            let number = if number > self.extra { number - self.extra } else { number };
            let _ = write!(told, "#{number}{}", &part[digits..]);
        }
        told
    }

    /// Puts numbers in the place of what is made up.
    fn same(&mut self, text: &str) -> String {
        let is_part = |c: char| c.is_ascii_hexdigit() || c == ':' || c == '/';
        let mut told = String::new();
        let mut rest = text;
        while let Some(start) = rest.find(is_part) {
            let (before, from) = rest.split_at(start);
            let end = from.find(|c| !is_part(c)).unwrap_or(from.len());
            let (word, behind) = from.split_at(end);
            told.push_str(before);
            told.push_str(&self.same_word(word));
            rest = behind;
        }
        told + rest
    }

    fn same_word(&mut self, word: &str) -> String {
        if let Ok(mac) = word.parse::<Mac>() {
            return self.number(mac).map_or_else(|| word.to_owned(), |number| format!("<mac {number}>"));
        }
        let (address, prefix) = word.split_once('/').unwrap_or((word, ""));
        let derived = address.parse::<Ipv6Addr>().ok().and_then(behind);
        match derived.and_then(|mac| self.number(mac)) {
            Some(number) => format!("<link-local of mac {number}>/{prefix}"),
            // Three random groups at least.
            None if derived.is_none() && word.starts_with("fe80::") && word.len() > 20 => {
                "<random link-local>".into()
            }
            None => word.to_owned(),
        }
    }

    /// Which of those that were made up it is.
    fn number(&mut self, mac: Mac) -> Option<usize> {
        if self.chosen.contains(&mac) || mac == Mac([0; 6]) {
            return None;
        }
        let known = self.made_up.iter().position(|known| *known == mac);
        Some(
            1 + known.unwrap_or_else(|| {
                self.made_up.push(mac);
                self.made_up.len() - 1
            }),
        )
    }
}

/// The hardware address that a link-local address was made of.
fn behind(address: Ipv6Addr) -> Option<Mac> {
    match address.octets() {
        [0xfe, 0x80, 0, 0, 0, 0, 0, 0, upper @ .., 0xff, 0xfe, _, _, _] => {
            let [.., x, y, z] = address.octets();
            let [first, second, third] = upper;
            Some(Mac([first ^ 2, second, third, x, y, z]))
        }
        _ => None,
    }
}

/// The message without what the kernel says besides the errno.
fn without_asides(error: &Error) -> String {
    let Some(errno) = error.errno else { return error.message.clone() };
    let words = nix::errno::Errno::from_raw(errno).desc();
    let Some((before, after)) = error.message.split_once(&format!("{words} (")) else {
        return error.message.clone();
    };
    let after = after.split_once(')').map_or("", |(_, after)| after);
    format!("{before}{words}{after}")
}

fn flat(value: &Value) -> String {
    match value {
        Value::Null => "none".into(),
        Value::String(text) if text.contains(char::is_control) => text.escape_debug().to_string(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(flat).collect::<Vec<_>>().join(", ")),
        Value::Object(members)
            if members.len() == 3 && members.contains_key("ns") && members.contains_key("index") =>
        {
            format!("{}:{}#{}", flat(&members["ns"]), flat(&members["name"]), members["index"])
        }
        Value::Object(members) => {
            let told = members.iter().filter(|(_, value)| !value.is_null());
            told.map(|(key, value)| match value {
                Value::Object(inner) if !inner.contains_key("index") => format!("{key}={{{}}}", flat(value)),
                _ => format!("{key}={}", flat(value)),
            })
            .collect::<Vec<_>>()
            .join(" ")
        }
        other => other.to_string(),
    }
}
