//! The machine: the emulator with a time limit, its lines, and its kernel's log when something is wrong.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

use super::packages::Parts;

/// How long the whole may take, from switching on.
const LIMIT: Duration = Duration::from_secs(120);

/// What [`run`] reads.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event<'a> {
    /// A program printed this.
    Line(&'a str),
    /// A program ended with this status.
    Exit(&'a str, i32),
}

/// Switches a machine on with this initramfs, tells what it says and waits until it has switched itself off. An error
/// if it does not get through its tests in time.
pub(super) fn run(parts: &Parts, initramfs: &Path, log: &Path, mut tell: impl FnMut(Event)) -> Result<()> {
    let mut emulator = command(parts, initramfs, log);
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
    let end = Instant::now() + LIMIT;
    let mut last = String::new();
    let what = loop {
        match lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                let Some(word) = line.strip_prefix("wharf-machine: ") else {
                    tell(Event::Line(&line));
                    continue;
                };
                if word == "end" {
                    return Ok(());
                }
                if let Some((status, program)) = word.strip_prefix("exit ").and_then(|w| w.split_once(' ')) {
                    tell(Event::Exit(program, status.parse().unwrap_or(-1)));
                }
                last = word.to_owned();
            }
            Err(RecvTimeoutError::Timeout) => break format!("was not through after {} s", LIMIT.as_secs()),
            Err(RecvTimeoutError::Disconnected) => break "went off before its tests were through".to_owned(),
        }
    };
    let last = if last.is_empty() { "it had not begun".to_owned() } else { format!("its last word: {last}") };
    bail!("the machine {what} ({last})")
}

/// Always emulated: a virtual processor is fast where it works, but hangs or aborts on some virtual machines.
fn command(parts: &Parts, initramfs: &Path, log: &Path) -> Command {
    let mut command = parts.emulator();
    command.args(["-machine", "q35", "-accel", "tcg", "-cpu", "max", "-smp", "2", "-m", "1024"]);
    command.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
    command.arg("-kernel").arg(parts.kernel()).arg("-initrd").arg(initramfs);
    // A panic ends the machine at once. Slow memory accesses against other tenants' spying are not what is tested.
    command.args(["-append", "console=ttyS0 panic=-1 reboot=t loglevel=6 mitigations=off"]);
    let mut file = std::ffi::OsString::from("file:");
    file.push(log);
    command.arg("-serial").arg(file).args(["-serial", "stdio"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command
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
pub(super) fn tail(log: &Path) -> String {
    const LINES: usize = 40;
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    lines.iter().skip(lines.len().saturating_sub(LINES)).map(|line| format!("   | {line}\n")).collect()
}
