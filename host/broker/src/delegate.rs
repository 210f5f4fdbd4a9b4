//! Delegation: a guest of the store runs in-process, anything else is executed as a native plugin from CNI_PATH.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::memfd::{MFdFlags, memfd_create};
use wharf_cni::error::code;
use wharf_cni::{CniError, NetConf, NetworkResult};
use wharf_ops::Reply;
use wharf_ops::call::{Answer, Call, Request};
use wharf_ops::delegate::{DelegateOp, Verb};

use crate::failure::{self, Fault};
use crate::launch::Launcher;
use crate::pipeline::Course;
use crate::session::Invocation;
use crate::transaction::Undo;
use crate::{convert, guests};

/// How long a native plugin may take, and how much it may say.
const NATIVE_DEADLINE: Duration = Duration::from_mins(1);
const MAX_OUTPUT: usize = 8 << 20;
/// A plugin that is just being replaced cannot be executed for a moment.
const BUSY_TRIES: u32 = 6;

/// Runs a delegate for the plugin whose configuration is `outer`.
pub(crate) fn run<L: Launcher>(
    invocation: &mut Invocation<'_, L>,
    outer: &NetConf,
    op: &DelegateOp,
    depth: u32,
) -> Result<Reply, CniError> {
    let conf = configuration(outer, op)?;
    match guests::read(&invocation.broker.paths, &op.plugin) {
        Err(guests::StoreError::NotInstalled { .. }) => native(invocation, outer, &conf, op),
        Err(error @ guests::StoreError::Name(_)) => {
            Err(failure::host(code::INVALID_CONFIG, Fault::Runtime, error.to_string()))
        }
        Err(error) => Err(failure::host(code::PLUGIN_NOT_AVAILABLE, Fault::Host, error.to_string())),
        Ok(_) => {
            let call = call_for(invocation, &conf, op);
            Ok(match invocation.call(&op.plugin, &conf, &call, depth)? {
                Answer::Result(result) => Reply::Result(result),
                Answer::Done | Answer::Metadata(_) => Reply::Done,
            })
        }
    }
}

/// The members of a configuration that name a delegate by their `type`.
const DELEGATES: [&str; 2] = ["ipam", "delegate"];

/// What the guest wrote, with the version, name and prevResult of the request it belongs to. Which plugin it may be, and
/// with which `ipam`, is the configuration's to say and not the guest's.
fn configuration(outer: &NetConf, op: &DelegateOp) -> Result<NetConf, CniError> {
    let mut conf = NetConf::parse(op.config.as_bytes())?;
    conf.previous.clone_from(&outer.previous);
    conf.cni_version = outer.cni_version;
    for key in ["cniVersion", "ipam"] {
        match outer.raw.get(key) {
            Some(value) => conf.raw.insert(key.to_string(), value.clone()),
            None => conf.raw.remove(key),
        };
    }
    let named = |key: &str| outer.raw.get(key).and_then(|it| it.get("type")).and_then(|it| it.as_str());
    if !DELEGATES.iter().any(|key| named(key) == Some(op.plugin.as_str())) {
        let message =
            format!("{:?} is named as a delegate by neither ipam.type nor delegate.type", op.plugin);
        return Err(failure::host(code::DENIED, Fault::Guest, message));
    }
    if conf.name != outer.name {
        let message = format!("a delegate's network is {:?}, not {:?}", outer.name, conf.name);
        return Err(failure::host(code::INVALID_CONFIG, Fault::Guest, message));
    }
    Ok(conf)
}

fn call_for<L: Launcher>(invocation: &Invocation<'_, L>, conf: &NetConf, op: &DelegateOp) -> Call {
    let request = || Request {
        attachment: invocation.attachment.clone(),
        netns_path: invocation.netns_path.clone(),
        args: invocation.args.clone(),
        config: conf.guest_config(),
        previous: conf.previous.as_ref().map(convert::to_guest),
    };
    match op.verb {
        Verb::Add => Call::Add(request()),
        Verb::Check => Call::Check(request()),
        Verb::Del => Call::Del(request()),
        Verb::Status => Call::Status { config: conf.guest_config() },
        Verb::Gc => Call::Gc { config: conf.guest_config(), valid: crate::run::valid_pairs(conf) },
    }
}

fn native<L: Launcher>(
    invocation: &mut Invocation<'_, L>,
    outer: &NetConf,
    conf: &NetConf,
    op: &DelegateOp,
) -> Result<Reply, CniError> {
    let path = find(&invocation.plugin_path, &op.plugin)?;
    let stdin = conf.delegate_stdin(outer.previous.as_ref());
    if op.verb == Verb::Add
        && let Course::Add(transaction) = &mut invocation.course
    {
        // Recorded before it runs: the specification wants a DEL even for an ADD that failed.
        let config = String::from_utf8_lossy(&stdin).into_owned();
        transaction.record("delegate/add", Undo::Native { plugin: op.plugin.clone(), config });
    }
    if op.verb == Verb::Del {
        // It gives the address back, which the link that has it must not survive.
        invocation.take_down();
    }
    let stdout = execute(invocation, &path, op.verb, &stdin)?;
    if op.verb == Verb::Add {
        let result = NetworkResult::from_slice(&stdout, conf.cni_version)?;
        return Ok(Reply::Result(convert::to_guest(&result)));
    }
    Ok(Reply::Done)
}

/// A native plugin's DEL, which undoes its ADD.
pub(crate) fn undo_native<L: Launcher>(
    invocation: &Invocation<'_, L>,
    plugin: &str,
    config: &str,
) -> Result<(), CniError> {
    let path = find(&invocation.plugin_path, plugin)?;
    execute(invocation, &path, Verb::Del, config.as_bytes()).map(drop)
}

/// The first regular file of that name on CNI_PATH.
fn find(path: &[String], plugin: &str) -> Result<PathBuf, CniError> {
    let wrong = |message: String| failure::host(code::INVALID_CONFIG, Fault::Runtime, message);
    guests::check_name(plugin).map_err(|_| wrong(format!("invalid plugin name: {plugin:?}")))?;
    if path.is_empty() {
        let message = format!(
            "no guest {plugin:?} is installed, and CNI_PATH is empty: there is nowhere to look for a native plugin"
        );
        return Err(failure::host(code::PLUGIN_NOT_AVAILABLE, Fault::Runtime, message));
    }
    let found =
        path.iter().map(|directory| PathBuf::from(directory).join(plugin)).find(|file| file.is_file());
    found.ok_or_else(|| {
        let message = format!(
            "failed to find plugin {plugin:?} in path {path:?}, and no guest of that name is installed"
        );
        failure::host(code::PLUGIN_NOT_AVAILABLE, Fault::Host, message)
    })
}

/// Runs a native plugin by the CNI exec protocol and answers what it printed. Its input and its standard error are
/// files in memory, so that neither side can block the other.
fn execute<L: Launcher>(
    invocation: &Invocation<'_, L>,
    path: &PathBuf,
    verb: Verb,
    stdin: &[u8],
) -> Result<Vec<u8>, CniError> {
    let fault = |what: &str, error: io::Error| {
        failure::host(code::IO_FAILURE, Fault::Host, format!("{}: {what}: {error}", path.display()))
    };
    let mut input = memory_file().map_err(|error| fault("its input", error))?;
    input.write_all(stdin).and_then(|()| input.rewind()).map_err(|error| fault("its input", error))?;
    let mut errors = memory_file().map_err(|error| fault("its standard error", error))?;
    let start = || -> io::Result<Child> {
        let mut command = Command::new(path);
        command
            .env("CNI_COMMAND", command_word(verb))
            .env("CNI_CONTAINERID", &invocation.attachment.container)
            .env("CNI_IFNAME", &invocation.attachment.ifname)
            .env("CNI_NETNS", invocation.netns_path.as_deref().unwrap_or_default())
            .env("CNI_ARGS", std::env::var_os("CNI_ARGS").unwrap_or_default())
            .env("CNI_PATH", invocation.plugin_path.join(":"))
            .stdin(input.try_clone()?)
            .stderr(errors.try_clone()?)
            .stdout(Stdio::piped());
        command.spawn()
    };
    let mut child = invocation
        .broker
        .launcher
        .unpinned(|| spawn(start))
        .map_err(|error| fault("cannot execute it", error))?;
    let mut stdout = Vec::new();
    let latest = Instant::now() + NATIVE_DEADLINE;
    let deadline = invocation.deadline.map_or(latest, |outer| outer.min(latest));
    let read = read_until(&mut child, &mut stdout, deadline).and_then(|()| ended_by(&mut child, deadline));
    if read.is_err() {
        let _ = child.kill();
    }
    let status = child.wait().map_err(|error| fault("cannot wait for it", error))?;
    read.map_err(|error| match error.kind() {
        io::ErrorKind::TimedOut => {
            failure::host(code::DEADLINE, Fault::Guest, format!("{}: not finished in time", path.display()))
        }
        _ => fault("cannot read its result", error),
    })?;
    let mut stderr = Vec::new();
    errors
        .rewind()
        .and_then(|()| errors.take(MAX_OUTPUT as u64).read_to_end(&mut stderr))
        .map_err(|error| fault("its standard error", error))?;
    if status.success() {
        // As the reference does: what a delegate logs belongs to our log.
        let _ = io::stderr().write_all(&stderr);
        return Ok(stdout);
    }
    Err(CniError::from_delegate(&stdout, &stderr, &status.to_string()))
}

fn spawn(start: impl Fn() -> io::Result<Child>) -> io::Result<Child> {
    let mut tries = 1;
    loop {
        match start() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy && tries < BUSY_TRIES => {
                tries += 1;
                std::thread::sleep(Duration::from_secs(1));
            }
            other => return other,
        }
    }
}

/// A plugin that closed its standard output is about to end. One that goes on all the same is waited for, but not for ever.
fn ended_by(child: &mut Child, deadline: Instant) -> io::Result<()> {
    while child.try_wait()?.is_none() {
        if Instant::now() >= deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

fn read_until(child: &mut Child, into: &mut Vec<u8>, deadline: Instant) -> io::Result<()> {
    let Some(stdout) = child.stdout.as_mut() else { return Ok(()) };
    let mut chunk = [0; 8192];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        if poll(&mut [PollFd::new(stdout.as_fd(), PollFlags::POLLIN)], timeout)? == 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let read = stdout.read(&mut chunk)?;
        match chunk.get(..read) {
            None | Some([]) => return Ok(()),
            Some(bytes) => into.extend_from_slice(bytes),
        }
        if into.len() > MAX_OUTPUT {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "more than 8 MiB"));
        }
    }
}

fn memory_file() -> io::Result<File> {
    Ok(File::from(memfd_create(c"wharf", MFdFlags::MFD_CLOEXEC)?))
}

fn command_word(verb: Verb) -> &'static str {
    match verb {
        Verb::Add => "ADD",
        Verb::Check => "CHECK",
        Verb::Del => "DEL",
        Verb::Status => "STATUS",
        Verb::Gc => "GC",
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_plugin_is_found_by_its_plain_name_only() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("ipam"), "").unwrap();
        fs::create_dir(directory.path().join("folder")).unwrap();
        let path = vec!["/nonexistent".to_string(), directory.path().display().to_string()];
        assert_eq!(find(&path, "ipam").unwrap(), directory.path().join("ipam"));
        for name in ["../ipam", "/bin/sh", "", "a/b"] {
            assert_eq!(find(&path, name).unwrap_err().code, 7, "{name:?}");
        }
        assert_eq!(find(&path, "folder").unwrap_err().code, 50);
        assert_eq!(find(&[], "ipam").unwrap_err().code, 50);
    }

    #[test]
    fn the_configuration_says_which_delegate_runs_with_what() {
        let text = r#"{"cniVersion":"1.0.0","name":"n","type":"bridge","ipam":{"type":"host-local","dataDir":"/d"}}"#;
        let outer = NetConf::parse(text.as_bytes()).unwrap();
        let op = |plugin: &str, config: &str| DelegateOp {
            verb: Verb::Add,
            plugin: plugin.into(),
            config: config.into(),
        };
        let own = text.replace("/d", "/elsewhere").replace("1.0.0", "0.3.1");
        let conf = configuration(&outer, &op("host-local", &own)).unwrap();
        assert_eq!(conf.raw.get("ipam"), outer.raw.get("ipam"));
        assert_eq!(conf.cni_version, outer.cni_version);
        assert_eq!(configuration(&outer, &op("tuning", text)).unwrap_err().code, 900);
        assert_eq!(
            configuration(&outer, &op("host-local", &text.replace("\"n\"", "\"m\""))).unwrap_err().code,
            7
        );
    }

    #[test]
    fn a_plugin_that_does_not_end_is_given_up() {
        let mut child = Command::new("sleep").arg("60").stdout(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let error = ended_by(&mut child, Instant::now() + Duration::from_millis(20)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_busy_plugin_is_tried_again_and_then_given_up() {
        let tries = std::cell::Cell::new(0);
        let result = spawn(|| {
            tries.set(tries.get() + 1);
            if tries.get() == 1 {
                Err(io::ErrorKind::ExecutableFileBusy.into())
            } else {
                Command::new("true").spawn()
            }
        });
        result.unwrap().wait().unwrap();
        assert_eq!(tries.get(), 2);
    }
}
