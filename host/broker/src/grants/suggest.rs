//! Grant files to start with: the operations that a guest imports, and a list for each key that bounds them.

use super::file::stamped;
use super::key::Key;
use super::profile;
use crate::policy;

/// A grant of exactly `imports`, for an operator to look at and keep.
pub fn suggest(name: &str, world: &str, digest: &str, imports: &[String]) -> String {
    let mut text = format!(
        "# What the guest {name} may do. Nothing is allowed that no line names; `wharfctl grants explain {name}` says it in words.\n\
         digest = \"{digest}\"\noperations = [\n"
    );
    for import in imports {
        text.extend(["    \"", import, "\",\n"]);
    }
    text.push_str("]\n");
    text.push_str(&tables(name, imports));
    if policy::is_policy(world) {
        // It is asked often, and everybody waits for it.
        text.push_str("\n[limits]\n# Of each answer, in milliseconds.\ndeadline-ms = 5000\n");
    }
    text
}

/// The same as `wharfctl install` writes it: with the mark by which it knows the file again.
pub fn fresh(name: &str, world: &str, digest: &str, imports: &[String]) -> String {
    stamped(&suggest(name, world, digest, imports))
}

/// The tables of constraints for these operations, each list with a comment.
pub fn tables(name: &str, operations: &[String]) -> String {
    let (mut text, mut table) = (String::new(), "");
    for (key, patterns, why) in profile::of(name) {
        if !operations.iter().any(|operation| key.operations().contains(&operation.as_str())) {
            continue;
        }
        if key.table() != table {
            table = key.table();
            text.extend(["\n[", table, "]\n"]);
        }
        text.extend(["# ", &comment(*key, why), "\n"]);
        text.extend([key.name(), " = [", &list(patterns), "]\n"]);
    }
    text
}

fn comment(key: Key, why: &str) -> String {
    let mut words = key.words().to_string();
    if let Some(first) = words.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    if why.is_empty() { format!("{words}.") } else { format!("{words}. {why}") }
}

/// More than fits into a line goes to one line each.
fn list(patterns: &[&str]) -> String {
    let quoted: Vec<String> = patterns.iter().map(|pattern| format!("{pattern:?}")).collect();
    let line = quoted.join(", ");
    if line.len() <= 80 {
        return line;
    }
    quoted.iter().fold("\n".to_string(), |text, pattern| text + "    " + pattern + ",\n")
}
