//! `wharfctl test`: the scenarios of the built-in guests, as root and as somebody who may do nothing, and what is said of
//! one that fails.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use wharf_tests::install::{Binaries, workplace};
use wharf_tests::sh;

const NOBODY: u32 = 65534;

/// The scenarios of this folder.
fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

/// A folder of a test, which everybody may look into.
fn folder(name: &str) -> PathBuf {
    let folder = workplace().join("scenarios").join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// `wharfctl test` with the guests that were built, and a cache that the tests share.
fn wharfctl_test(scenarios: &Path) -> Command {
    let binaries = Binaries::get();
    let mut command = Command::new(&binaries.wharfctl);
    command.arg("test").arg(scenarios).arg("--guests").arg(&binaries.guests);
    command.env("XDG_CACHE_HOME", folder("cache"));
    command
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).concat()
}

/// A scenario of its own, in a folder of its own.
fn scenario(name: &str, text: &str) -> PathBuf {
    let folder = folder(name);
    fs::write(folder.join("one.toml"), text).unwrap();
    folder
}

const BRIDGE: &str = r#"
about = "A bridge"
[network]
plugins = [{ type = "bridge", bridge = "br0", ipam = { type = "host-local", ranges = [[{ subnet = "10.1.0.0/24" }]] } }]
[[step]]
add = "c1"
"#;

#[test]
fn all_pass_with_a_fault_sweep() {
    let report = folder("report").join("junit.xml");
    let printed = sh::run(wharfctl_test(&shipped()).arg("--junit").arg(&report));
    print!("{printed}");
    let xml = fs::read_to_string(report).unwrap();
    let count = xml.matches("<testcase ").count();
    assert!(count >= 20 && xml.contains(&format!("tests=\"{count}\" failures=\"0\"")), "{xml}");
    assert!(printed.contains(&format!("{count} of {count} scenarios passed")), "{printed}");
    assert!(!printed.contains("no golden"), "each has one: {printed}");
    // Every call that succeeds was swept.
    assert!(faults(&printed, "chain/whole") > 100, "{printed}");
    assert_eq!(faults(&printed, "errors/configuration"), 0, "{printed}");
}

/// How many faults a scenario was run with.
fn faults(printed: &str, name: &str) -> u32 {
    let line = printed.lines().find(|line| line.contains(name)).unwrap();
    let words = line.split([' ', ',']).collect::<Vec<_>>();
    let at = words.iter().position(|word| *word == "faults").unwrap();
    words[at - 1].parse().unwrap()
}

#[test]
fn what_takes_away_is_swept_as_well() {
    let of = |name: &str, more: &str| {
        let folder = scenario(name, &format!("{BRIDGE}{more}"));
        faults(&sh::run(&mut wharfctl_test(&folder)), " one ")
    };
    let add = of("swept-add", "");
    for (name, more) in [("swept-del", "[[step]]\ndel = \"c1\"\n"), ("swept-gc", "[[step]]\ngc = []\n")] {
        let all = of(name, more);
        assert!(add > 0 && all > add, "{name}: {all} faults, and {add} of the ADD");
    }
}

/// No root, no capability, no home. What it needs is copied to where everybody can read it.
#[test]
fn nobody_can_run_them() {
    let place = std::env::temp_dir().join(format!("wharf-scenarios-{}", std::process::id()));
    let own = place.join("own");
    fs::create_dir_all(&own).unwrap();
    let binaries = Binaries::get();
    let program = place.join("wharfctl");
    fs::copy(&binaries.wharfctl, &program).unwrap();
    sh::run(sh::words("cp -rL").arg(&binaries.guests).arg(place.join("guests")));
    sh::run(sh::words("cp -r").arg(shipped()).arg(place.join("scenarios")));
    sh::run(sh::words("chmod -R a+rX").arg(&place));
    chown(&own, Some(NOBODY), Some(NOBODY)).unwrap();
    let mut command = Command::new(&program);
    command.arg("test").arg(place.join("scenarios")).arg("--guests").arg(place.join("guests"));
    command.arg("--no-sweep").env_clear().env("TMPDIR", &own).env("XDG_CACHE_HOME", own.join("cache"));
    // Without supplementary groups: so it is for a process of root's that changes its user.
    let output = command.current_dir("/").uid(NOBODY).gid(NOBODY).output().unwrap();
    let left =
        fs::read_dir(&own).unwrap().filter(|entry| entry.as_ref().unwrap().file_name() != "cache").count();
    fs::remove_dir_all(&place).unwrap();
    let said = said(&output);
    assert!(output.status.success() && said.contains("scenarios passed"), "{said}");
    assert_eq!(left, 0, "temporary files stay");
}

#[test]
fn two_runs_come_to_the_same_end() {
    let folder = scenario("twice", BRIDGE);
    sh::run(wharfctl_test(&folder).arg("--bless").arg("--no-sweep"));
    let golden = fs::read_to_string(folder.join("one.golden")).unwrap();
    assert!(golden.contains("\n1. ADD c1/eth0\n") && golden.contains("links/create-veth"), "{golden}");
    sh::run(&mut wharfctl_test(&folder));
    assert_eq!(fs::read_to_string(folder.join("one.golden")).unwrap(), golden, "nobody asked to write it");
    sh::run(wharfctl_test(&folder).arg("--bless").arg("--no-sweep"));
    assert_eq!(fs::read_to_string(folder.join("one.golden")).unwrap(), golden);
}

#[test]
fn a_failure_says_what_was_expected_and_what_is_there() {
    let wrong = format!(
        "{BRIDGE}result.ips = [{{ address = \"10.1.0.3/24\" }}]\nchanges = [\"nat/masquerade\"]\n\
         [[step]]\nprobe = {{ from = \"host\", to = \"10.1.0.2:80\", arrives = \"c1\" }}\n\
         [[step]]\nadd = \"c2\"\nerror = 7\n"
    );
    let folder = scenario("wrong", &wrong);
    let report = folder.join("junit.xml");
    let output = wharfctl_test(&folder).arg("--no-sweep").arg("--junit").arg(&report).output().unwrap();
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for words in [
        "FAILED one",
        "1. ADD c1/eth0: result.ips[0].address: expected \"10.1.0.3/24\", found \"10.1.0.2/24\"",
        "1. ADD c1/eth0: changes: expected `nat/masquerade`: it is not made",
        "2. packet from host to 10.1.0.2:80, tcp: arrives: expected c1, found none",
        "3. ADD c2/eth0: expected an error with code 7, found it succeeded",
        "0 of 1 scenarios passed",
    ] {
        assert!(said.contains(words), "{words:?} is missing in\n{said}");
    }
    let xml = fs::read_to_string(report).unwrap();
    assert!(xml.matches("<failure ").count() == 4 && xml.contains("failures=\"1\""), "{xml}");
}

#[test]
fn a_component_that_was_left_off_the_command_line_is_named() {
    let text = "about = \"A guest that nobody gave\"\n[network]\nplugins = [{ type = \"mine\" }]\n[[step]]\nadd = \"c1\"\n";
    let output = wharfctl_test(&scenario("left-off", text)).output().unwrap();
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(
        said.matches("no component of mine was given: say its file after the folder").count(),
        1,
        "{said}"
    );
}

/// Its record tells what there is to remove, but the guest is no good.
#[test]
fn a_broken_del_fails_its_step_unless_that_is_expected() {
    let text = "about = \"A guest that fails its DEL\"\n[network]\nplugins = [{ type = \"mine\" }]\n\
                [[step]]\nadd = \"c1\"\n[[step]]\ndel = \"c1\"\n";
    let broken = scenario("broken-del", text);
    let mine = broken.join("mine.wasm");
    fs::write(&mine, crate::hostile::component("fail-in-del")).unwrap();
    fs::create_dir_all(broken.join("grants")).unwrap();
    let grant = "operations = [\"nat/masquerade\"]\nnat = { cidrs = [\"10.1.0.0/24\"] }\n";
    fs::write(broken.join("grants/mine.toml"), grant).unwrap();
    let output = wharfctl_test(&broken).arg(&mine).output().unwrap();
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let line = "2. DEL c1/eth0: a guest failed, and it went on by what Wharf knows itself: mine: I will not";
    assert!(said.contains(line) && said.contains("goes-on-after = [\"mine: I will not\"]"), "{said}");

    fs::write(broken.join("one.toml"), format!("{text}goes-on-after = [\"I will not\"]\n")).unwrap();
    sh::run(wharfctl_test(&broken).arg(&mine).arg("--bless"));
    let golden = fs::read_to_string(broken.join("one.golden")).unwrap();
    assert!(golden.contains("\n   went on after: mine: I will not\n"), "{golden}");
    fs::write(broken.join("one.toml"), format!("{text}goes-on-after = [\"something else\"]\n")).unwrap();
    let output = wharfctl_test(&broken).arg(&mine).arg("--no-sweep").output().unwrap();
    assert!(
        !output.status.success() && self::said(&output).contains("found none"),
        "{}",
        self::said(&output)
    );
}

#[test]
fn a_reader_that_has_gone_is_no_reason_to_panic() {
    let folder = scenario("closed", BRIDGE);
    let mut test = wharfctl_test(&folder);
    test.arg("--no-sweep").stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = test.spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let said = said(&output);
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[test]
fn a_golden_that_differs_is_shown_line_by_line() {
    let folder = scenario("golden", BRIDGE);
    sh::run(wharfctl_test(&folder).arg("--bless").arg("--no-sweep"));
    let golden = folder.join("one.golden");
    let text = fs::read_to_string(&golden).unwrap();
    fs::write(&golden, text.replace("links/set-up", "links/set-down")).unwrap();
    let output = wharfctl_test(&folder).arg("--no-sweep").output().unwrap();
    let said = said(&output);
    assert!(!output.status.success() && said.contains("one.golden differs"), "{said}");
    assert!(said.contains("\n    -    links/set-down") && said.contains("\n    +    links/set-up"), "{said}");
    assert!(!said.contains("ips (address"), "what is the same is not shown: {said}");
}

#[test]
fn a_scenario_that_makes_no_sense_says_where() {
    for (name, text, words) in [
        ("key", BRIDGE.replace("add =", "ad ="), "unknown field `ad`"),
        ("two", format!("{BRIDGE}del = \"c1\"\n"), "step 1: say one of add, check"),
        ("errno", format!("{BRIDGE}fault = {{ change = 1, errno = \"EWHAT\" }}\n"), "\"EWHAT\" is no errno"),
        ("never", format!("{BRIDGE}fault = {{ change = 99, errno = \"EIO\" }}\n"), "was never asked for"),
        (
            "link",
            format!("{BRIDGE}[host.links.eth7]\nmaster = \"none\"\n"),
            "links.eth7: there is no link \"none\"",
        ),
        (
            "out",
            format!("{BRIDGE}[leases.\"../../out\"]\n\"10.1.0.2\" = \"c/eth0\"\n"),
            "leases: \"../../out\"",
        ),
    ] {
        let output = wharfctl_test(&scenario(name, &text)).arg("--no-sweep").output().unwrap();
        let said = said(&output);
        assert!(!output.status.success() && said.contains(words), "{name}: {words:?} is missing in\n{said}");
    }
    let output = wharfctl_test(&folder("empty")).output().unwrap();
    assert!(!output.status.success() && said(&output).contains("there is no scenario"), "{}", said(&output));
}

/// A guest of nobody's acquaintance gets what it imports and nothing to do it with; a folder `grants` says more.
#[test]
fn a_guest_of_ones_own_has_a_grant_of_its_own() {
    let folder = scenario("own", &BRIDGE.replace("type = \"bridge\"", "type = \"mine\""));
    let missing = wharfctl_test(&folder).output().unwrap();
    assert!(said(&missing).contains("\"mine\" is not installed"), "{}", said(&missing));
    let mine = folder.join("mine.wasm");
    fs::copy(Binaries::get().guests.join("bridge.wasm"), &mine).unwrap();
    let denied = wharfctl_test(&folder).arg(&mine).env("WHARF_LOG", "error").output().unwrap();
    let said = said(&denied);
    assert!(said.contains("code 900") && said.contains("names = [\"br0\"]"), "{said}");
    fs::create_dir_all(folder.join("grants")).unwrap();
    fs::write(folder.join("grants/mine.toml"), GRANT).unwrap();
    let printed = sh::run(wharfctl_test(&folder).arg(&mine).arg("--no-sweep"));
    assert!(printed.contains("1 of 1 scenarios passed"), "{printed}");
}

const GRANT: &str = r#"
operations = [
    "links/*", "bridge-ports/*", "addresses/*", "routes/*", "sysctl/*", "nat/*", "filter/*", "delegate/*", "neighbours/*",
]
links = { names = ["br0", "veth*"], container-names = ["{ifname}"] }
bridge-ports = { vlans = [] }
addresses = { cidrs = ["10.0.0.0/8"], container-cidrs = ["10.0.0.0/8"] }
routes = { cidrs = [], container-cidrs = ["default"] }
sysctl = { keys = ["ipv6/conf/*/*"], container-keys = ["ipv4/conf/*/*", "ipv6/conf/*/*"] }
nat = { host-ports = [], cidrs = [] }
delegate = { plugins = ["host-local"] }
"#;
