//! Which list is meant: a file, or a network of the runtime's folder by its name.

use anyhow::{Result, anyhow, bail};
use wharf_broker::Paths;

use super::Options;
use crate::lists::{self, List};

pub(super) fn find(paths: &Paths, options: &Options) -> Result<List> {
    let (given, shown) = (&options.network, options.network.display());
    if given.is_file() {
        return lists::open(given);
    }
    let folder = paths.inside(&options.conf_dir.to_string_lossy());
    let mut names = Vec::new();
    for file in lists::read(&folder)? {
        match file.list {
            Ok(list) if given.as_os_str() == list.network.name.as_str() => return Ok(list),
            Ok(list) => names.push(list.network.name),
            // The one that is meant, by its name there.
            Err(reason) if file.path.file_stem() == given.file_stem() => {
                return Err(anyhow!(reason).context(file.path.display().to_string()));
            }
            Err(_) => {}
        }
    }
    let known = if names.is_empty() { "no network".to_owned() } else { names.join(", ") };
    bail!("{shown} is neither a file nor a network of {}, which has {known}", folder.display())
}
