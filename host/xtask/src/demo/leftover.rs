//! What stands in the node's network and in Wharf's folders, and what of it is new.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::netns::ip;
use crate::sh;

/// The part with nftables' and iptables' rules.
pub(crate) const RULES: &str = "nft rules";
/// The part with the files under Wharf's root.
pub(crate) const FILES: &str = "leases and state files";

/// Everything that an attachment could leave, one line each, under a heading.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    parts: Vec<(&'static str, Vec<String>)>,
}

impl Listing {
    /// Reads the calling thread's network namespace and the files under Wharf's root.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let mut files = Vec::new();
        for state in ["var/lib/cni", "run"] {
            walk(&root.join(state), &mut files)?;
        }
        files.sort();
        let prefix = root.display().to_string();
        let nft = sh::output(Command::new("nft").args(["list", "ruleset"]))?;
        let tc = sh::output(Command::new("tc").args(["qdisc", "show"]))?;
        Ok(Self {
            parts: vec![
                ("links", links(&ip("-o link show")?)),
                ("addresses", addresses(&ip("-o addr show")?)),
                ("IPv4 routes", routes(&ip("-4 route show table all")?)),
                ("IPv6 routes", routes(&ip("-6 route show table all")?)),
                (RULES, lines(&nft)),
                ("qdiscs", lines(&tc)),
                (FILES, files.iter().map(|file| file.replace(&prefix, "")).collect()),
            ],
        })
    }

    /// Each part with its lines that are not in `before`.
    pub(crate) fn beyond<'a>(
        &'a self,
        before: &'a Self,
    ) -> impl Iterator<Item = (&'static str, Vec<&'a str>)> {
        self.parts.iter().map(|(part, lines)| {
            let old = before.parts.iter().find(|(name, _)| name == part).map(|(_, lines)| lines);
            let is_new = |line: &&String| old.is_none_or(|old: &Vec<String>| !old.contains(*line));
            (*part, lines.iter().filter(is_new).map(String::as_str).collect())
        })
    }
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(|line| line.trim_end().replace('\t', "    ")).filter(|line| !line.is_empty()).collect()
}

/// Without the local table: the kernel keeps that one by itself, in step with the addresses.
fn routes(text: &str) -> Vec<String> {
    lines(text).into_iter().filter(|line| !line.contains(" table local ")).collect()
}

/// `2: eth0@if3: <...> ...` to `eth0`.
fn links(text: &str) -> Vec<String> {
    let name = |line: &str| {
        let name = line.split(": ").nth(1)?.split('@').next()?;
        Some(name.to_owned())
    };
    text.lines().filter_map(name).collect()
}

/// `2: eth0 inet 10.0.0.1/8 ...` to `eth0 inet 10.0.0.1/8`: the rest of the line counts down or changes by itself.
fn addresses(text: &str) -> Vec<String> {
    text.lines().map(|line| line.split_whitespace().skip(1).take(3).collect::<Vec<_>>().join(" ")).collect()
}

fn walk(dir: &Path, files: &mut Vec<String>) -> Result<()> {
    if !dir.is_dir() {
        return Ok(());
    }
    let entries = fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))?;
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() && !path.is_symlink() {
            walk(&path, files)?;
        } else {
            files.push(path.display().to_string());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(links: &[&str]) -> Listing {
        Listing { parts: vec![("links", links.iter().map(|&link| link.to_owned()).collect())] }
    }

    #[test]
    fn what_is_new_is_listed() {
        let (before, after) = (listing(&["lo", "wan0"]), listing(&["lo", "wan0", "wharf0", "veth1"]));
        let beyond: Vec<_> = after.beyond(&before).collect();
        assert_eq!(beyond, [("links", vec!["wharf0", "veth1"])]);
    }

    #[test]
    fn links_and_addresses_are_named_without_what_changes() {
        let links = links("1: lo: <LOOPBACK,UP> mtu 65536\n7: veth1@if2: <BROADCAST> mtu 1500\n");
        assert_eq!(links, ["lo", "veth1"]);
        let line = "2: eth0    inet6 fe80::1/64 scope link tentative \\       valid_lft forever";
        assert_eq!(addresses(line), ["eth0 inet6 fe80::1/64"]);
    }
}
