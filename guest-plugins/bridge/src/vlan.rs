//! VLANs of a bridge port: what the configuration asks for as few ranges, sorted and without overlap.

use std::ops::RangeInclusive;

use serde::Deserialize;
use wharf_sdk::net::VlanRange;
use wharf_sdk::{Error, Result};

/// VLAN IDs as 802.1Q knows them; 0 and 4095 are reserved.
const IDS: RangeInclusive<i64> = 1..=4094;

/// As many as an array indexed by ID has.
const ID_COUNT: usize = 4095;

/// The VLAN of untagged frames where only a trunk is configured, as on a fresh port.
const DEFAULT: u16 = 1;

/// One entry of `vlanTrunk`: a single ID, a range, or both.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, expecting = "an object with id, or with minID and maxID")]
pub(crate) struct TrunkEntry {
    #[serde(rename = "minID")]
    min: Option<i64>,
    #[serde(rename = "maxID")]
    max: Option<i64>,
    id: Option<i64>,
}

/// The VLANs of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Vlans {
    /// The VLAN of untagged frames.
    pub(crate) native: Option<u16>,
    /// Tagged VLANs: first and last, sorted, apart from each other.
    pub(crate) trunk: Vec<(u16, u16)>,
    /// Whether the port keeps the VLANs that the bridge gave it.
    pub(crate) keep_default: bool,
}

impl Vlans {
    /// Checks `vlan` (0 is none) and `vlanTrunk`.
    pub(crate) fn parse(vlan: i64, entries: &[TrunkEntry], keep_default: bool) -> Result<Self> {
        let native = match vlan {
            0 => None,
            _ => Some(id("vlan", vlan)?),
        };
        let mut members = [false; ID_COUNT];
        for (index, entry) in entries.iter().enumerate() {
            for (first, last) in entry.ranges(index)? {
                if let Some(range) = members.get_mut(usize::from(first)..=usize::from(last)) {
                    range.fill(true);
                }
            }
        }
        Ok(Self { native, trunk: runs(&members), keep_default })
    }

    /// Whether the port needs any VLAN of its own.
    pub(crate) fn configured(&self) -> bool {
        self.native.is_some() || !self.trunk.is_empty()
    }

    /// What to add to the port. The native VLAN stays untagged even when the trunk covers it.
    pub(crate) fn port(&self) -> Vec<VlanRange> {
        if !self.configured() {
            return Vec::new();
        }
        let native = self.native.unwrap_or(DEFAULT);
        let mut ranges = vec![VlanRange::native(native)];
        for &(first, last) in &self.trunk {
            let tagged = |first, last| VlanRange { first, last, pvid: false, untagged: false };
            if !(first..=last).contains(&native) {
                ranges.push(tagged(first, last));
                continue;
            }
            if first < native {
                ranges.push(tagged(first, native - 1));
            }
            if native < last {
                ranges.push(tagged(native + 1, last));
            }
        }
        ranges
    }

    /// The port through which the host itself takes part in the native VLAN.
    pub(crate) fn access(&self) -> Vec<VlanRange> {
        self.native.map(VlanRange::native).into_iter().collect()
    }
}

/// Whether `present` gives the port everything that `wanted` asks for, however either is cut into ranges.
pub(crate) fn covers(present: &[VlanRange], wanted: &[VlanRange]) -> bool {
    wanted.iter().all(|want| {
        (want.first..=want.last).all(|id| {
            present.iter().any(|have| {
                (have.first..=have.last).contains(&id)
                    && have.pvid == want.pvid
                    && have.untagged == want.untagged
            })
        })
    })
}

impl TrunkEntry {
    fn ranges(&self, index: usize) -> Result<Vec<(u16, u16)>> {
        let path = |member: &str| format!("vlanTrunk[{index}].{member}");
        let mut ranges = Vec::new();
        match (self.min, self.max) {
            (Some(min), Some(max)) => {
                let range = (id(&path("minID"), min)?, id(&path("maxID"), max)?);
                if range.0 > range.1 {
                    return Err(Error::config(
                        path("minID"),
                        format_args!("{min} exceeds maxID, which is {max}"),
                    ));
                }
                ranges.push(range);
            }
            (Some(min), None) => {
                return Err(Error::config(path("minID"), format_args!("{min} needs a maxID beside it")));
            }
            (None, Some(max)) => {
                return Err(Error::config(path("maxID"), format_args!("{max} needs a minID beside it")));
            }
            (None, None) if self.id.is_none() => {
                return Err(Error::config(
                    format_args!("vlanTrunk[{index}]"),
                    "{} needs id, or minID and maxID",
                ));
            }
            (None, None) => {}
        }
        if let Some(single) = self.id {
            let single = id(&path("id"), single)?;
            ranges.push((single, single));
        }
        Ok(ranges)
    }
}

fn id(path: &str, value: i64) -> Result<u16> {
    u16::try_from(value)
        .ok()
        .filter(|_| IDS.contains(&value))
        .ok_or_else(|| Error::config(path, format_args!("{value} is no VLAN ID: give 1 to 4094")))
}

/// The runs of members, which are then apart from each other.
fn runs(members: &[bool; ID_COUNT]) -> Vec<(u16, u16)> {
    let mut runs: Vec<(u16, u16)> = Vec::new();
    for (id, _) in (0..).zip(members).filter(|(_, member)| **member) {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == id => *last = id,
            _ => runs.push((id, id)),
        }
    }
    runs
}
