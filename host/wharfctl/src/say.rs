//! Lines on standard output and standard error, whose reader may be gone: `wharfctl install | head -1`.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write as _};

use anyhow::{Context as _, Error, Result};
use nix::unistd::geteuid;

/// Prints a line, as `println!` does, of something that is done. That nobody reads it is no reason to leave the rest of it
/// undone, let alone to panic.
macro_rules! say {
    ($($words:tt)*) => {
        $crate::say::line(format_args!($($words)*))
    };
}

/// The same on standard error, where `eprintln!` would panic.
macro_rules! complain {
    ($($words:tt)*) => {
        $crate::say::complaint(format_args!($($words)*))
    };
}

pub(crate) use {complain, say};

pub(crate) fn line(words: Arguments<'_>) {
    let _ = writeln!(std::io::stdout(), "{words}");
}

pub(crate) fn complaint(words: Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "{words}");
}

/// Prints what was asked for. Who reads no further has enough of it; that it cannot be written where it should stay is an error.
pub(crate) fn text(text: &str) -> Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to standard output"),
    }
}

/// What went wrong and why, each reason once: many of our sentences end with the reason that they also carry.
pub(crate) fn reasons(error: &Error) -> String {
    let mut said = String::new();
    for reason in error.chain().map(ToString::to_string) {
        if said.is_empty() {
            said = reason;
        } else if !said.ends_with(&reason) {
            said = format!("{said}: {reason}");
        }
    }
    let denied = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::PermissionDenied)
    };
    // To root it would be no help.
    if error.chain().any(denied) && !geteuid().is_root() {
        said.push_str("; run this as root");
    }
    said
}

#[cfg(test)]
mod tests {
    use wharf_broker::guests::StoreError;

    use super::*;

    #[test]
    fn a_reason_is_told_once() {
        let missing = || io::Error::from_raw_os_error(2);
        let path = "/it".to_owned();
        let error = Error::from(StoreError::Io { path, source: missing() }).context("cannot show it");
        let said = reasons(&error);
        assert!(
            said.starts_with("cannot show it: ")
                && said.ends_with("/it: No such file or directory (os error 2)"),
            "{said}"
        );
        let error = Error::from(missing()).context("cannot show it");
        assert_eq!(reasons(&error), "cannot show it: No such file or directory (os error 2)");
    }
}
