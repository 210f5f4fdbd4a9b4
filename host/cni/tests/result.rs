//! Results: the exact text of every version, every conversion between two versions, and what is refused.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "helpers of tests")]

use serde_json::{Value, json};
use wharf_cni::result::{parse_address, parse_cidr};
use wharf_cni::version::SUPPORTED;
use wharf_cni::{CniError, Dns, Interface, IpConfig, NetworkResult, Route, Version};

fn ip(address: &str, gateway: Option<&str>, interface: Option<u32>) -> IpConfig {
    let gateway = gateway.map(|g| g.parse().unwrap());
    IpConfig { address: address.parse().unwrap(), gateway, interface }
}

fn route(dst: &str, gw: Option<&str>) -> Route {
    Route::new(dst.parse().unwrap(), gw.map(|g| g.parse().unwrap()))
}

/// A result with everything that can be said.
fn full() -> NetworkResult {
    let host =
        Interface { name: "cni0".into(), mac: Some("02:00:00:00:00:01".into()), ..Interface::default() };
    let container = Interface {
        name: "eth0".into(),
        mac: Some("02:00:00:00:00:02".into()),
        mtu: Some(1400),
        sandbox: Some("/run/netns/a".into()),
        socket_path: Some("/run/s".into()),
        pci_id: Some("0000:00:01.0".into()),
    };
    let table = Route {
        mtu: Some(1300),
        advmss: Some(1200),
        priority: Some(5),
        table: Some(0),
        scope: Some(253),
        ..route("10.9.0.0/16", Some("10.1.0.1"))
    };
    NetworkResult {
        interfaces: vec![host, container],
        ips: vec![
            ip("10.1.0.5/24", Some("10.1.0.1"), Some(1)),
            ip("fd00::5/64", Some("fd00::1"), Some(1)),
            ip("10.2.0.5/32", None, None),
        ],
        routes: vec![
            route("::/0", None),
            route("0.0.0.0/0", None),
            table,
            route("fd01::/48", Some("fd00::9")),
        ],
        dns: Dns {
            nameservers: vec!["10.1.0.1".into(), "fd00::1".into()],
            domain: Some("local".into()),
            search: vec!["a.local".into()],
            options: vec!["ndots:5".into()],
        },
    }
}

fn samples() -> Vec<(&'static str, NetworkResult)> {
    let only = |ips: Vec<IpConfig>, routes| NetworkResult { ips, routes, ..NetworkResult::default() };
    let v4 = ip("10.1.0.5/24", None, Some(0));
    let v6 = ip("fd00::5/64", None, None);
    vec![
        ("full", full()),
        ("v4 with routes of both families", only(vec![v4.clone()], full().routes)),
        ("v6 with routes of both families", only(vec![v6.clone()], full().routes)),
        ("v6 before v4", only(vec![v6, v4], vec![])),
        ("no addresses", NetworkResult { ips: vec![], ..full() }),
        ("empty", NetworkResult::default()),
    ]
}

/// What is left of a result that passed through a version.
fn through(result: &NetworkResult, version: Version) -> NetworkResult {
    let mut out = result.clone();
    if version < Version::V1_0_0 {
        for interface in &mut out.interfaces {
            *interface = Interface { mtu: None, socket_path: None, pci_id: None, ..interface.clone() };
        }
    }
    if version <= Version::V0_2_0 {
        out.interfaces.clear();
        let mut ips = Vec::new();
        let mut routes = Vec::new();
        for v4 in [true, false] {
            let Some(first) = result.ips.iter().find(|ip| ip.address.is_ipv4() == v4) else { continue };
            ips.push(IpConfig { interface: None, ..first.clone() });
            let family = result.routes.iter().filter(|r| r.dst.is_ipv4() == v4);
            routes.extend(family.map(|r| Route::new(r.dst, r.gw)));
        }
        (out.ips, out.routes) = (ips, routes);
    }
    out
}

#[test]
fn every_version_to_every_version() {
    for (name, sample) in samples() {
        for from in SUPPORTED {
            let Ok(rendered) = sample.render(from) else {
                assert!(sample.ips.is_empty() && from <= Version::V0_2_0, "{name} {from}");
                continue;
            };
            // The version in the value counts, not the one assumed.
            let read = NetworkResult::parse(&rendered, Version::V0_1_0).unwrap();
            assert_eq!(read, through(&sample, from), "{name} through {from}");
            for to in SUPPORTED {
                let Ok(text) = read.to_json_string(to) else {
                    assert!(sample.ips.is_empty() && to <= Version::V0_2_0, "{name} {from} to {to}");
                    continue;
                };
                let back = NetworkResult::from_slice(text.as_bytes(), Version::V0_1_0).unwrap();
                assert_eq!(back, through(&read, to), "{name} {from} to {to}");
                assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), read.render(to).unwrap());
            }
        }
    }
}

#[test]
fn assumed_version_serves_when_none_is_named() {
    for version in SUPPORTED {
        let sample = full();
        let mut value = sample.render(version).unwrap();
        assert_eq!(value["cniVersion"], version.as_str());
        for unnamed in [None, Some(Value::Null), Some(json!(""))] {
            match unnamed {
                None => value.as_object_mut().unwrap().remove("cniVersion"),
                Some(v) => value.as_object_mut().unwrap().insert("cniVersion".into(), v),
            };
            assert_eq!(NetworkResult::parse(&value, version), Ok(through(&sample, version)), "{version}");
        }
    }
}

#[test]
fn text_of_1_1_0_has_sorted_keys() {
    let result = NetworkResult { ips: vec![ip("10.1.0.5/24", Some("10.1.0.1"), Some(1))], ..full() };
    let expected = r#"{
    "cniVersion": "1.1.0",
    "dns": {
        "domain": "local",
        "nameservers": [
            "10.1.0.1",
            "fd00::1"
        ],
        "options": [
            "ndots:5"
        ],
        "search": [
            "a.local"
        ]
    },
    "interfaces": [
        {
            "mac": "02:00:00:00:00:01",
            "name": "cni0"
        },
        {
            "mac": "02:00:00:00:00:02",
            "mtu": 1400,
            "name": "eth0",
            "pciID": "0000:00:01.0",
            "sandbox": "/run/netns/a",
            "socketPath": "/run/s"
        }
    ],
    "ips": [
        {
            "address": "10.1.0.5/24",
            "gateway": "10.1.0.1",
            "interface": 1
        }
    ],
    "routes": [
        {
            "dst": "::/0"
        },
        {
            "dst": "0.0.0.0/0"
        },
        {
            "advmss": 1200,
            "dst": "10.9.0.0/16",
            "gw": "10.1.0.1",
            "mtu": 1300,
            "priority": 5,
            "scope": 253,
            "table": 0
        },
        {
            "dst": "fd01::/48",
            "gw": "fd00::9"
        }
    ]
}"#;
    assert_eq!(result.to_json_string(Version::V1_1_0).unwrap(), expected);
    let old = expected.replace("1.1.0", "1.0.0");
    assert_eq!(result.to_json_string(Version::V1_0_0).unwrap(), old, "1.0.0 keeps what 1.1.0 has");
}

#[test]
fn text_of_0_4_0_has_the_reference_order() {
    let mut result = full();
    result.interfaces.remove(0);
    result.ips.truncate(2);
    result.routes.drain(..2);
    result.dns = Dns::default();
    let expected = r#"{
    "cniVersion": "0.4.0",
    "interfaces": [
        {
            "name": "eth0",
            "mac": "02:00:00:00:00:02",
            "sandbox": "/run/netns/a"
        }
    ],
    "ips": [
        {
            "version": "4",
            "interface": 1,
            "address": "10.1.0.5/24",
            "gateway": "10.1.0.1"
        },
        {
            "version": "6",
            "interface": 1,
            "address": "fd00::5/64",
            "gateway": "fd00::1"
        }
    ],
    "routes": [
        {
            "dst": "10.9.0.0/16",
            "gw": "10.1.0.1",
            "mtu": 1300,
            "advmss": 1200,
            "priority": 5,
            "table": 0,
            "scope": 253
        },
        {
            "dst": "fd01::/48",
            "gw": "fd00::9"
        }
    ],
    "dns": {}
}"#;
    for version in [Version::V0_3_0, Version::V0_3_1, Version::V0_4_0] {
        let expected = expected.replace("0.4.0", version.as_str());
        assert_eq!(result.to_json_string(version).unwrap(), expected);
    }
}

#[test]
fn text_of_0_2_0_has_one_address_per_family() {
    let expected = r#"{
    "cniVersion": "0.2.0",
    "ip4": {
        "ip": "10.1.0.5/24",
        "gateway": "10.1.0.1",
        "routes": [
            {
                "dst": "0.0.0.0/0"
            },
            {
                "dst": "10.9.0.0/16",
                "gw": "10.1.0.1"
            }
        ]
    },
    "ip6": {
        "ip": "fd00::5/64",
        "gateway": "fd00::1",
        "routes": [
            {
                "dst": "::/0"
            },
            {
                "dst": "fd01::/48",
                "gw": "fd00::9"
            }
        ]
    },
    "dns": {}
}"#;
    let result = NetworkResult { dns: Dns::default(), ..full() };
    for version in [Version::V0_1_0, Version::V0_2_0] {
        let expected = expected.replace("0.2.0", version.as_str());
        assert_eq!(result.to_json_string(version).unwrap(), expected);
    }
}

#[test]
fn empty_results() {
    for version in SUPPORTED {
        let got = NetworkResult::default().render(version).map_err(CniError::from);
        let renderable = NetworkResult::default().renderable(version);
        if version <= Version::V0_2_0 {
            assert_eq!(got.unwrap_err().msg, "cannot convert: no valid IP addresses");
            assert!(renderable.is_err() && NetworkResult::default().to_json_string(version).is_err());
        } else if version < Version::V1_0_0 {
            assert_eq!(got, Ok(json!({"cniVersion": version.as_str(), "dns": {}})));
        } else {
            assert_eq!(got, Ok(json!({"cniVersion": version.as_str()})));
        }
        for empty in
            [json!(null), json!({}), json!({"ips": null, "interfaces": [], "ip4": null, "dns": null})]
        {
            assert_eq!(NetworkResult::parse(&empty, version), Ok(NetworkResult::default()), "{empty}");
        }
    }
}

#[test]
fn what_counts_as_absent() {
    let value = json!({
        "interfaces": [{"name": "a", "mac": "", "mtu": 0, "sandbox": "", "socketPath": null, "other": [1]}],
        "ips": [{"address": "10.0.0.1/8", "gateway": "", "interface": -1, "version": "4"}],
        "routes": [{"dst": "0.0.0.0/0", "gw": "", "mtu": 0, "advmss": 0, "priority": 0, "scope": 0}],
        "dns": {"domain": "", "nameservers": null},
        "somebody": {"else": "s"},
    });
    let read = NetworkResult::parse(&value, Version::V1_1_0).unwrap();
    let interface = Interface { name: "a".into(), ..Interface::default() };
    assert_eq!(read.interfaces, [interface]);
    assert_eq!(read.ips, [ip("10.0.0.1/8", None, None)]);
    assert_eq!(read.routes, [Route { scope: Some(0), ..route("0.0.0.0/0", None) }]);
    assert!(read.dns.is_empty());
    // Members that a version does not know are skipped like any other unknown ones.
    let old = json!({"interfaces": [{"name": "a", "mtu": 9, "socketPath": "/s", "pciID": []}]});
    for version in [Version::V0_3_0, Version::V0_3_1, Version::V0_4_0] {
        assert_eq!(NetworkResult::parse(&old, version).unwrap().interfaces, read.interfaces);
    }
    // The same when our own code says it so.
    let zero = Interface { mtu: Some(0), mac: Some(String::new()), ..read.interfaces[0].clone() };
    let built = NetworkResult { interfaces: vec![zero], ..read.clone() };
    assert_eq!(built.render(Version::V1_1_0), read.render(Version::V1_1_0));
}

#[test]
fn faults_say_where() {
    let rows = [
        ("1.1.0", "5", "expected an object, found 5"),
        ("1.1.0", r#"{"ips": {}}"#, "ips: expected an array, found an object"),
        ("1.1.0", r#"{"ips": [7]}"#, "ips[0]: expected an object"),
        ("1.1.0", r#"{"ips": [{"address": "10.0.0.1/8"}, {}]}"#, "ips[1].address: expected an address"),
        ("1.1.0", r#"{"ips": [{"address": "10.0.0.1"}]}"#, "ips[0].address"),
        ("0.4.0", r#"{"ips": [{"address": "10.0.0.1/33"}]}"#, "found \"10.0.0.1/33\""),
        (
            "0.4.0",
            r#"{"ips": [{"address": "10.0.0.1/8", "gateway": "x"}]}"#,
            "ips[0].gateway: expected an IP",
        ),
        ("0.4.0", r#"{"ips": [{"address": "10.0.0.1/8", "interface": "0"}]}"#, "ips[0].interface"),
        ("1.0.0", r#"{"ips": [{"address": "10.0.0.1/8", "interface": 4294967296}]}"#, "found 4294967296"),
        ("1.1.0", r#"{"interfaces": [{"name": 1}]}"#, "interfaces[0].name: expected a string"),
        ("1.1.0", r#"{"interfaces": [{"name": "a", "mtu": -1}]}"#, "interfaces[0].mtu"),
        ("1.1.0", r#"{"routes": [{"gw": "10.0.0.1"}]}"#, "routes[0].dst"),
        ("1.1.0", r#"{"routes": [{"dst": "::/0", "table": 1.5}]}"#, "routes[0].table"),
        ("1.1.0", r#"{"dns": {"search": ["a", 2]}}"#, "dns.search[1]: expected a string"),
        ("1.1.0", r#"{"dns": []}"#, "dns: expected an object"),
        ("0.2.0", r#"{"ip4": {}}"#, "ip4.ip"),
        ("0.2.0", r#"{"ip4": {"ip": "fd00::1/64"}}"#, "ip4.ip: fd00::1/64 is of the other"),
        ("0.2.0", r#"{"ip6": {"ip": "10.0.0.1/8"}}"#, "ip6.ip: 10.0.0.1/8 is of the other"),
        ("0.1.0", r#"{"ip6": {"ip": "fd00::1/64", "routes": [{}]}}"#, "ip6.routes[0].dst"),
        ("1.1.0", r#"{"cniVersion": 1}"#, "cniVersion: expected a string"),
        ("1.1.0", r#"{"cniVersion": "2.0.0"}"#, "incompatible CNI versions"),
        ("1.1.0", r#"{"ips": ["#, "cannot decode result"),
        ("1.1.0", "", "cannot decode result"),
    ];
    for (version, text, part) in rows {
        let version = Version::parse(version).unwrap();
        let error = NetworkResult::from_slice(text.as_bytes(), version).unwrap_err();
        assert!(error.to_string().contains(part), "{text}: {error}");
        assert!(matches!(error.code(), 1 | 6 | 7), "{text}: {}", error.code());
    }
    let long = format!(r#"{{"ips": [{{"address": "{}"}}]}}"#, "1".repeat(10 << 20));
    let error = NetworkResult::from_slice(long.as_bytes(), Version::V1_1_0).unwrap_err();
    assert!(error.to_string().len() < 300, "{} bytes", error.to_string().len());
}

#[test]
fn addresses() {
    let cidrs = [
        ("10.0.0.1/8", Some("10.0.0.1/8")),
        ("10.0.0.1/0", Some("10.0.0.1/0")),
        ("FD00:0:0:0::A/64", Some("fd00::a/64")),
        ("::/0", Some("::/0")),
        ("::ffff:10.0.0.1/120", Some("10.0.0.1/24")),
        ("::ffff:10.0.0.1/95", None),
        ("10.0.0.1", None),
        ("10.0.0.1/", None),
        ("10.0.0.1/33", None),
        ("10.0.0.1/+8", None),
        ("10.0.0.1/255.0.0.0", None),
        ("010.0.0.1/8", None),
        ("10.0.0/8", None),
        ("fe80::1%eth0/64", None),
        ("fd00::1/129", None),
        (" 10.0.0.1/8", None),
        ("", None),
        ("/", None),
    ];
    for (text, expected) in cidrs {
        assert_eq!(parse_cidr(text).map(|n| n.to_string()).as_deref(), expected, "{text}");
    }
    let addresses = [
        ("10.0.0.1", Some("10.0.0.1")),
        ("::FFFF:10.0.0.1", Some("10.0.0.1")),
        ("fd00:0::1", Some("fd00::1")),
        ("fe80::1%1", None),
        ("10.0.0.1/8", None),
        ("", None),
    ];
    for (text, expected) in addresses {
        assert_eq!(parse_address(text).map(|a| a.to_string()).as_deref(), expected, "{text}");
    }
    // A mapped address that never was text prints as IPv4 all the same.
    let mapped =
        NetworkResult { ips: vec![ip("::ffff:10.0.0.1/120", None, None)], ..NetworkResult::default() };
    assert_eq!(mapped.render(Version::V1_1_0).unwrap()["ips"][0]["address"], "10.0.0.1/24");
    assert_eq!(mapped.render(Version::V0_4_0).unwrap()["ips"][0]["version"], "4");
    assert_eq!(mapped.render(Version::V0_2_0).unwrap()["ip4"]["ip"], "10.0.0.1/24");
}
