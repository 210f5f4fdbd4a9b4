//! A private apt: its own lists, cache and source, so that a package of another Debian suite can be fetched
//! and unpacked without touching the system's sources or its installed packages.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::sources;
use crate::workspace::create_dir;
use crate::{say, sh};

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// An apt that knows one suite of Debian's archive.
pub(crate) struct PrivateApt {
    dir: PathBuf,
    suite: String,
    /// Another architecture than this system's.
    foreign: Option<&'static str>,
}

impl PrivateApt {
    /// Sets one up in `dir` for `suite` and fetches its package list.
    pub(crate) fn new(dir: &Path, suite: &str) -> Result<Self> {
        Self::with(dir, suite, None)
    }

    /// One for the packages of another architecture, of which none is installed.
    pub(crate) fn foreign(dir: &Path, suite: &str, architecture: &'static str) -> Result<Self> {
        Self::with(dir, suite, Some(architecture))
    }

    fn with(dir: &Path, suite: &str, foreign: Option<&'static str>) -> Result<Self> {
        for program in ["apt-get", "apt-cache", "dpkg"] {
            if sh::find(program).is_none() {
                bail!(
                    "{program} is missing: packages of Debian {suite} can only be fetched on Debian or its relatives"
                );
            }
        }
        if !Path::new(KEYRING).exists() {
            bail!("{KEYRING} is missing: install debian-archive-keyring");
        }
        let Some(mirror) = sources::mirror(Path::new("/etc")) else {
            bail!("/etc/apt names no mirror of Debian: add one to its sources, then run this again");
        };
        let apt = Self { dir: dir.join(format!("apt-{suite}")), suite: suite.to_owned(), foreign };
        create_dir(&apt.dir.join("lists/partial"))?;
        create_dir(&apt.dir.join("cache/archives/partial"))?;
        let source =
            format!("Types: deb\nURIs: {mirror}\nSuites: {suite}\nComponents: main\nSigned-By: {KEYRING}\n");
        fs::write(apt.source(), source)
            .with_context(|| format!("cannot write {}", apt.source().display()))?;
        say::line(format_args!(
            "reading the package list of Debian {suite} from {mirror} (a private apt; the system's sources stay as they are)"
        ));
        sh::output(apt.command("apt-get").args(["-q", "update"]))?;
        Ok(apt)
    }

    /// The versions of a package that the suite has, newest first.
    pub(crate) fn versions(&self, package: &str) -> Result<Vec<String>> {
        Ok(madison(&sh::output(self.command("apt-cache").args(["madison", package]))?))
    }

    /// The newest version of a package.
    pub(crate) fn newest(&self, package: &str) -> Result<String> {
        let newest = self.versions(package)?.into_iter().next();
        newest.with_context(|| format!("Debian {} has no {package}", self.suite))
    }

    /// The packages that a package depends on.
    pub(crate) fn depends(&self, package: &str) -> Result<Vec<String>> {
        let text = sh::output(self.command("apt-cache").args(["depends", "--important", package]))?;
        Ok(text.lines().filter_map(|line| line.trim().strip_prefix("Depends: ")).map(str::to_owned).collect())
    }

    /// Downloads one version of a package into `dir` and returns the file.
    pub(crate) fn download(&self, package: &str, version: &str, dir: &Path) -> Result<PathBuf> {
        create_dir(dir)?;
        say::line(format_args!("downloading {package} {version} from Debian {}", self.suite));
        sh::output(
            self.command("apt-get")
                .args(["-q", "download", &format!("{package}={version}")])
                .current_dir(dir),
        )?;
        find_deb(dir, package, version)?
            .with_context(|| format!("apt-get download left no {package} {version} in {}", dir.display()))
    }

    /// Downloads the newest version of a package into `dir` and returns the file.
    pub(crate) fn download_newest(&self, package: &str, dir: &Path) -> Result<PathBuf> {
        self.download(package, &self.newest(package)?, dir)
    }

    /// Downloads packages together with what they depend on and this system lacks. Answers the files.
    pub(crate) fn download_missing(&self, packages: &[&str]) -> Result<Vec<PathBuf>> {
        say::line(format_args!("downloading {} from Debian {}", packages.join(", "), self.suite));
        let archives = self.dir.join("cache/archives");
        let debs = || -> Result<Vec<PathBuf>> {
            let entries =
                fs::read_dir(&archives).with_context(|| format!("cannot list {}", archives.display()))?;
            let is_deb = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "deb");
            Ok(entries.flatten().map(|entry| entry.path()).filter(is_deb).collect())
        };
        for stale in debs()? {
            fs::remove_file(&stale).with_context(|| format!("cannot remove {}", stale.display()))?;
        }
        let mut install = self.command("apt-get");
        install.args(["-q", "-y", "--download-only", "--no-install-recommends", "install"]).args(packages);
        sh::output(&mut install)?;
        debs()
    }

    fn source(&self) -> PathBuf {
        self.dir.join("debian.sources")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let folder = |name: &str| self.dir.join(name).display().to_string();
        for option in [
            format!("Dir::State::Lists={}", folder("lists")),
            format!("Dir::Cache={}", folder("cache")),
            format!("Dir::Etc::SourceList={}", self.source().display()),
            "Dir::Etc::SourceParts=-".to_owned(),
            "APT::Sandbox::User=root".to_owned(),
            "Acquire::Languages=none".to_owned(),
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
        ] {
            command.arg("-o").arg(option);
        }
        if let Some(architecture) = self.foreign {
            for option in ["APT::Architecture", "APT::Architectures"] {
                command.arg("-o").arg(format!("{option}={architecture}"));
            }
            command.args(["-o", "Dir::State::Status=/dev/null"]);
        }
        command
    }
}

/// The file of a package in `dir` whose version begins with `version`.
pub(crate) fn find_deb(dir: &Path, package: &str, version: &str) -> Result<Option<PathBuf>> {
    // In file names apt writes a version's colon as %3a.
    let prefix = format!("{package}_{}", version.replace(':', "%3a"));
    let entries = fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))?;
    let mut files: Vec<_> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix)))
        .collect();
    files.sort();
    Ok(files.pop())
}

/// Unpacks a package's files under `root`; nothing is installed and no script of it runs.
fn unpack(deb: &Path, root: &Path) -> Result<()> {
    create_dir(root)?;
    sh::output(Command::new("dpkg").arg("-x").arg(deb).arg(root)).map(|_| ())
}

/// Unpacks packages under `root`, and nothing else is there then.
pub(crate) fn unpack_all(debs: &[PathBuf], root: &Path) -> Result<()> {
    if root.exists() {
        fs::remove_dir_all(root).with_context(|| format!("cannot remove {}", root.display()))?;
    }
    create_dir(root)?;
    debs.iter().try_for_each(|deb| unpack(deb, root))
}

fn madison(text: &str) -> Vec<String> {
    text.lines().filter_map(|line| line.split('|').nth(1)).map(|version| version.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn madison_lines_give_the_versions() {
        let text = "  rust-src | 1.96.1+dfsg1-2~bpo13+1 | http://deb.example/debian trixie-backports/main amd64 Packages\n\
            \x20 rust-src | 1.95.0+dfsg1-2~bpo13+1 | http://deb.example/debian trixie-backports/main amd64 Packages";
        assert_eq!(madison(text), ["1.96.1+dfsg1-2~bpo13+1", "1.95.0+dfsg1-2~bpo13+1"]);
        assert!(madison("").is_empty());
    }

    #[test]
    fn debs_are_found_by_package_and_version() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "rust-src_1.95.0+dfsg1-2_all.deb",
            "rust-src_1.94.0_all.deb",
            "rust-src_1.95.0.txt",
            "p_1%3a2-1_all.deb",
        ] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let found = |package, version| find_deb(dir.path(), package, version).unwrap();
        assert!(found("rust-src", "1.95.0").unwrap().ends_with("rust-src_1.95.0+dfsg1-2_all.deb"));
        assert!(found("p", "1:2-1").is_some());
        assert_eq!(found("wasi-libc", ""), None);
    }
}
