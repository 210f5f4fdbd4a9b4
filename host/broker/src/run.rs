//! One invocation of the CNI binary, from the environment to what is printed.

mod chain;
mod namespace;
mod rollback;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Read;
use std::time::Instant;

use wharf_cni::error::code;
use wharf_cni::{CniError, Command, Env, Error as CniInputError, NetConf, Version, args};
use wharf_kernel::{Kernel, Netns};
use wharf_ops::Attachment;
use wharf_ops::wire::Timings;

use crate::Paths;
use crate::failure::{self, Fault};
use crate::launch::Launcher;
use crate::log::Log;
use crate::pipeline::{Course, Policy};
use crate::session::{Invocation, Served};
use crate::teardown::Teardown;
use crate::transaction::Transaction;

/// Where timings go, for the benchmark: a file that gets one JSON line per guest.
const TIMINGS: &str = "WHARF_TRACE_TIMINGS";

/// Makes the kernel for the two namespaces of a call.
pub type Kernels = fn(Netns, Option<Netns>) -> Box<dyn Kernel>;

/// Everything an invocation needs that is not of the request.
pub struct Broker<L: Launcher> {
    /// Where things are.
    pub paths: Paths,
    /// Starts sandboxes.
    pub launcher: L,
    /// Makes the kernel.
    pub kernels: Kernels,
    /// Sees every change.
    pub policy: RefCell<Box<dyn Policy>>,
    /// Where lines go.
    pub log: Log,
}

/// What is to be printed on standard output, and the exit status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// A result, an error object, or nothing.
    pub stdout: String,
    /// 0 or 1.
    pub status: u8,
}

impl Output {
    fn success(stdout: String) -> Self {
        Self { stdout, status: 0 }
    }

    fn failure(error: &CniError, version: Version) -> Self {
        Self { stdout: error.render(version), status: 1 }
    }
}

impl<L: Launcher> Broker<L> {
    /// Serves one request. `name` is what the binary was called by: a plugin's name, or `wharf`.
    pub fn run(&self, name: &str, get: impl Fn(&str) -> Option<String>, stdin: impl Read) -> Output {
        let env = match Env::parse(get) {
            Ok(env) => env,
            Err(error) => return Output::failure(&error.into(), Version::CURRENT),
        };
        if env.command == Command::Version {
            let mut bytes = Vec::new();
            // The reply echoes the version asked with; input that cannot be read is no reason to fail.
            let _ = stdin.take(wharf_cni::config::MAX_BYTES as u64).read_to_end(&mut bytes);
            return Output::success(wharf_cni::version::reply(wharf_cni::version::requested(&bytes)));
        }
        let mut version = Version::CURRENT;
        match self.request(name, &env, stdin, &mut version) {
            Ok(stdout) => Output::success(stdout),
            Err(error) => Output::failure(&error, version),
        }
    }

    fn request(
        &self,
        name: &str,
        env: &Env,
        stdin: impl Read,
        version: &mut Version,
    ) -> Result<String, CniError> {
        let conf = read_conf(env, stdin, self.log)?;
        *version = conf.cni_version;
        conf.cni_version.allows(env.command)?;
        let stages = chain::stages(name, conf)?;
        let args = args::parse_args(&env.args)?;
        let network = stages.first().map(|stage| stage.conf.name.clone()).unwrap_or_default();
        let (host, container) = namespace::open(env)?;
        let container_present = container.is_some();
        let mut kernel = (self.kernels)(host, container);
        let mut invocation = Invocation {
            broker: self,
            kernel: kernel.as_mut(),
            attachment: Attachment {
                network,
                container: env.container_id.clone(),
                ifname: env.ifname.clone(),
            },
            netns_path: env.netns.clone(),
            args,
            plugin_path: env.path.clone(),
            container_present,
            course: match env.command {
                Command::Add => Course::Add(Transaction::default()),
                Command::Del | Command::Gc => Course::Del(Teardown::default()),
                Command::Check | Command::Status | Command::Version => Course::Look,
            },
            late: Vec::new(),
            deadline: None,
            guests: BTreeMap::new(),
        };
        invocation.expect(chain::guests(&stages));
        match env.command {
            Command::Add => chain::add(&mut invocation, &stages),
            Command::Check => chain::check(&mut invocation, &stages),
            Command::Del => chain::del(&mut invocation, &stages),
            Command::Status => chain::status(&mut invocation, &stages),
            Command::Gc => chain::gc(&mut invocation, &stages),
            Command::Version => Ok(String::new()),
        }
    }
}

/// Appends one line about a guest's call to the file that `WHARF_TRACE_TIMINGS` names.
pub(crate) fn trace_timings(
    guest: &str,
    started: Instant,
    launched: Instant,
    inside: Timings,
    served: Served,
) {
    let Some(file) = std::env::var_os(TIMINGS) else { return };
    let line = serde_json::json!({
        "guest": guest,
        "fork_us": launched.duration_since(started).as_micros(),
        "load_us": inside.load,
        "confine_us": inside.confine,
        "instantiate_us": inside.instantiate,
        "run_us": inside.run,
        "kernel_us": served.kernel.as_micros(),
        "ops": served.operations,
        "total_us": started.elapsed().as_micros(),
    });
    let file = std::fs::File::options().append(true).create(true).open(file);
    // The benchmark notices a line that is missing; a call does not fail for it.
    let _ = file.and_then(|mut file| std::io::Write::write_all(&mut file, format!("{line}\n").as_bytes()));
}

/// The (container, ifname) pairs that a GC is to keep.
pub(crate) fn valid_pairs(conf: &NetConf) -> Vec<(String, String)> {
    let valid = conf.valid_attachments.iter().flatten();
    valid.map(|attachment| (attachment.container_id.clone(), attachment.ifname.clone())).collect()
}

/// Reads the configuration. A DEL goes on without a prevResult that cannot be read.
fn read_conf(env: &Env, stdin: impl Read, log: Log) -> Result<NetConf, CniError> {
    let mut bytes = Vec::new();
    // One byte more than is allowed, so that too much is noticed.
    let most = wharf_cni::config::MAX_BYTES as u64 + 1;
    stdin.take(most).read_to_end(&mut bytes).map_err(|error| {
        failure::host(
            code::IO_FAILURE,
            Fault::Runtime,
            format!("cannot read the configuration from standard input: {error}"),
        )
    })?;
    if env.command != Command::Del {
        return Ok(NetConf::parse(&bytes)?);
    }
    let (conf, fault): (NetConf, Option<CniInputError>) = NetConf::parse_for_del(&bytes)?;
    if let Some(fault) = fault {
        log.line(crate::log::Level::Warn, "DEL", &format!("goes on without prevResult: {fault}"), &[]);
    }
    Ok(conf)
}
