//! The configuration: read, checked as a whole, and the backend that its options imply.

use serde::Deserialize;
use wharf_sdk::firewall::nat::{Backend, ForwardOptions};
use wharf_sdk::{Error, HostError, HostErrorKind, Result};

use crate::mapping::{self, Mapping, RawMapping};
use crate::target::Target;

/// The bit that marks packets to be masqueraded; Kubernetes has 14 and 15, Calico 20 and above.
const DEFAULT_MARK_BIT: u8 = 13;

/// The longest chain name that iptables takes, in bytes.
const CHAIN_NAME_BYTES: usize = 28;

/// A configuration without contradictions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Config {
    pub(crate) backend: Backend,
    pub(crate) snat: bool,
    pub(crate) masquerade_all: bool,
    pub(crate) mark_bit: u8,
    pub(crate) external_mark_chain: Option<String>,
    pub(crate) conditions_v4: Vec<String>,
    pub(crate) conditions_v6: Vec<String>,
    pub(crate) mappings: Vec<Mapping>,
}

/// The members as they are written. A `null` is an absent member.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Raw {
    backend: Option<String>,
    snat: Option<bool>,
    masq_all: Option<bool>,
    mark_masq_bit: Option<i64>,
    external_set_mark_chain: Option<String>,
    conditions_v4: Option<Vec<String>>,
    conditions_v6: Option<Vec<String>>,
    runtime_config: Option<RuntimeConfig>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct RuntimeConfig {
    port_mappings: Option<Vec<RawMapping>>,
}

impl Config {
    /// Reads and checks it.
    pub(crate) fn read(config: &wharf_sdk::Config) -> Result<Self> {
        let raw: Raw = config.parse()?;
        let conditions_v4 = conditions("conditionsV4", raw.conditions_v4)?;
        let conditions_v6 = conditions("conditionsV6", raw.conditions_v6)?;
        let chain = raw.external_set_mark_chain.as_deref();
        if let Some(chain) = chain {
            check_chain(chain)?;
        }
        let demands = [
            chain.map(|_| ("externalSetMarkChain", Backend::Iptables)),
            implied("conditionsV4", &conditions_v4),
            implied("conditionsV6", &conditions_v6),
        ];
        Ok(Self {
            backend: backend(raw.backend.as_deref(), &demands)?,
            snat: raw.snat.unwrap_or(true),
            masquerade_all: raw.masq_all.unwrap_or(false),
            mark_bit: mark_bit(raw.mark_masq_bit, chain)?,
            conditions_v4,
            conditions_v6,
            mappings: mapping::parse(
                &raw.runtime_config.and_then(|runtime| runtime.port_mappings).unwrap_or_default(),
            )?,
            external_mark_chain: raw.external_set_mark_chain,
        })
    }
}

impl Config {
    /// Whether a process of the host is to reach a container through 127.0.0.1.
    pub(crate) fn answers_localhost(&self) -> bool {
        self.snat && self.mappings.iter().any(Mapping::serves_localhost)
    }

    /// How the host is to render the forwards.
    pub(crate) fn options(&self, target: &Target) -> ForwardOptions {
        ForwardOptions {
            backend: self.backend,
            snat: self.snat,
            masquerade_all: self.masquerade_all,
            subnets: target.subnets(),
            mark_bit: self.mark_bit,
            external_mark_chain: self.external_mark_chain.clone(),
            conditions_v4: self.conditions_v4.clone(),
            conditions_v6: self.conditions_v6.clone(),
        }
    }
}

/// What the host refuses to forward. It knows the words of conditions, and names the element of its options that is
/// wrong: an error of that element of the configuration.
pub(crate) fn refused(error: HostError) -> Error {
    let element = |member: &str| error.message.strip_prefix(member)?.split_once("]: ");
    let found = [("conditions-v4[", "conditionsV4"), ("conditions-v6[", "conditionsV6")]
        .into_iter()
        .find_map(|(member, option)| element(member).map(|(index, reason)| (option, index, reason)));
    match found.filter(|_| error.kind == HostErrorKind::Invalid) {
        Some((option, index, reason)) => Error::config(format_args!("{option}[{index}]"), reason),
        None => Error::from(error).context("portMappings"),
    }
}

/// The backend that is named, else the one that the options can only be written for, else whichever the host has.
fn backend(name: Option<&str>, demands: &[Option<(&str, Backend)>]) -> Result<Backend> {
    let named = match name {
        None | Some("") => None,
        Some("iptables") => Some(("backend", Backend::Iptables)),
        Some("nftables") => Some(("backend", Backend::Nftables)),
        Some(other) => {
            let reason = format!("{other:?} is unknown: give \"iptables\" or \"nftables\"");
            return Err(Error::config("backend", reason));
        }
    };
    let mut chosen = named;
    for (option, demanded) in demands.iter().flatten() {
        let Some((by, backend)) = chosen else {
            chosen = Some((option, *demanded));
            continue;
        };
        if backend != *demanded {
            let (wants, has) = (backend_name(*demanded), backend_name(backend));
            let reason = format!("is written for {wants}, but {by} is for {has}: use one backend");
            return Err(Error::config(option, reason));
        }
    }
    Ok(chosen.map_or(Backend::Automatic, |(_, backend)| backend))
}

/// The backend in whose words conditions are written: iptables options start with a dash or a negation.
fn implied<'a>(option: &'a str, conditions: &[String]) -> Option<(&'a str, Backend)> {
    let first = conditions.first()?;
    let backend = if first.starts_with(['-', '!']) { Backend::Iptables } else { Backend::Nftables };
    Some((option, backend))
}

fn backend_name(backend: Backend) -> &'static str {
    match backend {
        Backend::Automatic => "any backend",
        Backend::Nftables => "nftables",
        Backend::Iptables => "iptables",
    }
}

fn conditions(option: &str, words: Option<Vec<String>>) -> Result<Vec<String>> {
    let words = words.unwrap_or_default();
    for (index, word) in words.iter().enumerate() {
        if word.is_empty() || word.contains(char::is_control) {
            let reason = format!("{word:?} is empty or has control characters");
            return Err(Error::config(format_args!("{option}[{index}]"), reason));
        }
    }
    Ok(words)
}

fn check_chain(chain: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_graphic();
    if chain.is_empty()
        || chain.len() > CHAIN_NAME_BYTES
        || chain.starts_with(['-', '!'])
        || !chain.chars().all(plain)
    {
        let reason = format!("{chain:?} is no chain name: give 1 to 28 printable characters");
        return Err(Error::config("externalSetMarkChain", reason));
    }
    Ok(())
}

fn mark_bit(bit: Option<i64>, chain: Option<&str>) -> Result<u8> {
    let Some(bit) = bit else {
        return Ok(DEFAULT_MARK_BIT);
    };
    if chain.is_some() {
        let reason = format!("{bit} excludes externalSetMarkChain, which sets the mark itself");
        return Err(Error::config("markMasqBit", reason));
    }
    let valid = u8::try_from(bit).ok().filter(|bit| *bit < 32);
    valid.ok_or_else(|| Error::config("markMasqBit", format_args!("{bit} is no bit of a mark: give 0 to 31")))
}
