//! The pages of docs/reference are what the sources say. `cargo xtask docs` writes them.

use std::fs;

use wharf_ops::OPERATIONS;
use wharf_tests::docs::{page, wit};
use wharf_tests::install::Binaries;
use wharf_tests::sh;

/// Compares, or writes where `WHARF_BLESS` is set.
#[track_caller]
fn compare(name: &str, made: &str) {
    let file = page::root().join("docs/reference").join(name);
    if std::env::var_os("WHARF_BLESS").is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, made).unwrap();
        return;
    }
    let written = fs::read_to_string(&file).unwrap_or_default();
    let differs = written.lines().zip(made.lines()).find(|(written, made)| written != made);
    assert!(
        written == made,
        "docs/reference/{name} is not what the sources say: run `cargo xtask docs`. The first difference: {differs:?}"
    );
}

fn printed(page: &str) -> String {
    sh::run(std::process::Command::new(&Binaries::get().wharfctl).args(["reference", page]))
}

#[test]
fn the_page_of_the_wit_packages() {
    let changes = |name: &str| OPERATIONS.iter().find(|it| it.name == name).map(|it| it.changes);
    let made = wit::page(&page::root().join("wit"), changes);
    for operation in OPERATIONS {
        let mark = if operation.changes { " (changes)" } else { "" };
        assert!(made.contains(&format!("\n#### `{}`{mark}\n", operation.name)), "{}", operation.name);
    }
    compare("wit.md", &made);
}

#[test]
fn the_page_of_the_commands() {
    compare("cli.md", &printed("cli"));
}

#[test]
fn the_page_of_variables_and_files() {
    compare("files.md", &printed("files"));
}
