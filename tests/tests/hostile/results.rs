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
    // A guest passes on what its delegate said, which may be any number; who said it, it cannot hide.
    for code in [0, 7, 50, 899, 900, 902, 999, 4_294_967_295_u32] {
        let mut stage = Stage::new("impersonating-error");
        stage.config = json!({"answer": code});
        let digest = stage.manifest()["digest"].as_str().unwrap().to_owned();
        stage.add_fails(code, &[&format!("; guest: impersonating-error {digest}")]);
    }
}

#[test]
fn previous_tampering() {
    let mut stage = Stage::new("previous-tampering");
    let ip = json!({"address": "10.1.0.2/24", "interface": 0});
    let interface = json!({"name": "eth0", "sandbox": stage.target().netns});
    stage.config = json!({"prevResult": {"cniVersion": "1.1.0", "interfaces": [interface], "ips": [ip]}});
    stage.call("ADD").ok();
    stage.nothing_is_left();
}
