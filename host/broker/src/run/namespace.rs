//! The namespaces of a request: opened and checked before anything is done.

use std::path::Path;

use wharf_cni::error::code;
use wharf_cni::{CniError, Command, Env};
use wharf_kernel::{Machine, Netns, NetnsError};

use crate::failure::{self, Fault};
use crate::journal::NetnsId;
use crate::log::{Level, Log};
use crate::repair::look;

/// What a call works in.
pub(super) struct Namespaces {
    pub(super) host: Netns,
    pub(super) container: Option<Netns>,
    /// The container's path, as guests and native plugins hear it.
    pub(super) path: Option<String>,
}

/// The host's namespace, and the container's if there is one. For a DEL, a namespace that is gone (also: a left-over
/// file where it was mounted) is none; the host's own is an error for everything.
pub(super) fn open(machine: &dyn Machine, env: &Env) -> Result<Namespaces, CniError> {
    let wrong = |message: String| failure::host(code::INVALID_NETNS, Fault::Runtime, message);
    let host = own(machine)?;
    let path = env.netns.clone();
    let Some(text) = env.netns.as_deref().filter(|_| env.command.is_attachment()) else {
        return Ok(Namespaces { host, container: None, path });
    };
    let container = match machine.open(Path::new(text)) {
        Ok(container) => container,
        Err(NetnsError::NotFound(_) | NetnsError::NotANamespace { .. }) if env.command == Command::Del => {
            return Ok(Namespaces { host, container: None, path });
        }
        Err(error) => return Err(wrong(format!("CNI_NETNS={text}: {error}"))),
    };
    if container.same_as(&host) && !env.netns_override {
        return Err(own_namespace(text));
    }
    Ok(Namespaces { host, container: Some(container), path })
}

/// What is answered where the container's namespace is the host's.
pub fn own_namespace(path: &str) -> CniError {
    let message =
        format!("CNI_NETNS={path} is the namespace that the plugin itself runs in; nothing was done");
    failure::host(code::INVALID_NETNS, Fault::Runtime, message)
}

/// The namespaces of a DEL whose attachment was recorded in `recorded`. If the runtime tells no namespace, that one is
/// looked for; if it tells another one, that is somebody else's by now (plugins#714) and the container's is gone.
pub(super) fn of_record(
    machine: &dyn Machine,
    env: &Env,
    recorded: &NetnsId,
    log: Log,
) -> Result<Namespaces, CniError> {
    let host = own(machine)?;
    let Some(path) = env.netns.clone() else {
        let container = look(machine, recorded).here();
        let path = container.is_some().then(|| recorded.path.clone());
        return Ok(Namespaces { host, container, path });
    };
    let Ok(found) = machine.open(Path::new(&path)) else {
        return Ok(Namespaces { host, container: None, path: Some(path) });
    };
    if recorded.is(&found) {
        return Ok(Namespaces { host, container: Some(found), path: Some(path) });
    }
    let message = format!(
        "CNI_NETNS={path} is not the namespace that the attachment was made in: it is left alone, and the container's \
         is taken for gone"
    );
    log.line(Level::Warn, "DEL", &message, &[]);
    Ok(Namespaces { host, container: None, path: None })
}

fn own(machine: &dyn Machine) -> Result<Netns, CniError> {
    machine.own().map_err(|error| failure::host(code::INTERNAL, Fault::Host, error.to_string()))
}
