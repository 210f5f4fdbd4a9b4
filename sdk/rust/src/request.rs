//! What a plugin is asked: the attachment, its arguments, the configuration and what came before.

use std::fmt;

use serde::de::DeserializeOwned;

use crate::bindings::wharf::cni::types as wit;
use crate::config::Config;
use crate::error::{Error, Result, code};
use crate::result::NetworkResult;

/// One interface of one container on one network: what ADD makes and DEL removes.
///
/// ```
/// let attachment =
///     wharf_sdk::Attachment { network: "lan".into(), container: "c1".into(), ifname: "eth0".into() };
/// assert_eq!(attachment.to_string(), "lan/c1/eth0");
/// ```
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
    ///
    /// ```
    /// # wharf_testkit::run(|request, _, _| {
    /// let owner = request.attachment().owner();
    /// assert_eq!((owner.container.as_str(), owner.ifname.as_str()), ("c1", "eth0"));
    /// # Ok(())
    /// # });
    /// ```
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
///
/// ```
/// use wharf_sdk::Owner;
/// let valid = [Owner { container: "c1".into(), ifname: "eth0".into() }];
/// assert!(!valid.contains(&Owner { container: "c1".into(), ifname: "net1".into() }));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    /// `CNI_CONTAINERID`.
    pub container: String,
    /// `CNI_IFNAME`.
    pub ifname: String,
}

/// `CNI_ARGS`, in order. A piece of it that is no `KEY=VALUE` stands there without a key, for [`Args::expect`] to refuse.
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
    ///
    /// ```
    /// let args = wharf_sdk::Args::from_iter([("IP", "10.0.0.8"), ("IP", "10.0.0.9")]);
    /// assert_eq!((args.get("IP"), args.get("ip")), (Some("10.0.0.9"), None));
    /// ```
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// Every pair, in order.
    ///
    /// ```
    /// let args = wharf_sdk::Args::from_iter([("A", "1"), ("B", "2")]);
    /// assert_eq!(args.iter().collect::<Vec<_>>(), [("A", "1"), ("B", "2")]);
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Fails if there is a key other than `known`, unless `IgnoreUnknown` is `1` or `true`, or what is no pair. Call it
    /// in a plugin that reads arguments; a plugin that does not leaves them alone.
    ///
    /// ```
    /// let args = wharf_sdk::Args::from_iter([("COLOUR", "red")]);
    /// let error = args.expect(&["IP"]).unwrap_err();
    /// assert_eq!(error.code, wharf_sdk::code::INVALID_ENVIRONMENT);
    /// ```
    pub fn expect(&self, known: &[&str]) -> Result<()> {
        if let Some((_, piece)) = self.iter().find(|(key, _)| key.is_empty()) {
            let msg = format!("CNI_ARGS: invalid pair {piece:?}: write KEY=VALUE, parted by semicolons");
            return Err(Error::new(code::INVALID_ENVIRONMENT, msg));
        }
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
///
/// ```
/// # wharf_testkit::run(|request, _, _| {
/// assert_eq!(request.ifname(), "eth0");
/// assert_eq!(request.netns_path(), Some("/run/netns/c1"));
/// # Ok(())
/// # });
/// ```
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
    ///
    /// ```
    /// use wharf_sdk::{Attachment, Request};
    /// let attachment = Attachment { network: "lan".into(), container: "c1".into(), ifname: "eth0".into() };
    /// let request = Request::new(attachment, r#"{"mtu": 1400}"#);
    /// assert!(request.previous().is_none() && request.netns_path().is_none());
    /// ```
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
    ///
    /// ```
    /// use wharf_sdk::{Attachment, Request};
    /// let attachment = Attachment { network: "lan".into(), container: "c1".into(), ifname: "eth0".into() };
    /// let request = Request::new(attachment, "{}").with_args([("IP", "10.0.0.9")].into_iter().collect());
    /// assert_eq!(request.args().get("IP"), Some("10.0.0.9"));
    /// ```
    #[must_use]
    pub fn with_args(mut self, args: Args) -> Self {
        self.args = args;
        self
    }

    /// The same request with this `CNI_NETNS`.
    ///
    /// ```
    /// use wharf_sdk::{Attachment, Request};
    /// let attachment = Attachment { network: "lan".into(), container: "c1".into(), ifname: "eth0".into() };
    /// let request = Request::new(attachment, "{}").with_netns_path("/run/netns/c1");
    /// assert_eq!(request.netns_path(), Some("/run/netns/c1"));
    /// ```
    #[must_use]
    pub fn with_netns_path(mut self, path: impl Into<String>) -> Self {
        self.netns_path = Some(path.into());
        self
    }

    /// The same request with this `prevResult`.
    ///
    /// ```
    /// use wharf_sdk::{Attachment, NetworkResult, Request};
    /// let attachment = Attachment { network: "lan".into(), container: "c1".into(), ifname: "eth0".into() };
    /// let request = Request::new(attachment, "{}").with_previous(NetworkResult::default());
    /// assert!(request.require_previous().is_ok());
    /// ```
    #[must_use]
    pub fn with_previous(mut self, previous: NetworkResult) -> Self {
        self.previous = Some(previous);
        self
    }

    /// Which attachment it is about.
    ///
    /// ```
    /// # wharf_testkit::run(|request, _, _| {
    /// assert_eq!(request.attachment().to_string(), "test/c1/eth0");
    /// # Ok(())
    /// # });
    /// ```
    pub fn attachment(&self) -> &Attachment {
        &self.attachment
    }

    /// `CNI_IFNAME`.
    ///
    /// ```
    /// # wharf_testkit::run(|request, _, _| {
    /// assert_eq!(request.ifname(), "eth0");
    /// # Ok(())
    /// # });
    /// ```
    pub fn ifname(&self) -> &str {
        &self.attachment.ifname
    }

    /// `CNI_NETNS` as text, for results and messages; authority comes from the borrowed namespace.
    ///
    /// ```
    /// # wharf_testkit::run(|request, _, _| {
    /// assert_eq!(request.netns_path(), Some("/run/netns/c1"));
    /// # Ok(())
    /// # });
    /// ```
    pub fn netns_path(&self) -> Option<&str> {
        self.netns_path.as_deref()
    }

    /// `CNI_ARGS`.
    ///
    /// ```
    /// # wharf_testkit::run(|request, _, _| {
    /// assert_eq!(request.args().get("K8S_POD_NAME"), None);
    /// # Ok(())
    /// # });
    /// ```
    pub fn args(&self) -> &Args {
        &self.args
    }

    /// The configuration, read as `T`; see [`Config::parse`].
    ///
    /// ```
    /// use wharf_sdk::{Attachment, Request};
    /// let attachment = Attachment { network: "lan".into(), container: "c1".into(), ifname: "eth0".into() };
    /// #[derive(serde::Deserialize)]
    /// struct Conf { mtu: u32 }
    ///
    /// assert_eq!(Request::new(attachment, r#"{"mtu": 1400}"#).config::<Conf>()?.mtu, 1400);
    /// # Ok::<(), wharf_sdk::Error>(())
    /// ```
    pub fn config<T: DeserializeOwned>(&self) -> Result<T> {
        self.config.parse()
    }

    /// The configuration as it came.
    ///
    /// ```
    /// # wharf_testkit::run(|request, _, _| {
    /// assert!(request.raw_config().as_str().contains("cniVersion"));
    /// # Ok(())
    /// # });
    /// ```
    pub fn raw_config(&self) -> &Config {
        &self.config
    }

    /// The configuration's JSON text: what a delegate is given.
    ///
    /// ```
    /// # wharf_testkit::run(|request, _, _| {
    /// assert!(request.config_text().starts_with('{'));
    /// # Ok(())
    /// # });
    /// ```
    pub fn config_text(&self) -> &str {
        self.config.as_str()
    }

    /// `prevResult`, from whichever cniVersion the runtime speaks.
    ///
    /// ```
    /// # wharf_testkit::run(|request, _, _| {
    /// assert!(request.previous().is_none(), "this is the first plugin");
    /// # Ok(())
    /// # });
    /// ```
    pub fn previous(&self) -> Option<&NetworkResult> {
        self.previous.as_ref()
    }

    /// `prevResult`, or the error that a plugin without it answers.
    ///
    /// ```
    /// # wharf_testkit::run(|request, _, _| {
    /// let error = request.require_previous().expect_err("this is the first plugin");
    /// assert_eq!(error.code, wharf_sdk::code::INVALID_CONFIG);
    /// # Ok(())
    /// # });
    /// ```
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
            (&[("IgnoreUnknown", "1"), ("", "A=b=c")], "invalid pair \"A=b=c\""),
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
