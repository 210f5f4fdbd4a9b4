//! What the policy says of changes.

use wharf_sdk::Attachment;
use wharf_sdk::policy::{Call, Change, LinkName, Policy, Side, Verdict};
use {{crate}}::{{type}};

/// What it says of an address for `eth0`.
fn review(address: &str) -> Verdict {
    let attachment = Attachment { network: "pods".into(), container: "c1".into(), ifname: "eth0".into() };
    let call = Call::new(attachment).with_settings(r#"{"networks": ["10.22.0.0/16"]}"#);
    let link = LinkName { side: Side::Container, name: "eth0".into() };
    let change = Change::AddressesAdd { link, address: address.parse().unwrap() };
    {{type}}.review(&call, "bridge", &change)
}

#[test]
fn an_address_inside_is_allowed() {
    review("10.22.0.2/16").unwrap();
}

#[test]
fn an_address_outside_is_denied_by_name() {
    let denial = review("192.0.2.7/24").unwrap_err();
    assert_eq!(denial.reason(), "192.0.2.7 is in none of the pods' networks");
}
