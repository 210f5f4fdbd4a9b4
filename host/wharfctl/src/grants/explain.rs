//! `wharfctl grants explain`.

use std::fmt::Write as _;

use anyhow::Result;
use serde_json::json;
use wharf_broker::Paths;
use wharf_broker::grants::{Grant, Key, words};
use wharf_broker::guests::{self, Manifest};
use wharf_ops::OPERATIONS;

pub(crate) fn run(paths: &Paths, guest: &str, json: bool) -> Result<()> {
    let manifest = guests::read(paths, guest).map_err(|error| error.or(super::NOT_THERE))?;
    let grant = Grant::read(&paths.grants(), guest)?;
    let file = paths.grants().join(format!("{guest}.toml")).display().to_string();
    let text = if json {
        serde_json::to_string_pretty(&as_json(&manifest, &grant, &file))? + "\n"
    } else {
        as_text(&manifest, &grant, &file)
    };
    super::print(&text)
}

/// Imports that are granted, imports that are not, and what is granted without being imported.
fn sorted<'a>(manifest: &'a Manifest, grant: &Grant) -> (Vec<&'a str>, Vec<&'a str>, Vec<&'static str>) {
    let (may, may_not) = manifest.imports.iter().map(String::as_str).partition(|name| grant.allows(name));
    let imported = |name: &str| manifest.imports.iter().any(|import| import == name);
    let idle = OPERATIONS.iter().map(|it| it.name).filter(|name| grant.allows(name) && !imported(name));
    (may, may_not, idle.collect())
}

fn as_text(manifest: &Manifest, grant: &Grant, file: &str) -> String {
    let (may, may_not, idle) = sorted(manifest, grant);
    let mut text = format!("{} ({})\n", manifest.name, manifest.digest);
    let mut line = |line: &str| {
        text.push_str(line);
        text.push('\n');
    };
    if grant.digest != manifest.digest {
        line(&format!("does not run: {file} is for {}", grant.digest));
    }
    if !may_not.is_empty() {
        line("does not run: it imports what is not granted");
        for name in may_not {
            line(&format!("  {name:?},"));
        }
    }
    if may.is_empty() {
        line("may do nothing but read its configuration and answer");
    } else {
        line("may");
        for name in &may {
            line(&format!("  {:<58} {name}", words(name).unwrap_or(name)));
        }
    }
    let bounds: Vec<Key> =
        Key::ALL.into_iter().filter(|key| may.iter().any(|name| key.operations().contains(name))).collect();
    if !bounds.is_empty() {
        line("within");
        for key in bounds {
            line(&bound(key, grant.constraint(key).as_deref()));
        }
    }
    if !idle.is_empty() {
        line(&format!("is granted, but does not import: {}", idle.join(", ")));
    }
    let limits = &grant.limits;
    // Writing to a String does not fail.
    let _ = writeln!(
        text,
        "in each call, at most {} ms, {} MiB of memory, {} operations, {} bytes of log\naccording to {file}",
        limits.deadline_ms, limits.memory_mib, limits.operations, limits.log_bytes
    );
    text
}

fn bound(key: Key, patterns: Option<&[String]>) -> String {
    let list = match patterns {
        None => format!("none: there is no {key}"),
        Some([]) => "none".to_string(),
        Some(patterns) => patterns.join(", "),
    };
    format!("  {}: {list}", key.words())
}

fn as_json(manifest: &Manifest, grant: &Grant, file: &str) -> serde_json::Value {
    let (may, may_not, idle) = sorted(manifest, grant);
    let may: Vec<_> = may
        .into_iter()
        .map(|name| {
            let within: Vec<_> = Key::of(name)
                .map(|key| json!({"table": key.table(), "key": key.name(), "allowed": grant.constraint(key)}))
                .collect();
            json!({"operation": name, "words": words(name), "within": within})
        })
        .collect();
    let limits = &grant.limits;
    json!({
        "guest": manifest.name,
        "digest": manifest.digest,
        "file": file,
        "digest_granted": grant.digest,
        "runs": grant.digest == manifest.digest && may_not.is_empty(),
        "may": may,
        "imported_but_not_granted": may_not,
        "granted_but_not_imported": idle,
        "limits": {
            "deadline-ms": limits.deadline_ms,
            "memory-mib": limits.memory_mib,
            "operations": limits.operations,
            "log-bytes": limits.log_bytes,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

    fn example() -> (Manifest, Grant) {
        let manifest = Manifest {
            name: "g".into(),
            digest: DIGEST.into(),
            artefact: String::new(),
            world: "network".into(),
            imports: vec!["links/delete".into(), "routes/add".into(), "nat/detect".into()],
            size: 1,
            seen: None,
        };
        let text = format!(
            "digest = {DIGEST:?}\noperations = ['links/delete', 'links/get', 'routes/add']\n\
             [links]\nnames = ['cni0', 'veth*']\ncontainer-names = []"
        );
        (manifest, Grant::parse(&text).unwrap())
    }

    #[test]
    fn it_is_said_in_words() {
        let (manifest, grant) = example();
        let text = as_text(&manifest, &grant, "g.toml");
        for line in [
            "does not run: it imports what is not granted\n  \"nat/detect\",\n",
            "  links of the host that may be made and changed: cni0, veth*\n",
            "  links inside the container that may be made and changed: none\n",
            "  where routes of the host may lead: none: there is no [routes] cidrs\n",
            "is granted, but does not import: links/get\n",
            "at most 20000 ms, 64 MiB",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        let may = text.lines().find(|line| line.contains("delete links")).unwrap();
        assert!(may.ends_with(" links/delete"), "{may}");
    }

    #[test]
    fn json_has_the_same() {
        let (manifest, grant) = example();
        let value = as_json(&manifest, &grant, "g.toml");
        assert_eq!(value["runs"], false);
        assert_eq!(value["may"][0]["operation"], "links/delete");
        assert_eq!(value["may"][0]["within"][0]["allowed"], json!(["cni0", "veth*"]));
        assert_eq!(value["may"][1]["within"][0]["allowed"], json!(null));
        assert_eq!(value["imported_but_not_granted"], json!(["nat/detect"]));
        assert_eq!(value["granted_but_not_imported"], json!(["links/get"]));
    }
}
