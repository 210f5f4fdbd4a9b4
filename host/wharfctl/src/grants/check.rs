//! `wharfctl grants check`: every problem of every file, for a person or a pipeline to read.

use std::collections::BTreeSet;
use std::fs;
use std::io;

use anyhow::{Context, Result, bail};
use serde_json::json;
use wharf_broker::grants::{Grant, GrantError, Key};
use wharf_broker::guests::{self, Manifest};
use wharf_broker::{Paths, grants};

/// Prints the problems; fails if there are any.
pub(crate) fn run(paths: &Paths, guest: Option<&str>, json: bool) -> Result<()> {
    let names = match guest {
        Some(guest) => BTreeSet::from([guest.to_string()]),
        None => all(paths)?,
    };
    let found: Vec<(String, Vec<String>)> =
        names.into_iter().map(|name| (name.clone(), problems(paths, &name))).collect();
    super::print(&if json { as_json(&found)? } else { as_text(&found) })?;
    let wrong = found.iter().filter(|(_, problems)| !problems.is_empty()).count();
    match wrong {
        0 => Ok(()),
        _ => bail!("{wrong} of {} grants are wrong", found.len()),
    }
}

/// Installed guests, and files that would be theirs.
fn all(paths: &Paths) -> Result<BTreeSet<String>> {
    let mut names: BTreeSet<String> = guests::names(paths)?.into_iter().collect();
    let directory = paths.grants();
    let entries = match fs::read_dir(&directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(names),
        other => other.with_context(|| format!("cannot read {}", directory.display()))?,
    };
    for entry in entries {
        let name = entry?.file_name();
        // A leading dot is a file that is just being written.
        let stem = name.to_str().and_then(|name| name.strip_suffix(".toml"));
        names.extend(stem.filter(|stem| !stem.starts_with('.')).map(str::to_string));
    }
    Ok(names)
}

/// Everything that is wrong about one guest's grant.
pub(crate) fn problems(paths: &Paths, name: &str) -> Vec<String> {
    let manifest = match guests::read(paths, name) {
        Ok(manifest) => manifest,
        Err(error) => {
            // The file can be wrong all the same.
            let grant = Grant::read(&paths.grants(), name).err();
            let of_file = grant.filter(|error| !matches!(error, GrantError::Missing { .. }));
            let error = error.or(super::NOT_THERE);
            return [error.to_string()].into_iter().chain(of_file.map(|error| error.to_string())).collect();
        }
    };
    let grant = match Grant::read(&paths.grants(), name) {
        Ok(grant) => grant,
        Err(error) => return vec![error.to_string()],
    };
    let mut problems = Vec::new();
    let path = paths.grants().join(format!("{name}.toml")).display().to_string();
    if grant.digest != manifest.digest {
        let (granted, installed) = (grant.digest.clone(), manifest.digest.clone());
        problems.push(GrantError::Digest { path: path.clone(), granted, installed }.to_string());
    }
    let missing: Vec<String> = grant.missing(&manifest.imports).into_iter().map(str::to_string).collect();
    if !missing.is_empty() {
        problems
            .push(GrantError::Imports { name: name.to_string(), path: path.clone(), missing }.to_string());
    }
    problems.extend(idle(&grant).into_iter().map(|problem| format!("{path}: {problem}")));
    problems.extend(unbounded(&grant, &manifest).into_iter().map(|problem| format!("{path}: {problem}")));
    problems
}

/// Tables that bound nothing, because no operation of theirs is granted.
fn idle(grant: &Grant) -> Vec<String> {
    let mut tables: Vec<(&str, Vec<String>)> = Vec::new();
    for key in Key::ALL.into_iter().filter(|key| grant.constraint(*key).is_some()) {
        let of_table = Key::ALL.into_iter().filter(|other| other.table() == key.table());
        let mut needing = of_table.flat_map(Key::operations);
        if needing.any(|operation| grant.allows(operation)) {
            continue;
        }
        match tables.iter_mut().find(|(table, _)| *table == key.table()) {
            Some((_, keys)) => keys.push(key.to_string()),
            None => tables.push((key.table(), vec![key.to_string()])),
        }
    }
    let line = |(table, keys): (&str, Vec<String>)| {
        format!(
            "{} has no effect: no operation that `[{table}]` bounds is granted; take it out, or add one to operations",
            keys.join(" and ")
        )
    };
    tables.into_iter().map(line).collect()
}

/// Operations that are granted for nothing, because the file has no key that would let them touch anything.
fn unbounded(grant: &Grant, manifest: &Manifest) -> Vec<String> {
    let mut dead: Vec<(String, Vec<&str>)> = Vec::new();
    for import in manifest.imports.iter().filter(|import| grant.allows(import)) {
        let mut tables: Vec<(&str, Vec<Key>)> = Vec::new();
        for key in Key::of(import) {
            // One of two sides is enough, but host-ports and cidrs are both needed.
            let side = key.name().strip_prefix("container-").unwrap_or(key.name());
            match tables.iter_mut().find(|(_, keys)| keys.iter().any(|other| is_side(*other, key, side))) {
                Some((_, keys)) => keys.push(key),
                None => tables.push((side, vec![key])),
            }
        }
        for (_, keys) in tables {
            if keys.iter().all(|key| grant.constraint(*key).is_none()) {
                let needs = keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
                match dead.iter_mut().find(|(other, _)| *other == needs) {
                    Some((_, operations)) => operations.push(import),
                    None => dead.push((needs, vec![import])),
                }
            }
        }
    }
    let line = |(needs, operations): (String, Vec<&str>)| {
        let tables = grants::tables(&manifest.name, &manifest.imports);
        let own = tables.lines().any(|line| needs.contains(line) && line.starts_with('['));
        let help = if own {
            format!("; `wharfctl grants suggest {}` prints one", manifest.name)
        } else {
            String::new()
        };
        format!("there is no {needs}, without which these are always denied: {}{help}", operations.join(", "))
    };
    dead.into_iter().map(line).collect()
}

/// Whether two keys are the host's and the container's side of one thing.
fn is_side(one: Key, other: Key, side: &str) -> bool {
    one.table() == other.table() && one.name().strip_prefix("container-").unwrap_or(one.name()) == side
}

fn as_text(found: &[(String, Vec<String>)]) -> String {
    let mut lines = Vec::new();
    for (name, problems) in found {
        if problems.is_empty() {
            lines.push(format!("{name}: good"));
        }
        lines.extend(problems.iter().map(|problem| format!("{name}: {problem}")));
    }
    if found.is_empty() {
        lines.push("no guests are installed; `wharfctl install` installs them".to_string());
    }
    lines.join("\n") + "\n"
}

fn as_json(found: &[(String, Vec<String>)]) -> Result<String> {
    let guests: Vec<_> =
        found.iter().map(|(name, problems)| json!({"guest": name, "problems": problems})).collect();
    Ok(serde_json::to_string_pretty(&guests)? + "\n")
}

#[cfg(test)]
mod tests {
    use wharf_broker::guests::{artefact_digest, install, write_atomically};

    use super::*;

    const DIGEST: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

    fn installed(name: &str, imports: &[&str], grant: &str) -> (tempfile::TempDir, Paths) {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        let manifest = Manifest {
            name: name.into(),
            digest: DIGEST.into(),
            artefact: artefact_digest(b"x"),
            world: "network".into(),
            imports: imports.iter().map(ToString::to_string).collect(),
            size: 1,
            seen: None,
        };
        install(&paths, &manifest, b"x").unwrap();
        write_atomically(&paths.grants(), &format!("{name}.toml"), grant.as_bytes()).unwrap();
        (root, paths)
    }

    #[test]
    fn a_guest_that_is_not_there_is_looked_for_elsewhere_than_in_a_chain() {
        let root = tempfile::tempdir().unwrap();
        let [problem] = &problems(&Paths::below(root.path()), "nope")[..] else { panic!("one problem") };
        assert!(problem.contains("`wharfctl guests`") && !problem.contains("chain"), "{problem}");
    }

    #[test]
    fn what_install_writes_is_good() {
        let imports = ["links/set-up", "routes/add", "nat/forward-ports", "leases/open"];
        let owned: Vec<String> = imports.iter().map(ToString::to_string).collect();
        let (_root, paths) = installed("mine", &imports, &grants::fresh("mine", "network", DIGEST, &owned));
        assert_eq!(problems(&paths, "mine"), [""; 0]);
        run(&paths, None, true).unwrap();
    }

    #[test]
    fn every_problem_is_listed() {
        let grant = format!(
            "digest = {:?}\noperations = ['links/set-up', 'nat/*']\n[nat]\nhost-ports = [80]\n",
            DIGEST.replace('0', "1")
        );
        let (_root, paths) =
            installed("bridge", &["links/set-up", "routes/add", "nat/forward-ports"], &grant);
        let found = problems(&paths, "bridge");
        assert_eq!(found.len(), 4, "{found:?}");
        assert!(found[0].contains("111") && found[0].contains("000"), "{found:?}");
        assert!(found[1].ends_with("\"routes/add\","), "{found:?}");
        let links = "no [links] names or [links] container-names, without which these are always denied: links/set-up";
        assert!(found[2].contains(links) && found[2].contains("grants suggest bridge"), "{found:?}");
        assert!(found[3].contains("no [nat] cidrs") && found[3].contains("nat/forward-ports"), "{found:?}");
        assert!(run(&paths, None, false).unwrap_err().to_string().contains("1 of 1"));
    }

    #[test]
    fn a_table_without_an_operation_has_no_effect() {
        let grant = format!(
            "digest = {DIGEST:?}\noperations = ['links/set-up']\n[links]\nnames = ['*']\ncontainer-names = ['*']\n\
             [shaping]\nnames = ['veth*']\n"
        );
        let (_root, paths) = installed("shaper", &["links/set-up"], &grant);
        let found = problems(&paths, "shaper");
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("[shaping] names has no effect"), "{found:?}");
        let granted = grant.replace("'links/set-up'", "'links/set-up', 'shaping/clear'");
        write_atomically(&paths.grants(), "shaper.toml", granted.as_bytes()).unwrap();
        assert_eq!(problems(&paths, "shaper"), [""; 0]);
    }

    #[test]
    fn limits_that_end_every_call_are_refused() {
        for (limit, usual) in [("deadline-ms", "20000"), ("memory-mib", "64"), ("operations", "4096")] {
            let grant =
                format!("digest = {DIGEST:?}\noperations = []\n[limits]\nlog-bytes = 0\n{limit} = 0\n");
            let (_root, paths) = installed("g", &[], &grant);
            let found = problems(&paths, "g");
            let words =
                format!("limits.{limit} = 0 would end every call: write 1 or more, or leave the line out");
            assert!(found[0].contains(&words) && found[0].ends_with(usual), "{found:?}");
            write_atomically(
                &paths.grants(),
                "g.toml",
                grant.replace(&format!("{limit} = 0\n"), "").as_bytes(),
            )
            .unwrap();
            assert_eq!(problems(&paths, "g"), [""; 0]);
        }
    }

    #[test]
    fn files_of_nobody_and_broken_ones_are_problems() {
        let (_root, paths) = installed("g", &[], "digest = 1");
        write_atomically(&paths.grants(), "stray.toml", b"operations = []").unwrap();
        write_atomically(&paths.grants(), "README", b"").unwrap();
        assert_eq!(all(&paths).unwrap().into_iter().collect::<Vec<_>>(), ["g", "stray"]);
        let stray = problems(&paths, "stray");
        assert!(stray[0].contains("not installed") && stray[1].contains("digest"), "{stray:?}");
        assert!(problems(&paths, "g")[0].contains("g.toml: line 1"));
    }
}
