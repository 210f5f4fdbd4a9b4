//! `wharfctl reconcile`: rules that vanish come back, once or as soon as somebody removes them.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use wharf_tests::install::wharfctl;
use wharf_tests::node::NODE;
use wharf_tests::traffic::{Server, at, tcp};
use wharf_tests::{Network, Node, Value, json, sh};

use crate::common::{dual_stack, layer2, portmap};

/// Masquerading, anti-spoofing and mapped ports.
fn network<'n>(node: &'n Node, backend: &str) -> Network<'n> {
    let bridge = json!({"ipMasq": true, "ipMasqBackend": backend, "hairpinMode": true, "macspoofchk": true});
    Network::new(node, [dual_stack(bridge), portmap(json!({"backend": backend}))])
}

fn reconcile(node: &Node, options: &[&str]) -> String {
    let mut command = wharfctl(&node.root());
    command.arg("reconcile").args(options);
    node.run(|| sh::run(&mut command))
}

/// A watch in the background. Ends when it is dropped.
struct Watch {
    child: Child,
    lines: Receiver<String>,
}

impl Watch {
    /// Started, and its first look is over.
    fn start(node: &Node) -> Self {
        Self::start_saying(node).0
    }

    /// The same, and what it said until then.
    fn start_saying(node: &Node) -> (Self, Vec<String>) {
        let mut command: Command = wharfctl(&node.root());
        command.args(["reconcile", "--watch"]).stdout(Stdio::piped());
        let mut child = node.run(|| command.spawn().unwrap());
        let output: ChildStdout = child.stdout.take().unwrap();
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            BufReader::new(output).lines().map_while(Result::ok).all(|line| sender.send(line).is_ok())
        });
        let watch = Self { child, lines };
        let said = watch.until("watching nf_tables");
        (watch, said)
    }

    /// Waits for a line that has `text` in it. Answers those before it.
    #[track_caller]
    fn until(&self, text: &str) -> Vec<String> {
        let mut before = Vec::new();
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let line =
                self.lines.recv_timeout(left).unwrap_or_else(|_| panic!("no {text:?} after {before:?}"));
            if line.contains(text) {
                return before;
            }
            before.push(line);
        }
    }

    /// Ends it by SIGTERM; it must end well, having said nothing more but what is answered.
    #[track_caller]
    fn end(mut self) -> Vec<String> {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
        assert!(self.child.wait().unwrap().success());
        self.lines.iter().collect()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Until it is so; answers how long that took.
#[track_caller]
fn eventually(mut is_so: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(20), "it never came to be");
        // A look takes milliseconds and gives the processor to the watch.
        std::thread::yield_now();
    }
    start.elapsed()
}

const DELETE_TABLES: &str = "nft delete table inet wharf; delete table inet wharf-masquerade";

#[test]
fn what_was_flushed_is_put_back_as_it_was() {
    for (backend, flush) in [
        ("nftables", "nft flush ruleset"),
        ("nftables", DELETE_TABLES),
        ("nftables", "nft flush table inet wharf; flush table inet wharf-masquerade"),
        ("iptables", "nft flush ruleset"),
        ("iptables", "iptables-nft -t nat -F"),
    ] {
        let node = Node::new();
        let outside = node.outside();
        let (web, other) = (node.container("web"), node.container("other"));
        let network = network(&node, backend);
        let attachment = network.attach(&web.eth0().port(8080, 80));
        let second = network.attach(&other.eth0().port(8081, 80));
        let _server = Server::tcp(&web, "web", "[::]:80");
        assert_eq!(reconcile(&node, &[]), "nothing is missing\n", "{backend}");
        let before = node.dump();
        node.sh(flush);
        assert!(tcp(&outside, at(NODE[0], 8080)).is_none(), "{backend}: {flush}");
        let dry = reconcile(&node, &["--dry-run"]);
        assert!(dry.contains("would be put back: nat/forward-ports: forward of tcp port 8080"), "{dry}");
        assert!(tcp(&outside, at(NODE[0], 8080)).is_none(), "{backend}: a dry run changes nothing");
        let text = reconcile(&node, &[]);
        assert!(text.contains("net web/eth0 (portmap): put back: nat/forward-ports"), "{text}");
        assert!(text.contains("net other/eth0 (bridge): put back: nat/masquerade"), "{text}");
        assert!(tcp(&outside, at(NODE[0], 8080)).is_some(), "{backend}: {flush}");
        assert_eq!(reconcile(&node, &[]), "nothing is missing\n", "{backend}");
        if flush == DELETE_TABLES {
            node.dump().assert_same(&before);
        }
        attachment.check().silent();
        second.check().silent();
        attachment.del().silent();
        second.del().silent();
        let left = node.dump();
        for text in ["10.1.0.2", "10.1.0.3", "8080", "8081"] {
            assert!(!left.mentions(text), "{backend}: {flush}: {text} is left");
        }
    }
}

#[test]
fn a_flush_of_what_all_share_is_noticed() {
    for (backend, flush) in [
        ("nftables", "nft flush chain inet wharf prerouting"),
        ("nftables", "nft flush map inet wharf ports4"),
        ("iptables", "iptables-nft -t nat -F PREROUTING"),
        ("iptables", "iptables-nft -t nat -F CNI-HOSTPORT-DNAT"),
    ] {
        let node = Node::new();
        let outside = node.outside();
        let web = node.container("web");
        let attachment = network(&node, backend).attach(&web.eth0().port(8080, 80));
        let _server = Server::tcp(&web, "web", "[::]:80");
        let whole = node.dump();
        node.sh(flush);
        assert!(tcp(&outside, at(NODE[0], 8080)).is_none(), "{backend}: {flush}");
        attachment.check().error_naming(101, &["8080"]);
        let text = reconcile(&node, &[]);
        assert!(text.contains("net web/eth0 (portmap): put back: nat/forward-ports"), "{flush}: {text}");
        assert!(tcp(&outside, at(NODE[0], 8080)).is_some(), "{backend}: {flush}");
        node.dump().assert_same(&whole);
        attachment.check().silent();
    }
}

#[test]
fn one_of_several_rules_comes_back_and_the_rest_stays() {
    let node = Node::new();
    let (web, other) = (node.container("web"), node.container("other"));
    let network = network(&node, "nftables");
    network.attach(&web.eth0().with(
        "portMappings",
        json!([
            {"hostPort": 8080, "containerPort": 80, "protocol": "tcp"},
            {"hostPort": 8082, "containerPort": 82, "protocol": "udp"},
        ]),
    ));
    network.attach(&other.eth0().port(8081, 80));
    let before = node.dump();
    let ruleset = node.json("nft -j -a list table inet wharf");
    let rules = ruleset["nftables"].as_array().unwrap().iter().filter_map(|entry| entry.get("rule"));
    let mentions = |rule: &&Value| {
        rule["chain"].as_str().unwrap().starts_with("f-") && rule.to_string().contains("8082")
    };
    let rule = rules.clone().find(mentions).unwrap();
    node.sh(&format!(
        "nft delete rule inet wharf {} handle {}",
        rule["chain"].as_str().unwrap(),
        rule["handle"]
    ));
    let text = reconcile(&node, &[]);
    assert!(text.contains("forward of udp port 8082") && !text.contains("8080"), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    node.dump().assert_same(&before);
}

#[test]
fn what_is_gone_is_skipped_and_said() {
    let node = Node::new();
    let (vanishing, cut, staying) = (node.container("a"), node.container("b"), node.container("c"));
    let network = network(&node, "nftables");
    network.attach(&vanishing.eth0().port(8080, 80));
    let attachment = network.attach(&cut.eth0());
    network.attach(&staying.eth0().port(8081, 80));
    vanishing.vanish();
    node.sh(&format!("ip link del {}", attachment.host_end()));
    node.sh("nft flush ruleset");
    let all: Value = serde_json_from(&reconcile(&node, &["--json"]));
    let skipped = |container: &str, entry: &str| {
        let mut all = all.as_array().unwrap().iter();
        let one =
            all.find(|one| one["attachment"]["container"] == container && one["entry"] == entry).unwrap();
        one["skipped"].as_str().map(str::to_owned)
    };
    assert!(skipped("a", "bridge").unwrap().contains("namespace"));
    assert!(skipped("a", "portmap").unwrap().contains("namespace"));
    assert!(skipped("b", "bridge").unwrap().contains(&attachment.host_end()));
    assert_eq!((skipped("c", "bridge"), skipped("c", "portmap")), (None, None));
    assert!(!node.dump().mentions("8080") && node.dump().mentions("8081"));
}

fn serde_json_from(text: &str) -> Value {
    text.parse().unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn a_watch_brings_traffic_back_within_a_second() {
    let mut times = Vec::new();
    for backend in ["nftables", "iptables"] {
        let node = Node::new();
        let outside = node.outside();
        let web = node.container("web");
        let attachment = network(&node, backend).attach(&web.eth0().port(8080, 80));
        let _server = Server::tcp(&web, "web", "[::]:80");
        node.sh("nft flush ruleset");
        let watch = Watch::start(&node);
        assert!(tcp(&outside, at(NODE[0], 8080)).is_some(), "{backend}: the first look");
        let flushes: &[&str] = match backend {
            "nftables" => &["nft flush ruleset", DELETE_TABLES, "nft flush table inet wharf"],
            _ => &["nft flush ruleset", "iptables-nft -t nat -F"],
        };
        for flush in flushes {
            node.sh(flush);
            // By the rules: a connection that is refused too early is tried again only after a second.
            let mentioned = || node.sh("nft list ruleset").contains("8080");
            let time = eventually(mentioned);
            times.push(time);
            assert!(time < Duration::from_secs(1), "{backend}: {flush}: {time:?}");
            watch.until("nat/forward-ports");
            assert!(tcp(&outside, at(NODE[0], 8080)).is_some(), "{backend}: {flush}");
        }
        attachment.check().silent();
        // What others do to other tables, and what attachments come and go, is nothing to put back.
        node.sh("nft add table inet other");
        node.sh("nft delete table inet other");
        attachment.del().silent();
        let rest = watch.end();
        assert!(!rest.iter().any(|line| line.contains("forward-ports")), "it loops: {rest:?}");
        assert!(!node.dump().mentions("8080"), "{backend}: after DEL nothing comes back");
    }
    println!("back after {times:?}");
}

#[test]
fn a_record_that_somebody_works_on_is_looked_at_again() {
    let node = Node::new();
    let container = node.container("c");
    let network = Network::new(&node, [layer2(json!({"macspoofchk": true}))]);
    let attachment = network.attach(&container.eth0());
    let watch = Watch::start(&node);
    let journal = node.root().join("run/wharf/attachments/c:eth0:bridge:net");
    let file = std::fs::File::open(journal).unwrap();
    let lock = nix::fcntl::Flock::lock(file, nix::fcntl::FlockArg::LockExclusive).unwrap();
    node.sh("nft flush ruleset");
    let guarded = || node.sh("nft list ruleset").contains(&attachment.host_end());
    // Long enough for many looks; that it does nothing meanwhile shows in that it does not.
    let end = Instant::now() + Duration::from_millis(300);
    while Instant::now() < end {
        assert!(!guarded(), "the lock is not respected");
    }
    drop(lock);
    eventually(guarded);
    watch.end();
}

#[test]
fn rules_of_legacy_iptables_are_looked_at_by_the_clock() {
    let node = Node::new();
    // A nat table of the legacy flavour makes it the one that is used.
    if !node.try_sh("iptables-legacy -t nat -S").status.success() {
        wharf_tests::skip!("iptables-legacy does not work here");
    }
    let container = node.container("c");
    let network = Network::new(&node, [dual_stack(json!({})), portmap(json!({"backend": "iptables"}))]);
    network.attach(&container.eth0().port(8080, 80));
    let there = || node.sh("iptables-legacy-save -t nat").contains("8080");
    assert!(there());
    let (watch, said) = Watch::start_saying(&node);
    assert!(said.iter().any(|line| line.contains("iptables-legacy sends no events")), "{said:?}");
    node.sh("iptables-legacy -t nat -F");
    assert!(!there());
    let time = eventually(there);
    println!("legacy: back after {time:?}");
    watch.end();
}
