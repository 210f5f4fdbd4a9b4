//! `wharfctl` for somebody who is not root: what it cannot do it says, and what to do.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};

use wharf_tests::install::Binaries;
use wharf_tests::sh;

const NOBODY: u32 = 65534;

/// The program where everybody can read it, and an empty root; goes with this.
struct Place(PathBuf);

impl Place {
    fn new(test: &str) -> Self {
        let place = std::env::temp_dir().join(format!("wharf-nobody-{test}-{}", std::process::id()));
        let own = place.join("own");
        fs::create_dir_all(&own).unwrap();
        fs::create_dir_all(place.join("root")).unwrap();
        fs::copy(&Binaries::get().wharfctl, place.join("wharfctl")).unwrap();
        sh::run(sh::words("chmod -R a+rX").arg(&place));
        chown(&own, Some(NOBODY), Some(NOBODY)).unwrap();
        Self(place)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(self.0.join("wharfctl"));
        command.args(arguments).env_clear().env("TMPDIR", self.0.join("own"));
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("WHARF_ROOT", self.0.join("root"));
        command.current_dir(self.0.join("own")).uid(NOBODY).gid(NOBODY).output().unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn doctor_says_that_it_wants_root_and_goes_on() {
    let output = Place::new("doctor").run(&["doctor"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    for words in ["no network namespace can be made", "run this as root with CAP_SYS_ADMIN"] {
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[test]
fn a_bundle_has_what_everybody_may_read() {
    let place = Place::new("support");
    let output = place.run(&["support", "--output", place.0.join("own/bundle.tar").to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
    let parts = sh::run(sh::words("tar -t -f").arg(place.0.join("own/bundle.tar")));
    for part in ["versions.txt", "CONTENTS.txt"] {
        assert!(parts.contains(part), "{parts}");
    }
}

/// With the reason once.
#[test]
fn what_only_root_may_do_says_so() {
    let place = Place::new("root");
    let secret = place.0.join("root/run/wharf/attachments");
    fs::create_dir_all(&secret).unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o700)).unwrap();
    for line in [
        "journal show",
        "recover",
        "uninstall",
        "conflist --pod-cidr 10.1.0.0/24 --write /etc/cni/net.d/1.conflist",
    ] {
        let output = place.run(&line.split_whitespace().collect::<Vec<_>>());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{line}: {output:?}");
        assert_eq!(said.matches("Permission denied (os error 13)").count(), 1, "{line}: {said}");
        assert!(said.ends_with("; run this as root\n"), "{line}: {said}");
    }
}
