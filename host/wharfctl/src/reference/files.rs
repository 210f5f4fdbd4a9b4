//! What is read besides the command line, as a page: variables, `/etc/cni/wharf.toml`, grant files.

use std::fmt::Write as _;

use wharf_broker::grants::{Key, Limits};

use super::cell;

/// A name and what it is for.
type Row = (&'static str, &'static str);

const VARIABLES: &[Row] = &[
    (
        "`CNI_COMMAND`, `CNI_CONTAINERID`, `CNI_NETNS`, `CNI_IFNAME`, `CNI_ARGS`, `CNI_PATH`",
        "The call, as the CNI specification has it: the runtime sets them. `wharf` without `CNI_COMMAND` prints its version.",
    ),
    ("`TRACEPARENT`", "The span of the runtime that the call's span is a child of (W3C Trace Context)."),
    (
        "`WHARF_ROOT`",
        "Prefixes every path that Wharf owns, for packaging and tests. `wharfctl` reads it too.",
    ),
    ("`WHARF_LOG`", "`off`, `error`, `warn`, `info`, `debug` or `trace`. Wins over `log.level`."),
    ("`WHARF_LOG_TO`", "`stderr`, `journald` or an absolute path. Wins over `log.to`."),
    (
        "`OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, `OTEL_EXPORTER_OTLP_ENDPOINT`",
        "A collector. The first is used as it is; `/v1/traces` is appended to the second. Both win over `traces.endpoint`.",
    ),
    ("`OTEL_SDK_DISABLED`", "`true`: no spans."),
    (
        "`WHARF_TRACE_TIMINGS`",
        "Names a file, as it is and not below `WHARF_ROOT`, to which calls append lines of JSON, with times in microseconds and memory in bytes: one for each call of a guest (of a policy, for all that it was asked), and one for the grants, checks and journal of the whole call. A file that cannot be written is passed over.",
    ),
];

const SETTINGS: &[Row] = &[
    (
        "`policies`",
        "The names of policy guests, in the order in which they are asked, on every network of the node. Without it: none.",
    ),
    (
        "`[policy.NAME]`",
        "What the policy NAME is told of itself: any keys. A policy's own documentation says which.",
    ),
    ("`[log] level`", "`off`, `error`, `warn`, `info`, `debug` or `trace`. Without it: `warn`."),
    (
        "`[log] to`",
        "`stderr`, `journald`, or the absolute path of a file of JSON lines. Without it: `stderr`.",
    ),
    (
        "`[traces] endpoint`",
        "An OpenTelemetry collector (OTLP over HTTP). Without it no spans are made. `wharfctl export` sends them.",
    ),
    ("`[metrics] events`", "Whether each call is counted. Without it: `true`."),
];

const EXAMPLE: &str = "\
policies = [\"host-ports\"]

[policy.host-ports.namespaces]
ingress = [[80, 80], [443, 443]]

[log]
level = \"info\"
to = \"journald\"

[traces]
endpoint = \"http://collector:4318\"

[metrics]
events = true
";

/// The page.
pub(super) fn page() -> String {
    let mut text = "# Variables and files\n\nWritten by `cargo xtask docs` from the program itself.\n\n\
                    ## Environment variables\n\n| variable | |\n|---|---|\n"
        .to_owned();
    rows(&mut text, VARIABLES);
    let _ = write!(
        text,
        "\n## /etc/cni/wharf.toml\n\nWhat an operator wants of every call. A file that is not there says nothing. A mistake \
         outside of the policies is told and counts as nothing; a file that cannot be read, that another user than root owns or others may write, or that is a link that leads nowhere, lets no ADD through, for \
         nobody knows which policies it names.\n\n```toml\n{EXAMPLE}```\n\n| key | |\n|---|---|\n"
    );
    rows(&mut text, SETTINGS);
    grants(&mut text);
    text
}

fn rows(text: &mut String, rows: &[Row]) {
    for (name, words) in rows {
        let _ = writeln!(text, "| {} | {} |", cell(name), cell(words));
    }
}

fn grants(text: &mut String) {
    let Limits { deadline_ms, memory_mib, operations, log_bytes } = Limits::default();
    let _ = write!(
        text,
        "\n## /etc/cni/wharf.d/GUEST.toml\n\nThe grant of a guest: what it may do. `wharfctl grants explain` says one in words, \
         `check` compares it with the guest, `suggest` writes one. Unknown keys and operations are errors.\n\n\
         | key | without it | |\n|---|---|---|\n\
         | `digest` | an error | The component that the grant is for: `sha256:` and 64 hexadecimal digits. |\n\
         | `operations` | an error | What the guest may ask for: [operations](wit.md), or `links/*` for all of an interface. |\n\
         | `[limits] deadline-ms` | {deadline_ms} | Milliseconds until a call is ended. |\n\
         | `[limits] memory-mib` | {memory_mib} | Linear memory, in MiB. |\n\
         | `[limits] operations` | {operations} | How many operations a call may ask for. |\n\
         | `[limits] log-bytes` | {log_bytes} | How many bytes of its log lines are kept. |\n\n\
         These bound what is granted. An operation that one of them bounds is denied where the file does not have the key. In \
         names, `*` is any text without a slash, `?` one character, and `{{ifname}}` the interface that `CNI_IFNAME` names; \
         among networks, `default` is the default route alone.\n\n| key | what may be touched | operations that need it |\n|---|---|---|\n"
    );
    for key in Key::ALL {
        let operations: Vec<String> = key.operations().iter().map(|it| format!("`{it}`")).collect();
        let _ = writeln!(text, "| `{key}` | {} | {} |", cell(key.words()), operations.join(", "));
    }
}

#[cfg(test)]
mod tests {
    use wharf_broker::Paths;
    use wharf_broker::settings::Settings;

    use super::*;

    #[test]
    fn the_example_is_a_good_file_with_every_key() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        std::fs::create_dir_all(root.path().join("etc/cni")).unwrap();
        std::fs::write(paths.settings(), EXAMPLE).unwrap();
        let (settings, fault) = Settings::read(&paths, |_| None);
        assert_eq!(fault, None);
        assert!(settings.endpoint.is_some() && settings.events);
        for (name, _) in SETTINGS {
            let last = name.trim_matches('`').rsplit([' ', '[', '.']).next().unwrap().trim_end_matches(']');
            assert!(last == "NAME" || EXAMPLE.contains(&format!("{last} = ")), "{name} in the example");
        }
    }

    #[test]
    fn every_key_that_bounds_a_grant_has_its_row() {
        let text = page();
        assert!(text.contains(
            "| `[nat] host-ports` | ports of the host that may lead to the container | `nat/forward-ports`"
        ));
        assert_eq!(text.matches("\n| `[").count(), Key::ALL.len() + 4 + 5);
    }
}
