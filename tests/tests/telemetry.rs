//! What operators see of calls: metrics, spans, the log. And what nobody sees: secrets.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use wharf_tests::install::wharfctl;
use wharf_tests::native::Native;
use wharf_tests::{Network, Node, Outcome, Target, Value, json, sh};

use crate::common::{bridge, layer2, portmap, with};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

fn settings(node: &Node, text: &str) {
    fs::write(node.root().join("etc/cni/wharf.toml"), text).unwrap();
}

fn metrics(node: &Node) -> String {
    node.run(|| sh::run(wharfctl(&node.root()).arg("metrics")))
}

/// The value of one line.
#[track_caller]
fn value(page: &str, name: &str) -> f64 {
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in\n{page}")).parse().expect("a number")
}

/// One call of one plugin with more variables.
fn call(
    node: &Node,
    plugin: &str,
    target: &Target,
    command: &str,
    more: &[(&str, &str)],
    conf: &Value,
) -> Outcome {
    let env = [&target.env(command)[..], more].concat();
    let conf = with(json!({"cniVersion": "1.0.0", "name": "net"}), conf.clone());
    node.exec(plugin, &env, conf.to_string().as_bytes())
}

#[test]
fn calls_are_counted_by_guest_and_outcome() {
    let node = Node::new();
    let list = json!({"cniVersion": "1.0.0", "name": "net", "plugins": [bridge(json!({}))]});
    fs::create_dir_all(node.root().join("etc/cni/net.d")).unwrap();
    fs::write(node.root().join("etc/cni/net.d/10-net.conflist"), list.to_string()).unwrap();
    let network = Network::new(&node, [bridge(json!({}))]).version("1.0.0");
    let containers = ["one", "two"].map(|id| node.container(id));
    let attachments = containers.each_ref().map(|container| network.attach(&container.eth0()));
    // The address is there already: an ADD that fails and is undone.
    network.add(&containers[0].eth0()).error(103);
    attachments[1].del().silent();

    let page = metrics(&node);
    for (name, expected) in [
        ("wharf_calls_total{command=\"ADD\",code=\"0\"}", 2.0),
        ("wharf_calls_total{command=\"DEL\",code=\"0\"}", 1.0),
        ("wharf_call_duration_seconds_count{command=\"ADD\"}", 3.0),
        ("wharf_guest_duration_seconds_count{guest=\"bridge\",command=\"ADD\"}", 3.0),
        ("wharf_guest_duration_seconds_count{guest=\"host-local\",command=\"DEL\"}", 1.0),
        ("wharf_rollbacks_total{result=\"complete\"}", 1.0),
        ("wharf_rollbacks_total{result=\"incomplete\"}", 0.0),
        ("wharf_residue_found_total", 0.0),
        ("wharf_attachments{state=\"committed\"}", 1.0),
        ("wharf_leases_used{network=\"net\",subnet=\"10.1.0.0/24\"}", 1.0),
        ("wharf_leases_free{network=\"net\",subnet=\"10.1.0.0/24\"}", 252.0),
    ] {
        assert!((value(&page, name) - expected).abs() < 1e-9, "{name} is not {expected} in\n{page}");
    }
    assert!(value(&page, "wharf_guest_operations_total{guest=\"bridge\",command=\"ADD\"}") > 10.0);
    assert!(value(&page, "wharf_call_duration_seconds_sum{command=\"ADD\"}") > 0.001);

    // They only grow, whoever asks how often.
    assert_eq!(metrics(&node), page);
    attachments[0].del().silent();
    let file = node.root().join("run/wharf/metrics/wharf.prom");
    let mut export = wharfctl(&node.root());
    node.run(|| sh::run(export.args(["export", "--textfile", "/run/wharf/metrics/wharf.prom"])));
    let page = fs::read_to_string(&file).unwrap();
    assert!((value(&page, "wharf_calls_total{command=\"DEL\",code=\"0\"}") - 2.0).abs() < 1e-9, "{page}");
}

#[test]
fn what_fails_before_anything_is_done_is_counted() {
    let node = Node::new();
    let target = node.container("c").eth0();
    call(&node, "loopback", &target, "ADD", &[], &json!({"name": "a/b"})).error(7);
    node.exec("loopback", &target.env("ADD"), b"{").error(6);
    settings(&node, "policies = 7");
    call(&node, "loopback", &target, "ADD", &[], &json!({})).error(901);
    let page = metrics(&node);
    for code in [6, 7, 901] {
        assert!(
            (value(&page, &format!("wharf_calls_total{{command=\"ADD\",code=\"{code}\"}}")) - 1.0).abs()
                < 1e-9,
            "{page}"
        );
    }
}

#[test]
fn denials_are_counted() {
    let node = Node::new();
    let grant = node.root().join("etc/cni/wharf.d/bridge.toml");
    let text = fs::read_to_string(&grant).unwrap().replace("names = [\"*\"]", "names = [\"br0\"]");
    fs::remove_file(&grant).unwrap();
    fs::write(&grant, text).unwrap();
    let container = node.container("c");
    let network = Network::new(&node, [layer2(json!({}))]);
    network.add(&container.eth0()).error(900);
    let page = metrics(&node);
    let denied = page.lines().find(|line| line.starts_with("wharf_denials_total{guest=\"bridge\""));
    assert!(denied.is_some_and(|line| line.ends_with(" 1")), "{page}");
    assert!((value(&page, "wharf_calls_total{command=\"ADD\",code=\"900\"}") - 1.0).abs() < 1e-9);
}

#[test]
fn an_exporter_needs_no_capability() {
    let node = Node::new();
    let (url, received) = collector(&node, "200 OK");
    settings(&node, &format!("[traces]\nendpoint = \"{url}\"\n"));
    let container = node.container("c");
    Network::new(&node, [layer2(json!({}))]).attach(&container.eth0());
    let mut command = sh::words("setpriv --bounding-set=-all --inh-caps=-all --no-new-privs");
    command.arg(&wharf_tests::install::Binaries::get().wharfctl).args([
        "export",
        "--textfile",
        "/run/wharf/m/wharf.prom",
    ]);
    command.env("WHARF_ROOT", node.root());
    node.run(|| sh::run(&mut command));
    let page = fs::read_to_string(node.root().join("run/wharf/m/wharf.prom")).unwrap();
    assert!((value(&page, "wharf_attachments{state=\"committed\"}") - 1.0).abs() < 1e-9, "{page}");
    received.recv_timeout(Duration::from_secs(10)).expect("spans");
}

#[test]
fn nothing_is_counted_where_nobody_wants_it() {
    let node = Node::new();
    settings(&node, "[metrics]\nevents = false\n");
    let container = node.container("c");
    Network::new(&node, [layer2(json!({}))]).attach(&container.eth0());
    assert!(!node.root().join("run/wharf/telemetry/events.jsonl").exists());
}

/// A collector in the node's namespace: its address, and what it gets.
fn collector(node: &Node, status: &'static str) -> (String, Receiver<Value>) {
    let listener = node.run(|| TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, receiver) = channel();
    thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let mut reader = BufReader::new(&stream);
            let mut head = String::new();
            while reader.read_line(&mut head).is_ok_and(|read| read > 2) {}
            let length = head.to_ascii_lowercase();
            let length =
                length.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
            let mut body = vec![0; length.unwrap_or(0)];
            reader.read_exact(&mut body).unwrap();
            assert!(head.starts_with("POST /v1/traces "), "{head}");
            let _ =
                write!(&stream, "HTTP/1.1 {status}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}");
            if sender.send(serde_json::from_slice(&body).unwrap()).is_err() {
                break;
            }
        }
    });
    (url, receiver)
}

fn spans(request: &Value) -> Vec<Value> {
    request["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().expect("spans").clone()
}

fn export(node: &Node) -> std::process::Output {
    node.run(|| sh::output(wharfctl(&node.root()).arg("export")))
}

#[test]
fn a_call_is_a_span_of_the_runtimes_trace() {
    let mut node = Node::new();
    let native = Native::install(
        &mut node,
        "ipam",
        "echo '{\"cniVersion\": \"1.0.0\", \"ips\": [{\"address\": \"10.1.0.9/24\"}]}'",
    );
    let (url, received) = collector(&node, "200 OK");
    settings(&node, &format!("[traces]\nendpoint = \"{url}\"\n"));
    let container = node.container("c");
    let conf = layer2(json!({"ipam": {"type": "ipam"}}));
    let parent = format!("00-{TRACE}-{PARENT}-01");
    call(&node, "bridge", &container.eth0(), "ADD", &[("TRACEPARENT", &parent)], &conf).ok();
    // Not recorded above, and so not here.
    let silent = format!("00-{TRACE}-{PARENT}-00");
    call(&node, "bridge", &container.eth0(), "CHECK", &[("TRACEPARENT", &silent)], &conf);
    assert!(export(&node).status.success());
    let spans = spans(&received.recv_timeout(Duration::from_secs(10)).expect("a request"));
    let call = spans.iter().find(|span| span["name"] == "CNI ADD").expect("the call");
    assert_eq!((&call["traceId"], &call["parentSpanId"]), (&json!(TRACE), &json!(PARENT)));
    assert!(spans.iter().all(|span| span["name"] != "CNI CHECK"), "{spans:#?}");
    let bridge = spans.iter().find(|span| span["name"] == "bridge").expect("the guest");
    assert_eq!(bridge["parentSpanId"], call["spanId"]);
    let operations = spans.iter().filter(|span| span["parentSpanId"] == bridge["spanId"]).count();
    assert!(operations > 3, "{spans:#?}");
    // The native plugin goes on from the call's span.
    let (env, _) = &native.calls()[0];
    let handed_on = format!("TRACEPARENT=00-{TRACE}-{}-01", call["spanId"].as_str().unwrap());
    assert!(env.contains(&handed_on), "{handed_on} in {env:?}");
    // What was sent is not sent again.
    assert!(export(&node).status.success());
    received.recv_timeout(Duration::from_millis(200)).unwrap_err();
}

#[test]
fn a_collector_that_is_gone_costs_a_call_nothing_and_gets_everything_later() {
    let node = Node::new();
    // A port that nobody listens on.
    let dead = node.run(|| TcpListener::bind("127.0.0.1:0")).unwrap().local_addr().unwrap();
    settings(&node, &format!("[traces]\nendpoint = \"http://{dead}\"\n"));
    let container = node.container("c");
    let network = Network::new(&node, [layer2(json!({}))]);
    network.attach(&container.eth0()).del().silent();
    let output = export(&node);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains(&dead.to_string()), "{said}");
    let (busy, refused) = collector(&node, "503 Service Unavailable");
    settings(&node, &format!("[traces]\nendpoint = \"{busy}\"\n"));
    assert!(!export(&node).status.success());
    refused.recv_timeout(Duration::from_secs(10)).unwrap();
    let (url, received) = collector(&node, "200 OK");
    settings(&node, &format!("[traces]\nendpoint = \"{url}\"\n"));
    assert!(export(&node).status.success());
    let spans = spans(&received.recv_timeout(Duration::from_secs(10)).unwrap());
    for name in ["CNI ADD", "CNI DEL"] {
        assert_eq!(spans.iter().filter(|span| span["name"] == name).count(), 1, "{name}");
    }
}

#[test]
fn a_watch_exports_until_it_is_ended() {
    let node = Node::new();
    let (url, received) = collector(&node, "200 OK");
    settings(&node, &format!("[traces]\nendpoint = \"{url}\"\n"));
    let mut command = wharfctl(&node.root());
    command.args(["export", "--watch", "--interval", "1"]);
    let mut child = node.run(|| command.spawn()).unwrap();
    let container = node.container("c");
    Network::new(&node, [layer2(json!({}))]).attach(&container.eth0());
    let request = received.recv_timeout(Duration::from_secs(20)).expect("it is exported without being asked");
    assert!(spans(&request).iter().any(|span| span["name"] == "CNI ADD"));
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    assert!(child.wait().unwrap().success());
}

/// A configuration with secrets in the places that plugins have them, and a guest that repeats what it was given.
fn with_secrets() -> Value {
    layer2(json!({
        "mtu": "hunter2-in-a-message",
        "policy": {"k8s_auth_token": "hunter2-token"},
        "etcd": "https://root:hunter2-url@10.0.0.1:2379",
        "password": "hunter2-in-a-message",
        "ipam": {"type": "ipam", "credentials": {"secretKey": "hunter2-native"}},
    }))
}

#[test]
fn the_log_has_fields_in_a_file_and_in_the_journal() {
    let node = Node::new();
    let container = node.container("c");
    settings(&node, "[log]\nto = '/var/log/wharf.log'\nlevel = 'info'\n");
    fs::create_dir_all(node.root().join("var/log")).unwrap();
    let network = Network::new(&node, [layer2(json!({}))]);
    network.attach(&container.eth0()).del().silent();
    let text = fs::read_to_string(node.root().join("var/log/wharf.log")).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let ended = lines
        .iter()
        .find(|line| line["command"] == "ADD" && line["who"] == "ADD")
        .expect("the end of the ADD");
    assert_eq!(
        (&ended["network"], &ended["container"], &ended["ifname"]),
        (&json!("net"), &json!("c"), &json!("eth0"))
    );
    assert!(ended["message"].as_str().unwrap().starts_with("done in "), "{ended}");

    let socket = node.root().join("run/systemd/journal/socket");
    fs::create_dir_all(socket.parent().unwrap()).unwrap();
    let journal = UnixDatagram::bind(&socket).unwrap();
    journal.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    settings(&node, "[log]\nto = 'journald'\n");
    network.add(&container.eth0().port(1, 1)).ok();
    network.add(&container.eth0()).error(103);
    let mut buffer = [0; 8192];
    let got = journal.recv(&mut buffer).unwrap();
    let said = String::from_utf8_lossy(&buffer[..got]);
    for line in [
        "SYSLOG_IDENTIFIER=wharf",
        "PRIORITY=3",
        "WHARF_COMMAND=ADD",
        "WHARF_CONTAINER=c",
        "WHARF_NETWORK=net",
    ] {
        assert!(said.lines().any(|other| other == line), "{line} in {said}");
    }
}

#[test]
fn settings_that_are_wrong_fail_no_call() {
    let node = Node::new();
    settings(&node, "[log]\nlevle = 'info'\n");
    let container = node.container("c");
    let outcome = Network::new(&node, [layer2(json!({}))]).add(&container.eth0());
    assert!(outcome.stderr.contains("wharf.toml") && outcome.stderr.contains("levle"), "{}", outcome.stderr);
    outcome.ok();
    let output = node.run(|| sh::output(wharfctl(&node.root()).arg("export")));
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("levle"));
}

fn texts(folder: &Path) -> Vec<(String, String)> {
    wharf_tests::node::files(folder)
        .into_iter()
        .map(|file| {
            (
                file.display().to_string(),
                String::from_utf8_lossy(&fs::read(folder.join(&file)).unwrap()).into_owned(),
            )
        })
        .collect()
}

#[test]
fn secrets_of_a_configuration_reach_no_log_no_error_no_span() {
    let mut node = Node::new();
    let fails = "cat $CNI_X; echo \"the key hunter2-native is wrong\" >&2; echo '{\"code\": 7, \"msg\": \"hunter2-native is wrong\"}'; exit 1";
    Native::install(&mut node, "ipam", fails);
    settings(
        &node,
        "[log]\nto = '/var/log/wharf.log'\nlevel = 'trace'\n[traces]\nendpoint = 'http://127.0.0.1:9'\n",
    );
    fs::create_dir_all(node.root().join("var/log")).unwrap();
    let container = node.container("c");
    let more = [("CNI_ARGS", "IgnoreUnknown=1;API_TOKEN=hunter2-args")];
    let mut said = Vec::new();
    // As it stands a guest names the value that it cannot use; without it, the native plugin tells its key.
    let mut confs = vec![with_secrets()];
    let mut other = with_secrets();
    other.as_object_mut().unwrap().remove("mtu");
    confs.push(other);
    for conf in &confs {
        for command in ["ADD", "CHECK", "DEL"] {
            let outcome = call(&node, "bridge", &container.eth0(), command, &more, conf);
            said.push((command.to_owned(), format!("{}\n{}", outcome.stdout, outcome.stderr)));
        }
    }
    assert!(said.iter().any(|(_, text)| text.contains("[redacted]")), "it was about to be said: {said:#?}");
    said.extend(texts(&node.root().join("var/log")));
    said.extend(texts(&node.root().join("run/wharf/telemetry")));
    assert!(
        said.iter().any(|(name, _)| name == "wharf.log")
            && said.iter().any(|(name, _)| name == "spans.jsonl")
    );
    for (name, text) in &said {
        assert!(!text.contains("hunter2"), "{name}: {text}");
    }
}

#[test]
fn ports_and_their_flush_are_no_matter_of_the_log() {
    // A whole list with everything leaves standard error empty at the usual level.
    let node = Node::new();
    let container = node.container("c");
    let network = Network::new(&node, [bridge(json!({})), portmap(json!({}))]);
    let outcome = network.add(&container.eth0().port(8080, 80));
    assert_eq!(outcome.stderr, "");
    outcome.ok();
}
