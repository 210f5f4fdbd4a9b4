//! The CNI plugin that a runtime executes. Everything it does is in the broker and in the sandboxes it starts.

mod launcher;

use std::cell::RefCell;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use wharf_broker::log::Log;
use wharf_broker::pipeline::NoPolicy;
use wharf_broker::{Broker, Paths};
use wharf_kernel::{Kernel, Netns, RealKernel};

use crate::launcher::ForkLauncher;

fn main() -> ExitCode {
    let name = own_name();
    let get = |key: &str| std::env::var(key).ok();
    if get("CNI_COMMAND").is_none_or(|command| command.is_empty()) {
        return about(&name);
    }
    let log = Log::from_env();
    let broker = Broker {
        paths: Paths::from_env(),
        launcher: ForkLauncher::on_this_cpu(log),
        kernels: real_kernel,
        policy: RefCell::new(Box::new(NoPolicy)),
        log,
    };
    let output = if io::stdin().is_terminal() {
        broker.run(&name, get, io::empty())
    } else {
        broker.run(&name, get, io::stdin().lock())
    };
    match io::stdout().write_all(output.stdout.as_bytes()).and_then(|()| io::stdout().flush()) {
        Ok(()) => ExitCode::from(output.status),
        Err(_) => ExitCode::FAILURE,
    }
}

fn real_kernel(host: Netns, container: Option<Netns>) -> Box<dyn Kernel> {
    Box::new(RealKernel::new(host, container))
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
