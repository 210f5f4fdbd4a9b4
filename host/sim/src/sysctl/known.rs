//! The parameters that the simulated kernel has, as Linux 6.18 has them in a new namespace, and what they take.

use std::fmt;

/// What may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// A number from here to there.
    Range(i64, i64),
    /// How link-local addresses are made: of four ways, one needs a secret.
    GenMode {
        secret: bool,
    },
    /// From the lowest MTU of IPv6 to the link's.
    Mtu {
        highest: i64,
    },
    /// Two ports, the lower first and not below this.
    Ports {
        least: i64,
    },
    /// A text that cannot be read before it is set.
    Secret,
    ReadOnly,
    /// A number that cannot be read.
    Trigger,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    Number(i64),
    Pair(i64, i64),
    Text(String),
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Pair(a, b) => write!(f, "{a}\t{b}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

const NUMBER: Rule = Rule::Range(i32::MIN as i64, i32::MAX as i64);

impl Rule {
    /// What the kernel takes of a text, and whether something is left over; or its errno.
    pub(super) fn parse(self, text: &str) -> Result<(Option<Taken>, bool), i32> {
        // Nothing is written in no bytes.
        if text.is_empty() {
            return Ok((None, false));
        }
        let mut words = text.split_ascii_whitespace();
        let first = words.next().ok_or(libc::EINVAL)?;
        match self {
            Self::Range(low, high) => single(first, words.next().is_some(), (low, high)),
            Self::Mtu { highest } => single(first, words.next().is_some(), (1280, highest)),
            Self::GenMode { secret } => match single(first, words.next().is_some(), (0, 3))? {
                (Some(Taken::Number(2)), _) if !secret => Err(libc::EINVAL),
                other => Ok(other),
            },
            Self::Ports { least } => {
                let (low, high) =
                    (number(first)?, words.next().map(number).transpose()?.ok_or(libc::EINVAL)?);
                let fine = (least.max(1)..=65535).contains(&low) && (low..=65535).contains(&high);
                if fine { Ok((Some(Taken::Pair(low, high)), false)) } else { Err(libc::EINVAL) }
            }
            Self::Secret => {
                let secret: std::net::Ipv6Addr = first.parse().map_err(|_| libc::EIO)?;
                let groups = secret.segments().map(|group| format!("{group:04x}"));
                Ok((Some(Taken::Text(groups.join(":"))), false))
            }
            Self::Trigger => single(first, words.next().is_some(), (i32::MIN.into(), i32::MAX.into()))
                .map(|(_, rest)| (None, rest)),
            Self::ReadOnly => Err(libc::EACCES),
        }
    }
}

fn single(word: &str, more: bool, (low, high): (i64, i64)) -> Result<(Option<Taken>, bool), i32> {
    let value = number(word)?;
    if (low..=high).contains(&value) { Ok((Some(Taken::Number(value)), more)) } else { Err(libc::EINVAL) }
}

/// As strtoul(3) with a sign: decimal, hexadecimal or octal.
fn number(word: &str) -> Result<i64, i32> {
    let (sign, digits) = word.strip_prefix('-').map_or((1, word), |digits| (-1, digits));
    let lower = digits.to_ascii_lowercase();
    let parsed = match lower.strip_prefix("0x") {
        Some(hexadecimal) => i64::from_str_radix(hexadecimal, 16),
        None if lower.len() > 1 && lower.starts_with('0') => i64::from_str_radix(&lower, 8),
        None => lower.parse(),
    };
    let digits_only = lower.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'x');
    parsed.ok().filter(|_| digits_only).map(|value| sign * value).ok_or(libc::EINVAL)
}

/// Of IPv4, for each device.
pub(super) const CONF4: &[(&str, i64, Rule)] = &[
    ("accept_local", 0, NUMBER),
    ("accept_redirects", 1, NUMBER),
    ("accept_source_route", 1, NUMBER),
    ("arp_accept", 0, NUMBER),
    ("arp_announce", 0, NUMBER),
    ("arp_evict_nocarrier", 1, NUMBER),
    ("arp_filter", 0, NUMBER),
    ("arp_ignore", 0, NUMBER),
    ("arp_notify", 0, NUMBER),
    ("bc_forwarding", 0, NUMBER),
    ("bootp_relay", 0, NUMBER),
    ("disable_policy", 0, NUMBER),
    ("disable_xfrm", 0, NUMBER),
    ("drop_gratuitous_arp", 0, NUMBER),
    ("drop_unicast_in_l2_multicast", 0, NUMBER),
    ("force_igmp_version", 0, NUMBER),
    ("forwarding", 0, NUMBER),
    ("igmpv2_unsolicited_report_interval", 10_000, NUMBER),
    ("igmpv3_unsolicited_report_interval", 1000, NUMBER),
    ("ignore_routes_with_linkdown", 0, NUMBER),
    ("log_martians", 0, NUMBER),
    ("mc_forwarding", 0, Rule::ReadOnly),
    ("medium_id", 0, NUMBER),
    ("promote_secondaries", 0, NUMBER),
    ("proxy_arp", 0, NUMBER),
    ("proxy_arp_pvlan", 0, NUMBER),
    ("route_localnet", 0, NUMBER),
    ("rp_filter", 0, NUMBER),
    ("secure_redirects", 1, NUMBER),
    ("send_redirects", 1, NUMBER),
    ("shared_media", 1, NUMBER),
    ("src_valid_mark", 0, NUMBER),
    ("tag", 0, NUMBER),
];

/// Of IPv6, for each device.
pub(super) const CONF6: &[(&str, i64, Rule)] = &[
    ("accept_dad", 1, NUMBER),
    ("accept_ra", 1, NUMBER),
    ("accept_ra_defrtr", 1, NUMBER),
    ("accept_ra_from_local", 0, NUMBER),
    ("accept_ra_min_hop_limit", 1, NUMBER),
    ("accept_ra_mtu", 1, NUMBER),
    ("accept_ra_pinfo", 1, NUMBER),
    ("accept_ra_rtr_pref", 1, NUMBER),
    ("accept_redirects", 1, NUMBER),
    ("accept_source_route", 0, NUMBER),
    ("accept_untracked_na", 0, Rule::Range(0, 2)),
    ("addr_gen_mode", 0, Rule::GenMode { secret: false }),
    ("autoconf", 1, NUMBER),
    ("dad_transmits", 1, NUMBER),
    ("disable_ipv6", 0, NUMBER),
    ("disable_policy", 0, NUMBER),
    ("drop_unicast_in_l2_multicast", 0, NUMBER),
    ("drop_unsolicited_na", 0, NUMBER),
    ("enhanced_dad", 1, NUMBER),
    ("force_mld_version", 0, NUMBER),
    ("force_tllao", 0, NUMBER),
    ("forwarding", 0, NUMBER),
    ("hop_limit", 64, Rule::Range(1, 255)),
    ("ignore_routes_with_linkdown", 0, NUMBER),
    ("keep_addr_on_down", 0, NUMBER),
    ("max_addresses", 16, NUMBER),
    ("max_desync_factor", 600, NUMBER),
    ("mc_forwarding", 0, Rule::ReadOnly),
    ("mtu", 1280, Rule::Mtu { highest: 0 }),
    ("ndisc_notify", 0, NUMBER),
    ("ndisc_tclass", 0, Rule::Range(0, 255)),
    ("optimistic_dad", 0, NUMBER),
    ("proxy_ndp", 0, NUMBER),
    ("router_solicitations", -1, Rule::Range(-1, 2_147_483_647)),
    ("seg6_enabled", 0, NUMBER),
    ("seg6_require_hmac", 0, NUMBER),
    ("stable_secret", 0, Rule::Secret),
    ("suppress_frag_ndisc", 1, NUMBER),
    ("temp_prefered_lft", 86_400, NUMBER),
    ("temp_valid_lft", 604_800, NUMBER),
    ("use_oif_addrs_only", 0, NUMBER),
    ("use_optimistic", 0, NUMBER),
    ("use_tempaddr", 0, NUMBER),
];

/// Those that belong to no device: where, what they are at first, what they take.
pub(super) const GLOBAL: &[(&str, &str, Rule)] = &[
    ("bridge/bridge-nf-call-arptables", "1", NUMBER),
    ("bridge/bridge-nf-call-ip6tables", "1", NUMBER),
    ("bridge/bridge-nf-call-iptables", "1", NUMBER),
    ("core/somaxconn", "4096", Rule::Range(0, 2_147_483_647)),
    ("ipv4/icmp_echo_ignore_all", "0", Rule::Range(0, 1)),
    ("ipv4/icmp_echo_ignore_broadcasts", "1", Rule::Range(0, 1)),
    ("ipv4/ip_default_ttl", "64", Rule::Range(1, 255)),
    ("ipv4/ip_forward", "0", NUMBER),
    ("ipv4/ip_local_port_range", "32768\t60999", Rule::Ports { least: 0 }),
    ("ipv4/ip_nonlocal_bind", "0", Rule::Range(0, 255)),
    ("ipv4/ip_unprivileged_port_start", "1024", Rule::Range(0, 65_535)),
    ("ipv4/route/flush", "", Rule::Trigger),
    ("ipv4/tcp_fin_timeout", "60", NUMBER),
    ("ipv4/tcp_keepalive_intvl", "75", NUMBER),
    ("ipv4/tcp_keepalive_probes", "9", Rule::Range(0, 255)),
    ("ipv4/tcp_keepalive_time", "7200", NUMBER),
    ("ipv4/tcp_syncookies", "1", Rule::Range(0, 255)),
    ("ipv4/tcp_timestamps", "1", Rule::Range(0, 255)),
    ("ipv4/tcp_tw_reuse", "2", Rule::Range(0, 2)),
    ("ipv6/bindv6only", "0", Rule::Range(0, 255)),
    ("ipv6/ip_nonlocal_bind", "0", Rule::Range(0, 255)),
    ("ipv6/route/flush", "", Rule::Trigger),
    ("netfilter/nf_conntrack_count", "0", Rule::ReadOnly),
    ("netfilter/nf_conntrack_tcp_be_liberal", "0", Rule::Range(0, 1)),
    ("netfilter/nf_conntrack_tcp_loose", "1", Rule::Range(0, 1)),
    ("netfilter/nf_conntrack_tcp_timeout_established", "432000", NUMBER),
    ("netfilter/nf_conntrack_udp_timeout", "30", NUMBER),
    ("netfilter/nf_conntrack_udp_timeout_stream", "120", NUMBER),
];
