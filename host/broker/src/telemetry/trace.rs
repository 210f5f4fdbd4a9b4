//! The trace that a call belongs to, by W3C Trace Context: `TRACEPARENT` as the runtime's environment has it.

use std::fmt::Write as _;

use rustix::rand::{GetRandomFlags, getrandom};
use serde::{Deserialize, Serialize};

/// The bit that says that a span is recorded.
const SAMPLED: u8 = 1;

/// A call's place in a trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// 32 hexadecimal digits.
    pub trace_id: String,
    /// Of this call: 16 hexadecimal digits.
    pub span_id: String,
    /// Of the span that it belongs to, if there is one.
    pub parent_id: Option<String>,
    /// The flags that came.
    pub flags: u8,
}

impl Trace {
    /// Below the runtime's span, or a trace of its own. None if the runtime's is not recorded.
    pub(super) fn begin(traceparent: Option<&str>) -> Option<Self> {
        let span_id = random::<8>()?;
        match traceparent.and_then(parse) {
            Some((_, _, flags)) if flags & SAMPLED == 0 => None,
            Some((trace_id, parent, flags)) => {
                Some(Self { trace_id, span_id, parent_id: Some(parent), flags })
            }
            None => Some(Self { trace_id: random::<16>()?, span_id, parent_id: None, flags: SAMPLED }),
        }
    }

    /// For what this call starts.
    pub(super) fn traceparent(&self) -> String {
        format!("00-{}-{}-{:02x}", self.trace_id, self.span_id, self.flags)
    }
}

/// Trace id, span id and flags. Later versions may have more behind them.
fn parse(text: &str) -> Option<(String, String, u8)> {
    let mut parts = text.trim().split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let good = hex(version, 2) && version != "ff" && hex(trace, 32) && hex(span, 16) && hex(flags, 2);
    let zero = |id: &str| id.bytes().all(|digit| digit == b'0');
    if !good || zero(trace) || zero(span) || (version == "00" && parts.next().is_some()) {
        return None;
    }
    Some((trace.to_owned(), span.to_owned(), u8::from_str_radix(flags, 16).ok()?))
}

fn hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// So many random bytes as hexadecimal digits.
fn random<const N: usize>() -> Option<String> {
    let mut bytes = [0_u8; N];
    let got = getrandom(&mut bytes, GetRandomFlags::empty()).ok()?;
    (got == N).then(|| {
        bytes.iter().fold(String::new(), |mut text, byte| {
            // Writing to a String does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_call_is_a_span_below_the_runtimes() {
        let trace = Trace::begin(Some(PARENT)).unwrap();
        assert_eq!(trace.trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(trace.parent_id.as_deref(), Some("00f067aa0ba902b7"));
        assert!(hex(&trace.span_id, 16) && trace.span_id != "00f067aa0ba902b7");
        let handed_on = trace.traceparent();
        assert_eq!(handed_on, format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{}-01", trace.span_id));
        assert_eq!(parse(&handed_on).unwrap().1, trace.span_id);
    }

    #[test]
    fn what_is_not_recorded_above_is_not_below() {
        assert_eq!(Trace::begin(Some(&PARENT.replace("-01", "-00"))), None);
    }

    #[test]
    fn without_a_parent_or_with_a_broken_one_it_is_a_trace_of_its_own() {
        for text in [
            None,
            Some(""),
            Some("00-0-0-01"),
            Some("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
            Some("00-00000000000000000000000000000000-00f067aa0ba902b7-01"),
            Some("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01"),
            Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more"),
        ] {
            let trace = Trace::begin(text).unwrap();
            assert!(hex(&trace.trace_id, 32) && trace.parent_id.is_none(), "{text:?}");
            assert_ne!(trace.trace_id, Trace::begin(text).unwrap().trace_id);
        }
        assert!(parse("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more").is_some());
    }
}
