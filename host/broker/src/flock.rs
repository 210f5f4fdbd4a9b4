//! Waiting for a lock of the kernel, flock(2), which ends with its holder.

use std::fs::File;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

/// The first wait between two tries, and the longest.
const WAITS: [Duration; 2] = [Duration::from_micros(50), Duration::from_millis(2)];

/// How long to wait for another process.
pub(crate) struct Patience<'a> {
    /// When it ends; asked for only if there is something to wait for.
    pub(crate) until: &'a dyn Fn() -> Instant,
    /// The signal that ended the call, if one did.
    pub(crate) interrupted: &'a dyn Fn() -> Option<&'static str>,
}

impl Patience<'_> {
    /// None: somebody works on it.
    pub(crate) const NONE: Patience<'static> = Patience { until: &Instant::now, interrupted: &|| None };
    /// Next to none: whoever lists journals tries their locks for a moment, and does not work on them.
    pub(crate) const BRIEF: Patience<'static> =
        Patience { until: &|| Instant::now() + Duration::from_millis(20), interrupted: &|| None };
}

/// Why a lock was not taken.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Another process holds it.
    Busy,
    /// This signal ended the wait.
    Interrupted(&'static str),
    /// The kernel would not.
    Failed(Errno),
}

/// Takes a lock. A wait that has an end is made of tries, with a `how` that does not block: a blocking flock could only be
/// ended by a signal, and a signal belongs to the whole process.
pub(crate) fn take(mut file: File, how: FlockArg, patience: &Patience<'_>) -> Result<Flock<File>, Refusal> {
    let [mut wait, longest] = WAITS;
    let mut until = None;
    loop {
        let errno;
        (file, errno) = match Flock::lock(file, how) {
            Ok(lock) => return Ok(lock),
            Err(refused) => refused,
        };
        match errno {
            Errno::EINTR => {}
            Errno::EWOULDBLOCK => {
                if let Some(signal) = (patience.interrupted)() {
                    return Err(Refusal::Interrupted(signal));
                }
                let until = *until.get_or_insert_with(|| (patience.until)());
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(Refusal::Busy);
                }
                sleep(wait.min(left));
                wait = (wait * 2).min(longest);
            }
            errno => return Err(Refusal::Failed(errno)),
        }
    }
}
