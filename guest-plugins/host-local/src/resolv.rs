//! resolv.conf(5), as far as a CNI result can say it.

use wharf_sdk::Dns;

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
    fn an_empty_file_says_nothing() {
        assert_eq!(parse(""), Dns::default());
    }
}
