//! The environment: what each command requires, what values may be, and `CNI_ARGS`.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "helpers of tests")]

use wharf_cni::args::{find, parse_args, refuse_unknown};
use wharf_cni::{CniError, Command, Env};

/// `KEY=VALUE` words (without the `CNI_` prefix) as an environment.
fn parse(vars: &str) -> Result<Env, CniError> {
    let get = |key: &str| {
        let key = key.strip_prefix("CNI_").unwrap();
        vars.split(' ').find_map(|var| var.strip_prefix(key)?.strip_prefix('=')).map(str::to_owned)
    };
    Env::parse(get).map_err(CniError::from)
}

#[test]
fn commands_and_their_requirements() {
    let unset = "required env variables";
    let rows: &[(&str, Result<Command, &str>)] = &[
        ("COMMAND=ADD CONTAINERID=a NETNS=/n IFNAME=eth0", Ok(Command::Add)),
        ("COMMAND=ADD CONTAINERID=a NETNS=/n IFNAME=eth0 PATH=/opt", Ok(Command::Add)),
        ("COMMAND=CHECK CONTAINERID=a NETNS=/n IFNAME=eth0", Ok(Command::Check)),
        ("COMMAND=DEL CONTAINERID=a IFNAME=eth0", Ok(Command::Del)),
        ("COMMAND=DEL CONTAINERID=a NETNS= IFNAME=eth0", Ok(Command::Del)),
        ("COMMAND=GC", Ok(Command::Gc)),
        ("COMMAND=GC PATH=/opt CONTAINERID=%bad", Ok(Command::Gc)),
        ("COMMAND=STATUS", Ok(Command::Status)),
        ("COMMAND=STATUS CONTAINERID= NETNS= IFNAME= ARGS=", Ok(Command::Status)),
        ("COMMAND=STATUS IFNAME=much-too-long-for-an-interface", Ok(Command::Status)),
        ("COMMAND=VERSION", Ok(Command::Version)),
        ("COMMAND=VERSION NETNS=dummy IFNAME=dummy PATH=dummy", Ok(Command::Version)),
        ("COMMAND=VERSION CONTAINERID=/// IFNAME=a/b", Ok(Command::Version)),
        ("", Err("[CNI_COMMAND] missing")),
        ("COMMAND= CONTAINERID=a", Err("[CNI_COMMAND] missing")),
        ("COMMAND=add", Err("unknown CNI_COMMAND: add")),
        ("COMMAND=UPDATE", Err("unknown CNI_COMMAND: UPDATE")),
        ("COMMAND=ADD", Err("[CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME] missing")),
        ("COMMAND=CHECK", Err("[CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME] missing")),
        ("COMMAND=DEL", Err("[CNI_CONTAINERID,CNI_IFNAME] missing")),
        ("COMMAND=ADD CONTAINERID= NETNS=/n IFNAME=eth0", Err("[CNI_CONTAINERID] missing")),
        ("COMMAND=ADD CONTAINERID=a IFNAME=eth0", Err("[CNI_NETNS] missing")),
        ("COMMAND=CHECK CONTAINERID=a NETNS= IFNAME=eth0", Err("[CNI_NETNS] missing")),
        // A malformed value is reported rather than what is missing.
        ("COMMAND=ADD CONTAINERID=a:b", Err("invalid characters in containerID")),
        ("COMMAND=ADD IFNAME=a/b", Err("invalid CNI_IFNAME=\"a/b\"")),
    ];
    for (vars, expected) in rows {
        match (parse(vars), expected) {
            (Ok(env), Ok(command)) => assert_eq!(env.command, *command, "{vars}"),
            (Err(error), Err(text)) => {
                assert!(error.msg.contains(text), "{vars}: {error}");
                assert_eq!(error.code, 4, "{vars}");
                assert_eq!(error.msg.starts_with(unset), text.ends_with("missing"), "{vars}: {error}");
            }
            (got, _) => panic!("{vars}: {got:?}"),
        }
    }
}

#[test]
fn container_ids() {
    let long = "a".repeat(5000);
    let rows = [
        ("a", true),
        ("A9_.-", true),
        ("0", true),
        ("default-NAME", true),
        (long.as_str(), true),
        ("", false),
        ("-a", false),
        (".a", false),
        ("_a", false),
        ("a/b", false),
        ("a:b", false),
        ("a b", false),
        ("ä", false),
        ("a\n", false),
        ("..", false),
    ];
    for (id, ok) in rows {
        assert_eq!(wharf_cni::env::container_id(id).is_ok(), ok, "{id:?}");
    }
    let error = CniError::from(wharf_cni::env::container_id("a b").unwrap_err());
    assert_eq!(error.details.as_deref(), Some("a b"));
}

#[test]
fn interface_names() {
    let rows = [
        ("eth0", true),
        ("a", true),
        ("...", true),
        ("123456789012345", true),
        ("net@1", true),
        ("1234567890123456", false),
        ("", false),
        (".", false),
        ("..", false),
        ("a/b", false),
        ("a:1", false),
        ("a b", false),
        ("a\tb", false),
        ("a\u{2003}b", false),
        ("eth%d", false),
        ("ééééééé1", true),
        ("éééééééé", false),
    ];
    for (name, ok) in rows {
        assert_eq!(wharf_cni::env::ifname(name).is_ok(), ok, "{name:?}");
    }
    let error = CniError::from(wharf_cni::env::ifname("1234567890123456").unwrap_err());
    assert_eq!(error.code, 4);
    assert!(error.msg.contains("CNI_IFNAME=\"1234567890123456\""), "{error}");
    assert!(error.msg.contains("15 bytes"), "{error}");
}

#[test]
fn values_end_up_in_their_fields() {
    let env = parse("COMMAND=ADD CONTAINERID=c NETNS=/n IFNAME=i ARGS=A=1 PATH=:/a::/b: NETNS_OVERRIDE=True");
    let expected = Env {
        command: Command::Add,
        container_id: "c".into(),
        netns: Some("/n".into()),
        ifname: "i".into(),
        args: "A=1".into(),
        path: vec!["/a".into(), "/b".into()],
        netns_override: true,
    };
    assert_eq!(env.unwrap(), expected);
    let version = parse("COMMAND=VERSION NETNS=dummy IFNAME=dummy PATH=dummy").unwrap();
    assert_eq!((version.netns, version.path.len()), (None, 0));
    let status = parse("COMMAND=STATUS CONTAINERID= NETNS= PATH=/opt/cni/bin").unwrap();
    assert_eq!((status.netns, status.path), (None, vec!["/opt/cni/bin".to_owned()]));
    assert_eq!(parse("COMMAND=DEL CONTAINERID=c NETNS= IFNAME=i").unwrap().netns, None);
    for (value, on) in [("1", true), ("TRUE", true), ("true", true), ("0", false), ("yes", false)] {
        let vars = format!("COMMAND=DEL CONTAINERID=c IFNAME=i NETNS_OVERRIDE={value}");
        assert_eq!(parse(&vars).unwrap().netns_override, on, "{value}");
    }
}

#[test]
fn args_split_into_pairs() {
    let ok: &[(&str, &[(&str, &str)])] = &[
        ("", &[]),
        (";", &[]),
        ("A=1", &[("A", "1")]),
        ("A=1;", &[("A", "1")]),
        ("A=;B=2", &[("A", ""), ("B", "2")]),
        ("IP=fd00::1/64;MAC=02:00:00:00:00:01", &[("IP", "fd00::1/64"), ("MAC", "02:00:00:00:00:01")]),
        ("IgnoreUnknown=1;K8S_POD_UID=u", &[("IgnoreUnknown", "1"), ("K8S_POD_UID", "u")]),
    ];
    for (text, expected) in ok {
        let pairs = parse_args(text).unwrap();
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(&pairs, expected, "{text}");
    }
    let bad = [
        ("A", "invalid pair \"A\""),
        ("A=1;;", "invalid pair \"\""),
        (";A=1", "invalid pair \"\""),
        ("A=1;;B=2", "invalid pair \"\""),
        ("=1", "invalid pair \"=1\""),
        ("A=1=2", "invalid pair \"A=1=2\""),
        ("A=1;B", "invalid pair \"B\""),
    ];
    for (text, expected) in bad {
        let error = CniError::from(parse_args(text).unwrap_err());
        assert!(error.msg.contains(expected) && error.code == 4, "{text}: {error}");
    }
    let long = parse_args(&"x".repeat(1 << 20)).unwrap_err().to_string();
    assert!(long.len() < 300 && long.contains("1048576 bytes"), "{long}");
}

#[test]
fn unknown_args_need_leave() {
    let rows = [
        ("", None),
        ("IP=1.2.3.4", None),
        ("FOO=BAR", Some("unknown args [\"FOO=BAR\"]")),
        ("ip=1.2.3.4", Some("unknown args [\"ip=1.2.3.4\"]")),
        ("FOO=BAR;IgnoreUnknown=0", Some("unknown args")),
        ("FOO=BAR;IgnoreUnknown=False", Some("unknown args")),
        ("FOO=BAR;IgnoreUnknown=1", None),
        ("IgnoreUnknown=TRUE;FOO=BAR", None),
        ("IgnoreUnknown=yes;IP=1.2.3.4", Some("IgnoreUnknown=yes")),
    ];
    for (text, expected) in rows {
        let got = refuse_unknown(&parse_args(text).unwrap(), &["IP", "MAC"]);
        match expected {
            None => assert_eq!(got, Ok(()), "{text}"),
            Some(part) => {
                let error = CniError::from(got.unwrap_err());
                assert!(error.msg.contains(part) && error.code == 4, "{text}: {error}");
            }
        }
    }
    let pairs = parse_args("A=1;A=2").unwrap();
    assert_eq!((find(&pairs, "A"), find(&pairs, "a")), (Some("2"), None));
}
