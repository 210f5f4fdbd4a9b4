//! Addresses in texts: where they begin and end, and which they are.

use std::net::{Ipv4Addr, Ipv6Addr};

use wharf_ops::Mac;

/// An address in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Found {
    V4(Ipv4Addr),
    V6(Ipv6Addr),
    Mac(Mac),
}

/// Replaces addresses in a text. `replace` is given each with the length of the prefix behind it, if there is one. None if
/// nothing is replaced.
pub(super) fn replace(
    text: &str,
    replace: &mut dyn FnMut(Found, Option<u8>) -> Option<String>,
) -> Option<String> {
    let mut new = String::new();
    let mut copied = 0;
    for (start, run) in runs(text) {
        for (at, piece) in pieces(run) {
            let from = start + at;
            let (before, behind) = (text.get(..from)?, text.get(from + piece.len()..)?);
            let inside = |c: char| c.is_alphanumeric() || c == '_';
            if before.ends_with(inside) || behind.starts_with(inside) {
                continue;
            }
            let Some((length, found)) = address(piece) else { continue };
            let prefix = if length == piece.len() { prefix(behind) } else { None };
            if let Some(other) = replace(found, prefix) {
                new.push_str(text.get(copied..from)?);
                new.push_str(&other);
                copied = from + length;
            }
        }
    }
    if copied == 0 {
        return None;
    }
    new.push_str(text.get(copied..)?);
    Some(new)
}

/// The longest parts that have no other characters than addresses have.
fn runs(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let foreign = |c: char| !(c.is_ascii_hexdigit() || matches!(c, ':' | '.' | '-'));
    parts(text, foreign)
}

/// A run is a hardware address that is written with dashes, or its parts between dashes.
fn pieces(run: &str) -> Vec<(usize, &str)> {
    if run.parse::<Mac>().is_ok() { vec![(0, run)] } else { parts(run, |c| c == '-').collect() }
}

/// What is between the characters that part it, with where it begins.
fn parts<'t>(text: &'t str, apart: impl Fn(char) -> bool + 't) -> impl Iterator<Item = (usize, &'t str)> {
    let mut at = 0;
    let all = text.split(apart).map(move |part| {
        let start = at;
        let end = start + part.len();
        // One character parts it from the next.
        at = end + text.get(end..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
        (start, part)
    });
    all.filter(|(_, part)| !part.is_empty())
}

/// The address that a piece begins with, and its length: a port or the end of a sentence may follow.
fn address(piece: &str) -> Option<(usize, Found)> {
    let mut text = piece;
    loop {
        if let Some(found) = whole(text) {
            return Some((text.len(), found));
        }
        match text.strip_suffix(['.', ':']) {
            Some(shorter) => text = shorter,
            None => break,
        }
    }
    let (host, port) = text.split_once(':')?;
    let port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    host.parse().ok().filter(|_| port).map(|v4| (host.len(), Found::V4(v4)))
}

fn whole(text: &str) -> Option<Found> {
    text.parse().map(Found::V4).or_else(|_| text.parse().map(Found::V6)).ok().or_else(|| {
        let mac = text.parse().ok()?;
        Some(Found::Mac(mac))
    })
}

/// The number behind a slash.
fn prefix(behind: &str) -> Option<u8> {
    let digits = behind.strip_prefix('/')?;
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let (number, rest) = digits.split_at_checked(end)?;
    if rest.starts_with(|c: char| c.is_alphanumeric() || c == '.') { None } else { number.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<String> {
        let mut found = Vec::new();
        replace(text, &mut |address, prefix| {
            found.push(match (address, prefix) {
                (Found::V4(v4), Some(prefix)) => format!("{v4}/{prefix}"),
                (Found::V6(v6), Some(prefix)) => format!("{v6}/{prefix}"),
                (Found::V4(v4), None) => v4.to_string(),
                (Found::V6(v6), None) => v6.to_string(),
                (Found::Mac(mac), _) => mac.to_string(),
            });
            None
        });
        found
    }

    #[test]
    fn addresses_are_found_where_they_are_words() {
        for (text, expected) in [
            ("10.1.0.2", vec!["10.1.0.2"]),
            ("10.1.0.2/24", vec!["10.1.0.2/24"]),
            ("fd01::1/64,", vec!["fd01::1/64"]),
            ("no route to 10.1.0.2: it is fd01::.", vec!["10.1.0.2", "fd01::"]),
            ("10.1.0.2:8080 [fd01::2]:80 fe80::1%eth0", vec!["10.1.0.2", "fd01::2", "fe80::1"]),
            ("10.1.0.9-10.1.0.20", vec!["10.1.0.9", "10.1.0.20"]),
            ("pod-10.1.0.2", vec!["10.1.0.2"]),
            ("(02:42:ac:11:00:02) 02-42-AC-11-00-03", vec!["02:42:ac:11:00:02", "02:42:ac:11:00:03"]),
            ("ä10.1.0.2 ä 10.1.0.3ä 10.1.0.4", vec!["10.1.0.4"]),
            ("http://10.1.0.2:80/24", vec!["10.1.0.2"]),
            ("::ffff:10.1.0.2", vec!["::ffff:10.1.0.2"]),
        ] {
            assert_eq!(all(text), expected, "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_one_is_left() {
        for text in [
            "sha256:ab12",
            "std::fmt",
            "veth0a1b2c3d",
            "1.1.0",
            "v10.1.0.2",
            "10.1.0.2x",
            "10.1.0.256",
            "1.2.3.4.5",
            "add",
            "12:30:00",
            "net/ipv4/conf/eth0.100/x",
            "1b2c3d4e-aaaa-bbbb-cccc-0123456789ab",
            "",
        ] {
            assert_eq!(all(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn what_is_around_them_stays() {
        let text = "a 10.1.0.2/24: b [fd01::2]:80, 02:42:ac:11:00:02.";
        let new = replace(text, &mut |address, _| match address {
            Found::V4(_) => Some("four".into()),
            Found::V6(_) => None,
            Found::Mac(_) => Some("mac".into()),
        });
        assert_eq!(new.as_deref(), Some("a four/24: b [fd01::2]:80, mac."));
        assert_eq!(replace(text, &mut |_, _| None), None);
    }
}
