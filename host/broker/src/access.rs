//! Whether something could be written, found out without writing.

use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::{AccessFlags, faccessat};
use wharf_ops::Error;

/// Whether an ADD could write a file into `directory`, or make it where it is missing. The error says what is in the
/// way: a read-only file system, an immutable directory, a file in the place of one.
pub fn writable(directory: &Path) -> Result<(), Error> {
    // What has no name that a file system takes cannot be made either.
    let stops = |place: &&Path| match place.symlink_metadata() {
        Ok(_) => true,
        Err(error) => error.raw_os_error() == Some(Errno::ENAMETOOLONG as i32),
    };
    let place = directory.ancestors().find(stops).unwrap_or(directory);
    let how = AccessFlags::W_OK | AccessFlags::X_OK;
    let allowed = match place.metadata() {
        Ok(metadata) if !metadata.is_dir() => Err(Errno::ENOTDIR),
        Ok(_) => faccessat(AT_FDCWD, place, how, AtFlags::AT_EACCESS),
        Err(error) => Err(error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)),
    };
    allowed.map_err(|errno| {
        let (directory, place) = (directory.display(), place.display());
        Error::from_errno(
            errno as i32,
            format!("nothing can be written to {directory}: {place}: {}", errno.desc()),
        )
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use nix::mount::{MsFlags, mount};
    use nix::sched::{CloneFlags, unshare};

    use super::*;

    #[test]
    fn what_is_missing_can_be_made_where_its_parent_is_writable() {
        let root = tempfile::tempdir().unwrap();
        writable(root.path()).unwrap();
        let deep = root.path().join("var/lib/cni/networks/net");
        writable(&deep).unwrap();
        assert!(!root.path().join("var").exists());
        std::fs::write(root.path().join("var"), "").unwrap();
        let error = writable(&deep).unwrap_err();
        assert!(
            error.message.contains("networks/net") && error.message.contains("Not a directory"),
            "{error}"
        );
        std::fs::remove_file(root.path().join("var")).unwrap();
        symlink("nowhere", root.path().join("var")).unwrap();
        writable(&deep).unwrap_err();
    }

    #[test]
    fn a_read_only_place_is_named() {
        let root = tempfile::tempdir().unwrap();
        let place = root.path().to_owned();
        // The mount is seen by one thread, and goes with it.
        let outcome = std::thread::spawn(move || {
            let none = None::<&str>;
            unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_FS).ok()?;
            mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).ok()?;
            mount(none, &place, Some("tmpfs"), MsFlags::MS_RDONLY, none).ok()?;
            Some([writable(&place), writable(&place.join("networks/net"))])
        });
        let Some(outcomes) = outcome.join().unwrap() else {
            println!("SKIPPED: a_read_only_place_is_named: mounting needs root");
            return;
        };
        for error in outcomes.map(Result::unwrap_err) {
            assert_eq!(error.errno, Some(Errno::EROFS as i32), "{error}");
            assert!(error.message.contains(root.path().to_str().unwrap()), "{error}");
        }
    }
}
