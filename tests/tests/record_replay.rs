//! `wharfctl record` and `replay`: what guests did on a node, done again anywhere.

mod changed;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use wharf_tests::install::{Binaries, wharfctl};
use wharf_tests::native::Native;
use wharf_tests::{Container, Node, Value, json, sh};

use crate::common::{BACKENDS, bridge, full, limits, with, written};

const NOBODY: u32 = 65534;

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).concat()
}

/// `wharfctl record` on the node.
fn record(node: &Node, list: &str, container: &Container, to: &Path, more: &[&str]) -> Output {
    let netns = container.eth0().netns;
    let mut command = wharfctl(&node.root());
    command.args(["record", list, "--netns", &netns, "--container", "c", "--output"]).arg(to).args(more);
    node.run(|| sh::output(&mut command))
}

/// `wharfctl replay` with the node's guests.
fn replay(node: &Node, file: &Path, more: &[&str]) -> Output {
    sh::output(wharfctl(&node.root()).arg("replay").arg(file).args(more))
}

#[track_caller]
fn succeeds(output: &Output) -> String {
    let said = said(output);
    assert!(output.status.success(), "{said}");
    said
}

#[track_caller]
fn fails(output: &Output, words: &str) -> String {
    let said = said(output);
    assert!(output.status.code() == Some(1) && said.contains(words), "{words:?} is missing in\n{said}");
    said
}

fn read(file: &Path) -> Value {
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

/// What an ADD of everything is told by the runtime.
fn capabilities() -> String {
    let ports = json!([{"hostPort": 8001, "containerPort": 80, "protocol": "tcp"}]);
    json!({"portMappings": ports, "bandwidth": limits()}).to_string()
}

/// A recorded ADD of a dual-stack bridge with masquerading, mapped ports and limits.
struct Recorded {
    node: Node,
    container: Container,
    list: String,
    file: PathBuf,
}

impl Recorded {
    fn new(backend: &str, chain: bool, more: &[&str]) -> Self {
        let node = Node::new();
        let list = written(&node, &full(backend), chain);
        let container = node.container("c");
        let file = node.folder("recordings").join("add.json");
        let capabilities = capabilities();
        let args = [&["--capabilities", capabilities.as_str()], more].concat();
        let output = record(&node, &list, &container, &file, &args);
        succeeds(&output);
        Self { node, container, list, file }
    }

    fn guests(&self) -> Vec<(String, String)> {
        let calls = read(&self.file)["calls"].as_array().unwrap().clone();
        let command = |call: &Value| call["call"].as_object().unwrap().keys().next().unwrap().clone();
        calls.iter().map(|call| (call["guest"].as_str().unwrap().to_owned(), command(call))).collect()
    }
}

#[test]
fn an_add_is_recorded_and_does_the_same_again() {
    for backend in BACKENDS {
        for chain in [false, true] {
            let Recorded { node, container, file, .. } = &Recorded::new(backend, chain, &[]);
            assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
            assert_eq!(container.addresses("eth0")[0], "10.1.0.2/24");
            assert_eq!(node.leased("net"), ["10.1.0.2", "fd01::2"]);
            let recording = read(file);
            assert_eq!((&recording["version"], &recording["scrubbed"]), (&json!(1), &json!(false)));
            let requests = recording["requests"].as_array().unwrap();
            assert_eq!(requests.len(), if chain { 1 } else { 3 });
            assert_eq!(requests.last().unwrap()["printed"]["ips"][0]["address"], "10.1.0.2/24");
            for mode in [&[][..], &["--lenient"]] {
                let printed = succeeds(&replay(node, file, mode));
                assert_eq!(printed.lines().filter(|line| line.starts_with("ok ")).count(), 4, "{printed}");
                assert_eq!(printed.lines().count(), 4, "{printed}");
            }
            let calls: Value = serde_json::from_str(&succeeds(&replay(node, file, &["--json"]))).unwrap();
            let bridge = &recording["calls"][0];
            assert_eq!(calls[0]["operations"], bridge["operations"].as_array().unwrap().len());
            assert_eq!((&calls[0]["guest"], &calls[0]["divergence"]), (&json!("bridge"), &Value::Null));
        }
    }
}

#[test]
fn calls_are_in_the_order_in_which_they_begin_and_a_del_is_too() {
    let recorded = Recorded::new("nftables", false, &["--del"]);
    let of = |command: &str, guests: &[&str]| {
        guests.iter().map(|guest| ((*guest).to_owned(), command.to_owned())).collect::<Vec<_>>()
    };
    let expected = [
        of("Add", &["bridge", "host-local", "portmap", "bandwidth"]),
        of("Del", &["bandwidth", "portmap", "bridge", "host-local"]),
    ];
    assert_eq!(recorded.guests(), expected.concat());
    succeeds(&replay(&recorded.node, &recorded.file, &[]));
    assert_eq!(recorded.container.links(), ["lo"]);
    assert!(recorded.node.leased("net").is_empty());
}

#[test]
fn what_was_added_is_deleted_as_record_says() {
    let Recorded { node, container, list, .. } = &Recorded::new("nftables", true, &["--del"]);
    let before = (node.dump(), container.dump());
    let file = node.folder("recordings").join("again.json");
    let printed = succeeds(&record(node, list, container, &file, &[]));
    let line = printed.lines().skip_while(|line| !line.contains("this deletes it")).nth(1).unwrap();
    let line = line.trim().replacen("wharfctl", &Binaries::get().wharfctl.display().to_string(), 1);
    let mut command = sh::words("sh -c");
    command.arg(line).env("WHARF_ROOT", node.root());
    let printed = node.run(|| sh::run(&mut command));
    assert!(printed.contains("the DEL of c/eth0 on net is recorded"), "{printed}");
    node.dump().assert_same(&before.0);
    container.dump().assert_same(&before.1);
    succeeds(&replay(node, &file.with_extension("del.json"), &[]));
}

/// No root, no capability, no home, no network, no installed guest. What it needs is copied to where everybody can read it.
#[test]
fn nobody_can_replay_it_scrubbed_or_not() {
    let place = std::env::temp_dir().join(format!("wharf-replay-{}", std::process::id()));
    let own = place.join("own");
    for folder in ["own", "bin", "root"] {
        fs::create_dir_all(place.join(folder)).unwrap();
    }
    let binaries = Binaries::get();
    fs::copy(&binaries.wharfctl, place.join("bin/wharfctl")).unwrap();
    sh::run(sh::words("cp -rL").arg(&binaries.guests).arg(place.join("guests")));
    let mut replays = Vec::new();
    let mut texts = Vec::new();
    for (name, more) in [("plain.json", &[][..]), ("scrubbed.json", &["--scrub"])] {
        let recorded = Recorded::new("nftables", false, more);
        let file = own.join(name);
        let text = fs::read_to_string(&recorded.file).unwrap();
        let link = recorded.container.sh("ip -o link show eth0");
        let mac = link.split_whitespace().skip_while(|word| *word != "link/ether").nth(1).unwrap();
        assert_eq!(text.contains(mac), name == "plain.json", "{mac}");
        texts.push(text);
        fs::copy(&recorded.file, &file).unwrap();
        replays.push(file);
    }
    sh::run(sh::words("chmod -R a+rX").arg(&place));
    for path in [&own].into_iter().chain(&replays) {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let outputs: Vec<Output> = replays
        .iter()
        .map(|file| {
            let mut command = Command::new(place.join("bin/wharfctl"));
            command.arg("replay").arg(file).env_clear().env("WHARF_ROOT", place.join("root"));
            command.env("TMPDIR", &own).env("XDG_CACHE_HOME", own.join("cache")).current_dir("/");
            command.uid(NOBODY).gid(NOBODY);
            sh::output(&mut command)
        })
        .collect();
    let left = fs::read_dir(&own).unwrap().count();
    fs::remove_dir_all(&place).unwrap();
    for output in &outputs {
        assert_eq!(succeeds(output).matches("ok ").count(), 4);
    }
    assert_eq!(left, 3, "two recordings and the cache, and no temporary file");
    let [plain, scrubbed] = &texts[..] else { panic!("two recordings") };
    for address in ["10.1.0.", "fd01::"] {
        assert!(plain.contains(address) && !scrubbed.contains(address), "{address}");
    }
    let recording: Value = serde_json::from_str(scrubbed).unwrap();
    let result = &recording["requests"][0]["printed"];
    let [address, gateway] = ["address", "gateway"].map(|key| result["ips"][0][key].as_str().unwrap());
    let network = gateway.strip_suffix(".1").expect("the first address is the gateway");
    assert_eq!(address, format!("{network}.2/24"));
    assert_eq!(recording["scrubbed"], true);
}

#[test]
fn an_add_that_fails_is_recorded_and_fails_again() {
    let node = Node::new();
    let container = node.container("c");
    let before = (node.dump(), container.dump());
    let list = written(&node, &[bridge(json!({"bridge": "lo"}))], false);
    let file = node.folder("recordings").join("failed.json");
    let output = record(&node, &list, &container, &file, &[]);
    let error = fails(&output, "the ADD of bridge failed (code ");
    assert!(!error.contains("this deletes it"), "{error}");
    node.dump().assert_same(&before.0);
    container.dump().assert_same(&before.1);
    assert!(read(&file)["calls"][0]["outcome"]["failure"]["Guest"]["code"].is_u64());
    let printed = succeeds(&replay(&node, &file, &[]));
    assert!(printed.contains("recorded: the ADD of bridge failed: ") && printed.contains("ok "), "{printed}");

    // Before any guest is called.
    let netns = node.folder("none").join("ns").display().to_string();
    let mut command = wharfctl(&node.root());
    command.args(["record", &list, "--netns", &netns, "--output"]).arg(&file);
    fails(&node.run(|| sh::output(&mut command)), "the ADD of bridge failed (code ");
    assert_eq!(read(&file)["calls"], json!([]));
    assert!(succeeds(&replay(&node, &file, &[])).contains("no guest was called"));
}

#[test]
fn a_list_whose_second_plugin_fails_says_that_the_first_ones_work_stays() {
    let node = Node::new();
    let container = node.container("c");
    let list = written(&node, &[bridge(json!({})), json!({"type": "nowhere"})], false);
    let file = node.folder("recordings").join("half.json");
    let error = fails(&record(&node, &list, &container, &file, &[]), "the ADD of nowhere failed (code 50): ");
    assert!(error.contains("this deletes it"), "{error}");
    assert_eq!(node.leased("net"), ["10.1.0.2"]);
    fails(&record(&node, &list, &container, &file, &["--only-del"]), "the DEL of nowhere failed (code 50): ");
    assert!(node.leased("net").is_empty());
}

#[test]
fn a_network_is_found_by_its_name_and_its_native_plugins_run() {
    let mut node = Node::new();
    let answer = r#"[ $1 = DEL ] || echo '{"cniVersion": "1.1.0", "ips": [{"address": "10.1.0.99/24"}]}'"#;
    let native = Native::install(&mut node, "aside", answer);
    let plugins = [bridge(json!({})), json!({"type": "aside"})];
    let folder = node.root().join("etc/cni/net.d");
    fs::create_dir_all(&folder).unwrap();
    fs::rename(written(&node, &plugins, false), folder.join("10-net.conflist")).unwrap();
    let container = node.container("c");
    let file = node.folder("recordings").join("named.json");
    let output = record(&node, "nothing", &container, &file, &[]);
    fails(&output, "nothing is neither a file nor a network of ");
    assert!(!file.exists());

    let mut command = wharfctl(&node.root());
    command.args(["record", "net", "--del", "--netns", &container.eth0().netns, "--output"]).arg(&file);
    command.env("CNI_PATH", &node.cni_path);
    node.run(|| sh::run(&mut command));
    assert_eq!(native.commands(), ["ADD", "DEL"]);
    assert_eq!(read(&file)["requests"][1]["printed"]["ips"][0]["address"], "10.1.0.99/24");
    // The bridge is deleted with what the last plugin said.
    let del = &read(&file)["calls"][2]["call"]["Del"];
    assert_eq!(del["previous"]["ips"][0]["address"], "10.1.0.99/24");
    assert!(node.leased("net").is_empty());
}

#[test]
fn secrets_are_not_in_it() {
    let node = Node::new();
    let container = node.container("c");
    let plugin =
        with(bridge(json!({})), json!({"api": {"token": "recorded-secret", "pin-password": 123_456}}));
    let list = written(&node, &[plugin], false);
    let file = node.folder("recordings").join("secret.json");
    let args = "IgnoreUnknown=1;API_TOKEN=argument-secret";
    let printed = succeeds(&record(&node, &list, &container, &file, &["--args", args, "--del"]));
    let text = fs::read_to_string(&file).unwrap();
    for secret in ["recorded-secret", "123456", "argument-secret"] {
        assert!(!text.contains(secret) && !printed.contains(secret), "{secret}");
    }
    assert!(text.contains("[redacted]"));
    succeeds(&replay(&node, &file, &[]));
    assert!(node.leased("net").is_empty());
}

#[test]
fn a_file_that_makes_no_sense_is_one_clear_error() {
    let Recorded { node, file, .. } = &Recorded::new("nftables", true, &[]);
    let text = fs::read_to_string(file).unwrap();
    let other = file.with_extension("other");
    for (changed, words) in [
        (text.replacen("\"version\": 1", "\"version\": 7", 1), "is a recording of version 7"),
        (text[..text.len() / 2].to_owned(), "EOF while parsing"),
        (text.replace("set-up", "set-down"), "unknown variant `set-down`"),
        (text.replace("\"guest\": \"bridge\"", "\"guest\": \"bruecke\""), "--guest bruecke=FILE.wasm"),
        ("[]".to_owned(), "is no recording"),
    ] {
        fs::write(&other, changed).unwrap();
        let error = fails(&replay(node, &other, &[]), words);
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    fails(&replay(node, Path::new("/nonexistent"), &[]), "cannot read /nonexistent");
    fails(&replay(node, file, &["--guest", "brudge=/x.wasm"]), "its guests are bandwidth, bridge, ");
    fails(&replay(node, file, &["--guest", "bridge=/x.wasm"]), "cannot read /x.wasm");
}
