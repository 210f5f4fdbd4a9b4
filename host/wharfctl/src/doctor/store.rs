//! The installation: the binary, the links to it, the guests, their grants.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::statvfs::{FsFlags, statvfs};
use serde_json::Value;
use wharf_broker::guests;

use super::{Findings, Node};
use crate::grants;

const INSTALL: &str = "run `wharfctl install`";
const AGAIN: &str = "run `wharfctl install`; a guest that is not one of Wharf's, `wharfctl add` once more";

pub(super) fn check(node: &Node<'_>, findings: &mut Findings) {
    binary(&node.bin_dir, findings);
    let names = match guests::names(node.paths) {
        Ok(names) => names,
        Err(error) => return findings.error(node.paths.guests().display(), error, INSTALL),
    };
    if names.is_empty() {
        findings.error(node.paths.guests().display(), "no guest is installed", INSTALL);
    }
    for name in &names {
        match guest(node, name) {
            Ok(digest) => findings.ok(format!("guest {name}"), digest),
            Err(reason) => findings.error(format!("guest {name}"), reason, AGAIN),
        }
        for problem in grants::problems(node.paths, name) {
            findings.error(
                format!("grant of {name}"),
                problem,
                format!("see `wharfctl grants check {name}` and `wharfctl grants suggest {name}`"),
            );
        }
    }
    for directory in [node.paths.guests(), node.paths.artefacts(), node.paths.grants()] {
        owned_by_root(&directory, findings);
    }
}

/// Its component's digest, if its compiled form is the one that was installed.
fn guest(node: &Node<'_>, name: &str) -> Result<String, guests::StoreError> {
    // Hashed in any case.
    let manifest = guests::Manifest { seen: None, ..guests::read(node.paths, name)? };
    let mut file = guests::open(node.paths, &manifest)?;
    let mut bytes = Vec::new();
    let read = file.read_to_end(&mut bytes);
    read.map_err(|source| guests::StoreError::Io { path: manifest.artefact.clone(), source })?;
    guests::verify(node.paths, &manifest, &file, &bytes)?;
    Ok(format!("{} {}", manifest.world, manifest.digest))
}

/// Whoever can write there decides what runs as root.
fn owned_by_root(directory: &Path, findings: &mut Findings) {
    let Ok(metadata) = fs::metadata(directory) else { return };
    let own = nix::unistd::geteuid().as_raw();
    if metadata.uid() != 0 && metadata.uid() != own {
        let what = format!("belongs to user {}", metadata.uid());
        findings.error(directory.display(), what, "chown -R root:root it, then run `wharfctl install`");
    } else if metadata.mode() & 0o022 != 0 {
        let what = format!("others may write there (mode {:o})", metadata.mode() & 0o7777);
        findings.error(directory.display(), what, "chmod go-w it, then run `wharfctl install`");
    }
}

fn binary(bin_dir: &Path, findings: &mut Findings) {
    let file = bin_dir.join(crate::lists::OWN);
    let place = file.display().to_string();
    let metadata = match fs::metadata(&file) {
        Ok(metadata) => metadata,
        Err(error) => return findings.error(place, error, INSTALL),
    };
    if metadata.mode() & 0o111 == 0 {
        return findings.error(&place, "is not executable", format!("chmod 755 {place}"));
    }
    if metadata.mode() & 0o022 != 0 {
        let what = format!("others may write it (mode {:o})", metadata.mode() & 0o7777);
        findings.error(&place, what, format!("chmod 755 {place}"));
    }
    if statvfs(&file).is_ok_and(|system| system.flags().contains(FsFlags::ST_NOEXEC)) {
        return findings.error(
            place,
            "its file system is mounted noexec",
            "remount it, or use another folder",
        );
    }
    match versions(&file) {
        Ok(versions) => findings.ok(place, format!("runs; cniVersion {versions}")),
        Err(reason) => findings.error(place, format!("does not run: {reason}"), INSTALL),
    }
}

/// What it answers to VERSION.
fn versions(file: &Path) -> Result<String, String> {
    let output = Command::new(file)
        .env_clear()
        .env("CNI_COMMAND", "VERSION")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    let answer: Value = serde_json::from_slice(&output.stdout)
        .map_err(|_| format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim()))?;
    let versions = answer.get("supportedVersions").and_then(Value::as_array).into_iter().flatten();
    let versions: Vec<&str> = versions.filter_map(Value::as_str).collect();
    match (versions.first(), versions.last()) {
        (Some(first), Some(last)) => Ok(format!("{first} to {last}")),
        _ => Err("it names no version".to_owned()),
    }
}
