//! What each backend leaves in the kernel, read by the programs that others read it with.

use wharf_ops::nat::{Backend, ForwardOptions, MasqueradeRule, NatOp, PortForward, Protocol};

use super::testing::{World, ask, forward, forward_ports, kernel, nat, options, owner, serve, sh, try_sh};
use crate::{Kernel as _, Netns, RealKernel};

fn masquerade(kernel: &mut RealKernel, container: &str, address: &str, backend: Backend) {
    let rules = vec![MasqueradeRule {
        source: address.parse().unwrap(),
        except: vec!["10.1.0.0/16".parse().unwrap()],
    }];
    nat(kernel, &owner(container, "eth0"), NatOp::Masquerade { rules, backend }).unwrap();
}

#[test]
fn detection_says_what_automatic_does() {
    let host = Netns::anonymous().unwrap();
    let mut kernel = kernel(&host);
    let detected = nat(&mut kernel, &owner("one", "eth0"), NatOp::Detect).unwrap().backend().unwrap();
    assert_eq!(detected, Backend::Nftables);
    masquerade(&mut kernel, "one", "10.1.0.2", Backend::Automatic);
    assert_eq!(sh(&host, "nft list tables"), "table inet wharf-masquerade\n");
    let words = vec!["-s".into(), "10.0.0.0/8".into()];
    let conditions = ForwardOptions { conditions_v4: words, ..options(Backend::Automatic) };
    forward_ports(&mut kernel, &owner("one", "eth0"), &[forward(8080, "10.1.0.2:80")], &conditions);
    assert!(sh(&host, "iptables-nft -t nat -S CNI-HOSTPORT-DNAT").contains("-s 10.0.0.0/8"));
}

#[test]
fn nft_can_read_and_load_again_what_is_there() {
    let host = Netns::anonymous().unwrap();
    let mut kernel = kernel(&host);
    masquerade(&mut kernel, &"c".repeat(64), "10.1.0.2", Backend::Nftables);
    let words =
        vec!["ip saddr { 10.0.0.0/8, 192.0.2.1 } iifname \"eth*\" meta mark and 0xff == 0x1".to_owned()];
    let six = vec!["ip6 saddr != fd00::/9 tcp sport 1000-2000 ct state new,related".to_owned()];
    let conditions =
        ForwardOptions { conditions_v4: words, conditions_v6: six, ..options(Backend::Nftables) };
    let any = Some("0.0.0.0".parse().unwrap());
    let rules = [
        PortForward { host_address: any, ..forward(8080, "10.1.0.2:80") },
        PortForward { host_address: Some("192.0.2.1".parse().unwrap()), ..forward(8081, "10.1.0.2:80") },
        forward(8082, "[fd01::2]:80"),
    ];
    let long = wharf_ops::Attachment {
        network: "n".repeat(63),
        container: "c".repeat(64),
        ifname: "interface-15-by".into(),
    };
    for owner in [&owner("one", "eth0"), &long] {
        forward_ports(&mut kernel, owner, &rules, &conditions);
        let read = nat(&mut kernel, owner, NatOp::GetForwards).unwrap().forwards().unwrap();
        assert_eq!(read, rules);
    }
    let text = sh(&host, "nft list ruleset");
    assert!(text.contains("tcp . 8080 : jump f-"), "{text}");
    assert!(text.contains("comment \"net/one/eth0\""), "{text}");
    let json = sh(&host, "nft -j list ruleset");
    assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok());
    sh(&host, "rules=$(nft list ruleset); nft flush ruleset; printf '%s\\n' \"$rules\" | nft -f -");
    assert_eq!(sh(&host, "nft list ruleset").lines().count(), text.lines().count());
    assert_eq!(kernel.owners("net").unwrap().len(), 2, "what was loaded again still has its owners");
}

#[test]
fn a_flushed_or_deleted_base_is_made_again() {
    let host = Netns::anonymous().unwrap();
    let mut kernel = kernel(&host);
    everything(&mut kernel, Backend::Nftables);
    let chains = [
        "wharf prerouting",
        "wharf output",
        "wharf forwards",
        "wharf postrouting",
        "wharf loopback",
        "wharf-masquerade postrouting",
    ];
    let all = || chains.map(|chain| sh(&host, &format!("nft list chain inet {chain}")));
    let whole = all();
    for broken in [
        "nft flush chain inet wharf prerouting",
        "nft flush chain inet wharf output",
        "nft flush chain inet wharf forwards",
        "nft flush chain inet wharf postrouting",
        "nft flush chain inet wharf loopback",
        // As the tables were before there was that chain.
        "nft delete chain inet wharf loopback",
        "nft flush table inet wharf",
        "nft flush chain inet wharf-masquerade postrouting",
        "nft delete table inet wharf-masquerade",
        "nft flush ruleset",
    ] {
        sh(&host, broken);
        everything(&mut kernel, Backend::Nftables);
        assert_eq!(all(), whole, "after {broken}");
    }
}

/// Mapped ports of two containers, one of them where somebody else has the port already, and masquerading.
fn everything(kernel: &mut RealKernel, backend: Backend) {
    let any = Some("0.0.0.0".parse().unwrap());
    for (name, address) in [("one", "10.1.0.2"), ("two", "10.1.0.3")] {
        let rule = PortForward { host_address: any, ..forward(8080, &format!("{address}:80")) };
        forward_ports(kernel, &owner(name, "eth0"), &[rule], &options(backend));
        masquerade(kernel, name, address, backend);
    }
}

/// How many forwards and masquerades are in force, of both.
fn in_force(kernel: &mut RealKernel) -> (usize, usize) {
    let mut all = (0, 0);
    for name in ["one", "two"] {
        let mut get = |op| nat(kernel, &owner(name, "eth0"), op).unwrap();
        all.0 += get(NatOp::GetForwards).forwards().unwrap().len();
        all.1 += get(NatOp::GetMasquerades).masquerades().unwrap().len();
    }
    all
}

#[test]
fn what_nothing_leads_to_is_not_in_force_until_it_is_made_again() {
    let flush = |chain: &str| format!("nft flush chain inet wharf {chain}");
    for (broken, left) in [
        (flush("prerouting"), (0, 2)),
        (flush("output"), (0, 2)),
        (flush("forwards"), (0, 2)),
        (flush("postrouting"), (0, 2)),
        (flush("loopback"), (0, 2)),
        // The second one's way is behind the map.
        ("nft flush map inet wharf ports4".into(), (1, 2)),
        (flush("more-forwards"), (1, 2)),
        ("nft flush map inet wharf replies4".into(), (0, 2)),
        ("nft flush map inet wharf-masquerade sources4".into(), (2, 0)),
        ("nft flush chain inet wharf-masquerade postrouting".into(), (2, 0)),
    ] {
        let host = Netns::anonymous().unwrap();
        let mut kernel = kernel(&host);
        everything(&mut kernel, Backend::Nftables);
        assert_eq!(in_force(&mut kernel), (2, 2));
        let whole = sorted(&sh(&host, "nft list ruleset"));
        sh(&host, &broken);
        assert_eq!(in_force(&mut kernel), left, "{broken}");
        everything(&mut kernel, Backend::Nftables);
        assert_eq!(in_force(&mut kernel), (2, 2), "{broken}");
        assert_eq!(sorted(&sh(&host, "nft list ruleset")), whole, "{broken}");
    }
}

fn sorted(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn what_nothing_leads_to_in_iptables_is_not_in_force_until_it_is_made_again() {
    for flavour in ["nft", "legacy"] {
        for (table, chain) in [
            ("nat", "PREROUTING"),
            ("nat", "OUTPUT"),
            ("nat", "CNI-HOSTPORT-DNAT"),
            ("nat", "CNI-HOSTPORT-SETMARK"),
            ("nat", "CNI-HOSTPORT-MASQ"),
            ("nat", "POSTROUTING"),
            ("filter", "INPUT"),
            ("filter", "WHARF-LOOPBACK"),
        ] {
            if flavour == "legacy" && table == "filter" {
                // An ADD sees to it; to look would be one more run of a program.
                continue;
            }
            let host = Netns::anonymous().unwrap();
            if flavour == "legacy" {
                sh(&host, "iptables-legacy -t nat -S");
            }
            let mut kernel = kernel(&host);
            everything(&mut kernel, Backend::Iptables);
            assert_eq!(in_force(&mut kernel), (2, 2), "{flavour}");
            let save = || {
                let saved = sh(&host, &format!("iptables-{flavour}-save"));
                let rules = saved.lines().filter(|line| line.starts_with("-A"));
                sorted(&rules.collect::<Vec<_>>().join("\n"))
            };
            let whole = save();
            sh(&host, &format!("iptables-{flavour} -t {table} -F {chain}"));
            assert_eq!(in_force(&mut kernel).0, 0, "{flavour} {chain}");
            everything(&mut kernel, Backend::Iptables);
            assert_eq!(in_force(&mut kernel), (2, 2), "{flavour} {chain}");
            assert_eq!(save(), whole, "{flavour} {chain}");
        }
    }
}

#[test]
fn the_guard_of_the_loopback_is_as_iptables_writes_it_and_comes_back() {
    for flavour in ["nft", "legacy"] {
        let host = Netns::anonymous().unwrap();
        let tool = format!("iptables-{flavour}");
        if flavour == "legacy" {
            sh(&host, "iptables-legacy -t nat -S");
        }
        let mut kernel = kernel(&host);
        let mut add = |number: u8| {
            let rule = [forward(8000 + u16::from(number), &format!("10.1.0.{number}:80"))];
            let who = owner(&format!("c{number}"), "eth0");
            forward_ports(&mut kernel, &who, &rule, &options(Backend::Iptables));
            sh(&host, &format!("{tool} -S"))
        };
        let whole = add(2);
        let expected = "-A INPUT -d 127.0.0.0/8 ! -i lo -j WHARF-LOOPBACK
-A WHARF-LOOPBACK -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN
-A WHARF-LOOPBACK -m conntrack --ctstate DNAT -j RETURN
-A WHARF-LOOPBACK -j DROP
";
        assert!(whole.ends_with(expected), "{flavour}: {whole}");
        assert_eq!(add(3), whole, "{flavour}: once");
        for (number, broken) in
            [(4, "-F WHARF-LOOPBACK"), (5, "-F INPUT"), (6, "-F"), (7, "-D WHARF-LOOPBACK 3")]
        {
            sh(&host, &format!("{tool} {broken}"));
            assert_eq!(add(number), whole, "{flavour}: after {broken}");
        }
    }
}

#[test]
fn many_racing_creators_leave_one_base() {
    let host = Netns::anonymous().unwrap();
    std::thread::scope(|scope| {
        for number in 2..10 {
            let host = &host;
            scope.spawn(move || {
                let mut kernel = kernel(host);
                masquerade(
                    &mut kernel,
                    &format!("c{number}"),
                    &format!("10.1.0.{number}"),
                    Backend::Nftables,
                );
                masquerade(
                    &mut kernel,
                    &format!("c{number}"),
                    &format!("10.1.0.{number}"),
                    Backend::Iptables,
                );
                let rule = [forward(8000 + number, &format!("10.1.0.{number}:80"))];
                for backend in [Backend::Nftables, Backend::Iptables] {
                    let owner = owner(&format!("c{number}"), "net1");
                    forward_ports(&mut kernel, &owner, &rule, &options(backend));
                }
            });
        }
    });
    assert_eq!(sh(&host, "nft list chain inet wharf output").matches("jump forwards").count(), 1);
    let sources = sh(&host, "nft list chain inet wharf-masquerade postrouting");
    assert_eq!(sources.matches("jump more-sources").count(), 1);
    assert_eq!(sh(&host, "iptables-nft -S").matches("-j WHARF-LOOPBACK").count(), 1);
    let rules = sh(&host, "iptables-nft -t nat -S");
    assert_eq!(rules.matches("-j CNI-HOSTPORT-DNAT").count(), 2, "{rules}");
    assert_eq!(rules.matches("-j CNI-HOSTPORT-MASQ").count(), 1, "{rules}");
    assert_eq!(rules.matches("-A POSTROUTING -s").count(), 8, "{rules}");
    assert_eq!(kernel(&host).owners("net").unwrap().len(), 16);
}

/// The chains of these rules.
const CHAINS: &str = ":CNI-HOSTPORT-DNAT - [0:0]
:CNI-HOSTPORT-SETMARK - [0:0]
:CNI-HOSTPORT-MASQ - [0:0]
:CNI-DN-2bbe0c48b91a7d1b8a675 - [0:0]
:CNI-2bbe0c48b91a7d1b8a6753a8 - [0:0]
";

/// The rules as the reference plugins write them, in iptables' words.
const REFERENCE: &str = r#"
-A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT
-A OUTPUT -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT
-I POSTROUTING -m comment --comment "CNI portfwd requiring masquerade" -j CNI-HOSTPORT-MASQ
-A CNI-HOSTPORT-SETMARK -m comment --comment "CNI portfwd masquerade mark" -j MARK --set-xmark 0x2000/0x2000
-A CNI-HOSTPORT-MASQ -m mark --mark 0x2000/0x2000 -j MASQUERADE
-A CNI-HOSTPORT-DNAT -m comment --comment "dnat name: \"test\" id: \"1234\"" -m multiport -p tcp --destination-ports 8080,8081 -s 192.0.2.0/24 -j CNI-DN-2bbe0c48b91a7d1b8a675
-A CNI-HOSTPORT-DNAT -m comment --comment "dnat name: \"test\" id: \"1234\"" -m multiport -p udp --destination-ports 53 -s 192.0.2.0/24 -j CNI-DN-2bbe0c48b91a7d1b8a675
-A CNI-DN-2bbe0c48b91a7d1b8a675 -p tcp --dport 8080 -s 10.1.0.0/16 -j CNI-HOSTPORT-SETMARK
-A CNI-DN-2bbe0c48b91a7d1b8a675 -p tcp --dport 8080 -s 127.0.0.1 -j CNI-HOSTPORT-SETMARK
-A CNI-DN-2bbe0c48b91a7d1b8a675 -p tcp --dport 8080 -j DNAT --to-destination 10.1.0.2:80
-A CNI-DN-2bbe0c48b91a7d1b8a675 -p tcp --dport 8081 -d 192.0.2.1 -s 10.1.0.0/16 -j CNI-HOSTPORT-SETMARK
-A CNI-DN-2bbe0c48b91a7d1b8a675 -p tcp --dport 8081 -d 192.0.2.1 -s 127.0.0.1 -j CNI-HOSTPORT-SETMARK
-A CNI-DN-2bbe0c48b91a7d1b8a675 -p tcp --dport 8081 -d 192.0.2.1 -j DNAT --to-destination 10.1.0.2:80
-A CNI-DN-2bbe0c48b91a7d1b8a675 -p udp --dport 53 -s 10.1.0.0/16 -j CNI-HOSTPORT-SETMARK
-A CNI-DN-2bbe0c48b91a7d1b8a675 -p udp --dport 53 -s 127.0.0.1 -j CNI-HOSTPORT-SETMARK
-A CNI-DN-2bbe0c48b91a7d1b8a675 -p udp --dport 53 -j DNAT --to-destination 10.1.0.2:53
-A CNI-2bbe0c48b91a7d1b8a6753a8 -d 10.1.0.2/16 -j ACCEPT -m comment --comment "name: \"test\" id: \"1234\""
-A CNI-2bbe0c48b91a7d1b8a6753a8 ! -d 224.0.0.0/4 -j MASQUERADE -m comment --comment "name: \"test\" id: \"1234\""
-A POSTROUTING -s 10.1.0.2 -j CNI-2bbe0c48b91a7d1b8a6753a8 -m comment --comment "name: \"test\" id: \"1234\""
"#;

fn as_the_reference(host: &Netns) -> RealKernel {
    let mut kernel = kernel(host);
    let one =
        wharf_ops::Attachment { network: "test".into(), container: "1234".into(), ifname: "eth0".into() };
    let rules = [
        forward(8080, "10.1.0.2:80"),
        PortForward { host_address: Some("192.0.2.1".parse().unwrap()), ..forward(8081, "10.1.0.2:80") },
        PortForward { protocol: Protocol::Udp, ..forward(53, "10.1.0.2:53") },
    ];
    let words = vec!["-s".into(), "192.0.2.0/24".into()];
    let options = ForwardOptions { conditions_v4: words, ..options(Backend::Iptables) };
    forward_ports(&mut kernel, &one, &rules, &options);
    let source =
        MasqueradeRule { source: "10.1.0.2".parse().unwrap(), except: vec!["10.1.0.2/16".parse().unwrap()] };
    nat(&mut kernel, &one, NatOp::Masquerade { rules: vec![source], backend: Backend::Iptables }).unwrap();
    kernel
}

#[test]
fn iptables_prints_checks_and_deletes_what_is_there_as_its_own() {
    let (ours, theirs) = (Netns::anonymous().unwrap(), Netns::anonymous().unwrap());
    as_the_reference(&ours);
    sh(
        &theirs,
        &format!("iptables-nft-restore <<'END'\n*nat\n{CHAINS}{}COMMIT\nEND", REFERENCE.trim_start()),
    );
    let rules = |host| {
        let mut lines: Vec<String> = sh(host, "iptables-nft -t nat -S").lines().map(str::to_owned).collect();
        // Chains that were asked for without being used, and the order of chains among each other.
        lines.retain(|line| !line.starts_with("-P"));
        lines.sort_by_key(|line| line.split_whitespace().take(2).map(str::to_owned).collect::<Vec<_>>());
        lines
    };
    assert_eq!(rules(&ours), rules(&theirs));
    for line in REFERENCE.trim().lines() {
        let rule = line.strip_prefix("-A ").or_else(|| line.strip_prefix("-I ")).unwrap();
        sh(&ours, &format!("iptables-nft -t nat -C {rule}"));
        sh(&ours, &format!("iptables-nft -t nat -D {rule}"));
    }
    assert!(!sh(&ours, "iptables-nft -t nat -S").contains("-A "));
}

#[test]
fn rules_of_the_reference_are_removed_like_its_own_del_would() {
    let host = Netns::anonymous().unwrap();
    for flavour in ["iptables-nft", "iptables-legacy"] {
        sh(&host, &format!("{flavour}-restore <<'END'\n*nat\n{CHAINS}{}COMMIT\nEND", REFERENCE.trim_start()));
        let mut kernel = kernel(&host);
        assert_eq!(kernel.owners("test").unwrap(), [], "whose interface it was, nobody can say");
        let one =
            wharf_ops::Attachment { network: "test".into(), container: "1234".into(), ifname: "eth0".into() };
        kernel.sweep(&one).unwrap();
        let left = sh(&host, &format!("{flavour} -t nat -S"));
        assert!(!left.contains("2bbe0c48") && left.contains("CNI-HOSTPORT-MASQ"), "{left}");
    }
}

#[test]
fn an_external_chain_marks_instead() {
    let world = World::new();
    let mut kernel = world.kernel();
    serve(&world.one, "0.0.0.0:80", "one");
    sh(
        &world.host,
        "iptables-nft -t nat -N KUBE-MARK-MASQ; iptables-nft -t nat -A KUBE-MARK-MASQ -j MARK --or-mark 0x4000
         iptables-nft -t nat -A POSTROUTING -m mark --mark 0x4000/0x4000 -j MASQUERADE",
    );
    let chain = Some("KUBE-MARK-MASQ".to_owned());
    let options = ForwardOptions { external_mark_chain: chain, ..options(Backend::Automatic) };
    forward_ports(&mut kernel, &owner("one", "eth0"), &[forward(8080, "10.1.0.2:80")], &options);
    assert_eq!(ask(&world.one, "192.0.2.1:8080").unwrap(), "one 10.1.0.1");
    assert!(!sh(&world.host, "iptables-nft -t nat -S").contains("SETMARK"));
}

#[test]
fn more_ports_than_a_rule_holds() {
    for flavour in ["nft", "legacy"] {
        let host = Netns::anonymous().unwrap();
        if flavour == "legacy" {
            sh(&host, "iptables-legacy -t nat -S");
        }
        let rules: Vec<PortForward> = (9000..9040).map(|port| forward(port, "10.1.0.2:80")).collect();
        let mut kernel = kernel(&host);
        forward_ports(&mut kernel, &owner("one", "eth0"), &rules, &options(Backend::Iptables));
        assert_eq!(
            nat(&mut kernel, &owner("one", "eth0"), NatOp::GetForwards).unwrap().forwards().unwrap(),
            rules
        );
        let listed = sh(&host, &format!("iptables-{flavour} -t nat -S CNI-HOSTPORT-DNAT"));
        assert_eq!(listed.matches("multiport").count(), 3);
        kernel.sweep(&owner("one", "eth0")).unwrap();
        assert_eq!(sh(&host, &format!("iptables-{flavour} -t nat -S CNI-HOSTPORT-DNAT")).lines().count(), 1);
    }
}

#[test]
fn the_legacy_flavour_is_left_alone_where_it_is_not_used() {
    let host = Netns::anonymous().unwrap();
    let mut kernel = kernel(&host);
    masquerade(&mut kernel, "one", "10.1.0.2", Backend::Iptables);
    nat(&mut kernel, &owner("one", "eth0"), NatOp::GetForwards).unwrap();
    kernel.owners("net").unwrap();
    kernel.sweep(&owner("one", "eth0")).unwrap();
    // Running the program would have made the table.
    assert!(!try_sh(&host, "grep -q nat /proc/thread-self/net/ip_tables_names").0);
}

/// How many messages the netfilter socket has sent.
fn sent(kernel: &mut RealKernel) -> u32 {
    kernel.netfilter().unwrap().messages().first()
}

#[test]
fn the_last_of_many_sends_what_the_first_did() {
    let host = Netns::anonymous().unwrap();
    let mut kernel = kernel(&host);
    for backend in [Backend::Nftables, Backend::Iptables] {
        let mut costs = Vec::new();
        for number in 0..300_u16 {
            let address = format!("10.1.{}.{}", number / 250, number % 250 + 1);
            let before = sent(&mut kernel);
            masquerade(&mut kernel, &format!("c{number}"), &address, backend);
            let rules = [forward(10_000 + number, &format!("{address}:80"))];
            forward_ports(&mut kernel, &owner(&format!("c{number}"), "eth0"), &rules, &options(backend));
            costs.push(sent(&mut kernel) - before);
        }
        // The first one makes the base.
        assert!(costs[1..].iter().all(|cost| *cost == costs[1]), "{backend:?}: {costs:?}");
        assert!(costs[1] < 45, "{backend:?}: {}", costs[1]);
        assert_eq!(kernel.owners("net").unwrap().len(), 300);
        for number in 0..300 {
            kernel.sweep(&owner(&format!("c{number}"), "eth0")).unwrap();
        }
        assert_eq!(kernel.owners("net").unwrap(), []);
    }
}
