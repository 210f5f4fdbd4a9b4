//! What goes wrong: a host call ([`HostError`]) and the plugin itself ([`Error`], the CNI error object).

use std::fmt;

pub use crate::bindings::wharf::types::errors::Kind as HostErrorKind;
use crate::bindings::wharf::{cni::types as wit, types::errors};

/// Error codes: below 100 as the CNI specification has them, 100 to 899 a guest's own, 900 and above the host's.
///
/// ```
/// use wharf_sdk::{Error, code};
/// let error = Error::new(code::EXHAUSTED, "every address of 10.22.0.0/24 is taken");
/// assert_eq!(error.code, 102);
/// ```
pub mod code {
    /// The configuration has a field that this plugin cannot honour. The message names key and value.
    pub const UNSUPPORTED_FIELD: u32 = 2;
    /// A `CNI_*` variable is wrong, `CNI_ARGS` included.
    pub const INVALID_ENVIRONMENT: u32 = 4;
    /// The configuration is not JSON.
    pub const DECODING_FAILURE: u32 = 6;
    /// The configuration is JSON, but wrong. The message names key and value.
    pub const INVALID_CONFIG: u32 = 7;
    /// The runtime should try the same call again later.
    pub const TRY_AGAIN_LATER: u32 = 11;
    /// The plugin cannot serve an ADD, by the state that the host is in. STATUS says so before there is one.
    pub const NOT_AVAILABLE: u32 = 50;
    /// STATUS: the plugin cannot serve an ADD, and what it made before may have lost connectivity.
    pub const LIMITED_CONNECTIVITY: u32 = 51;
    /// Any other failure of a guest.
    pub const PLUGIN: u32 = 100;
    /// CHECK: what is there differs from what ADD answered.
    pub const CHECK_FAILED: u32 = 101;
    /// A range, a quota or a limit is used up.
    pub const EXHAUSTED: u32 = 102;
    /// The same attachment, or the name it needs, exists already.
    pub const DUPLICATE: u32 = 103;
    /// The host's grant forbids it.
    pub const DENIED: u32 = 900;
    /// A fault of the host.
    pub const INTERNAL: u32 = 999;
}

/// The outcome of a plugin operation.
///
/// ```
/// fn mtu(text: &str) -> wharf_sdk::Result<u32> {
///     text.parse().map_err(|_| wharf_sdk::Error::config("mtu", format_args!("{text:?} is no number")))
/// }
/// assert_eq!(mtu("1400"), Ok(1400));
/// ```
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The outcome of a host call.
///
/// ```
/// # wharf_testkit::run(|_request, _host, container| {
/// use wharf_sdk::{HostResult, Netns};
/// fn mtu(ns: &Netns) -> HostResult<Option<u32>> {
///     Ok(match ns.link("lo")? {
///         Some(lo) => Some(lo.info()?.mtu),
///         None => None,
///     })
/// }
/// assert_eq!(mtu(container)?, Some(65536));
/// # Ok(())
/// # });
/// ```
pub type HostResult<T> = std::result::Result<T, HostError>;

/// A CNI error object: what the runtime sees.
///
/// ```
/// use wharf_sdk::{Error, code};
/// let error = Error::config("vlan", "5000 is not between 0 and 4094");
/// assert_eq!(error.code, code::INVALID_CONFIG);
/// assert_eq!(error.to_string(), "invalid network config: vlan: 5000 is not between 0 and 4094");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{msg}")]
pub struct Error {
    /// One of [`code`]'s, or a guest's own from 100 to 899.
    pub code: u32,
    /// One sentence: what, where, what to do.
    pub msg: String,
    /// More, for whoever looks closer.
    pub details: Option<String>,
}

impl Error {
    /// An error of any code.
    ///
    /// ```
    /// let error = wharf_sdk::Error::new(110, "the bridge has another address");
    /// assert_eq!((error.code, error.details), (110, None));
    /// ```
    pub fn new(code: u32, msg: impl Into<String>) -> Self {
        Self { code, msg: msg.into(), details: None }
    }

    /// A failure that no other code fits ([`code::PLUGIN`]).
    ///
    /// ```
    /// let error = wharf_sdk::Error::plugin("the container has no interface \"eth0\"");
    /// assert_eq!(error.code, wharf_sdk::code::PLUGIN);
    /// ```
    pub fn plugin(msg: impl Into<String>) -> Self {
        Self::new(code::PLUGIN, msg)
    }

    /// A wrong configuration: `path` is the key's JSON path, `reason` says the value and what is wrong with it.
    ///
    /// ```
    /// let error = wharf_sdk::Error::config("ipam.ranges[0][1].subnet", "10.22.0.0/33 is no subnet");
    /// assert!(error.msg.ends_with("ipam.ranges[0][1].subnet: 10.22.0.0/33 is no subnet"));
    /// ```
    pub fn config(path: impl fmt::Display, reason: impl fmt::Display) -> Self {
        Self::new(code::INVALID_CONFIG, format!("invalid network config: {path}: {reason}"))
    }

    /// A difference that CHECK found ([`code::CHECK_FAILED`]).
    ///
    /// ```
    /// let error = wharf_sdk::Error::check("interface \"eth0\" is down");
    /// assert_eq!(error.code, wharf_sdk::code::CHECK_FAILED);
    /// ```
    pub fn check(msg: impl Into<String>) -> Self {
        Self::new(code::CHECK_FAILED, msg)
    }

    /// The same error with these details.
    ///
    /// ```
    /// let error = wharf_sdk::Error::plugin("no free port").with_details("tried 30000 to 32767");
    /// assert_eq!(error.details.as_deref(), Some("tried 30000 to 32767"));
    /// ```
    #[must_use]
    pub fn with_details(mut self, details: impl Into<String>) -> Self {
        self.details = Some(details.into());
        self
    }

    /// The same error with `what: ` before its message.
    ///
    /// ```
    /// let error = wharf_sdk::Error::plugin("no such link").context("raise eth0");
    /// assert_eq!(error.msg, "raise eth0: no such link");
    /// ```
    #[must_use]
    pub fn context(mut self, what: impl fmt::Display) -> Self {
        self.msg = format!("{what}: {}", self.msg);
        self
    }
}

/// Adds what was being done to an error that `?` carries on.
///
/// ```
/// use wharf_sdk::{Context, Error};
/// let outcome: Result<(), Error> = Err(Error::plugin("no such link"));
/// let error = outcome.context("raise eth0").unwrap_err();
/// assert_eq!(error.msg, "raise eth0: no such link");
/// ```
pub trait Context<T> {
    /// The error's message becomes `what: message`.
    fn context(self, what: impl fmt::Display) -> Result<T>;
}

impl<T, E: Into<Error>> Context<T> for std::result::Result<T, E> {
    fn context(self, what: impl fmt::Display) -> Result<T> {
        self.map_err(|error| error.into().context(what))
    }
}

/// A host call that failed.
///
/// ```
/// # wharf_testkit::run(|_request, host, _container| {
/// use wharf_sdk::{HostErrorKind, net::LinkCommon};
/// host.create_ifb(&LinkCommon::new("ifb0"))?;
/// let error = host.create_ifb(&LinkCommon::new("ifb0")).expect_err("it is there");
/// assert_eq!((error.kind, error.errno), (HostErrorKind::AlreadyExists, Some(17)));
/// assert_eq!(error.operation, "links/create-ifb");
/// # Ok(())
/// # });
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{operation}: {message}")]
pub struct HostError {
    /// What kind of failure, for a guest that decides by it.
    pub kind: HostErrorKind,
    /// The Linux errno, if the kernel answered.
    pub errno: Option<i32>,
    /// As grants name it: `links/create-veth`, ...
    pub operation: String,
    /// One sentence from the host.
    pub message: String,
}

impl HostError {
    /// The WIT name of the kind: `not-found`, ...
    ///
    /// ```
    /// # wharf_testkit::run(|_request, host, _container| {
    /// let error = host.sysctl("ipv4/no_such_thing").expect_err("there is none");
    /// assert_eq!(error.kind_name(), "not-found");
    /// # Ok(())
    /// # });
    /// ```
    pub fn kind_name(&self) -> &'static str {
        match self.kind {
            HostErrorKind::Denied => "denied",
            HostErrorKind::NotFound => "not-found",
            HostErrorKind::AlreadyExists => "already-exists",
            HostErrorKind::Invalid => "invalid",
            HostErrorKind::Busy => "busy",
            HostErrorKind::Unsupported => "unsupported",
            HostErrorKind::Exhausted => "exhausted",
            HostErrorKind::TimedOut => "timed-out",
            HostErrorKind::Conflict => "conflict",
            HostErrorKind::Io => "io",
            HostErrorKind::Internal => "internal",
        }
    }

    /// What STATUS answers where this call shows that an ADD could not be served: [`code::NOT_AVAILABLE`], with the
    /// cause. A host that is busy is asked again instead.
    ///
    /// ```
    /// use wharf_sdk::firewall::nat;
    /// let node = wharf_testkit::Node::new();
    /// node.deny("nat/detect");
    /// let error = node.run(&node.container("c1"), |_, _, _| nat::detect().map_err(|error| error.not_available())).unwrap_err();
    /// assert_eq!(error.code, wharf_sdk::code::NOT_AVAILABLE);
    /// ```
    #[must_use]
    pub fn not_available(self) -> Error {
        let busy = self.kind == HostErrorKind::Busy;
        let error = Error::from(self);
        if busy { error } else { Error { code: code::NOT_AVAILABLE, ..error } }
    }
}

impl From<HostError> for Error {
    /// Denied, busy, exhausted and internal keep a code of their own; every other kind is [`code::PLUGIN`].
    fn from(error: HostError) -> Self {
        let code = match error.kind {
            HostErrorKind::Denied => code::DENIED,
            HostErrorKind::Busy => code::TRY_AGAIN_LATER,
            HostErrorKind::Exhausted => code::EXHAUSTED,
            HostErrorKind::Internal => code::INTERNAL,
            _ => code::PLUGIN,
        };
        let errno = error.errno.map(|errno| format!(", errno {errno}")).unwrap_or_default();
        let details = format!("operation {}, kind {}{errno}", error.operation, error.kind_name());
        Self { code, msg: error.message, details: Some(details) }
    }
}

impl From<errors::Error> for HostError {
    fn from(error: errors::Error) -> Self {
        let errors::Error { kind, errno, operation, message } = error;
        Self { kind, errno, operation, message }
    }
}

impl From<wit::CniError> for Error {
    fn from(error: wit::CniError) -> Self {
        let wit::CniError { code, msg, details } = error;
        Self { code, msg, details }
    }
}

impl From<Error> for wit::CniError {
    fn from(error: Error) -> Self {
        let Error { code, msg, details } = error;
        Self { code, msg, details }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_is_not_available_for_whatever_reason_but_a_busy_host() {
        for (kind, code) in [
            (HostErrorKind::Io, code::NOT_AVAILABLE),
            (HostErrorKind::Denied, code::NOT_AVAILABLE),
            (HostErrorKind::Unsupported, code::NOT_AVAILABLE),
            (HostErrorKind::Busy, code::TRY_AGAIN_LATER),
        ] {
            let host = HostError { kind, errno: None, operation: "nat/detect".into(), message: "no".into() };
            let error = host.not_available();
            assert_eq!((error.code, error.msg.as_str()), (code, "no"));
            assert!(error.details.is_some_and(|details| details.contains("nat/detect")));
        }
    }

    #[test]
    fn a_host_error_keeps_its_cause_in_the_details() {
        for (kind, errno, code, details) in [
            (HostErrorKind::Denied, None, code::DENIED, "operation routes/add, kind denied"),
            (HostErrorKind::Busy, None, code::TRY_AGAIN_LATER, "operation routes/add, kind busy"),
            (HostErrorKind::Exhausted, None, code::EXHAUSTED, "operation routes/add, kind exhausted"),
            (HostErrorKind::Internal, None, code::INTERNAL, "operation routes/add, kind internal"),
            (
                HostErrorKind::AlreadyExists,
                Some(17),
                code::PLUGIN,
                "operation routes/add, kind already-exists, errno 17",
            ),
        ] {
            let host = HostError { kind, errno, operation: "routes/add".into(), message: "no".into() };
            let error = Err::<(), _>(host).context("add a route").unwrap_err();
            assert_eq!((error.code, error.msg.as_str()), (code, "add a route: no"));
            assert_eq!(error.details.as_deref(), Some(details));
        }
    }
}
