//! Container runtimes on a machine of their own: containerd, podman, buildah, `ctr`, and a driver on libcni.
//!
//! Each is started privately, with nothing but Wharf in its CNI folder. What a runtime starts is gone with the machine.

pub mod bench;
pub mod buildah;
pub mod config;
pub mod containerd;
pub mod cri;
pub mod ctr;
pub mod fixture;
pub mod grpc;
pub mod image;
pub mod libcni;
pub mod machine;
pub mod pod;
pub mod podman;
pub mod recorder;

use std::path::{Path, PathBuf};

pub use config::List;
pub use machine::Machine;
pub use pod::Pod;

/// The unpacked packages: where `WHARF_RUNTIMES` says, or where `cargo xtask runtimes` leaves them. The error says how
/// to get them.
pub fn folder() -> Result<PathBuf, String> {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/runtimes");
    let folder = std::env::var_os("WHARF_RUNTIMES").map_or_else(default, PathBuf::from);
    folder.canonicalize().map_err(|error| {
        format!("{}: {error}: `cargo xtask runtimes` fetches the container runtimes", folder.display())
    })
}

/// A file of the unpacked packages. The error says how to get it.
pub fn file(path: &str) -> Result<PathBuf, String> {
    let file = folder()?.join(path);
    if file.exists() {
        return Ok(file);
    }
    Err(format!("{} is missing: `cargo xtask runtimes` fetches it", file.display()))
}
