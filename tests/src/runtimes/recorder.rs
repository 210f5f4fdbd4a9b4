//! What a runtime sends: each plugin is replaced by a script that writes down a call, and hands it on to Wharf.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::Node;

use super::Machine;

/// Calls come at the same time, so each takes its number under a lock.
const SCRIPT: &str = r#"#!/bin/sh
root='ROOT'
all=$root/var/lib/recorded
exec 9> $all.lock
flock 9
call=$all/$(printf %05d $(ls $all | wc -l))
mkdir $call
exec 9>&-
cat /proc/$$/environ > $call/env
cat > $call/stdin
"$root/opt/cni/real/${0##*/}" < $call/stdin > $call/stdout 2> $call/stderr
status=$?
cat $call/stdout
cat $call/stderr >&2
printf '%s\n%s\n' "${0##*/}" $status > $call/done
exit $status
"#;

/// One call of a plugin.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The plugin's name.
    pub plugin: String,
    /// Its whole environment.
    pub env: BTreeMap<String, String>,
    /// Its standard input; `null` if that is no JSON.
    pub stdin: Value,
    /// Its exit status.
    pub status: i32,
    /// Its standard output; `null` if that is no JSON.
    pub stdout: Value,
}

impl Call {
    /// A variable; empty if it is not set.
    pub fn var(&self, name: &str) -> &str {
        self.env.get(name).map_or("", String::as_str)
    }

    /// As it stands in a fixture.
    pub fn json(&self) -> Value {
        let Self { plugin, env, stdin, status, stdout } = self;
        json!({"plugin": plugin, "env": env, "stdin": stdin, "status": status, "stdout": stdout})
    }

    /// From a fixture.
    pub fn parse(value: &Value) -> Self {
        let env = value["env"].as_object().expect("a call has an environment").iter();
        let text = |value: &Value| value.as_str().expect("a variable is text").to_owned();
        Self {
            plugin: text(&value["plugin"]),
            env: env.map(|(name, value)| (name.clone(), text(value))).collect(),
            stdin: value["stdin"].clone(),
            status: value["status"]
                .as_i64()
                .and_then(|n| i32::try_from(n).ok())
                .expect("a call has a status"),
            stdout: value["stdout"].clone(),
        }
    }
}

/// The records of a machine.
#[derive(Debug)]
pub struct Recorder {
    folder: PathBuf,
}

impl Recorder {
    /// Puts itself before the plugins of a machine.
    pub fn install(machine: &Machine) -> Self {
        Self::below(machine.node(), "")
    }

    /// Puts itself before the plugins of a node, for who starts them in the node's own mounts.
    pub fn of_node(node: &Node) -> Self {
        Self::below(node, &node.root().display().to_string())
    }

    fn below(node: &Node, seen_as: &str) -> Self {
        let (bin, root) = (&node.bin, node.root());
        let (real, folder) = (root.join("opt/cni/real"), root.join("var/lib/recorded"));
        let text = SCRIPT.replace("ROOT", seen_as);
        fs::rename(bin, &real).expect("move the plugins");
        fs::create_dir_all(bin).expect("create a folder");
        fs::create_dir_all(&folder).expect("create a folder");
        for entry in fs::read_dir(&real).expect("list the plugins").flatten() {
            let script = bin.join(entry.file_name());
            fs::write(&script, &text).expect("write the script");
            fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("make it executable");
        }
        Self { folder }
    }

    /// What was called so far, in order.
    pub fn calls(&self) -> Vec<Call> {
        let mut folders: Vec<PathBuf> =
            fs::read_dir(&self.folder).expect("the records").flatten().map(|entry| entry.path()).collect();
        // Those that have come to their end.
        folders.retain(|folder| folder.join("done").exists());
        folders.sort();
        folders.iter().map(|folder| read(folder)).collect()
    }

    /// What was called since the last time that somebody asked.
    pub fn take(&self) -> Vec<Call> {
        let calls = self.calls();
        for entry in fs::read_dir(&self.folder).expect("the records").flatten() {
            fs::remove_dir_all(entry.path()).expect("remove a record");
        }
        calls
    }
}

fn read(folder: &std::path::Path) -> Call {
    let text = |name: &str| {
        let bytes =
            fs::read(folder.join(name)).unwrap_or_else(|e| panic!("{}/{name}: {e}", folder.display()));
        String::from_utf8(bytes).expect("UTF-8")
    };
    let end = text("done");
    let (plugin, status) = end.trim().split_once('\n').expect("a name and a status");
    let env = text("env");
    let env = env.split_terminator('\0').filter_map(|line| line.split_once('='));
    Call {
        plugin: plugin.to_owned(),
        env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        stdin: serde_json::from_str(&text("stdin")).unwrap_or_default(),
        status: status.parse().expect("a status"),
        stdout: serde_json::from_str(&text("stdout")).unwrap_or_default(),
    }
}
