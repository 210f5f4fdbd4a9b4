//! Guests in other languages than Rust: the examples of `sdk/python`, `sdk/javascript` and `sdk/c`. Their tools come from
//! the registries of PyPI, npm and Debian, in the versions that the SDK locks, and stay below `target/languages`.

mod c;
mod javascript;
#[cfg(test)]
mod pages;
mod python;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::workspace::{Workspace, create_dir, write_atomically};
use crate::{say, sh};

/// What the examples are.
const WORLD: &str = "policy-plugin";
/// The module of the tests that want them.
const TEST: &str = "languages::";

struct Language {
    /// Its folder below `sdk/`.
    name: &'static str,
    /// The files in there that say which tools.
    locks: &'static [&'static str],
    /// The source of `build`: another way of building is another component.
    recipe: &'static str,
    build: fn(&Job) -> Result<()>,
}

const LANGUAGES: [Language; 3] = [
    Language {
        name: "python",
        locks: &["requirements.txt"],
        recipe: include_str!("python.rs"),
        build: python::build,
    },
    Language {
        name: "javascript",
        locks: &["package.json", "package-lock.json"],
        recipe: include_str!("javascript.rs"),
        build: javascript::build,
    },
    Language { name: "c", locks: &["bindings/Cargo.toml"], recipe: include_str!("c.rs"), build: c::build },
];

/// One component to be made.
struct Job<'a> {
    workspace: &'a Workspace,
    /// The language's folder of the SDK.
    sdk: PathBuf,
    /// The example's folder in there; its name is the guest's.
    sources: PathBuf,
    name: String,
    /// The contract as one folder.
    wit: PathBuf,
    /// Where the language's tools go.
    tools: PathBuf,
    out: PathBuf,
}

/// Where everything is, once it is there: `LANGUAGE/NAME.wasm`, and the tools.
pub(crate) fn folder(workspace: &Workspace) -> PathBuf {
    workspace.target().join("languages")
}

/// Whether a filter is for tests that want them.
pub(crate) fn is_wanted(filter: &str) -> bool {
    TEST.contains(filter) || filter.contains(TEST)
}

/// Builds what is missing or older than its sources; an error if anything could not be had.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let (folder, failures) = build(workspace);
    if !failures.is_empty() {
        bail!("{}", failures.join("; "));
    }
    say::line(format_args!("all of it is in {}", folder.display()));
    Ok(())
}

/// Builds what is missing or older than its sources. Answers the folder, and a sentence about each language that could
/// not be had.
pub(crate) fn build(workspace: &Workspace) -> (PathBuf, Vec<String>) {
    say::heading("Guests in Python, JavaScript and C");
    let all = folder(workspace);
    let mut failures = Vec::new();
    for language in &LANGUAGES {
        if let Err(error) = language.examples(workspace, &all) {
            failures.push(format!("guests in {}: {error:#}", language.name));
        }
    }
    (all, failures)
}

impl Language {
    fn examples(&self, workspace: &Workspace, all: &Path) -> Result<()> {
        let sdk = workspace.root.join("sdk").join(self.name);
        let (wit, tools) = (workspace.root.join("sdk/wit"), all.join(self.name));
        create_dir(&tools)?;
        for sources in entries(&sdk.join("examples"))? {
            let name = sources.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let out = tools.join(format!("{name}.wasm"));
            let (sdk, wit, tools) = (sdk.clone(), wit.clone(), tools.clone());
            self.ensure(&Job { workspace, sdk, sources, name, wit, tools, out })?;
        }
        Ok(())
    }

    /// Builds one, unless that was done from these inputs.
    fn ensure(&self, job: &Job) -> Result<()> {
        let stamp = job.out.with_extension("inputs");
        let locks = self.locks.iter().map(|file| job.sdk.join(file));
        let inputs: Vec<PathBuf> = [job.wit.clone(), job.sources.clone()].into_iter().chain(locks).collect();
        let digest = digest(self.recipe, &inputs)?;
        if !job.out.exists() || fs::read(&stamp).ok().as_ref() != Some(&digest) {
            (self.build)(job)?;
            write_atomically(&stamp, &digest)?;
        }
        let size =
            fs::metadata(&job.out).with_context(|| format!("{} was not built", job.out.display()))?.len();
        say::good(format_args!("{} in {}: {} KB", job.name, self.name, size / 1000));
        Ok(())
    }
}

/// Of a text and of all files below these paths.
fn digest(text: &str, paths: &[PathBuf]) -> Result<Vec<u8>> {
    let mut hasher = Sha256::new();
    hasher.update(text);
    for file in files(paths)? {
        let bytes = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        hasher.update(file.as_os_str().as_encoded_bytes());
        hasher.update(bytes.len().to_le_bytes());
        hasher.update(bytes);
    }
    Ok(hasher.finalize().to_vec())
}

/// All files, in an order of their own. What an interpreter leaves beside its sources is none.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in paths.iter().filter(|path| !path.ends_with("__pycache__")) {
        if path.is_dir() {
            found.extend(files(&entries(path)?)?);
        } else {
            found.push(path.clone());
        }
    }
    Ok(found)
}

/// What is in a folder, sorted.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}

/// Whether a folder of tools was made from exactly this text; `done` says that it is now.
struct Stamp<'a> {
    file: PathBuf,
    text: &'a str,
}

impl<'a> Stamp<'a> {
    fn new(tools: &Path, text: &'a str) -> Self {
        Self { file: tools.join("tools.lock"), text }
    }

    fn holds(&self) -> bool {
        fs::read_to_string(&self.file).is_ok_and(|had| had == self.text)
    }

    fn done(&self) -> Result<()> {
        write_atomically(&self.file, self.text.as_bytes())
    }
}

/// A lock file of the SDK.
fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

/// Removes what an earlier version of the tools left.
fn clear(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    Ok(())
}

/// Installs the Debian packages of programs that are missing.
fn need(programs: &[(&str, &'static str)]) -> Result<()> {
    let missing: Vec<&str> = programs
        .iter()
        .filter(|(program, _)| sh::find(program).is_none())
        .map(|(_, package)| *package)
        .collect();
    if missing.is_empty() { Ok(()) } else { crate::setup::packages::install_missing(&missing) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_is_another_digest() {
        let folder = tempfile::tempdir().unwrap();
        let (file, cache) = (folder.path().join("a/b.py"), folder.path().join("a/__pycache__"));
        create_dir(&cache).unwrap();
        fs::write(&file, "one").unwrap();
        let of = |recipe| digest(recipe, &[folder.path().to_owned()]).unwrap();
        let before = of("recipe");
        fs::write(cache.join("b.pyc"), "compiled").unwrap();
        assert_eq!(of("recipe"), before);
        assert_ne!(of("other recipe"), before);
        fs::write(&file, "two").unwrap();
        assert_ne!(of("recipe"), before);
    }

    #[test]
    fn filters_for_other_tests_build_nothing() {
        assert!(is_wanted("languages") && is_wanted("languages::python"));
        assert!(!is_wanted("journal") && !is_wanted("policy::order"));
    }
}
