//! iptables' own words: conditions that a configuration gives, and what iptables-save prints.

use wharf_ops::Error;

use crate::common::grammar::{Word, Words, bad, combine};
use crate::common::nftables::conditions::number;
use crate::common::nftables::expr::Side;

use super::rule::{Match, PortsOf, Rule, Target, protocol_number};
use super::values::{address_range, addresses, comment, interface, multiport, ports, state};

const KNOWN: &str = "[!] -s|-d address[/length][,...], [!] -i|-o name[+], [!] -p protocol, \
                     [!] --sport|--dport port[:port], -m multiport [!] --sports|--dports|--ports port[:port][,...], \
                     -m iprange [!] --src-range|--dst-range address[-address], \
                     -m conntrack [!] --ctstate state[,...], -m state [!] --state state[,...], \
                     -m mark [!] --mark value[/mask], -m addrtype [!] --src-type|--dst-type LOCAL, \
                     -m comment --comment text";

/// The option whose value may hold spaces.
const COMMENT: &str = "--comment";

/// The matches that a configuration's words ask for: rows, of which one must hold. A list of addresses makes several.
pub(crate) fn conditions(words: &[String], v4: bool) -> Result<Vec<Vec<Match>>, Error> {
    let all = elements(words);
    let mut rest = Words::of(&all);
    let mut rows = vec![Vec::new()];
    while let Some(word) = rest.next() {
        rows = condition(word, &mut rest, v4)
            .and_then(|matches| combine(&rows, &matches))
            .map_err(|error| rest.blame(v4, error))?;
    }
    Ok(rows)
}

/// The alternatives that a word begins; a module's name asks for nothing.
fn condition(word: &str, rest: &mut Words<'_>, v4: bool) -> Result<Vec<Vec<Match>>, Error> {
    if ["-j", "--jump", "-g", "--goto"].contains(&word) {
        return Err(unknown(word));
    }
    match one(word, rest, v4)? {
        Some(Item::Matches(matches)) => {
            matches.iter().try_for_each(own_comment)?;
            Ok(matches.into_iter().map(|one| vec![one]).collect())
        }
        Some(Item::Target(_)) | None => Ok(vec![Vec::new()]),
    }
}

/// A comment that says nothing but what somebody wants to know of the rule: no line of its own where rules are saved, and
/// nothing by which Wharf or a reference plugin tells whose a rule is.
fn own_comment(one: &Match) -> Result<(), Error> {
    let Match::Comment(text) = one else { return Ok(()) };
    if text.contains(char::is_control) {
        return Err(Error::invalid(format!("the comment {text:?} has control characters")));
    }
    if ["wharf ", "name: ", "dnat name: "].iter().any(|start| text.starts_with(start)) {
        return Err(Error::invalid(format!(
            "the comment {text:?} begins as one that says whose a rule is: write another"
        )));
    }
    Ok(())
}

/// An element is a word, or several with spaces between them. Only a comment's text is an element as a whole.
fn elements(list: &[String]) -> Vec<Word> {
    let mut all: Vec<Word> = Vec::new();
    for (element, text) in list.iter().enumerate() {
        let mut add = |text: &str| all.push(Word { text: text.to_owned(), element });
        let before = element.checked_sub(1).and_then(|before| list.get(before));
        if before.is_some_and(|before| before.split_whitespace().next_back() == Some(COMMENT)) {
            add(text);
        } else {
            text.split_whitespace().for_each(add);
        }
    }
    all
}

/// Whether these are iptables' words rather than nftables': the first one tells.
pub(crate) fn are_iptables(words: &[String]) -> bool {
    words.first().is_some_and(|word| word.trim_start().starts_with(['-', '!']))
}

/// A line of iptables-save: the chain, and the rule unless something in it is of no kind that Wharf makes.
pub(crate) fn saved(line: &str, v4: bool) -> Option<(String, Option<Rule>)> {
    let all: Vec<Word> =
        split(line.strip_prefix("-A ")?).into_iter().map(|text| Word { text, element: 0 }).collect();
    let mut rest = Words::of(&all);
    let chain = rest.next()?.to_owned();
    let mut matches = Vec::new();
    let mut target = None;
    while let Some(word) = rest.next() {
        match one(word, &mut rest, v4) {
            Ok(Some(Item::Matches(found))) => matches.extend(found),
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

const MODULES: [&str; 10] =
    ["mark", "addrtype", "comment", "tcp", "udp", "sctp", "multiport", "iprange", "conntrack", "state"];

enum Item {
    /// Of which one must hold: one, but for a list of addresses, which no saved rule has.
    Matches(Vec<Match>),
    Target(Target),
}

fn unknown(word: &str) -> Error {
    Error::invalid(format!("{word:?} is not known here; known are: {KNOWN}"))
}

/// `!` stands before the option, in old configurations behind it.
fn one(word: &str, rest: &mut Words<'_>, v4: bool) -> Result<Option<Item>, Error> {
    let mut negated = word == "!";
    let option = if negated { rest.value("!")? } else { word };
    if option == "-m" || option == "--match" {
        let module = rest.value(option)?;
        return if MODULES.contains(&module) { Ok(None) } else { Err(unknown(&format!("-m {module}"))) };
    }
    negated |= rest.skip("!");
    let found = match option {
        "-s" | "--source" | "--src" => {
            let found = addresses(Side::Source, rest.value(option)?, negated, v4)?;
            return Ok(Some(Item::Matches(found)));
        }
        "-d" | "--destination" | "--dst" => {
            let found = addresses(Side::Destination, rest.value(option)?, negated, v4)?;
            return Ok(Some(Item::Matches(found)));
        }
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
        COMMENT if !negated => Match::Comment(comment(rest.value(option)?)?),
        "--sports" | "--source-ports" => multiport(PortsOf::Source, rest.value(option)?, negated)?,
        "--dports" | "--destination-ports" => multiport(PortsOf::Destination, rest.value(option)?, negated)?,
        "--ports" => multiport(PortsOf::Either, rest.value(option)?, negated)?,
        "--src-range" => address_range(Side::Source, rest.value(option)?, negated, v4)?,
        "--dst-range" => address_range(Side::Destination, rest.value(option)?, negated, v4)?,
        "--ctstate" | "--state" => state(rest.value(option)?, negated)?,
        "-j" | "--jump" | "-g" | "--goto" if !negated => {
            return target(rest.value(option)?, rest).map(|target| Some(Item::Target(target)));
        }
        other => return Err(unknown(other)),
    };
    Ok(Some(Item::Matches(vec![found])))
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

    fn rows(text: &str) -> Result<Vec<Vec<Match>>, Error> {
        conditions(&text.split(' ').map(str::to_owned).collect::<Vec<_>>(), true)
    }

    fn parse(text: &str) -> Result<Vec<Match>, Error> {
        rows(text).map(|rows| rows.concat())
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
    fn extensions() {
        let range = |side, from: &str, to: &str, negated| Match::Range {
            side,
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            negated,
        };
        for (text, wanted) in [
            ("-m conntrack --ctstate new,RELATED", Match::State { bits: 12, negated: false }),
            ("-m state ! --state INVALID", Match::State { bits: 1, negated: true }),
            (
                "-m iprange --src-range 192.0.2.1-192.0.2.9",
                range(Side::Source, "192.0.2.1", "192.0.2.9", false),
            ),
            ("-m iprange ! --dst-range 192.0.2.1", range(Side::Destination, "192.0.2.1", "192.0.2.1", true)),
            (
                "-m multiport ! --sports 1000:2000,9",
                Match::Multiport { of: PortsOf::Source, ranges: vec![(1000, 2000), (9, 9)], negated: true },
            ),
        ] {
            assert_eq!(parse(text).unwrap(), [wanted], "{text}");
        }
    }

    #[test]
    fn of_a_list_of_addresses_each_is_a_row() {
        let found = rows("-s 10.0.0.0/8,192.168.0.0/16 -i eth0 -d 192.0.2.1,192.0.2.2").unwrap();
        assert_eq!(found.len(), 4);
        assert!(found.iter().all(|row| row.len() == 3));
        assert!(rows("-i eth0").unwrap().len() == 1 && conditions(&[], true).unwrap() == [vec![]]);
        let many = "192.0.2.1,".repeat(8) + "192.0.2.1";
        let error = rows(&format!("-s {many} -d {many}")).unwrap_err();
        assert!(error.message.starts_with("conditions-v4[3]: ") && error.message.contains("64"), "{error}");
    }

    #[test]
    fn elements_are_taken_as_they_are() {
        let list = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let comment = |text: &str| Match::Comment(text.into());
        let found = conditions(&list(&["-m", "comment", "--comment", "two  words"]), true).unwrap();
        assert_eq!(found, [vec![comment("two  words")]]);
        for text in
            ["two\nlines", "wharf net/other/eth0", "name: \"n\" id: \"c\"", "dnat name: \"n\" id: \"c\""]
        {
            let error = conditions(&list(&["--comment", text]), true).unwrap_err();
            assert!(error.message.starts_with("conditions-v4[1]: the comment "), "{error}");
        }
        let phrases = ["-m comment --comment one", "-i eth0"];
        let found = conditions(&list(&phrases), true).unwrap();
        let input = Match::Interface { input: true, name: "eth0".into(), negated: false };
        assert_eq!(found, [vec![comment("one"), input]]);
    }

    #[test]
    fn the_element_that_is_wrong_is_named() {
        for (words, v4, named) in [
            (vec!["-s", "10.0.0.0/33"], true, "conditions-v4[1]: "),
            (vec!["-i", "eth0", "-s"], true, "conditions-v4[2]: "),
            (vec!["-i eth0", "-x 5"], false, "conditions-v6[1]: "),
            (vec!["-j", "ACCEPT"], false, "conditions-v6[0]: "),
        ] {
            let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
            let error = conditions(&words, v4).unwrap_err();
            assert!(error.message.starts_with(named), "{error}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, named) in [
            ("-m limit --limit 5/s", "limit"),
            ("-m conntrack --ctstate ODD", "ODD"),
            ("-m iprange --src-range 192.0.2.9-192.0.2.1", "192.0.2.9-192.0.2.1"),
            ("-m iprange --src-range fd00::1", "fd00::1"),
            ("-m multiport --dports 1:2,3:4,5:6,7:8,9:10,11:12,13:14,15:16", "15"),
            ("! -s 10.0.0.0/8,192.0.2.1", "list of addresses"),
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
                Match::destination_ports(&[80, 81]),
                Match::Multiport { of: PortsOf::Either, ranges: vec![(1, 9), (20, 20)], negated: true },
                Match::State { bits: 0x1cf, negated: true },
                Match::Range {
                    side: Side::Source,
                    from: "192.0.2.1".parse().unwrap(),
                    to: "192.0.2.9".parse().unwrap(),
                    negated: true,
                },
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
