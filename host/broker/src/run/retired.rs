//! A node that Wharf is being removed from (`wharfctl uninstall`): what removes attachments is served, and what makes
//! them is handed to the plugin that a drop-in link replaced, for other networks name it too. Where there is none, or for
//! a network whose list goes with Wharf, it is refused.

use std::collections::BTreeSet;
use std::path::PathBuf;

use wharf_cni::error::code;
use wharf_cni::{CniError, Command, Env, NetConf};
use wharf_ops::Attachment;
use wharf_ops::delegate::Verb;

use super::Broker;
use super::chain::OWN_NAME;
use crate::Paths;
use crate::failure::{self, Fault};
use crate::launch::Launcher;
use crate::native::{self, Execution};

/// What a drop-in link's name has after it when it is that of the plugin that was there before.
const REPLACED: &str = "replaced-by-wharf";
/// Runtimes call it for each pod of every network, and it attaches nothing.
const LOOPBACK: &str = "loopback";

/// The answer of the replaced plugin, where it has to answer; none if the call is to be served as always.
pub(super) fn answer<L: Launcher>(
    broker: &Broker<L>,
    name: &str,
    env: &Env,
    conf: &NetConf,
    stdin: &[u8],
) -> Result<Option<String>, CniError> {
    let verb = match env.command {
        Command::Add => Verb::Add,
        Command::Status => Verb::Status,
        Command::Check | Command::Del | Command::Gc | Command::Version => return Ok(None),
    };
    if !broker.paths.retired().exists() {
        return Ok(None);
    }
    if networks(&broker.paths).contains(&conf.name) {
        return Err(failure::host(code::PLUGIN_NOT_AVAILABLE, Fault::Host, REMOVED));
    }
    let Some(plugin) = replaced(name, env) else {
        return if name == LOOPBACK { Ok(None) } else { Err(refused(name)) };
    };
    let attachment = Attachment {
        network: conf.name.clone(),
        container: env.container_id.clone(),
        ifname: env.ifname.clone(),
    };
    let execution = Execution {
        plugin: name,
        verb,
        attachment: &attachment,
        netns: env.netns.as_deref(),
        args: &env.args,
        path: &env.path,
        stdin,
        deadline: None,
        traceparent: None,
        signals: &broker.signals,
    };
    let printed = execution.run_file(&plugin, &|command| broker.start(command))?;
    Ok(Some(String::from_utf8_lossy(&printed).into_owned()))
}

/// Beside the link that the runtime found.
fn replaced(name: &str, env: &Env) -> Option<PathBuf> {
    if name == OWN_NAME {
        return None;
    }
    let link = native::files(&env.path, name).next()?;
    Some(link.with_file_name(format!("{name}.{REPLACED}"))).filter(|plugin| plugin.is_file())
}

/// The networks of the lists that go with Wharf: nobody else attaches to them.
pub fn networks(paths: &Paths) -> BTreeSet<String> {
    let text = std::fs::read_to_string(paths.retired()).unwrap_or_default();
    text.lines().filter_map(|line| line.strip_prefix("network ")).map(str::to_owned).collect()
}

const REMOVED: &str = "Wharf is being removed from this node (`wharfctl uninstall`): pods that run can be deleted, and no \
                       new ones are attached";

fn refused(name: &str) -> CniError {
    let message = match name {
        OWN_NAME => REMOVED.to_owned(),
        _ => format!(
            "{REMOVED}; for another network that needs {name} before the last pod is gone, put that plugin beside the \
             link as {name}.{REPLACED}"
        ),
    };
    failure::host(code::PLUGIN_NOT_AVAILABLE, Fault::Host, message)
}
