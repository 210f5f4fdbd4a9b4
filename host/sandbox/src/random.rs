//! Random numbers for guests: the kernel's, or for tests and replays the same ones each time.

use wasmtime::Result;

/// Where they come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Random {
    /// The kernel.
    Real,
    /// This state of splitmix64. Nothing that must be secret may come from it.
    Seeded(u64),
}

impl Random {
    /// Without a seed they are real.
    pub(crate) fn of(seed: Option<u64>) -> Self {
        seed.map_or(Self::Real, Self::Seeded)
    }

    /// Fills in all bytes.
    pub(crate) fn fill(&mut self, bytes: &mut [u8]) -> Result<()> {
        match self {
            Self::Real => {
                let mut rest = bytes;
                while !rest.is_empty() {
                    let got = crate::confine::random(rest)?;
                    rest = rest.get_mut(got..).unwrap_or_default();
                }
            }
            Self::Seeded(state) => {
                for part in bytes.chunks_mut(8) {
                    let number = next(state).to_le_bytes();
                    part.iter_mut().zip(number).for_each(|(to, from)| *to = from);
                }
            }
        }
        Ok(())
    }

    /// A number.
    pub(crate) fn number(&mut self) -> Result<u64> {
        let mut bytes = [0; 8];
        self.fill(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }
}

fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut value = *state;
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(random: &mut Random) -> [u8; 20] {
        let mut bytes = [0; 20];
        random.fill(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_seed_decides_everything() {
        let (mut one, mut same, mut other) = (Random::of(Some(1)), Random::of(Some(1)), Random::of(Some(2)));
        let first = bytes(&mut one);
        assert_eq!(first, bytes(&mut same));
        assert_ne!(first, bytes(&mut other));
        assert_ne!(first, bytes(&mut one), "it goes on");
        assert_ne!(one.number().unwrap(), other.number().unwrap());
    }

    #[test]
    fn without_a_seed_nothing_is_decided() {
        assert_ne!(bytes(&mut Random::of(None)), bytes(&mut Random::of(None)));
    }
}
