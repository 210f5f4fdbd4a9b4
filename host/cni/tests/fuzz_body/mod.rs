//! The body of the fuzz target `cni_request`, shared with `tests/fuzz_smoke.rs`: everything a runtime can hand
//! to the host, parsed, printed and parsed again.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "helpers of tests")]

use wharf_cni::conflist::RequestArgs;
use wharf_cni::version::{self, SUPPORTED};
use wharf_cni::{CniError, Env, Error, NetConf, NetworkList, NetworkResult, Version, args};

/// Runs one input: lines `CNI_*=value` up to an empty line, then a document. The document is tried as
/// configuration, list, result and whatever else arrives as JSON.
pub(crate) fn run(data: &[u8]) {
    let split = data.windows(2).position(|pair| pair == b"\n\n");
    let (vars, document) = split.map_or((&b""[..], data), |at| (&data[..at], &data[at + 2..]));
    environment(&String::from_utf8_lossy(vars));
    match NetConf::parse_for_del(document) {
        Ok((conf, fault)) => {
            fault.into_iter().for_each(check_error);
            config(&conf);
        }
        Err(error) => check_error(error),
    }
    for list in [NetworkList::parse(document), NetworkList::from_plugin(document)] {
        list.map_or_else(check_error, |list| conflist(&list));
    }
    for assumed in [Version::V0_2_0, Version::V0_4_0, Version::V1_1_0] {
        NetworkResult::from_slice(document, assumed).map_or_else(check_error, |got| result(&got));
    }
    version::parse_reply(document).map_or_else(check_error, drop);
    let reply = version::reply(version::requested(document));
    assert_eq!(version::parse_reply(reply.as_bytes()).unwrap().len(), SUPPORTED.len());
    bounded(&CniError::from_delegate(b"", document, "exit status: 1"));
}

fn environment(vars: &str) {
    let get = |key: &str| {
        vars.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).map(str::to_owned)
    };
    match Env::parse(get) {
        Ok(env) if env.command.is_attachment() => {
            assert!(!env.container_id.is_empty() && !env.container_id.contains('/'));
            assert!((1..=15).contains(&env.ifname.len()) && !env.ifname.contains('/'));
            assert!(env.path.iter().all(|dir| !dir.is_empty()));
        }
        Ok(env) => assert_eq!((env.container_id.as_str(), env.ifname.as_str()), ("", "")),
        Err(error) => check_error(error),
    }
    match args::parse_args(vars) {
        Ok(pairs) => {
            let text: Vec<String> = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
            assert_eq!(args::parse_args(&text.join(";")), Ok(pairs.clone()));
            args::refuse_unknown(&pairs, &["IP"]).map_or_else(check_error, drop);
        }
        Err(error) => check_error(error),
    }
}

fn config(conf: &NetConf) {
    for previous in [None, conf.previous.as_ref()] {
        let (sent, _) = NetConf::parse_for_del(&conf.delegate_stdin(previous)).unwrap();
        assert_eq!(
            (&sent.name, &sent.plugin_type, sent.cni_version),
            (&conf.name, &conf.plugin_type, conf.cni_version)
        );
        assert_eq!(sent.valid_attachments, conf.valid_attachments);
        if conf.cni_version >= Version::V1_0_0 {
            assert_eq!(sent.previous.as_ref(), previous);
        }
        assert_eq!(sent.previous.is_some(), previous.is_some());
    }
    let (guest, _) = NetConf::parse_for_del(conf.guest_config().as_bytes()).unwrap();
    assert_eq!(guest.previous, None);
    if let Some(previous) = &conf.previous {
        result(previous);
    }
    match conf.chain() {
        Ok(Some(chain)) => {
            assert!(!chain.is_empty());
            for inner in &chain {
                assert_eq!((&inner.name, inner.cni_version), (&conf.name, conf.cni_version));
                assert_ne!(inner.plugin_type, "");
                assert_eq!(inner.chain(), Ok(None));
            }
        }
        Ok(None) => {}
        Err(error) => check_error(error),
    }
}

fn conflist(list: &NetworkList) {
    let previous = NetworkResult::default();
    let request_args = RequestArgs { previous: Some(&previous), ..RequestArgs::default() };
    for (index, plugin) in list.plugins.iter().enumerate().take(8) {
        let request = list.request(index, request_args).unwrap().unwrap();
        match NetConf::parse(&request) {
            Ok(conf) => {
                assert_eq!((&conf.name, &conf.plugin_type), (&list.name, &plugin.plugin_type));
                assert_eq!((conf.cni_version, conf.previous.as_ref()), (list.cni_version, Some(&previous)));
            }
            // A file may hold members that no plugin could read; the runtime passes them on.
            Err(error) => {
                let read = ["args", "delegate", "dns", "ipam", "runtimeConfig"];
                let passed_on = |key: &str| key.starts_with("cni.dev/") || read.contains(&key);
                assert!(plugin.raw.keys().any(|key| passed_on(key)), "{error}");
                check_error(error);
            }
        }
    }
}

/// Printing in a version and reading back changes nothing more than doing it once.
fn result(first: &NetworkResult) {
    for version in SUPPORTED {
        let text = match first.to_json_string(version) {
            Ok(text) => text,
            Err(error) => {
                assert!(version <= Version::V0_2_0 && first.ips.is_empty());
                check_error(error);
                continue;
            }
        };
        let second = NetworkResult::from_slice(text.as_bytes(), Version::V0_1_0).unwrap();
        assert_eq!(second.to_json_string(version).unwrap(), text);
        if version >= Version::V1_0_0 {
            assert_eq!(&second, first);
        } else if version >= Version::V0_3_0 {
            assert_eq!((&second.ips, &second.routes, &second.dns), (&first.ips, &first.routes, &first.dns));
            assert_eq!(second.interfaces.len(), first.interfaces.len());
        } else {
            assert!((1..=2).contains(&second.ips.len()) && second.interfaces.is_empty());
        }
    }
}

fn check_error(error: Error) {
    bounded(&CniError::from(error));
}

/// No message repeats its input at length, and each can be printed and read.
fn bounded(error: &CniError) {
    let size = error.to_string().len();
    assert!(size < 16_384, "a message of {size} bytes");
    let text = error.render(Version::CURRENT);
    assert_eq!(&serde_json::from_str::<CniError>(&text).unwrap(), error);
}
