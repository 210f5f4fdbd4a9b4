//! The one image of all containers: busybox, as the archive that `docker save` writes. No registry is needed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::{install, sh};

use super::{Machine, file};

/// The image's name.
pub const IMAGE: &str = "localhost/wharf-test:1";
/// The programs of busybox that are linked.
const PROGRAMS: [&str; 5] = ["sh", "sleep", "cat", "true", "ip"];

/// Puts the archive where the machine sees it. Answers the path there.
pub fn put(machine: &Machine) -> &'static str {
    const INSIDE: &str = "/var/lib/image.tar";
    static ARCHIVE: OnceLock<PathBuf> = OnceLock::new();
    let archive = ARCHIVE.get_or_init(|| build(&install::workplace().join("image")));
    let inside = machine.node().root().join(INSIDE.trim_start_matches('/'));
    if !inside.exists() {
        fs::hard_link(archive, inside).expect("link the image");
    }
    INSIDE
}

fn build(folder: &Path) -> PathBuf {
    let root = folder.join("root");
    for name in ["bin", "dev", "proc", "sys", "etc", "run", "tmp"] {
        fs::create_dir_all(root.join(name)).expect("create a folder");
    }
    let busybox = file("debian/bin/busybox").unwrap_or_else(|_| PathBuf::from("/bin/busybox"));
    fs::copy(busybox, root.join("bin/busybox")).expect("copy busybox");
    for name in PROGRAMS {
        symlink("busybox", root.join("bin").join(name)).expect("link a program");
    }
    tar(&root, &folder.join("layer.tar"), ".");
    let layer = fs::read(folder.join("layer.tar")).expect("read the layer");
    let digest: Vec<String> = Sha256::digest(&layer).iter().map(|byte| format!("{byte:02x}")).collect();
    let digest = digest.concat();
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let config = json!({
        "architecture": architecture, "os": "linux",
        "config": {"Env": ["PATH=/bin"], "Cmd": ["sleep", "1000000"]},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{digest}")]},
    });
    fs::write(folder.join("config.json"), config.to_string()).expect("write the configuration");
    let manifest = json!([{"Config": "config.json", "RepoTags": [IMAGE], "Layers": ["layer.tar"]}]);
    fs::write(folder.join("manifest.json"), manifest.to_string()).expect("write the manifest");
    let archive = folder.join("image.tar");
    tar(folder, &archive, "manifest.json config.json layer.tar");
    archive
}

fn tar(folder: &Path, archive: &Path, members: &str) {
    let mut command = Command::new("tar");
    command.arg("-C").arg(folder).args(["--owner=0", "--group=0", "--numeric-owner", "-cf"]).arg(archive);
    sh::run(command.args(members.split(' ')));
}
