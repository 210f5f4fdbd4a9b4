//! The emulator with a time limit, its lines, and its kernel's log when something is wrong.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

use crate::{say, sh};

/// How long a machine may take, from the moment that it is switched on.
#[derive(Clone, Copy, Debug)]
pub(in crate::test) struct Limits {
    /// To begin with its tests.
    pub(in crate::test) start: Duration,
    /// To be through with them; for all attempts together.
    pub(in crate::test) whole: Duration,
}

/// How long a machine may take to begin that has nothing to do before: several times what it needs.
pub(in crate::test) const START: Duration = Duration::from_secs(40);
/// How often it is switched on. Where this machine is busy, the other one's kernel may measure its clocks wrongly: it
/// gives up, or a processor sleeps for ever.
const TRIES: usize = 3;

/// What [`run`] reads.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event<'a> {
    /// A program printed this.
    Line(&'a str),
    /// A program ended with this status.
    Exit(&'a str, i32),
}

/// Switches a machine on, tells what it says and waits until it has switched itself off. An error if it does not get
/// through its tests within the limits.
pub(super) fn run(emulator: &dyn Fn() -> Command, limits: Limits, mut tell: impl FnMut(Event)) -> Result<()> {
    let begin = Instant::now();
    for _ in 0..TRIES {
        let left = limits.whole.saturating_sub(begin.elapsed());
        let mut emulator = emulator();
        emulator.stdin(Stdio::null()).stdout(Stdio::piped());
        if follow(&mut emulator, [limits.start.min(left), left], &mut tell)? {
            return Ok(());
        }
        say::warn(format_args!("the machine did not begin: {}", sh::display(&emulator)));
    }
    bail!("the machine was switched on {TRIES} times and did not begin")
}

/// Answers whether it began. Both limits count from here.
fn follow(
    emulator: &mut Command,
    [start, limit]: [Duration; 2],
    mut tell: impl FnMut(Event),
) -> Result<bool> {
    let begin = Instant::now();
    let mut child = Running(emulator.spawn().context("cannot start qemu")?);
    let stdout = child.0.stdout.take().ok_or_else(|| anyhow!("qemu has no output"))?;
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
            if sender.send(String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned()).is_err() {
                return;
            }
        }
    });
    let mut end = begin + start;
    let mut last = String::new();
    let what = loop {
        match lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                let Some(word) = line.strip_prefix("wharf-machine: ") else {
                    tell(Event::Line(&line));
                    continue;
                };
                if word == "end" {
                    return Ok(true);
                }
                if last.is_empty() {
                    end = begin + limit;
                }
                if let Some((status, program)) = word.strip_prefix("exit ").and_then(|w| w.split_once(' ')) {
                    tell(Event::Exit(program, status.parse().unwrap_or(-1)));
                }
                word.clone_into(&mut last);
            }
            Err(_) if last.is_empty() => return Ok(false),
            Err(RecvTimeoutError::Timeout) => {
                break format!(
                    "was not through {} s after it was switched on, which is all the time that it has",
                    limit.as_secs()
                );
            }
            Err(RecvTimeoutError::Disconnected) => break "went off before its tests were through".to_owned(),
        }
    };
    bail!("the machine {what} (its last word: {last})")
}

/// Ended when this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It has nothing to lose: its disk is memory.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The end of the kernel's log.
pub(in crate::test) fn tail(log: &Path) -> String {
    const LINES: usize = 40;
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    lines
        .iter()
        .skip(lines.len().saturating_sub(LINES))
        .fold(String::new(), |text, line| text + "   | " + line + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_mins(2);

    fn of(script: &str, limits: [Duration; 2]) -> (Vec<String>, Result<bool>) {
        let mut events = Vec::new();
        let mut emulator = Command::new("sh");
        emulator.args(["-c", script]).stdout(Stdio::piped());
        let outcome = follow(&mut emulator, limits, |event| events.push(format!("{event:?}")));
        (events, outcome)
    }

    #[test]
    fn lines_and_verdicts_are_told_until_the_end() {
        let script = "echo 'wharf-machine: begin /a'; printf 'test a ... ok\\r\\n'; \
            echo 'wharf-machine: exit 101 /a'; echo 'wharf-machine: end'; exec sleep 60";
        let (events, outcome) = of(script, [START, LIMIT]);
        assert_eq!(events, ["Line(\"test a ... ok\")", "Exit(\"/a\", 101)"]);
        assert!(outcome.unwrap());
    }

    #[test]
    fn a_machine_that_goes_off_or_hangs_has_failed() {
        let (_, outcome) = of("echo 'wharf-machine: begin /a'", [START, LIMIT]);
        let error = outcome.unwrap_err().to_string();
        assert!(error.contains("went off") && error.contains("begin /a"), "{error}");
        let (_, outcome) = of("echo 'wharf-machine: begin /a'; exec sleep 60", [START, Duration::ZERO]);
        let error = outcome.unwrap_err().to_string();
        assert!(error.contains("was not through") && error.contains("begin /a"), "{error}");
        for before in ["exec sleep 60", "echo 'a panic'"] {
            assert!(!of(before, [Duration::ZERO, LIMIT]).1.unwrap(), "{before}: it can be tried again");
        }
    }
}
