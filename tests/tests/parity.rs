//! The reference plugins and ours with the same configurations: the cases of `tests/parity/cases`, a test for each file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use wharf_tests::parity::{self, Difference, File, Mode};
use wharf_tests::{node, skip};

/// Plays one file.
fn play(file: &str) {
    let mode = Mode::from_env();
    let played = match parity::play_file(&parity::folder().join("cases").join(file), mode) {
        Ok(played) => played,
        Err(reason) => skip!("{reason}"),
    };
    let (took, name) = &played.longest;
    let sides = match mode {
        Mode::Parity => "the reference with Wharf",
        Mode::Reference => "the reference with itself",
    };
    println!(
        "COMPARED: {sides}: {} cases of {file}, the longest {:.1} s: {name}",
        played.cases,
        took.as_secs_f64()
    );
    for reason in &played.skipped {
        println!("left out: {reason}");
    }
    let failures = &played.failures;
    assert!(failures.is_empty(), "{} of {file}:\n{}", failures.len(), failures.join("\n"));
}

/// Each file is a test, so that one can be run alone and the processors are shared.
macro_rules! files {
    ($($name:ident: $file:literal;)*) => {
        const FILES: &[&str] = &[$($file),*];
        $(#[test] fn $name() { play($file); })*
    };
}

files! {
    bandwidth_errors: "bandwidth/errors.json";
    bandwidth_limits: "bandwidth/limits.json";
    bridge_addresses: "bridge/addresses.json";
    bridge_antispoof: "bridge/antispoof.json";
    bridge_check: "bridge/check.json";
    bridge_del: "bridge/del.json";
    bridge_errors: "bridge/errors.json";
    bridge_existing: "bridge/existing.json";
    bridge_link: "bridge/link.json";
    bridge_masquerade: "bridge/masquerade.json";
    bridge_results: "bridge/results.json";
    bridge_8021q: "bridge/vlan.json";
    host_local_errors: "host-local/errors.json";
    host_local_ranges: "host-local/ranges.json";
    host_local_requests: "host-local/requests.json";
    host_local_store: "host-local/store.json";
    loopback: "loopback/loopback.json";
    portmap_errors: "portmap/errors.json";
    portmap_nat: "portmap/nat.json";
    portmap_options: "portmap/options.json";
    protocol: "protocol/protocol.json";
}

/// The options of each plugin, as the reference has them: members of the configuration, or of an object in it.
const OPTIONS: [(&str, &[&str]); 4] = [
    (
        "bridge",
        &[
            "bridge",
            "isGateway",
            "isDefaultGateway",
            "forceAddress",
            "ipMasq",
            "ipMasqBackend",
            "mtu",
            "hairpinMode",
            "promiscMode",
            "vlan",
            "vlanTrunk",
            "vlanTrunk.id",
            "vlanTrunk.minID",
            "vlanTrunk.maxID",
            "preserveDefaultVlan",
            "macspoofchk",
            "enabledad",
            "disableContainerInterface",
            "portIsolation",
            "args.cni.mac",
            "runtimeConfig.mac",
            "CNI_ARGS.MAC",
            "CNI_ARGS.IgnoreUnknown",
            "ipam",
            "dns",
            "dns.nameservers",
            "dns.domain",
            "dns.search",
            "dns.options",
        ],
    ),
    (
        "host-local",
        &[
            "ipam.ranges",
            "ipam.ranges.subnet",
            "ipam.ranges.rangeStart",
            "ipam.ranges.rangeEnd",
            "ipam.ranges.gateway",
            "ipam.subnet",
            "ipam.rangeStart",
            "ipam.rangeEnd",
            "ipam.gateway",
            "ipam.routes",
            "ipam.routes.dst",
            "ipam.routes.gw",
            "ipam.routes.mtu",
            "ipam.routes.advmss",
            "ipam.routes.priority",
            "ipam.routes.table",
            "ipam.routes.scope",
            "ipam.resolvConf",
            "ipam.dataDir",
            "runtimeConfig.ipRanges",
            "runtimeConfig.ips",
            "args.cni.ips",
            "CNI_ARGS.IP",
        ],
    ),
    (
        "portmap",
        &[
            "backend",
            "snat",
            "masqAll",
            "markMasqBit",
            "externalSetMarkChain",
            "conditionsV4",
            "conditionsV6",
            "runtimeConfig.portMappings",
            "runtimeConfig.portMappings.hostPort",
            "runtimeConfig.portMappings.containerPort",
            "runtimeConfig.portMappings.protocol",
            "runtimeConfig.portMappings.hostIP",
        ],
    ),
    (
        "bandwidth",
        &[
            "ingressRate",
            "ingressBurst",
            "egressRate",
            "egressBurst",
            "runtimeConfig.bandwidth",
            "runtimeConfig.bandwidth.ingressRate",
            "runtimeConfig.bandwidth.ingressBurst",
            "runtimeConfig.bandwidth.egressRate",
            "runtimeConfig.bandwidth.egressBurst",
        ],
    ),
];

fn files() -> Vec<File> {
    FILES.iter().map(|file| File::read(&parity::folder().join("cases").join(file))).collect()
}

#[test]
fn every_file_is_a_test() {
    let listed: BTreeSet<PathBuf> = FILES.iter().map(PathBuf::from).collect();
    let there: BTreeSet<PathBuf> = node::files(&parity::folder().join("cases")).into_iter().collect();
    assert_eq!(listed, there);
}

#[test]
fn every_option_is_covered() {
    let files = files();
    let mut used: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for case in files.iter().flat_map(|file| &file.cases) {
        for (plugin, path) in case.options() {
            used.entry(plugin).or_default().insert(path);
        }
    }
    let covers = |plugin: &str, option: &str| used.get(plugin).is_some_and(|used| used.contains(option));
    let all = OPTIONS.iter().flat_map(|(plugin, options)| options.iter().map(move |option| (plugin, option)));
    let missing: Vec<_> = all.filter(|(plugin, option)| !covers(plugin, option)).collect();
    assert!(missing.is_empty(), "no case has these: {missing:?}");
}

#[test]
fn every_case_has_a_name_of_its_own_and_says_why_the_sides_differ() {
    let files = files();
    let mut names = BTreeSet::new();
    for file in &files {
        let words = |difference: &Difference| difference.why.split_whitespace().count();
        let of_cases = file.cases.iter().flat_map(|case| &case.differs);
        for difference in of_cases.chain(&file.differs) {
            assert!(words(difference) >= 5, "{}: {:?}", file.about, difference.at);
        }
        for case in &file.cases {
            assert!(names.insert((&file.about, &case.name)), "{}: {}", file.about, case.name);
        }
    }
    let distinct: BTreeSet<_> =
        names.iter().map(|(about, name)| (about, name.split(" [").next().unwrap_or_default())).collect();
    println!("{} cases, {} with their variants, in {} files", distinct.len(), names.len(), files.len());
    assert!(distinct.len() >= 150, "{} cases", distinct.len());
}

#[test]
fn every_common_difference_is_shown_by_a_case() {
    let files = files();
    let cases = || files.iter().flat_map(|file| &file.cases);
    for difference in parity::common() {
        let name = difference.name.expect("a common difference has a name");
        assert!(cases().any(|case| case.shows.contains(&name)), "no case shows {name:?}");
    }
}
