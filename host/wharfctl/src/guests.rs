//! `wharfctl guests`: what is installed.

use anyhow::Result;
use wharf_broker::{Paths, guests};

use crate::say;

pub(crate) fn run(paths: &Paths, json: bool) -> Result<()> {
    let mut manifests = Vec::new();
    for name in guests::names(paths)? {
        // When the artefact was last compared is the store's own affair.
        manifests.push(guests::Manifest { seen: None, ..guests::read(paths, &name)? });
    }
    let text = if json { serde_json::to_string_pretty(&manifests)? + "\n" } else { table(&manifests) };
    say::text(&text)
}

fn table(manifests: &[guests::Manifest]) -> String {
    if manifests.is_empty() {
        return "no guests are installed; `wharfctl install` installs them\n".to_string();
    }
    let mut lines = Vec::new();
    for manifest in manifests {
        lines.push(manifest.name.clone());
        lines.push(format!("  world    {}", manifest.world));
        lines.push(format!("  digest   {}", manifest.digest));
        lines.push(format!("  size     {} KiB", manifest.size.div_ceil(1024)));
        for (room, functions) in by_interface(&manifest.imports) {
            lines.push(format!("  imports  {room}: {}", functions.join(", ")));
        }
    }
    lines.join("\n") + "\n"
}

/// The imports by interface, in their order.
fn by_interface(imports: &[String]) -> Vec<(&str, Vec<&str>)> {
    let mut rooms: Vec<(&str, Vec<&str>)> = Vec::new();
    for (room, function) in imports.iter().filter_map(|name| name.split_once('/')) {
        match rooms.iter_mut().find(|(name, _)| *name == room) {
            Some((_, functions)) => functions.push(function),
            None => rooms.push((room, vec![function])),
        }
    }
    rooms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_are_shown_by_interface() {
        let imports = ["links/get".to_string(), "routes/add".to_string(), "links/info".to_string()];
        assert_eq!(by_interface(&imports), [("links", vec!["get", "info"]), ("routes", vec!["add"])]);
    }

    #[test]
    fn an_empty_store_says_what_to_do() {
        assert!(table(&[]).contains("wharfctl install"));
    }
}
