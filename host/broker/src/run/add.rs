//! ADD: in order, each plugin gets the result of the one before. Whatever fails, everything is undone.

use std::io::Write;

use wharf_cni::CniError;
use wharf_cni::error::code;
use wharf_ops::call::{self, Answer, Call};
use wharf_ops::policy::Subject;

use super::chain::{Stage, request};
use super::{Broker, attachment};
use crate::convert;
use crate::failure::{self, Fault};
use crate::journal::{Held, Key};
use crate::launch::Launcher;
use crate::pipeline::Course;
use crate::policy::Policies;
use crate::repair::{Repair, Unfinished, heal, undo};
use crate::session::Invocation;

/// The locked journal of an attachment that is about to be added. What an earlier ADD left unfinished is undone.
pub(super) fn journal<L: Launcher>(
    broker: &Broker<L>,
    key: &Key,
    stages: &[Stage],
) -> Result<Held, CniError> {
    let store = broker.tools(&|command| broker.start(command)).store();
    let mut held = attachment::patiently(broker, stages, |patience| store.create(key, patience))?;
    broker.telemetry.residue(held.record().pending().is_some());
    let unfinished = heal(&broker.tools(&|command| broker.start(command)), &mut held);
    match unfinished.map_err(|error| attachment::fault(&error))? {
        unfinished if unfinished.is_empty() => Ok(held),
        unfinished => {
            let message = "an earlier ADD of this attachment was cut short, and undoing it was incomplete: \
                           see `wharfctl journal show`, and try `wharfctl recover`";
            let error = CniError::new(code::ROLLBACK_INCOMPLETE, message);
            Err(error.with_details(format!("not undone: {}", listed(&unfinished))))
        }
    }
}

/// Runs it, and prints its result: what cannot be told has not happened.
pub(super) fn run<'a, L: Launcher>(
    invocation: &mut Invocation<'a, L>,
    stages: &mut [Stage],
    policies: &'a [String],
    subject: Option<Subject>,
    stdout: &mut dyn Write,
) -> Result<String, CniError> {
    let begun = Policies::begin(invocation, policies, subject, stages);
    let done = begun.and_then(|()| all(invocation, stages)).and_then(|(text, result)| {
        let broker = invocation.broker;
        invocation.policies.review_result(&result, &broker.launcher, &broker.signals)?;
        if let Some(signal) = invocation.broker.signals.caught() {
            return Err(failure::interrupted(signal));
        }
        if let Course::Add(running) = &mut invocation.course {
            running.commit(result).map_err(|error| attachment::fault(&error))?;
        }
        let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
        written.map_err(|error| {
            let message = format!("cannot write the result to standard output: {error}");
            let unwritten = failure::host(code::IO_FAILURE, Fault::Runtime, message);
            invocation.broker.signals.caught().map_or(unwritten, failure::interrupted)
        })
    });
    invocation.policies.dismiss(&invocation.broker.launcher);
    // The result is written.
    done.map(|()| String::new()).map_err(|cause| roll_back(invocation, cause))
}

fn all<L: Launcher>(
    invocation: &mut Invocation<'_, L>,
    stages: &[Stage],
) -> Result<(String, call::NetworkResult), CniError> {
    let mut previous = stages.first().and_then(|stage| stage.conf.previous.clone());
    let mut last = call::NetworkResult::default();
    let mut version = wharf_cni::Version::CURRENT;
    for stage in stages {
        version = stage.conf.cni_version;
        let call = Call::Add(request(invocation, stage, previous.as_ref()));
        let conf = match &previous {
            Some(result) => &stage.conf.with_previous(result),
            None => &stage.conf,
        };
        match invocation.call(&stage.guest, conf, &call, 0)? {
            Answer::Result(result) => {
                last.clone_from(&result);
                previous = Some(convert::from_guest(result, previous.as_ref()));
            }
            Answer::Done | Answer::Metadata(_) | Answer::Verdict(_) => {
                let message = format!("{}: ADD answered no result", stage.guest);
                return Err(failure::host(code::INTERNAL, Fault::Host, message));
            }
        }
    }
    // A result that the version cannot express is an error while it can still be undone.
    let text = previous.unwrap_or_default().to_json_string(version)?;
    Ok((text, last))
}

/// Undoes everything, and answers the error to report: the first cause, then each undo that failed. The journal goes, or
/// is cut back to the earlier ADD; if something could not be undone it stays for `wharfctl recover`.
fn roll_back<L: Launcher>(invocation: &mut Invocation<'_, L>, cause: CniError) -> CniError {
    let Course::Add(running) = std::mem::replace(&mut invocation.course, Course::Look) else {
        return cause;
    };
    let (transaction, held, relied_on) = running.into_parts();
    let broker = invocation.broker;
    let start = |command: &mut std::process::Command| broker.start(command);
    let mut repair = Repair {
        tools: broker.tools(&start),
        kernel: invocation.kernel,
        begin: &transaction.begin,
        netns: invocation.netns_path.as_deref(),
        plugin_path: &invocation.plugin_path,
        later: false,
    };
    let unfinished = undo(&mut repair, &transaction, relied_on);
    broker.telemetry.rolled_back(unfinished.len());
    if unfinished.is_empty() {
        return match held.close() {
            Ok(()) => cause,
            Err(error) => incomplete(&cause, &error.to_string()),
        };
    }
    incomplete(&cause, &listed(&unfinished))
}

fn listed(unfinished: &[Unfinished]) -> String {
    unfinished.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn incomplete(cause: &CniError, what: &str) -> CniError {
    let details = format!(
        "cause: code {}, {}; not undone: {what}",
        cause.code,
        cause.details.as_deref().unwrap_or("no details"),
    );
    CniError::new(code::ROLLBACK_INCOMPLETE, format!("{} (and undoing it was incomplete)", cause.msg))
        .with_details(details)
}
