//! A command in mount and network namespaces of its own: what the tests do to the network, to `/run` and to the CNI
//! folders is gone with them.

use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use crate::sh;

/// The internal command of this program that [`wrap`] starts.
pub(crate) const COMMAND: &str = "internal-private-namespace";

/// Where CNI plugins keep their state; each is an empty tmpfs for the command.
const STATE: [&str; 3] = ["/run", "/var/lib/cni", "/etc/cni"];

/// Rewrites a command so that it runs in namespaces of its own; needs root.
pub(crate) fn wrap(command: &Command) -> Result<Command> {
    let this = std::env::current_exe().context("cannot find this program's own file")?;
    let mut wrapped = Command::new(this);
    wrapped.arg(COMMAND).arg(command.get_program()).args(command.get_args());
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(key, value),
            None => wrapped.env_remove(key),
        };
    }
    if let Some(dir) = command.get_current_dir() {
        wrapped.current_dir(dir);
    }
    Ok(wrapped)
}

/// Replaces this process by the command, in new namespaces. Returns only if that fails.
pub(crate) fn exec(command: &[OsString]) -> Result<()> {
    let Some((program, args)) = command.split_first() else { bail!("{COMMAND} needs a command") };
    enter()?;
    for dir in STATE.map(Path::new).into_iter().filter(|dir| dir.is_dir()) {
        tmpfs(dir)?;
    }
    let mut command = Command::new(program);
    let error = command.args(args).exec();
    Err(error).with_context(|| format!("cannot start `{}`", sh::display(&command)))
}

/// Moves this process, which must have one thread, into new mount and network namespaces with the loopback up.
pub(crate) fn enter() -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET)
        .context("cannot make namespaces (root with CAP_SYS_ADMIN is needed)")?;
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .context("cannot make the mounts private")?;
    sh::output(Command::new("ip").args(["link", "set", "lo", "up"])).map(|_| ())
}

/// One clear line instead of the errors of the system calls.
pub(crate) fn require_root(what: &str) -> Result<()> {
    if !sh::is_root() {
        bail!("{what} makes network namespaces and needs root");
    }
    Ok(())
}

/// An empty file system over `dir`, seen by this mount namespace alone.
pub(crate) fn tmpfs(dir: &Path) -> Result<()> {
    mount(Some("tmpfs"), dir, Some("tmpfs"), MsFlags::empty(), Some("mode=755"))
        .with_context(|| format!("cannot mount a tmpfs on {}", dir.display()))
}

/// The state folders that did not exist and were made as mount points; removed again when the tests are over.
pub(crate) struct MountPoints(Vec<&'static Path>);

impl MountPoints {
    /// Makes the state folders that are missing.
    pub(crate) fn create() -> Result<Self> {
        let mut made = Self(Vec::new());
        for dir in STATE.map(Path::new).into_iter().filter(|dir| !dir.exists()) {
            fs::create_dir(dir).with_context(|| format!("cannot create {}", dir.display()))?;
            made.0.push(dir);
        }
        Ok(made)
    }
}

impl Drop for MountPoints {
    fn drop(&mut self) {
        for dir in &self.0 {
            // Somebody else may use the folder by now: only an empty one is removed.
            let _ = fs::remove_dir(dir);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrapped_command_keeps_its_words_its_folder_and_its_environment() {
        let mut command = Command::new("cargo");
        command.args(["test", "--offline"]).env("WHARF_BIN", "/x").env_remove("RUSTFLAGS").current_dir("/");
        let wrapped = wrap(&command).unwrap();
        let args: Vec<_> = wrapped.get_args().collect();
        assert_eq!(args, [COMMAND, "cargo", "test", "--offline"]);
        assert_eq!(wrapped.get_current_dir(), Some(Path::new("/")));
        let envs: Vec<_> =
            wrapped.get_envs().map(|(key, value)| (key.to_str().unwrap(), value.is_some())).collect();
        assert_eq!(envs, [("RUSTFLAGS", false), ("WHARF_BIN", true)]);
    }
}
