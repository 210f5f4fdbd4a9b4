//! A driver on libcni itself: CHECK, GC and STATUS, which no other client sends, and DEL with what libcni has cached.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::{Node, Target, sh};

use super::{List, file};

/// libcni's answer: what it prints, or what it says of an error.
pub type Answer = Result<String, String>;

/// A libcni with one network on a node.
#[derive(Debug)]
pub struct Libcni<'n> {
    node: &'n Node,
    driver: PathBuf,
    conflist: PathBuf,
}

impl<'n> Libcni<'n> {
    /// `version` is `1.1` or `1.3`. The error says why there is none here.
    pub fn new(node: &'n Node, version: &str, list: &List) -> Result<Self, String> {
        let driver = file(&format!("libcni-{version}/driver"))?;
        let conflist = node.folder("conflists").join(format!("{}.conflist", list.name));
        fs::write(&conflist, list.json().to_string()).expect("write the configuration");
        Ok(Self { node, driver, conflist })
    }

    fn call(&self, command: &str, rest: &[&str]) -> Answer {
        let mut driver = Command::new(&self.driver);
        driver.arg(command).arg(&self.conflist).arg(&self.node.bin).arg(self.node.folder("cache"));
        driver.args(rest).env_clear().env("WHARF_ROOT", self.node.root());
        let output = self.node.run(|| sh::output(&mut driver));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    fn of(&self, command: &str, target: &Target) -> Answer {
        let capabilities = target.capabilities.to_string();
        self.call(command, &[&target.id, &target.netns, &target.ifname, &capabilities])
    }

    /// ADD, which must succeed. Answers the result as libcni prints it.
    pub fn add(&self, target: &Target) -> Value {
        let text = self.of("add", target).unwrap_or_else(|error| panic!("ADD: {error}"));
        serde_json::from_str(&text).expect("a result")
    }

    /// ADD.
    pub fn try_add(&self, target: &Target) -> Answer {
        self.of("add", target)
    }

    /// CHECK, with the result that libcni keeps.
    pub fn check(&self, target: &Target) -> Answer {
        self.of("check", target)
    }

    /// DEL, with the result that libcni keeps, if it still does.
    pub fn del(&self, target: &Target) -> Answer {
        self.of("del", target)
    }

    /// STATUS.
    pub fn status(&self) -> Answer {
        self.call("status", &[])
    }

    /// GC with these attachments still valid. libcni first sends a DEL for each that it has cached and is not.
    pub fn gc(&self, valid: &[&Target]) -> Answer {
        let words: Vec<&str> = valid.iter().flat_map(|target| [&*target.id, &*target.ifname]).collect();
        self.call("gc", &words)
    }

    /// libcni loses what it has cached, as on a tmpfs after a restart of a runtime's container.
    pub fn forget(&self) {
        fs::remove_dir_all(self.node.folder("cache")).expect("remove the cache");
    }
}
