//! Tables of good and bad configurations.

use wharf_sdk::{Args, Attachment};

use super::*;

fn plan(ipam: &str, rest: &str) -> Result<Plan> {
    Plan::of_config(&Config::new(format!(r#"{{"cniVersion":"1.0.0","name":"lan","ipam":{ipam}{rest}}}"#)))
}

fn shown(plan: &Plan) -> Vec<String> {
    plan.sets.iter().map(ToString::to_string).collect()
}

#[test]
fn sets_come_from_the_runtime_then_the_flat_range_then_ranges() {
    let plan = plan(
        r#"{"type":"host-local","subnet":"10.1.0.0/24","rangeStart":"10.1.0.10","gateway":"10.1.0.254",
            "ranges":[[{"subnet":"10.2.0.0/30"},{"subnet":"10.3.0.0/30","rangeEnd":"10.3.0.1"}],[{"subnet":"fd00::/64"}]],
            "routes":[{"dst":"0.0.0.0/0"},{"dst":"fd01::/16","gw":"fd00::1","mtu":1400}],
            "resolvConf":"/etc/resolv.conf","dataDir":"/run/leases","futureKey":{}}"#,
        r#","runtimeConfig":{"ipRanges":[[{"subnet":"10.9.0.0/16"}]]}"#,
    )
    .unwrap();
    assert_eq!(
        shown(&plan),
        [
            "10.9.0.1-10.9.255.254",
            "10.1.0.10-10.1.0.254",
            "10.2.0.1-10.2.0.2,10.3.0.1-10.3.0.1",
            "fd00::1-fd00::ffff:ffff:ffff:ffff"
        ]
    );
    assert_eq!(plan.sets[1].gateways(), ["10.1.0.254".parse::<IpAddr>().unwrap()]);
    assert_eq!(plan.routes.len(), 2);
    assert_eq!(plan.routes[1].mtu, Some(1400));
    assert_eq!(plan.resolv_conf.as_deref(), Some("/etc/resolv.conf"));
    assert_eq!(plan.data_dir.as_deref(), Some("/run/leases"));
}

#[test]
fn null_and_empty_values_count_as_absent() {
    let plan = plan(
        r#"{"ranges":[[{"subnet":"10.1.0.0/24","rangeStart":"","rangeEnd":null,"gateway":""}]],
            "subnet":"","routes":null,"resolvConf":"","dataDir":null}"#,
        r#","runtimeConfig":null,"args":{"cni":null}"#,
    )
    .unwrap();
    assert_eq!(shown(&plan), ["10.1.0.1-10.1.0.254"]);
    assert_eq!((plan.resolv_conf, plan.data_dir, plan.requested), (None, None, vec![]));
}

#[test]
fn requested_addresses_come_from_three_places_each_once() {
    let attachment = Attachment { network: "lan".into(), container: "c".into(), ifname: "eth0".into() };
    let config = r#"{"cniVersion":"1.0.0","ipam":{"subnet":"10.1.0.0/24"},
        "args":{"cni":{"ips":["10.1.0.6","fd00::6/64"]}},"runtimeConfig":{"ips":["10.1.0.7/24","10.1.0.6","10.1.0.5"]}}"#;
    let request = |args: &[(&str, &str)]| {
        Request::new(attachment.clone(), config).with_args(args.iter().copied().collect::<Args>())
    };
    let plan =
        Plan::of_request(&request(&[("IP", "10.1.0.5/24"), ("IgnoreUnknown", "1"), ("K8S", "x")])).unwrap();
    let wanted: Vec<IpAddr> =
        ["10.1.0.5", "10.1.0.6", "fd00::6", "10.1.0.7"].iter().map(|text| text.parse().unwrap()).collect();
    assert_eq!(plan.requested, wanted);

    for (args, named) in [
        (&[("IP", "10.1.0.300")][..], ["IP", "10.1.0.300"]),
        (&[("IP", "10.1.0.3/33")], ["IP", "10.1.0.3/33"]),
        (&[("FOO", "BAR")], ["CNI_ARGS", "FOO=BAR"]),
        (&[("IgnoreUnknown", "maybe"), ("IP", "10.1.0.3")], ["IgnoreUnknown", "maybe"]),
    ] {
        let error = Plan::of_request(&request(args)).unwrap_err();
        assert_eq!(error.code, code::INVALID_ENVIRONMENT, "{error}");
        assert!(named.iter().all(|text| error.msg.contains(text)), "{error}");
    }
}

#[test]
fn two_addresses_of_a_family_need_a_version_that_can_say_so() {
    let config = |version: &str, second: &str| {
        Config::new(format!(
            r#"{{{version}"ipam":{{"ranges":[[{{"subnet":"10.1.0.0/24"}}],[{{"subnet":"{second}"}}]]}}}}"#
        ))
    };
    for version in ["", r#""cniVersion":"0.1.0","#, r#""cniVersion":"0.2.0","#] {
        Plan::of_config(&config(version, "fd00::/64")).unwrap();
        let error = Plan::of_config(&config(version, "10.2.0.0/24")).unwrap_err();
        assert_eq!(error.code, code::INVALID_CONFIG);
        let text = "does not support more than 1 address per family";
        assert!(error.msg.contains("cniVersion") && error.msg.contains(text), "{error}");
    }
    Plan::of_config(&config(r#""cniVersion":"0.3.0","#, "10.2.0.0/24")).unwrap();
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
fn a_bad_configuration_is_named_by_key_and_value() {
    let ranges = |inner: &str| format!(r#"{{"ranges":[[{inner}]]}}"#);
    let rows: Vec<(String, &str, &str, &str)> = vec![
        ("null".into(), "", "ipam", "IPAM config missing 'ipam' key"),
        ("{}".into(), "", "ipam.ranges", "no IP ranges specified"),
        (r#"{"ranges":[[]]}"#.into(), "", "ipam.ranges[0]", "invalid range set 0: empty range set"),
        (r#"{"ranges":[{}]}"#.into(), "", "ipam.ranges[0]", "expected an array, found an empty object"),
        (r#"{"ranges":7}"#.into(), "", "ipam.ranges", "7"),
        (ranges("{}"), "", "ipam.ranges[0][0]", "subnet"),
        (ranges(r#"{"subnet":7}"#), "", "ipam.ranges[0][0].subnet", "7"),
        (ranges(r#"{"subnet":"10.1.0.0"}"#), "", "ipam.ranges[0][0].subnet", "\"10.1.0.0\""),
        (ranges(r#"{"subnet":"10.1.0.0/33"}"#), "", "ipam.ranges[0][0].subnet", "\"10.1.0.0/33\""),
        (ranges(r#"{"subnet":"10.1.0.0/+8"}"#), "", "ipam.ranges[0][0].subnet", "\"10.1.0.0/+8\""),
        (
            ranges(r#"{"subnet":"10.1.0.0/31"}"#),
            "",
            "ipam.ranges[0][0].subnet",
            "Network 10.1.0.0/31 too small",
        ),
        (
            ranges(r#"{"subnet":"10.1.0.0/32"}"#),
            "",
            "ipam.ranges[0][0].subnet",
            "Network 10.1.0.0/32 too small",
        ),
        (
            ranges(r#"{"subnet":"fd00::/127"}"#),
            "",
            "ipam.ranges[0][0].subnet",
            "Network fd00::/127 too small",
        ),
        (
            ranges(r#"{"subnet":"10.1.0.7/24"}"#),
            "",
            "ipam.ranges[0][0].subnet",
            "10.1.0.7/24: Network has host bits set. For a subnet mask of length 24 the network address is 10.1.0.0",
        ),
        (
            ranges(r#"{"subnet":"10.1.0.0/24","rangeStart":"10.2.0.1"}"#),
            "",
            "ipam.ranges[0][0].rangeStart",
            "RangeStart 10.2.0.1 not in network 10.1.0.0/24",
        ),
        (
            ranges(r#"{"subnet":"10.1.0.0/24","rangeEnd":"fd00::1"}"#),
            "",
            "ipam.ranges[0][0].rangeEnd",
            "RangeEnd fd00::1 not in network 10.1.0.0/24",
        ),
        (
            ranges(r#"{"subnet":"10.1.0.0/24","rangeStart":"10.1.0.9","rangeEnd":"10.1.0.8"}"#),
            "",
            "ipam.ranges[0][0].rangeStart",
            "RangeStart 10.1.0.9 not in network 10.1.0.0/24: RangeEnd is 10.1.0.8",
        ),
        (
            ranges(r#"{"subnet":"10.1.0.0/24","gateway":"10.2.0.1"}"#),
            "",
            "ipam.ranges[0][0].gateway",
            "Gateway 10.2.0.1 not in network 10.1.0.0/24",
        ),
        (
            ranges(r#"{"subnet":"10.1.0.0/24","rangeStart":"ten"}"#),
            "",
            "ipam.ranges[0][0].rangeStart",
            "\"ten\" is not an IP address",
        ),
        (
            ranges(r#"{"subnet":"10.1.0.0/24"},{"subnet":"fd00::/64"}"#),
            "",
            "ipam.ranges[0]",
            "invalid range set 0: mixed address families: 10.1.0.1-10.1.0.254 and fd00::1-",
        ),
        (
            ranges(r#"{"subnet":"10.1.0.0/24"},{"subnet":"10.1.0.0/25"}"#),
            "",
            "ipam.ranges[0]",
            "subnets 10.1.0.1-10.1.0.254 and 10.1.0.1-10.1.0.126 overlap",
        ),
        (
            r#"{"subnet":"10.1.0.0/24","ranges":[[{"subnet":"10.1.0.0/28"}]]}"#.into(),
            "",
            "ipam.ranges[0]",
            "range set 0 overlaps with 1: 10.1.0.1-10.1.0.14 and 10.1.0.1-10.1.0.254 of ipam.subnet",
        ),
        (r#"{"subnet":"10.1.0.0/31"}"#.into(), "", "ipam.subnet", "invalid range set 0: Network 10.1.0.0/31"),
        (r#"{"rangeStart":"10.1.0.4"}"#.into(), "", "ipam.rangeStart", "10.1.0.4 needs ipam.subnet"),
        (r#"{"gateway":"10.1.0.1"}"#.into(), "", "ipam.gateway", "10.1.0.1 needs ipam.subnet"),
        (
            r#"{"subnet":"10.1.0.0/24","routes":[{"dst":"0.0.0.0/0","gw":"fd00::1"}]}"#.into(),
            "",
            "ipam.routes[0].gw",
            "fd00::1",
        ),
        (r#"{"subnet":"10.1.0.0/24","routes":[{"dst":"all"}]}"#.into(), "", "ipam.routes[0].dst", "\"all\""),
        (
            r#"{"subnet":"10.1.0.0/24","routes":[{"dst":"0.0.0.0/0","mtu":-1}]}"#.into(),
            "",
            "ipam.routes[0].mtu",
            "-1",
        ),
        (r#"{"subnet":"10.1.0.0/24","dataDir":7}"#.into(), "", "ipam.dataDir", "7"),
        (r#"{"subnet":"10.1.0.0/24","dataDir":"../x"}"#.into(), "", "ipam.dataDir", "../x"),
        (r#"{"subnet":"10.1.0.0/24","dataDir":"/run/../x"}"#.into(), "", "ipam.dataDir", "/run/../x"),
        (
            r#"{"subnet":"10.1.0.0/24","resolvConf":"/etc/../x"}"#.into(),
            "",
            "ipam.resolvConf",
            "\"/etc/../x\" is not an absolute path",
        ),
        (r#"{"subnet":"10.1.0.0/24","resolvConf":"x"}"#.into(), "", "ipam.resolvConf", "\"x\""),
        (
            "{}".into(),
            r#","runtimeConfig":{"ipRanges":[[{"subnet":"10.1.0.0/30","gateway":"10.9.9.9"}]]}"#,
            "runtimeConfig.ipRanges[0][0].gateway",
            "10.9.9.9",
        ),
        (
            r#"{"subnet":"10.1.0.0/24"}"#.into(),
            r#","runtimeConfig":{"ips":["10.1.0.5","nope"]}"#,
            "runtimeConfig.ips[1]",
            "\"nope\"",
        ),
        (
            r#"{"subnet":"10.1.0.0/24"}"#.into(),
            r#","args":{"cni":{"ips":["10.1.0.5/64"]}}"#,
            "args.cni.ips[0]",
            "\"10.1.0.5/64\"",
        ),
    ];
    for (ipam, rest, key, value) in rows {
        let error = plan(&ipam, rest).unwrap_err();
        assert_eq!(error.code, code::INVALID_CONFIG, "{ipam}: {error}");
        let wanted = format!("invalid network config: {key}: ");
        assert!(error.msg.starts_with(&wanted), "{ipam}: {error}, not {wanted}");
        assert!(error.msg.contains(value), "{ipam}: {error}, not {value}");
    }
}

#[test]
fn the_lease_directory_is_found_in_a_bad_configuration() {
    for (config, directory) in [
        (r#"{"ipam":{"dataDir":"/run/l","ranges":"rubbish","gateway":7}}"#, Some("/run/l")),
        (r#"{"ipam":{"ranges":[[]]}}"#, None),
        (r#"{"ipam":{"dataDir":""}}"#, None),
        (r#"{"ipam":{"dataDir":7}}"#, None),
        (r#"{"ipam":null}"#, None),
        ("{}", None),
    ] {
        assert_eq!(data_dir(&Config::new(config)).as_deref(), directory, "{config}");
    }
}
