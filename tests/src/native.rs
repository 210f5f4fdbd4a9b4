//! Native plugins for delegation: shell scripts that record how they were called.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::Value;

use crate::Node;

/// A native plugin on the node's `CNI_PATH`.
#[derive(Debug)]
pub struct Native {
    records: PathBuf,
}

impl Native {
    /// Puts a plugin named `name` onto the path. `answer` is shell code that runs after the call was recorded; `$1` is
    /// the command.
    pub fn install(node: &mut Node, name: &str, answer: &str) -> Self {
        let folder = node.folder("native");
        let records = node.folder(&format!("records-{name}"));
        let script = format!(
            "#!/bin/sh\n\
             n=$(ls {records} | wc -l)\n\
             mkdir {records}/$n\n\
             env > {records}/$n/env\n\
             cat > {records}/$n/stdin\n\
             set -- \"$CNI_COMMAND\"\n\
             {answer}\n",
            records = records.display()
        );
        let file = folder.join(name);
        fs::write(&file, script).expect("write the plugin");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("make it executable");
        let folder = folder.display().to_string();
        if !node.cni_path.split(':').any(|known| known == folder) {
            node.cni_path = format!("{}:{folder}", node.cni_path);
        }
        Self { records }
    }

    /// What each call got, in order: its variables and its standard input.
    pub fn calls(&self) -> Vec<(Vec<String>, Value)> {
        let count = fs::read_dir(&self.records).expect("the records").count();
        let read = |index: usize, what: &str| {
            fs::read_to_string(self.records.join(index.to_string()).join(what)).expect("a complete record")
        };
        (0..count)
            .map(|index| {
                let env = read(index, "env").lines().map(str::to_owned).collect();
                (env, serde_json::from_str(&read(index, "stdin")).unwrap_or_default())
            })
            .collect()
    }

    /// The value of `CNI_COMMAND` in each call, in order.
    pub fn commands(&self) -> Vec<String> {
        let command = |(env, _): &(Vec<String>, Value)| {
            let command = env.iter().find_map(|line| line.strip_prefix("CNI_COMMAND="));
            command.unwrap_or_default().to_owned()
        };
        self.calls().iter().map(command).collect()
    }
}
