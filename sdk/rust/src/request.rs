//! What a plugin is asked: the attachment, its arguments, the configuration and what came before.

use std::fmt;

use serde::de::DeserializeOwned;

use crate::bindings::wharf::cni::types as wit;
use crate::config::Config;
use crate::error::{Error, Result, code};
use crate::result::NetworkResult;

/// One interface of one container on one network: what ADD makes and DEL removes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attachment {
    /// The `name` of the network configuration.
    pub network: String,
    /// `CNI_CONTAINERID`.
    pub container: String,
    /// `CNI_IFNAME`.
    pub ifname: String,
}

impl Attachment {
    /// Who holds leases and rules inside one network.
    pub fn owner(&self) -> Owner {
        Owner { container: self.container.clone(), ifname: self.ifname.clone() }
    }
}

impl fmt::Display for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.network, self.container, self.ifname)
    }
}

/// An attachment inside a network that is known from elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    /// `CNI_CONTAINERID`.
    pub container: String,
    /// `CNI_IFNAME`.
    pub ifname: String,
}

/// `CNI_ARGS`, in order.
///
/// ```
/// use wharf_sdk::Args;
/// let args = Args::from_iter([("IgnoreUnknown", "1"), ("K8S_POD_NAME", "web"), ("IP", "10.0.0.9")]);
/// args.expect(&["IP"])?;
/// assert_eq!(args.get("IP"), Some("10.0.0.9"));
/// # Ok::<(), wharf_sdk::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Args(Vec<(String, String)>);

impl Args {
    /// The value of a key, the last one if it is there twice. Keys are case-sensitive.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// Every pair, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Fails if there is a key other than `known`, unless `IgnoreUnknown` is `1` or `true`. Call it in a plugin
    /// that reads arguments; a plugin that does not leaves them alone.
    pub fn expect(&self, known: &[&str]) -> Result<()> {
        let ignore = match self.get("IgnoreUnknown").map(str::to_ascii_lowercase).as_deref() {
            None | Some("0" | "false") => false,
            Some("1" | "true") => true,
            Some(other) => {
                let msg = format!("CNI_ARGS: IgnoreUnknown is {other:?}, not one of 0, 1, false, true");
                return Err(Error::new(code::INVALID_ENVIRONMENT, msg));
            }
        };
        let unknown: Vec<String> = self
            .iter()
            .filter(|(key, _)| *key != "IgnoreUnknown" && !known.contains(key))
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        if ignore || unknown.is_empty() {
            return Ok(());
        }
        let msg = format!("CNI_ARGS: unknown args {unknown:?}; known are {known:?}, or set IgnoreUnknown=1");
        Err(Error::new(code::INVALID_ENVIRONMENT, msg))
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Args {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }
}

/// One call: ADD, CHECK or DEL of one attachment.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    attachment: Attachment,
    netns_path: Option<String>,
    args: Args,
    config: Config,
    previous: Option<NetworkResult>,
}

impl Request {
    /// A request without arguments or a previous result; for tests.
    pub fn new(attachment: Attachment, config: impl Into<String>) -> Self {
        Self {
            attachment,
            netns_path: None,
            args: Args::default(),
            config: Config::new(config),
            previous: None,
        }
    }

    /// The same request with these `CNI_ARGS`.
    #[must_use]
    pub fn with_args(mut self, args: Args) -> Self {
        self.args = args;
        self
    }

    /// The same request with this `CNI_NETNS`.
    #[must_use]
    pub fn with_netns_path(mut self, path: impl Into<String>) -> Self {
        self.netns_path = Some(path.into());
        self
    }

    /// The same request with this `prevResult`.
    #[must_use]
    pub fn with_previous(mut self, previous: NetworkResult) -> Self {
        self.previous = Some(previous);
        self
    }

    /// Which attachment it is about.
    pub fn attachment(&self) -> &Attachment {
        &self.attachment
    }

    /// `CNI_IFNAME`.
    pub fn ifname(&self) -> &str {
        &self.attachment.ifname
    }

    /// `CNI_NETNS` as text, for results and messages; authority comes from the borrowed namespace.
    pub fn netns_path(&self) -> Option<&str> {
        self.netns_path.as_deref()
    }

    /// `CNI_ARGS`.
    pub fn args(&self) -> &Args {
        &self.args
    }

    /// The configuration, read as `T`; see [`Config::parse`].
    pub fn config<T: DeserializeOwned>(&self) -> Result<T> {
        self.config.parse()
    }

    /// The configuration as it came.
    pub fn raw_config(&self) -> &Config {
        &self.config
    }

    /// The configuration's JSON text: what a delegate is given.
    pub fn config_text(&self) -> &str {
        self.config.as_str()
    }

    /// `prevResult`, from whichever cniVersion the runtime speaks.
    pub fn previous(&self) -> Option<&NetworkResult> {
        self.previous.as_ref()
    }

    /// `prevResult`, or the error that a plugin without it answers.
    pub fn require_previous(&self) -> Result<&NetworkResult> {
        self.previous().ok_or_else(|| {
            let msg = "required prevResult missing: this plugin works on what a plugin before it made";
            Error::new(code::INVALID_CONFIG, msg)
        })
    }
}

impl From<wit::Attachment> for Attachment {
    fn from(from: wit::Attachment) -> Self {
        let wit::Attachment { network, container, ifname } = from;
        Self { network, container, ifname }
    }
}

impl From<wit::Request> for Request {
    // Three exports convert one; inlined, a guest would carry it three times.
    #[inline(never)]
    fn from(from: wit::Request) -> Self {
        Self {
            attachment: from.attachment.into(),
            netns_path: from.netns_path,
            args: Args(from.args),
            config: Config::new(from.config),
            previous: from.previous.map(Into::into),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(pairs: &[(&str, &str)]) -> Args {
        pairs.iter().copied().collect()
    }

    #[test]
    fn unknown_args_are_refused_unless_they_are_to_be_ignored() {
        for pairs in [
            &[][..],
            &[("IP", "10.0.0.2")],
            &[("K8S_POD_NAME", "web"), ("IgnoreUnknown", "1")],
            &[("IgnoreUnknown", "True"), ("ip", "10.0.0.2")],
            &[("IgnoreUnknown", "0"), ("IP", "10.0.0.2")],
        ] {
            args(pairs).expect(&["IP"]).unwrap();
        }
        for (pairs, named) in [
            (&[("FOO", "BAR"), ("IP", "10.0.0.2")][..], "[\"FOO=BAR\"]"),
            (&[("ip", "10.0.0.2")], "[\"ip=10.0.0.2\"]"),
            (&[("IgnoreUnknown", "false"), ("FOO", "")], "[\"FOO=\"]"),
            (&[("IgnoreUnknown", "yes")], "IgnoreUnknown is \"yes\""),
        ] {
            let error = args(pairs).expect(&["IP"]).unwrap_err();
            assert_eq!(error.code, code::INVALID_ENVIRONMENT);
            assert!(error.msg.contains(named), "{error}");
        }
        assert_eq!(args(&[("IP", "a"), ("IP", "b")]).get("IP"), Some("b"));
    }

    #[test]
    fn a_chained_plugin_without_prev_result_says_so() {
        let attachment = Attachment { network: "n".into(), container: "c".into(), ifname: "eth0".into() };
        assert_eq!(attachment.to_string(), "n/c/eth0");
        let request = Request::new(attachment, "{}");
        let error = request.require_previous().unwrap_err();
        assert_eq!(error.code, code::INVALID_CONFIG);
        assert!(error.msg.contains("prevResult"), "{error}");
        request.with_previous(NetworkResult::default()).require_previous().unwrap();
    }
}
