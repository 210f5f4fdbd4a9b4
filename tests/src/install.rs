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

/// The root of the one installation. Read-only for tests.
pub(crate) fn template() -> &'static Path {
    static TEMPLATE: OnceLock<PathBuf> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
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
