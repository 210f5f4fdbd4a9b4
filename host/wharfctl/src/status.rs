//! STATUS of a network, asked as a runtime would: by executing the plugins that Wharf serves.

use std::io::Write as _;
use std::process::{Command, Stdio};

use wharf_cni::conflist::RequestArgs;
use wharf_cni::{CniError, Version};

use crate::doctor::Node;
use crate::lists::List;

/// A plugin that is not ready.
pub(crate) struct Refusal {
    /// Where it stands in the list.
    pub(crate) place: String,
    /// What it said.
    pub(crate) reason: String,
}

/// Asks every plugin of the list that is Wharf's. Lists of versions that have no STATUS are asked all the same.
pub(crate) fn ask(node: &Node<'_>, list: &List) -> Result<(), Refusal> {
    let mut network = list.network.clone();
    network.cni_version = Version::CURRENT;
    let outer: Vec<_> = list.plugins.iter().filter(|plugin| !plugin.chained).collect();
    for (index, plugin) in outer.into_iter().enumerate() {
        let program = node.bin_dir.join(&plugin.kind);
        let own = std::fs::canonicalize(node.bin_dir.join(crate::lists::OWN));
        if std::fs::canonicalize(&program).ok() != own.ok() {
            continue;
        }
        let refusal = |reason: String| Refusal { place: plugin.place.clone(), reason };
        let request = network
            .request(index, RequestArgs::default())
            .map_err(|error| refusal(error.to_string()))?
            .unwrap_or_default();
        let mut command = Command::new(&program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("WHARF_ROOT", node.paths.root())
            .env("CNI_COMMAND", "STATUS")
            .env("CNI_PATH", &node.bin_dir);
        run(&mut command, &request).map_err(refusal)?;
    }
    Ok(())
}

/// Executes a plugin; its standard output, or what it said instead.
pub(crate) fn run(command: &mut Command, stdin: &[u8]) -> Result<Vec<u8>, String> {
    let mut run = || {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        if let Some(mut pipe) = child.stdin.take() {
            // It need not read what it has no use for.
            let _ = pipe.write_all(stdin);
        }
        child.wait_with_output()
    };
    let output = run().map_err(|error: std::io::Error| format!("cannot execute it: {error}"))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(match serde_json::from_slice::<CniError>(&output.stdout) {
        Ok(error) => format!("{error} (code {})", error.code),
        Err(_) => format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim()),
    })
}
