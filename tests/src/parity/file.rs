//! Files of cases, and the list of differences that many cases show.

use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::case::{Case, Difference};
use super::expand;

/// A file of cases about one subject.
#[derive(Clone, Debug)]
pub struct File {
    /// The subject.
    pub about: String,
    /// What the kernel must have for it.
    pub needs: Option<Need>,
    /// Differences that any of its cases may show, and one of them must.
    pub differs: Vec<Difference>,
    /// The cases, each variant of `each` on its own.
    pub cases: Vec<Case>,
}

/// What not every kernel has.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// Bridges that filter by VLAN.
    VlanFiltering,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    about: String,
    needs: Option<Need>,
    #[serde(default)]
    define: Map<String, Value>,
    #[serde(default)]
    differs: Vec<Difference>,
    cases: Vec<Map<String, Value>>,
}

impl File {
    /// Reads a file and expands its definitions and variants.
    pub fn read(path: &Path) -> Self {
        let raw: Raw = parse(path);
        let cases = raw.cases.into_iter().flat_map(|case| expand::variants(case, &raw.define));
        let cases = cases.map(|case| {
            let name = case["name"].clone();
            serde_json::from_value(case).unwrap_or_else(|error| panic!("{}: {name}: {error}", path.display()))
        });
        Self { about: raw.about, needs: raw.needs, differs: raw.differs, cases: cases.collect() }
    }
}

/// The differences that more than one case shows.
pub fn common() -> Vec<Difference> {
    parse(&super::folder().join("differs.json"))
}

fn parse<T: serde::de::DeserializeOwned>(path: &Path) -> T {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
