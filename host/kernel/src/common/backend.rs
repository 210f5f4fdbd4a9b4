//! Which backend renders forwarded ports.

use wharf_ops::nat::{Backend, ForwardOptions, PortForward};
use wharf_ops::{Error, ErrorKind};

use super::iptables::words::are_iptables;

/// Refuses what no backend can render, and says which one is to; `chosen` answers what `Automatic` means.
pub fn forward_backend(
    rules: &[PortForward],
    options: &ForwardOptions,
    chosen: impl FnOnce(Backend) -> Result<Backend, Error>,
) -> Result<Backend, Error> {
    for rule in rules {
        validate(rule)?;
    }
    if let Some(chain) = &options.external_mark_chain {
        validate_chain(chain)?;
    }
    let conditions = [("conditions-v4", &options.conditions_v4), ("conditions-v6", &options.conditions_v6)];
    let external = options.external_mark_chain.as_ref().map(|_| "external-mark-chain");
    let of_iptables: Vec<&str> = conditions
        .iter()
        .filter(|(_, words)| are_iptables(words))
        .map(|(name, _)| *name)
        .chain(external)
        .collect();
    let of_nftables: Vec<&str> = conditions
        .iter()
        .filter(|(_, words)| !words.is_empty() && !are_iptables(words))
        .map(|(name, _)| *name)
        .collect();
    let backend = match options.backend {
        Backend::Automatic if !of_iptables.is_empty() => Backend::Iptables,
        backend => chosen(backend)?,
    };
    let (name, foreign) = match backend {
        Backend::Iptables => ("iptables", of_nftables),
        Backend::Automatic | Backend::Nftables => ("nftables", of_iptables),
    };
    if !foreign.is_empty() {
        return Err(Error::new(
            ErrorKind::Invalid,
            format!(
                "the {name} backend cannot render {}, which is for the other backend",
                foreign.join(", ")
            ),
        ));
    }
    Ok(backend)
}

/// A name that iptables takes for a chain, and nothing that its restore format could take for more.
fn validate_chain(chain: &str) -> Result<(), Error> {
    /// One less than XT_EXTENSION_MAXNAMELEN.
    const LONGEST: usize = 28;
    let plain = chain.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte));
    let target = ["ACCEPT", "DROP", "RETURN", "QUEUE"].contains(&chain);
    if chain.is_empty() || chain.len() > LONGEST || !plain || chain.starts_with('-') || target {
        return Err(Error::invalid(format!(
            "external-mark-chain {chain:?} is no name of a chain: 1 to {LONGEST} letters, digits and -_.: are"
        )));
    }
    Ok(())
}

fn validate(rule: &PortForward) -> Result<(), Error> {
    if rule.host_port == 0 || rule.container_port == 0 {
        return Err(Error::invalid(format!(
            "port 0 cannot be forwarded ({} to {}): ports are 1 to 65535",
            rule.host_port, rule.container_port
        )));
    }
    match rule.host_address {
        Some(host) if host.is_ipv4() != rule.container_address.is_ipv4() => Err(Error::invalid(format!(
            "host address {host} and container address {} are of different families",
            rule.container_address
        ))),
        _ => Ok(()),
    }
}
