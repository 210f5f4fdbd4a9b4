//! Recorded calls as files: one call a line, with everything that differs from run to run replaced by its number.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::recorder::Call;

/// Where they are.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("recorded")
}

/// All of them: name and calls.
pub fn all() -> Vec<(String, Vec<Call>)> {
    let entries = fs::read_dir(folder()).expect("the recorded calls").flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.sort();
    let name = |file: &Path| file.file_stem().expect("a file has a name").to_string_lossy().into_owned();
    files.iter().map(|file| (name(file), read(file))).collect()
}

fn read(file: &Path) -> Vec<Call> {
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let parse = |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    text.lines().map(|line| Call::parse(&parse(line))).collect()
}

/// These calls are those of the file with this name. With `WHARF_RECORD` in the environment they become those.
#[track_caller]
pub fn assert_recorded(name: &str, calls: &[Call], folder_of_node: &Path) {
    let file = folder().join(format!("{name}.jsonl"));
    let calls = plain(calls, &folder_of_node.display().to_string());
    let lines: Vec<String> = calls.iter().map(|call| call.json().to_string()).collect();
    if std::env::var_os("WHARF_RECORD").is_some() {
        fs::create_dir_all(folder()).expect("create a folder");
        fs::write(&file, lines.join("\n") + "\n").expect("write the recorded calls");
        return;
    }
    for (number, (known, call)) in read(&file).iter().zip(&calls).enumerate() {
        let [known, call] = [known, call].map(|call| format!("{:#}", with_ports_in_order(call.json())));
        assert_eq!(known, call, "{name}, call {number}; WHARF_RECORD=1 records anew");
    }
    assert_eq!(read(&file).len(), calls.len(), "{name}; WHARF_RECORD=1 records anew");
}

/// podman keeps the ports of a container in a map: they come in any order.
fn with_ports_in_order(mut value: Value) -> Value {
    match &mut value {
        Value::Object(members) => {
            for (key, member) in members.iter_mut() {
                *member = with_ports_in_order(member.take());
                if let (true, Value::Array(ports)) = (key == "portMappings", member) {
                    ports.sort_by_key(ToString::to_string);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = with_ports_in_order(item.take())),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    value
}

/// The calls without what is of one run. Those for the loopback come first: some runtimes make them at the same time.
fn plain(calls: &[Call], folder_of_node: &str) -> Vec<Call> {
    let mut calls = calls.to_vec();
    calls.sort_by_key(|call| call.var("CNI_IFNAME") != "lo");
    for call in &mut calls {
        if let Some(args) = call.env.get_mut("CNI_ARGS") {
            // Some runtimes keep them in a map.
            let mut words: Vec<&str> = args.split(';').collect();
            words.sort_unstable();
            *args = words.join(";");
        }
        // Of the test, not of the runtime.
        call.env.remove("WHARF_ROOT");
    }
    let all = calls.iter().map(|call| with_ports_in_order(call.json()));
    let text = json!(all.collect::<Vec<_>>()).to_string();
    let text = text.replace(&format!("{folder_of_node}/root"), "").replace(folder_of_node, "/node");
    let calls: Value = serde_json::from_str(&Names::default().plain(&text)).expect("it was JSON before");
    calls.as_array().expect("a list").iter().map(Call::parse).collect()
}

/// What was replaced, in the order of its first appearance.
#[derive(Default)]
struct Names {
    ids: Vec<String>,
    uuids: Vec<String>,
    macs: Vec<String>,
    links: Vec<String>,
    builds: Vec<String>,
    processes: Vec<String>,
}

impl Names {
    /// Replaces word by word; a word is what identifiers are made of.
    fn plain(&mut self, text: &str) -> String {
        let is_part = |c: char| c.is_ascii_alphanumeric() || [':', '-'].contains(&c);
        let (mut plain, mut rest, mut before) = (String::new(), text, "");
        while !rest.is_empty() {
            let (word, tail) = rest.split_at(rest.find(|c| !is_part(c)).unwrap_or(rest.len()));
            plain.push_str(&self.word(word, before));
            let (between, tail) = tail.split_at(tail.find(is_part).unwrap_or(tail.len()));
            plain.push_str(between);
            (before, rest) = (if between == "/" { word } else { "" }, tail);
        }
        plain
    }

    fn word(&mut self, word: &str, before: &str) -> String {
        let is_hex = |text: &str| text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
        let hex_after = |prefix: &str, length| {
            word.strip_prefix(prefix).is_some_and(|rest| rest.len() == length && is_hex(rest))
        };
        let is_number = !word.is_empty() && word.bytes().all(|c| c.is_ascii_digit());
        if before == "proc" && is_number {
            return format!("{}", 1000 + number(&mut self.processes, word));
        }
        if before == "fd" && is_number {
            return "3".to_owned();
        }
        if hex_after("", 64) {
            return id(number(&mut self.ids, word));
        }
        if let Some(known) = self.ids.iter().position(|id| word.len() == 12 && id.starts_with(word)) {
            return id(known + 1).split_off(52);
        }
        if let Some(rest) = word.strip_prefix("buildah-buildah").filter(|rest| !rest.is_empty()) {
            return format!("buildah-buildah{}", number(&mut self.builds, rest));
        }
        if hex_after("veth", 8) {
            return format!("veth{:08}", number(&mut self.links, word));
        }
        if hex_after("bwp", 12) {
            return format!("bwp{:012}", number(&mut self.links, word));
        }
        let is_mac = word.len() == 17 && word.split(':').all(|part| part.len() == 2 && is_hex(part));
        if is_mac && !word.starts_with("02:00:00") {
            return format!("0a:00:00:00:00:{:02x}", number(&mut self.macs, word));
        }
        match word.split_at_checked(word.len().wrapping_sub(36)) {
            Some((prefix, uuid)) if is_uuid(uuid) => {
                format!("{prefix}00000000-0000-4000-8000-{:012}", number(&mut self.uuids, uuid))
            }
            _ => word.to_owned(),
        }
    }
}

/// A container's id whose beginning and end tell which it is.
fn id(number: usize) -> String {
    format!("{number:02x}").repeat(32)
}

fn is_uuid(text: &str) -> bool {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && text.bytes().all(|c| c == b'-' || c.is_ascii_hexdigit())
}

/// Which of the known it is, from 1 on.
fn number(known: &mut Vec<String>, word: &str) -> usize {
    let position = known.iter().position(|known| known == word).unwrap_or_else(|| {
        known.push(word.to_owned());
        known.len() - 1
    });
    position + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_of_one_run_is_numbered() {
        let (one, two) = ("a".repeat(64), "b".repeat(64));
        let text = format!(
            "{{\"{one}\":\"/var/run/netns/cni-3273eda4-81c2-7e5b-ab8d-a5aa5022b3e8\", \"{two}\", \"{one}\" {} \
             veth12ab34cd 6a:ec:f4:a8:ad:a9 02:00:00:00:00:77 fd01::2/64 /proc/77/fd/12 buildah-buildah123}}",
            "b".repeat(12)
        );
        let (first, second) = ("01".repeat(32), "02".repeat(32));
        let expected = format!(
            "{{\"{first}\":\"/var/run/netns/cni-00000000-0000-4000-8000-000000000001\", \"{second}\", \"{first}\" {} \
             veth00000001 0a:00:00:00:00:01 02:00:00:00:00:77 fd01::2/64 /proc/1001/fd/3 buildah-buildah1}}",
            "02".repeat(6)
        );
        assert_eq!(Names::default().plain(&text), expected);
    }

    #[test]
    fn the_order_of_ports_makes_no_difference() {
        let ports = |ports: [u16; 2]| json!([{"runtimeConfig": {"portMappings": ports, "other": ports}}]);
        let [one, two] = [ports([2, 1]), ports([1, 2])].map(with_ports_in_order);
        assert_eq!(one[0]["runtimeConfig"]["portMappings"], two[0]["runtimeConfig"]["portMappings"]);
        assert_ne!(one, two, "that of anything else does");
    }
}
