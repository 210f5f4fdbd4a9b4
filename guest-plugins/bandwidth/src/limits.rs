//! The configuration: which direction is limited to what.

use serde::Deserialize;
use wharf_sdk::config::null_as_default;
use wharf_sdk::tc::Rate;
use wharf_sdk::{Config, Error, Result};

/// How long a packet may wait, as every CNI bandwidth plugin has it.
const LATENCY_MS: u32 = 25;
/// tc-tbf(8) counts whole bytes, in 32 bits.
const BITS_PER_BYTE: u64 = 8;
const LARGEST_BURST_BYTES: u64 = u32::MAX as u64;

#[derive(Deserialize)]
struct Root {
    #[serde(default, rename = "runtimeConfig", deserialize_with = "null_as_default")]
    runtime: Runtime,
}

#[derive(Default, Deserialize)]
struct Runtime {
    #[serde(default, deserialize_with = "null_as_default")]
    bandwidth: Values,
}

/// In bits and bits per second; zero and absent are the same.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(
    rename_all = "camelCase",
    expecting = "an object with ingressRate, ingressBurst, egressRate and egressBurst"
)]
struct Values {
    #[serde(default, deserialize_with = "null_as_default")]
    ingress_rate: u64,
    #[serde(default, deserialize_with = "null_as_default")]
    ingress_burst: u64,
    #[serde(default, deserialize_with = "null_as_default")]
    egress_rate: u64,
    #[serde(default, deserialize_with = "null_as_default")]
    egress_burst: u64,
}

impl Values {
    fn any(&self) -> bool {
        [self.ingress_rate, self.ingress_burst, self.egress_rate, self.egress_burst].iter().any(|&n| n != 0)
    }
}

/// What is limited, as the container sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Into the container.
    pub(crate) ingress: Option<Rate>,
    /// Out of the container.
    pub(crate) egress: Option<Rate>,
}

impl Limits {
    /// The limits of the configuration itself or, if it sets none, those of `runtimeConfig.bandwidth`.
    pub(crate) fn of(config: &Config) -> Result<Self> {
        // Read twice, because a flattened struct would cost the errors their path.
        let top: Values = config.parse()?;
        let runtime = config.parse::<Root>()?.runtime.bandwidth;
        let (prefix, values) = if top.any() { ("", top) } else { ("runtimeConfig.bandwidth.", runtime) };
        Ok(Self {
            ingress: limit(&format!("{prefix}ingress"), values.ingress_rate, values.ingress_burst)?,
            egress: limit(&format!("{prefix}egress"), values.egress_rate, values.egress_burst)?,
        })
    }

    pub(crate) fn any(&self) -> bool {
        self.ingress.is_some() || self.egress.is_some()
    }
}

fn limit(key: &str, rate: u64, burst: u64) -> Result<Option<Rate>> {
    let wrong = |which: &str, value: u64, reason: &str| {
        Err(Error::config(format_args!("{key}{which}"), format_args!("{value}: {reason}")))
    };
    match (rate, burst) {
        (0, 0) => Ok(None),
        (_, 0) => wrong("Burst", burst, "if rate is set, burst must also be set"),
        (0, _) => wrong("Rate", rate, "if burst is set, rate must also be set"),
        (..BITS_PER_BYTE, _) => wrong("Rate", rate, "rate must be at least 8 bits per second"),
        (_, ..BITS_PER_BYTE) => wrong("Burst", burst, "burst must be at least 8 bits"),
        _ if burst / BITS_PER_BYTE >= LARGEST_BURST_BYTES => {
            wrong("Burst", burst, "burst cannot be more than 4GB")
        }
        _ => Ok(Some(Rate { bits_per_second: rate, burst_bits: burst, latency_ms: LATENCY_MS })),
    }
}

/// Whether the kernel's token bucket is the wanted one. The rate is exact but for the bits of a broken byte. The burst is
/// kept as time in ticks of 64 ns, in 32 bits of nanoseconds: it is compared as far as that can say it.
pub(crate) fn same(wanted: Rate, present: Rate) -> bool {
    const LONGEST_MS: u128 = 4_000;
    let whole = |bits: u64| bits / BITS_PER_BYTE;
    if whole(wanted.bits_per_second) != whole(present.bits_per_second) {
        return false;
    }
    let rate = u128::from(wanted.bits_per_second);
    let comparable = u128::from(wanted.burst_bits) * 1000 <= rate * LONGEST_MS;
    let tick = wanted.bits_per_second / 1_000_000 + BITS_PER_BYTE;
    !comparable || wanted.burst_bits.abs_diff(present.burst_bits) <= tick
}

#[cfg(test)]
mod tests {
    use super::*;
    use wharf_sdk::code;

    fn limits(json: &str) -> Result<Limits> {
        Limits::of(&Config::new(json))
    }

    fn shown(limits: Limits) -> [Option<(u64, u64, u32)>; 2] {
        [limits.ingress, limits.egress]
            .map(|rate| rate.map(|rate| (rate.bits_per_second, rate.burst_bits, rate.latency_ms)))
    }

    #[test]
    fn the_configuration_goes_before_the_runtime_unless_it_sets_nothing() {
        let runtime = r#""runtimeConfig":{"bandwidth":{"ingressRate":8000,"ingressBurst":80}}"#;
        let from_runtime = [Some((8000, 80, 25)), None];
        for (json, wanted) in [
            ("{}".to_owned(), [None, None]),
            (r#"{"runtimeConfig":null,"ingressRate":null}"#.to_owned(), [None, None]),
            (r#"{"runtimeConfig":{"bandwidth":null}}"#.to_owned(), [None, None]),
            (format!("{{{runtime}}}"), from_runtime),
            (
                format!(r#"{{"ingressRate":0,"ingressBurst":0,"egressRate":0,"egressBurst":0,{runtime}}}"#),
                from_runtime,
            ),
            (format!(r#"{{"egressRate":16,"egressBurst":24,{runtime}}}"#), [None, Some((16, 24, 25))]),
            (
                r#"{"runtimeConfig":{"bandwidth":{"ingressRate":1000000,"ingressBurst":2147483647,
                    "egressRate":8,"egressBurst":8}},"type":"bandwidth","later":[1]}"#
                    .to_owned(),
                [Some((1_000_000, 2_147_483_647, 25)), Some((8, 8, 25))],
            ),
            (
                format!(r#"{{"ingressRate":{max},"ingressBurst":34359738359}}"#, max = u64::MAX),
                [Some((u64::MAX, 34_359_738_359, 25)), None],
            ),
        ] {
            assert_eq!(shown(limits(&json).unwrap()), wanted, "{json}");
        }
    }

    #[test]
    fn a_bad_limit_is_named_by_key_and_value() {
        for (json, key, value) in [
            (r#"{"ingressRate":9}"#, "ingressBurst", "0: if rate is set, burst must also be set"),
            (r#"{"egressRate":9}"#, "egressBurst", "0: if rate is set, burst must also be set"),
            (r#"{"ingressBurst":9}"#, "ingressRate", "0: if burst is set, rate must also be set"),
            (r#"{"egressBurst":9}"#, "egressRate", "0: if burst is set, rate must also be set"),
            (r#"{"ingressRate":7,"ingressBurst":9}"#, "ingressRate", "7: rate must be at least 8"),
            (r#"{"egressRate":9,"egressBurst":7}"#, "egressBurst", "7: burst must be at least 8"),
            (
                r#"{"egressRate":9,"egressBurst":34359738360}"#,
                "egressBurst",
                "34359738360: burst cannot be more than 4GB",
            ),
            (
                r#"{"runtimeConfig":{"bandwidth":{"ingressRate":9}}}"#,
                "runtimeConfig.bandwidth.ingressBurst",
                "0: if rate is set, burst must also be set",
            ),
            (
                r#"{"runtimeConfig":{"bandwidth":{"egressRate":-5}}}"#,
                "runtimeConfig.bandwidth.egressRate",
                "-5",
            ),
            (
                r#"{"runtimeConfig":{"bandwidth":"8M"}}"#,
                "runtimeConfig.bandwidth",
                "expected an object with ingressRate, ingressBurst, egressRate and egressBurst, found \"8M\"",
            ),
            (r#"{"runtimeConfig":7}"#, "runtimeConfig", "7"),
            (r#"{"ingressRate":"fast"}"#, "ingressRate", "\"fast\""),
            (r#"{"egressBurst":1.5}"#, "egressBurst", "1.5"),
            (
                r#"{"ingressRate":18446744073709551616}"#,
                "ingressRate",
                "expected an integer from 0 to 18446744073709551615, found 18446744073709551616",
            ),
        ] {
            let error = limits(json).unwrap_err();
            assert_eq!(error.code, code::INVALID_CONFIG, "{json}: {error}");
            assert!(error.msg.starts_with(&format!("invalid network config: {key}: ")), "{json}: {error}");
            assert!(error.msg.contains(value), "{json}: {error}");
        }
    }

    #[test]
    fn a_bucket_is_the_same_within_what_the_kernel_can_say() {
        let rate = |bits_per_second, burst_bits| Rate { bits_per_second, burst_bits, latency_ms: 25 };
        for (wanted, present, equal) in [
            (rate(8_000_000, 800_000), rate(8_000_000, 800_000), true),
            (rate(8_000_000, 800_000), rate(8_000_000, 799_992), true),
            (rate(8_000_007, 800_007), rate(8_000_000, 800_000), true),
            (rate(8_000_000, 800_000), rate(8_000_000, 400_000), false),
            (rate(8_000_000, 800_000), rate(8_000_008, 800_000), false),
            (rate(1_000_000, 2_147_483_647), rate(1_000_000, 4_294_967), true),
            (rate(u64::MAX, 34_359_738_359), rate(u64::MAX, 34_359_738_359), true),
        ] {
            assert_eq!(same(wanted, present), equal, "{wanted:?} {present:?}");
        }
    }
}
