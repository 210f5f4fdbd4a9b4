//! Starting programs that others wrote. Hence `unsafe` here: what runs between fork and exec is not checked.
#![allow(unsafe_code)]

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command};

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::getppid;

/// Starts a program with no signal blocked, whatever is blocked here: else nobody could end it but by SIGKILL. It is killed
/// when the calling thread ends, by whatever: what it did later would be in nobody's record.
pub fn spawn(command: &mut Command) -> io::Result<Child> {
    let starter = nix::unistd::getpid();
    let prepare = move || {
        SigSet::empty().thread_set_mask()?;
        set_pdeathsig(Signal::SIGKILL)?;
        // It may have ended before it was asked for.
        if getppid() == starter { Ok(()) } else { Err(io::Error::from(io::ErrorKind::Interrupted)) }
    };
    // SAFETY: the closure makes three system calls, sigprocmask(2), prctl(2) and getppid(2), and allocates nothing.
    unsafe { command.pre_exec(prepare) };
    command.spawn()
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

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

    #[test]
    fn a_program_ends_with_its_starter() {
        let child = std::thread::spawn(|| spawn(Command::new("sleep").arg("1000")).unwrap());
        assert_eq!(child.join().unwrap().wait().unwrap().signal(), Some(libc::SIGKILL));
    }
}
