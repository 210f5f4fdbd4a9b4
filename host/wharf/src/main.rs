//! The CNI plugin that a runtime executes. Everything it does is in the broker and in the sandboxes it starts.

#[cfg(feature = "faults")]
mod faults;
mod heap;
mod input;
mod output;

use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use wharf::ForkLauncher;
use wharf_broker::log::{Level, Log};
use wharf_broker::settings::Settings;
use wharf_broker::signals::Signals;
use wharf_broker::telemetry::Telemetry;
use wharf_broker::{Broker, Paths};
use wharf_kernel::{Kernel, Netns, RealKernel};

use crate::heap::Heap;
use crate::input::Input;
use crate::output::Output;

#[global_allocator]
static HEAP: Heap = Heap::new();

/// How long a VERSION waits for the version that it is to echo: the reference plugins never read it, and answer a client
/// that keeps the pipe open.
const ECHO: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    let name = own_name();
    let get = |key: &str| std::env::var(key).ok();
    if get("CNI_COMMAND").is_none_or(|command| command.is_empty()) {
        return about(&name);
    }
    #[cfg(feature = "faults")]
    if let Err(error) = faults::read() {
        return complain(&error);
    }
    // Before anything is done: a call that is ended undoes what it did.
    let signals = match Signals::block() {
        Ok(signals) => signals,
        Err(error) => return complain(&format!("cannot block signals: {error}")),
    };
    let paths = Paths::from_env();
    let (settings, fault) = Settings::read(&paths, get);
    let log = Log::of(&settings, &paths);
    if let Some(fault) = fault {
        log.line(Level::Warn, "settings", &fault, &[]);
    }
    let mut broker = Broker::new(paths, ForkLauncher::on_this_cpu(log), real_kernel, log);
    broker.signals = signals;
    broker.policies.clone_from(&settings.policies);
    broker.telemetry = Telemetry::begin(&settings, get("TRACEPARENT").as_deref());
    #[cfg(feature = "faults")]
    {
        broker.lease_hook = Box::new(faults::lease);
        broker.launcher.started = faults::sandbox_started;
    }
    let (stdin, stdout) = (io::stdin(), io::stdout());
    let mut output = Output { to: stdout.as_fd(), signals: &broker.signals };
    let status = if stdin.is_terminal() {
        broker.run_to(&name, get, io::empty(), &mut output)
    } else {
        let patience = get("CNI_COMMAND").is_some_and(|command| command == "VERSION").then_some(ECHO);
        let input = Input::new(stdin.as_fd(), &broker.signals, patience);
        broker.run_to(&name, get, input, &mut output)
    };
    #[cfg(feature = "faults")]
    faults::report();
    ExitCode::from(status)
}

fn complain(what: &str) -> ExitCode {
    // Nobody hears it where standard error is closed; the exit status tells.
    let _ = writeln!(io::stderr(), "wharf: {what}");
    ExitCode::FAILURE
}

fn real_kernel(host: Netns, container: Option<Netns>) -> Box<dyn Kernel> {
    let kernel = Box::new(RealKernel::new(host, container));
    #[cfg(feature = "faults")]
    let kernel = Box::new(faults::Faulty(kernel));
    kernel
}

/// The name that the binary was called by: a symlink makes it a drop-in for that plugin.
fn own_name() -> String {
    let path = std::env::args_os().next().unwrap_or_default();
    Path::new(&path)
        .file_name()
        .map_or_else(|| "wharf".to_string(), |name| name.to_string_lossy().into_owned())
}

/// Without CNI_COMMAND a person called: say what this is, as the reference plugins do.
fn about(name: &str) -> ExitCode {
    let versions: Vec<&str> = wharf_cni::version::SUPPORTED.iter().map(|version| version.as_str()).collect();
    let text = format!(
        "CNI {name} plugin of Wharf {}\nCNI protocol versions supported: {}\n\
         A container runtime executes this program (https://www.cni.dev/docs/spec/); `wharfctl` is for people.\n",
        env!("CARGO_PKG_VERSION"),
        versions.join(", ")
    );
    match io::stderr().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
