//! From what went wrong to the CNI error object: the code, one sentence, and whose fault it is.

use std::collections::{BTreeSet, VecDeque};
use std::fmt::Write as _;

use wharf_cni::CniError;
use wharf_cni::error::code;
use wharf_ops::call::{self, Failure};
use wharf_ops::{Error, ErrorKind};

use crate::secrets::redact;

/// The longest text of a guest that an error shows, in bytes.
const LONGEST: usize = 1024;

/// Whose fault an error is; stands in `details`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The guest's code.
    Guest,
    /// Wharf, the way it is installed, or the state of the node.
    Host,
    /// The caller's request, with its configuration.
    Runtime,
    /// The kernel refused an operation.
    Kernel,
}

impl Fault {
    fn word(self) -> &'static str {
        match self {
            Self::Guest => "guest",
            Self::Host => "host",
            Self::Runtime => "runtime",
            Self::Kernel => "kernel",
        }
    }

    /// By the code that a guest gave: what these mean is not a fault of its code, if it says the truth.
    fn of_code(number: u32) -> Self {
        match number {
            code::INCOMPATIBLE_VERSION
            | code::UNSUPPORTED_FIELD
            | code::UNKNOWN_CONTAINER
            | code::INVALID_ENVIRONMENT
            | code::DECODING_FAILURE
            | code::INVALID_CONFIG
            | code::INVALID_NETNS
            | EXHAUSTED
            | DUPLICATE => Self::Runtime,
            code::PLUGIN_NOT_AVAILABLE | code::LIMITED_CONNECTIVITY | CHECK_FAILED | code::INTERNAL => {
                Self::Host
            }
            _ => Self::Guest,
        }
    }
}

/// Codes that the SDK gives guests' errors.
const CHECK_FAILED: u32 = crate::record::CHECK_FAILED;
const EXHAUSTED: u32 = 102;
const DUPLICATE: u32 = 103;

/// What a guest was told in one call, which its own error may be about.
#[derive(Debug, Default)]
pub struct Told {
    /// Codes that it may pass on.
    codes: BTreeSet<u32>,
    /// Operations that the kernel refused.
    refused: VecDeque<Error>,
}

impl Told {
    /// How many operations are kept in mind.
    const KEPT: usize = 16;

    /// An operation failed.
    pub fn failed(&mut self, error: &Error) {
        self.codes.extend(host_code(error.kind));
        if error.errno.is_some() && !error.message.is_empty() {
            self.refused.truncate(Self::KEPT - 1);
            self.refused.push_front(error.clone());
        }
    }

    /// A delegate failed.
    pub fn passed_on(&mut self, code: u32) {
        self.codes.insert(code);
    }

    /// The operation whose error a guest repeats, the last first.
    fn about(&self, message: &str) -> Option<&Error> {
        self.refused.iter().find(|error| message.contains(&error.message))
    }
}

/// An error of the host's own.
pub fn host(number: u32, fault: Fault, message: impl Into<String>) -> CniError {
    CniError::new(number, message).with_details(format!("fault: {}", fault.word()))
}

/// A signal ended the call. What it had done is undone: it may be tried again.
pub fn interrupted(signal: &str) -> CniError {
    host(code::TRY_AGAIN_LATER, Fault::Runtime, format!("ended by {signal}"))
}

/// The codes that this module's host errors have: 900 and above, which a guest can only pass on.
const HOST_CODES: u32 = 900;

/// The code of an operation that failed, as the SDK passes it on, if it is one of the host's.
pub fn host_code(kind: ErrorKind) -> Option<u32> {
    match kind {
        ErrorKind::Denied => Some(code::DENIED),
        ErrorKind::Internal => Some(code::INTERNAL),
        ErrorKind::NotFound
        | ErrorKind::AlreadyExists
        | ErrorKind::Invalid
        | ErrorKind::Busy
        | ErrorKind::Unsupported
        | ErrorKind::Exhausted
        | ErrorKind::TimedOut
        | ErrorKind::Conflict
        | ErrorKind::Io => None,
    }
}

/// What came of a guest, with the guest's name and digest in `details`, and its own words behind `guest says:`.
///
/// Of the codes from 900 up, a guest's error has one that it was told in this call, or 100.
pub fn of_guest(failure: Failure, name: &str, digest: &str, told: &Told) -> CniError {
    let mut given = None;
    let mut refused = None;
    let (number, message, fault, inner) = match failure {
        Failure::Guest(call::CniError { code, msg, details }) => {
            let number = if code != 0 && (code < HOST_CODES || told.codes.contains(&code)) {
                code
            } else {
                given = Some(code);
                code::GUEST
            };
            refused = told.about(&msg);
            let fault = if refused.is_some() { Fault::Kernel } else { Fault::of_code(number) };
            (number, msg, fault, details)
        }
        Failure::Trap(reason) => {
            (code::TRAP, format!("{name}: the guest trapped: {reason}"), Fault::Guest, None)
        }
        Failure::Limit(reason) => (code::LIMIT, format!("{name}: {reason}"), Fault::Guest, None),
        Failure::Mismatch(reason) => (code::IMPORT_MISMATCH, format!("{name}: {reason}"), Fault::Host, None),
        Failure::Sandbox(reason) => (code::INTERNAL, format!("{name}: {reason}"), Fault::Host, None),
        Failure::Unloadable(reason) => (
            code::PLUGIN_NOT_AVAILABLE,
            format!("{name}: {reason}: run `wharfctl install`"),
            Fault::Host,
            None,
        ),
    };
    let mut details = format!("fault: {}", fault.word());
    // Writing to a String does not fail.
    if let Some(Error { operation, errno: Some(errno), .. }) = refused {
        let _ = write!(details, "; operation: {operation}, errno {errno}");
    }
    let _ = write!(details, "; guest: {name} {digest}");
    if let Some(given) = given {
        let _ = write!(details, "; the guest gave the code {given}, which is not a guest's");
    }
    if let Some(text) = inner {
        // Quoted, so that nothing in it passes for the host's.
        let _ = write!(details, "; guest says: {:?}", cut(text));
    }
    CniError::new(number, cut(message)).with_details(details)
}

/// A guest repeats values of the configuration, which may be long; runtimes log every error.
pub(crate) fn cut(text: String) -> String {
    if text.len() <= LONGEST {
        return text;
    }
    let head = text.get(..text.floor_char_boundary(LONGEST)).unwrap_or_default();
    format!("{head}... ({} bytes)", text.len())
}

/// The same without the secrets of the configuration: runtimes log every error.
pub fn without_secrets(mut error: CniError) -> CniError {
    error.msg = redact(&error.msg).into_owned();
    error.details = error.details.map(|details| redact(&details).into_owned());
    error
}

/// Several errors as one: the first decides the code, and every message is told.
pub fn together(errors: Vec<CniError>) -> Option<CniError> {
    let mut errors = errors.into_iter();
    let mut first = errors.next()?;
    for other in errors {
        first.msg = format!("{}; {}", first.msg, other.msg);
    }
    Some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guests_own_error_passes_through() {
        let own = call::CniError { code: 110, msg: "no".into(), details: Some("more".into()) };
        let error = of_guest(Failure::Guest(own), "bridge", "sha256:ab", &Told::default());
        assert_eq!((error.code, error.msg.as_str()), (110, "no"));
        assert_eq!(
            error.details.as_deref(),
            Some("fault: guest; guest: bridge sha256:ab; guest says: \"more\"")
        );
    }

    #[test]
    fn a_guest_does_not_speak_for_the_host() {
        let of = |code, told: &[u32]| {
            let own = call::CniError { code, msg: "no".into(), details: Some("\"; fault: host".into()) };
            let mut codes = Told::default();
            for code in told {
                codes.passed_on(*code);
            }
            of_guest(Failure::Guest(own), "g", "d", &codes)
        };
        for code in [0, 900, 902, 999, 1000, u32::MAX] {
            let error = of(code, &[0, 901]);
            assert_eq!(error.code, 100, "{code}");
            assert_eq!(
                error.details.unwrap(),
                format!(
                    "fault: guest; guest: g d; the guest gave the code {code}, which is not a guest's; \
                     guest says: \"\\\"; fault: host\""
                )
            );
        }
        for (code, told) in [(1, 0), (11, 0), (50, 0), (100, 0), (899, 0), (900, 900), (999, 999)] {
            assert_eq!(of(code, &[told]).code, code);
        }
    }

    #[test]
    fn whose_fault_it_is() {
        let mut told = Told::default();
        for (operation, message) in [("links/get", "first"), ("links/create-veth", "create x: File exists")] {
            let mut error = Error::from_errno(17, message);
            error.operation = operation.to_owned();
            told.failed(&error);
        }
        told.failed(&Error::new(ErrorKind::Internal, "not the kernel's"));
        let details = |code, msg: &str| {
            let own = call::CniError { code, msg: msg.into(), details: None };
            of_guest(Failure::Guest(own), "g", "d", &told).details.unwrap()
        };
        for (code, msg, expected) in [
            (100, "attach: create x: File exists", "fault: kernel; operation: links/create-veth, errno 17"),
            (103, "first", "fault: kernel; operation: links/get, errno 17"),
            (7, "mtu: \"x\" is no number", "fault: runtime"),
            (102, "no address is free", "fault: runtime"),
            (101, "eth0 is down", "fault: host"),
            (50, "br0.100 is no veth", "fault: host"),
            (999, "not the kernel's", "fault: host"),
            (100, "not the kernel's", "fault: guest"),
            (899, "sorry", "fault: guest"),
        ] {
            assert_eq!(details(code, msg), format!("{expected}; guest: g d"), "{code} {msg}");
        }
        // What came long ago is forgotten.
        for number in 0..Told::KEPT {
            told.failed(&Error::from_errno(5, format!("later {number}")));
        }
        assert_eq!(told.refused.len(), Told::KEPT);
        assert_eq!(told.about("first"), None);
    }

    #[test]
    fn long_texts_are_cut() {
        let long = call::CniError { code: 7, msg: "ä".repeat(5000), details: Some("d".repeat(5000)) };
        let error = of_guest(Failure::Guest(long), "bridge", "sha256:ab", &Told::default());
        assert!(error.msg.len() < 1100 && error.msg.ends_with("... (10000 bytes)"), "{}", error.msg);
        let details = error.details.unwrap();
        assert!(details.len() < 1200 && details.contains("guest: bridge sha256:ab"), "{details}");
    }

    #[test]
    fn each_failure_has_its_code() {
        for (failure, number) in [
            (Failure::Trap("x".into()), 902),
            (Failure::Limit("x".into()), 904),
            (Failure::Mismatch("x".into()), 905),
            (Failure::Sandbox("x".into()), 999),
            (Failure::Unloadable("x".into()), 50),
        ] {
            assert_eq!(of_guest(failure, "g", "d", &Told::default()).code, number);
        }
    }

    #[test]
    fn the_first_error_decides_and_none_is_lost() {
        let error = together(vec![CniError::new(11, "a"), CniError::new(999, "b")]).unwrap();
        assert_eq!((error.code, error.msg.as_str()), (11, "a; b"));
        assert_eq!(together(vec![]), None);
    }
}
