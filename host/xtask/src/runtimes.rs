//! The container runtimes that the tests start: packages of Debian 12, trixie and sid, unpacked below `target/runtimes`
//! and not installed. The tests lay them over a private view of `/usr`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};

use crate::setup::apt::{self, PrivateApt};
use crate::workspace::{Workspace, create_dir, write_atomically};
use crate::{say, sh};

/// A folder of unpacked packages.
pub(crate) struct Folder {
    pub(crate) name: &'static str,
    pub(crate) suite: &'static str,
    pub(crate) packages: &'static [&'static str],
    /// Also what they depend on, as far as this system lacks it: these are of this system's own suite.
    pub(crate) dependencies: bool,
}

const FOLDERS: [Folder; 6] = [
    Folder {
        name: "debian",
        suite: "bookworm",
        packages: &["containerd", "runc", "podman", "buildah", "busybox-static"],
        dependencies: true,
    },
    Folder { name: "containerd-1.7", suite: "trixie", packages: &["containerd"], dependencies: false },
    Folder { name: "containerd-2", suite: "sid", packages: &["containerd"], dependencies: false },
    Folder {
        name: "go",
        suite: "trixie",
        packages: &["golang-1.24-go", "golang-1.24-src"],
        dependencies: false,
    },
    Folder {
        name: "libcni-1.1",
        suite: "trixie",
        packages: &["golang-github-appc-cni-dev"],
        dependencies: false,
    },
    Folder {
        name: "libcni-1.3",
        suite: "sid",
        packages: &["golang-github-appc-cni-dev"],
        dependencies: false,
    },
];
/// The folders in which a driver is built, and whether that libcni knows GC and STATUS.
const LIBCNI: [(&str, bool); 2] = [("libcni-1.1", false), ("libcni-1.3", true)];

/// The modules of the tests that start them.
const TESTS: [&str; 8] = [
    "runtimes::",
    "recording::",
    "containerd::",
    "podman::",
    "buildah::",
    "ctr::",
    "libcni::",
    "kubernetes::",
];

/// Where they are, once they are there.
pub(crate) fn folder(workspace: &Workspace) -> PathBuf {
    workspace.target().join("runtimes")
}

/// Whether a filter is for tests that start them.
pub(crate) fn is_wanted(filter: &str) -> bool {
    TESTS.iter().any(|test| test.contains(filter) || filter.contains(test))
}

/// Fetches what is missing; an error if anything could not be had.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let (folder, failures) = fetch(workspace)?;
    if !failures.is_empty() {
        bail!("{}", failures.join("; "));
    }
    say::line(format_args!("all of it is in {}", folder.display()));
    Ok(())
}

/// Fetches what is missing. Answers the folder that holds all, and a sentence about each that could not be had.
pub(crate) fn fetch(workspace: &Workspace) -> Result<(PathBuf, Vec<String>)> {
    say::heading("The container runtimes");
    let all = folder(workspace);
    create_dir(&all)?;
    let mut failures = Vec::new();
    for folder in &FOLDERS {
        if let Err(error) = folder.ensure(workspace, &all) {
            failures.push(format!("{}: {error:#}", folder.name));
        }
    }
    for (name, knows_gc) in LIBCNI {
        if let Err(error) = driver(workspace, &all, name, knows_gc) {
            failures.push(format!("a driver on {name}: {error:#}"));
        }
    }
    Ok((all, failures))
}

impl Folder {
    /// Fetches and unpacks it below `all`, unless that was done.
    pub(crate) fn ensure(&self, workspace: &Workspace, all: &Path) -> Result<()> {
        let root = all.join(self.name);
        let stamp = root.join("packages");
        if let Ok(had) = fs::read_to_string(&stamp) {
            say::good(format_args!("{}: {}", self.name, had.trim()));
            return Ok(());
        }
        let work = workspace.build_dir.join("setup");
        create_dir(&work)?;
        let apt = PrivateApt::new(&work, self.suite)?;
        let debs = if self.dependencies {
            apt.download_missing(self.packages)?
        } else {
            let download = |package: &&str| apt.download_newest(package, &work.join("debs"));
            self.packages.iter().map(download).collect::<Result<_>>()?
        };
        apt::unpack_all(&debs, &root)?;
        let mut names: Vec<_> = debs.iter().map(|deb| name(deb)).collect();
        names.sort();
        let names = names.join(", ");
        say::good(format_args!("{}: {names}", self.name));
        write_atomically(&stamp, format!("{names}\n").as_bytes())
    }
}

/// `package version`, as a package's file name has them.
fn name(deb: &Path) -> String {
    let file = deb.file_name().unwrap_or_default().to_string_lossy();
    let mut words = file.split('_');
    let (package, version) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    format!("{package} {}", version.replace("%3a", ":"))
}

/// Builds `tests/libcni` against the libcni in a folder, unless that was done with these sources.
fn driver(workspace: &Workspace, all: &Path, name: &str, knows_gc: bool) -> Result<()> {
    let (root, go) = (all.join(name), all.join("go"));
    let (driver, stamp) = (root.join("driver"), root.join("driver-sources"));
    let sources = workspace.root.join("tests/libcni");
    let text = ["main.go", "cni10.go", "cni11.go"]
        .map(|file| fs::read_to_string(sources.join(file)).with_context(|| format!("cannot read {file}")))
        .into_iter()
        .collect::<Result<String>>()?;
    if driver.exists() && fs::read_to_string(&stamp).is_ok_and(|had| had == text) {
        return Ok(());
    }
    say::line(format_args!("building a driver on {name}"));
    let library = go.join("usr/lib");
    let entries = fs::read_dir(&library).with_context(|| format!("there is no Go in {}", go.display()))?;
    let goroot = entries
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.join("bin/go").exists())
        .ok_or_else(|| anyhow!("there is no Go in {}", library.display()))?;
    // In the way of Go before modules: everything is on disk, nothing is fetched.
    let mut command = Command::new(goroot.join("bin/go"));
    command.args(["build", "-tags", if knows_gc { "cni11" } else { "" }, "-o"]).arg(&driver).arg(".");
    command.current_dir(&sources).env("GOROOT", &goroot).env("GOPATH", root.join("usr/share/gocode"));
    command.env("GOCACHE", go.join("cache")).env("GO111MODULE", "off").env("CGO_ENABLED", "0");
    command.env("GOTOOLCHAIN", "local").env("GOFLAGS", "");
    sh::output(&mut command)?;
    write_atomically(&stamp, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_told_by_name_and_version() {
        assert_eq!(
            name(Path::new("/x/busybox-static_1%3a1.35.0-4+b1_amd64.deb")),
            "busybox-static 1:1.35.0-4+b1"
        );
    }

    #[test]
    fn filters_for_other_tests_fetch_nothing() {
        assert!(is_wanted("runtimes") && is_wanted("podman") && is_wanted("containerd::v1_6::limits"));
        assert!(!is_wanted("journal") && !is_wanted("portmap::masquerade"));
    }

    #[test]
    fn every_driver_has_its_folder() {
        for (name, _) in LIBCNI {
            assert!(FOLDERS.iter().any(|folder| folder.name == name), "{name}");
        }
    }
}
