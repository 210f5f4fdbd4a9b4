//! The arithmetic of a token bucket: from bits and milliseconds to the bytes and ticks of the kernel, and back.
//!
//! It is that of the CNI reference plugin, truncations included, so that either finds what the other has set. One thing
//! differs: of a burst that takes longer than the kernel can say, the limit holds no more than what the kernel keeps.
//! Else the rest of it would be room to wait in, minutes of it.

use wharf_ops::Error;
use wharf_ops::shaping::Rate;

const BURST_LIMIT: u64 = 1 << 35;
const MICROSECONDS: u64 = 1_000_000;

/// What a tbf is made of in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bucket {
    /// Bytes per second.
    pub(crate) rate: u64,
    /// Bytes that may wait.
    pub(crate) limit: u32,
    /// How long sending the burst takes, in ticks of 64 ns.
    pub(crate) buffer: u32,
}

impl Bucket {
    pub(crate) fn new(rate: Rate) -> Result<Self, Error> {
        let Rate { bits_per_second, burst_bits, latency_ms } = rate;
        if bits_per_second < 8 {
            return Err(Error::invalid(format!(
                "a rate of {bits_per_second} bit/s is below the lowest, 8 bit/s"
            )));
        }
        if !(8..BURST_LIMIT).contains(&burst_bits) {
            return Err(Error::invalid(format!(
                "a burst of {burst_bits} bits is not from 8 to {} bits",
                BURST_LIMIT - 1
            )));
        }
        let (bytes, burst) = (bits_per_second / 8, burst_bits / 8);
        let bucket = Self::of(bytes, burst, latency_ms.into());
        if bucket.buffer == 0 {
            return Err(Error::invalid(format!(
                "a burst of {burst_bits} bits is sent within a microsecond at {bits_per_second} bit/s: raise it"
            )));
        }
        Ok(bucket)
    }

    fn of(rate: u64, burst: u64, latency_ms: u64) -> Self {
        let mut bucket = Self { rate, limit: 0, buffer: ticks(burst.saturating_mul(MICROSECONDS) / rate) };
        let kept = if bucket.is_cut() { bucket.at_once() } else { burst };
        let waiting = u128::from(rate) * u128::from(latency_ms) / 1000;
        bucket.limit = u32::try_from(waiting + u128::from(kept)).unwrap_or(u32::MAX);
        bucket
    }

    /// Whether the burst takes longer than ticks can say. No whole number of microseconds is as many ticks by itself.
    fn is_cut(&self) -> bool {
        self.buffer == u32::MAX
    }

    /// Bytes that the kernel makes of the time again: what passes at once.
    pub(crate) fn at_once(&self) -> u64 {
        let nanoseconds = u128::from(self.buffer) * 64;
        u64::try_from(nanoseconds * u128::from(self.rate) / 1_000_000_000).unwrap_or(u64::MAX)
    }

    /// What it was made from. The kernel keeps the burst as a time, which loses some bytes of it; but the limit holds
    /// them too, and only one whole number of milliseconds explains both.
    pub(crate) fn rate(&self) -> Rate {
        // The smallest burst that takes this long.
        let microseconds = (u64::from(self.buffer) * 8).div_ceil(125);
        let least = u128::from(microseconds) * u128::from(self.rate);
        let least = u64::try_from(least.div_ceil(MICROSECONDS.into())).unwrap_or(u64::MAX);
        let kept = if self.is_cut() { self.at_once() } else { least };
        let waiting = u64::from(self.limit).saturating_sub(kept);
        let guess = u128::from(waiting) * 1000 / u128::from(self.rate);
        let guess = u64::try_from(guess).unwrap_or(u64::MAX);
        let exact = [guess, guess + 1].into_iter().find_map(|latency| {
            let waiting = u128::from(self.rate) * u128::from(latency) / 1000;
            let burst = u64::from(self.limit).checked_sub(u64::try_from(waiting).ok()?)?;
            // One that was cut may have been any from the smallest on.
            let burst = if self.is_cut() { burst.max(least) } else { burst };
            (Self::of(self.rate, burst, latency) == *self).then_some((burst, latency))
        });
        let (burst, latency) = exact.unwrap_or((least, guess));
        Rate {
            bits_per_second: self.rate.saturating_mul(8),
            burst_bits: burst.saturating_mul(8),
            latency_ms: u32::try_from(latency).unwrap_or(u32::MAX),
        }
    }
}

/// Of 64 ns each, which Linux has never changed: /proc/net/psched says 15.625 ticks to the microsecond.
fn ticks(microseconds: u64) -> u32 {
    // The time is kept in 32 bits by the reference plugin too.
    let microseconds = u32::try_from(microseconds).unwrap_or(u32::MAX);
    u32::try_from(u64::from(microseconds) * 125 / 8).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(bits_per_second: u64, burst_bits: u64, latency_ms: u32) -> Rate {
        Rate { bits_per_second, burst_bits, latency_ms }
    }

    #[test]
    fn the_example_of_the_reference() {
        // 8 Mbit/s, 800 kbit, 25 ms: 1,000,000 B/s and 100,000 B take 100 ms, which are 1,562,500 ticks.
        let bucket = Bucket::new(rate(8_000_000, 800_000, 25)).unwrap();
        assert_eq!(bucket, Bucket { rate: 1_000_000, limit: 125_000, buffer: 1_562_500 });
    }

    #[test]
    fn truncations_are_those_of_the_reference() {
        // 12,345 / 8 = 1543 B/s; 9999 / 8 = 1249 B; 1249e6 / 1543 = 809,462 us; * 15.625 = 12,647,843 ticks.
        let bucket = Bucket::new(rate(12_345, 9_999, 25)).unwrap();
        assert_eq!(bucket, Bucket { rate: 1543, limit: 38 + 1249, buffer: 12_647_843 });
    }

    #[test]
    fn whole_bytes_come_back_as_they_went_in() {
        for bits in [8, 64_000, 1_000_000, 8_000_000, 123_456_784, 10_000_000_000, 40_000_000_000] {
            for burst in [8_u64, 12_000, 800_000, 1_234_568, 1_000_000_000] {
                for latency in [1, 25, 400] {
                    let asked = rate(bits, burst, latency);
                    // At extreme ratios the time does not fit, or the burst is shorter than a microsecond.
                    let (bytes, whole) = (bits / 8, burst / 8);
                    let microseconds = whole * MICROSECONDS / bytes;
                    if microseconds == 0 || microseconds > 250_000_000 || bytes < 1000 {
                        continue;
                    }
                    assert_eq!(Bucket::new(asked).unwrap().rate(), asked);
                }
            }
        }
    }

    #[test]
    fn what_is_cut_off_a_burst_is_no_room_to_wait_in() {
        // What a runtime gives by default. 2^32 - 1 ticks are 274.877906 s, 343,597,383 B and 34,359,738 B.
        for (bits, kept) in [(10_000_000, 343_597_383), (1_000_000, 34_359_738)] {
            for burst in [4_294_967_295, (1 << 35) - 1] {
                let bucket = Bucket::new(rate(bits, burst, 25)).unwrap();
                let waiting = u32::try_from(bits / 8 * 25 / 1000).unwrap();
                assert_eq!(bucket, Bucket { rate: bits / 8, limit: kept + waiting, buffer: u32::MAX });
                let back = bucket.rate();
                assert_eq!((back.bits_per_second, back.latency_ms), (bits, 25));
                assert_eq!(Bucket::new(back).unwrap(), bucket, "what was read can be set again");
            }
        }
    }

    #[test]
    fn impossible_rates_are_refused() {
        for (bad, word) in [
            (rate(7, 800, 25), "8 bit/s"),
            (rate(8, 0, 25), "burst of 0"),
            (rate(8, 1 << 35, 25), "34359738367"),
            (rate(80_000_000_000, 8, 25), "within a microsecond"),
        ] {
            let error = Bucket::new(bad).unwrap_err();
            assert!(error.message.contains(word), "{error}");
        }
        assert!(Bucket::new(rate(u64::MAX, (1 << 35) - 1, u32::MAX)).is_err());
        assert!(Bucket::new(rate(8, (1 << 35) - 1, u32::MAX)).is_ok());
    }
}
