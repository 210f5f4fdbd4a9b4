//! The namespaces of a request: opened and checked before anything is done.

use wharf_cni::error::code;
use wharf_cni::{CniError, Command, Env};
use wharf_kernel::{Netns, NetnsError};

use crate::failure::{self, Fault};

/// The host's namespace, and the container's if there is one. For a DEL, a namespace that is gone (also: a left-over
/// file where it was mounted) is none; the host's own is an error for everything.
pub(super) fn open(env: &Env) -> Result<(Netns, Option<Netns>), CniError> {
    let wrong = |message: String| failure::host(code::INVALID_NETNS, Fault::Runtime, message);
    let host = Netns::own().map_err(|error| failure::host(code::INTERNAL, Fault::Host, error.to_string()))?;
    let Some(path) = env.netns.as_deref().filter(|_| env.command.is_attachment()) else {
        return Ok((host, None));
    };
    let container = match Netns::open(path) {
        Ok(container) => container,
        Err(NetnsError::NotFound(_) | NetnsError::NotANamespace { .. }) if env.command == Command::Del => {
            return Ok((host, None));
        }
        Err(error) => return Err(wrong(format!("CNI_NETNS={path}: {error}"))),
    };
    if container.same_as(&host) && !env.netns_override {
        return Err(wrong(format!(
            "CNI_NETNS={path} is the namespace that the plugin itself runs in; nothing was done"
        )));
    }
    Ok((host, Some(container)))
}
