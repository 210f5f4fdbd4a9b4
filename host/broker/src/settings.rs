//! `/etc/cni/wharf.toml`: what an operator wants to see of the calls. A runtime gives its plugins an environment that
//! operators cannot set, and so there is a file; the variables win over it.
//!
//! Nothing of that can fail a call: what cannot be read is told, and counts as none. It is otherwise with the policies that
//! the file names: where the file as such cannot be read, or another user could write it, nobody knows whether there are
//! some, and no ADD is served.
//!
//! ```toml
//! policies = ["host-ports", "limited"]   # in this order, on every network of the node
//!
//! [policy.host-ports.namespaces]         # what a policy is told of itself
//! ingress = [[80, 80], [443, 443]]
//!
//! [log]
//! level = "info"
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use toml::Deserializer;

use crate::Paths;
use crate::grants::in_line;
use crate::guests::{GIVE_TO_ROOT, writable_by_others};
use crate::log::Level;
use crate::policy::NodePolicies;

/// Sets the level: off, error, warn, info, debug, trace.
const LEVEL: &str = "WHARF_LOG";
/// Sets where lines go: stderr, journald, or a file.
const TO: &str = "WHARF_LOG_TO";
/// The variables of OpenTelemetry that name a collector.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
/// Switches OpenTelemetry off.
const DISABLED: &str = "OTEL_SDK_DISABLED";

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// None writes nothing.
    pub level: Option<Level>,
    /// Where lines go.
    pub to: Destination,
    /// Whether each call is counted.
    pub events: bool,
    /// Where spans are sent to, by `wharfctl export`. Without, none are made.
    pub endpoint: Option<Endpoint>,
    /// Which policies hold.
    pub policies: NodePolicies,
}

/// Where log lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Text, which runtimes keep.
    Stderr,
    /// The system's journal, with fields.
    Journald,
    /// JSON lines.
    File(PathBuf),
}

/// An OpenTelemetry collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `/v1/traces` is appended.
    Base(String),
    /// As it is.
    Traces(String),
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    policies: Vec<String>,
    policy: BTreeMap<String, Value>,
    // A mistake in these is no reason to know nothing of the policies.
    log: Value,
    traces: Value,
    metrics: Value,
}

/// A table, or what is wrong with it. To say in which line costs another look at the text.
fn table<T: Default + DeserializeOwned>(name: &str, from: Value, text: &str, faults: &mut Vec<String>) -> T {
    if from.is_null() {
        return T::default();
    }
    serde_json::from_value(from).unwrap_or_else(|error| {
        let within =
            Deserializer::parse(text).and_then(|all| all.deserialize_map(Within::<T>(name, PhantomData)));
        let fault = within.err().map_or_else(|| error.to_string(), |error| in_line(text, &error));
        faults.push(format!("{name}: {fault}"));
        T::default()
    })
}

/// One table among others.
struct Within<'n, T>(&'n str, PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Within<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a table of tables")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut tables: A) -> Result<(), A::Error> {
        while let Some(name) = tables.next_key::<String>()? {
            if name == self.0 {
                tables.next_value::<T>()?;
            } else {
                tables.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct LogTable {
    level: Option<String>,
    to: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct TracesTable {
    endpoint: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct MetricsTable {
    events: Option<bool>,
}

/// What they say of these.
#[derive(Default)]
struct Tables {
    log: LogTable,
    traces: TracesTable,
    metrics: MetricsTable,
}

impl Tables {
    fn of(file: File, text: &str, faults: &mut Vec<String>) -> Self {
        Self {
            log: table("log", file.log, text, faults),
            traces: table("traces", file.traces, text, faults),
            metrics: table("metrics", file.metrics, text, faults),
        }
    }
}

/// What is wrong, by who says it.
#[derive(Default)]
struct Faults {
    of_file: Vec<String>,
    of_variables: Vec<String>,
}

impl Settings {
    /// Of the file and the variables; all that is wrong with them, if anything is.
    pub fn read(paths: &Paths, get: impl Fn(&str) -> Option<String>) -> (Self, Option<String>) {
        let path = paths.settings();
        let told = |fault: &str| format!("{}: {fault}", path.display());
        let mut faults = Faults::default();
        let text = match std::fs::File::open(&path) {
            Ok(file) => text(&file),
            Err(error) if crate::is_absent(&path, &error) => Ok(String::new()),
            Err(error) => Err(error.to_string()),
        };
        let read = text.and_then(|text| {
            let file = match text.as_str() {
                "" => Ok(File::default()),
                text => toml::from_str(text).map_err(|error| in_line(text, &error)),
            };
            let mut file: File = file?;
            let (names, tables) = (std::mem::take(&mut file.policies), std::mem::take(&mut file.policy));
            Ok((NodePolicies::new(names, tables)?, Tables::of(file, &text, &mut faults.of_file)))
        });
        let (policies, tables) = read.unwrap_or_else(|fault| {
            let policies = NodePolicies::unknown(told(&fault));
            faults.of_file.push(fault);
            (policies, Tables::default())
        });
        let settings = Self { policies, ..Self::of(tables, paths, &get, &mut faults) };
        let of_file = (!faults.of_file.is_empty()).then(|| told(&faults.of_file.join("; ")));
        let all: Vec<String> = of_file.into_iter().chain(faults.of_variables).collect();
        (settings, (!all.is_empty()).then(|| all.join("; ")))
    }

    fn of(tables: Tables, paths: &Paths, get: &impl Fn(&str) -> Option<String>, faults: &mut Faults) -> Self {
        let Tables { log, traces, metrics } = tables;
        let variable = |key: &str| get(key).filter(|value| !value.is_empty());
        // The variable wins.
        let mut choose =
            |key: &str, name: &str, said: Option<String>, known: &dyn Fn(&str) -> bool, all: &str| {
                let (word, place, faults) = match variable(key) {
                    Some(word) => (word, key, &mut faults.of_variables),
                    None => (said?, name, &mut faults.of_file),
                };
                if !known(&word) {
                    faults.push(format!("{place}: {word:?} is none of {all}"));
                    return None;
                }
                Some(word)
            };
        let levels = "off, error, warn, info, debug, trace";
        let word = choose(LEVEL, "log.level", log.level, &|word| level(word).is_some(), levels);
        let level = word.and_then(|word| level(&word)).unwrap_or(Some(Level::Warn));
        let places = "stderr, journald, and an absolute path";
        let is_place = |word: &str| ["stderr", "journald"].contains(&word) || word.starts_with('/');
        let to = match choose(TO, "log.to", log.to, &is_place, places).as_deref() {
            Some("journald") => Destination::Journald,
            Some(path) if path.starts_with('/') => Destination::File(paths.inside(path)),
            _ => Destination::Stderr,
        };
        let mut endpoint = traces.endpoint.map(Endpoint::Base);
        for (index, key) in ENDPOINTS.into_iter().enumerate().rev() {
            if let Some(url) = variable(key) {
                endpoint = Some(if index == 0 { Endpoint::Traces(url) } else { Endpoint::Base(url) });
            }
        }
        if variable(DISABLED).is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            endpoint = None;
        }
        let events = metrics.events.unwrap_or(true);
        Self { level, to, events, endpoint, policies: NodePolicies::default() }
    }
}

/// What the open file says, behind a link as well. What another user could write must not switch policies off.
fn text(file: &std::fs::File) -> Result<String, String> {
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    if let Some(reason) = writable_by_others(&metadata) {
        return Err(format!("{reason}, {GIVE_TO_ROOT}"));
    }
    std::io::read_to_string(file).map_err(|error| error.to_string())
}

impl Endpoint {
    /// Where spans are posted to.
    pub fn url(&self) -> String {
        match self {
            Self::Base(url) => format!("{}/v1/traces", url.trim_end_matches('/')),
            Self::Traces(url) => url.clone(),
        }
    }
}

/// The level that a word names; `off` is none.
#[expect(clippy::option_option, reason = "no such level, or the level that is none")]
pub(crate) fn level(word: &str) -> Option<Option<Level>> {
    Some(match word {
        "off" => None,
        "error" => Some(Level::Error),
        "warn" => Some(Level::Warn),
        "info" => Some(Level::Info),
        "debug" => Some(Level::Debug),
        "trace" => Some(Level::Trace),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, variables: &[(&str, &str)]) -> (Settings, Option<String>) {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        std::fs::create_dir_all(root.path().join("etc/cni")).unwrap();
        std::fs::write(paths.settings(), text).unwrap();
        let get =
            |key: &str| variables.iter().find(|(name, _)| *name == key).map(|(_, value)| (*value).to_owned());
        let (mut settings, fault) = Settings::read(&paths, get);
        if let Destination::File(file) = &mut settings.to {
            *file = PathBuf::from("/").join(file.strip_prefix(root.path()).unwrap());
        }
        (settings, fault)
    }

    #[test]
    fn without_a_file_calls_are_counted_and_warnings_go_to_standard_error() {
        let (settings, fault) = Settings::read(&Paths::below("/nonexistent"), |_| None);
        let expected = Settings {
            level: Some(Level::Warn),
            to: Destination::Stderr,
            events: true,
            endpoint: None,
            policies: NodePolicies::default(),
        };
        assert_eq!((settings, fault), (expected, None));
    }

    #[test]
    fn a_file_says_it_and_variables_win() {
        let text = "[log]\nlevel = 'info'\nto = '/var/log/wharf.log'\n[traces]\nendpoint = 'http://c:4318/'\n[metrics]\nevents = false\n";
        let (settings, fault) = read(text, &[]);
        assert_eq!(fault, None);
        assert_eq!((settings.level, settings.events), (Some(Level::Info), false));
        assert_eq!(settings.to, Destination::File("/var/log/wharf.log".into()));
        assert_eq!(settings.endpoint.unwrap().url(), "http://c:4318/v1/traces");
        let variables = [
            ("WHARF_LOG", "off"),
            ("WHARF_LOG_TO", "journald"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://b"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://t/x"),
        ];
        let (settings, _) = read(text, &variables);
        assert_eq!((settings.level, &settings.to), (None, &Destination::Journald));
        assert_eq!(settings.endpoint.unwrap().url(), "http://t/x");
        assert_eq!(read(text, &[("OTEL_SDK_DISABLED", "true")]).0.endpoint, None);
    }

    #[test]
    fn what_others_can_write_is_not_believed() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};

        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        let (file, elsewhere) = (paths.settings(), root.path().join("elsewhere"));
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, "policies = []").unwrap();
        let mode = |mode| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        let conf = serde_json::Map::new();
        let refused = |words: &str| {
            let (settings, fault) = Settings::read(&paths, |_| None);
            assert!(fault.as_ref().is_some_and(|fault| fault.contains(words)), "{fault:?}");
            let error = settings.policies.named(&conf).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
        };
        mode(0o644);
        let (settings, fault) = Settings::read(&paths, |_| None);
        assert_eq!((settings.policies.named(&conf).unwrap(), fault), (Vec::new(), None));
        mode(0o666);
        refused("others may write it (mode 666)");
        std::fs::rename(&file, &elsewhere).unwrap();
        symlink(&elsewhere, &file).unwrap();
        refused("others may write it (mode 666)");
        mode(0o600);
        assert_eq!(Settings::read(&paths, |_| None).1, None);
        if nix::unistd::geteuid().is_root() {
            std::os::unix::fs::chown(&elsewhere, Some(4242), None).unwrap();
            refused("it belongs to user 4242");
        } else {
            eprintln!("not root: that a file of another user is refused was not tried");
        }
    }

    #[test]
    fn policies_are_known_unless_the_file_as_such_cannot_be_read() {
        let conf = serde_json::Map::new();
        let (settings, fault) =
            read("policies = ['b', 'a']\n[policy.a]\nports = [1]\n[log]\nlevle = 'info'", &[]);
        assert!(fault.is_some_and(|fault| fault.contains("levle")));
        assert_eq!(settings.policies.named(&conf).unwrap(), ["b", "a"]);
        assert_eq!(settings.policies.settings("a"), r#"{"ports":[1]}"#);
        assert_eq!(settings.policies.settings("b"), "{}");
        for text in ["x", "polices = ['a']", "policies = 'a'", "policies = ['../a']", "[log]\n[log]"] {
            let (settings, fault) = read(text, &[]);
            let error = settings.policies.named(&conf).unwrap_err();
            assert!(error.code == 901 && error.msg.contains("wharf.toml"), "{text}: {error}");
            assert!(fault.is_some(), "{text}");
        }
    }

    #[test]
    fn a_link_that_leads_nowhere_is_a_file_that_cannot_be_read() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        std::fs::create_dir_all(root.path().join("etc/cni")).unwrap();
        std::os::unix::fs::symlink("elsewhere.toml", paths.settings()).unwrap();
        let (settings, fault) = Settings::read(&paths, |_| None);
        assert!(fault.is_some_and(|fault| fault.contains("wharf.toml")));
        assert_eq!(settings.policies.named(&serde_json::Map::new()).unwrap_err().code, 901);
    }

    #[test]
    fn every_mistake_is_told_with_its_place() {
        let text = "policies = []\n[log]\nlevle = 'info'\n[metrics]\nevents = 'yes'\n";
        let fault = read(text, &[("WHARF_LOG", "loud")]).1.unwrap();
        for words in [
            "wharf.toml: log: line 3: unknown field `levle`",
            "; metrics: line 5: invalid type",
            "; WHARF_LOG: \"loud\" is none of off",
        ] {
            assert!(fault.contains(words), "{words}: {fault}");
        }
        let fault = read("[log]\nlevel = 'loud'\nto = 'syslog'", &[]).1.unwrap();
        assert!(
            fault.contains("wharf.toml: log.level: \"loud\"") && fault.contains("; log.to: \"syslog\""),
            "{fault}"
        );
        for (text, words) in
            [("\npolices = ['a']", "wharf.toml: line 2: unknown field"), ("\n\nx", "line 3: ")]
        {
            let fault = read(text, &[]).1.unwrap();
            assert!(fault.contains(words), "{text}: {fault}");
        }
        let (_, fault) =
            Settings::read(&Paths::below("/nonexistent"), |key| (key == LEVEL).then(|| "loud".to_owned()));
        assert!(fault.unwrap().starts_with("WHARF_LOG: "), "no file is blamed that is not there");
    }

    #[test]
    fn what_is_wrong_is_told_and_counts_as_nothing() {
        for (text, words) in [
            ("[log]\nlevle = 'info'", "levle"),
            ("[log]\nlevel = 'loud'", "off, error, warn"),
            ("[log]\nto = 'syslog'", "journald"),
            ("x", "wharf.toml"),
        ] {
            let (settings, fault) = read(text, &[]);
            assert_eq!((settings.level, settings.to), (Some(Level::Warn), Destination::Stderr), "{text}");
            assert!(fault.as_deref().is_some_and(|fault| fault.contains(words)), "{text}: {fault:?}");
        }
    }
}
