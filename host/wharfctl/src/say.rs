//! Lines on standard output, whose reader may be gone: `wharfctl install | head -1`.

use std::fmt::Arguments;
use std::io::Write as _;

/// Prints a line, as `println!` does, of something that is done. That nobody reads it is no reason to leave the rest of it
/// undone, let alone to panic.
macro_rules! say {
    ($($words:tt)*) => {
        $crate::say::line(format_args!($($words)*))
    };
}

pub(crate) use say;

pub(crate) fn line(words: Arguments<'_>) {
    let _ = writeln!(std::io::stdout(), "{words}");
}
