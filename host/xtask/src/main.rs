//! The project's own chores: set-up, build, test, demo, bench and crash. Started as `cargo xtask COMMAND`.
//!
//! Each command does all the set-up that it needs and says in plain lines what it is doing.

mod args;
mod bench;
mod build;
mod cni;
mod crash;
mod demo;
mod languages;
mod netns;
mod private;
mod runtimes;
mod say;
mod setup;
mod sh;
mod test;
mod workspace;

use std::process::ExitCode;

use args::Task;
use workspace::Workspace;

fn main() -> ExitCode {
    match args::parse(std::env::args_os().skip(1)).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say::failure(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> anyhow::Result<()> {
    match task {
        Task::Help => {
            print!("{}", args::HELP);
            Ok(())
        }
        Task::Setup => setup::run(&Workspace::find()?),
        Task::Build { debug } => {
            let workspace = Workspace::find()?;
            setup::run(&workspace)?;
            build::run(&workspace, debug).map(|_| ())
        }
        Task::Test { filter } => test::run(&Workspace::find()?, filter.as_deref()),
        Task::Qemu { filter } => test::in_qemu(&Workspace::find()?, filter.as_deref()),
        Task::Arm64 { filter } => test::on_arm64(&Workspace::find()?, filter.as_deref()),
        Task::Parity { filter } => test::parity::run(&Workspace::find()?, filter.as_deref()),
        Task::Demo => demo::run(&Workspace::find()?),
        Task::Docs => test::write_reference(&Workspace::find()?),
        Task::Bench { quick, containerd: true, out } => bench::pods(&Workspace::find()?, quick, out),
        Task::Bench { quick, containerd: false, out } => bench::run(&Workspace::find()?, quick, out),
        Task::Crash(crash) => crash::run(&Workspace::find()?, &crash),
        Task::Languages => languages::run(&Workspace::find()?),
        Task::Runtimes => runtimes::run(&Workspace::find()?),
        Task::Private { command } => private::exec(&command),
    }
}
