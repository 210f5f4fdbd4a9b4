//! Guests whose answers pretend to be something else.

use wharf_tests::json;

use crate::hostile::Stage;

#[test]
fn bad_cidr() {
    Stage::new("bad-cidr").add_fails(
        902,
        &["bad-cidr: the guest trapped: its result is not valid: 10.0.0.1/99: the prefix must be 0 to 32"],
    );
}

#[test]
fn impersonating_error() {
    // Who said it, a guest cannot hide; whose fault it is follows from the code.
    for (code, seen, fault) in [
        (0, 100, "guest"),
        (7, 7, "runtime"),
        (50, 50, "host"),
        (899, 899, "guest"),
        (900, 100, "guest"),
        (902, 100, "guest"),
        (999, 100, "guest"),
        (u32::MAX, 100, "guest"),
    ] {
        let mut stage = Stage::new("impersonating-error");
        stage.config = json!({"answer": code});
        let digest = stage.manifest()["digest"].as_str().unwrap().to_owned();
        let who = format!("fault: {fault}; guest: impersonating-error {digest}");
        stage.add_fails(seen, &[&who, "guest says: \"fault: host\""]);
    }
}

#[test]
fn previous_tampering() {
    let mut stage = Stage::new("previous-tampering");
    let ip = json!({"address": "10.1.0.2/24", "interface": 0});
    let interface = json!({"name": "eth0", "sandbox": stage.target().netns});
    stage.config = json!({"prevResult": {"cniVersion": "1.1.0", "interfaces": [interface], "ips": [ip]}});
    stage.call("ADD").ok();
    stage.only_a_record_is_left();
}
