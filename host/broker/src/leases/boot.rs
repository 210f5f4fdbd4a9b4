//! Which boot a lease is of.
//!
//! A lease carries the boot's id beside its content, in an extended attribute: a third line would keep the reference
//! plugin from recognising its owner. Leases without one (the reference's, and those on a file system without
//! attributes) are of an earlier boot if they were last written before this one.

use std::cell::OnceCell;
use std::fs::File;
use std::path::Path;
use std::time::{Duration, SystemTime};

use nix::sys::statfs::{TMPFS_MAGIC, statfs};
use nix::time::{ClockId, clock_gettime};
use rustix::fs::{XattrFlags, fgetxattr, fsetxattr};

/// The extended attribute with the boot's id.
pub(super) const ATTRIBUTE: &str = "user.wharf.boot-id";
/// The length of a UUID as text.
const ID_LEN: usize = 36;
/// A file system that is made at boot.
const AT_BOOT: &str = "/run";

/// A boot of the machine. What is known of it is read when it is first needed.
#[derive(Clone, Debug, Default)]
pub(super) struct Boot {
    id: OnceCell<Option<String>>,
    since: OnceCell<Option<SystemTime>>,
}

impl Boot {
    /// Another boot than the one that is.
    #[cfg(test)]
    pub(super) fn of(id: &str, since: SystemTime) -> Self {
        Self { id: OnceCell::from(Some(id.to_owned())), since: OnceCell::from(Some(since)) }
    }

    /// Marks a lease as one of this boot. Where that is not possible its time has to tell.
    pub(super) fn mark(&self, lease: &File) {
        if let Some(id) = self.id() {
            let _ = fsetxattr(lease, ATTRIBUTE, id.as_bytes(), XattrFlags::empty());
        }
    }

    /// Whether the lease was written in an earlier boot than this. In doubt it was not.
    pub(super) fn is_after(&self, lease: &File) -> bool {
        match (mark_of(lease), self.id()) {
            (Some(marked), Some(id)) => marked != id,
            (Some(_), None) => false,
            (None, _) => self.since().is_some_and(|since| written(lease).is_some_and(|at| at < since)),
        }
    }

    fn id(&self) -> Option<&str> {
        let read = || crate::boot::id().filter(|id| is_id(id)).map(str::to_owned);
        self.id.get_or_init(read).as_deref()
    }

    fn since(&self) -> Option<SystemTime> {
        *self.since.get_or_init(|| {
            let up = Duration::from(clock_gettime(ClockId::CLOCK_BOOTTIME).ok()?);
            let computed = SystemTime::now().checked_sub(up)?;
            // A clock that was set forward since (no clock of its own, a paused machine) would make leases of this
            // boot look old; what was made at boot carries the time that it was taken for then.
            Some(born(Path::new(AT_BOOT)).map_or(computed, |born| born.min(computed)))
        })
    }
}

/// The boot id that a lease carries. What is no boot id counts as none.
fn mark_of(lease: &File) -> Option<String> {
    // Longer than an id, so that what only begins like one is told from it.
    let mut value = [0_u8; ID_LEN + 1];
    let len = fgetxattr(lease, ATTRIBUTE, &mut value).ok()?;
    let text = std::str::from_utf8(value.get(..len)?).ok()?;
    is_id(text).then(|| text.to_owned())
}

fn is_id(text: &str) -> bool {
    text.len() == ID_LEN && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

fn written(lease: &File) -> Option<SystemTime> {
    lease.metadata().ok()?.modified().ok()
}

/// When a file system that is made at boot was made, if that is one and tells.
fn born(place: &Path) -> Option<SystemTime> {
    let made_at_boot = statfs(place).ok()?.filesystem_type() == TMPFS_MAGIC;
    std::fs::metadata(place).ok()?.created().ok().filter(|_| made_at_boot)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use rustix::fs::fremovexattr;

    use super::*;

    const THIS: &str = "11111111-2222-3333-4444-555555555555";
    const OTHER: &str = "99999999-2222-3333-4444-555555555555";

    fn boot() -> Boot {
        Boot::of(THIS, SystemTime::now() - Duration::from_hours(1))
    }

    /// None where none could be marked: before Linux 6.6 a tmpfs keeps no attributes of users.
    fn lease() -> Option<(tempfile::TempDir, File)> {
        let place = tempfile::tempdir().unwrap();
        let file = File::create(place.path().join("10.1.0.2")).unwrap();
        if let Err(error) = fsetxattr(&file, ATTRIBUTE, b"", XattrFlags::empty()) {
            let name = std::thread::current().name().unwrap_or_default().to_owned();
            println!("SKIPPED: {name}: {} keeps no attributes: {error}", place.path().display());
            return None;
        }
        fremovexattr(&file, ATTRIBUTE).unwrap();
        Some((place, file))
    }

    fn set(file: &File, value: &str) {
        fsetxattr(file, ATTRIBUTE, value.as_bytes(), XattrFlags::empty()).unwrap();
    }

    #[test]
    fn a_mark_decides_whatever_the_time_says() {
        let Some((_place, file)) = lease() else { return };
        boot().mark(&file);
        file.set_modified(UNIX_EPOCH).unwrap();
        assert!(!boot().is_after(&file));
        set(&file, OTHER);
        file.set_modified(SystemTime::now()).unwrap();
        assert!(boot().is_after(&file));
    }

    #[test]
    fn without_a_mark_the_time_decides() {
        let place = tempfile::tempdir().unwrap();
        the_time_decides(&File::create(place.path().join("10.1.0.2")).unwrap());
    }

    #[test]
    fn what_is_no_mark_is_none() {
        let Some((_place, file)) = lease() else { return };
        for mark in ["", "no id", "11111111-2222-3333-4444-5555555555556"] {
            set(&file, mark);
            the_time_decides(&file);
        }
    }

    fn the_time_decides(file: &File) {
        file.set_modified(SystemTime::now()).unwrap();
        assert!(!boot().is_after(file), "{:?}", mark_of(file));
        file.set_modified(SystemTime::now() - Duration::from_hours(2)).unwrap();
        assert!(boot().is_after(file), "{:?}", mark_of(file));
    }

    #[test]
    fn the_real_boot_has_an_id_and_was_before_now() {
        let boot = Boot::default();
        assert!(boot.id().is_some_and(is_id));
        assert!(boot.since().unwrap() < SystemTime::now());
        let Some((_place, file)) = lease() else { return };
        assert!(!boot.is_after(&file));
        boot.mark(&file);
        assert_eq!(mark_of(&file).as_deref(), boot.id());
        file.set_modified(UNIX_EPOCH).unwrap();
        assert!(!boot.is_after(&file));
    }
}
