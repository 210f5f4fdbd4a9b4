//! Native plugins, executed by the CNI exec protocol.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::memfd::{MFdFlags, memfd_create};
use wharf_cni::CniError;
use wharf_cni::error::code;
use wharf_ops::Attachment;
use wharf_ops::delegate::Verb;

use crate::failure::{self, Fault};
use crate::guests;
use crate::secrets::redact;
use crate::signals::Signals;

/// How long a native plugin may take, and how much it may say.
const DEADLINE: Duration = Duration::from_mins(1);
const MAX_OUTPUT: usize = 8 << 20;
/// A plugin that is just being replaced cannot be executed for a moment.
const BUSY_TRIES: u32 = 6;

/// Starts a program.
pub type Start<'a> = &'a dyn Fn(&mut Command) -> io::Result<Child>;

/// One execution.
pub struct Execution<'a> {
    /// The plugin's type.
    pub plugin: &'a str,
    /// What it is to do.
    pub verb: Verb,
    /// For which attachment.
    pub attachment: &'a Attachment,
    /// CNI_NETNS.
    pub netns: Option<&'a str>,
    /// CNI_ARGS, as it came.
    pub args: &'a str,
    /// CNI_PATH.
    pub path: &'a [String],
    /// Its configuration.
    pub stdin: &'a [u8],
    /// When it must be over; a minute at most.
    pub deadline: Option<Instant>,
    /// The span that it is part of, for TRACEPARENT.
    pub traceparent: Option<String>,
    /// What ends it before its time; nothing while something is being undone.
    pub signals: &'a Signals,
}

impl Execution<'_> {
    /// Executes the plugin, found on CNI_PATH, and answers what it printed.
    pub fn run(&self, start: Start<'_>) -> Result<Vec<u8>, CniError> {
        self.run_file(&find(self.path, self.plugin)?, start)
    }

    /// The same for the program at `path`, whatever it is called. Its input and its standard error are files in memory, so
    /// that neither side can block the other.
    pub(crate) fn run_file(&self, path: &Path, start: Start<'_>) -> Result<Vec<u8>, CniError> {
        let fault = |what: &str, error: io::Error| {
            failure::host(code::IO_FAILURE, Fault::Host, format!("{}: {what}: {error}", path.display()))
        };
        let mut input = memory_file().map_err(|error| fault("its input", error))?;
        input
            .write_all(self.stdin)
            .and_then(|()| input.rewind())
            .map_err(|error| fault("its input", error))?;
        let mut errors = memory_file().map_err(|error| fault("its standard error", error))?;
        let mut command = self.command(path, &input, &errors).map_err(|error| fault("its input", error))?;
        let mut child = start(&mut command).map_err(|error| fault("cannot execute it", error))?;
        let mut stdout = Vec::new();
        let latest = Instant::now() + DEADLINE;
        let deadline = self.deadline.map_or(latest, |outer| outer.min(latest));
        let read = read_until(&mut child, &mut stdout, deadline, self.signals)
            .and_then(|()| ended_by(&mut child, deadline, self.signals));
        if read.is_err() {
            let _ = child.kill();
        }
        let status = child.wait().map_err(|error| fault("cannot wait for it", error))?;
        read.map_err(|error| match (error.kind(), self.signals.caught()) {
            (io::ErrorKind::TimedOut, _) => failure::host(
                code::DEADLINE,
                Fault::Guest,
                format!("{}: not finished in time", path.display()),
            ),
            (_, Some(signal)) => failure::interrupted(signal),
            _ => fault("cannot read its result", error),
        })?;
        let mut stderr = Vec::new();
        errors
            .rewind()
            .and_then(|()| errors.take(MAX_OUTPUT as u64).read_to_end(&mut stderr))
            .map_err(|error| fault("its standard error", error))?;
        if status.success() {
            // As the reference does: what a delegate logs belongs to our log.
            let text = String::from_utf8_lossy(&stderr);
            let _ = io::stderr().write_all(redact(&text).as_bytes());
            return Ok(stdout);
        }
        Err(CniError::from_delegate(&stdout, &stderr, &status.to_string()))
    }

    fn command(&self, path: &Path, input: &File, errors: &File) -> io::Result<Command> {
        let mut command = Command::new(path);
        command
            .env("CNI_COMMAND", command_word(self.verb))
            .env("CNI_CONTAINERID", &self.attachment.container)
            .env("CNI_IFNAME", &self.attachment.ifname)
            .env("CNI_NETNS", self.netns.unwrap_or_default())
            .env("CNI_ARGS", self.args)
            .env("CNI_PATH", self.path.join(":"))
            .stdin(input.try_clone()?)
            .stderr(errors.try_clone()?)
            .stdout(Stdio::piped());
        if let Some(traceparent) = &self.traceparent {
            command.env("TRACEPARENT", traceparent);
        }
        Ok(command)
    }
}

/// The first regular file of that name on CNI_PATH.
pub(crate) fn find(path: &[String], plugin: &str) -> Result<PathBuf, CniError> {
    let wrong = |message: String| failure::host(code::INVALID_CONFIG, Fault::Runtime, message);
    guests::check_name(plugin).map_err(|_| wrong(format!("invalid plugin name: {plugin:?}")))?;
    if path.is_empty() {
        let message = format!(
            "no guest {plugin:?} is installed, and CNI_PATH is empty: there is nowhere to look for a native plugin"
        );
        return Err(failure::host(code::PLUGIN_NOT_AVAILABLE, Fault::Runtime, message));
    }
    if let Some(file) = files(path, plugin).find(|file| !is_wharf(file)) {
        return Ok(file);
    }
    let message = match files(path, plugin).next() {
        Some(own) => format!(
            "no guest {plugin:?} is installed, and {} is Wharf itself: see `wharfctl guests` and `wharfctl install`",
            own.display()
        ),
        None => {
            format!(
                "failed to find plugin {plugin:?} in path {path:?}, and no guest of that name is installed"
            )
        }
    };
    Err(failure::host(code::PLUGIN_NOT_AVAILABLE, Fault::Host, message))
}

/// Whether what CNI_PATH has of that name is Wharf, and nothing else: a drop-in's link without its guest.
pub(crate) fn is_only_wharf(path: &[String], plugin: &str) -> bool {
    let mut files = files(path, plugin).peekable();
    guests::check_name(plugin).is_ok() && files.peek().is_some() && files.all(|file| is_wharf(&file))
}

/// What CNI_PATH has of that name, the first one first.
pub(crate) fn files(path: &[String], plugin: &str) -> impl Iterator<Item = PathBuf> {
    path.iter().map(move |directory| PathBuf::from(directory).join(plugin)).filter(|file| file.is_file())
}

/// Executed as a delegate it would wait for the journal that this process holds.
fn is_wharf(file: &Path) -> bool {
    let named = |file: PathBuf| file.file_name().is_some_and(|name| name == "wharf");
    let identity = |path: &Path| path.metadata().map(|data| (data.dev(), data.ino())).ok();
    let running = identity(Path::new("/proc/self/exe"));
    file.canonicalize().is_ok_and(named) || (running.is_some() && identity(file) == running)
}

/// Starts a program, and waits a little for one that is just being replaced.
pub(crate) fn spawn(command: &mut Command) -> io::Result<Child> {
    let mut tries = 1;
    loop {
        match wharf_kernel::programs::spawn(command) {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy && tries < BUSY_TRIES => {
                tries += 1;
                std::thread::sleep(Duration::from_secs(1));
            }
            other => return other,
        }
    }
}

/// A plugin that closed its standard output is about to end. One that goes on all the same is waited for, but not for ever.
fn ended_by(child: &mut Child, deadline: Instant, signals: &Signals) -> io::Result<()> {
    while child.try_wait()?.is_none() {
        if Instant::now() >= deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
        if let Some(signal) = signals.caught() {
            return Err(io::Error::other(signal));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

fn read_until(child: &mut Child, into: &mut Vec<u8>, deadline: Instant, signals: &Signals) -> io::Result<()> {
    let Some(stdout) = child.stdout.as_mut() else { return Ok(()) };
    let mut chunk = [0; 8192];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let mut descriptors = vec![PollFd::new(stdout.as_fd(), PollFlags::POLLIN)];
        descriptors.extend(signals.as_fd().map(|signals| PollFd::new(signals, PollFlags::POLLIN)));
        if poll(&mut descriptors, timeout)? == 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        if let Some(signal) = signals.caught() {
            return Err(io::Error::other(signal));
        }
        let read = stdout.read(&mut chunk)?;
        match chunk.get(..read) {
            None | Some([]) => return Ok(()),
            Some(bytes) => into.extend_from_slice(bytes),
        }
        if into.len() > MAX_OUTPUT {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "more than 8 MiB"));
        }
    }
}

fn memory_file() -> io::Result<File> {
    Ok(File::from(memfd_create(c"wharf", MFdFlags::MFD_CLOEXEC)?))
}

fn command_word(verb: Verb) -> &'static str {
    match verb {
        Verb::Add => "ADD",
        Verb::Check => "CHECK",
        Verb::Del => "DEL",
        Verb::Status => "STATUS",
        Verb::Gc => "GC",
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_plugin_is_found_by_its_plain_name_only() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("ipam"), "").unwrap();
        fs::create_dir(directory.path().join("folder")).unwrap();
        let path = vec!["/nonexistent".to_string(), directory.path().display().to_string()];
        assert_eq!(find(&path, "ipam").unwrap(), directory.path().join("ipam"));
        for name in ["../ipam", "/bin/sh", "", "a/b"] {
            assert_eq!(find(&path, name).unwrap_err().code, 7, "{name:?}");
        }
        assert_eq!(find(&path, "folder").unwrap_err().code, 50);
        assert_eq!(find(&[], "ipam").unwrap_err().code, 50);
    }

    #[test]
    fn a_plugin_that_does_not_end_is_given_up() {
        let mut child = Command::new("sleep").arg("60").stdout(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let error =
            ended_by(&mut child, Instant::now() + Duration::from_millis(20), &Signals::none()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_busy_plugin_is_tried_again() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("program");
        fs::copy("/bin/true", &program).unwrap();
        // Open for writing: executing it is ETXTBSY until that ends.
        let writer = File::options().append(true).open(&program).unwrap();
        let mut command = Command::new(&program);
        let status = std::thread::scope(|scope| {
            let starting = scope.spawn(|| spawn(&mut command).and_then(|mut child| child.wait()));
            std::thread::sleep(Duration::from_millis(100));
            drop(writer);
            starting.join().unwrap().unwrap()
        });
        assert!(status.success());
    }
}
