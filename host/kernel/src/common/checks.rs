//! Arguments that cannot be.

use ipnetwork::IpNetwork;
use wharf_ops::Error;
use wharf_ops::bridge_ports::VlanRange;
use wharf_ops::nat::NatOp;
use wharf_ops::routes::Route;

use super::describe_route;

/// IFNAMSIZ without its NUL.
const NAME: usize = 15;
/// The last number of a VLAN.
const HIGHEST: u16 = 4094;

/// Refuses what the kernel would refuse, and what it would take for a pattern: a name with `%d` in it is counted up.
pub fn check_name(name: &str) -> Result<(), Error> {
    let bad = |byte: u8| byte.is_ascii_whitespace() || byte.is_ascii_control() || b"/:%".contains(&byte);
    if name.is_empty() || name.len() > NAME || name == "." || name == ".." || name.bytes().any(bad) {
        return Err(Error::invalid(format!(
            "{name:?} cannot name a link: use 1 to 15 bytes without '/', ':', '%' and white space"
        )));
    }
    Ok(())
}

/// As [`check_name`], for a link that is to be made. The kernel answers an EINVAL that says nothing: each link has a folder
/// of parameters, and these two are there already.
pub fn check_new_name(name: &str) -> Result<(), Error> {
    check_name(name)?;
    if name == "all" || name == "default" {
        return Err(Error::invalid(format!(
            "{name:?} cannot name a link: /proc/sys/net/ipv4/conf/{name} stands for others. Choose another name"
        )));
    }
    Ok(())
}

/// Refuses what cannot name a guarded bridge port. As the kernel's own dev_valid_name: what it would not call a link need
/// not be guarded.
pub fn check_port_name(name: &str) -> Result<(), Error> {
    let odd =
        |byte: u8| byte == b'/' || byte == b':' || byte == 0 || byte.is_ascii_whitespace() || byte == 0x0b;
    if name.is_empty() || name.len() >= libc::IFNAMSIZ || [".", ".."].contains(&name) || name.bytes().any(odd)
    {
        return Err(Error::invalid(format!(
            "{name:?} cannot be the name of a bridge port: give 1 to 15 bytes without '/', ':' and white space"
        )));
    }
    Ok(())
}

/// Refuses VLANs that cannot be.
pub fn check_vlans(range: VlanRange) -> Result<(), Error> {
    if range.first == 0 || range.last > HIGHEST || range.first > range.last {
        let VlanRange { first, last, .. } = range;
        return Err(Error::invalid(format!(
            "{first} to {last} are no VLANs: write 1 to {HIGHEST}, the lower first"
        )));
    }
    if range.pvid && range.first != range.last {
        return Err(Error::invalid("a port has one VLAN for untagged frames: pvid goes with a single VLAN"));
    }
    Ok(())
}

/// How many matches the rules of one call may come to: what is made of them is made at once, and a few bytes of a call can
/// ask for their product.
const MOST_MATCHES: usize = 16_384;

/// Refuses more rules than one attachment can mean.
pub fn check_nat(op: &NatOp) -> Result<(), Error> {
    let matches = match op {
        NatOp::Masquerade { rules, .. } => {
            rules.iter().fold(0, |sum: usize, rule| sum.saturating_add(rule.except.len()).saturating_add(1))
        }
        NatOp::ForwardPorts { rules, options } => {
            let conditions = options.conditions_v4.len().saturating_add(options.conditions_v6.len());
            let each = options.subnets.len().saturating_add(conditions).saturating_add(1);
            rules.len().saturating_mul(each)
        }
        _ => 0,
    };
    if matches > MOST_MATCHES {
        return Err(Error::invalid(format!(
            "rules of {matches} matches (each rule with each network and condition) are more than an attachment may have: \
             {MOST_MATCHES}. Use ranges of networks, or several attachments"
        )));
    }
    Ok(())
}

/// Refuses routes that cannot be.
pub fn check_route(route: &Route) -> Result<(), Error> {
    let refuse = |why: String| Err(Error::invalid(format!("{} cannot be: {why}", describe_route(route))));
    if route.dst.network() != route.dst.ip() {
        return refuse(format!("{} has host bits, the network is {}", route.dst, network(route.dst)));
    }
    for (what, address) in [("gateway", route.gateway), ("source", route.source)] {
        if let Some(address) = address.filter(|address| address.is_ipv4() != route.dst.is_ipv4()) {
            return refuse(format!("the {what} {address} is of another family than the destination"));
        }
    }
    Ok(())
}

fn network(dst: IpNetwork) -> String {
    format!("{}/{}", dst.network(), dst.prefix())
}

#[cfg(test)]
mod tests {
    use wharf_ops::nat::{Backend, ForwardOptions, MasqueradeRule, PortForward, Protocol};

    use super::*;

    fn forwards(count: u16, subnets: u8) -> NatOp {
        let forward = |port| PortForward {
            protocol: Protocol::Tcp,
            host_address: None,
            host_port: port,
            container_address: "10.0.0.2".parse().unwrap(),
            container_port: port,
        };
        let options = ForwardOptions {
            backend: Backend::Nftables,
            snat: true,
            masquerade_all: false,
            subnets: (0..subnets).map(|last| format!("10.0.{last}.0/24").parse().unwrap()).collect(),
            mark_bit: 13,
            external_mark_chain: None,
            conditions_v4: Vec::new(),
            conditions_v6: Vec::new(),
        };
        NatOp::ForwardPorts { rules: (1..=count).map(forward).collect(), options }
    }

    #[test]
    fn what_is_made_of_rules_is_bounded() {
        assert!(check_nat(&forwards(4000, 2)).is_ok(), "a wide range of ports on a dual-stack container");
        assert!(check_nat(&forwards(200, 200)).is_err());
        let network = "10.0.0.0/8".parse().unwrap();
        let rule = MasqueradeRule { source: "10.0.0.2".parse().unwrap(), except: vec![network; 20_000] };
        let masquerade = |rules| NatOp::Masquerade { rules, backend: Backend::Automatic };
        let error = check_nat(&masquerade(vec![rule.clone()])).unwrap_err();
        assert!(error.message.contains("20001"), "{error}");
        let plain = MasqueradeRule { except: Vec::new(), ..rule };
        assert!(check_nat(&masquerade(vec![plain.clone(); 20_000])).is_err());
        assert!(check_nat(&masquerade(vec![plain; 100])).is_ok());
    }
}
