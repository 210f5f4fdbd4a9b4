//! cniVersion: what which runtime does with it.

use serde_json::{Map, Value};
use wharf_cni::Version;

use crate::doctor::Findings;

/// Looks at the versions that a list asks for, as far as each can be told without the others.
pub(super) fn check(file: &str, object: &Map<String, Value>, is_list: bool, findings: &mut Findings) {
    let place = format!("{file}: cniVersion");
    let offered: Vec<&str> = object
        .get("cniVersions")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for version in offered.iter().filter(|version| Version::parse(version).is_err()) {
        findings.note(format!("{file}: cniVersions"), format!("{version} is not known here"), "");
    }
    let Some(version) = object.get("cniVersion").and_then(Value::as_str) else {
        let what = "there is none, which means 0.1.0: no CHECK, and results without interfaces";
        return findings.warning(&place, what, "say 1.0.0, which every maintained runtime takes");
    };
    // What cannot be read is an error of the whole list.
    let Ok(version) = Version::parse(version) else { return };
    if version > Version::V1_0_0 {
        let what = format!(
            "{version}: containerd before 2.0 (1.7 too) refuses it, as every program with a libcni before 1.2 does"
        );
        // Of a single plugin nobody reads more than the one.
        let cure = if is_list {
            r#"for those, say "cniVersion": "1.0.0" and beside it "cniVersions": ["1.0.0", "1.1.0"], from which newer ones take the highest"#
        } else {
            r#"for those, say "cniVersion": "1.0.0""#
        };
        findings.warning(&place, what, cure);
    } else if version < Version::V0_4_0 {
        let what = format!("{version}: it knows no CHECK, and DEL comes without the result of ADD");
        findings.warning(&place, what, "say 1.0.0, which every maintained runtime takes");
    }
}
