//! `wharfctl record`: a real ADD, and everything that passed between its guests and the host, in one file.

mod file;
mod list;
mod runtime;
mod scrub;
mod texts;
mod witness;

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use nix::sys::utsname::uname;
use wharf_broker::{Paths, secrets, time};
use wharf_ops::Attachment;

pub(crate) use file::{Call, Exchange, Outcome, Recording};
use file::{Pending, VERSION};
use runtime::{Refused, Runtime};
pub(crate) use texts::embedded;
use witness::Recorder;

use crate::say;
use crate::told::Told;
use crate::told::whole;

#[cfg(test)]
pub(crate) use file::tests;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The list (*.conflist) or single configuration (*.conf, *.json), or the name of a network that the runtime's folder
    /// has a list of.
    #[arg(value_name = "FILE|NETWORK")]
    network: PathBuf,
    /// The container's namespace.
    #[arg(long, value_name = "PATH")]
    netns: PathBuf,
    /// CNI_CONTAINERID.
    #[arg(long, default_value = "recorded")]
    container: String,
    /// CNI_IFNAME.
    #[arg(long, default_value = "eth0")]
    ifname: String,
    #[command(flatten)]
    told: Told,
    /// Where the recording is written to, for nobody but you to read.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// Put other addresses in the place of those in the recording: IPv4, IPv6 and hardware addresses. Names stay.
    #[arg(long)]
    scrub: bool,
    /// Delete the attachment afterwards. That is recorded, too.
    #[arg(long)]
    del: bool,
    /// Record the DEL of an attachment that is there, and no ADD.
    #[arg(long, conflicts_with = "del")]
    only_del: bool,
    /// The runtime's folder of network configuration lists; a whole path, below WHARF_ROOT.
    #[arg(long, default_value = crate::lists::CONF_DIR, value_parser = whole::<PathBuf>)]
    conf_dir: PathBuf,
}

pub(crate) fn run(paths: &Paths, options: &Options) -> Result<()> {
    let list = list::find(paths, options)?;
    let capabilities = options.told.capabilities()?;
    for plugin in &list.plugins {
        secrets::learn(&plugin.raw);
    }
    secrets::learn(&capabilities);
    // What cannot be written need not be done.
    let pending = Pending::create(&options.output)?;
    let recorder = Rc::new(Recorder::default());
    let attachment = Attachment {
        network: list.network.name.clone(),
        container: options.container.clone(),
        ifname: options.ifname.clone(),
    };
    let netns = std::path::absolute(&options.netns).context("--netns")?;
    let mut runtime = Runtime::new(paths, &list.network, attachment, Rc::clone(&recorder));
    runtime.netns = netns.to_string_lossy().into_owned();
    runtime.args.clone_from(&options.told.args);
    runtime.capabilities = capabilities;
    let mut failures = Vec::new();
    let mut result = None;
    if !options.only_del {
        match runtime.add(&mut random)? {
            Ok(end) => result = Some(end),
            Err(refused) => failures.push(refused),
        }
    }
    if options.del || options.only_del {
        failures.extend(runtime.del(result.as_ref(), &mut random)?);
    }
    let mut recording = Recording {
        version: VERSION,
        wharf: env!("CARGO_PKG_VERSION").to_owned(),
        time: time::utc(
            SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        ),
        kernel: uname().map_or_else(|_| String::new(), |name| name.release().to_string_lossy().into_owned()),
        scrubbed: false,
        log_level: runtime.log_level(),
        requests: runtime.requests,
        calls: recorder.take(),
    };
    texts::redact(&mut recording)?;
    let replaced = if options.scrub { Some(scrub::scrub(&mut recording, &mut random)?) } else { None };
    pending.write(&recording)?;
    let text = said(options, &list.network.name, &recording, replaced.as_deref());
    say::text(&text)?;
    fail(&failures)
}

fn said(options: &Options, network: &str, recording: &Recording, replaced: Option<&str>) -> String {
    let mut text = String::new();
    for call in &recording.calls {
        // Writing to a String does not fail, here and below.
        let _ = writeln!(
            text,
            "{:<12} {:<6} {:>4} operations, {}",
            call.guest,
            call.command(),
            call.operations.len(),
            call.outcome
        );
    }
    let what = match (options.only_del, options.del) {
        (true, _) => "the DEL",
        (false, true) => "the ADD and the DEL",
        (false, false) => "the ADD",
    };
    let Options { container, ifname, output, .. } = options;
    let _ = writeln!(text, "{what} of {container}/{ifname} on {network} is recorded in {}", output.display());
    if let Some(replaced) = replaced {
        let _ = writeln!(text, "scrubbed: {replaced}");
    }
    let added = recording.requests.iter().any(|request| request.command == "ADD" && request.succeeded);
    if added && !options.del {
        let _ = writeln!(text, "the attachment stays; this deletes it:\n    {}", deletion(options));
    }
    text
}

/// The command line that deletes what was added.
fn deletion(options: &Options) -> String {
    let paths = [("", &options.network), (" --netns ", &options.netns)];
    let mut line = "wharfctl record ".to_owned();
    for (option, path) in paths {
        line.push_str(option);
        line.push_str(&quoted(&path.to_string_lossy()));
    }
    for (option, value, usual) in [
        (" --container ", options.container.as_str(), "recorded"),
        (" --ifname ", &options.ifname, "eth0"),
        (" --args ", &options.told.args, ""),
        (" --capabilities ", &options.told.capabilities, "{}"),
        (" --conf-dir ", &options.conf_dir.to_string_lossy(), crate::lists::CONF_DIR),
    ] {
        if value != usual {
            line.push_str(option);
            line.push_str(&quoted(value));
        }
    }
    let output = options.output.with_extension("del.json");
    line + " --only-del --output " + &quoted(&output.to_string_lossy())
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:=,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn fail(failures: &[Refused]) -> Result<()> {
    if failures.is_empty() {
        return Ok(());
    }
    let told: Vec<String> =
        failures.iter().map(|refused| secrets::redact(&refused.to_string()).into_owned()).collect();
    bail!("{}", told.join("; "))
}

/// A random number.
fn random() -> Result<u64> {
    let mut bytes = [0; 8];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .context("cannot read /dev/urandom")?;
    Ok(u64::from_le_bytes(bytes))
}

#[cfg(test)]
mod quoting {
    #[test]
    fn a_word_stays_one() {
        for (word, expected) in
            [("/run/netns/a", "/run/netns/a"), ("", "''"), ("A=1;B=2", "'A=1;B=2'"), ("it's", r"'it'\''s'")]
        {
            assert_eq!(super::quoted(word), expected);
        }
    }
}
