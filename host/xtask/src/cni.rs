//! Calls CNI plugins as a runtime does: environment, configuration on stdin, JSON on stdout.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;

/// What a plugin runs with besides the attachment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Runtime {
    /// The folders that delegated plugins are looked up in.
    pub(crate) cni_path: PathBuf,
    /// More variables; nothing is inherited.
    pub(crate) variables: Vec<(String, OsString)>,
}

/// Whose network it is about.
#[derive(Debug, Clone)]
pub(crate) struct Attachment {
    pub(crate) container: String,
    pub(crate) netns: PathBuf,
    pub(crate) interface: String,
}

/// A plugin that was started and not yet waited for.
pub(crate) struct Running {
    child: Child,
    what: String,
}

/// Starts `program` for one command. The configuration waits in the pipe before the plugin runs.
pub(crate) fn start(
    runtime: &Runtime,
    program: &Path,
    command: &str,
    attachment: &Attachment,
    config: &Value,
) -> Result<Running> {
    let what = format!("{command} of {} for {}", program.display(), attachment.container);
    let (reader, mut writer) = std::io::pipe().context("cannot make a pipe")?;
    let config = config.to_string();
    // A pipe holds 64 KiB; a configuration of that size would wait for a reader that does not exist yet.
    if config.len() > 60_000 {
        bail!("{what}: the configuration has {} bytes", config.len());
    }
    writer.write_all(config.as_bytes()).context("cannot write the configuration")?;
    drop(writer);
    let child = Command::new(program)
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("CNI_COMMAND", command)
        .env("CNI_CONTAINERID", &attachment.container)
        .env("CNI_NETNS", &attachment.netns)
        .env("CNI_IFNAME", &attachment.interface)
        .env("CNI_PATH", &runtime.cni_path)
        .envs(runtime.variables.iter().map(|(key, value)| (key, value)))
        .stdin(reader)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))?;
    Ok(Running { child, what })
}

impl Running {
    /// Waits for the plugin's end; the JSON of an ADD, `None` if it printed nothing.
    pub(crate) fn finish(self) -> Result<Option<Value>> {
        let output =
            self.child.wait_with_output().with_context(|| format!("cannot wait for {}", self.what))?;
        if !output.status.success() {
            bail!("{}: {}", self.what, complaint(&output));
        }
        if output.stdout.trim_ascii().is_empty() {
            return Ok(None);
        }
        let result = serde_json::from_slice(&output.stdout)
            .with_context(|| format!("{} printed no JSON", self.what))?;
        Ok(Some(result))
    }

    /// As [`Running::finish`], and a result must have been printed.
    pub(crate) fn result(self) -> Result<Value> {
        let what = self.what.clone();
        self.finish()?.ok_or_else(|| anyhow!("{what} printed no result"))
    }
}

/// The error object's words if there is one, else whatever the plugin wrote.
fn complaint(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    let object: Option<Value> = serde_json::from_slice(&output.stdout).ok();
    let field = |name: &str| object.as_ref()?.get(name).cloned();
    match (field("code"), field("msg").as_ref().and_then(Value::as_str)) {
        (Some(code), Some(message)) => {
            let details = field("details").and_then(|details| details.as_str().map(|d| format!(" ({d})")));
            format!("error {code}: {message}{}", details.unwrap_or_default())
        }
        _ => format!("{}: {} {}", output.status, text(&output.stdout), text(&output.stderr)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn call(script: &str) -> Result<Option<Value>> {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("plugin");
        fs::write(&program, format!("#!/bin/sh\n{script}")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let attachment = Attachment { container: "c1".into(), netns: "/ns".into(), interface: "eth0".into() };
        let runtime = Runtime { cni_path: "/p".into(), variables: vec![("WHARF_ROOT".into(), "/r".into())] };
        start(&runtime, &program, "ADD", &attachment, &json!({"name": "n"}))?.finish()
    }

    #[test]
    fn the_plugin_sees_its_configuration_and_nothing_but_its_variables() {
        let result = call(
            "test \"$HOME$USER\" = '' && test \"$CNI_COMMAND $CNI_IFNAME $WHARF_ROOT\" = 'ADD eth0 /r' && cat",
        );
        assert_eq!(result.unwrap(), Some(json!({"name": "n"})));
        assert_eq!(call("true").unwrap(), None);
    }

    #[test]
    fn an_error_object_is_told_in_words() {
        let error = call("echo '{\"code\": 7, \"msg\": \"bad name\", \"details\": \"x\"}'; exit 1")
            .unwrap_err()
            .to_string();
        assert!(error.contains("for c1: error 7: bad name (x)"), "{error}");
        let error = call("echo oops >&2; exit 2").unwrap_err().to_string();
        assert!(error.contains("oops"), "{error}");
    }
}
