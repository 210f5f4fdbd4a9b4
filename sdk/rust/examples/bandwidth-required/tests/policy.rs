//! What the policy says at the end of a chain.

#![allow(clippy::unwrap_used, reason = "this is test code: a panic is how it says that something is wrong")]

use bandwidth_required::BandwidthRequired;
use wharf_sdk::policy::{Call, Change, LinkName, Policy, Side};
use wharf_sdk::tc::Rate;
use wharf_sdk::{Attachment, NetworkResult};

#[test]
fn a_limit_that_is_taken_away_is_none() {
    let attachment = Attachment { network: "pods".into(), container: "c1".into(), ifname: "eth0".into() };
    let call = Call { chain: true, ..Call::new(attachment) };
    let link = || LinkName { side: Side::Host, name: "veth0".into() };
    let set = Change::ShapingSetEgress {
        link: link(),
        rate: Rate { bits_per_second: 8_000_000, burst_bits: 800_000, latency_ms: 25 },
    };
    let clear = Change::ShapingClear { link: link() };
    for (changes, limited) in
        [(&[][..], false), (&[&set], true), (&[&set, &clear], false), (&[&clear, &set], true)]
    {
        let mut policy = BandwidthRequired::default();
        for change in changes {
            policy.review(&call, "bandwidth", change).unwrap();
        }
        assert_eq!(policy.review_result(&call, &NetworkResult::default()).is_ok(), limited, "{changes:?}");
    }
}
