//! `wharfctl export`: brings what calls have left to those who look at it, metrics to a file and spans to a collector.
//!
//! Calls only append to a spool: that a collector is slow, or gone, is seen by nobody but this.

mod otlp;

use std::collections::BTreeMap;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use wharf_broker::Paths;
use wharf_broker::guests::write_atomically;
use wharf_broker::settings::Settings;
use wharf_broker::signals::Signals;
use wharf_broker::telemetry::{Event, Reader, SPANS};

use crate::http::{Tls, agent};
use crate::lists::CONF_DIR;
use crate::metrics;
use crate::say::{complain, reasons};
use crate::told::whole;

/// How many calls' spans are sent at once.
const BATCH: usize = 200;
/// A collector that takes longer is tried again.
const PATIENCE: Duration = Duration::from_secs(10);
const PLACE: &str = "spans.json";

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Stay, and do it again and again. SIGTERM ends it.
    #[arg(long)]
    watch: bool,
    /// With --watch: how many seconds lie between.
    #[arg(long, value_name = "SECONDS", default_value_t = 15, value_parser = clap::value_parser!(u16).range(1..))]
    interval: u16,
    /// Write metrics to this file, by a rename, for node_exporter's textfile collector; a whole path, below WHARF_ROOT.
    #[arg(long, value_name = "FILE", value_parser = whole::<PathBuf>)]
    textfile: Option<PathBuf>,
    /// The runtime's folder of network configuration lists; a whole path, below WHARF_ROOT.
    #[arg(long, default_value = CONF_DIR, value_parser = whole::<PathBuf>)]
    conf_dir: PathBuf,
}

pub(crate) fn run(paths: &Paths, options: &Options) -> Result<()> {
    let get = |key: &str| std::env::var(key).ok().filter(|value| !value.is_empty());
    let (settings, fault) = Settings::read(paths, get);
    if let Some(fault) = fault {
        bail!("{fault}");
    }
    let collector = settings.endpoint.map(|endpoint| Collector::new(endpoint.url(), get)).transpose()?;
    if options.textfile.is_none() && collector.is_none() {
        bail!(
            "there is nothing to export: give --textfile FILE, or name a collector in {} ([traces] endpoint) or in \
             OTEL_EXPORTER_OTLP_ENDPOINT",
            paths.settings().display()
        );
    }
    // From here on a signal ends it between two rounds.
    let signals = Signals::block().context("cannot block signals")?;
    loop {
        let done = round(paths, options, collector.as_ref());
        if !options.watch {
            return done;
        }
        if let Err(error) = done {
            complain!("wharfctl: {}", reasons(&error));
        }
        if ended(&signals, Duration::from_secs(options.interval.into()))? {
            return Ok(());
        }
    }
}

/// Waits; whether a signal came instead.
fn ended(signals: &Signals, patience: Duration) -> Result<bool> {
    let Some(fd) = signals.as_fd() else { bail!("signals are not blocked") };
    let timeout = PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX);
    match poll(&mut [PollFd::new(fd.as_fd(), PollFlags::POLLIN)], timeout) {
        Ok(_) | Err(Errno::EINTR) => Ok(signals.caught().is_some()),
        Err(errno) => Err(errno.into()),
    }
}

/// Both, though one of them fails.
fn round(paths: &Paths, options: &Options, collector: Option<&Collector>) -> Result<()> {
    let conf_dir = paths.inside(&options.conf_dir.to_string_lossy());
    let written = options.textfile.as_ref().map_or(Ok(()), |file| {
        metrics::write(paths, &conf_dir, &paths.inside(&file.to_string_lossy())).context("metrics")
    });
    let sent = collector.map_or(Ok(()), |collector| collector.send_all(paths).context("spans"));
    match (written, sent) {
        (Err(one), Err(other)) => bail!("{}; {}", reasons(&one), reasons(&other)),
        (written, sent) => written.and(sent),
    }
}

/// Where spans go.
struct Collector {
    url: String,
    headers: BTreeMap<String, String>,
    tls: Tls,
    host: String,
}

impl Collector {
    fn new(url: String, get: impl Fn(&str) -> Option<String>) -> Result<Self> {
        if !url.starts_with("http://") && !url.starts_with("https://") {
            bail!(
                "{url}: an OTLP endpoint over HTTP begins with http:// or https:// (4318 is its usual port)"
            );
        }
        let authorities = get("OTEL_EXPORTER_OTLP_CERTIFICATE")
            .map(|file| {
                std::fs::read(&file).with_context(|| format!("OTEL_EXPORTER_OTLP_CERTIFICATE={file}"))
            })
            .transpose()?;
        let headers = get("OTEL_EXPORTER_OTLP_HEADERS").unwrap_or_default();
        let host = nix::unistd::gethostname().context("this host's name")?.to_string_lossy().into_owned();
        Ok(Self { url, headers: pairs(&headers), tls: Tls { authorities, ..Tls::default() }, host })
    }

    /// Everything that is there. What a collector does not take now stays for the next time, as long as there is room.
    fn send_all(&self, paths: &Paths) -> Result<()> {
        let directory = paths.spool();
        if !directory.exists() {
            return Ok(());
        }
        let _lock = metrics::lock(&directory.join("spans.lock"))?;
        let place = directory.join(PLACE);
        let mut reader = place_of(&place);
        loop {
            let (events, next) = reader.read(paths, SPANS, BATCH).context("cannot read the spool")?;
            if events.is_empty() {
                return Ok(());
            }
            self.send(&events)?;
            write_atomically(&directory, PLACE, &serde_json::to_vec(&next)?)?;
            reader = next;
        }
    }

    fn send(&self, events: &[Event]) -> Result<()> {
        let body = otlp::request(events, &self.host).to_string();
        let mut request =
            agent(&self.url, &self.tls, PATIENCE)?.post(&self.url).content_type("application/json");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let mut answer = request.send(body.as_bytes()).with_context(|| format!("POST {}", self.url))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let said: String = answer.body_mut().read_to_string().unwrap_or_default().chars().take(300).collect();
        let message = format!("POST {}: {status}: {}", self.url, said.trim());
        // What is refused now would be refused for ever, and keep everything behind it from being sent.
        if status.is_client_error() && ![408, 429, 404].contains(&status.as_u16()) {
            complain!("wharfctl: {message}; {} calls are dropped", events.len());
            return Ok(());
        }
        bail!("{message}; tried again later")
    }
}

fn place_of(file: &Path) -> Reader {
    std::fs::read(file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

/// `name=value,name=value`, values percent-encoded.
fn pairs(text: &str) -> BTreeMap<String, String> {
    let pair = |part: &str| {
        let (name, value) = part.split_once('=')?;
        Some((name.trim().to_owned(), decoded(value.trim())))
    };
    text.split(',').filter_map(pair).filter(|(name, _)| !name.is_empty()).collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let byte = hex.filter(|_| *first == b'%').and_then(|two| u8::from_str_radix(two, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { tail.get(2..).unwrap_or_default() } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_pairs() {
        let headers = pairs("authorization=Basic%20YTpi, x-tenant=a=b,,=c,odd=100%");
        let expected = [("authorization", "Basic YTpi"), ("odd", "100%"), ("x-tenant", "a=b")];
        assert_eq!(headers, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    }

    #[test]
    fn a_collector_speaks_http() {
        let error = Collector::new("collector:4317".into(), |_| None).err().unwrap().to_string();
        assert!(error.contains("http://") && error.contains("4318"), "{error}");
    }
}
