//! iptables' own words: conditions that a configuration gives, and what iptables-save prints.

use ipnetwork::IpNetwork;
use wharf_ops::Error;

use crate::common::nftables::conditions::{name_bytes, number};
use crate::common::nftables::expr::Side;

use super::rule::{Match, Rule, Target, protocol_number};

const KNOWN: &str = "[!] -s|-d address[/length], [!] -i|-o name[+], [!] -p protocol, [!] --sport|--dport port[:port], \
                     -m mark [!] --mark value[/mask], -m addrtype [!] --src-type|--dst-type LOCAL, \
                     -m comment --comment text";

/// The matches that a configuration's words ask for.
pub(crate) fn conditions(words: &[String], v4: bool) -> Result<Vec<Match>, Error> {
    let tokens: Vec<String> =
        words.iter().flat_map(|word| word.split_whitespace()).map(str::to_owned).collect();
    let mut rest = Words { all: &tokens, at: 0 };
    let mut matches = Vec::new();
    while let Some(word) = rest.next() {
        let one = one(word, &mut rest, v4)
            .map_err(|error| error.context(format!("the iptables condition {:?}", tokens.join(" "))))?;
        if let Some(Item::Match(one)) = one {
            matches.push(one);
        } else if let Some(Item::Target(_)) = one {
            return Err(unknown(word).context(format!("the iptables condition {:?}", tokens.join(" "))));
        }
    }
    Ok(matches)
}

/// Whether these are iptables' words rather than nftables': the first one tells.
pub(crate) fn are_iptables(words: &[String]) -> bool {
    words.first().is_some_and(|word| word.trim_start().starts_with(['-', '!']))
}

/// A line of iptables-save: the chain, and the rule unless something in it is of no kind that Wharf makes.
pub(crate) fn saved(line: &str, v4: bool) -> Option<(String, Option<Rule>)> {
    let tokens = split(line.strip_prefix("-A ")?);
    let mut rest = Words { all: &tokens, at: 0 };
    let chain = rest.next()?.to_owned();
    let mut matches = Vec::new();
    let mut target = None;
    while let Some(word) = rest.next() {
        match one(word, &mut rest, v4) {
            Ok(Some(Item::Match(one))) => matches.push(one),
            Ok(Some(Item::Target(one))) => target = Some(one),
            Ok(None) => {}
            Err(_) => return Some((chain, None)),
        }
    }
    Some((chain, target.map(|target| Rule { matches, target })))
}

/// Words, of which those in quotes may hold spaces.
fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            '\\' if quoted => word.get_or_insert_default().extend(chars.next()),
            ' ' if !quoted => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

enum Item {
    Match(Match),
    Target(Target),
}

struct Words<'a> {
    all: &'a [String],
    at: usize,
}

impl<'a> Words<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let word = self.all.get(self.at)?;
        self.at += 1;
        Some(word)
    }

    fn value(&mut self, after: &str) -> Result<&'a str, Error> {
        self.next().ok_or_else(|| Error::invalid(format!("a value is missing after {after:?}")))
    }

    fn skip(&mut self, word: &str) -> bool {
        let found = self.all.get(self.at).is_some_and(|next| next == word);
        self.at += usize::from(found);
        found
    }
}

fn unknown(word: &str) -> Error {
    Error::invalid(format!("{word:?} is not known here; known are: {KNOWN}"))
}

fn bad(what: &str, text: &str) -> Error {
    Error::invalid(format!("{text:?} is no {what}"))
}

/// `!` stands before the option, in old configurations behind it.
fn one(word: &str, rest: &mut Words<'_>, v4: bool) -> Result<Option<Item>, Error> {
    let mut negated = word == "!";
    let option = if negated { rest.value("!")? } else { word };
    if option == "-m" || option == "--match" {
        let module = rest.value(option)?;
        let known = ["mark", "addrtype", "comment", "tcp", "udp", "sctp", "multiport"].contains(&module);
        return if known { Ok(None) } else { Err(unknown(&format!("-m {module}"))) };
    }
    negated |= rest.skip("!");
    let found = match option {
        "-s" | "--source" | "--src" => address(Side::Source, rest.value(option)?, negated, v4)?,
        "-d" | "--destination" | "--dst" => address(Side::Destination, rest.value(option)?, negated, v4)?,
        "-i" | "--in-interface" => interface(true, rest.value(option)?, negated)?,
        "-o" | "--out-interface" => interface(false, rest.value(option)?, negated)?,
        "-p" | "--protocol" | "--proto" => {
            let text = rest.value(option)?;
            let number = protocol_number(text).ok_or_else(|| bad("protocol", text))?;
            Match::Protocol { number, negated }
        }
        "--sport" | "--source-port" => ports(Side::Source, rest.value(option)?, negated)?,
        "--dport" | "--destination-port" => ports(Side::Destination, rest.value(option)?, negated)?,
        "--mark" => {
            let text = rest.value(option)?;
            let (value, mask) = text.split_once('/').unwrap_or((text, "0xffffffff"));
            Match::Mark { value: number(value)?, mask: number(mask)?, negated }
        }
        "--src-type" | "--dst-type" => match rest.value(option)? {
            "LOCAL" => {
                let side = if option == "--src-type" { Side::Source } else { Side::Destination };
                Match::Local { side, negated }
            }
            other => return Err(unknown(&format!("{option} {other}"))),
        },
        "--comment" if !negated => Match::Comment(comment(rest.value(option)?)?),
        "--dports" | "--destination-ports" if !negated => {
            let text = rest.value(option)?;
            let ports: Option<Vec<u16>> = text.split(',').map(|port| port.parse().ok()).collect();
            Match::Multiport(ports.ok_or_else(|| bad("list of ports", text))?)
        }
        "-j" | "--jump" | "-g" | "--goto" if !negated => {
            return target(rest.value(option)?, rest).map(|target| Some(Item::Target(target)));
        }
        other => return Err(unknown(other)),
    };
    Ok(Some(Item::Match(found)))
}

fn comment(text: &str) -> Result<String, Error> {
    if text.len() < 256 { Ok(text.to_owned()) } else { Err(Error::invalid("a comment of over 255 bytes")) }
}

fn address(side: Side, text: &str, negated: bool, v4: bool) -> Result<Match, Error> {
    let network: IpNetwork = text.parse().map_err(|_| bad("address", text))?;
    if network.is_ipv4() != v4 {
        return Err(bad("address of this family", text));
    }
    let network = IpNetwork::new(network.network(), network.prefix()).map_err(|_| bad("address", text))?;
    Ok(Match::Address { side, network, negated })
}

fn interface(input: bool, text: &str, negated: bool) -> Result<Match, Error> {
    name_bytes(text, '+')?;
    Ok(Match::Interface { input, name: text.to_owned(), negated })
}

fn ports(side: Side, text: &str, negated: bool) -> Result<Match, Error> {
    let parse = |text: &str| text.parse::<u16>().map_err(|_| bad("port", text));
    let (from, to) = match text.split_once(':') {
        Some((from, to)) => (parse(from)?, parse(to)?),
        None => (parse(text)?, parse(text)?),
    };
    if from > to { Err(bad("port range", text)) } else { Ok(Match::Ports { side, from, to, negated }) }
}

fn target(name: &str, rest: &mut Words<'_>) -> Result<Target, Error> {
    Ok(match name {
        "ACCEPT" => Target::Accept,
        "MASQUERADE" => Target::Masquerade,
        "MARK" if rest.skip("--set-xmark") => {
            let text = rest.value("--set-xmark")?;
            let (value, mask) = text.split_once('/').ok_or_else(|| bad("mark", text))?;
            if value != mask {
                return Err(unknown(text));
            }
            Target::Mark(number(value)?)
        }
        "DNAT" if rest.skip("--to-destination") => {
            let text = rest.value("--to-destination")?;
            let to: std::net::SocketAddr = text.parse().map_err(|_| bad("address and port", text))?;
            Target::Dnat(to.ip(), to.port())
        }
        "MARK" | "DNAT" | "DROP" | "RETURN" | "REDIRECT" | "SNAT" | "LOG" => return Err(unknown(name)),
        chain => Target::Jump(chain.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Vec<Match>, Error> {
        conditions(&text.split(' ').map(str::to_owned).collect::<Vec<_>>(), true)
    }

    #[test]
    fn negation_before_and_behind() {
        assert_eq!(parse("! -s 10.1.2.3/8").unwrap(), parse("-s ! 10.0.0.0/8").unwrap());
        assert_eq!(
            parse("-i eth+ -m mark ! --mark 0x1/0xff").unwrap(),
            [
                Match::Interface { input: true, name: "eth+".into(), negated: false },
                Match::Mark { value: 1, mask: 255, negated: true },
            ]
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, named) in [
            ("-m conntrack --ctstate NEW", "conntrack"),
            ("-x 1", "-x"),
            ("-s", "missing"),
            ("-s fd00::1", "fd00::1"),
            ("-d nowhere", "nowhere"),
            ("--dport 9:1", "9:1"),
            ("-j ACCEPT", "-j"),
            ("-p carrier-pigeon", "carrier-pigeon"),
            ("-i a-name-that-is-too-long", "a-name"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.message.contains(named), "{text}: {error}");
        }
    }

    #[test]
    fn rules_are_read_back_from_their_words() {
        let rule = Rule::new(
            vec![
                Match::Protocol { number: 17, negated: false },
                Match::Address { side: Side::Source, network: "10.0.0.0/8".parse().unwrap(), negated: true },
                Match::Comment("dnat name: \"n\\\" id: \"c\"".into()),
                Match::Multiport(vec![80, 81]),
                Match::Ports { side: Side::Source, from: 1, to: 9, negated: true },
                Match::Local { side: Side::Destination, negated: false },
            ],
            Target::Dnat("10.0.0.2".parse().unwrap(), 80),
        );
        let line = format!("-A CNI-DN-x{}", rule.words());
        assert_eq!(saved(&line, true), Some(("CNI-DN-x".into(), Some(rule))));
        assert_eq!(saved("-A X -m statistic --mode random -j Y", true), Some(("X".into(), None)));
        assert_eq!(saved(":X - [0:0]", true), None);
    }
}
