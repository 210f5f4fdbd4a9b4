//! Delegation: a guest of the store runs in-process, anything else is executed as a native plugin from CNI_PATH.

use serde_json::json;
use wharf_cni::error::code;
use wharf_cni::{CniError, NetConf, NetworkResult};
use wharf_ops::Reply;
use wharf_ops::call::{Answer, Call, Request};
use wharf_ops::delegate::{DelegateOp, Verb};

use crate::failure::{self, Fault};
use crate::journal::{Effect, Outcome};
use crate::launch::Launcher;
use crate::native::Execution;
use crate::pipeline::Course;
use crate::session::Invocation;
use crate::{convert, guests, native};

/// Runs a delegate for the plugin whose configuration is `outer`.
pub(crate) fn run<L: Launcher>(
    invocation: &mut Invocation<'_, L>,
    outer: &NetConf,
    op: &DelegateOp,
    depth: u32,
) -> Result<Reply, CniError> {
    let conf = configuration(outer, op)?;
    match guests::read(&invocation.broker.paths, &op.plugin) {
        Err(guests::StoreError::NotInstalled { .. }) => execute(invocation, outer, &conf, op),
        Err(error @ guests::StoreError::Name(_)) => {
            Err(failure::host(code::INVALID_CONFIG, Fault::Runtime, error.to_string()))
        }
        Err(error) => Err(failure::host(code::PLUGIN_NOT_AVAILABLE, Fault::Host, error.to_string())),
        Ok(_) => {
            let call = call_for(invocation, &conf, op)?;
            Ok(match invocation.call(&op.plugin, &conf, &call, depth)? {
                Answer::Result(result) => Reply::Result(result),
                Answer::Done | Answer::Metadata(_) | Answer::Verdict(_) => Reply::Done,
            })
        }
    }
}

/// The members of a configuration that name a delegate by their `type`.
pub(crate) const DELEGATES: [&str; 2] = ["ipam", "delegate"];

/// What a GC leaves alone.
const VALID: &str = "cni.dev/valid-attachments";

/// What the guest wrote, with the version, name, prevResult and valid attachments of the request it belongs to. Which plugin it may be, and
/// with which `ipam`, is the configuration's to say and not the guest's.
pub(crate) fn configuration(outer: &NetConf, op: &DelegateOp) -> Result<NetConf, CniError> {
    let config = op.config.as_bytes();
    let mut conf = if outer.lenient { NetConf::parse_for_del(config)?.0 } else { NetConf::parse(config)? };
    conf.previous.clone_from(&outer.previous);
    conf.cni_version = outer.cni_version;
    conf.valid_attachments.clone_from(&outer.valid_attachments);
    for key in ["cniVersion", "ipam", VALID, "cni.dev/attachments"] {
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

fn call_for<L: Launcher>(
    invocation: &Invocation<'_, L>,
    conf: &NetConf,
    op: &DelegateOp,
) -> Result<Call, CniError> {
    let request = || Request {
        attachment: invocation.attachment.clone(),
        netns_path: invocation.netns_path.clone(),
        args: invocation.args.clone(),
        config: conf.guest_config(),
        previous: conf.previous.as_ref().map(convert::to_guest),
    };
    Ok(match op.verb {
        Verb::Add => Call::Add(request()),
        Verb::Check => Call::Check(request()),
        Verb::Del => Call::Del(request()),
        Verb::Status => Call::Status { config: conf.guest_config() },
        Verb::Gc => {
            let valid = crate::run::kept(&invocation.broker.paths, conf)
                .map_err(|error| failure::host(code::IO_FAILURE, Fault::Host, error.to_string()))?;
            Call::Gc { config: conf.guest_config(), valid }
        }
    })
}

/// What a native plugin is to leave alone in a GC is more than the runtime knows of: see [`crate::run::kept`].
fn kept_too<L: Launcher>(invocation: &Invocation<'_, L>, conf: &NetConf) -> Result<NetConf, CniError> {
    let kept = crate::run::kept(&invocation.broker.paths, conf)
        .map_err(|error| failure::host(code::IO_FAILURE, Fault::Host, error.to_string()))?;
    let one = |(container, ifname): (String, String)| json!({"containerID": container, "ifname": ifname});
    let mut conf = conf.clone();
    conf.raw.insert(VALID.to_owned(), kept.into_iter().map(one).collect());
    Ok(conf)
}

fn execute<L: Launcher>(
    invocation: &mut Invocation<'_, L>,
    outer: &NetConf,
    conf: &NetConf,
    op: &DelegateOp,
) -> Result<Reply, CniError> {
    // Before anything is recorded: what is not there did nothing.
    let program = native::find(&invocation.plugin_path, &op.plugin)?;
    let stdin = match op.verb {
        Verb::Gc => kept_too(invocation, conf)?.delegate_stdin(outer.previous.as_ref()),
        Verb::Add | Verb::Check | Verb::Del | Verb::Status => conf.delegate_stdin(outer.previous.as_ref()),
    };
    let adding = op.verb == Verb::Add;
    if adding && let Course::Add(running) = &mut invocation.course {
        // Recorded before it runs: the specification wants a DEL even for an ADD that failed.
        let config = String::from_utf8_lossy(&stdin).into_owned();
        let effect = Effect::Native { plugin: op.plugin.clone(), config };
        running.intend(&outer.plugin_type, effect).map_err(unrecorded)?;
    }
    if op.verb == Verb::Del {
        // It gives the address back, which the link that has it must not survive.
        invocation.take_down();
    }
    let execution = Execution {
        plugin: &op.plugin,
        verb: op.verb,
        attachment: &invocation.attachment,
        netns: invocation.netns_path.as_deref(),
        args: &invocation.cni_args,
        path: &invocation.plugin_path,
        stdin: &stdin,
        deadline: invocation.deadline,
        traceparent: invocation.broker.telemetry.traceparent(),
        signals: &invocation.broker.signals,
    };
    let ran = execution.run_file(&program, &|command| invocation.broker.start(command));
    match &mut invocation.course {
        Course::Add(running) if adding => {
            let outcome = if ran.is_ok() { Outcome::Done } else { Outcome::Failed };
            running.ended(outcome).map_err(unrecorded)?;
        }
        Course::Del(removal) if op.verb == Verb::Del && ran.is_ok() => {
            removal.owned.native_done(&op.plugin);
            removal.natives_done.push(op.plugin.clone());
        }
        Course::Add(_) | Course::Del(_) | Course::Look => {}
    }
    let stdout = ran?;
    if adding {
        let result = NetworkResult::from_slice(&stdout, conf.cni_version)?;
        return Ok(Reply::Result(convert::to_guest(&result)));
    }
    Ok(Reply::Done)
}

fn unrecorded(error: wharf_ops::Error) -> CniError {
    failure::host(code::IO_FAILURE, Fault::Host, error.message)
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
