//! CHECK: the guests look at what prevResult says, then the broker at what the record says.

use wharf_cni::{CniError, NetConf};
use wharf_ops::call::Call;

use super::chain::{Stage, request};
use crate::convert;
use crate::failure::{self, Fault};
use crate::journal::Held;
use crate::launch::Launcher;
use crate::log::Level;
use crate::record::{self, Comparison};
use crate::session::Invocation;

/// In order, every plugin gets the final result, and the first error ends that. An error that says that something
/// differs is told together with what the record knows; any other ends the CHECK.
pub(super) fn run<L: Launcher>(
    invocation: &mut Invocation<'_, L>,
    stages: &[Stage],
    netns: Option<(u64, u64)>,
    journal: Option<&Held>,
) -> Result<String, CniError> {
    let guests = guests(invocation, stages);
    if guests.as_ref().is_err_and(|error| error.code != record::CHECK_FAILED) {
        return guests;
    }
    let compared = match (journal, stages.first()) {
        (Some(journal), Some(stage)) if journal.record().since().is_some() => {
            compare(invocation, &stage.conf, netns, journal)
        }
        _ => {
            let message = "no ADD of this attachment is recorded: only what the guests look at was checked";
            invocation.broker.log.line(Level::Debug, "CHECK", message, &[]);
            Ok(None)
        }
    };
    match (guests, compared) {
        (guests, Ok(None)) => guests,
        (Ok(_), Ok(Some(error)) | Err(error)) => Err(error),
        (Err(error), Ok(Some(more)) | Err(more)) => Err(together(error, more)),
    }
}

fn guests<L: Launcher>(invocation: &mut Invocation<'_, L>, stages: &[Stage]) -> Result<String, CniError> {
    for stage in stages {
        let call = Call::Check(request(invocation, stage, stage.conf.previous.as_ref()));
        invocation.call(&stage.guest, &stage.conf, &call, 0)?;
    }
    Ok(String::new())
}

/// The differences between the record and the host as one error, if there are any.
fn compare<L: Launcher>(
    invocation: &mut Invocation<'_, L>,
    conf: &NetConf,
    netns: Option<(u64, u64)>,
    journal: &Held,
) -> Result<Option<CniError>, CniError> {
    let record = journal.record();
    let result = conf.previous.as_ref().map(convert::to_guest);
    let mut comparison = Comparison {
        paths: &invocation.broker.paths,
        kernel: invocation.kernel,
        netns,
        result: result.as_ref(),
        journal: journal.path(),
    };
    match comparison.differences(record) {
        Ok(differences) if differences.is_empty() => Ok(None),
        Ok(differences) => Ok(Some(record::error(&differences))),
        Err(error) => {
            let message = format!("comparing the record with the host: {error}");
            Err(failure::host(wharf_cni::error::code::INTERNAL, Fault::Host, message))
        }
    }
}

/// Both messages, and both details.
fn together(mut error: CniError, more: CniError) -> CniError {
    error.msg = format!("{}; {}", error.msg, more.msg);
    error.details = match (error.details, more.details) {
        (Some(own), Some(more)) => Some(format!("{own}; {more}")),
        (own, more) => own.or(more),
    };
    error
}
