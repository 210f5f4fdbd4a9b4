//! Which Debian mirror the system uses: reads apt's source lists in both formats.

use std::fs;
use std::path::Path;

/// One archive that a source list names.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Source {
    uri: String,
    suites: Vec<String>,
}

/// The mirror of the distribution's main archive under `etc` (`/etc`), if its lists name one.
pub(crate) fn mirror(etc: &Path) -> Option<String> {
    let codename = codename(&fs::read_to_string(etc.join("os-release")).ok()?)?;
    let mut files = vec![etc.join("apt/sources.list")];
    let mut parts: Vec<_> = fs::read_dir(etc.join("apt/sources.list.d"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    parts.sort();
    files.extend(parts);
    files
        .iter()
        .filter_map(|file| {
            let text = fs::read_to_string(file).ok()?;
            match file.extension()?.to_str()? {
                "list" => Some(one_line(&text)),
                "sources" => Some(deb822(&text)),
                _ => None,
            }
        })
        .flatten()
        .find(|source| source.suites.contains(&codename))
        .map(|source| source.uri)
}

fn codename(os_release: &str) -> Option<String> {
    let value = os_release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="))?;
    Some(value.trim_matches('"').to_owned())
}

/// `deb [options] URI suite component...`
fn one_line(text: &str) -> Vec<Source> {
    let parse = |line: &str| {
        let line = line.split('#').next()?.trim();
        let mut rest = line.strip_prefix("deb")?.strip_prefix([' ', '\t'])?.trim_start();
        if let Some(options) = rest.strip_prefix('[') {
            rest = options.split_once(']')?.1;
        }
        let mut words = rest.split_whitespace();
        Some(Source { uri: words.next()?.to_owned(), suites: vec![words.next()?.to_owned()] })
    };
    text.lines().filter_map(parse).collect()
}

/// Stanzas of `Key: values`, separated by empty lines; a comment line may stand anywhere.
fn deb822(text: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    for stanza in text.split("\n\n") {
        let mut fields: Vec<(String, Vec<String>)> = Vec::new();
        for line in stanza.lines().filter(|line| !line.starts_with('#')) {
            let continued = line.starts_with([' ', '\t']);
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            match (continued, fields.last_mut(), line.split_once(':')) {
                (true, Some((_, values)), _) => values.extend(words(line)),
                (false, _, Some((key, value))) => {
                    fields.push((key.trim().to_ascii_lowercase(), words(value)));
                }
                _ => {}
            }
        }
        let field =
            |name: &str| fields.iter().find(|(key, _)| key == name).map_or(&[][..], |(_, values)| values);
        let off = field("enabled").first().is_some_and(|value| value == "no");
        if off || !field("types").iter().any(|kind| kind == "deb") {
            continue;
        }
        let suites = field("suites").to_vec();
        sources.extend(field("uris").iter().map(|uri| Source { uri: uri.clone(), suites: suites.clone() }));
    }
    sources
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEB822: &str = "Types: deb deb-src\n# a comment\nURIs: http://one.example/debian\nSuites: bookworm\n bookworm-updates\nComponents: main\n\n\
        Types: deb\nEnabled: no\nURIs: http://off.example/debian\nSuites: bookworm\n\nTypes: deb-src\nURIs: http://src.example\nSuites: bookworm\n";

    #[test]
    fn deb822_stanzas_are_read() {
        let sources = deb822(DEB822);
        assert_eq!(sources.len(), 1, "disabled and source-only stanzas do not count");
        assert_eq!(sources[0].uri, "http://one.example/debian");
        assert_eq!(sources[0].suites, ["bookworm", "bookworm-updates"]);
    }

    #[test]
    fn one_line_entries_are_read() {
        let text = "# deb http://no.example x main\ndeb-src http://no.example x\n\
            deb [arch=amd64 signed-by=/k.gpg] http://two.example/debian bookworm main # why\ndeb\n";
        let sources = one_line(text);
        assert_eq!(
            sources,
            [Source { uri: "http://two.example/debian".into(), suites: vec!["bookworm".into()] }]
        );
    }

    #[test]
    fn the_mirror_is_the_one_of_the_systems_own_suite() {
        let etc = tempfile::tempdir().unwrap();
        let parts = etc.path().join("apt/sources.list.d");
        fs::create_dir_all(&parts).unwrap();
        fs::write(etc.path().join("os-release"), "ID=debian\nVERSION_CODENAME=bookworm\n").unwrap();
        assert_eq!(mirror(etc.path()), None);
        fs::write(parts.join("a.list"), "deb https://third.example/apt tool-bookworm main\n").unwrap();
        fs::write(parts.join("b.sources"), DEB822).unwrap();
        assert_eq!(mirror(etc.path()).as_deref(), Some("http://one.example/debian"));
    }
}
