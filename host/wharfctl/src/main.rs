//! The operator's tool: installs Wharf and shows what is installed.

mod add;
mod attachments;
mod bench;
mod component;
mod conflist;
mod doctor;
mod drop_in;
mod export;
mod gc;
mod grants;
mod guests;
mod http;
mod inspect;
mod install;
mod journal;
mod kube;
mod lint;
mod lists;
mod metrics;
mod new;
mod plan;
mod pod_cidr;
mod reconcile;
mod record;
mod recover;
mod reference;
mod remove;
mod replay;
mod say;
mod scenario;
mod simulated;
mod status;
mod support;
mod told;
mod uninstall;
mod words;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use wharf_broker::Paths;

use crate::say::{complain, reasons};

/// Install and inspect Wharf, the CNI plugin whose decisions are made by sandboxed WebAssembly guests.
///
/// WHARF_ROOT prefixes every path that Wharf owns (default /).
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Compile and store the guests, write their grants, and put the CNI binary in place.
    Install(install::Options),
    /// Remove Wharf from this node, without cutting off the pods that run.
    ///
    /// From the first run on no pod is attached any more, and those that are can be deleted. When the last one is gone,
    /// everything goes: say --wait, or run it again.
    Uninstall(uninstall::Options),
    /// Remove what a network has on this node for none of its valid attachments.
    ///
    /// Does what the CNI command GC does, without the network's configuration and its guests: firewall rules, ifbs and
    /// leases that carry the network's name. An attachment that is made while this runs must be in the list too.
    Gc(gc::Options),
    /// Say what a component is, before anything runs it: world, imports in words, tools, size, digest.
    Inspect(inspect::Options),
    /// Make a project for a guest of your own: it builds, its tests pass, and it can be installed.
    New(new::Options),
    /// Install a guest that somebody made: compile it, store it, and write what it may do.
    ///
    /// One that is installed already is upgraded: calls that run finish with the old one, and what the old one set up is
    /// removed by its record. A grant that was changed by hand stays.
    Add(add::Options),
    /// Remove a guest. What it set up can still be deleted: the host does that by its record.
    Remove(remove::Options),
    /// List the installed guests: name, digest, world, imports.
    Guests {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print the network configuration list of a Kubernetes node with a given pod CIDR.
    Conflist(conflist::Options),
    /// Ask the Kubernetes API for this node's pod CIDRs, for lists that say `usePodCidr`.
    PodCidr(pod_cidr::Options),
    /// Look whether this node can run what its lists say: kernel, firewall, parameters, guests, grants, lists, leases.
    ///
    /// Each finding says what, where, and what to do. Fails if there is an error among them.
    Doctor(doctor::Options),
    /// Find what is wrong in network configurations, before a runtime does: keys that nobody reads, values of the wrong
    /// shape, plugins that are not there, versions that some runtimes refuse.
    ///
    /// Needs no root, and nothing installed. Fails if there is an error.
    Lint(lint::Options),
    /// Tell what an ADD would change on this host, and change nothing.
    ///
    /// Reads the state of the kernel, then runs the list's guests on a simulated machine in that state. Without root, a
    /// namespace of its own stands for the container's.
    Plan(plan::Options),
    /// Do an ADD and record what passes between its guests and this host, in one file.
    ///
    /// The attachment stays, as any does. An ADD that fails is recorded, too. `wharfctl replay` runs the guests again, on any
    /// machine.
    Record(record::Options),
    /// Run the guests of a recorded ADD again, without root and without any network: the recording answers what they ask for.
    ///
    /// Fails if a guest asks for something else, or in another order, or comes to another end than was recorded.
    Replay(replay::Options),
    /// Run scenarios: what guests do on a simulated machine, without root and without touching anything.
    ///
    /// A scenario is a TOML file: a network, a machine, calls, packets, faults, and what is expected. Each ADD, DEL and GC in
    /// it is also run with each of its changes failing, and killed between them. Fails if a scenario does.
    Test(scenario::Options),
    /// Measure what a guest costs a call: time until it runs, of its own code, of its operations, and memory.
    ///
    /// Runs it on a simulated machine in the sandbox that it has on a node; needs no root, and touches nothing.
    Bench(bench::Options),
    /// What guests may do: say it, check it, suggest it.
    #[command(subcommand)]
    Grants(grants::Command),
    /// Undo every ADD that was cut short (a crash, a kill) and that nobody works on.
    Recover {
        /// Also remove journals of which nothing can be read, not even whose they are. Say it when their pods are gone.
        #[arg(long)]
        force: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Put recorded firewall rules back that somebody removed: a reload of firewalld, `nft flush ruleset`.
    ///
    /// Works in the network namespace that it is started in. What is there is left alone.
    Reconcile(reconcile::Options),
    /// Print what calls did and what there is, in the text format of Prometheus.
    Metrics(metrics::Options),
    /// Bring metrics to a file and spans to an OpenTelemetry collector, once or again and again.
    Export(export::Options),
    /// Write everything that a bug report needs into one tar, without secrets.
    Support(support::Options),
    /// List what exists on this node: whose, since when, with which addresses, links and ports.
    Attachments(attachments::Options),
    /// Print a page of docs/reference.
    #[command(hide = true)]
    Reference(reference::Options),
    /// Show what ADDs did to this host.
    Journal {
        #[command(subcommand)]
        command: Journal,
    },
}

#[derive(Debug, Subcommand)]
enum Journal {
    /// Print journals as readable lines: each operation, who asked for it, what came of it, how it would be undone.
    Show {
        /// Only those of this attachment: a container id, CONTAINER/IFNAME, or a journal's name. [default: all]
        attachment: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let paths = Paths::from_env();
    let done = match &cli.command {
        Command::Install(options) => install::run(&paths, options),
        Command::Uninstall(options) => uninstall::run(&paths, options),
        Command::Gc(options) => gc::run(&paths, options),
        Command::Conflist(options) => conflist::run(&paths, options),
        Command::PodCidr(options) => pod_cidr::run(&paths, options),
        Command::Metrics(options) => metrics::run(&paths, options),
        Command::Support(options) => support::run(&paths, options),
        Command::Export(options) => export::run(&paths, options),
        Command::Doctor(options) => doctor::run(&paths, options),
        Command::Inspect(options) => inspect::run(options),
        Command::New(options) => new::run(options),
        Command::Add(options) => add::run(&paths, options),
        Command::Remove(options) => remove::run(&paths, options),
        Command::Test(options) => scenario::run(options),
        Command::Bench(options) => bench::run(options),
        Command::Lint(options) => lint::run(&paths, options),
        Command::Plan(options) => plan::run(&paths, options),
        Command::Record(options) => record::run(&paths, options),
        Command::Replay(options) => replay::run(&paths, options),
        Command::Guests { json } => guests::run(&paths, *json),
        Command::Grants(command) => grants::run(&paths, command),
        Command::Reconcile(options) => reconcile::run(&paths, options),
        Command::Attachments(options) => attachments::run(&paths, options),
        Command::Recover { force, json } => recover::run(&paths, *force, *json),
        Command::Reference(options) => reference::run(options, Cli::command()),
        Command::Journal { command: Journal::Show { attachment, json } } => {
            journal::show(&paths, attachment.as_deref(), *json)
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain!("wharfctl: {}", reasons(&error));
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All but those that are opened as they are said.
    #[test]
    fn no_option_below_the_root_takes_a_path_of_the_current_folder() {
        let mut seen = 0;
        for command in Cli::command().get_subcommands() {
            for option in command.get_arguments() {
                let help = option.get_help().map(ToString::to_string).unwrap_or_default();
                let Some(long) = option.get_long().filter(|_| help.contains("elow WHARF_ROOT")) else {
                    continue;
                };
                let said = format!("--{long}=folder");
                let error =
                    Cli::try_parse_from(["wharfctl", command.get_name(), &said]).unwrap_err().to_string();
                assert!(error.contains("say the whole path"), "{} --{long}: {error}", command.get_name());
                seen += 1;
            }
        }
        assert!(seen > 15, "{seen}");
    }
}
