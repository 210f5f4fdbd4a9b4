//! How the released binary is linked.

use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=no-unwinding.ld");
    let set = |key: &str, value: &str| std::env::var(key).is_ok_and(|is| is == value);
    if set("CARGO_CFG_PANIC", "abort") && set("CARGO_CFG_TARGET_OS", "linux") {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("no-unwinding.ld");
        println!("cargo::rustc-link-arg-bins=-Wl,--no-eh-frame-hdr,-T,{}", script.display());
    }
}
