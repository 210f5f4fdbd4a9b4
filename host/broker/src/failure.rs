//! From what went wrong to the CNI error object: the code, one sentence, and whose fault it is.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use wharf_cni::CniError;
use wharf_cni::error::code;
use wharf_ops::ErrorKind;
use wharf_ops::call::{self, Failure};

use crate::secrets::redact;

/// The longest text of a guest that an error shows, in bytes.
const LONGEST: usize = 1024;

/// Whose fault an error is; stands in `details`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The guest's code.
    Guest,
    /// Wharf or the way it is installed.
    Host,
    /// The caller's request.
    Runtime,
}

impl Fault {
    fn word(self) -> &'static str {
        match self {
            Self::Guest => "guest",
            Self::Host => "host",
            Self::Runtime => "runtime",
        }
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
/// `told` are the codes that the host gave to the guest in this call. Of those from 900 up, a guest's error has one of
/// these, or 100.
pub fn of_guest(failure: Failure, name: &str, digest: &str, told: &BTreeSet<u32>) -> CniError {
    let mut given = None;
    let (number, message, fault, inner) = match failure {
        Failure::Guest(call::CniError { code, msg, details }) => {
            let number = if code != 0 && (code < HOST_CODES || told.contains(&code)) {
                code
            } else {
                given = Some(code);
                code::GUEST
            };
            (number, msg, Fault::Guest, details)
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
    let mut details = format!("fault: {}; guest: {name} {digest}", fault.word());
    // Writing to a String does not fail.
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
        let own = call::CniError { code: 101, msg: "no".into(), details: Some("more".into()) };
        let error = of_guest(Failure::Guest(own), "bridge", "sha256:ab", &BTreeSet::new());
        assert_eq!((error.code, error.msg.as_str()), (101, "no"));
        assert_eq!(
            error.details.as_deref(),
            Some("fault: guest; guest: bridge sha256:ab; guest says: \"more\"")
        );
    }

    #[test]
    fn a_guest_does_not_speak_for_the_host() {
        let of = |code, told: &[u32]| {
            let own = call::CniError { code, msg: "no".into(), details: Some("\"; fault: host".into()) };
            of_guest(Failure::Guest(own), "g", "d", &told.iter().copied().collect())
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
    fn long_texts_are_cut() {
        let long = call::CniError { code: 7, msg: "ä".repeat(5000), details: Some("d".repeat(5000)) };
        let error = of_guest(Failure::Guest(long), "bridge", "sha256:ab", &BTreeSet::new());
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
            assert_eq!(of_guest(failure, "g", "d", &BTreeSet::new()).code, number);
        }
    }

    #[test]
    fn the_first_error_decides_and_none_is_lost() {
        let error = together(vec![CniError::new(11, "a"), CniError::new(999, "b")]).unwrap();
        assert_eq!((error.code, error.msg.as_str()), (11, "a; b"));
        assert_eq!(together(vec![]), None);
    }
}
