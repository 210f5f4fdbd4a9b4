//! The command line as a page: what `--help` says, of every command at once.

use std::fmt::Write as _;

use clap::{Arg, Command};

/// The page of a program and its commands.
pub(super) fn page(mut cli: Command) -> String {
    cli.build();
    let mut text = format!(
        "# {}\n\nWritten by `cargo xtask docs` from the program itself; `--help` says the same.\n\n{}\n",
        cli.get_name(),
        about(&cli)
    );
    let commands: Vec<&Command> = leaves(&cli);
    text.push('\n');
    for command in &commands {
        let name = full_name(command);
        let _ = writeln!(text, "- [`{name}`](#{})", name.replace(' ', "-"));
    }
    for command in commands {
        section(&mut text, command);
    }
    text
}

/// The commands that do something, in the order in which `--help` lists them.
fn leaves(command: &Command) -> Vec<&Command> {
    let shown = command.get_subcommands().filter(|it| !it.is_hide_set() && it.get_name() != "help");
    let below: Vec<&Command> = shown.flat_map(leaves).collect();
    if below.is_empty() { vec![command] } else { below }
}

fn section(text: &mut String, command: &Command) {
    let _ = writeln!(text, "\n## `{}`\n\n{}", full_name(command), about(command));
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").lines().map(str::trim).collect::<Vec<_>>().join("\n");
    let _ = writeln!(text, "\n```text\n{usage}\n```");
    let mut arguments = command
        .get_arguments()
        .filter(|it| !it.is_hide_set() && !["help", "version"].contains(&it.get_id().as_str()))
        .peekable();
    if arguments.peek().is_some() {
        text.push('\n');
    }
    for argument in arguments {
        let _ = writeln!(text, "- {}: {}", form(argument), help(argument));
    }
}

/// As in `wharfctl journal show`.
fn full_name(command: &Command) -> String {
    command.get_bin_name().unwrap_or_else(|| command.get_name()).to_owned()
}

fn about(command: &Command) -> String {
    let about = command.get_long_about().or_else(|| command.get_about());
    let about = about.map(ToString::to_string).unwrap_or_default();
    // An explicit end: the first paragraph of a doc comment loses its own.
    if about.contains('\n') || about.ends_with('.') { about } else { format!("{about}.") }
}

/// How an argument is written: `-n`, `--network NAME`, `COMPONENT...`.
fn form(argument: &Arg) -> String {
    let takes_value = argument.get_action().takes_values();
    let values = argument.get_value_names().unwrap_or_default().join(" ");
    let mut forms = Vec::new();
    forms.extend(argument.get_short().map(|short| format!("-{short}")));
    forms.extend(argument.get_long().map(|long| format!("--{long}")));
    let mut form = forms.join(", ");
    if takes_value {
        let many = argument.get_num_args().is_some_and(|count| count.max_values() > 1);
        let dots = if many || matches!(argument.get_action(), clap::ArgAction::Append) { "..." } else { "" };
        let space = if form.is_empty() { "" } else { " " };
        let _ = write!(form, "{space}{values}{dots}");
    }
    format!("`{form}`")
}

fn help(argument: &Arg) -> String {
    let help = argument.get_long_help().or_else(|| argument.get_help());
    let mut text = help.map(ToString::to_string).unwrap_or_default().replace("\n\n", " ").replace('\n', " ");
    if !text.ends_with(['.', ']', ')']) {
        text.push('.');
    }
    if argument.get_action().takes_values() {
        let possible = argument.get_possible_values();
        let names: Vec<String> = possible
            .iter()
            .filter(|it| !it.is_hide_set())
            .map(|value| match value.get_help() {
                Some(help) => format!("`{}` ({help})", value.get_name()),
                None => format!("`{}`", value.get_name()),
            })
            .collect();
        if !names.is_empty() {
            let _ = write!(text, " One of {}.", names.join(", "));
        }
        let defaults: Vec<String> =
            argument.get_default_values().iter().map(|value| format!("`{}`", value.display())).collect();
        if !defaults.is_empty() {
            let _ = write!(text, " [default: {}]", defaults.join(" "));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program() -> Command {
        let level = Arg::new("level").long("level").short('l').value_name("LEVEL").default_value("low");
        let level = level.value_parser(["low", "high"]).help("How much");
        let file = Arg::new("file").value_name("FILE").num_args(1..).help("What to read");
        let show = Command::new("show").about("Shows it").arg(level).arg(file);
        let hidden = Command::new("secret").hide(true);
        Command::new("tool")
            .about("A tool")
            .subcommand(Command::new("log").subcommand(show))
            .subcommand(hidden)
    }

    #[test]
    fn each_command_has_a_section_with_its_arguments() {
        let text = page(program());
        for line in [
            "- [`tool log show`](#tool-log-show)\n",
            "\n## `tool log show`\n\nShows it.\n\n```text\ntool log show [OPTIONS] [FILE]...\n```\n",
            "\n- `-l, --level LEVEL`: How much. One of `low`, `high`. [default: `low`]\n",
            "\n- `FILE...`: What to read.\n",
        ] {
            assert!(text.contains(line), "{line:?} in {text}");
        }
        assert!(!text.contains("secret") && !text.contains("## `tool log`\n"));
    }
}
