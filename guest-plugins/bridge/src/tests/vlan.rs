//! VLANs as ranges of a port.

use wharf_sdk::net::VlanRange;

use super::parse;
use crate::vlan::covers;

/// Ranges as `first-last`, with a star for the untagged one.
fn ranges(config: &str) -> String {
    let text = |range: &VlanRange| {
        assert_eq!(range.pvid, range.untagged);
        format!("{}-{}{}", range.first, range.last, if range.pvid { "*" } else { "" })
    };
    parse(config).unwrap().vlans.port().iter().map(text).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_port_gets_sorted_ranges_and_one_untagged_vlan() {
    let table = [
        ("{}", ""),
        (r#"{"vlan": 0, "vlanTrunk": []}"#, ""),
        (r#"{"vlan": 100}"#, "100-100*"),
        (r#"{"vlanTrunk": [{"id": 7}]}"#, "1-1* 7-7"),
        (r#"{"vlanTrunk": [{"id": 30}, {"minID": 10, "maxID": 12}, {"id": 13}]}"#, "1-1* 10-13 30-30"),
        (
            r#"{"vlanTrunk": [{"minID": 10, "maxID": 20}, {"minID": 15, "maxID": 25}, {"id": 12}]}"#,
            "1-1* 10-25",
        ),
        (r#"{"vlanTrunk": [{"minID": 10, "maxID": 11, "id": 5}]}"#, "1-1* 5-5 10-11"),
        (r#"{"vlan": 15, "vlanTrunk": [{"minID": 10, "maxID": 20}]}"#, "15-15* 10-14 16-20"),
        (r#"{"vlan": 10, "vlanTrunk": [{"minID": 10, "maxID": 20}]}"#, "10-10* 11-20"),
        (r#"{"vlan": 20, "vlanTrunk": [{"minID": 10, "maxID": 20}]}"#, "20-20* 10-19"),
        (r#"{"vlanTrunk": [{"minID": 1, "maxID": 4094}]}"#, "1-1* 2-4094"),
    ];
    for (config, expected) in table {
        assert_eq!(ranges(config), expected, "{config}");
    }
}

#[test]
fn the_hosts_link_is_in_the_native_vlan() {
    let vlans = parse(r#"{"vlan": 15, "vlanTrunk": [{"id": 3}]}"#).unwrap().vlans;
    assert_eq!(vlans.access(), [VlanRange::native(15)]);
}

#[test]
fn coverage_does_not_depend_on_how_ranges_are_cut() {
    let range = |first, last| VlanRange { first, last, pvid: false, untagged: false };
    let wanted = [VlanRange::native(7), range(10, 20)];
    assert!(covers(&[range(10, 14), VlanRange::native(7), range(15, 30)], &wanted));
    assert!(!covers(&[range(10, 14), VlanRange::native(7), range(16, 30)], &wanted));
    assert!(!covers(&[range(7, 20)], &wanted));
    assert!(!covers(&[], &wanted));
    assert!(covers(&[], &[]));
}
