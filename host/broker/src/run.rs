//! One invocation of the CNI binary, from the environment to what is printed.

mod absent;
mod add;
mod arguments;
pub(crate) mod attachment;
mod chain;
mod check;
mod del;
mod gc;
mod likeness;
mod namespace;
mod retired;

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::process::Child;
use std::rc::Rc;
use std::time::Instant;

use wharf_cni::error::code;
use wharf_cni::{CniError, Command, Env, Error as CniInputError, NetConf, Version};
use wharf_kernel::{Kernel, Machine, Netns};
use wharf_ops::leases::LeaseOp;
use wharf_ops::{Attachment, Error, Reply};

use crate::Paths;
use crate::bridges::Bridges;
use crate::failure::{self, Fault};
use crate::journal::{Held, JournalError, Key, Store};
use crate::launch::Launcher;
use crate::log::Log;
use crate::native::{self, Execution, Start};
use crate::pipeline::Course;
use crate::policy::{self, NodePolicies, Policies};
use crate::repair::{self, Recovered, Tools, Unreadable};
use crate::running::Running;
use crate::secrets;
use crate::session::Invocation;
use crate::signals::Signals;
use crate::spent::{Meter, Safeguard};
use crate::teardown::Removal;
use crate::telemetry::Telemetry;
use crate::witness::Witness;
pub(crate) use chain::Stage;
#[cfg(test)]
pub(crate) use chain::stages;
use namespace::Namespaces;
pub use namespace::own_namespace;
pub use retired::networks as retired_networks;

/// Most configurations are shorter: read at once.
const USUAL: usize = 8 << 10;

/// Makes the kernel for the two namespaces of a call on this machine.
pub type Kernels = fn(Netns, Option<Netns>) -> Box<dyn Kernel>;

/// Is told of each write to a lease store. An error before it happens instead of it.
pub type LeaseHook = dyn Fn(&LeaseChange<'_>, Moment<'_>) -> Result<(), Error>;

/// A write to a lease store.
#[derive(Clone, Copy, Debug)]
pub enum LeaseChange<'a> {
    /// A guest asked for it.
    Asked(&'a LeaseOp),
    /// A repair gives this address back.
    GivenBack(IpAddr),
}

/// A moment of a write.
#[derive(Clone, Copy, Debug)]
pub enum Moment<'a> {
    /// It is about to happen.
    Before,
    /// It has happened, and this came of it.
    After(&'a Reply),
}

/// Everything an invocation needs that is not of the request.
pub struct Broker<L: Launcher> {
    /// Where things are.
    pub paths: Paths,
    /// Starts sandboxes.
    pub launcher: L,
    /// Where namespaces are, and what makes the kernel.
    pub machine: Box<dyn Machine>,
    /// The policies of every network.
    pub policies: NodePolicies,
    /// Where lines go.
    pub log: Log,
    /// What is counted and traced.
    pub telemetry: Telemetry,
    /// Who wants to know where the time goes.
    pub meter: Meter,
    /// What ends a call.
    pub signals: Signals,
    /// Where faults can be put into lease stores.
    pub lease_hook: Box<LeaseHook>,
    /// Who is told of each failure that a DEL went on after, without secrets.
    pub went_on: Box<dyn Fn(&CniError)>,
    /// Who sees what passes between guests and the host.
    pub witness: Option<Rc<dyn Witness>>,
}

/// What is to be printed on standard output, and the exit status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// A result, an error object, or nothing.
    pub stdout: String,
    /// 0 or 1.
    pub status: u8,
}

impl<L: Launcher> Broker<L> {
    /// With no policy, no signals and no faults.
    pub fn new(paths: Paths, launcher: L, machine: impl Machine + 'static, log: Log) -> Self {
        Self {
            paths,
            launcher,
            machine: Box::new(machine),
            policies: NodePolicies::default(),
            log,
            telemetry: Telemetry::off(),
            meter: Meter::from_env(),
            signals: Signals::none(),
            lease_hook: Box::new(|_, _| Ok(())),
            went_on: Box::new(|_| {}),
            witness: None,
        }
    }

    /// Serves one request and answers what is to be printed. `name` is what the binary was called by: a plugin's name,
    /// or `wharf`.
    pub fn run(&self, name: &str, get: impl Fn(&str) -> Option<String>, stdin: impl Read) -> Output {
        let mut stdout = Vec::new();
        let status = self.run_to(name, get, stdin, &mut stdout);
        Output { stdout: String::from_utf8_lossy(&stdout).into_owned(), status }
    }

    /// Serves one request, prints on `stdout` and answers the exit status. An ADD whose result cannot be written is
    /// undone.
    pub fn run_to(
        &self,
        name: &str,
        get: impl Fn(&str) -> Option<String>,
        stdin: impl Read,
        stdout: &mut dyn Write,
    ) -> u8 {
        let started = Instant::now();
        let mut version = Version::CURRENT;
        let mut command = "";
        let served = match Env::parse(get) {
            Err(error) => Err(error.into()),
            Ok(env) if env.command == Command::Version => {
                let mut bytes = Vec::new();
                // The reply echoes the version asked with; input that cannot be read is no reason to fail.
                let _ = stdin.take(wharf_cni::config::MAX_BYTES as u64).read_to_end(&mut bytes);
                Ok(wharf_cni::version::reply(wharf_cni::version::requested(&bytes)))
            }
            Ok(env) => {
                command = env.command.as_str();
                self.request(name, &env, stdin, &mut version, stdout)
            }
        };
        let (text, error) = match served {
            Ok(text) => (text, None),
            Err(error) => {
                let error = failure::without_secrets(error);
                (error.render(version), Some(error))
            }
        };
        let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
        // Whoever waits for the result has it.
        self.telemetry.finish(&self.paths, error.as_ref());
        let message = error.as_ref().map(|error| format!("failed (code {}): {error}", error.code));
        self.log.ended(command, started.elapsed(), message.as_deref());
        u8::from(error.is_some() || written.is_err())
    }

    fn request(
        &self,
        name: &str,
        env: &Env,
        stdin: impl Read,
        version: &mut Version,
        stdout: &mut dyn Write,
    ) -> Result<String, CniError> {
        // What fails before more is known is counted as well.
        self.telemetry.request(env, "", name);
        let bytes = self.read(stdin)?;
        let conf = parse(env, &bytes, version, self.log)?;
        self.telemetry.request(env, &conf.name, name);
        self.policies.learn_secrets();
        conf.cni_version.allows(env.command)?;
        if let Some(answer) = retired::answer(self, name, env, &conf, &bytes)? {
            return Ok(answer);
        }
        // DEL and GC are never held up, and CHECK changes nothing.
        let named = match env.command {
            Command::Add | Command::Status => self.policies.named(&conf.raw)?,
            Command::Check | Command::Del | Command::Gc | Command::Version => Vec::new(),
        };
        let reviewed = env.command == Command::Add && !named.is_empty();
        let mut subject = reviewed.then(|| policy::subject(&conf)).transpose()?;
        let (network, config) = (conf.name.clone(), likeness::config_digest(&conf.raw));
        let (mut stages, unreadable) = chain::readable(env.command, name, conf)?;
        chain::resolve(&self.paths, env.command, &mut stages)?;
        secrets::learn_args(&env.args);
        let args = arguments::of(env, reviewed, self.log)?;
        if let Some(subject) = &mut subject {
            policy::add_stages(subject, &stages)?;
            policy::add_arguments(subject, &args);
        }
        self.telemetry.request(env, &network, &chain::entry(name, &stages));
        self.log.about(env, &network);
        let attachment =
            Attachment { network, container: env.container_id.clone(), ifname: env.ifname.clone() };
        let key = Key { attachment: attachment.clone(), entry: chain::entry(name, &stages) };
        let journals = match env.command {
            Command::Del => attachment::of_del(self, &key, &stages, &config)?,
            // Held, so that nothing changes under it.
            Command::Check => attachment::find(self, &key, &stages)?.into_iter().collect(),
            Command::Add | Command::Status | Command::Gc | Command::Version => Vec::new(),
        };
        policy::reapply(journals.iter().map(Held::record), &mut stages);
        let recorded = journals.iter().filter(|_| env.command == Command::Del).find_map(|held| {
            let last = held.record().transactions.last().filter(|last| !last.of_earlier_boot())?;
            last.begin.netns.clone()
        });
        let namespaces = match recorded {
            Some(recorded) => namespace::of_record(self.machine.as_ref(), env, &recorded, self.log)?,
            None => namespace::open(self.machine.as_ref(), env)?,
        };
        let safeguards = self.meter.safeguards();
        let course = match env.command {
            Command::Add => {
                let held = safeguards.time(Safeguard::Journal, || add::journal(self, &key, &stages))?;
                let begin = attachment::begin(&key, env, &namespaces, config);
                let bridges = Bridges::of(&self.paths);
                let running = Running::begin(held, begin, bridges, &safeguards);
                Course::Add(Box::new(running.map_err(|error| attachment::fault(&error))?))
            }
            Command::Del | Command::Gc => Course::Del(Removal::default()),
            Command::Check | Command::Status | Command::Version => Course::Look,
        };
        let Namespaces { host, container, path } = namespaces;
        let container_present = container.is_some();
        let identity = container.as_ref().map(Netns::identity);
        let mut kernel = self.machine.kernel(host, container);
        // Nothing else sets parameters of a container that nobody looked at before.
        if env.command == Command::Add && Store::of(&self.paths).has_many() {
            kernel.among_many();
        }
        let mut invocation = Invocation {
            broker: self,
            kernel: kernel.as_mut(),
            attachment,
            netns_path: path,
            args,
            cni_args: env.args.clone(),
            plugin_path: env.path.clone(),
            container_present,
            course,
            late: Vec::new(),
            deadline: None,
            policies: Policies::default(),
            guests: BTreeMap::new(),
            safeguards,
        };
        let guests = chain::guests(env.command, &stages);
        if reviewed {
            let order = policy::order(&mut invocation, &named, guests);
            invocation.foresee(order);
        } else {
            invocation.foresee(guests);
        }
        let done = match env.command {
            Command::Add => add::run(&mut invocation, &mut stages, &named, subject, stdout),
            Command::Check => check::run(&mut invocation, &stages, identity, journals.first()),
            Command::Del => {
                let known = del::Known::of(&invocation, journals)?;
                let owned = known.owned(&invocation);
                invocation.course = Course::Del(Removal { owned, ..Removal::default() });
                del::run(&mut invocation, &stages, unreadable, known)
            }
            Command::Status => chain::status(&mut invocation, &stages, &named),
            Command::Gc => gc::run(&mut invocation, &stages),
            Command::Version => Ok(String::new()),
        };
        self.meter.guarded(env.command.as_str(), &invocation.safeguards);
        done
    }

    /// Reads the configuration.
    fn read(&self, stdin: impl Read) -> Result<Vec<u8>, CniError> {
        let mut bytes = Vec::with_capacity(USUAL);
        // One byte more than is allowed, so that too much is noticed.
        let most = wharf_cni::config::MAX_BYTES as u64 + 1;
        stdin.take(most).read_to_end(&mut bytes).map_err(|error| {
            let message = format!("cannot read the configuration from standard input: {error}");
            let unread = failure::host(code::IO_FAILURE, Fault::Runtime, message);
            self.signals.caught().map_or(unread, failure::interrupted)
        })?;
        Ok(bytes)
    }

    /// Undoes every ADD that was cut short and that nobody works on, and answers what was found.
    pub fn recover(&self) -> Result<Vec<Recovered>, JournalError> {
        repair::recover(&self.tools(&|command| self.start(command)), Unreadable::Stays)
    }

    /// What repairs work with.
    pub(crate) fn tools<'a>(&'a self, start: Start<'a>) -> Tools<'a> {
        let machine = self.machine.as_ref();
        Tools { paths: &self.paths, machine, start, lease_hook: &*self.lease_hook, log: self.log }
    }

    /// Executes a plugin of a list that is no guest, and answers what it printed: what a runtime does, for who is one.
    pub fn execute(&self, plugin: &Execution<'_>) -> Result<Vec<u8>, CniError> {
        plugin.run(&|command| self.start(command))
    }

    /// Starts a native plugin.
    pub(crate) fn start(&self, command: &mut std::process::Command) -> io::Result<Child> {
        self.launcher.unpinned(|| native::spawn(command))
    }
}

/// As [`Broker::recover`], for who runs no guests.
pub fn recover(
    paths: &Paths,
    machine: &dyn Machine,
    log: Log,
    unreadable: Unreadable,
) -> Result<Vec<Recovered>, JournalError> {
    repair::recover(&tools_alone(paths, machine, log), unreadable)
}

/// What repairs work with, for who runs no guests.
pub(crate) fn tools_alone<'a>(paths: &'a Paths, machine: &'a dyn Machine, log: Log) -> Tools<'a> {
    Tools { paths, machine, start: &native::spawn, lease_hook: &|_, _| Ok(()), log }
}

/// The (container, ifname) pairs that a GC is to keep.
pub(crate) fn valid_pairs(conf: &NetConf) -> Vec<(String, String)> {
    let valid = conf.valid_attachments.iter().flatten();
    valid.map(|attachment| (attachment.container_id.clone(), attachment.ifname.clone())).collect()
}

/// What a GC leaves alone: what the runtime calls valid, and what has a journal once the records of all else were swept.
/// An ADD that is on its way is among these, of which no runtime can know.
pub(crate) fn kept(paths: &Paths, conf: &NetConf) -> Result<Vec<(String, String)>, JournalError> {
    let mut kept = valid_pairs(conf);
    kept.extend(Store::of(paths).attachments(&conf.name)?);
    Ok(kept)
}

/// What takes down goes on without a prevResult that cannot be read, and with members of a wrong type: what it is to take
/// down may be older than that. An error speaks the configuration's version, whatever else is wrong with that.
fn parse(env: &Env, bytes: &[u8], version: &mut Version, log: Log) -> Result<NetConf, CniError> {
    let parsed = match env.command {
        Command::Del | Command::Gc => NetConf::parse_for_del(bytes),
        _ => NetConf::parse(bytes).map(|conf| (conf, None)),
    };
    let (conf, fault): (NetConf, Option<CniInputError>) = parsed.inspect_err(|_| {
        *version = wharf_cni::version::requested(bytes).unwrap_or(*version);
        // What is wrong may be said with a value.
        if let Ok(serde_json::Value::Object(raw)) = serde_json::from_slice(bytes) {
            secrets::learn(&raw);
        }
    })?;
    *version = conf.cni_version;
    secrets::learn(&conf.raw);
    if let Some(fault) = fault {
        let message = format!("goes on without what is wrong: {fault}");
        log.line(crate::log::Level::Warn, env.command.as_str(), &secrets::redact(&message), &[]);
    }
    Ok(conf)
}
