//! Versions: parsing, what each allows, and the VERSION exchange; and the error object.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "helpers of tests")]

use wharf_cni::error::{code, excerpt};
use wharf_cni::version::{self, SUPPORTED};
use wharf_cni::{CniError, Command, Error, Version};

#[test]
fn texts() {
    for v in SUPPORTED {
        assert_eq!(Version::parse(v.as_str()), Ok(v));
    }
    assert_eq!(Version::parse(""), Ok(Version::V0_1_0));
    for bad in
        ["1.0", "1", "0.5.0", "1.2.0", "9.9.9", "v1.0.0", " 1.0.0", "1.0.0 ", "abc", "1.0.0.0", "01.0.0"]
    {
        let error = CniError::from(Version::parse(bad).unwrap_err());
        assert_eq!((error.code, error.msg.as_str()), (1, "incompatible CNI versions"), "{bad}");
        let list = r#"["0.1.0" "0.2.0" "0.3.0" "0.3.1" "0.4.0" "1.0.0" "1.1.0"]"#;
        assert_eq!(error.details.unwrap(), format!("config is \"{bad}\", plugin supports {list}"));
    }
}

#[test]
fn gates() {
    let since = |command| match command {
        Command::Add | Command::Del | Command::Version => Version::V0_1_0,
        Command::Check => Version::V0_4_0,
        Command::Gc | Command::Status => Version::V1_1_0,
    };
    let all = [Command::Add, Command::Del, Command::Check, Command::Gc, Command::Status, Command::Version];
    for command in all {
        assert_eq!(Command::parse(command.as_str()), Ok(command));
        for v in SUPPORTED {
            let got = v.allows(command).map_err(CniError::from);
            if v >= since(command) {
                assert_eq!(got, Ok(()), "{command} {v}");
            } else {
                let error = got.unwrap_err();
                assert_eq!(error.msg, format!("config version does not allow {command}"), "{v}");
                assert_eq!(error.code, 1, "{command} {v}");
            }
        }
    }
    assert!(!Version::V0_3_1.del_has_previous() && Version::V0_4_0.del_has_previous());
}

#[test]
fn version_requests() {
    let rows: &[(&[u8], Option<Version>)] = &[
        (b"", None),
        (b"garbage {", None),
        (b"[]", None),
        (b"{}", None),
        (br#"{"cniVersion":""}"#, None),
        (br#"{"cniVersion":7}"#, None),
        (br#"{"cniVersion":"9.9.9"}"#, None),
        (br#"{"cniVersion":"\"},evil"}"#, None),
        (br#"{"cniVersion":"0.4.0"}"#, Some(Version::V0_4_0)),
        (br#"{"cniVersion":"1.1.0","x":1}"#, Some(Version::V1_1_0)),
        (br#"{"CNIVERSION":"1.0.0","name":7,"ipam":[]}"#, Some(Version::V1_0_0)),
    ];
    for (stdin, expected) in rows {
        assert_eq!(version::requested(stdin), *expected, "{}", String::from_utf8_lossy(stdin));
    }
    let supported = r#""supportedVersions":["0.1.0","0.2.0","0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]}"#;
    assert_eq!(version::reply(None), format!("{{\"cniVersion\":\"1.1.0\",{supported}\n"));
    assert_eq!(version::reply(Some(Version::V0_4_0)), format!("{{\"cniVersion\":\"0.4.0\",{supported}\n"));
}

#[test]
fn version_replies_of_others() {
    let ours = version::reply(None);
    let rows: &[(&str, Result<usize, &str>)] = &[
        (&ours, Ok(7)),
        (r#"{"cniVersion":"0.3.0","supportedVersions":["0.1.0","banana"]}"#, Ok(2)),
        (r#"{"cniVersion":"0.2.0"}"#, Ok(2)),
        (r#"{"cniVersion":"0.3.0"}"#, Err("supportedVersions")),
        (r#"{"cniVersion":"0.3.0","supportedVersions":[]}"#, Err("supportedVersions")),
        (r#"{"supportedVersions":["1.0.0"]}"#, Err("cniVersion")),
        (r#"{"cniVersion":"1.0.0","supportedVersions":["1.0.0",3]}"#, Err("supportedVersions[1]")),
        ("[]", Err("expected an object")),
        ("", Err("cannot decode VERSION reply")),
    ];
    for (stdout, expected) in rows {
        match (version::parse_reply(stdout.as_bytes()), expected) {
            (Ok(list), Ok(count)) => assert_eq!(list.len(), *count, "{stdout}"),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{stdout}: {error}"),
            (got, _) => panic!("{stdout}: {got:?}"),
        }
    }
}

#[test]
fn error_text() {
    let plain = CniError::new(code::INVALID_CONFIG, "a \"b\"");
    let text = "{\n    \"cniVersion\": \"1.0.0\",\n    \"code\": 7,\n    \"msg\": \"a \\\"b\\\"\"\n}";
    assert_eq!(plain.render(Version::V1_0_0), text);
    let full = plain.with_details("d");
    assert!(full.render(Version::V0_1_0).ends_with(",\n    \"details\": \"d\"\n}"));
    assert_eq!(full.to_string(), "a \"b\"; d");
    let back: CniError = serde_json::from_str(&full.render(Version::V1_1_0)).unwrap();
    assert_eq!(back, full);
}

#[test]
fn delegates_that_fail() {
    let rows: &[(&str, &str, u32, &str)] = &[
        (r#"{"code":11,"msg":"later","details":"soon"}"#, "noise", 11, "later"),
        (r#"{"cniVersion":"1.0.0","code":7,"msg":"m","more":1}"#, "", 7, "m"),
        (r#"{"msg":"no code"}"#, "", 0, "no code"),
        ("", "boom\n", 999, "netplugin failed: \"boom\": exit status: 1"),
        (" \n", "", 999, "netplugin failed with no error message: exit status: 1"),
        ("panic: x", "", 999, "error parsing its diagnostic message \"panic: x\""),
        ("null", "", 999, "error parsing its diagnostic message \"null\""),
        (r#"{"cniVersion":"1.0.0"}"#, "", 999, "neither code nor msg"),
        (r#"{"code":-1,"msg":"m"}"#, "", 999, "error parsing its diagnostic message"),
        (r#"{"ips":[]}{"code":8,"msg":"m"}"#, "", 999, "error parsing its diagnostic message"),
    ];
    for (stdout, stderr, code, part) in rows {
        let error = CniError::from_delegate(stdout.as_bytes(), stderr.as_bytes(), "exit status: 1");
        assert_eq!(error.code, *code, "{stdout}");
        assert!(error.msg.contains(part), "{stdout}: {error}");
    }
    let flood = CniError::from_delegate(&vec![b'\n'; 1 << 20], &vec![b'x'; 10 << 20], "killed");
    assert!(flood.msg.len() < 2000, "{} bytes", flood.msg.len());
}

#[test]
fn excerpts_are_bounded() {
    assert_eq!(excerpt("a\"\n"), r#""a\"\n""#);
    assert_eq!(excerpt(&"é".repeat(48)).len(), 98);
    let cut = excerpt(&format!("x{}", "é".repeat(5 << 20)));
    assert!(cut.ends_with("... (10485761 bytes)") && cut.len() < 130, "{cut}");
}

#[test]
fn every_error_has_its_code() {
    let rows = [
        (Error::NoCommand, 4),
        (Error::UnknownArgs("x".into()), 4),
        (Error::TooLarge { what: "network config", size: 2, limit: 1 }, 6),
        (Error::MissingName, 7),
        (Error::NetworkName("a b".into()), 7),
        (Error::NoAddresses(Version::V0_2_0), 7),
    ];
    for (error, code) in rows {
        assert_eq!(CniError::from(error).code, code);
    }
    let name = CniError::from(Error::NetworkName("a b".into()));
    assert_eq!(name.to_string(), "invalid characters found in network name; a b");
}
