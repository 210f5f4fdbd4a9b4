//! resolv.conf(5), as far as a CNI result can say it.

use wharf_sdk::leases::read_resolv_conf;
use wharf_sdk::{Dns, Error, HostError, HostErrorKind, Result};

/// What the host's file of that path says.
pub(crate) fn read(path: &str) -> Result<Dns> {
    read_resolv_conf(path).map(|text| parse(&text)).map_err(|error| unreadable(path, error))
}

/// A file that is not one to be read is the configuration's fault.
fn unreadable(path: &str, error: HostError) -> Error {
    const KEY: &str = "ipam.resolvConf";
    let reason = match error.kind {
        HostErrorKind::NotFound => "is not there",
        HostErrorKind::Invalid => "is not a file",
        HostErrorKind::Exhausted => "is too long",
        HostErrorKind::Io => "cannot be read",
        // Without an errno, it is the grant that denies it.
        HostErrorKind::Denied if error.errno.is_some() => "must not be read",
        _ => return Error::from(error).context(KEY),
    };
    let reason = format!("{path:?} {reason}: name a resolv.conf(5) file of the host, or leave it out");
    Error::config(KEY, reason).with_details(error.message)
}

/// Every name server, search domain and option, and the last `domain`. Lines that begin with `#` or `;` are comments.
pub(crate) fn parse(text: &str) -> Dns {
    let mut dns = Dns::default();
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])) {
        let mut words = line.split_whitespace().map(str::to_owned);
        match words.next().as_deref() {
            Some("nameserver") => dns.nameservers.extend(words.next()),
            Some("domain") => dns.domain = words.next().or(dns.domain),
            Some("search") => dns.search.extend(words),
            Some("options") => dns.options.extend(words),
            _ => {}
        }
    }
    dns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_keyword_and_skips_comments() {
        let dns = parse(
            "# a comment\n; another\n\nnameserver 192.0.2.3\n  nameserver\tfd00::53  \nnameserver\ndomain one.example\n\
             domain example.com\nsearch example.net example.org\r\nsearch example.edu\noptions ndots:5 rotate\n\
             sortlist 10.0.0.0\noptions edns0\n",
        );
        assert_eq!(dns.nameservers, ["192.0.2.3", "fd00::53"]);
        assert_eq!(dns.domain.as_deref(), Some("example.com"));
        assert_eq!(dns.search, ["example.net", "example.org", "example.edu"]);
        assert_eq!(dns.options, ["ndots:5", "rotate", "edns0"]);
    }

    #[test]
    fn the_configuration_is_at_fault_unless_it_is_the_grant_or_the_host() {
        use wharf_sdk::code;

        for (kind, errno, code, words) in [
            (HostErrorKind::NotFound, Some(2), code::INVALID_CONFIG, "\"/etc/x\" is not there: name a"),
            (HostErrorKind::Denied, Some(13), code::INVALID_CONFIG, "\"/etc/x\" must not be read: name a"),
            (HostErrorKind::Invalid, None, code::INVALID_CONFIG, "\"/etc/x\" is not a file: name a"),
            (HostErrorKind::Exhausted, None, code::INVALID_CONFIG, "\"/etc/x\" is too long: name a"),
            (HostErrorKind::Io, Some(20), code::INVALID_CONFIG, "\"/etc/x\" cannot be read: name a"),
            (HostErrorKind::Denied, None, code::DENIED, "why"),
            (HostErrorKind::Busy, None, code::TRY_AGAIN_LATER, "why"),
            (HostErrorKind::Internal, None, code::INTERNAL, "why"),
        ] {
            let operation = "leases/read-resolv-conf".to_owned();
            let error = unreadable("/etc/x", HostError { kind, errno, operation, message: "why".to_owned() });
            assert_eq!(error.code, code, "{kind:?}: {error}");
            assert!(error.msg.contains(&format!("ipam.resolvConf: {words}")), "{kind:?}: {error}");
        }
    }

    #[test]
    fn an_empty_file_says_nothing() {
        assert_eq!(parse(""), Dns::default());
    }
}
