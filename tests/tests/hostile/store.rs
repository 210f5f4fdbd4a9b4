//! Compiled guests that are damaged, foreign or forged.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use wharf_tests::Value;

use crate::hostile::Stage;

/// Any guest that does nothing of its own.
const GUEST: &str = "ten-thousand-interfaces";

fn artefact(stage: &Stage) -> PathBuf {
    let digest = stage.manifest()["artefact"].as_str().unwrap().to_owned();
    stage.node.root().join(format!("var/lib/wharf/artefacts/{digest}.cwasm"))
}

/// Puts a file in the place of one that is linked from elsewhere.
fn replace(file: &PathBuf, bytes: &[u8]) {
    fs::remove_file(file).unwrap();
    fs::write(file, bytes).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o644)).unwrap();
}

#[test]
fn a_changed_artefact_is_not_run() {
    let good = fs::read(artefact(&Stage::new(GUEST))).unwrap();
    let mut changed = good.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    for bytes in [&good[..good.len() / 2], &good[..1], &changed] {
        let stage = Stage::new(GUEST);
        replace(&artefact(&stage), bytes);
        stage.add_fails(50, &["damaged", "BLAKE3", "wharfctl install"]);
    }
    let stage = Stage::new(GUEST);
    replace(&artefact(&stage), b"");
    stage.add_fails(50, &["0 bytes"]);
    fs::remove_file(artefact(&stage)).unwrap();
    stage.add_fails(50, &["damaged", "it is missing", "wharfctl install"]);
}

/// Installs bytes as if they had been compiled here: with the digest that belongs to them.
fn forge(stage: &Stage, bytes: &[u8]) {
    let mut manifest: Value = stage.manifest();
    let digest = blake3::hash(bytes).to_hex().to_string();
    manifest["artefact"] = digest.clone().into();
    let root = stage.node.root();
    fs::write(root.join(format!("var/lib/wharf/artefacts/{digest}.cwasm")), bytes).unwrap();
    let file = root.join(format!("var/lib/wharf/guests/{GUEST}.json"));
    replace(&file, manifest.to_string().as_bytes());
}

#[test]
fn what_was_compiled_by_others_does_not_load_even_with_its_digest() {
    let good = fs::read(artefact(&Stage::new(GUEST))).unwrap();
    let mut other_target = good.clone();
    let word = b"-unknown-linux-gnu";
    let at = good.windows(word.len()).position(|window| window == word).unwrap();
    other_target[at + 9..at + 14].copy_from_slice(b"haiku");
    let noise: Vec<u8> = good.iter().map(|byte| byte.wrapping_mul(31).wrapping_add(7)).collect();
    let component = crate::hostile::component(GUEST);
    let native = fs::read("/bin/sh").unwrap();
    for bytes in [&good[..good.len() / 2], &good[..100], &other_target, &noise, &component, &native] {
        let stage = Stage::new(GUEST);
        forge(&stage, bytes);
        stage.add_fails(50, &["the compiled guest does not load", "wharfctl install"]);
    }
}

#[test]
fn a_manifest_that_lies_is_not_believed() {
    let changes: [(&str, Value, u32, &[&str]); 4] = [
        ("artefact", "../../../etc/shadow".into(), 50, &["`artefact` is no BLAKE3 digest"]),
        ("name", "bridge".into(), 50, &["it is the manifest of \"bridge\""]),
        (
            "digest",
            format!("sha256:{}", "0".repeat(64)).into(),
            50,
            &["is for the component", "wharfctl install"],
        ),
        ("root", true.into(), 50, &["unknown field `root`"]),
    ];
    for (key, value, code, words) in changes {
        let stage = Stage::new(GUEST);
        let mut manifest = stage.manifest();
        manifest[key] = value;
        let file = stage.node.root().join(format!("var/lib/wharf/guests/{GUEST}.json"));
        replace(&file, manifest.to_string().as_bytes());
        stage.add_fails(code, words);
    }
}

#[test]
fn files_that_others_may_write_are_not_used() {
    for file in ["etc/cni/wharf.d/G.toml", "var/lib/wharf/guests/G.json", "ARTEFACT"] {
        let stage = Stage::new(GUEST);
        let file = match file {
            "ARTEFACT" => artefact(&stage),
            other => stage.node.root().join(other.replace('G', GUEST)),
        };
        let bytes = fs::read(&file).unwrap();
        replace(&file, &bytes);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
        stage.add_fails(50, &["others may write it (mode 666)"]);
        std::os::unix::fs::chown(&file, Some(1000), Some(1000)).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        stage.add_fails(50, &["it belongs to user 1000"]);
    }
}
