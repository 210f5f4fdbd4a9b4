//! The workspaces that tests build by themselves: guests as strangers make them. Tests run without a network, so that what
//! these need of a registry is fetched before.

use crate::setup::TARGET;
use crate::test::report::Report;
use crate::workspace::Workspace;
use crate::{say, sh};

/// Where their `Cargo.lock` is.
const FOLDERS: [&str; 5] = [
    "host/sandbox/tests/fixtures/judge",
    "host/sandbox/tests/fixtures/pool",
    "host/sandbox/tests/fixtures/probe",
    "tests/fixtures",
    "tests/stranger",
];

/// Fetches their crates; what is there already is not asked for. With a filter nobody knows whether they are needed.
pub(crate) fn fetch(workspace: &Workspace, filter: Option<&str>, report: &mut Report) {
    say::heading("Crates of the guests that tests build");
    for folder in FOLDERS {
        let mut fetch = workspace.cargo();
        fetch.args(["fetch", "--quiet", "--locked", "--target", TARGET, "--manifest-path"]);
        let fetched = sh::run(fetch.arg(format!("{folder}/Cargo.toml")));
        let what = format!("crates of {folder}");
        match fetched {
            Err(error) if filter.is_some() => report.skip(&format!("{what}: {error:#}")),
            fetched => {
                report.step(&what, fetched);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn locked(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
        if folder.join("Cargo.lock").is_file() {
            found.push(folder.to_owned());
        }
        for entry in folder.read_dir().unwrap().map(Result::unwrap) {
            let name = entry.file_name();
            let built = name == "target" || name.to_string_lossy().starts_with('.');
            if entry.file_type().unwrap().is_dir() && !built {
                locked(&entry.path(), found);
            }
        }
    }

    #[test]
    fn no_workspace_is_forgotten() {
        let root = Workspace::find().unwrap().root;
        let mut found = Vec::new();
        locked(&root, &mut found);
        found.sort();
        // The root's crates are compiled before the tests run, and the fuzz targets' are asked for where they are checked.
        let mut expected: Vec<_> = ["", "fuzz"].into_iter().chain(FOLDERS).map(|it| root.join(it)).collect();
        expected.sort();
        assert_eq!(found, expected);
    }
}
