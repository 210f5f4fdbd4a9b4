//! wharfctl plan and lint: what a list would do, told beforehand; and what is wrong with one.

use std::process::Output;

use wharf_tests::install::{Binaries, wharfctl};
use wharf_tests::node::files;
use wharf_tests::{Network, Node, Value, json, sh};

use crate::common::{BACKENDS, bridge, full, limits, portmap, written};

fn ctl(node: &Node, args: &[&str]) -> Output {
    node.run(|| wharfctl(&node.root()).args(args).output().unwrap())
}

fn planned(node: &Node, file: &str, netns: &str, capabilities: &Value) -> Value {
    let capabilities = capabilities.to_string();
    let args =
        ["plan", file, "--container", "c", "--netns", netns, "--json", "--capabilities", &capabilities];
    let output = ctl(node, &args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Who asked for what, and whether it was so already.
type Said = (String, String, bool);

fn of_plan(plan: &Value) -> Vec<Said> {
    let text = |change: &Value, key: &str| change[key].as_str().unwrap().to_owned();
    let changes = plan["changes"].as_array().unwrap().iter();
    changes
        .map(|it| (text(it, "guest"), text(it, "operation"), text(it, "outcome") == "was so already"))
        .collect()
}

/// The same of what really was done, from the journals, in the order of the list's plugins.
fn of_journals(node: &Node, entries: &[&str]) -> Vec<Said> {
    let shown = sh::run(wharfctl(&node.root()).args(["journal", "show", "c/eth0"]));
    let of_entry = |entry: &&str| {
        let journal = shown.split("\n\n").flat_map(|part| part.split_inclusive('\n')).collect::<Vec<_>>();
        let begin = journal.iter().position(|line| line.starts_with(&format!("c:eth0:{entry}:"))).unwrap();
        let lines = journal.into_iter().skip(begin + 1).take_while(|line| line.starts_with(' '));
        let steps = lines.filter_map(|line| {
            let mut words = line.split_whitespace();
            words.next()?.parse::<u32>().ok()?;
            let (guest, operation) = (words.next()?.to_owned(), words.next()?.to_owned());
            Some((guest, operation, line.contains("was so already")))
        });
        steps.collect::<Vec<_>>()
    };
    entries.iter().flat_map(of_entry).collect()
}

#[test]
fn the_plan_is_what_then_happens_and_changes_nothing() {
    for backend in BACKENDS {
        for chain in [false, true] {
            let node = Node::new();
            let plugins = full(backend);
            let file = written(&node, &plugins, chain);
            let capabilities = json!({
                "portMappings": [{"hostPort": 8001, "containerPort": 80, "protocol": "tcp"}],
                "bandwidth": limits(),
            });
            let network = Network::new(&node, plugins);
            let network = if chain { network.chain() } else { network };
            let entries: &[&str] = if chain { &["wharf"] } else { &["bridge", "portmap", "bandwidth"] };
            let container = node.container("c");
            let target = container.eth0().port(8001, 80).with("bandwidth", limits());
            // On a fresh node, and on one that has the bridge already.
            for round in 0..2 {
                let before = (node.dump(), container.dump());
                let plan = planned(&node, &file, &target.netns, &capabilities);
                node.dump().assert_same(&before.0);
                container.dump().assert_same(&before.1);

                let attachment = network.attach(&target);
                assert_eq!(
                    of_plan(&plan),
                    of_journals(&node, entries),
                    "{backend}, chain: {chain}, round {round}"
                );
                assert_eq!(plan["result"]["ips"], attachment.result["ips"]);
                assert_eq!(plan["result"]["routes"], attachment.result["routes"]);
                assert_eq!(plan["unknown"], json!([]));
                attachment.del().silent();
            }
        }
    }
}

#[test]
fn a_plan_says_what_would_fail_and_what_it_cannot_know() {
    let node = Node::new();
    let container = node.container("c");
    let netns = container.eth0().netns;
    let file = written(&node, &[bridge(json!({"bridge": "lo"})), json!({"type": "tuning"})], false);
    let output = ctl(&node, &["plan", &file, "--netns", &netns]);
    let (said, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!output.status.success() && error.contains("would fail"), "{error}");
    assert!(
        said.contains("fails with code") && said.contains("lo in the host's namespace is there already"),
        "{said}"
    );

    let file = written(&node, &[bridge(json!({})), json!({"type": "tuning"})], false);
    let output = ctl(&node, &["plan", &file]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("plugins[1]: tuning is no guest"), "{said}");

    // Nor what builds on what a native one would answer.
    let ipam = json!({"type": "whereabouts", "range": "10.1.0.0/24"});
    for chain in [false, true] {
        let file = written(&node, &[bridge(json!({"ipam": ipam})), portmap(json!({}))], chain);
        let output = ctl(&node, &["plan", &file]);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("plugins[0]: whereabouts is no guest"), "{said}");
        assert_eq!(said.contains("1 more after plugins[0]"), !chain, "{said}");
    }

    let output = ctl(&node, &["plan", &file, "--netns", "/nonexistent"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("--netns /nonexistent"));
}

#[test]
fn entries_of_one_type_are_planned_once_each() {
    let node = Node::new();
    let entry =
        |plugin: Value| json!({"type": "wharf", "capabilities": {"portMappings": true}, "chain": [plugin]});
    let file = written(&node, &[entry(bridge(json!({}))), entry(portmap(json!({})))], false);
    let ports = json!({"portMappings": [{"hostPort": 8001, "containerPort": 80, "protocol": "tcp"}]});
    let plan = planned(&node, &file, &node.container("c").eth0().netns, &ports);
    let changes = plan["changes"].as_array().unwrap();
    let of = |place: &str| {
        let guests = changes.iter().filter(|change| change["place"] == place);
        guests.map(|change| change["guest"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let (first, second) = (of("plugins[0]"), of("plugins[1]"));
    assert!(!first.is_empty() && !first.contains(&"portmap".to_owned()), "{plan:#}");
    assert!(!second.is_empty() && second.iter().all(|guest| guest == "portmap"), "{plan:#}");
}

#[test]
fn the_hosts_own_namespace_is_no_containers() {
    let node = Node::new();
    let file = written(&node, &[bridge(json!({}))], false);
    let output = ctl(&node, &["plan", &file, "--netns", "/proc/self/ns/net", "--json"]);
    let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
    let message =
        "CNI_NETNS=/proc/self/ns/net is the namespace that the plugin itself runs in; nothing was done";
    assert!(!output.status.success());
    assert_eq!((&plan["error"]["code"], &plan["error"]["msg"]), (&json!(8), &json!(message)));
    assert_eq!(plan["changes"], json!([]));
    // As the ADD says it.
    let own = wharf_tests::Target { netns: "/proc/self/ns/net".into(), ..node.container("c").eth0() };
    Network::new(&node, [bridge(json!({}))]).add(&own).error_naming(8, &[message]);
}

#[test]
fn a_plan_writes_nowhere_whatever_the_configuration_names() {
    let node = Node::new();
    for folder in ["etc/cni/wharf.d", "var/lib/wharf/guests", "var/lib/wharf/artefacts"] {
        let ipam = json!({"type": "host-local", "subnet": "10.1.0.0/24", "dataDir": format!("/{folder}")});
        let file = written(&node, &[bridge(json!({"ipam": ipam}))], false);
        let before = files(&node.root().join(folder));
        let output = ctl(&node, &["plan", &file]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        assert_eq!(files(&node.root().join(folder)), before);
    }
}

#[test]
fn addresses_that_are_leased_are_not_planned_again() {
    let node = Node::new();
    let plugins = [bridge(json!({}))];
    let file = written(&node, &plugins, false);
    let (first, second) = (node.container("first"), node.container("c"));
    Network::new(&node, plugins).attach(&first.eth0());
    let plan = planned(&node, &file, &second.eth0().netns, &json!({}));
    assert_eq!(plan["result"]["ips"][0]["address"], "10.1.0.3/24");
    assert_eq!(node.leased("net"), ["10.1.0.2"]);
}

#[test]
fn lint_fails_for_errors_and_if_it_is_strict_for_warnings() {
    let node = Node::new();
    let lint = |plugins: &[Value], more: &[&str]| {
        let file = written(&node, plugins, false);
        let output = ctl(&node, &[&["lint", file.as_str()], more].concat());
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    let (good, said) = lint(&[bridge(json!({"isGatway": true}))], &[]);
    assert!(good && said.contains("did you mean \"isGateway\"?"), "{said}");
    assert!(!lint(&[bridge(json!({"isGatway": true}))], &["--strict"]).0);
    let (good, said) = lint(&[bridge(json!({"policies": ["nobody"]}))], &[]);
    assert!(
        !good && said.contains("plugins[0].policies: nobody: ") && said.contains("wharfctl add"),
        "{said}"
    );
    let (good, said) = lint(&[bridge(json!({"mtu": "x"}))], &["--json"]);
    let value: Value = serde_json::from_str(&said).unwrap();
    assert!(!good && value["errors"] == 1, "{said}");
    // On a node, plugins are looked for.
    let (good, said) = lint(&[bridge(json!({})), json!({"type": "tuning"})], &[]);
    assert!(!good && said.contains("opt/cni/bin/tuning is missing"), "{said}");
}

#[test]
fn lint_asks_for_the_policies_of_the_node() {
    let node = Node::new();
    let file = written(&node, &[bridge(json!({}))], false);
    std::fs::write(node.root().join("etc/cni/wharf.toml"), "policies = [\"nobody\"]\n").unwrap();
    let output = ctl(&node, &["lint", &file]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success() && said.contains("policy nobody: "), "{said}");
    Network::new(&node, [bridge(json!({}))]).add(&node.container("c").eth0()).error_naming(901, &["nobody"]);
}

/// Behind a type that nobody serves, nothing is judged: that is not taken for nothing to say.
#[test]
fn lint_tells_a_type_that_nobody_serves() {
    let node = Node::new();
    let nowhere = node.folder("nowhere");
    let strange =
        json!({"type": "brigde", "vlan": 9999, "ipam": {"type": "host-local", "subnet": "10.0.0.0/33"}});
    let slip = json!({"type": "bandwith", "ingressBurst": -3});
    let wrong = portmap(json!({"markMasqBit": 99}));
    let first = ["plugins[0].type", "did you mean \"bridge\"?", "from here on values were not judged"];
    let second =
        ["plugins[1].type", "did you mean \"bandwidth\"?", "its values were not judged", "plugins[2]", "99"];
    for (plugins, words) in
        [(vec![strange], first.as_slice()), (vec![bridge(json!({})), slip, wrong], second.as_slice())]
    {
        let file = written(&node, &plugins, false);
        let guests = &Binaries::get().guests;
        let output = wharfctl(&nowhere).args(["lint", &file, "--guests"]).arg(guests).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(!output.status.success() && words.iter().all(|word| said.contains(word)), "{said}");
    }
    // A node knows what it has.
    let file = written(&node, &[json!({"type": "brigde"})], false);
    let said = String::from_utf8(ctl(&node, &["lint", &file]).stdout).unwrap();
    assert!(said.contains("brigde is missing") && said.contains("did you mean \"bridge\"?"), "{said}");
}

/// What makes no sense is said by the guest that reads it, without a node: by those that come with `--guests`.
#[test]
fn lint_lets_the_guests_judge_the_values() {
    let node = Node::new();
    let nowhere = node.folder("nowhere");
    let lint = |plugins: &[Value]| {
        let file = written(&node, plugins, false);
        let guests = &Binaries::get().guests;
        let output = wharfctl(&nowhere).args(["lint", &file, "--guests"]).arg(guests).output().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    let ranges = |ranges: Value| bridge(json!({"ipam": {"type": "host-local", "ranges": ranges}}));
    let chain = |inner: Value| json!({"type": "wharf", "chain": [inner]});
    for (plugins, words) in [
        (vec![ranges(json!([[{"subnet": "10.1.0.0/33"}]]))], "10.1.0.0/33"),
        (vec![ranges(json!([[{"subnet": "10.1.0.0/24", "gateway": "10.2.0.1"}]]))], "10.2.0.1"),
        (vec![ranges(json!([[{"subnet": "10.1.0.0/24"}, {"subnet": "10.1.0.0/16"}]]))], "overlap"),
        (vec![chain(ranges(json!([[{"subnet": "10.1.0.0/24", "rangeStart": "10.1.9.9"}]])))], "10.1.9.9"),
        (vec![bridge(json!({"vlan": 9999}))], "9999"),
        (vec![bridge(json!({})), json!({"type": "bandwidth", "ingressRate": 1000})], "ingressBurst"),
        // Only an ADD with ports gets so far as to the kernel, which would not take them.
        (vec![bridge(json!({})), portmap(json!({"conditionsV4": ["foo"]}))], "\"foo\" is not known"),
    ] {
        let (good, said) = lint(&plugins);
        assert!(!good && said.contains(words) && said.contains("1 errors"), "{words}: {said}");
    }
    let told = bridge(json!({"capabilities": {"ipRanges": true}, "ipam": {"type": "host-local"}}));
    // Whether it is there, only a node can tell.
    let dns =
        bridge(json!({"ipam": {"type": "host-local", "subnet": "10.1.0.0/24", "resolvConf": "/run/r.conf"}}));
    // So with what is told of the node, and a chain that kube-proxy makes.
    let late = bridge(json!({"ipam": {"type": "host-local", "subnet": "usePodCidr"}}));
    let marked = portmap(json!({"externalSetMarkChain": "KUBE-MARK-MASQ"}));
    for plugins in [
        full("nftables").to_vec(),
        full("iptables").to_vec(),
        vec![told],
        vec![dns.clone()],
        vec![late, marked],
        vec![chain(bridge(json!({})))],
    ] {
        let (good, said) = lint(&plugins);
        assert!(good && said.contains("0 errors") && !said.contains("were not judged"), "{said}");
    }
    // And `plan` is run on one.
    let file = written(&node, &[dns], false);
    assert!(!ctl(&node, &["plan", &file]).status.success());
    std::fs::create_dir_all(node.root().join("run")).unwrap();
    std::fs::write(node.root().join("run/r.conf"), "nameserver 192.0.2.53\n").unwrap();
    let output = ctl(&node, &["plan", &file]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("192.0.2.53"), "{said}");
}
