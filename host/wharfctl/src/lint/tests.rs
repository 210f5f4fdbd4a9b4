use std::path::Path;

use super::*;

fn lint(name: &str, text: &str) -> Vec<Finding> {
    let root = tempfile::tempdir().unwrap();
    let paths = Paths::below(root.path());
    let node = Node::new(&paths, Path::new("/etc/cni/net.d"), Path::new("/opt/cni/bin")).unwrap();
    doctor::findings("lint", |findings| one(&node, None, Path::new(name), text.as_bytes(), findings))
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
fn several_versions_are_advised_for_lists_only() {
    for (name, text, advised) in [
        ("a.conflist", r#"{"cniVersion": "1.1.0", "name": "n", "plugins": [{"type": "x"}]}"#, true),
        ("a.conf", r#"{"cniVersion": "1.1.0", "name": "n", "type": "x"}"#, false),
    ] {
        let all = found(name, text);
        let [(Severity::Warning, _, _, cure)] = all.as_slice() else { panic!("{name}: {all:?}") };
        assert_eq!(cure.contains("cniVersions"), advised, "{cure}");
    }
}

#[test]
fn a_key_that_stands_twice_is_found_wherever_it_is() {
    for (plugins, place) in [
        (r#"{"type": "bridge", "bridge": "br-good", "bridge": "br-evil"}"#, "plugins[0].bridge"),
        (
            r#"{"type": "x"}, {"type": "wharf", "chain": [{"type": "x", "ipam": {"a": 1, "a": 1}}]}"#,
            "plugins[1].chain[0].ipam.a",
        ),
        (r#"{"type": "x"}], "plugins": [{"type": "loopback"}"#, "plugins"),
    ] {
        let all = found("a.conflist", &list(plugins));
        let [(Severity::Warning, at, what, _)] = all.as_slice() else { panic!("{plugins}: {all:?}") };
        assert!(*at == format!("a.conflist: {place}") && what.contains("twice"), "{at}: {what}");
    }
    assert_eq!(found("a.conflist", &list(r#"{"type": "x", "//": "one", "//": "two"}"#)), []);
}

#[test]
fn a_list_without_plugins_is_none() {
    let of = |text: &str| {
        let all = found("a.conflist", text);
        let [(Severity::Error, _, what, cure)] = all.as_slice() else { panic!("{text}: {all:?}") };
        (what.clone(), cure.clone())
    };
    let (what, _) = of(r#"{"cniVersion": "1.0.0", "name": "nowhere"}"#);
    assert!(what.contains("plugins: there are none"), "{what}");
    let single =
        of(r#"{"cniVersion": "1.0.0", "name": "nowhere", "type": "wharf", "chain": [{"type": "x"}]}"#);
    assert!(single.0.contains("single plugin") && single.1.contains(".conf"), "{single:?}");
}

#[test]
fn plugins_that_are_beside_the_list_only_are_not_for_every_runtime() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("pods")).unwrap();
    std::fs::write(folder.path().join("pods/10-lo.conf"), r#"{"type": "loopback"}"#).unwrap();
    let file = folder.path().join("10-pods.conflist");
    let all = found(file.to_str().unwrap(), r#"{"cniVersion": "1.0.0", "name": "pods"}"#);
    assert!(
        matches!(all.as_slice(), [(Severity::Warning, _, what, _)] if what.contains("before 1.3")),
        "{all:?}"
    );
}

#[test]
fn a_type_that_looks_like_one_of_ours_is_told() {
    for (plugins, place, meant) in [
        (r#"{"type": "brigde", "vlan": 9999}"#, "plugins[0].type", "bridge"),
        (r#"{"type": "bridge", "ipam": {"type": "hostlocal"}}"#, "plugins[0].ipam.type", "host-local"),
        (r#"{"type": "warf", "chain": []}"#, "plugins[0].type", "wharf"),
        (
            r#"{"type": "wharf", "chain": [{"type": "bridge"}, {"type": "Bandwith"}]}"#,
            "plugins[0].chain[1].type",
            "bandwidth",
        ),
    ] {
        let all = found("a.conflist", &list(plugins));
        let [(Severity::Warning, at, _, cure)] = all.as_slice() else { panic!("{plugins}: {all:?}") };
        assert_eq!((at, cure), (&format!("a.conflist: {place}"), &format!("did you mean {meant:?}?")));
    }
}

/// A root with a store, of which only the names count.
fn store(names: &[&str]) -> (tempfile::TempDir, Paths) {
    let root = tempfile::tempdir().unwrap();
    let paths = Paths::below(root.path());
    std::fs::create_dir_all(paths.guests()).unwrap();
    for name in names {
        std::fs::write(paths.guests().join(format!("{name}.json")), "").unwrap();
    }
    (root, paths)
}

#[test]
fn a_type_that_nobody_was_given_for_is_told() {
    let (root, paths) = store(&[]);
    let programs = root.path().join("opt/cni/bin");
    std::fs::create_dir_all(&programs).unwrap();
    std::fs::write(programs.join("tuning"), "").unwrap();
    let node = Node::new(&paths, Path::new("/etc/cni/net.d"), Path::new("/opt/cni/bin")).unwrap();
    let (_given, guests) = store(&["bridge", "host-local", "mine"]);
    let told = |plugins: &str| {
        let parsed = lists::parse(list(plugins).as_bytes(), true).unwrap();
        doctor::findings("lint", |findings| types::check(&node, Some(&guests), "f", &parsed, findings))
    };
    assert_eq!(
        told(r#"{"type": "wharf", "chain": [{"type": "bridge"}, {"type": "mine"}]}, {"type": "tuning"}"#),
        []
    );
    for (plugins, severity, place, words) in [
        (r#"{"type": "brigde"}"#, Severity::Error, "f: plugins[0].type", "did you mean \"bridge\"?"),
        (
            r#"{"type": "bridge", "ipam": {"type": "host-locla"}}"#,
            Severity::Error,
            "f: plugins[0].ipam.type",
            "\"host-local\"?",
        ),
        (
            r#"{"type": "bridge", "policies": ["nobody"]}"#,
            Severity::Warning,
            "f: plugins[0].policies",
            "correct it",
        ),
        (r#"{"type": "bridge"}, {"type": "firewall"}"#, Severity::Warning, "f: plugins[1].type", "--bin-dir"),
    ] {
        let all = told(plugins);
        let [one] = all.as_slice() else { panic!("{plugins}: {all:?}") };
        assert_eq!((one.severity, one.place.as_str()), (severity, place), "{plugins}");
        assert!(one.cure.contains(words), "{}", one.cure);
    }
    // Of a node, the same names are known.
    let (_root, paths) = store(&["bridge"]);
    let node = Node::new(&paths, Path::new("/etc/cni/net.d"), Path::new("/opt/cni/bin")).unwrap();
    assert_eq!(meant(&node, "brigde"), "did you mean \"bridge\"? Otherwise ");
    assert_eq!((meant(&node, "bridge"), meant(&node, "tuning")), (String::new(), String::new()));
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
fn two_entries_of_one_guest_share_a_record() {
    let twins = |plugins: &str| {
        let all = found("a.conflist", &list(&format!(r#"{{"type": "bridge"}}, {plugins}"#)));
        let all = all.into_iter().filter(|(_, _, what, _)| what.contains("share one record"));
        all.map(|(severity, place, _, _)| (severity, place)).collect::<Vec<_>>()
    };
    let warned = |place: &str| vec![(Severity::Warning, format!("a.conflist: {place}"))];
    let portmap = r#"{"type": "portmap", "capabilities": {"portMappings": true}}"#;
    assert_eq!(twins(&format!("{portmap}, {portmap}")), warned("plugins[2]"));
    let chain = |of: &str| format!(r#"{{"type": "wharf", "chain": [{of}]}}"#);
    assert_eq!(twins(&chain(&format!("{portmap}, {portmap}"))), warned("plugins[1].chain[1]"));
    let two =
        [chain(r#"{"type": "loopback"}"#), r#"{"type": "tuning"}"#.to_owned(), chain(portmap)].join(",");
    assert_eq!(twins(&two), warned("plugins[3]"));
    // Programs of others keep their own records, and what a chain's guests make is one process's.
    for good in
        [r#"{"type": "tuning"}, {"type": "tuning"}"#, &chain(r#"{"type": "loopback"}, {"type": "loopback"}"#)]
    {
        assert_eq!(twins(good), [], "{good}");
    }
}

#[test]
fn a_node_is_asked_for_its_plugins_and_another_place_is_not() {
    let said = lint("a.conflist", &list(GOOD));
    assert!(matches!(said.as_slice(), [it] if it.severity == Severity::Note), "{said:?}");
}
