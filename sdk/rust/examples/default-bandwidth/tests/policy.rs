//! Who gets a limit, and who keeps one.

#![allow(clippy::unwrap_used, reason = "this is test code: a panic is how it says that something is wrong")]

use default_bandwidth::DefaultBandwidth;
use serde_json::json;
use wharf_sdk::policy::{Admission, Call};
use wharf_sdk::{Attachment, Config};

#[test]
fn a_limit_that_is_there_stays() {
    let attachment = Attachment { network: "pods".into(), container: "c1".into(), ifname: "eth0".into() };
    let call =
        Call::new(attachment).with_label("tier", "free").with_settings(r#"{"tiers": {"free": 100000000}}"#);
    let admit =
        |config: &str| DefaultBandwidth::admit(&call, "bandwidth", &Config::new(config)).unwrap().is_some();
    for none in [
        r#"{"type": "bandwidth"}"#,
        r#"{"ingressRate": 0, "egressRate": null}"#,
        r#"{"runtimeConfig": {"bandwidth": {}}}"#,
        r#"{"runtimeConfig": {"bandwidth": null}}"#,
        r#"{"runtimeConfig": {"bandwidth": {"ingressRate": 0}}}"#,
    ] {
        assert!(admit(none), "{none}");
    }
    for limited in [
        r#"{"ingressRate": 1000000, "ingressBurst": 1000000}"#,
        r#"{"egressRate": 1000000, "egressBurst": 1000000, "runtimeConfig": {"bandwidth": {}}}"#,
        r#"{"runtimeConfig": {"bandwidth": {"egressRate": 1000000, "egressBurst": 1000000}}}"#,
        r#"{"runtimeConfig": {"bandwidth": {"IngressRate": 1000000, "IngressBurst": 1000000}}}"#,
    ] {
        assert!(!admit(limited), "{limited}");
    }
    let patch = DefaultBandwidth::admit(&call, "bandwidth", &Config::new("{}")).unwrap().unwrap();
    assert_eq!(patch["ingressRate"], json!(100_000_000));
    assert_eq!(DefaultBandwidth::admit(&call, "bridge", &Config::new("{}")).unwrap(), None);
}
