//! The protocol itself: VERSION, the environment, version gates, CNI_ARGS, error objects.

use std::fs;
use std::io::Write as _;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use wharf_tests::{Network, Node, Target, Value, json};

use crate::common::{bandwidth, bridge, layer2, portmap};

const VERSIONS: [&str; 7] = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];

#[test]
fn without_a_command_it_says_what_it_is() {
    let node = Node::new();
    for name in ["bridge", "host-local", "wharf"] {
        let outcome = node.exec(name, &[], b"");
        assert_eq!((outcome.status, outcome.stdout.as_str()), (0, ""), "{outcome}");
        assert!(outcome.stderr.contains(&format!("CNI {name} plugin")), "{outcome}");
        assert!(outcome.stderr.contains(&VERSIONS.join(", ")), "{outcome}");
    }
}

#[test]
fn version_lists_every_version_and_echoes_the_one_asked_with() {
    let node = Node::new();
    for (stdin, expected) in [
        (r#"{"cniVersion":"0.4.0"}"#, "0.4.0"),
        (r#"{"cniVersion":"9.9.9"}"#, "1.1.0"),
        ("", "1.1.0"),
        ("this is not JSON", "1.1.0"),
    ] {
        // podman gives `dummy` for everything else.
        let env = [
            ("CNI_COMMAND", "VERSION"),
            ("CNI_NETNS", "dummy"),
            ("CNI_IFNAME", "dummy"),
            ("CNI_PATH", "dummy"),
        ];
        let reply = node.exec("bridge", &env, stdin.as_bytes()).ok();
        assert_eq!(reply, json!({"cniVersion": expected, "supportedVersions": VERSIONS}), "{stdin}");
    }
}

/// A call whose standard input gets this and stays open, and that `seen` may do something to. It must end before.
fn with_open_input(node: &Node, env: &[(&str, &str)], stdin: &[u8], seen: impl FnOnce(&Child)) -> Output {
    let mut command = Command::new(node.bin.join("bridge"));
    command.env_clear().env("WHARF_ROOT", node.root()).envs(env.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = node.run(|| command.spawn()).unwrap();
    let mut pipe = child.stdin.take().unwrap();
    pipe.write_all(stdin).unwrap();
    seen(&child);
    let (ended, end) = mpsc::channel();
    let closed = thread::spawn(move || {
        let in_time = end.recv_timeout(Duration::from_secs(20)).is_ok();
        drop(pipe);
        in_time
    });
    let output = child.wait_with_output().unwrap();
    let _ = ended.send(());
    assert!(closed.join().unwrap(), "it waited for the end of its input: {output:?}");
    output
}

#[test]
fn version_does_not_wait_for_the_end_of_its_input() {
    let node = Node::new();
    for (stdin, expected) in [("", "1.1.0"), (r#"{"cniVersion":"0.4.0"}"#, "0.4.0")] {
        let output = with_open_input(&node, &[("CNI_COMMAND", "VERSION")], stdin.as_bytes(), |_| {});
        let reply: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((output.status.code(), &reply["cniVersion"]), (Some(0), &json!(expected)));
    }
}

fn blocks_sigterm(pid: Pid) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).unwrap();
    u64::from_str_radix(blocked.trim(), 16).unwrap() & (1 << (Signal::SIGTERM as u32 - 1)) != 0
}

#[test]
fn a_signal_ends_the_wait_for_a_configuration() {
    let node = Node::new();
    let container = node.container("c");
    let target = container.eth0();
    for command in ["ADD", "DEL"] {
        for stdin in ["", r#"{"cniVersion": "1.1.0", "name""#] {
            let output = with_open_input(&node, &target.env(command), stdin.as_bytes(), |child| {
                let pid = Pid::from_raw(child.id().try_into().unwrap());
                while !blocks_sigterm(pid) {
                    thread::yield_now();
                }
                kill(pid, Signal::SIGTERM).unwrap();
            });
            let error: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!((output.status.code(), &error["code"]), (Some(1), &json!(11)), "{error}");
            assert!(error["msg"].as_str().unwrap().contains("SIGTERM"), "{error}");
        }
    }
}

#[test]
fn missing_variables_are_reported_at_once() {
    let node = Node::new();
    let config = bridge(json!({"name": "net", "cniVersion": "1.1.0"})).to_string();
    for (command, missing) in [
        ("ADD", "[CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME]"),
        ("CHECK", "[CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME]"),
        ("DEL", "[CNI_CONTAINERID,CNI_IFNAME]"),
    ] {
        let env = [("CNI_COMMAND", command), ("CNI_CONTAINERID", ""), ("CNI_IFNAME", "")];
        node.exec("bridge", &env, config.as_bytes()).error_naming(4, &[missing]);
    }
    node.exec("bridge", &[("CNI_COMMAND", "FROB")], config.as_bytes())
        .error_naming(4, &["CNI_COMMAND", "FROB"]);
}

#[test]
fn cni_path_is_not_required() {
    let node = Node::new();
    let container = node.container("c");
    let target = container.eth0();
    let config = bridge(json!({"name": "net", "cniVersion": "1.1.0"})).to_string();
    for command in ["ADD", "DEL"] {
        let mut env = target.env(command);
        env.push(("CNI_PATH", ""));
        node.exec("bridge", &env, config.as_bytes()).ok();
    }
}

#[test]
fn an_error_speaks_the_version_of_what_is_wrong() {
    let node = Node::new();
    let container = node.container("c");
    let target = container.eth0();
    for (member, value) in [
        ("ipam", json!("host-local")),
        ("ipam", json!([])),
        ("ipam", json!({"type": 5})),
        ("name", json!("a b")),
        ("name", json!(null)),
        ("type", json!([])),
        ("args", json!(1)),
        ("prevResult", json!(5)),
    ] {
        let mut config = layer2(json!({"name": "net", "cniVersion": "1.0.0"}));
        config[member] = value;
        let outcome = node.call("bridge", "ADD", &target, &config);
        assert_eq!(outcome.json["cniVersion"], "1.0.0", "{config}");
        assert_ne!(outcome.json["code"], json!(null), "{config}");
    }
    let chain = json!({"name": "net", "cniVersion": "1.0.0", "type": "wharf", "chain": [{"type": 5}]});
    let outcome = node.call("wharf", "ADD", &target, &chain);
    assert_eq!((&outcome.json["cniVersion"], &outcome.json["code"]), (&json!("1.0.0"), &json!(6)));
}

#[test]
fn commands_need_their_version() {
    let node = Node::new();
    let container = node.container("c");
    for (command, too_old, first) in
        [("CHECK", "0.3.1", "0.4.0"), ("GC", "1.0.0", "1.1.0"), ("STATUS", "1.0.0", "1.1.0")]
    {
        let config = layer2(json!({"name": "net", "cniVersion": too_old}));
        let outcome = node.call("bridge", command, &container.eth0(), &config);
        assert_eq!(outcome.json["cniVersion"], too_old, "the error speaks the configuration's version");
        outcome.error_naming(1, &[&format!("config version does not allow {command}"), too_old, first]);
    }
}

#[test]
fn unknown_versions_are_refused_with_those_that_are_known() {
    let node = Node::new();
    let container = node.container("c");
    let before = node.dump();
    for version in ["9.9.9", "1.0", "1.1", "abc", " 1.0.0"] {
        let config = layer2(json!({"name": "net", "cniVersion": version}));
        node.call("bridge", "ADD", &container.eth0(), &config)
            .error_naming(1, &["incompatible CNI versions", version, "\"0.1.0\"", "\"1.1.0\""]);
    }
    node.dump().assert_same(&before);
}

#[test]
fn a_missing_version_is_0_1_0() {
    let node = Node::new();
    let container = node.container("c");
    let result = node.call("bridge", "ADD", &container.eth0(), &bridge(json!({"name": "net"}))).ok();
    assert_eq!(result["cniVersion"], "0.1.0");
    assert_eq!(result["ip4"]["ip"], "10.1.0.2/24");
}

#[test]
fn results_are_indented_as_the_references_are() {
    let node = Node::new();
    let container = node.container("c");
    let outcome = Network::new(&node, [bridge(json!({}))]).add(&container.eth0());
    assert!(outcome.stdout.starts_with("{\n    \"cniVersion\": \"1.1.0\","), "{outcome}");
    assert!(outcome.stdout.ends_with("\n}"), "{outcome}");
}

#[test]
fn arguments_of_kubernetes_are_accepted() {
    let node = Node::new();
    let container = node.container("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
    let target = container.eth0().args(
        "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0;K8S_POD_INFRA_CONTAINER_ID=0123;K8S_POD_UID=9",
    );
    let attachment = Network::new(&node, [bridge(json!({}))]).attach(&target);
    attachment.check().silent();
    attachment.del().silent();
}

#[test]
fn unknown_arguments_are_refused_unless_they_are_to_be_ignored() {
    let node = Node::new();
    let container = node.container("c");
    let network = Network::new(&node, [bridge(json!({}))]);
    let before = node.dump();
    for (args, words) in [
        ("FOO=BAR", &["FOO=BAR"][..]),
        ("MAC=02:00:00:00:00:01;FOO=BAR", &["FOO=BAR"]),
        ("IgnoreUnknown=0;FOO=BAR", &["FOO=BAR"]),
        ("IgnoreUnknown=perhaps", &["IgnoreUnknown", "perhaps"]),
        ("FOO", &["FOO"]),
        ("A=B=C", &["A=B=C"]),
    ] {
        network.add(&container.eth0().args(args)).error_naming(4, words);
    }
    node.dump().assert_same(&before);
}

#[test]
fn what_is_no_argument_bothers_only_who_asks_for_arguments() {
    let node = Node::new();
    let container = node.container("c");
    let plugins = [bridge(json!({})), portmap(json!({})), bandwidth()];
    let sound = Network::new(&node, plugins.clone()).attach(&container.eth0());
    for args in ["A=b=c", "IgnoreUnknown=1;;A", "=b", "IgnoreUnknown=1;A=b=c"] {
        let target = container.eth0().args(args);
        // As the reference's: only bridge and host-local read them.
        for plugin in ["portmap", "bandwidth"] {
            let config = json!({
                "cniVersion": "1.1.0", "name": "net", "type": plugin, "prevResult": sound.result,
            });
            for command in ["ADD", "CHECK", "DEL"] {
                assert_eq!(
                    node.call(plugin, command, &target, &config).status,
                    0,
                    "{plugin} {command} {args}"
                );
            }
        }
        let lo = json!({"cniVersion": "1.1.0", "name": "lo", "type": "loopback"});
        let on_lo = container.target("lo").args(args);
        node.call("loopback", "ADD", &on_lo, &lo).ok();
        node.call("loopback", "DEL", &on_lo, &lo).silent();
        let network = Network::new(&node, plugins.clone());
        network.check(&target, &sound.result).error_naming(4, &["CNI_ARGS", "invalid pair"]);
        let other = container.target("eth1").args(args);
        network.add(&other).error_naming(4, &["CNI_ARGS", "invalid pair"]);
        network.clone().chain().add(&other).error_naming(4, &["CNI_ARGS", "invalid pair"]);
    }
    // What takes away does so.
    sound.network.del(&container.eth0().args("A=b=c;K"), Some(&sound.result)).silent();
    assert_eq!(container.links(), ["lo"]);
    assert!(node.leased("net").is_empty());
}

#[test]
fn a_network_without_a_name_or_type_is_refused() {
    let node = Node::new();
    let container = node.container("c");
    let call = |program: &str, config: Value| node.call(program, "ADD", &container.eth0(), &config);
    call("bridge", json!({"cniVersion": "1.0.0"})).error_naming(7, &["missing network name"]);
    call("wharf", json!({"cniVersion": "1.0.0", "name": "net"})).error_naming(7, &["type"]);
    call("wharf", json!({"cniVersion": "1.0.0", "name": "net", "type": "wharf"})).error_naming(7, &["chain"]);
    call("wharf", json!({"cniVersion": "1.0.0", "name": "net", "type": "wharf", "chain": []}))
        .error_naming(7, &["chain", "no plugins"]);
    call("wharf", json!({"cniVersion": "1.0.0", "name": "net", "type": "nothing-of-that-name"}))
        .error_naming(50, &["nothing-of-that-name"]);
}

#[test]
fn the_type_chooses_the_guest_of_the_binary_under_its_own_name() {
    let node = Node::new();
    let container = node.container("c");
    let config = bridge(json!({"cniVersion": "1.0.0", "name": "net"}));
    let result = node.call("wharf", "ADD", &container.eth0(), &config).ok();
    assert_eq!(result["interfaces"][2]["name"], "eth0");
}

#[test]
fn gc_wants_the_list_of_valid_attachments() {
    let node = Node::new();
    let config = bridge(json!({"cniVersion": "1.1.0", "name": "net"}));
    let nobody = Target::new("", "", "");
    node.call("bridge", "GC", &nobody, &config).error_naming(7, &["cni.dev/valid-attachments"]);
}
