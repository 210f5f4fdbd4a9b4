//! One execution of a plugin, whatever it does: the reference may end without an error object, or print two.

use std::io::{ErrorKind, Write as _};
use std::process::Stdio;

use serde_json::Value;

use crate::Node;

/// How an execution ended.
#[derive(Clone, Debug)]
pub struct Answer {
    /// `ok`, `error`, `exit N` or `signal`.
    pub kind: String,
    /// The JSON values on standard output, in order.
    pub printed: Vec<Value>,
    /// Standard output, as far as it is no JSON, and standard error: for messages.
    pub said: String,
}

impl Answer {
    /// Whether it succeeded.
    pub fn is_ok(&self) -> bool {
        self.kind == "ok"
    }

    /// The result of a success, or the object of an error.
    pub fn json(&self) -> Option<&Value> {
        self.printed.last()
    }

    /// The code of the error object.
    pub fn code(&self) -> Option<u32> {
        self.json()?["code"].as_u64().and_then(|code| u32::try_from(code).ok())
    }

    /// The message and the details of the error object.
    pub fn message(&self) -> String {
        let object = self.json();
        let text = |key| object.and_then(|object| object[key].as_str()).unwrap_or_default();
        format!("{} {}", text("msg"), text("details"))
    }
}

/// Executes a plugin on a node with nothing but these variables, `PATH`, `WHARF_ROOT` and, unless it is among them,
/// `CNI_PATH`.
pub fn execute(node: &Node, program: &str, env: &[(&str, &str)], stdin: &[u8]) -> Answer {
    let mut command = node.command(&[], &node.bin.join(program), env);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = node.run(|| {
        let mut child = command.spawn().unwrap_or_else(|error| panic!("start {command:?}: {error}"));
        let mut pipe = child.stdin.take().expect("a pipe");
        match pipe.write_all(stdin) {
            // It need not read what it has no use for.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
            written => written.expect("write the configuration"),
        }
        drop(pipe);
        child.wait_with_output().expect("wait for the plugin")
    });
    let stdout = String::from_utf8_lossy(&output.stdout);
    let mut values = serde_json::Deserializer::from_str(&stdout).into_iter::<Value>();
    let mut printed = Vec::new();
    let mut rest = "";
    while let Some(value) = values.next() {
        let Ok(value) = value else {
            rest = stdout.get(values.byte_offset()..).unwrap_or_default();
            break;
        };
        printed.push(value);
    }
    let kind = match output.status.code() {
        Some(0) => "ok".to_owned(),
        Some(1) => "error".to_owned(),
        Some(other) => format!("exit {other}"),
        None => "signal".to_owned(),
    };
    let said = format!("{rest}\n{}", String::from_utf8_lossy(&output.stderr));
    Answer { kind, printed, said }
}
