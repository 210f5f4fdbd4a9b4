//! The text of a grant file over its life: written by the installer, changed by an operator, carried over to a new guest.

use serde::Deserialize;
use toml::Spanned;

use crate::guests::Manifest;

use super::suggest::tables;
use super::{Grant, in_line};

/// Begins the first line of what the installer writes.
const MARK: &str =
    "# Written by `wharfctl install`, which rewrites it for a new guest as long as nobody changed it: ";

/// The text with a first line by which it is known again.
pub(super) fn stamped(text: &str) -> String {
    format!("{MARK}{}\n{text}", sum(text))
}

fn sum(text: &str) -> String {
    let hash = blake3::hash(text.as_bytes()).to_hex();
    hash.chars().take(16).collect()
}

/// Whether the text is as an installer wrote it, so that a new one may take its place. `before` is the guest that it
/// was written for.
pub fn is_untouched(text: &str, before: Option<&Manifest>) -> bool {
    let marked = text.strip_prefix(MARK).and_then(|rest| rest.split_once('\n'));
    match marked {
        Some((mark, rest)) => mark == sum(rest),
        None => before.is_some_and(|before| text == first_version(&before.digest, &before.imports)),
    }
}

/// What the installer wrote before there were constraints.
fn first_version(digest: &str, imports: &[String]) -> String {
    let mut text = format!(
        "# What this guest may do. Nothing is allowed that no line names; `wharfctl guests` shows what it imports.\n\
         digest = \"{digest}\"\noperations = [\n"
    );
    for name in imports {
        text.extend(["    \"", name, "\",\n"]);
    }
    text.push_str("]\n");
    text
}

/// The text with another digest. Everything else, comments included, stays as it is.
pub fn with_digest(text: &str, digest: &str) -> Result<String, String> {
    #[derive(Deserialize)]
    struct Digest {
        digest: Spanned<String>,
    }
    let found: Digest = toml::from_str(text).map_err(|error| in_line(text, &error))?;
    let span = found.digest.span();
    match (text.get(..span.start), text.get(span.end..)) {
        (Some(before), Some(after)) => Ok(format!("{before}\"{digest}\"{after}")),
        _ => Err("digest: it has no place in the text".to_string()),
    }
}

/// The text of a file from before there were constraints, with those that the guest of that name starts with for what
/// the file grants and the guest imports; none if it needs none, or has some.
pub fn with_tables(text: &str, name: &str, imports: &[String]) -> Result<Option<String>, String> {
    let grant = Grant::parse(text)?;
    if !grant.is_unconstrained() || text.starts_with(MARK) {
        return Ok(None);
    }
    let granted: Vec<String> = imports.iter().filter(|import| grant.allows(import)).cloned().collect();
    let tables = tables(name, &granted);
    if tables.is_empty() {
        return Ok(None);
    }
    let end = if text.ends_with('\n') { "" } else { "\n" };
    Ok(Some(format!("{text}{end}\n# Added by `wharfctl install`: the file had no constraints.\n{tables}")))
}

#[cfg(test)]
mod tests {
    use super::super::suggest::fresh;
    use super::super::tests::{DIGEST, OTHER};
    use super::*;

    fn manifest(imports: &[String]) -> Manifest {
        Manifest {
            name: "g".into(),
            digest: DIGEST.into(),
            artefact: String::new(),
            world: "network".into(),
            imports: imports.to_vec(),
            size: 1,
            seen: None,
        }
    }

    #[test]
    fn what_the_installer_wrote_is_known_again_until_it_is_changed() {
        let imports = ["links/get".to_string(), "links/set-up".to_string()];
        let text = fresh("bridge", "network", DIGEST, &imports);
        assert!(is_untouched(&text, None));
        assert!(!is_untouched(&text.replace("names = [\"*\"]", "names = [\"cni0\"]"), None));
        assert!(
            !is_untouched(&format!("{text}\n"), None)
                && !is_untouched(&text.replacen("# W", "#  W", 1), None)
        );
        let carried = with_digest(&text.replace("\"*\"", "\"cni0\""), OTHER).unwrap();
        assert!(!is_untouched(&carried, None));
    }

    #[test]
    fn the_first_versions_files_are_known_by_their_guest() {
        let imports = ["links/get".to_string()];
        let text = first_version(DIGEST, &imports);
        assert!(is_untouched(&text, Some(&manifest(&imports))));
        assert!(!is_untouched(&text, Some(&manifest(&[]))) && !is_untouched(&text, None));
    }

    #[test]
    fn another_digest_leaves_every_comment() {
        let text =
            format!("# mine\r\n  digest   = '{DIGEST}' # old\noperations = [ ]\n[links] # none\nnames = []");
        let changed = with_digest(&text, OTHER).unwrap();
        assert_eq!(changed, text.replace(&format!("'{DIGEST}'"), &format!("\"{OTHER}\"")));
        assert!(with_digest("operations = []", OTHER).unwrap_err().contains("digest"));
    }

    #[test]
    fn a_file_without_tables_gets_those_of_its_guest() {
        let imports = ["links/set-up".to_string(), "routes/add".to_string()];
        let text =
            format!("digest = {DIGEST:?}\noperations = [\"links/*\"] # mine\n[limits]\ndeadline-ms = 5");
        let grown = with_tables(&text, "loopback", &imports).unwrap().unwrap();
        assert!(
            grown.starts_with(&text) && grown.contains("[links]") && !grown.contains("[routes]"),
            "{grown}"
        );
        assert_eq!(with_tables(&grown, "loopback", &imports).unwrap(), None);
        // A table without a key says that nothing is allowed; it cannot stand there twice.
        let empty = format!("digest = {DIGEST:?}\noperations = [\"links/*\"]\n[links]\n# nothing");
        assert_eq!(with_tables(&empty, "loopback", &imports).unwrap(), None);
        let nothing = format!("digest = {DIGEST:?}\noperations = [\"links/get\"]");
        assert_eq!(with_tables(&nothing, "loopback", &imports).unwrap(), None);
    }
}
