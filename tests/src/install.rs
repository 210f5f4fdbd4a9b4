//! The binaries under test, and one installation of them that every node gets a copy of.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::sh;

/// The files that `cargo xtask build` leaves.
#[derive(Debug)]
pub struct Binaries {
    /// The CNI plugin.
    pub wharf: PathBuf,
    /// The operator's tool.
    pub wharfctl: PathBuf,
    /// The folder with the guests' components.
    pub guests: PathBuf,
}

impl Binaries {
    /// Where `WHARF_BIN`, `WHARFCTL_BIN` and `WHARF_GUESTS` say, or in the workspace's `target` folder.
    pub fn get() -> &'static Self {
        static BINARIES: OnceLock<Binaries> = OnceLock::new();
        BINARIES.get_or_init(|| {
            let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
            let find = |variable: &str, file: &str| {
                let path = std::env::var_os(variable).map_or_else(|| target.join(file), PathBuf::from);
                path.canonicalize().unwrap_or_else(|error| {
                    panic!("{}: {error}: run `cargo xtask build` first, or set {variable}", path.display())
                })
            };
            Self {
                wharf: find("WHARF_BIN", "release/wharf"),
                wharfctl: find("WHARFCTL_BIN", "release/wharfctl"),
                guests: find("WHARF_GUESTS", "guests"),
            }
        })
    }
}

/// The folder with the components of the SDK's policies: where `WHARF_POLICIES` says, or in the workspace's `target`
/// folder.
pub fn policies() -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/policies");
    let path = std::env::var_os("WHARF_POLICIES").map_or_else(default, PathBuf::from);
    path.canonicalize().unwrap_or_else(|error| {
        panic!("{}: {error}: run `cargo xtask build` first, or set WHARF_POLICIES", path.display())
    })
}

/// The folder with the guests in other languages, if they were built: where `WHARF_LANGUAGES` says, or in the workspace's
/// `target` folder.
pub fn languages() -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/languages");
    std::env::var_os("WHARF_LANGUAGES").map_or_else(default, PathBuf::from)
}

/// The CNI plugin that obeys `WHARF_FAULT`: where `WHARF_FAULTS_BIN` says, or in the workspace's `target` folder. The
/// error says how to get it.
pub fn faults() -> Result<PathBuf, String> {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/faults/wharf");
    let path = std::env::var_os("WHARF_FAULTS_BIN").map_or_else(default, PathBuf::from);
    path.canonicalize().map_err(|error| {
        format!("{}: {error}: `cargo xtask crash --sweep` and `cargo xtask test` build it", path.display())
    })
}

/// The reference plugins: where `WHARF_REFERENCE` says, or where `cargo xtask bench` unpacks them. The error says how to
/// get them.
pub fn reference() -> Result<PathBuf, String> {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/reference/usr/lib/cni");
    let folder = std::env::var_os("WHARF_REFERENCE").map_or_else(default, PathBuf::from);
    match folder.canonicalize() {
        Ok(folder) if folder.join("bridge").is_file() => Ok(folder),
        _ => Err(format!(
            "there are no reference plugins in {}: `cargo xtask bench` fetches them",
            folder.display()
        )),
    }
}

/// Major and minor release of the reference plugins, as Debian's version of the package has them. Without that, the one
/// that everything was compared with.
pub fn reference_release() -> (u32, u32) {
    let version =
        reference().ok().and_then(|folder| fs::read_to_string(folder.join("../../../version")).ok());
    let version = version.unwrap_or_default();
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map_while(|part| part.parse::<u32>().ok());
    numbers.next().zip(numbers.next()).unwrap_or((1, 9))
}

/// `wharfctl` for a root, to be completed.
pub fn wharfctl(root: &Path) -> Command {
    let mut command = Command::new(&Binaries::get().wharfctl);
    command.env("WHARF_ROOT", root);
    command
}

/// `wharfctl install` of what was built into a root, to be completed.
pub fn installation(root: &Path) -> Command {
    let binaries = Binaries::get();
    let mut command = wharfctl(root);
    command.arg("install").arg("--guests").arg(&binaries.guests).arg("--binary").arg(&binaries.wharf);
    command
}

/// The folder of this process: below the build folder, for the compiled guests are linked from it.
pub fn workplace() -> &'static Path {
    static PLACE: OnceLock<PathBuf> = OnceLock::new();
    PLACE.get_or_init(|| {
        let program = std::env::current_exe().expect("the path of this program");
        let all = program.parent().expect("a program is in a folder").join("wharf-tests");
        sweep(&all);
        let own = all.join(std::process::id().to_string());
        fs::create_dir_all(&own).unwrap_or_else(|error| panic!("create {}: {error}", own.display()));
        own
    })
}

/// The root of the one installation: made here, or what `WHARF_INSTALLED` names. Read-only for tests.
pub(crate) fn template() -> &'static Path {
    static TEMPLATE: OnceLock<PathBuf> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        // Where compiling takes long, it was done elsewhere.
        if let Some(root) = std::env::var_os("WHARF_INSTALLED") {
            return root.into();
        }
        let root = workplace().join("template");
        fs::create_dir_all(&root).expect("create the template");
        sh::run(installation(&root).arg("--drop-in"));
        root
    })
}

/// A root with the same content. Its files are links: replace one, never write into it.
pub(crate) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::hard_link(entry.path(), &target)?;
        }
    }
    Ok(())
}

/// Removes what earlier processes left.
fn sweep(all: &Path) {
    for entry in fs::read_dir(all).into_iter().flatten().flatten() {
        let alive = Path::new("/proc").join(entry.file_name()).exists();
        if !alive {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
