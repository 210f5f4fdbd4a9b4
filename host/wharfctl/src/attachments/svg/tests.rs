use wharf_ops::Attachment;
use wharf_ops::nat::{PortForward, Protocol};

use super::*;

/// A node with `count` containers on two bridges.
pub(crate) fn overview(count: u16) -> Overview {
    let one = |index: u16| Attached {
        attachment: Attachment {
            network: "net".into(),
            container: format!("c{index}"),
            ifname: "eth0".into(),
        },
        entries: vec!["bridge".into(), "portmap".into()],
        since: 0,
        netns: Some("/run/netns/c".into()),
        addresses: vec![format!("10.1.0.{}/24", index + 2).parse().unwrap(), "fd01::2/64".parse().unwrap()],
        host_link: Some(format!("veth{index}")),
        bridge: Some(format!("br{}", index % 2)),
        ports: vec![PortForward {
            protocol: Protocol::Tcp,
            host_address: None,
            host_port: 8000 + index,
            container_address: "10.1.0.2".parse().unwrap(),
            container_port: 80,
        }],
        state: State::Committed,
        unseen: None,
    };
    Overview {
        uplinks: vec!["wan0".into()],
        attachments: (0..count).map(one).collect(),
        unreadable: Vec::new(),
        odd: Vec::new(),
    }
}

/// Reads XML as far as a drawing has it, and answers the text of its elements. Anything that is not well-formed panics.
fn parse(xml: &str) -> Vec<String> {
    let (mut open, mut texts, mut rest) = (Vec::new(), Vec::new(), xml.trim());
    while !rest.is_empty() {
        let Some(tag) = rest.strip_prefix('<') else {
            let (text, after) = rest.split_at(rest.find('<').unwrap());
            assert!(!open.is_empty() && !text.contains('>'), "{text}");
            texts.push(unescape(text));
            rest = after;
            continue;
        };
        let (tag, after) = tag.split_once('>').unwrap();
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "in {tag}");
            continue;
        }
        let (tag, alone) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
        let (name, mut attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric()), "{tag}");
        let mut seen = Vec::new();
        while !attributes.trim().is_empty() {
            let (key, value) = attributes.trim_start().split_once("=\"").unwrap();
            let (value, after) = value.split_once('"').unwrap();
            assert!(!seen.contains(&key) && !value.contains('<'), "{tag}");
            unescape(value);
            seen.push(key);
            attributes = after;
        }
        if !alone {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?}");
    texts
}

fn unescape(text: &str) -> String {
    let mut parts = text.split('&');
    let mut plain = parts.next().unwrap().to_owned();
    for part in parts {
        let (entity, after) = part.split_once(';').unwrap();
        let known = [("amp", "&"), ("lt", "<"), ("gt", ">"), ("quot", "\""), ("apos", "'")];
        plain.push_str(known.iter().find(|(name, _)| *name == entity).unwrap().1);
        plain.push_str(after);
    }
    assert!(!plain.chars().any(|c| c.is_control() && c != '\n'), "{plain:?}");
    plain
}

#[test]
fn everything_is_in_the_drawing() {
    let texts = parse(&draw(&overview(3)));
    let has = |text: &str| texts.iter().any(|found| found.contains(text));
    for text in ["wan0", "br0", "br1", "veth2", "c2 · net · eth0", "10.1.0.4/24  fd01::2/64", "8002→80/tcp"]
    {
        assert!(has(text), "{text}: {texts:?}");
    }
    assert!(has("2 ports") && has("1 port") && has("3 attachments"));
}

#[test]
fn names_are_text_whatever_is_in_them() {
    let mut all = overview(1);
    let one = &mut all.attachments[0];
    one.attachment.container = "<a&b>".into();
    one.attachment.network = "\"'\u{1}]]>".into();
    one.bridge = Some("</svg>".into());
    let texts = parse(&draw(&all));
    assert!(texts.iter().any(|text| text.starts_with("<a&b> · \"'\u{fffd}]]> · eth0")), "{texts:?}");
    assert!(texts.contains(&"</svg>".to_owned()));
}

/// The attribute as a number, of each element of that name.
fn numbers(svg: &str, element: &str, attribute: &str) -> Vec<usize> {
    let (start, key) = (format!("<{element} "), format!("{attribute}=\""));
    let mut found = Vec::new();
    for rest in svg.split(start.as_str()).skip(1) {
        let mut words = rest.split('>').next().unwrap().split(' ');
        let value = words.find_map(|word| word.strip_prefix(key.as_str()));
        found.extend(value.map(|value| value.split('"').next().unwrap().parse::<usize>().unwrap()));
    }
    found
}

#[test]
fn any_number_is_laid_out_without_overlaps() {
    for count in [0, 1, 2, 7, 50] {
        let svg = draw(&overview(count));
        parse(&svg);
        let height = numbers(&svg, "svg", "height")[0];
        let tops = numbers(&svg, "rect", "y");
        let heights = numbers(&svg, "rect", "height");
        let lefts = numbers(&svg, "rect", "x");
        assert!(tops.iter().zip(&heights).all(|(top, own)| top + own <= height), "{count}");
        let mut boxes: Vec<(usize, usize)> = lefts
            .iter()
            .zip(tops.iter().zip(&heights))
            .filter(|(left, _)| **left == CONTAINER.0)
            .map(|(_, (top, own))| (*top, top + own))
            .collect();
        boxes.sort_unstable();
        assert_eq!(boxes.len(), usize::from(count));
        assert!(boxes.windows(2).all(|pair| pair[0].1 < pair[1].0), "{count}: {boxes:?}");
        assert!(numbers(&svg, "text", "y").iter().all(|y| *y < height));
    }
}

#[test]
fn what_is_too_long_is_cut_where_it_would_reach_its_neighbour() {
    let mut all = overview(1);
    all.attachments[0].attachment.container = "c".repeat(64);
    all.uplinks = vec!["a-very-long-name-of-an-uplink".into()];
    let svg = draw(&all);
    let texts = parse(&svg);
    assert!(texts.iter().any(|text| text.contains(&"c".repeat(64))), "whole in the title");
    assert!(texts.iter().any(|text| text.starts_with("ccccccccccccc… · net · eth0")), "{texts:?}");
    assert!(texts.iter().any(|text| text == "a-very-long-na…"), "{texts:?}");
}

#[test]
fn what_is_not_whole_is_marked() {
    let mut all = overview(1);
    all.attachments[0].state = State::Gone;
    let svg = draw(&all);
    assert!(parse(&svg).iter().any(|text| text.starts_with("gone  10.1.0.2/24")));
    assert!(svg.contains("class=\"broken\"") && svg.contains("class=\"gone\""));
}
