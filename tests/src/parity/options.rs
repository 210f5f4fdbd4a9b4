//! Which options the cases cover.

use serde_json::Value;

use super::Case;

impl Case {
    /// What it configures: plugins, and paths of members. Lists are not part of a path; a member of `ipam` is host-local's.
    pub fn options(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for plugin in self.all_plugins() {
            let kind = plugin["type"].as_str().unwrap_or_default();
            members(plugin, "", &mut |path| {
                found.push((kind.to_owned(), path.to_owned()));
                found.push(("host-local".to_owned(), path.to_owned()));
            });
            for attach in self.attachments().values() {
                let words = attach.args.split(';').filter_map(|pair| pair.split_once('='));
                found.extend(words.map(|(key, _)| (kind.to_owned(), format!("CNI_ARGS.{key}"))));
                members(&attach.runtime, "runtimeConfig.", &mut |path| {
                    found.push((kind.to_owned(), path.to_owned()));
                });
            }
        }
        found
    }
}

/// Calls `with` for the path of each member.
fn members(value: &Value, prefix: &str, with: &mut dyn FnMut(&str)) {
    match value {
        Value::Object(all) => {
            for (key, value) in all {
                with(&format!("{prefix}{key}"));
                members(value, &format!("{prefix}{key}."), with);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| members(item, prefix, with)),
        _ => {}
    }
}
