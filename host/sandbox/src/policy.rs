//! Policy guests: one conversation of many questions, each answered by a call of the same instance.

mod change;

use wasmtime::component::{Instance, InstancePre};
use wasmtime::{Result, Store};
use wharf_ops::Op;
use wharf_ops::call::{Answer, Failure};
use wharf_ops::policy::{Pod, Question, Subject, Verdict};
use wharf_ops::wire::{Message, Timings, ToBroker};

use crate::bindings::exports::wharf::plugin::{admission, policy};
use crate::bindings::wharf::cni::types::Attachment;
use crate::bindings::wharf::policy::calls as wit;
use crate::guest::{WrongExports, to_result};
use crate::offer;
use crate::state::State;

/// Which of the two kinds a policy is.
pub(crate) enum Indices {
    Policy(policy::GuestIndices),
    Admission(admission::GuestIndices),
}

/// An instance that answers.
enum Judge {
    Policy(policy::Guest),
    Admission(admission::Guest, Box<wit::Call>),
}

/// A question of the other kind of policy: a fault of the broker.
#[derive(Debug, thiserror::Error)]
#[error("it was asked what is not for its world")]
struct WrongQuestion;

impl Indices {
    pub(crate) fn policy(pre: &InstancePre<State>) -> Result<Self> {
        policy::GuestIndices::new(pre).map(Self::Policy)
    }

    pub(crate) fn admission(pre: &InstancePre<State>) -> Result<Self> {
        admission::GuestIndices::new(pre).map(Self::Admission)
    }

    fn load(
        &self,
        store: &mut Store<State>,
        instance: &Instance,
        call: wit::Call,
    ) -> Result<(Judge, Verdict)> {
        Ok(match self {
            Self::Policy(indices) => {
                let guest = indices.load(&mut *store, instance).map_err(WrongExports::of(offer::POLICY))?;
                let verdict = verdict(guest.call_begin(store, &call)?);
                (Judge::Policy(guest), verdict)
            }
            Self::Admission(indices) => {
                let guest = indices.load(store, instance).map_err(WrongExports::of(offer::ADMISSION))?;
                (Judge::Admission(guest, Box::new(call)), Verdict::Allow)
            }
        })
    }
}

impl Judge {
    fn answer(&self, store: &mut Store<State>, question: Question<'_>) -> Result<Verdict> {
        match (self, question) {
            (Self::Policy(policy), Question::Review { guest, op }) => {
                review(policy, store, &guest, &op).map(verdict)
            }
            (Self::Policy(policy), Question::Result(result)) => {
                policy.call_review_result(store, &to_result(result.into_owned())).map(verdict)
            }
            (Self::Admission(admission, call), Question::Admit { plugin, config }) => {
                Ok(match admission.call_admit(store, call, &plugin, &config)? {
                    admission::Decision::Accept => Verdict::Allow,
                    admission::Decision::Change(patch) => Verdict::Change(patch),
                    admission::Decision::Deny(reason) => Verdict::Deny(reason),
                })
            }
            (Self::Policy(_), Question::Admit { .. })
            | (Self::Admission(..), Question::Review { .. } | Question::Result(_)) => {
                Err(WrongQuestion.into())
            }
        }
    }
}

fn review(policy: &policy::Guest, store: &mut Store<State>, guest: &str, op: &Op) -> Result<policy::Verdict> {
    match change::to_change(op) {
        Some(change) => policy.call_review(store, guest, &change),
        None => policy.call_review_unknown(store, guest, op.operation().name),
    }
}

fn verdict(from: policy::Verdict) -> Verdict {
    match from {
        policy::Verdict::Allow => Verdict::Allow,
        policy::Verdict::Deny(reason) => Verdict::Deny(reason),
    }
}

/// What an error of the runtime means, with what the guest said last; none if the broker is gone.
type Meaning = fn(&wasmtime::Error, &str) -> Option<Failure>;

/// Answers the broker's questions until it has no more.
pub(crate) fn serve(
    indices: &Indices,
    store: &mut Store<State>,
    instance: Result<Instance>,
    mut timings: Timings,
    failure: Meaning,
) {
    let Some(subject) = hear::<Subject>(store) else { return };
    let begun = instance.and_then(|instance| indices.load(store, &instance, to_call(subject)));
    timings.memory = store.data().limiter.memory();
    let judge = match begun {
        Ok((judge, verdict)) => {
            if !tell(store, Ok(verdict), timings) {
                return;
            }
            judge
        }
        Err(error) => return end(store, &error, timings, failure),
    };
    while let Some(question) = hear::<Question<'static>>(store) {
        match judge.answer(store, question) {
            Ok(verdict) => {
                if !tell(store, Ok(verdict), Timings::default()) {
                    return;
                }
            }
            Err(error) => return end(store, &error, Timings::default(), failure),
        }
    }
}

fn hear<T: Message>(store: &mut Store<State>) -> Option<T> {
    store.data_mut().receive().ok()
}

/// Whether there was a broker to tell.
fn tell(store: &mut Store<State>, verdict: std::result::Result<Verdict, Failure>, timings: Timings) -> bool {
    let outcome = verdict.map(Answer::Verdict);
    let state = store.data_mut();
    state.close_streams().is_ok() && state.send(&ToBroker::Finished { outcome, timings }).is_ok()
}

/// After a trap an instance cannot be entered again.
fn end(store: &mut Store<State>, error: &wasmtime::Error, timings: Timings, failure: Meaning) {
    let Ok(last_words) = store.data_mut().close_streams() else { return };
    if failure(error, &last_words).is_some_and(|failure| tell(store, Err(failure), timings)) {
        store.data_mut().linger();
    }
}

fn to_call(from: Subject) -> wit::Call {
    wit::Call {
        command: from.command,
        attachment: Attachment {
            network: from.attachment.network,
            container: from.attachment.container,
            ifname: from.attachment.ifname,
        },
        netns_path: from.netns_path,
        pod: from.pod.map(|Pod { namespace, name, uid, infra_container }| wit::Pod {
            namespace,
            name,
            uid,
            infra_container,
        }),
        labels: from.labels,
        annotations: from.annotations,
        args: from.args,
        plugins: from.plugins,
        chain: from.chain,
        previous: from.previous.map(to_result),
        settings: from.settings,
    }
}
