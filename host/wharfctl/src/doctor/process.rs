//! What this process may do, which is what the runtime's plugins may do if they are started alike: capabilities, system
//! calls, limits, cgroup.

use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::resource::{Resource, getrlimit};
use nix::sys::utsname::uname;

use super::Findings;

/// Capabilities that the broker needs: bit, name, what for.
const NEEDED: [(u32, &str, &str); 7] = [
    (1, "CAP_DAC_OVERRIDE", "state folders of other owners"),
    (5, "CAP_KILL", "ending a sandbox that overran its deadline"),
    (6, "CAP_SETGID", "a sandbox gives up its group"),
    (7, "CAP_SETUID", "a sandbox gives up its user"),
    (12, "CAP_NET_ADMIN", "links, addresses, routes and rules"),
    (13, "CAP_NET_RAW", "tables of iptables-legacy"),
    (21, "CAP_SYS_ADMIN", "entering the containers' network namespaces"),
];
/// What an invocation needs beside what runs already: the broker, a zygote, and a sandbox.
const PROCESSES: u64 = 16;
/// Descriptors of a broker with its sockets, journals and stores.
const FILES: u64 = 64;
/// Linux that has close_range(2).
const LINUX: (u32, u32) = (5, 9);
const STATUS: &str = "/proc/self/status";
/// Who they are in a user namespace: first user inside, first user outside, how many.
const USERS: [(&str, &str); 2] = [("/proc/self/uid_map", "user"), ("/proc/self/gid_map", "group")];
/// As whom sandboxes run: `nobody` and `nogroup`.
const NOBODY: u64 = 65534;
const ACTIONS: &str = "/proc/sys/kernel/seccomp/actions_avail";

pub(super) fn check(findings: &mut Findings) {
    release(findings);
    let status = fs::read_to_string(STATUS).unwrap_or_default();
    capabilities(&status, findings);
    for (file, who) in USERS {
        // Without user namespaces there is no such file.
        if let Ok(map) = fs::read_to_string(file) {
            mapped(file, who, &map, findings);
        }
    }
    filters(&status, &fs::read_to_string(ACTIONS).unwrap_or_default(), findings);
    if let Ok((soft, _)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < FILES
    {
        let what = format!("at most {soft} open files, {FILES} are needed");
        findings.error("RLIMIT_NOFILE", what, "raise it for the runtime (LimitNOFILE= of its unit)");
    }
    cgroup(
        Path::new("/sys/fs/cgroup"),
        &fs::read_to_string("/proc/self/cgroup").unwrap_or_default(),
        findings,
    );
}

fn release(findings: &mut Findings) {
    let Ok(name) = uname() else { return };
    let release = name.release().to_string_lossy().into_owned();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map_while(|part| part.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    if version < LINUX {
        let what = format!("Linux {release}; sandboxes need {}.{} or newer", LINUX.0, LINUX.1);
        findings.error("uname", what, "update the kernel");
    } else {
        findings.ok("uname", format!("Linux {release} on {}", name.machine().to_string_lossy()));
    }
}

fn capabilities(status: &str, findings: &mut Findings) {
    let field = |name: &str| {
        status.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim().to_owned()))
    };
    let effective = field("CapEff").and_then(|text| u64::from_str_radix(&text, 16).ok()).unwrap_or_default();
    let missing: Vec<String> = NEEDED
        .iter()
        .filter(|(bit, _, _)| effective & (1 << bit) == 0)
        .map(|(_, name, what_for)| format!("{name} ({what_for})"))
        .collect();
    if missing.is_empty() {
        findings.ok(STATUS, "every capability that plugins need");
    } else {
        let what = format!("missing: {}", missing.join(", "));
        findings.error(STATUS, what, "start the runtime, and this, as root with these capabilities");
    }
}

/// A user namespace may have its root and nobody else.
fn mapped(file: &str, who: &str, map: &str, findings: &mut Findings) {
    let has_nobody = map.lines().any(|line| {
        let mut numbers = line.split_whitespace().map_while(|word| word.parse::<u64>().ok());
        let (Some(first), _, Some(count)) = (numbers.next(), numbers.next(), numbers.next()) else {
            return false;
        };
        NOBODY.checked_sub(first).is_some_and(|at| at < count)
    });
    if !has_nobody {
        let what = format!("there is no {who} {NOBODY} in this user namespace, as whom sandboxes run");
        findings.error(
            file,
            what,
            "map 65536 of them, as newuidmap and newgidmap do from /etc/subuid and /etc/subgid",
        );
    }
}

fn filters(status: &str, actions: &str, findings: &mut Findings) {
    if actions.split_whitespace().any(|action| action == "kill_process") {
        findings.ok(ACTIONS, "seccomp can confine sandboxes");
    } else {
        let what = "seccomp filters cannot end a process (CONFIG_SECCOMP_FILTER)";
        findings.error(ACTIONS, what, "use a kernel that has it");
    }
    if status.lines().any(|line| line.starts_with("Seccomp:") && line.ends_with('2')) {
        let what = "a seccomp filter is in force here: what fails below may work for the runtime";
        findings.note(STATUS, what, "in a pod, use securityContext.seccompProfile.type: Unconfined");
    }
}

/// Where the limits of this process's cgroup are, in either version of the hierarchy.
fn folders(mount: &Path, cgroup: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for line in cgroup.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let inner = path.trim_start_matches('/');
        if controllers.is_empty() {
            found.extend([mount.join(inner), mount.join("unified").join(inner)]);
        }
        if controllers.split(',').any(|one| one == "pids") {
            found.push(mount.join("pids").join(inner));
        }
    }
    found
}

fn cgroup(mount: &Path, cgroup: &str, findings: &mut Findings) {
    let number = |file: PathBuf| fs::read_to_string(file).ok()?.trim().parse::<u64>().ok();
    for folder in folders(mount, cgroup) {
        let (Some(most), Some(now)) = (number(folder.join("pids.max")), number(folder.join("pids.current")))
        else {
            continue;
        };
        let file = folder.join("pids.max");
        if most.saturating_sub(now) < PROCESSES {
            let what = format!("{now} of {most} processes run: a sandbox may not be startable");
            findings.error(file.display(), what, "raise it for the runtime (TasksMax= of its unit)");
        } else {
            findings.ok(file.display(), format!("{now} of {most} processes"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Severity, findings};
    use super::*;

    fn severities(look: impl FnOnce(&mut Findings)) -> Vec<Severity> {
        findings("process", look).into_iter().map(|finding| finding.severity).collect()
    }

    #[test]
    fn missing_capabilities_are_named() {
        let all = findings("process", |findings| capabilities("CapEff:\t0000000000200000\n", findings));
        assert_eq!(all[0].severity, Severity::Error);
        assert!(
            all[0].what.contains("CAP_NET_ADMIN")
                && all[0].what.contains("CAP_NET_RAW")
                && !all[0].what.contains("CAP_SYS_ADMIN"),
            "{}",
            all[0].what
        );
        assert_eq!(severities(|f| capabilities("CapEff:\t000001ffffffffff\n", f)), [Severity::Ok]);
    }

    #[test]
    fn a_user_namespace_without_nobody_is_an_error() {
        let of = |map: &str| severities(|findings| mapped("/proc/self/uid_map", "user", map, findings));
        for whole in ["0 0 4294967295", "0 100000 65536", "0 1000 1\n1 100000 65536"] {
            assert_eq!(of(whole), [], "{whole}");
        }
        for part in ["0 1000 1", "0 100000 65534", "65535 100000 10", ""] {
            assert_eq!(of(part), [Severity::Error], "{part}");
        }
    }

    #[test]
    fn a_kernel_without_the_action_cannot_confine() {
        assert_eq!(severities(|f| filters("", "kill_thread errno", f)), [Severity::Error]);
        let confined = severities(|f| filters("Seccomp:\t2", "kill_process errno", f));
        assert_eq!(confined, [Severity::Ok, Severity::Note]);
    }

    #[test]
    fn a_cgroup_without_room_is_an_error_in_either_hierarchy() {
        for (line, folder) in [("0::/pod", "pod"), ("5:pids:/pod", "pids/pod"), ("0::/pod", "unified/pod")] {
            let mount = tempfile::tempdir().unwrap();
            let folder = mount.path().join(folder);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("pids.current"), "90\n").unwrap();
            for (most, severity) in
                [("100", vec![Severity::Error]), ("400", vec![Severity::Ok]), ("max", vec![])]
            {
                fs::write(folder.join("pids.max"), most).unwrap();
                assert_eq!(severities(|f| cgroup(mount.path(), line, f)), severity, "{line} {most}");
            }
        }
    }

    #[test]
    fn this_machine_can_be_looked_at() {
        let all = findings("process", check);
        assert!(all.iter().any(|finding| finding.what.starts_with("Linux")), "{all:?}");
    }
}
