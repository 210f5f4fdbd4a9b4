//! The folder in which a runtime has its configuration lists.

use std::io;
use std::path::{Path, PathBuf};

/// Where runtimes look for lists, unless they are told otherwise.
pub const CONF_DIR: &str = "/etc/cni/net.d";
/// How the files end that a runtime loads from there (libcni's `ConfFiles`).
pub const LISTS: [&str; 3] = ["conf", "conflist", "json"];
/// How the files end that it loads for one list, from the folder beside it that has the network's name.
pub const PLUGINS: [&str; 1] = ["conf"];

/// The files of a folder that end in one of these, in the order in which a runtime reads them.
pub fn files(folder: &Path, endings: &[&str]) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in folder.read_dir()? {
        let path = entry?.path();
        let known = path.extension().is_some_and(|ending| endings.iter().any(|known| ending == *known));
        if known && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
