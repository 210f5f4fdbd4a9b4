//! `wharfctl bench`: what a guest costs, told without root and without a configuration where its world says how it is
//! called.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use wharf_tests::install::{Binaries, policies};
use wharf_tests::{Value, json, sh};

const NOBODY: u32 = 65534;

/// What it needs, where everybody can read it; goes with it.
struct Place(PathBuf);

impl Place {
    fn new(test: &str) -> Self {
        let place = std::env::temp_dir().join(format!("wharf-bench-{test}-{}", std::process::id()));
        let own = place.join("own");
        fs::create_dir_all(&own).unwrap();
        let binaries = Binaries::get();
        fs::copy(&binaries.wharfctl, place.join("wharfctl")).unwrap();
        sh::run(sh::words("cp -rL").arg(&binaries.guests).arg(place.join("guests")));
        sh::run(sh::words("cp -rL").arg(policies()).arg(place.join("policies")));
        sh::run(sh::words("chmod -R a+rX").arg(&place));
        chown(&own, Some(NOBODY), Some(NOBODY)).unwrap();
        Self(place)
    }

    fn guest(&self, name: &str) -> PathBuf {
        self.0.join("guests").join(format!("{name}.wasm"))
    }

    /// Without root, capabilities and a home.
    fn bench(&self, guest: &Path, arguments: &[&str]) -> Output {
        let mut command = Command::new(self.0.join("wharfctl"));
        command.arg("bench").arg(guest).args(["--rounds", "3"]).arg("--guests").arg(self.0.join("guests"));
        command.args(arguments).env_clear().env("TMPDIR", self.0.join("own"));
        command.env("XDG_CACHE_HOME", self.0.join("own/cache"));
        command.current_dir("/").uid(NOBODY).gid(NOBODY).output().unwrap()
    }

    fn write(&self, name: &str, text: &str) -> String {
        let file = self.0.join(name);
        fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[track_caller]
fn calls(output: &Output) -> Vec<Value> {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    value["calls"].as_array().unwrap().clone()
}

#[test]
fn every_world_is_measured_as_it_is_called() {
    let place = Place::new("worlds");
    for (name, beside) in [("loopback", 0), ("host-local", 0), ("portmap", 2)] {
        let capabilities = r#"{"portMappings": [{"hostPort": 8080, "containerPort": 80}]}"#;
        let calls = calls(&place.bench(&place.guest(name), &["--json", "--capabilities", capabilities]));
        for command in ["ADD", "CHECK", "DEL"] {
            let of = |call: &&Value| call["command"] == command;
            assert_eq!(calls.iter().filter(of).count(), 1 + beside, "{name} {command}: {calls:?}");
            let own = calls.iter().filter(of).find(|call| call["guest"] == name).unwrap();
            // A page of memory at the least; it ran, and it asked.
            assert!(own["memory_bytes"].as_u64() >= Some(65_536), "{own}");
            assert!(
                own["own_us"].as_u64() > Some(0) && own["whole_p95_us"].as_u64() >= own["whole_us"].as_u64()
            );
            assert!(own["operations"].as_u64() > Some(0), "{own}");
        }
    }
    let table = "[policy.pod-cidrs]\ncidrs = [\"10.0.0.0/8\", \"fd00::/8\"]\n";
    let settings = place.write("wharf.toml", table);
    let policy = place.0.join("policies/pod-cidrs.wasm");
    let calls = calls(&place.bench(&policy, &["--json", "--settings", &settings]));
    let own = calls.iter().find(|call| call["guest"] == "pod-cidrs" && call["command"] == "ADD");
    assert!(own.is_some_and(|call| call["operations"].as_u64() > Some(10)), "{calls:?}");
}

#[test]
fn how_it_is_called_can_be_said_and_what_fails_is_told() {
    let place = Place::new("said");
    let say = |config: Value| place.write("net.conf", &config.to_string());
    let conf =
        say(json!({"cniVersion": "1.0.0", "name": "n", "type": "host-local", "ipam": {"type": "host-local",
        "ranges": [[{"subnet": "10.9.0.0/30"}]]}}));
    let output = place.bench(&place.guest("host-local"), &["--conf", &conf]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("host-local  ADD") && said.contains("3 rounds"),
        "{said}"
    );

    let refused = |guest: &Path, arguments: &[&str], words: &[&str]| {
        let output = place.bench(guest, arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{arguments:?}");
        for word in words {
            assert!(said.contains(word), "{word:?} in {said}");
        }
    };
    refused(&place.guest("loopback"), &["--conf", &conf], &["loopback was never called by this list"]);
    let wrong = say(json!({"cniVersion": "1.0.0", "name": "n", "type": "host-local"}));
    refused(
        &place.guest("host-local"),
        &["--conf", &wrong],
        &["ADD of host-local fails with code 7", "ipam"],
    );
    let grant = place.write("grant.toml", "operations = []\n");
    let arguments = ["--grant", grant.as_str()];
    refused(
        &place.guest("loopback"),
        &arguments,
        &["loopback", "fails with code 900", "--conf (or --grant, or --settings)"],
    );
    refused(&place.guest("none"), &[], &["cannot read", "none.wasm"]);
    refused(&place.guest("loopback"), &["--rounds=0"], &["--rounds"]);
}
