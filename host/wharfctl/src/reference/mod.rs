//! `wharfctl reference`: the pages of docs/reference that this program knows by itself, as Markdown. `cargo xtask docs` writes
//! them, and a test compares.

mod commands;
mod files;

use anyhow::Result;
use clap::ValueEnum;

use crate::say;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Which page.
    page: Page,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Page {
    /// Every command of wharfctl.
    Cli,
    /// Environment variables, /etc/cni/wharf.toml, grant files.
    Files,
}

/// Prints the page. `cli` is the whole program's command line.
pub(crate) fn run(options: &Options, cli: clap::Command) -> Result<()> {
    let text = match options.page {
        Page::Cli => commands::page(cli),
        Page::Files => files::page(),
    };
    say::text(&text)
}

/// Text inside a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_stays_in_its_row() {
        assert_eq!(cell("a|b\nc"), "a\\|b c");
    }
}
