use std::path::Path;

use super::*;

fn lint(name: &str, text: &str) -> Vec<Finding> {
    let root = tempfile::tempdir().unwrap();
    let paths = Paths::below(root.path());
    let node = Node::new(&paths, Path::new("/etc/cni/net.d"), Path::new("/opt/cni/bin")).unwrap();
    doctor::findings("lint", |findings| one(&node, &paths, Path::new(name), text.as_bytes(), findings))
}

/// The findings but for the note that there is no store here.
fn found(name: &str, text: &str) -> Vec<(Severity, String, String, String)> {
    let all = lint(name, text).into_iter().filter(|it| !it.what.contains("was not looked at"));
    all.map(|it| (it.severity, it.place, it.what, it.cure)).collect()
}

fn list(plugins: &str) -> String {
    format!(r#"{{"cniVersion": "1.0.0", "name": "pods", "plugins": [{plugins}]}}"#)
}

const GOOD: &str = r#"{"type": "bridge", "bridge": "cni0", "isDefaultGateway": true, "ipMasq": true, "mtu": null,
    "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.9"}]],
             "routes": [{"dst": "0.0.0.0/0", "mtu": 1400}]}},
    {"type": "portmap", "capabilities": {"portMappings": true}, "_why": "x", "example.com/x": 1},
    {"type": "bandwidth", "ingressRate": 1000000, "ingressBurst": 1000000},
    {"type": "tuning", "whatever": true}"#;

#[test]
fn what_is_good_is_left_alone() {
    assert_eq!(found("a.conflist", &list(GOOD)), []);
    let chain =
        format!(r#"{{"type": "wharf", "capabilities": {{"portMappings": true}}, "chain": [{GOOD}]}}"#);
    assert_eq!(found("a.conflist", &list(&chain)), []);
    let single = r#"{"cniVersion": "1.0.0", "name": "lo", "type": "loopback"}"#;
    assert_eq!(found("lo.conf", single), []);
}

#[test]
fn a_key_that_nobody_reads_comes_with_the_one_that_was_meant() {
    for (plugins, place, what, cure) in [
        (r#"{"type": "bridge", "isGatway": true}"#, "plugins[0].isGatway", "nobody reads", "\"isGateway\"?"),
        (
            r#"{"type": "bridge", "isgateway": true}"#,
            "plugins[0].isgateway",
            "read as \"isGateway\"",
            "mind the case",
        ),
        (
            r#"{"type": "bridge", "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/24"}, {"subnett": ""}]]}}"#,
            "plugins[0].ipam.ranges[0][1].subnett",
            "nobody reads",
            "\"subnet\"?",
        ),
        (
            r#"{"type": "loopback", "description": ""}"#,
            "plugins[0].description",
            "nobody reads",
            "begin it with `_`",
        ),
        (
            r#"{"type": "wharf", "chain": [{"type": "bridge", "hairpinmod": true}]}"#,
            "plugins[0].chain[0].hairpinmod",
            "nobody reads",
            "\"hairpinMode\"?",
        ),
    ] {
        let all = found("a.conflist", &list(plugins));
        let [(_, at, said, help)] = all.as_slice() else { panic!("{plugins}: {all:?}") };
        assert_eq!(at, &format!("a.conflist: {place}"));
        assert!(said.contains(what) && help.contains(cure), "{said}: {help}");
    }
    for (plugins, severity, place, words) in [
        (
            r#"{"type": "bridge", "Policies": ["p"]}"#,
            Severity::Note,
            "plugins[0].Policies",
            "read as \"policies\"",
        ),
        (
            r#"{"type": "wharf", "Chain": [{"Type": "loopback", "Policies": ["p"], "type": "loopback"}]}"#,
            Severity::Note,
            "plugins[0].chain[0].Policies",
            "read as \"policies\"",
        ),
        (
            r#"{"type": "bridge", "Policies": ["p"], "policies": []}"#,
            Severity::Error,
            "plugins[0].Policies",
            "are one key",
        ),
        (
            r#"{"type": "bridge", "IPAM": {}, "ipam": {}}"#,
            Severity::Warning,
            "plugins[0].IPAM",
            "are one key",
        ),
        (
            r#"{"type": "bridge", "IPAM": {"type": "host-local", "subnett": ""}}"#,
            Severity::Warning,
            "plugins[0].ipam.subnett",
            "nobody reads",
        ),
    ] {
        let all = found("a.conflist", &list(plugins));
        let known = all.iter().any(|(level, at, what, _)| {
            *level == severity && *at == format!("a.conflist: {place}") && what.contains(words)
        });
        assert!(known, "{plugins}: {all:?}");
    }
    // Runtimes read the list's own members by their exact names.
    let all = found(
        "a.conflist",
        &list(r#"{"type": "loopback"}"#).replace("\"plugins\"", "\"DisableCheck\": true, \"plugins\""),
    );
    assert!(
        matches!(all.as_slice(), [(Severity::Warning, at, what, cure)]
            if at.ends_with(": DisableCheck") && what.contains("nobody reads") && cure.contains("\"disableCheck\"?")),
        "{all:?}"
    );
    let all = found(
        "a.conflist",
        r#"{"cniVersion": "1.0.0", "nam": "x", "name": "pods", "plugins": [{"type": "x"}]}"#,
    );
    assert!(
        all.iter().any(|(_, place, _, cure)| place.ends_with(": nam") && cure.contains("\"name\"?")),
        "{all:?}"
    );
}

#[test]
fn a_value_that_no_guest_can_read_is_an_error_with_its_place() {
    for (plugins, place, what) in [
        (r#"{"type": "bridge", "isGateway": "true"}"#, "isGateway", "\"true\" is not true or false"),
        (r#"{"type": "bridge", "mtu": "1500"}"#, "mtu", "\"1500\" is not a whole number"),
        (r#"{"type": "bridge", "mtu": 1.5}"#, "mtu", "1.5 is not a whole number"),
        (r#"{"type": "bridge", "vlanTrunk": {"id": 1}}"#, "vlanTrunk", "is not a list"),
        (r#"{"type": "bridge", "vlanTrunk": [{"id": "1"}]}"#, "vlanTrunk[0].id", "is not a whole number"),
        (r#"{"type": "bridge", "ipMasqBackend": "nft"}"#, "ipMasqBackend", "none of its words"),
        (r#"{"type": "bridge", "dns": {"nameservers": "1.1.1.1"}}"#, "dns.nameservers", "is not a list"),
    ] {
        let all = found("a.conflist", &list(plugins));
        let [(Severity::Error, at, said, _)] = all.as_slice() else { panic!("{plugins}: {all:?}") };
        assert_eq!(at, &format!("a.conflist: plugins[0].{place}"));
        assert!(said.contains(what), "{said}");
    }
}

#[test]
fn what_libcni_takes_for_a_boolean_is_one() {
    let of = |value: &str| {
        let text = format!(
            r#"{{"cniVersion": "1.0.0", "name": "pods", "disableCheck": {value}, "plugins": [{{"type": "x"}}]}}"#
        );
        found("a.conflist", &text).into_iter().any(|(_, place, _, _)| place.ends_with("disableCheck"))
    };
    assert!(["true", "\"true\"", "\"False\""].iter().all(|value| !of(value)));
    assert!(["1", "\"yes\""].iter().all(|value| of(value)));
}

#[test]
fn versions_that_runtimes_refuse_are_named() {
    for (version, words) in [
        (r#""cniVersion": "1.1.0","#, Some("containerd before 2.0")),
        (r#""cniVersion": "0.3.1","#, Some("no CHECK")),
        ("", Some("0.1.0")),
        (r#""cniVersion": "0.4.0","#, None),
        (r#""cniVersion": "1.0.0", "cniVersions": ["1.0.0", "1.1.0"],"#, None),
    ] {
        let all = found("a.conflist", &format!(r#"{{{version} "name": "n", "plugins": [{{"type": "x"}}]}}"#));
        let said: Vec<_> = all.iter().map(|(_, _, what, _)| what.as_str()).collect();
        match words {
            Some(words) => assert!(matches!(said.as_slice(), [what] if what.contains(words)), "{said:?}"),
            None => assert_eq!(said, [""; 0]),
        }
    }
}

#[test]
fn a_plugin_in_the_wrong_place_and_a_file_of_the_wrong_name_are_errors() {
    for (name, text, words) in [
        ("a.conflist", list(r#"{"type": "portmap", "capabilities": {"portMappings": true}}"#), "comes first"),
        (
            "a.conflist",
            list(r#"{"type": "bridge"}, {"type": "bridge", "bridge": "b"}"#),
            "a bridge before it",
        ),
        ("a.conflist", list(r#"{"type": "bridge"}, {"type": "portmap"}"#), "never told anything"),
        ("a.conf", list(GOOD), "it is a list"),
        ("a.conflist", "{".to_owned(), "EOF"),
        ("a.conflist", r#"{"cniVersion": "1.0.0", "plugins": []}"#.to_owned(), "name"),
    ] {
        let all = found(name, &text);
        assert!(all.iter().any(|(_, _, what, _)| what.contains(words)), "{words}: {all:?}");
    }
}

#[test]
fn a_node_is_asked_for_its_plugins_and_another_place_is_not() {
    let said = lint("a.conflist", &list(GOOD));
    assert!(matches!(said.as_slice(), [it] if it.severity == Severity::Note), "{said:?}");
}
