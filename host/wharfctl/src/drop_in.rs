//! Drop-in links in the runtime's folder of plugins, and what they replaced.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::install::REPLACED;
use crate::lists::OWN;
use crate::say::say;

/// Whether it is a link of ours.
pub(crate) fn is_own(link: &Path) -> bool {
    fs::read_link(link).is_ok_and(|target| target == Path::new(OWN))
}

/// Where the plugin is that a link replaced, if there was one.
pub(crate) fn replaced(link: &Path) -> PathBuf {
    let name = link.file_name().unwrap_or_default().to_string_lossy();
    link.with_file_name(format!("{name}.{REPLACED}"))
}

/// Takes a link away. The plugin that it replaced comes back under its name, at one stroke.
pub(crate) fn unlink(link: &Path) -> Result<()> {
    let kept = replaced(link);
    if kept.symlink_metadata().is_ok() {
        say!("{} is what it was before", link.display());
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
