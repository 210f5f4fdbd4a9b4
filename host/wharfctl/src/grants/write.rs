//! Writing grant files without losing what an operator changed in them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use wharf_broker::Paths;
use wharf_broker::grants::{Grant, fresh, is_untouched, suggest, with_digest, with_tables};
use wharf_broker::guests::{Manifest, write_atomically};

use crate::say::say;

/// What became of a grant file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// It is new, or was as Wharf had written it: it grants what the guest imports.
    Least,
    /// An operator had changed it: what was there stays.
    Kept {
        /// Imports that it does not grant.
        missing: Vec<String>,
        /// Whether it was from before there were constraints, and got those of the guest.
        constrained: bool,
    },
}

/// Writes the grant of an installed guest. `before` is the manifest that was there.
pub(crate) fn write(paths: &Paths, manifest: &Manifest, before: Option<&Manifest>) -> Result<Written> {
    let directory = paths.grants();
    let name = format!("{}.toml", manifest.name);
    let file = directory.join(&name);
    let (text, written) = match read(&file)? {
        Some(text) if !is_unedited(&text, before) => {
            kept(&text, manifest).map_err(|reason| anyhow!("{}: {reason}", file.display()))?
        }
        _ => (fresh(&manifest.name, &manifest.world, &manifest.digest, &manifest.imports), Written::Least),
    };
    write_atomically(&directory, &name, text.as_bytes())?;
    Ok(written)
}

/// Whether a guest could run by its grant once it is installed. It could not if an operator had written for another
/// component of that name what does not have all that this one imports: that is to be said before anything is replaced.
pub(crate) fn would_run(paths: &Paths, manifest: &Manifest, before: Option<&Manifest>) -> Result<()> {
    let file = paths.grants().join(format!("{}.toml", manifest.name));
    let Some(text) = read(&file)?.filter(|text| !is_unedited(text, before)) else { return Ok(()) };
    let of_file = |reason| anyhow!("{}: {reason}", file.display());
    let granted = Grant::parse(&text).map_err(of_file)?;
    if granted.digest == manifest.digest {
        return Ok(());
    }
    let missing = granted.missing(&manifest.imports);
    if missing.is_empty() {
        return Ok(());
    }
    bail!(
        "{}: somebody wrote it for another component ({}), and {} would not run by it. Add to its operations what is \
         missing, or remove the file to have it written anew; missing are:\n{}",
        file.display(),
        granted.digest,
        manifest.name,
        as_lines(&missing)
    );
}

/// A grant file, if it is there.
fn read(file: &Path) -> Result<Option<String>> {
    match fs::read_to_string(file) {
        Err(error) if wharf_broker::is_absent(file, &error) => Ok(None),
        other => Ok(Some(other.with_context(|| format!("cannot read {}", file.display()))?)),
    }
}

/// Whether no operator edited it: it is as `wharfctl install` wrote it, or as `wharfctl add --suggest` did for what was
/// there.
fn is_unedited(text: &str, before: Option<&Manifest>) -> bool {
    let suggested =
        |before: &Manifest| text == suggest(&before.name, &before.world, &before.digest, &before.imports);
    is_untouched(text, before) || before.is_some_and(suggested)
}

/// Says what an operator has to know of it.
pub(crate) fn tell(paths: &Paths, name: &str, written: &Written) {
    let Written::Kept { missing, constrained } = written else { return };
    let grant = paths.grants().join(format!("{name}.toml"));
    if *constrained {
        say!(
            "  {} was changed by hand and stays; it had no constraints and got some, look at them",
            grant.display()
        );
    }
    if !missing.is_empty() {
        say!(
            "  {} was changed by hand and stays; the guest will not run before its operations have:",
            grant.display()
        );
        say!("{}", as_lines(missing));
    }
}

/// Operations, as they go into the list of a grant.
pub(crate) fn as_lines<S: AsRef<str>>(operations: &[S]) -> String {
    let lines: Vec<_> = operations.iter().map(|name| format!("    {:?},", name.as_ref())).collect();
    lines.join("\n")
}

/// Whether the grant of an installed guest is as Wharf wrote it.
pub(crate) fn untouched(paths: &Paths, name: &str) -> bool {
    let text = fs::read_to_string(paths.grants().join(format!("{name}.toml")));
    let manifest = wharf_broker::guests::read(paths, name).ok();
    text.is_ok_and(|text| is_unedited(&text, manifest.as_ref()))
}

/// An operator's file for a new guest: another digest, and constraints if it is older than they are.
fn kept(text: &str, manifest: &Manifest) -> Result<(String, Written), String> {
    let mut text = with_digest(text, &manifest.digest)?;
    let grown = with_tables(&text, &manifest.name, &manifest.imports)?;
    let constrained = grown.is_some();
    text = grown.unwrap_or(text);
    let grant = Grant::parse(&text)?;
    let missing = grant.missing(&manifest.imports).into_iter().map(str::to_string).collect();
    Ok((text, Written::Kept { missing, constrained }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(digit: char, imports: &[&str]) -> Manifest {
        Manifest {
            name: "g".into(),
            digest: format!("sha256:{}", digit.to_string().repeat(64)),
            artefact: "0".repeat(64),
            world: "network".into(),
            imports: imports.iter().map(ToString::to_string).collect(),
            size: 1,
            seen: None,
        }
    }

    #[test]
    fn an_untouched_grant_follows_the_guest() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        let (old, new) = (manifest('1', &["links/get"]), manifest('2', &["links/get", "routes/add"]));
        assert_eq!(write(&paths, &old, None).unwrap(), Written::Least);
        assert_eq!(write(&paths, &new, Some(&old)).unwrap(), Written::Least);
        assert!(Grant::read(&paths.grants(), "g").unwrap().allows("routes/add"));
    }

    #[test]
    fn an_operators_grant_keeps_everything_but_the_digest() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        let (old, new) = (manifest('1', &["links/get"]), manifest('2', &["links/get", "routes/add"]));
        write(&paths, &old, None).unwrap();
        let file = paths.grants().join("g.toml");
        let own = fs::read_to_string(&file).unwrap() + "\n[limits]\ndeadline-ms = 5\n";
        fs::write(&file, own).unwrap();
        let kept = Written::Kept { missing: vec!["routes/add".into()], constrained: false };
        assert_eq!(write(&paths, &new, Some(&old)).unwrap(), kept);
        let grant = Grant::read(&paths.grants(), "g").unwrap();
        assert_eq!((grant.limits.deadline_ms, grant.digest.as_str()), (5, new.digest.as_str()));
        assert!(!grant.allows("routes/add"));
    }

    #[test]
    fn a_grant_whose_file_is_elsewhere_and_gone_is_not_replaced() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        fs::create_dir_all(paths.grants()).unwrap();
        let file = paths.grants().join("g.toml");
        std::os::unix::fs::symlink("operators.toml", &file).unwrap();
        let error = write(&paths, &manifest('1', &["links/get"]), None).unwrap_err();
        assert!(error.to_string().contains("g.toml") && file.is_symlink(), "{error:#}");
    }

    #[test]
    fn comments_and_constraints_of_an_operator_stay() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        let (old, new) = (manifest('1', &["links/set-up"]), manifest('2', &["links/set-up"]));
        write(&paths, &old, None).unwrap();
        let file = paths.grants().join("g.toml");
        let own = fs::read_to_string(&file).unwrap().replace("[\"veth*\"]", "[\"cni0\"] # only this one");
        fs::write(&file, &own).unwrap();
        write(&paths, &new, Some(&old)).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), own.replace(&old.digest, &new.digest));
        // And again, as the file has a digest of its own now.
        let newer = manifest('3', &["links/set-up", "routes/add"]);
        let kept = Written::Kept { missing: vec!["routes/add".into()], constrained: false };
        assert_eq!(write(&paths, &newer, Some(&new)).unwrap(), kept);
        assert_eq!(fs::read_to_string(&file).unwrap(), own.replace(&old.digest, &newer.digest));
    }

    #[test]
    fn a_suggestion_for_another_component_is_no_operators() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        let (other, own) = (manifest('1', &["links/get"]), manifest('2', &["links/get", "routes/add"]));
        let suggested = suggest(&other.name, &other.world, &other.digest, &other.imports);
        write_atomically(&paths.grants(), "g.toml", suggested.as_bytes()).unwrap();
        would_run(&paths, &own, Some(&other)).unwrap();
        assert_eq!(write(&paths, &own, Some(&other)).unwrap(), Written::Least);
        let grant = Grant::read(&paths.grants(), "g").unwrap();
        assert!(grant.digest == own.digest && grant.allows("routes/add"));

        // Once somebody has edited it, it is theirs, and not enough.
        let edited = format!("{suggested}[limits]\ndeadline-ms = 7\n");
        write_atomically(&paths.grants(), "g.toml", edited.as_bytes()).unwrap();
        let error = would_run(&paths, &own, Some(&other)).unwrap_err().to_string();
        for words in ["g.toml", &other.digest, "would not run", "    \"routes/add\",", "remove the file"] {
            assert!(error.contains(words), "{words:?} in {error}");
        }
        // What is enough stays, and so does what is too little on purpose.
        would_run(&paths, &manifest('2', &["links/get"]), Some(&other)).unwrap();
        write_atomically(&paths.grants(), "g.toml", edited.replace(&other.digest, &own.digest).as_bytes())
            .unwrap();
        would_run(&paths, &own, Some(&own)).unwrap();
    }

    #[test]
    fn files_from_before_there_were_constraints_are_carried_over() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        let (old, new) = (manifest('1', &["links/set-up"]), manifest('2', &["links/set-up"]));
        let first = format!(
            "# What this guest may do. Nothing is allowed that no line names; `wharfctl guests` shows what it imports.\n\
             digest = \"{}\"\noperations = [\n    \"links/set-up\",\n]\n",
            old.digest
        );
        write_atomically(&paths.grants(), "g.toml", first.as_bytes()).unwrap();
        assert_eq!(write(&paths, &new, Some(&old)).unwrap(), Written::Least, "nobody had changed it");
        assert!(!Grant::read(&paths.grants(), "g").unwrap().is_unconstrained());

        let changed = format!("{first}[limits]\ndeadline-ms = 7\n");
        write_atomically(&paths.grants(), "g.toml", changed.as_bytes()).unwrap();
        let kept = Written::Kept { missing: vec![], constrained: true };
        assert_eq!(write(&paths, &new, Some(&old)).unwrap(), kept);
        let grant = Grant::read(&paths.grants(), "g").unwrap();
        assert!(grant.limits.deadline_ms == 7 && !grant.is_unconstrained());
    }
}
