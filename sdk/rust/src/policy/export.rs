//! Joins policies to the generated traits, and the macros that export them.

use std::marker::PhantomData;

use super::bindings::admission::exports::wharf::plugin::admission;
use super::bindings::calls as wit;
use super::bindings::changes;
use super::bindings::policy::exports::wharf::plugin::policy;
use super::call::Call;
use super::verdict::{Denial, Verdict};
use super::{Admission, Policy};
use crate::bindings::wharf::cni::types::NetworkResult;
use crate::config::Config;
#[cfg(target_family = "wasm")]
use crate::printed::ended;

/// Natively nothing is printed but by the system.
#[cfg(not(target_family = "wasm"))]
fn ended<R>(answer: R) -> R {
    answer
}

/// A policy and the ADD that it reviews. An instance of a component serves one.
#[doc(hidden)]
#[derive(Debug, Default)]
pub struct State<T> {
    policy: T,
    call: Option<Call>,
}

/// Where an exported policy keeps its state; [`export_policy!`](crate::export_policy) implements it.
#[doc(hidden)]
pub trait Held: Policy {
    /// Lends the state.
    fn with<R>(work: impl FnOnce(&mut State<Self>) -> R) -> R;
}

/// The export macros name it.
#[doc(hidden)]
#[derive(Debug)]
pub struct PolicyAdapter<T>(PhantomData<T>);

/// The export macros name it.
#[doc(hidden)]
#[derive(Debug)]
pub struct AdmissionAdapter<T>(PhantomData<T>);

fn begun<T: Held>(review: impl FnOnce(&mut T, &Call) -> Verdict) -> policy::Verdict {
    let verdict = T::with(|state| match &state.call {
        Some(call) => review(&mut state.policy, call),
        None => Err(Denial::new("the host asks before it has said what about")),
    });
    answer(verdict)
}

fn answer(verdict: Verdict) -> policy::Verdict {
    match ended(verdict) {
        Ok(()) => policy::Verdict::Allow,
        Err(denial) => policy::Verdict::Deny(denial.reason().to_owned()),
    }
}

impl<T: Held> policy::Guest for PolicyAdapter<T> {
    fn begin(call: wit::Call) -> policy::Verdict {
        answer(T::with(|state| state.policy.begin(state.call.insert(call.into()))))
    }

    fn review(guest: String, change: changes::Change) -> policy::Verdict {
        begun::<T>(|policy, call| policy.review(call, &guest, &change.into()))
    }

    fn review_unknown(guest: String, operation: String) -> policy::Verdict {
        begun::<T>(|policy, call| policy.review_unknown(call, &guest, &operation))
    }

    fn review_result(answer: NetworkResult) -> policy::Verdict {
        begun::<T>(|policy, call| policy.review_result(call, &answer.into()))
    }
}

impl<T: Admission> admission::Guest for AdmissionAdapter<T> {
    fn admit(call: wit::Call, plugin: String, config: String) -> admission::Decision {
        match ended(T::admit(&call.into(), &plugin, &Config::new(config))) {
            Ok(None) => admission::Decision::Accept,
            Ok(Some(patch)) => admission::Decision::Change(patch.to_string()),
            Err(denial) => admission::Decision::Deny(denial.reason().to_owned()),
        }
    }
}

/// Makes this crate's component export `wharf:plugin/policy`, implemented by a [`Policy`](crate::policy::Policy).
#[macro_export]
macro_rules! export_policy {
    ($policy:ty) => {
        const _: () = {
            ::std::thread_local! {
                static STATE: ::std::cell::RefCell<$crate::policy::State<$policy>> =
                    ::std::cell::RefCell::default();
            }
            impl $crate::policy::Held for $policy {
                fn with<R>(work: impl FnOnce(&mut $crate::policy::State<Self>) -> R) -> R {
                    STATE.with(|state| work(&mut state.borrow_mut()))
                }
            }
            // Natively nothing else names it.
            #[allow(dead_code)]
            fn exported(policy: $policy) -> impl $crate::policy::Policy {
                policy
            }
        };
        #[cfg(target_family = "wasm")]
        #[allow(unsafe_code, reason = "exported functions of the canonical ABI, generated")]
        const _: () = {
            type Exported = $crate::policy::PolicyAdapter<$policy>;
    $crate::policy::bindings::policy::export!(Exported with_types_in $crate::policy::bindings::policy);
            $crate::origin!("component-type:wharf-sdk:policy");
        };
    };
}

/// Makes this crate's component export `wharf:plugin/admission`, implemented by an
/// [`Admission`](crate::policy::Admission).
#[macro_export]
macro_rules! export_admission {
    ($admission:ty) => {
        const _: () = {
            // Natively nothing else names it.
            #[allow(dead_code)]
            fn exported(admission: $admission) -> impl $crate::policy::Admission {
                admission
            }
        };
        #[cfg(target_family = "wasm")]
        #[allow(unsafe_code, reason = "exported functions of the canonical ABI, generated")]
        const _: () = {
            type Exported = $crate::policy::AdmissionAdapter<$admission>;
    $crate::policy::bindings::admission::export!(Exported with_types_in $crate::policy::bindings::admission);
            $crate::origin!("component-type:wharf-sdk:admission");
        };
    };
}
