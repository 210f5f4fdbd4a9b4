//! The command line, read by hand: commands with a handful of options each need no parser crate.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Result, anyhow, bail};

use crate::crash::Crash;
use crate::private;

/// What `cargo xtask help` prints.
pub(crate) const HELP: &str = "\
cargo xtask COMMAND

  setup                      check the toolchain; install what is missing (Debian packages, targets of Rust)
  build [--debug]            set-up, then target/release/wharf and wharfctl, target/guests/*.wasm and target/policies/*.wasm
  test [FILTER]              set-up, format, lints, build, every test, licences; with FILTER only the tests that match
  qemu [FILTER]              set-up, build, then tests on the kernel of Debian 12 in an emulated machine (part of `test`)
  arm64 [FILTER]             set-up, build for arm64 as well, then tests on the kernel of Debian 12 for it in an emulated machine
  parity [FILTER]            set-up, build, then the reference plugins compared with themselves, and then with Wharf (part
                             of `test`); with FILTER only the files of `tests/parity/cases` that begin so, as `portmap_nat`
  runtimes                   fetch the container runtimes that the tests start into target/runtimes (`test` does it too)
  docs                       set-up, build, then the pages of docs/reference from the WIT packages and from wharfctl itself
  languages                  build the guests in Python, JavaScript and C into target/languages (`test` does it too)
  demo                       set-up, build, then two containers on one bridge, shown step by step
  bench [--quick] [--out DIR]  set-up, build, then Wharf beside the reference plugins; figures in DIR (target/bench)
  bench --containerd [--quick] [--out DIR]
                             the same with pods through containerd: RunPodSandbox, StopPodSandbox, and the network's share
  crash [--runs N] [--backend nftables|iptables] [--reference] [--seed S]
                             set-up, build, then N (1000) calls killed at random instants, and what is left after a DEL;
                             with --reference the same with the reference plugins
  crash --sweep [--backend nftables|iptables]
                             each change of an ADD and a DEL fails with each errno, or is the last one before a kill

WHARF_BIN=FILE WHARFCTL_BIN=FILE WHARF_GUESTS=DIR
                 `docs`, `qemu`, `arm64` (of it the guests) and `parity` take these and build none
WHARF_DEBS=DIR   take the packages of the wasm32-wasip2 fallback from DIR instead of downloading them
";

/// One parsed command line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Print [`HELP`].
    Help,
    /// Check and install what the other commands need.
    Setup,
    /// Build the binaries and the guests.
    Build { debug: bool },
    /// Run every check.
    Test { filter: Option<String> },
    /// Build the guests in other languages.
    Languages,
    /// Run tests on another kernel.
    Qemu { filter: Option<String> },
    /// Run tests on another processor.
    Arm64 { filter: Option<String> },
    /// Compare with the reference plugins.
    Parity { filter: Option<String> },
    /// Write the generated pages of the documentation.
    Docs,
    /// Show the installed plugin at work.
    Demo,
    /// Measure against the reference plugins.
    Bench { quick: bool, containerd: bool, out: Option<PathBuf> },
    /// End calls in their middle.
    Crash(Crash),
    /// Fetch the container runtimes that the tests start.
    Runtimes,
    /// Internal: run a command with namespaces of its own.
    Private { command: Vec<OsString> },
}

/// Reads the arguments after the program's name.
pub(crate) fn parse(args: impl Iterator<Item = OsString>) -> Result<Task> {
    let mut args = args.peekable();
    let Some(name) = args.next() else { return Ok(Task::Help) };
    if name == private::COMMAND {
        return Ok(Task::Private { command: args.collect() });
    }
    let mut rest = Vec::new();
    for arg in args {
        rest.push(arg.into_string().map_err(|arg| anyhow!("argument {} is not UTF-8", arg.display()))?);
    }
    let mut rest = rest.into_iter();
    let task = match name.to_str() {
        Some("help" | "-h" | "--help") => Task::Help,
        Some("setup") => Task::Setup,
        Some("build") => match rest.next().as_deref() {
            None => Task::Build { debug: false },
            Some("--debug") => Task::Build { debug: true },
            Some(other) => bail!("build knows only --debug, not `{other}`"),
        },
        Some("test") => Task::Test { filter: filter("test", &mut rest)? },
        Some("qemu") => Task::Qemu { filter: filter("qemu", &mut rest)? },
        Some("arm64") => Task::Arm64 { filter: filter("arm64", &mut rest)? },
        Some("parity") => Task::Parity { filter: filter("parity", &mut rest)? },
        Some("demo") => Task::Demo,
        Some("docs") => Task::Docs,
        Some("languages") => Task::Languages,
        Some("runtimes") => Task::Runtimes,
        Some("bench") => bench(&mut rest)?,
        Some("crash") => crash(&mut rest)?,
        _ => bail!("unknown command `{}`; `cargo xtask help` lists them", name.display()),
    };
    match rest.next() {
        Some(extra) => bail!("`{extra}` is one argument too many; see `cargo xtask help`"),
        None => Ok(task),
    }
}

fn filter(command: &str, rest: &mut impl Iterator<Item = String>) -> Result<Option<String>> {
    match rest.next() {
        Some(option) if option.starts_with('-') => {
            bail!("{command} takes a filter, not the option `{option}`")
        }
        filter => Ok(filter),
    }
}

fn bench(rest: &mut impl Iterator<Item = String>) -> Result<Task> {
    let (mut quick, mut containerd, mut out) = (false, false, None);
    while let Some(option) = rest.next() {
        match option.as_str() {
            "--quick" => quick = true,
            "--containerd" => containerd = true,
            "--out" => {
                out = Some(rest.next().map(PathBuf::from).ok_or_else(|| anyhow!("--out needs a folder"))?);
            }
            other => bail!("bench knows --quick, --containerd and --out DIR, not `{other}`"),
        }
    }
    Ok(Task::Bench { quick, containerd, out })
}

fn crash(rest: &mut impl Iterator<Item = String>) -> Result<Task> {
    let mut crash = Crash::default();
    while let Some(option) = rest.next() {
        let mut value = || rest.next().ok_or_else(|| anyhow!("{option} needs a value"));
        let number = |text: String| {
            text.parse::<u64>()
                .ok()
                .filter(|number| *number > 0)
                .ok_or_else(|| anyhow!("{option} needs a number from 1 on, not `{text}`"))
        };
        match option.as_str() {
            "--runs" => crash.runs = Some(number(value()?)?),
            "--seed" => crash.seed = Some(number(value()?)?),
            "--backend" => match value()?.as_str() {
                name @ ("nftables" | "iptables") => crash.backend = Some(name.to_owned()),
                other => bail!("--backend is nftables or iptables, not `{other}`"),
            },
            "--reference" => crash.reference = true,
            "--sweep" => crash.sweep = true,
            other => bail!(
                "crash knows --runs N, --seed S, --backend NAME, --reference and --sweep, not `{other}`"
            ),
        }
    }
    if crash.sweep && (crash.reference || crash.runs.is_some() || crash.seed.is_some()) {
        bail!("--sweep takes no option but --backend: it leaves nothing to chance");
    }
    Ok(Task::Crash(crash))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn of(line: &str) -> Result<Task> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn every_command_is_understood() {
        assert_eq!(of("").unwrap(), Task::Help);
        assert_eq!(of("setup").unwrap(), Task::Setup);
        assert_eq!(of("build --debug").unwrap(), Task::Build { debug: true });
        assert_eq!(of("test journal").unwrap(), Task::Test { filter: Some("journal".into()) });
        assert_eq!(of("qemu vlan").unwrap(), Task::Qemu { filter: Some("vlan".into()) });
        assert_eq!(of("arm64").unwrap(), Task::Arm64 { filter: None });
        assert_eq!(of("parity bridge").unwrap(), Task::Parity { filter: Some("bridge".into()) });
        assert_eq!(of("demo").unwrap(), Task::Demo);
        assert_eq!(of("docs").unwrap(), Task::Docs);
        assert_eq!(of("languages").unwrap(), Task::Languages);
        assert_eq!(of("runtimes").unwrap(), Task::Runtimes);
        let (quick, out) = (true, Some("x".into()));
        assert_eq!(of("bench --quick --out x").unwrap(), Task::Bench { quick, containerd: false, out });
        let (quick, containerd) = (false, true);
        assert_eq!(of("bench --containerd").unwrap(), Task::Bench { quick, containerd, out: None });
        let crash = |line| match of(line).unwrap() {
            Task::Crash(crash) => crash,
            other => panic!("{line}: {other:?}"),
        };
        assert_eq!(crash("crash"), Crash::default());
        let killed = crash("crash --runs 10 --seed 3 --backend iptables --reference");
        assert_eq!(
            (killed.runs, killed.seed, killed.backend.as_deref()),
            (Some(10), Some(3), Some("iptables"))
        );
        assert!(killed.reference && crash("crash --sweep").sweep);
    }

    #[test]
    fn a_private_command_keeps_its_arguments_untouched() {
        let task = of("internal-private-namespace cargo test --quick").unwrap();
        assert_eq!(task, Task::Private { command: ["cargo", "test", "--quick"].map(OsString::from).into() });
    }

    #[test]
    fn wrong_lines_are_refused_by_name() {
        for (line, word) in [
            ("biuld", "biuld"),
            ("build --release", "--release"),
            ("test --nocapture", "--nocapture"),
            ("qemu --fast", "--fast"),
            ("parity --reference", "--reference"),
            ("demo now", "now"),
            ("bench --out", "--out"),
            ("bench fast", "fast"),
            ("crash --runs", "--runs"),
            ("crash --runs 0", "0"),
            ("crash --backend ebtables", "ebtables"),
            ("crash --sweep --runs 5", "--backend"),
            ("crash now", "now"),
        ] {
            let error = of(line).unwrap_err().to_string();
            assert!(error.contains(word), "{line}: {error}");
        }
    }

    /// The Markdown files of a folder, and of those below it if it says so.
    fn pages(folder: &Path, below: bool) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && below {
                found.extend(pages(&path, below));
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
        found
    }

    #[test]
    fn what_the_documentation_shows_is_understood() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut shown = 0;
        let all = [pages(&root, false), pages(&root.join("docs"), true)].concat();
        let languages =
            ["c", "javascript", "python"].map(|name| root.join("sdk").join(name).join("README.md"));
        for page in all.into_iter().chain(languages) {
            let text = fs::read_to_string(&page).unwrap();
            for rest in text.split("cargo xtask ").skip(1) {
                let line = rest.split(['`', '#', '\n']).next().unwrap();
                of(line).unwrap_or_else(|error| panic!("{}: cargo xtask {line}: {error}", page.display()));
                shown += 1;
            }
        }
        assert!(shown > 20, "{shown}");
    }
}
