//! A token bucket as the options of a tbf.

use crate::common::Bucket;
use crate::netlink::{Attributes, Builder};

/// TCA_TBF_PARMS: struct tc_tbf_qopt.
const PARMS: u16 = 1;
/// TCA_TBF_RATE64, for what does not fit into the former.
const RATE64: u16 = 4;
/// TC_LINKLAYER_ETHERNET.
const ETHERNET: u8 = 1;

impl Bucket {
    /// The options of a tbf.
    pub(crate) fn encode(&self, options: &mut Builder) {
        let rate = u32::try_from(self.rate).unwrap_or(u32::MAX);
        // struct tc_tbf_qopt: two struct tc_ratespec of 12 bytes, the latter of them unused; limit, buffer, mtu.
        let mut parms = Vec::with_capacity(36);
        parms.extend([0, ETHERNET, 0, 0, 0, 0, 0, 0]);
        parms.extend(rate.to_ne_bytes());
        parms.extend([0; 12]);
        for field in [self.limit, self.buffer, 0] {
            parms.extend(field.to_ne_bytes());
        }
        options.attribute(PARMS, &parms);
        if self.rate > u64::from(u32::MAX) {
            options.u64(RATE64, self.rate);
        }
    }

    /// From the options of a tbf.
    pub(crate) fn decode(options: Attributes<'_>) -> Option<Self> {
        let parms = options.find(PARMS)?.value;
        let field = |at: usize| parms.get(at..)?.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes));
        let rate = options.find(RATE64).and_then(|rate| rate.u64()).or(field(8).map(u64::from))?;
        (rate != 0).then_some(Self { rate, limit: field(24)?, buffer: field(28)? })
    }
}

#[cfg(test)]
mod tests {
    use wharf_ops::shaping::Rate;

    use super::*;

    fn rate(bits_per_second: u64, burst_bits: u64, latency_ms: u32) -> Rate {
        Rate { bits_per_second, burst_bits, latency_ms }
    }

    #[test]
    fn over_32_bits_there_is_a_second_attribute() {
        let bucket = Bucket::new(rate(80_000_000_000, 800_000_000, 25)).unwrap();
        let mut builder = Builder::default();
        bucket.encode(&mut builder);
        let options = Attributes::new(builder.bytes());
        assert_eq!(options.find(RATE64).unwrap().u64(), Some(10_000_000_000));
        assert_eq!(options.find(PARMS).unwrap().value.len(), 36);
        assert_eq!(Bucket::decode(options), Some(bucket));
    }

    #[test]
    fn hostile_options_are_none_or_a_number() {
        assert_eq!(Bucket::decode(Attributes::new(&[])), None);
        let mut builder = Builder::default();
        builder.attribute(PARMS, &[0; 36]);
        assert_eq!(Bucket::decode(Attributes::new(builder.bytes())), None);
        let _ = Bucket { rate: u64::MAX, limit: u32::MAX, buffer: u32::MAX }.rate();
        let _ = Bucket { rate: 1, limit: 0, buffer: u32::MAX }.rate();
        let _ = Bucket { rate: 1, limit: u32::MAX, buffer: 0 }.rate();
    }
}
