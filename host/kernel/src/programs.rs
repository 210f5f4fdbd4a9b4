//! Starting programs that others wrote. Hence `unsafe` here: what runs between fork and exec is not checked.
#![allow(unsafe_code)]

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command};

use nix::sys::signal::SigSet;

/// Starts a program with no signal blocked, whatever is blocked here: else nobody could end it but by SIGKILL.
pub fn spawn(command: &mut Command) -> io::Result<Child> {
    // SAFETY: the closure makes one system call, sigprocmask(2), and allocates nothing.
    unsafe { command.pre_exec(|| SigSet::empty().thread_set_mask().map_err(io::Error::from)) };
    command.spawn()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_can_be_ended_though_its_starter_cannot() {
        let status = std::thread::spawn(|| {
            SigSet::all().thread_block().unwrap();
            let command = &mut Command::new("grep");
            let child =
                spawn(command.args(["SigBlk", "/proc/self/status"]).stdout(std::process::Stdio::piped()));
            String::from_utf8(child.unwrap().wait_with_output().unwrap().stdout).unwrap()
        });
        assert_eq!(status.join().unwrap().trim(), "SigBlk:\t0000000000000000");
    }
}
