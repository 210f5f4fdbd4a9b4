//! Conditions of forwarded ports as the kernel and its tools have them.

use wharf_ops::nat::{Backend, ForwardOptions, NatOp};

use super::testing::*;
use crate::Netns;

fn words(list: &[&str]) -> Vec<String> {
    list.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn iptables_has_conditions_as_if_it_had_written_them() {
    let list = words(&[
        "-s",
        "10.0.0.0/8,192.168.0.0/16",
        "-m",
        "conntrack",
        "!",
        "--ctstate",
        "INVALID,UNTRACKED",
        "-m",
        "iprange",
        "--dst-range",
        "10.0.0.1-10.0.0.9",
        "-m",
        "multiport",
        "!",
        "--sports",
        "1:9,3000",
        "-m",
        "comment",
        "--comment",
        "two words",
    ]);
    for flavour in ["nft", "legacy"] {
        let host = Netns::anonymous().unwrap();
        if flavour == "legacy" {
            sh(&host, "iptables-legacy -t nat -S");
        }
        let mut kernel = kernel(&host);
        let options = ForwardOptions { conditions_v4: list.clone(), ..options(Backend::Iptables) };
        let rule = forward(8080, "10.1.0.2:80");
        forward_ports(&mut kernel, &owner("one", "eth0"), std::slice::from_ref(&rule), &options);
        let program = format!("iptables-{flavour} -t nat");
        let entries = sh(&host, &format!("{program} -S CNI-HOSTPORT-DNAT"));
        for source in ["-s 10.0.0.0/8 ", "-s 192.168.0.0/16 "] {
            let line = entries.lines().find(|line| line.contains(source)).expect("a rule for each source");
            for part in [
                "-m conntrack ! --ctstate INVALID,UNTRACKED",
                "-m iprange --dst-range 10.0.0.1-10.0.0.9",
                "-m multiport ! --sports 1:9,3000",
                "--comment \"two words\"",
            ] {
                assert!(line.contains(part), "{flavour}: {part}: {line}");
            }
            let rule = line.strip_prefix("-A ").unwrap();
            sh(&host, &format!("{program} -C {rule}"));
        }
        let read = nat(&mut kernel, &owner("one", "eth0"), NatOp::GetForwards).unwrap();
        assert_eq!(read.forwards().unwrap(), [rule], "{flavour}");
        nat(&mut kernel, &owner("one", "eth0"), NatOp::RemoveForwards).unwrap();
        assert!(!sh(&host, &format!("{program} -S")).contains("conntrack"), "{flavour}: nothing is left");
    }
}

#[test]
fn nft_reads_fields_of_the_header_and_loads_them_again() {
    let host = Netns::anonymous().unwrap();
    let mut kernel = kernel(&host);
    let four = words(&["fib saddr type != local", "ip ttl > 4", "ip", "dscp", "{ cs1, 5 }", "iifgroup 5"]);
    let six = words(&["fib", "daddr", "type", "local", "ip6 hoplimit <= 64", "ip6 dscp != ef"]);
    let options = ForwardOptions { conditions_v4: four, conditions_v6: six, ..options(Backend::Nftables) };
    let rules = [forward(8080, "10.1.0.2:80"), forward(8081, "[fd01::2]:80")];
    forward_ports(&mut kernel, &owner("one", "eth0"), &rules, &options);
    let read = nat(&mut kernel, &owner("one", "eth0"), NatOp::GetForwards).unwrap().forwards().unwrap();
    assert_eq!(read, rules);
    let text = sh(&host, "nft list ruleset");
    for part in [
        "fib saddr type != local",
        "ip ttl 5-255",
        "ip dscp cs1",
        "iifgroup 5",
        "fib daddr type local",
        "ip6 hoplimit 0-64",
        "ip6 dscp != ef",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    sh(&host, "rules=$(nft list ruleset); nft flush ruleset; printf '%s\\n' \"$rules\" | nft -f -");
    assert_eq!(sh(&host, "nft list ruleset").lines().count(), text.lines().count());
}

#[test]
fn conditions_on_the_connection_and_the_source_let_traffic_through_or_not() {
    for (backend, list, open) in [
        (Backend::Iptables, words(&["-s", "198.51.100.1,192.0.2.2"]), true),
        (Backend::Iptables, words(&["-s", "198.51.100.1,198.51.100.2"]), false),
        (Backend::Iptables, words(&["-m", "state", "--state", "NEW"]), true),
        (Backend::Iptables, words(&["-m", "conntrack", "--ctstate", "INVALID"]), false),
        (Backend::Iptables, words(&["-m", "iprange", "--src-range", "192.0.2.2-192.0.2.3"]), true),
        (Backend::Iptables, words(&["-m", "multiport", "--sports", "1:1023"]), false),
        (Backend::Nftables, words(&["ip", "ttl", ">", "4"]), true),
        (Backend::Nftables, words(&["ip", "dscp", "ef"]), false),
        (Backend::Nftables, words(&["fib", "saddr", "type", "!=", "local"]), true),
    ] {
        let world = World::new();
        serve(&world.one, "10.1.0.2:80", "one");
        let mut kernel = kernel(&world.host);
        let options = ForwardOptions { conditions_v4: list.clone(), ..options(backend) };
        forward_ports(&mut kernel, &owner("one", "eth0"), &[forward(8080, "10.1.0.2:80")], &options);
        let answer = ask(&world.peer, &format!("{HOST}:8080"));
        assert_eq!(answer.is_some(), open, "{list:?}: {answer:?}");
    }
}
