//! Lease operations of guests: their arguments checked, carried out on an open pool.

use std::fs::File;
use std::io::Read as _;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Instant;

use nix::fcntl::OFlag;
use wharf_cni::NetConf;
use wharf_ops::call::Call;
use wharf_ops::leases::{LeaseOp, LeaseOwner};
use wharf_ops::{Error, ErrorKind, Reply};

use crate::Paths;
use crate::leases::{NOBODY, Pool};
use crate::writable;

/// The longest resolv.conf that is read.
const MAX_RESOLV_CONF: u64 = 64 * 1024;

/// A dataDir is absolute and goes straight down: `..` could leave the root.
pub(crate) fn check_path(key: &str, path: &str) -> Result<(), Error> {
    let straight = path.starts_with('/') && !path.split('/').any(|part| part == "..") && !path.contains('\0');
    if straight {
        return Ok(());
    }
    Err(Error::invalid(format!("{key}: {path:?} is not an absolute path without `..`")))
}

/// Reads a resolv.conf(5).
pub(crate) fn read_resolv_conf(paths: &Paths, path: &str) -> Result<Reply, Error> {
    check_path("resolvConf", path)?;
    let file = paths.inside(path);
    let fault = |error: std::io::Error| Error::from_io(&error, format!("resolvConf: {path}"));
    // O_NONBLOCK: opening a FIFO would wait for its other end.
    let handle = File::options()
        .read(true)
        .custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits())
        .open(&file)
        .map_err(fault)?;
    if !handle.metadata().map_err(fault)?.is_file() {
        return Err(Error::invalid(format!("resolvConf: {path} is not a file")));
    }
    let mut text = String::new();
    handle.take(MAX_RESOLV_CONF + 1).read_to_string(&mut text).map_err(fault)?;
    if text.len() as u64 > MAX_RESOLV_CONF {
        return Err(Error::new(
            ErrorKind::Exhausted,
            format!("resolvConf: {path} is longer than {MAX_RESOLV_CONF} bytes"),
        ));
    }
    Ok(Reply::Text(text))
}

/// A path that a guest names must be the one that the configuration has under `ipam`: what a guest makes up, the broker
/// does not open.
pub(crate) fn configured(conf: &NetConf, key: &str, path: Option<&str>) -> Result<(), Error> {
    let in_conf = conf.raw.get("ipam").and_then(|ipam| ipam.get(key)).and_then(|value| value.as_str());
    if in_conf.filter(|text| !text.is_empty()) == path {
        return Ok(());
    }
    let reason = format!("{path:?} is not what the configuration has as ipam.{key}");
    Err(Error::new(ErrorKind::Denied, reason))
}

/// What a call may do with leases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// ADD: its own, and a directory that is missing is made.
    Make,
    /// CHECK and DEL: its own, where there are some.
    Own,
    /// STATUS: what is taken, if only by a file that names nobody, and whether more could be.
    Survey,
    /// GC: anybody's and nobody's, those of an earlier boot too.
    Any,
}

impl Access {
    /// That of a call.
    pub(crate) fn of(call: &Call) -> Self {
        match call {
            Call::Add(_) => Self::Make,
            Call::Check(_) | Call::Del(_) | Call::Describe => Self::Own,
            Call::Status { .. } => Self::Survey,
            Call::Gc { .. } => Self::Any,
        }
    }
}

/// A pool as a call sees it.
pub(crate) struct Opened {
    access: Access,
    /// None where there is no directory: it has no leases.
    pool: Option<Pool>,
}

impl Opened {
    /// What an owner has.
    pub(crate) fn find(&mut self, owner: &LeaseOwner) -> Result<Vec<IpAddr>, Error> {
        self.pool.as_mut().map_or(Ok(Vec::new()), |pool| pool.find(owner))
    }
}

/// Opens a pool. Only an ADD makes its directory: to ask about a network, or to clean up after it, leaves no trace.
pub(crate) fn open(
    access: Access,
    directory: &Path,
    index: &Path,
    deadline: Option<Instant>,
) -> Result<Opened, Error> {
    if access == Access::Survey {
        writable(directory)?;
    }
    let pool = match access {
        Access::Make => Some(Pool::open(directory, index, deadline)?),
        Access::Own | Access::Survey | Access::Any => Pool::open_existing(directory, index, deadline)?,
    };
    Ok(Opened { access, pool })
}

/// Whose lease an operation is about, if it is about one.
pub(crate) fn owner_of(op: &LeaseOp) -> Option<&LeaseOwner> {
    match op {
        LeaseOp::TryReserve { owner, .. }
        | LeaseOp::ReserveNext { owner, .. }
        | LeaseOp::Release { owner, .. }
        | LeaseOp::Find { owner, .. } => Some(owner),
        LeaseOp::Open { .. }
        | LeaseOp::Close { .. }
        | LeaseOp::GetAll { .. }
        | LeaseOp::LastReserved { .. }
        | LeaseOp::SetLastReserved { .. }
        | LeaseOp::ReadResolvConf { .. } => None,
    }
}

/// An address that was taken, and by whom: what a failed ADD gives back.
pub(crate) type Taken = Option<(IpAddr, LeaseOwner)>;

/// Carries out an operation on an open pool.
pub(crate) fn apply(opened: &mut Opened, op: &LeaseOp) -> Result<(Reply, Taken), Error> {
    let Some(pool) = &mut opened.pool else { return on_nothing(op).map(|reply| (reply, None)) };
    Ok(match op {
        LeaseOp::TryReserve { address, owner, .. } => {
            let taken = pool.try_reserve(*address, owner)?;
            (Reply::Flag(taken), taken.then(|| (*address, owner.clone())))
        }
        LeaseOp::ReserveNext { first, last, after, skip, owner, .. } => {
            let address = pool.reserve_next(*first, *last, *after, skip, owner)?;
            (Reply::MaybeAddress(address), address.map(|address| (address, owner.clone())))
        }
        LeaseOp::Release { owner, .. } if opened.access == Access::Any && *owner == NOBODY => {
            (Reply::Count(Some(pool.release_nobodys()?)), None)
        }
        LeaseOp::Release { owner, .. } => (Reply::Count(Some(pool.release(owner)?)), None),
        LeaseOp::Find { owner, .. } => (Reply::Hosts(pool.find(owner)?), None),
        LeaseOp::GetAll { .. } => {
            let leases = match opened.access {
                Access::Make | Access::Own => pool.get_current()?,
                Access::Survey => pool.get_taken()?,
                Access::Any => pool.get_releasable()?,
            };
            (Reply::Leases(leases), None)
        }
        LeaseOp::LastReserved { set, .. } => (Reply::MaybeAddress(pool.last_reserved(*set)?), None),
        LeaseOp::SetLastReserved { set, address, .. } => {
            pool.set_last_reserved(*set, *address)?;
            (Reply::Done, None)
        }
        LeaseOp::Open { .. } | LeaseOp::Close { .. } | LeaseOp::ReadResolvConf { .. } => {
            return Err(Error::internal("this lease operation has no pool"));
        }
    })
}

/// The same for a network that has no leases.
fn on_nothing(op: &LeaseOp) -> Result<Reply, Error> {
    match op {
        LeaseOp::Release { .. } => Ok(Reply::Count(Some(0))),
        LeaseOp::Find { .. } => Ok(Reply::Hosts(Vec::new())),
        LeaseOp::GetAll { .. } => Ok(Reply::Leases(Vec::new())),
        LeaseOp::LastReserved { .. } => Ok(Reply::MaybeAddress(None)),
        LeaseOp::TryReserve { .. } | LeaseOp::ReserveNext { .. } | LeaseOp::SetLastReserved { .. } => {
            Err(Error::not_found("this network has no leases, and only ADD makes some"))
        }
        LeaseOp::Open { .. } | LeaseOp::Close { .. } | LeaseOp::ReadResolvConf { .. } => {
            Err(Error::internal("this lease operation has no pool"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_add_makes_a_directory() {
        let root = tempfile::tempdir().unwrap();
        let [place, index] = ["networks/n", "index"].map(|name| root.path().join(name));
        let owner = LeaseOwner { container: "c".into(), ifname: "eth0".into() };
        let address = IpAddr::from([10, 0, 0, 1]);
        for access in [Access::Own, Access::Survey, Access::Any] {
            let mut opened = open(access, &place, &index, None).unwrap();
            for (op, answer) in [
                (LeaseOp::Release { pool: 1, owner: owner.clone() }, Reply::Count(Some(0))),
                (LeaseOp::Find { pool: 1, owner: owner.clone() }, Reply::Hosts(vec![])),
                (LeaseOp::GetAll { pool: 1 }, Reply::Leases(vec![])),
                (LeaseOp::LastReserved { pool: 1, set: 0 }, Reply::MaybeAddress(None)),
            ] {
                assert_eq!(apply(&mut opened, &op).unwrap().0, answer);
            }
            for op in [
                LeaseOp::TryReserve { pool: 1, address, owner: owner.clone() },
                LeaseOp::SetLastReserved { pool: 1, set: 0, address },
            ] {
                assert_eq!(apply(&mut opened, &op).unwrap_err().kind, ErrorKind::NotFound);
            }
            assert!(!root.path().join("networks").exists(), "{access:?}");
        }
        let mut opened = open(Access::Make, &place, &index, None).unwrap();
        let op = LeaseOp::TryReserve { pool: 1, address, owner };
        assert_eq!(apply(&mut opened, &op).unwrap().0, Reply::Flag(true));
        assert!(place.join("10.0.0.1").exists());
    }

    #[test]
    fn a_survey_wants_a_place_to_write_to() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("networks"), "").unwrap();
        let place = root.path().join("networks/n");
        let error = open(Access::Survey, &place, root.path(), None).err().unwrap();
        assert!(error.message.contains("networks"), "{error}");
    }

    #[test]
    fn a_data_dir_cannot_climb() {
        for path in ["", "relative", "/a/../b", "/a\0b", "../x"] {
            let error = check_path("ipam.dataDir", path).unwrap_err();
            assert!(error.message.contains("ipam.dataDir"), "{path:?}: {error}");
        }
        check_path("ipam.dataDir", "/var/lib/cni/networks").unwrap();
    }

    #[test]
    fn only_what_the_configuration_names_is_opened() {
        let text = br#"{"cniVersion":"1.0.0","name":"n","type":"host-local","ipam":{"type":"host-local","dataDir":"/d"}}"#;
        let conf = NetConf::parse(text).unwrap();
        configured(&conf, "dataDir", Some("/d")).unwrap();
        configured(&conf, "resolvConf", None).unwrap();
        for (key, path) in [("dataDir", None), ("dataDir", Some("/e")), ("resolvConf", Some("/etc/shadow"))] {
            assert_eq!(configured(&conf, key, path).unwrap_err().kind, ErrorKind::Denied, "{key} {path:?}");
        }
    }

    #[test]
    fn resolv_conf_is_read_below_the_root_and_bounded() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        std::fs::create_dir(root.path().join("etc")).unwrap();
        std::fs::write(root.path().join("etc/resolv.conf"), "nameserver 192.0.2.1\n").unwrap();
        let read = read_resolv_conf(&paths, "/etc/resolv.conf").unwrap();
        assert_eq!(read, Reply::Text("nameserver 192.0.2.1\n".into()));
        std::fs::write(root.path().join("etc/long"), vec![b'x'; 70_000]).unwrap();
        assert_eq!(read_resolv_conf(&paths, "/etc/long").unwrap_err().kind, ErrorKind::Exhausted);
        assert_eq!(read_resolv_conf(&paths, "/etc").unwrap_err().kind, ErrorKind::Invalid);
        nix::unistd::mkfifo(&root.path().join("etc/fifo"), nix::sys::stat::Mode::S_IRUSR).unwrap();
        assert_eq!(read_resolv_conf(&paths, "/etc/fifo").unwrap_err().kind, ErrorKind::Invalid);
        assert_eq!(read_resolv_conf(&paths, "/etc/none").unwrap_err().kind, ErrorKind::NotFound);
    }
}
