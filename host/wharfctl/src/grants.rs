//! Writing grant files without losing what an operator changed in them.

use std::fs;
use std::io;

use anyhow::{Context, Result};
use wharf_broker::Paths;
use wharf_broker::grants::{Grant, least};
use wharf_broker::guests::{Manifest, write_atomically};

/// What became of a grant file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// It is new, or was as Wharf had written it: it grants what the guest imports.
    Least,
    /// An operator had changed it: only the digest is new. These imports are not granted.
    Kept(Vec<String>),
}

/// Writes the grant of an installed guest. `before` is the manifest that was there.
pub(crate) fn write(paths: &Paths, manifest: &Manifest, before: Option<&Manifest>) -> Result<Written> {
    let directory = paths.grants();
    let name = format!("{}.toml", manifest.name);
    let file = directory.join(&name);
    let fresh = least(&manifest.digest, &manifest.imports);
    let old = match fs::read_to_string(&file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        other => Some(other.with_context(|| format!("cannot read {}", file.display()))?),
    };
    let untouched = |text: &str| before.is_some_and(|before| text == least(&before.digest, &before.imports));
    let (text, written) = match old {
        Some(text) if text != fresh && !untouched(&text) => {
            let text = with_digest(&text, &manifest.digest);
            let grant =
                Grant::parse(&text).map_err(|reason| anyhow::anyhow!("{}: {reason}", file.display()))?;
            let missing = grant.missing(&manifest.imports).into_iter().map(str::to_string).collect();
            (text, Written::Kept(missing))
        }
        _ => (fresh, Written::Least),
    };
    write_atomically(&directory, &name, text.as_bytes())?;
    Ok(written)
}

/// The text with another digest; everything else stays as the operator wrote it.
fn with_digest(text: &str, digest: &str) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_string).collect();
    let is_digest = |line: &String| line.split_once('=').is_some_and(|(key, _)| key.trim() == "digest");
    if let Some(line) = lines.iter_mut().find(|line| is_digest(line)) {
        *line = format!("digest = \"{digest}\"");
    }
    lines.join("\n") + "\n"
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
        assert_eq!(write(&paths, &new, Some(&old)).unwrap(), Written::Kept(vec!["routes/add".into()]));
        let grant = Grant::read(&paths.grants(), "g").unwrap();
        assert_eq!((grant.limits.deadline_ms, grant.digest.as_str()), (5, new.digest.as_str()));
        assert!(!grant.allows("routes/add"));
    }
}
