//! Other programs, with failures that name the command and what it said.

use std::process::{Command, Output, Stdio};

/// Runs it and answers its output, whatever its exit status.
pub fn output(command: &mut Command) -> Output {
    start(command.stdin(Stdio::null()))
}

fn start(command: &mut Command) -> Output {
    let line = format!("{command:?}");
    command.output().unwrap_or_else(|error| panic!("cannot start {line}: {error}"))
}

/// Runs it, must succeed, and answers its standard output.
pub fn run(command: &mut Command) -> String {
    run_with_input(command.stdin(Stdio::null()))
}

/// The same with the standard input that the command was given.
pub(crate) fn run_with_input(command: &mut Command) -> String {
    let line = format!("{command:?}");
    let Output { status, stdout, stderr } = start(command);
    let stderr = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{line}: {status}: {}", stderr.trim());
    String::from_utf8_lossy(&stdout).into_owned()
}

/// The words of a line as a command: the first is the program, none is quoted.
pub fn words(line: &str) -> Command {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().expect("a command line has a program"));
    command.args(words);
    command
}
