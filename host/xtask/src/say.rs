//! How the chores talk: headings, plain lines and verdicts, in colour when a person is looking.

use std::fmt::Display;
use std::io::IsTerminal;
use std::sync::OnceLock;

/// Begins a part of the work.
pub(crate) fn heading(text: &str) {
    println!("\n{}", paint("1;36", &format!("== {text}")));
}

/// One line about what is being done.
pub(crate) fn line(text: impl Display) {
    println!("   {text}");
}

/// Something that was checked and holds.
pub(crate) fn good(text: impl Display) {
    println!("   {} {text}", paint("32", "ok"));
}

/// Something that is left out or worth knowing; not a failure.
pub(crate) fn warn(text: impl Display) {
    println!("   {} {text}", paint("33", "note:"));
}

/// Why the command fails; goes to stderr.
pub(crate) fn failure(text: &str) {
    eprintln!("{} {text}", paint("1;31", "FAILED:"));
}

/// A command as a person would type it, before it runs.
pub(crate) fn command(text: &str) {
    println!("   {}", paint("2", &format!("$ {text}")));
}

/// `text` in the given SGR style if stdout is a terminal and `NO_COLOR` is unset.
pub(crate) fn paint(style: &str, text: &str) -> String {
    static COLOUR: OnceLock<bool> = OnceLock::new();
    let colour =
        COLOUR.get_or_init(|| std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none());
    if *colour { format!("\x1b[{style}m{text}\x1b[0m") } else { text.to_owned() }
}
