//! Guests that name things so that somebody might misunderstand the name.

use crate::hostile::Stage;

/// What the guest tells in its error.
#[track_caller]
fn told(stage: &Stage) -> String {
    let text = stage.call("ADD").error(200);
    // Tables that are nobody's may stay.
    crate::common::assert_undone(&stage.node.dump(), stage.before_node());
    stage.container.dump().assert_same(stage.before_container());
    text
}

#[test]
fn forged_names() {
    let text = told(&Stage::new("forged-names"));
    assert_eq!(text.matches(": invalid").count(), 10, "{text}");
}

#[test]
fn shell_names() {
    let stage = Stage::new("shell-names");
    let folder = stage.node.folder("cwd");
    let text = told(&stage);
    // They are names like others, and go again.
    assert!(text.contains("$(id>pwned) `id` ;reboot; |nc& '\"\\*?"), "{text}");
    for place in [folder.join("pwned"), stage.node.root().join("pwned"), "pwned".into()] {
        assert!(!place.exists(), "{}", place.display());
    }
}

#[test]
fn nft_names() {
    let stage = Stage::new("nft-names");
    // Somebody else's, which a text that is read as a command would flush.
    stage.node.sh("nft add table ip bystander");
    stage.node.sh("nft add chain ip bystander input");
    let text = stage.call("ADD").error(200);
    let outcomes = format!("spoof invalid; {0}; {0}", "conditions invalid; words invalid; chain invalid");
    let expected = vec![outcomes; 4].join("; ");
    assert!(text.starts_with(&expected), "{text}");
    let now = stage.node.dump();
    assert_eq!(now.lines("nft").iter().filter(|line| line.contains("bystander")).count(), 2);
    let left: Vec<_> =
        now.lines("nft").iter().filter(|line| line.contains("flush") || line.contains("-F")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn sysctl_paths() {
    let stage = Stage::new("sysctl-paths");
    let pattern = std::fs::read("/proc/sys/kernel/core_pattern").unwrap();
    let text = told(&stage);
    assert!(!text.contains(": read") && !text.contains(" written"), "{text}");
    assert_eq!(text.matches(": invalid invalid").count(), 16, "{text}");
    assert_eq!(text.matches("\"no/such\": not-found not-found").count(), 2, "{text}");
    assert_eq!(std::fs::read("/proc/sys/kernel/core_pattern").unwrap(), pattern);
}

#[test]
fn ifname_games() {
    let text = told(&Stage::new("ifname-games"));
    assert!(!text.contains("done"), "{text}");
    assert!(text.contains("\"lo\": already-exists already-exists conflict already-exists"), "{text}");
    assert_eq!(text.matches(": invalid invalid invalid invalid").count(), 7, "{text}");
}
