//! A command as a runtime runs it, one process after the other, which may be killed on the way.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use serde_json::Value;

use super::Scene;

/// When to kill, and whom.
#[derive(Clone, Copy, Debug)]
pub struct Kill {
    /// Since the start of the command.
    pub after: Duration,
    /// The whole process group, as when a node's service is stopped; else the plugin's process alone.
    pub group: bool,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Every process exited with 0.
    Done,
    /// One exited with another status; what it said.
    Failed(String),
    /// One was killed, or the time had come between two.
    Killed,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// How it ended.
    pub ended: Ended,
    /// The result of an ADD that was done.
    pub result: Option<Value>,
    /// How long it took.
    pub took: Duration,
}

impl Scene {
    /// Runs `command`, `ADD` or `DEL`, with more variables; `kill` ends it. It stops at the first plugin that fails.
    pub fn attempt(
        &self,
        command: &str,
        previous: Option<&Value>,
        variables: &[(&str, &str)],
        kill: Option<Kill>,
    ) -> Attempt {
        if command == "DEL" {
            self.before_delete();
        }
        let victim = Victim::default();
        let begin = Instant::now();
        let (ended, result) = thread::scope(|scope| {
            let (over, is_over) = mpsc::channel::<()>();
            if let Some(Kill { after, group }) = kill {
                let victim = &victim;
                scope.spawn(move || {
                    if is_over.recv_timeout(after) == Err(RecvTimeoutError::Timeout) {
                        victim.strike(group);
                    }
                });
            }
            let ended = self.all(command, previous, variables, &victim);
            drop(over);
            ended
        });
        let took = begin.elapsed();
        if command == "DEL" {
            self.after_delete();
        }
        Attempt { ended, result, took }
    }

    fn all(
        &self,
        command: &str,
        previous: Option<&Value>,
        variables: &[(&str, &str)],
        victim: &Victim,
    ) -> (Ended, Option<Value>) {
        let network = self.network();
        let mut order: Vec<usize> = (0..network.steps()).collect();
        if command == "DEL" {
            order.reverse();
        }
        let mut result = None;
        for index in order {
            let previous = if command == "ADD" { result.as_ref() } else { previous };
            let (ended, stdout) = self.one(index, command, previous, variables, victim);
            if ended != Ended::Done {
                return (ended, None);
            }
            result = serde_json::from_str(&stdout).ok();
        }
        (Ended::Done, result)
    }

    fn one(
        &self,
        index: usize,
        command: &str,
        previous: Option<&Value>,
        variables: &[(&str, &str)],
        victim: &Victim,
    ) -> (Ended, String) {
        let (network, target) = (self.network(), self.target());
        let (program, config) = network.step(index, &target, previous);
        let env = [&target.env(command)[..], variables].concat();
        let mut process = self.node.command(&[], &self.program(program), &env);
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        writer.write_all(config.to_string().as_bytes()).expect("a configuration fits into a pipe");
        drop(writer);
        // Files, for what a killed process started may hold a pipe open.
        let said = ["stdout", "stderr"].map(|name| self.node.folder("said").join(name));
        let [stdout, stderr] =
            said.each_ref().map(|path| File::create(path).expect("a file for what it says"));
        process.stdin(reader).stdout(stdout).stderr(stderr).process_group(0);
        let Some(mut child) = self.node.run(|| victim.start(&mut process)) else {
            return (Ended::Killed, String::new());
        };
        let status = victim.wait(&mut child);
        let [stdout, stderr] = said.map(|path| fs::read(path).unwrap_or_default());
        let [stdout, stderr] = [stdout, stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        let ended = match (status.code(), status.signal()) {
            (Some(0), _) => Ended::Done,
            (None, Some(signal)) if signal == Signal::SIGKILL as i32 => Ended::Killed,
            _ => Ended::Failed(format!(
                "{command} of {program}: {status}: {} {}",
                stdout.trim(),
                stderr.trim()
            )),
        };
        (ended, stdout)
    }
}

/// Whom the kill would hit now.
#[derive(Default)]
struct Victim(Mutex<State>);

#[derive(Default)]
struct State {
    struck: bool,
    process: Option<Pid>,
}

impl Victim {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// None if the time has come already.
    fn start(&self, command: &mut Command) -> Option<Child> {
        let mut state = self.state();
        if state.struck {
            return None;
        }
        let child = command.spawn().unwrap_or_else(|error| panic!("start {command:?}: {error}"));
        state.process = Some(pid(&child));
        Some(child)
    }

    fn strike(&self, group: bool) {
        let mut state = self.state();
        state.struck = true;
        if let Some(process) = state.process {
            // It is not reaped yet: the number is still its own.
            let whom = if group { Pid::from_raw(-process.as_raw()) } else { process };
            kill(whom, Signal::SIGKILL).expect("kill a child");
        }
    }

    fn wait(&self, child: &mut Child) -> std::process::ExitStatus {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        while waitid(Id::Pid(pid(child)), flags).is_err_and(|error| error == nix::errno::Errno::EINTR) {}
        self.state().process = None;
        child.wait().expect("wait for a child")
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).expect("a process id"))
}
