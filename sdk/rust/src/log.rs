//! Log lines: `trace!`, `debug!`, `info!`, `warn!` and `error!` write to the host's log.
//!
//! ```
//! use wharf_sdk::{info, warn};
//! let link = "veth0";
//! info!("made {link}");
//! warn!("{link} is slow to come up"; link = link, waited_ms = 250);
//! ```
//!
//! Natively they write to standard error, unless a test kit keeps them.

use crate::bindings::wharf::host::logging as wit;

pub use crate::bindings::wharf::host::logging::Level;

/// Whether a line of that level would be kept: ask before a costly message.
///
/// ```
/// use wharf_sdk::log::{Level, enabled};
/// if enabled(Level::Trace) {
///     wharf_sdk::trace!("what takes long to say");
/// }
/// ```
pub fn enabled(level: Level) -> bool {
    wit::enabled(level)
}

/// Writes one line with structured fields. The macros are shorter.
///
/// ```
/// use wharf_sdk::log::{Level, write};
/// write(Level::Info, "made a link", &[("link".to_owned(), "veth0".to_owned())]);
/// ```
pub fn write(level: Level, message: &str, fields: &[(String, String)]) {
    wit::log(level, message, fields);
}

/// Writes a line of the given [`Level`](crate::log::Level).
///
/// ```
/// use wharf_sdk::log::Level;
/// wharf_sdk::log!(Level::Info, "made {}", "veth0"; mtu = 1400);
/// ```
#[macro_export]
macro_rules! log {
    ($level:expr, $format:literal $(, $argument:expr)* $(,)? $(; $($key:ident = $value:expr),+ $(,)?)?) => {
        $crate::log::write(
            $level,
            &::std::format!($format $(, $argument)*),
            &[$($((
                ::std::string::String::from(::std::stringify!($key)),
                ::std::string::ToString::to_string(&$value),
            )),+)?],
        )
    };
}

/// Writes a line of level trace; see [`mod@crate::log`].
///
/// ```
/// wharf_sdk::trace!("asked for {}", 7);
/// ```
#[macro_export]
macro_rules! trace { ($($line:tt)*) => { $crate::log!($crate::log::Level::Trace, $($line)*) }; }

/// Writes a line of level debug; see [`mod@crate::log`].
///
/// ```
/// wharf_sdk::debug!("the route is there already"; dst = "10.0.0.0/8");
/// ```
#[macro_export]
macro_rules! debug { ($($line:tt)*) => { $crate::log!($crate::log::Level::Debug, $($line)*) }; }

/// Writes a line of level info; see [`mod@crate::log`].
///
/// ```
/// wharf_sdk::info!("attached"; addresses = 2);
/// ```
#[macro_export]
macro_rules! info { ($($line:tt)*) => { $crate::log!($crate::log::Level::Info, $($line)*) }; }

/// Writes a line of level warn; see [`mod@crate::log`].
///
/// ```
/// let (ifname, reason) = ("eth0", "no carrier");
/// wharf_sdk::warn!("{ifname} is slow: {reason}");
/// ```
#[macro_export]
macro_rules! warn { ($($line:tt)*) => { $crate::log!($crate::log::Level::Warn, $($line)*) }; }

/// Writes a line of level error; see [`mod@crate::log`].
///
/// ```
/// wharf_sdk::error!("gave up after {} tries", 3);
/// ```
#[macro_export]
macro_rules! error { ($($line:tt)*) => { $crate::log!($crate::log::Level::Error, $($line)*) }; }
