//! The commands that the languages' pages show are those that are run here.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Job, c, javascript, python};
use crate::sh;
use crate::workspace::Workspace;

/// The paths as in a clone, relative to it.
fn job<'a>(workspace: &'a Workspace, language: &str) -> Job<'a> {
    let name = "host-ports".to_owned();
    let sdk = Path::new("sdk").join(language);
    let tools = Path::new("target/languages").join(language);
    let (sources, out) = (sdk.join("examples").join(&name), tools.join(&name).with_extension("wasm"));
    Job { workspace, sdk, sources, name, wit: PathBuf::from("sdk/wit"), tools, out }
}

/// The commands of a page, each in one line. `$tools` is written out.
fn commands(language: &str) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sdk").join(language).join("README.md");
    let text = std::fs::read_to_string(page).unwrap();
    let blocks = text.split("```sh").skip(1).map(|rest| rest.split("\n```").next().unwrap());
    let lines = blocks.collect::<String>().replace("\\\n", " ");
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines: Vec<String> = lines.lines().map(words).collect();
    lines.join("\n").replace("$tools", &format!("target/languages/{language}"))
}

#[track_caller]
fn shows(language: &str, command: &Command) {
    let (line, page) = (sh::display(command), commands(language));
    assert!(page.contains(&line), "sdk/{language}/README.md does not show\n{line}\nbut\n{page}");
}

#[test]
fn the_page_of_python_shows_what_is_run() {
    let workspace = Workspace::find().unwrap();
    let job = job(&workspace, "python");
    let venv = job.tools.join("venv");
    shows("python", &python::environment(&venv));
    shows("python", &python::install(&venv, &job.sdk.join("requirements.txt")));
    shows("python", &python::componentize(&job, &venv));
}

#[test]
fn the_page_of_javascript_shows_what_is_run() {
    let workspace = Workspace::find().unwrap();
    let job = job(&workspace, "javascript");
    shows("javascript", &javascript::install());
    shows("javascript", &javascript::componentize(&job, &job.tools));
}

#[test]
fn the_page_of_c_shows_what_is_run_with_the_packages_installed() {
    let bindings = Path::new("target/languages/c/bindings");
    let clang = c::clang(Path::new("/usr"), Path::new("$linkers"), bindings);
    let mut shown = Command::new("clang-14");
    shown.args(clang.get_args());
    shows("c", &shown);
    let page = commands("c");
    let installed = page.lines().find_map(|line| line.strip_prefix("apt install ")).unwrap();
    for package in installed.split(' ') {
        assert!(c::PACKAGES.packages.contains(&package), "{package} is not what is unpacked here");
    }
}
