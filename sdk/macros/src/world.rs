//! What a guest of each world looks like.

use syn::{Error, FnArg, ItemFn, Signature};

/// A call that a guest serves.
pub(crate) struct Call {
    pub(crate) name: &'static str,
    /// What it takes, as one writes it.
    pub(crate) parameters: &'static [&'static str],
    /// What it answers.
    answer: &'static str,
}

/// A trait of `wharf-sdk`, with its attribute.
pub(crate) struct World {
    pub(crate) attribute: &'static str,
    /// The trait, by its path in the SDK.
    pub(crate) guest: &'static str,
    /// The macro that exports it.
    pub(crate) export: &'static str,
    /// The first one is the one that has no default.
    pub(crate) calls: &'static [Call],
    /// The body of the shortest first call that does something.
    body: &'static str,
    /// Whether it has a name and a version of its own.
    pub(crate) described: bool,
    /// What its methods take before their parameters, if anything.
    pub(crate) receiver: Option<&'static str>,
}

const REQUEST: &str = "request: &Request";
const HOST: &str = "host: &Netns";
const CONTAINER: &str = "container: &Netns";
const CONFIG: &str = "config: &Config";
const VALID: &str = "valid: &[Owner]";
const RESULT: &str = "Result<NetworkResult>";
const DONE: &str = "Result<()>";
const CALL: &str = "call: &Call";
const VERDICT: &str = "Verdict";

impl World {
    pub(crate) const NETWORK: Self = Self {
        attribute: "wharf_sdk::network",
        guest: "Network",
        export: "export_network",
        calls: &[
            Call { name: "add", parameters: &[REQUEST, HOST, CONTAINER], answer: RESULT },
            Call { name: "check", parameters: &[REQUEST, HOST, CONTAINER], answer: DONE },
            Call { name: "del", parameters: &[REQUEST, HOST, "container: Option<&Netns>"], answer: DONE },
            Call { name: "status", parameters: &[CONFIG], answer: DONE },
            Call { name: "gc", parameters: &[CONFIG, VALID, HOST], answer: DONE },
        ],
        body: "Ok(request.require_previous()?.clone())",
        described: true,
        receiver: None,
    };

    pub(crate) const IPAM: Self = Self {
        attribute: "wharf_sdk::ipam",
        guest: "Ipam",
        export: "export_ipam",
        calls: &[
            Call { name: "add", parameters: &[REQUEST], answer: RESULT },
            Call { name: "check", parameters: &[REQUEST], answer: DONE },
            Call { name: "del", parameters: &[REQUEST], answer: DONE },
            Call { name: "status", parameters: &[CONFIG], answer: DONE },
            Call { name: "gc", parameters: &[CONFIG, VALID], answer: DONE },
        ],
        body: "Ok(NetworkResult::default())",
        described: true,
        receiver: None,
    };

    pub(crate) const POLICY: Self = Self {
        attribute: "wharf_sdk::policy",
        guest: "policy::Policy",
        export: "export_policy",
        calls: &[
            Call { name: "review", parameters: &[CALL, "guest: &str", "change: &Change"], answer: VERDICT },
            Call { name: "begin", parameters: &[CALL], answer: VERDICT },
            Call {
                name: "review_unknown",
                parameters: &[CALL, "guest: &str", "operation: &str"],
                answer: VERDICT,
            },
            Call { name: "review_result", parameters: &[CALL, "result: &NetworkResult"], answer: VERDICT },
        ],
        body: "Ok(())",
        described: false,
        receiver: Some("&mut self"),
    };

    pub(crate) fn call(&self, name: &str) -> Option<&Call> {
        self.calls.iter().find(|call| call.name == name)
    }

    /// The names of the calls, for a sentence.
    pub(crate) fn names(&self) -> String {
        self.calls.iter().map(|call| format!("`{}`", call.name)).collect::<Vec<_>>().join(", ")
    }

    /// The trait's own name.
    pub(crate) fn trait_name(&self) -> &'static str {
        self.guest.rsplit("::").next().unwrap_or(self.guest)
    }

    /// The call that every guest has.
    pub(crate) fn first(&self) -> Option<&Call> {
        self.calls.first()
    }

    /// Its lines, to be copied: as a method, or as a function.
    pub(crate) fn lines(&self, receiver: Option<&str>) -> String {
        let signature = self.first().map(|call| call.signature(receiver)).unwrap_or_default();
        format!("{signature} {{\n    {}\n}}", self.body)
    }

    /// A whole guest, to be copied.
    pub(crate) fn example(&self) -> String {
        format!("#[{}]\n{}", self.attribute, self.lines(None))
    }
}

impl Call {
    /// `fn add(request: &Request) -> Result<NetworkResult>`.
    pub(crate) fn signature(&self, receiver: Option<&str>) -> String {
        let parameters: Vec<&str> = receiver.into_iter().chain(self.parameters.iter().copied()).collect();
        format!("fn {}({}) -> {}", self.name, parameters.join(", "), self.answer)
    }

    /// Whether a function can be this call, as far as tokens tell; the compiler sees to the types.
    pub(crate) fn accept(&self, signature: &Signature, receiver: Option<&str>) -> Result<(), Error> {
        let write = format!("write `{}`", self.signature(receiver));
        if let Some(asyncness) = &signature.asyncness {
            return Err(Error::new_spanned(
                asyncness,
                format!("a guest does one thing after the other, and host calls wait by themselves; {write}"),
            ));
        }
        match (signature.receiver(), receiver) {
            (Some(given), None) => {
                let reason = "a guest has no `self`: every call is a new instance that remembers nothing";
                return Err(Error::new_spanned(given, format!("{reason}; {write}")));
            }
            (None, Some(wanted)) => {
                return Err(Error::new_spanned(&signature.ident, format!("`{wanted}` is missing; {write}")));
            }
            (Some(_), Some(_)) | (None, None) => {}
        }
        if !signature.generics.params.is_empty() {
            return Err(Error::new_spanned(
                &signature.generics,
                format!("a runtime cannot choose types; {write}"),
            ));
        }
        let given = signature.inputs.len() - usize::from(receiver.is_some());
        let wanted = self.parameters.len();
        if given != wanted {
            let message = format!("`{}` takes {}, and this one {given}; {write}", self.name, counted(wanted));
            return Err(Error::new_spanned(signature, message));
        }
        Ok(())
    }
}

fn counted(parameters: usize) -> String {
    if parameters == 1 { "1 parameter".to_owned() } else { format!("{parameters} parameters") }
}

/// What a function takes. The names of its parameters do not matter.
pub(crate) fn parameter_types(function: &ItemFn) -> Vec<&syn::Type> {
    let types = function.sig.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(typed) => Some(&*typed.ty),
        FnArg::Receiver(_) => None,
    });
    types.collect()
}
