//! Guests that use the host against others: by delegation, and by changing what they may only look at.

use wharf_tests::json;
use wharf_tests::native::Native;

use crate::hostile::Stage;

#[test]
fn delegate_loop() {
    let mut stage = Stage::new("delegate-loop");
    stage.config = json!({"delegate": {"type": "delegate-loop"}});
    stage.add_fails(7, &["delegate-loop: delegation goes deeper than 3 plugins"]);
}

#[test]
fn delegate_paths() {
    let mut stage = Stage::new("delegate-paths");
    let planted = Native::install(&mut stage.node, "planted", "exit 0");
    for ipam in [json!({}), json!({"type": "host-local"})] {
        stage.config = json!({"ipam": ipam});
        let text = stage.call("ADD").error(200);
        assert_eq!(text.matches(" 900 900").count(), 8, "{text}");
    }
    // One that the configuration names is refused before a guest runs.
    stage.config = json!({"ipam": {"type": "../planted"}});
    stage.call("ADD").error_saying(7, &["ipam.type", "\"../planted\""]);
    assert_eq!(planted.calls().len(), 0);
    stage.nothing_is_left();
}

#[test]
fn delegate_config() {
    let mut stage = Stage::new("delegate-config");
    let recorder = Native::install(
        &mut stage.node,
        "recorder",
        "echo '{\"cniVersion\": \"1.1.0\", \"ips\": [{\"address\": \"10.1.0.42/24\"}]}'",
    );
    stage.config = json!({"ipam": {"type": "recorder", "dataDir": "/var/lib/cni/networks"}});
    stage.add_fails(200, &["7 7 1 6 6 done"]);
    // The one that was run, and its DEL when the ADD was undone.
    assert_eq!(recorder.commands(), ["ADD", "DEL"]);
    for (_, config) in recorder.calls() {
        assert_eq!(config["ipam"], stage.config["ipam"]);
        assert_eq!((&config["name"], &config["cniVersion"]), (&json!("net"), &json!("1.1.0")));
    }
}

#[test]
fn change_in_check() {
    let mut stage = Stage::new("change-in-check");
    stage.config = json!({"prevResult": {"cniVersion": "1.1.0"}});
    stage.call("CHECK").error_naming(200, &["denied; denied; denied; denied"]);
    stage.nothing_is_left();
    stage.call("STATUS").error_naming(50, &["denied"]);
    stage.nothing_is_left();
}
