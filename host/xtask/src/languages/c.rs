//! C: clang and wasi-libc of Debian 12, unpacked and not installed, and the linkers that come with the Rust compiler.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::{Job, WORLD, clear, entries};
use crate::runtimes::Folder;
use crate::setup::host_triple;
use crate::sh;
use crate::workspace::rustc;

/// clang with the libraries that a system may lack, the C library, and the parser of JSON that the example includes.
pub(super) const PACKAGES: Folder = Folder {
    name: "debian",
    suite: "bookworm",
    packages: &[
        "clang-14",
        "libbsd0",
        "libclang-common-14-dev",
        "libclang-cpp14",
        "libclang-rt-14-dev-wasm32",
        "libedit2",
        "libffi8",
        "libicu72",
        "libjsmn-dev",
        "libllvm14",
        "libmd0",
        "libxml2",
        "libz3-4",
        "wasi-libc",
    ],
    dependencies: false,
};

/// One command of clang from the sources and the bindings to a component: `wasm-component-ld` links, and adapts what
/// wasi-libc imports to WASI 0.2.
pub(super) fn build(job: &Job) -> Result<()> {
    PACKAGES.ensure(job.workspace, &job.tools)?;
    let usr = job.tools.join(PACKAGES.name).join("usr");
    let bindings = bindings(job)?;
    let linkers = PathBuf::from(sh::output(rustc().args(["--print", "sysroot"]))?)
        .join("lib/rustlib")
        .join(host_triple()?)
        .join("bin");
    let mut clang = clang(&usr, &linkers, &bindings);
    clang.args(sources(&job.sources, &["c"])?).args(sources(&bindings, &["c", "o"])?).arg("-o").arg(&job.out);
    let libraries = format!("lib/{}-linux-gnu", env::consts::ARCH);
    clang.env("LD_LIBRARY_PATH", env::join_paths([usr.join(libraries), usr.join("lib/llvm-14/lib")])?);
    // It looks for `wasm-ld` there.
    let path = env::var_os("PATH").unwrap_or_default();
    clang.env("PATH", env::join_paths([linkers.join("gcc-ld")].into_iter().chain(env::split_paths(&path)))?);
    sh::run(&mut clang)
}

/// clang with all but the sources and the output; `usr` is where the packages are.
pub(super) fn clang(usr: &Path, linkers: &Path, bindings: &Path) -> Command {
    let mut clang = Command::new(usr.join("bin/clang-14"));
    clang.arg("--target=wasm32-wasi").arg(option("--sysroot=", usr)).arg("-mexec-model=reactor");
    clang.args(["-std=gnu11", "-Os", "-Wall", "-Wextra", "-Werror", "-Wl,--strip-all"]);
    clang.arg(option("-fuse-ld=", &linkers.join("wasm-component-ld")));
    // After all others, for a system's own C library has its headers there, too.
    clang.arg("-I").arg(bindings).arg("-idirafter").arg(usr.join("include"));
    clang
}

/// The folder with the bindings.
fn bindings(job: &Job) -> Result<PathBuf> {
    let folder = job.tools.join("bindings");
    clear(&folder)?;
    let mut cargo = job.workspace.cargo();
    cargo.args(["run", "--quiet", "--package", "wharf-c-bindings", "--"]);
    sh::run(cargo.arg(&job.wit).arg(WORLD).arg(&folder))?;
    Ok(folder)
}

/// The files of a folder that end so.
fn sources(folder: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>> {
    let mut files = entries(folder)?;
    files.retain(|file| {
        file.extension().is_some_and(|end| extensions.iter().any(|extension| end == *extension))
    });
    Ok(files)
}

fn option(name: &str, path: &Path) -> OsString {
    let mut option = OsString::from(name);
    option.push(path);
    option
}
