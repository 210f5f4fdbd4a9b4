//! The legacy flavour, which netlink cannot reach: one `iptables-legacy-restore --noflush` per change. An ADD does
//! not read the table first but writes as if the shared chains were there and its own were not, which is nearly
//! always so; only if that fails does it look.

use std::io::{ErrorKind as IoErrorKind, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use wharf_ops::{Attachment, Error, ErrorKind};

use crate::netns::Netns;
use crate::nftables::expr::Side;

use super::loopback;
use super::names::{HOSTPORT_DNAT, HOSTPORT_MASQ, HOSTPORT_SETMARK, untag};
use super::rule::{Match, PortsOf, Rule, Target};
use super::tables::{Found, Place, Refusal, Step};
use super::words::saved;

/// Seconds to wait for the lock that all users of legacy iptables share.
const LOCK_PATIENCE: &str = "10";

/// Where distributions put it, which may not be on a runtime's PATH.
pub(super) const FOLDERS: [&str; 2] = ["/usr/sbin/", "/sbin/"];

/// The nat table of one family.
pub(crate) struct Legacy<'a> {
    netns: &'a Netns,
    v4: bool,
    content: Option<Content>,
    /// Whether a change brings the guard of the loopback addresses with it, if it is missing.
    guards: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Content {
    chains: Vec<String>,
    rules: Vec<Found>,
    /// What puts the guard of the loopback addresses in place; nothing if it is.
    guard: String,
}

impl<'a> Legacy<'a> {
    /// Reads nothing until it has to.
    pub(crate) fn new(netns: &'a Netns, v4: bool) -> Self {
        Self { netns, v4, content: None, guards: false }
    }

    /// As [`Self::new`]; a change sees to the guard of the loopback addresses in the same run of the program.
    pub(crate) fn guarding_loopback(self) -> Self {
        Self { guards: true, ..self }
    }

    /// Reads the table now.
    pub(crate) fn read(netns: &'a Netns, v4: bool) -> Result<Self, Error> {
        let mut legacy = Self::new(netns, v4);
        legacy.content = Some(legacy.load()?);
        Ok(legacy)
    }

    pub(super) fn v4(&self) -> bool {
        self.v4
    }

    pub(super) fn is_unread(&self) -> bool {
        self.content.is_none()
    }

    pub(super) fn chain_use(&self, chain: &str) -> Option<u32> {
        let Some(content) = &self.content else {
            let own = chain.starts_with("CNI-")
                && ![HOSTPORT_DNAT, HOSTPORT_MASQ, HOSTPORT_SETMARK].contains(&chain);
            return if own { None } else { Some(1) };
        };
        if !content.chains.iter().any(|name| name == chain) {
            return None;
        }
        let uses = content.rules.iter();
        let uses = uses.filter(|rule| rule.chain == chain || rule.target.as_deref() == Some(chain)).count();
        Some(u32::try_from(uses).unwrap_or(u32::MAX))
    }

    pub(super) fn found(&mut self, chain: Option<&str>) -> Result<Vec<Found>, Error> {
        if self.content.is_none() {
            self.content = Some(self.load()?);
        }
        let rules = self.content.iter().flat_map(|content| &content.rules);
        Ok(rules.filter(|rule| chain.is_none_or(|chain| rule.chain == chain)).cloned().collect())
    }

    pub(super) fn commit(&mut self, steps: &[Step], what: &str) -> Result<(), Refusal> {
        let program = self.program("restore");
        let guard = match &self.content {
            Some(content) => content.guard.clone(),
            None if self.guards => loopback::expectation(),
            None => String::new(),
        };
        let text = guard + &script(steps);
        let outcome = self.run(&program, &["--noflush", "-w", LOCK_PATIENCE], &text);
        let Err(error) = outcome else {
            self.content = None;
            return Ok(());
        };
        let error = error.context(what);
        let now = self.load().map_err(Refusal::Other)?;
        let changed = self.content.as_ref() != Some(&now);
        self.content = Some(now);
        Err(if changed { Refusal::Changed(error) } else { Refusal::Other(error) })
    }

    fn load(&self) -> Result<Content, Error> {
        let text = self.run(&self.program("save"), &["-t", "nat"], "")?;
        let mut content = read(&text, self.v4);
        if self.guards {
            content.guard = loopback::repair(&self.run(&self.program("save"), &["-t", "filter"], "")?);
        }
        Ok(content)
    }

    fn program(&self, verb: &str) -> String {
        format!("{}-legacy-{verb}", if self.v4 { "iptables" } else { "ip6tables" })
    }

    /// In the host's namespace, by the name that tells the flavours apart, else by the plain one.
    fn run(&self, program: &str, arguments: &[&str], input: &str) -> Result<String, Error> {
        let plain = program.replace("-legacy", "");
        let inside = self.netns.enter(|| {
            for name in [program, &plain] {
                for folder in [""].into_iter().chain(FOLDERS) {
                    match run(&format!("{folder}{name}"), arguments, input) {
                        Err(error) if error.kind == ErrorKind::NotFound => {}
                        outcome => return outcome,
                    }
                }
            }
            Err(Error::new(
                ErrorKind::Unsupported,
                format!("this host uses legacy iptables, but there is no {program}: install iptables"),
            ))
        });
        inside.map_err(|error| Error::internal(format!("entering the host's namespace: {error}")))?
    }
}

/// Whether the program that writes rules is in one of these folders.
pub(super) fn installed(mut folders: impl Iterator<Item = PathBuf>) -> Result<(), Error> {
    let has = |folder: PathBuf| {
        ["iptables-legacy-restore", "iptables-restore"].iter().any(|name| folder.join(name).is_file())
    };
    if folders.any(has) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Unsupported,
        "this host can render neither nftables nor iptables rules: its kernel has no nf_tables, and there is no \
         iptables-legacy-restore. Load the module nf_tables, or install iptables",
    ))
}

fn run(program: &str, arguments: &[&str], input: &str) -> Result<String, Error> {
    let failed = |error: std::io::Error| {
        let kind = if error.kind() == IoErrorKind::NotFound { ErrorKind::NotFound } else { ErrorKind::Io };
        Error::new(kind, format!("running {program}: {error}"))
    };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ends before it has read all says why on its own.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(failed)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let first: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).take(2).collect();
    Err(Error::new(ErrorKind::Io, format!("{program} failed ({}): {}", output.status, first.join("; "))))
}

fn script(steps: &[Step]) -> String {
    let mut text = String::from("*nat\n");
    for step in steps {
        let line = match step {
            Step::NewChain(chain) => format!("-N {chain}"),
            Step::DeleteChain(chain) => format!("-F {chain}\n-X {chain}"),
            Step::Append(chain, rule) => format!("-A {chain}{}", rule.words()),
            Step::Insert(chain, rule) => format!("-I {chain}{}", rule.words()),
            Step::Delete(Found { chain, place: Place::Words(words), .. }) => format!("-D {chain} {words}"),
            Step::Expect(chain, rule) => format!("-C {chain}{}", rule.words()),
            Step::Delete(Found { place: Place::Handle(_), .. }) => continue,
        };
        text.push_str(&line);
        text.push('\n');
    }
    text.push_str("COMMIT\n");
    text
}

fn read(text: &str, v4: bool) -> Content {
    let mut content = Content::default();
    for line in text.lines() {
        if let Some(chain) = line.strip_prefix(':') {
            content.chains.extend(chain.split_whitespace().next().map(str::to_owned));
        }
        let Some((chain, rule)) = saved(line, v4) else { continue };
        let words = line.strip_prefix("-A ").and_then(|rest| rest.split_once(' '));
        let words = words.map_or_else(String::new, |(_, words)| words.to_owned());
        let target = rule.as_ref().and_then(|rule| match &rule.target {
            Target::Jump(chain) => Some(chain.clone()),
            _ => None,
        });
        let owner = rule.as_ref().and_then(tagged);
        content.rules.push(Found { chain, rule, owner, target, place: Place::Words(words) });
    }
    own_entries(&mut content.rules);
    content
}

fn tagged(rule: &Rule) -> Option<Attachment> {
    rule.matches.iter().find_map(|one| match one {
        Match::Comment(comment) => untag(comment),
        _ => None,
    })
}

/// The rules that lead to a tagged chain are kept as the reference writes them. Whose one is follows from what it
/// leads to: the rules for the same source, or for the same ports.
fn own_entries(rules: &mut [Found]) {
    let owned: Vec<(String, Rule, Attachment)> = rules
        .iter()
        .filter_map(|found| Some((found.chain.clone(), found.rule.clone()?, found.owner.clone()?)))
        .collect();
    for entry in rules.iter_mut().filter(|found| found.owner.is_none()) {
        let (Some(target), Some(rule)) = (&entry.target, &entry.rule) else { continue };
        let inner = owned.iter().filter(|(chain, ..)| chain == target);
        let mut owners: Vec<&Attachment> =
            inner.filter(|(_, inner, _)| leads_to(rule, inner)).map(|(.., owner)| owner).collect();
        owners.dedup();
        entry.owner = owners.first().map(|owner| (*owner).clone());
    }
}

fn leads_to(entry: &Rule, inner: &Rule) -> bool {
    // The first one: others are conditions.
    let ports = entry.matches.iter().find_map(|one| match one {
        Match::Multiport { of: PortsOf::Destination, ranges, negated: false } => Some(ranges),
        _ => None,
    });
    match ports {
        Some(ports) => {
            entry.protocol() == inner.protocol()
                && inner.port(Side::Destination).is_some_and(|port| ports.contains(&(port, port)))
        }
        None => entry.network(Side::Source).is_some_and(|source| inner.network(Side::Source) == Some(source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_looked_for_without_being_run() {
        let folder = std::env::temp_dir().join(format!("wharf-legacy-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let look = || installed([PathBuf::from("/nowhere"), folder.clone()].into_iter());
        let error = look().unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unsupported);
        assert!(error.message.contains("nf_tables") && error.message.contains("iptables-legacy-restore"));
        std::fs::write(folder.join("iptables-legacy-restore"), "no program").unwrap();
        let outcome = look();
        std::fs::remove_dir_all(&folder).unwrap();
        outcome.unwrap();
    }

    #[test]
    fn whose_a_rule_is_follows_from_what_it_leads_to() {
        let text = "*nat\n:POSTROUTING ACCEPT [0:0]\n:CNI-x - [0:0]\n\
            -A POSTROUTING -s 10.0.0.2/32 -m comment --comment \"name: \\\"n\\\" id: \\\"c\\\"\" -j CNI-x\n\
            -A POSTROUTING -s 10.0.0.3/32 -m comment --comment \"name: \\\"n\\\" id: \\\"c\\\"\" -j CNI-x\n\
            -A CNI-x -s 10.0.0.3/32 ! -d 224.0.0.0/4 -m comment --comment \"wharf n/c/net1\" -j MASQUERADE\n\
            -A CNI-x -s 10.0.0.2/32 ! -d 224.0.0.0/4 -m comment --comment \"wharf n/c/eth0\" -j MASQUERADE\n\
            COMMIT\n";
        let content = read(text, true);
        assert_eq!(content.chains, ["POSTROUTING", "CNI-x"]);
        let owners: Vec<_> =
            content.rules.iter().map(|found| found.owner.as_ref().unwrap().ifname.as_str()).collect();
        assert_eq!(owners, ["eth0", "net1", "net1", "eth0"]);
        let Place::Words(words) = &content.rules[2].place else { panic!() };
        assert!(words.starts_with("-s 10.0.0.3/32 !"), "{words}");
    }
}
