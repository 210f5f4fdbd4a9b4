//! Drop-in links in the runtime's folder of plugins, and what they replaced.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Context, Result};

use crate::install::REPLACED;

/// Takes a link away. The plugin that it replaced comes back under its name, at one stroke.
pub(crate) fn unlink(link: &Path) -> Result<()> {
    let name = link.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let kept = link.with_file_name(format!("{name}.{REPLACED}"));
    if kept.symlink_metadata().is_ok() {
        println!("{} is what it was before", link.display());
        return gone(fs::rename(&kept, link), link);
    }
    gone(fs::remove_file(link), link)
}

/// What is not there need not be removed.
pub(crate) fn gone(removed: io::Result<()>, what: &Path) -> Result<()> {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", what.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_replaced_plugin_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("bridge");
        symlink("wharf", &link).unwrap();
        fs::write(folder.path().join("bridge.replaced-by-wharf"), "reference").unwrap();
        unlink(&link).unwrap();
        assert_eq!(fs::read_to_string(&link).unwrap(), "reference");
        let link = folder.path().join("portmap");
        symlink("wharf", &link).unwrap();
        unlink(&link).unwrap();
        assert!(link.symlink_metadata().is_err());
    }
}
