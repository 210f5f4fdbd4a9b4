//! The index: which addresses are taken, and which of them an owner has.
//!
//! A header, an open-addressed table from holder to address, and an open-addressed table of bitmaps of 4096
//! addresses each. A lookup touches a page or two, whatever the number of leases and the size of the range.
//!
//! Leases of an earlier boot have bitmaps of their own beside that, for the day when nothing else is left.

use std::collections::HashSet;

use super::address::{Address, Family};
use super::files::Stamp;
use super::holder::spread;
use super::home::Home;
use super::pages::{BYTES, Broken, Page, Pages};

/// "WHARFLI" and the version of the format. Whatever changes the layout or a hash changes it.
const MAGIC: u64 = u64::from_be_bytes(*b"WHARFLI\x02");
const SLOT_WORDS: usize = 4;
/// Slots in a page; the checksum has the rest.
const SLOTS: u64 = 31;
/// Addresses in a bitmap: 64 words, behind four of what it is of.
const BLOCK_SHIFT: u32 = 12;
const BLOCK_MASK: u128 = (1 << BLOCK_SHIFT) - 1;
const BLOCK_WORDS: usize = 64;
const BLOCK_HEAD: usize = 4;
/// The smallest tables, in pages: 128 KiB that last for 992 leases.
const LEAST: u64 = 64;

/// In the word that says the family: the lease is of an earlier boot, or the bitmap is of such.
const OLD: u64 = 0x100;

/// One entry: an address and who has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The hash of the holder.
    pub(super) hash: u64,
    pub(super) address: Address,
    /// Whether the lease is of an earlier boot.
    pub(super) old: bool,
}

/// An index, in memory or in its file.
pub(super) struct Index {
    pages: Pages,
    /// Pages and entries of the table of owners, pages and entries of the table of bitmaps, and the number of leases
    /// of an earlier boot.
    sizes: [u64; 5],
    stamp: Option<Stamp>,
    #[cfg(test)]
    pub(super) words: usize,
}

impl Index {
    fn new(pages: Pages, sizes: [u64; 5], stamp: Option<Stamp>) -> Self {
        Self {
            pages,
            sizes,
            stamp,
            #[cfg(test)]
            words: 0,
        }
    }

    /// Makes an index of these entries, in memory and with room to grow.
    pub(super) fn build(entries: &[Entry]) -> Result<Self, Broken> {
        let blocks: HashSet<_> = entries.iter().map(|entry| (block_of(entry.address), entry.old)).collect();
        let owners = (entries.len() as u64 * 4).div_ceil(SLOTS).max(LEAST);
        let bitmaps = (blocks.len() as u64 * 4).max(LEAST);
        let mut index = Self::new(Pages::new(), [owners, 0, bitmaps, 0, 0], None);
        for entry in entries {
            index.insert(*entry)?;
        }
        Ok(index)
    }

    /// The index of `home`, if it has one that belongs to this state of the lease directory.
    pub(super) fn load(home: &mut Home, stamp: &Stamp) -> Option<Self> {
        let (file, size) = home.load()?;
        let mut pages = Pages::of(file);
        let header = pages.get(0).ok()?;
        let (fixed, rest) = header.split_first_chunk::<6>()?;
        let [magic, sizes @ ..] = *fixed;
        let [owners, _, blocks, ..] = sizes;
        let whole = owners.checked_add(blocks)?.checked_add(1)?.checked_mul(BYTES as u64)?;
        let valid = magic == MAGIC && owners > 0 && blocks > 0 && whole == size && rest.starts_with(stamp);
        valid.then(|| Self::new(pages, sizes, Some(*stamp)))
    }

    /// Whether it belongs to this state of the directory.
    pub(super) fn is_of(&self, stamp: Option<&Stamp>) -> bool {
        stamp.is_some() && self.stamp.as_ref() == stamp
    }

    /// Writes what has changed. The index is worth nothing until [`Self::finish`].
    pub(super) fn flush(&mut self) -> Result<(), Broken> {
        self.stamp = None;
        Ok(self.pages.flush()?)
    }

    /// Ends a change: the index belongs to the state `stamp` of the directory.
    pub(super) fn finish(&mut self, stamp: Stamp, home: Option<&mut Home>) -> Result<(), Broken> {
        self.stamp = Some(stamp);
        let header = [MAGIC].into_iter().chain(self.sizes).chain(stamp);
        for (word, value) in self.pages.get_mut(0)?.iter_mut().zip(header) {
            *word = value;
        }
        if self.pages.stored() {
            return Ok(self.pages.flush_header()?);
        }
        let [owners, _, blocks, ..] = self.sizes;
        let pages = &mut self.pages;
        match home.map(|home| home.replace(|file| pages.store(file, 1 + owners + blocks))) {
            Some(None) => Err(Broken),
            _ => Ok(()),
        }
    }

    /// What is noted for a holder.
    pub(super) fn entries(&mut self, hash: u64) -> Result<Vec<Entry>, Broken> {
        let mut found = Vec::new();
        self.search(hash, |entry| {
            found.extend(entry.filter(|entry| entry.hash == hash));
            entry.is_none()
        })?;
        Ok(found)
    }

    /// Notes that an address is taken.
    pub(super) fn insert(&mut self, entry: Entry) -> Result<(), Broken> {
        let [_, owners, blocks, used, _] = self.sizes;
        if owners >= self.slots() / 2 || used >= blocks / 2 {
            self.grow()?;
        }
        let (slot, _) = self.search(entry.hash, |entry| entry.is_none())?;
        self.set_slot(slot, Some(entry))?;
        self.sizes[1] += 1;
        self.mark(entry.address, false, true)?;
        if entry.old {
            self.sizes[4] += 1;
            self.mark(entry.address, true, true)?;
        }
        Ok(())
    }

    /// Notes that an address is free. The entries behind it move up, so that no search ends in the gap.
    pub(super) fn remove(&mut self, hash: u64, address: Address) -> Result<(), Broken> {
        let is = |entry: Entry| (entry.hash, entry.address) == (hash, address);
        let (mut gap, found) = self.search(hash, |entry| entry.is_none_or(is))?;
        let found = found.ok_or(Broken)?;
        let (slots, mut slot) = (self.slots(), gap);
        for _ in 0..slots {
            slot = self.next_slot(slot);
            let Some(entry) = self.slot(slot)? else { break };
            let from_home = |place: u64| (place + slots - self.first_slot(entry.hash)) % slots;
            if from_home(gap) < from_home(slot) {
                self.set_slot(gap, Some(entry))?;
                gap = slot;
            }
        }
        self.set_slot(gap, None)?;
        self.sizes[1] = self.sizes[1].saturating_sub(1);
        if found.old {
            self.sizes[4] = self.sizes[4].saturating_sub(1);
            self.mark(address, true, false)?;
        }
        self.mark(address, false, false)
    }

    /// The first address from `first` to `last` that is not taken and not in `skip`.
    pub(super) fn next_free(
        &mut self,
        first: Address,
        last: Address,
        skip: &HashSet<Address>,
    ) -> Result<Option<Address>, Broken> {
        let mut next = first;
        loop {
            let bitmap = self.block_page(next, false)?.ok();
            let start = next.value & !BLOCK_MASK;
            let end = last.value.min(next.value | BLOCK_MASK);
            // What comes before the first address is not looked at.
            let mut from = u64::MAX << (next.value % 64);
            for word in word_of(next.value)?..=word_of(end)? {
                let taken = bitmap.map_or(Ok(0), |number| self.word(number, word))?;
                let mut free = !taken & from;
                from = u64::MAX;
                while free != 0 {
                    let value = start | (word as u128 * 64) | u128::from(free.trailing_zeros());
                    let address = Address { value, ..next };
                    if value <= end && !skip.contains(&address) {
                        return Ok(Some(address));
                    }
                    free &= free - 1;
                }
            }
            if end == last.value {
                return Ok(None);
            }
            next.value = end + 1;
        }
    }

    /// The lowest address from `first` to `last` that a lease of an earlier boot has and that is not in `skip`. It
    /// looks at every bitmap, which only happens when nothing is free.
    pub(super) fn next_old(
        &mut self,
        first: Address,
        last: Address,
        skip: &HashSet<Address>,
    ) -> Result<Option<Address>, Broken> {
        let [owners, _, blocks, _, old] = self.sizes;
        let mut lowest: Option<Address> = None;
        for number in 1 + owners..1 + owners + blocks {
            if old == 0 {
                break;
            }
            let page = self.pages.get(number)?;
            let [kind, high, low, _] = *page.first_chunk::<BLOCK_HEAD>().ok_or(Broken)?;
            if kind & OLD == 0 || family_of(kind)? != first.family {
                continue;
            }
            let start = ((u128::from(high) << 64) | u128::from(low)) << BLOCK_SHIFT;
            for (word, bits) in page.iter().skip(BLOCK_HEAD).take(BLOCK_WORDS).enumerate() {
                let mut bits = *bits;
                while bits != 0 {
                    let value = start | (word as u128 * 64) | u128::from(bits.trailing_zeros());
                    let address = Address { value, ..first };
                    if (first..=last).contains(&address)
                        && !skip.contains(&address)
                        && lowest.is_none_or(|lowest| address < lowest)
                    {
                        lowest = Some(address);
                    }
                    bits &= bits - 1;
                }
            }
        }
        Ok(lowest)
    }

    /// Moves everything to tables that are big enough. It costs what the inserts since the last time cost.
    fn grow(&mut self) -> Result<(), Broken> {
        let mut entries = Vec::new();
        for slot in 0..self.slots() {
            entries.extend(self.slot(slot)?);
        }
        *self = Self::build(&entries)?;
        Ok(())
    }

    /// Goes through the slots where `hash` may be until one is what is looked for.
    fn search(
        &mut self,
        hash: u64,
        mut wanted: impl FnMut(Option<Entry>) -> bool,
    ) -> Result<(u64, Option<Entry>), Broken> {
        let mut slot = self.first_slot(hash);
        for _ in 0..self.slots() {
            let entry = self.slot(slot)?;
            if wanted(entry) {
                return Ok((slot, entry));
            }
            slot = self.next_slot(slot);
        }
        Err(Broken)
    }

    fn slots(&self) -> u64 {
        self.sizes[0] * SLOTS
    }

    fn first_slot(&self, hash: u64) -> u64 {
        hash % self.slots()
    }

    fn next_slot(&self, slot: u64) -> u64 {
        (slot + 1) % self.slots()
    }

    fn slot(&mut self, slot: u64) -> Result<Option<Entry>, Broken> {
        let words = self.pages.get(1 + slot / SLOTS)?.as_chunks::<SLOT_WORDS>().0;
        let [kind, hash, high, low] = *words.get(slot_in_page(slot)).ok_or(Broken)?;
        let value = (u128::from(high) << 64) | u128::from(low);
        match kind {
            0 => Ok(None),
            kind => {
                let address = Address { family: family_of(kind)?, value };
                Ok(Some(Entry { hash, address, old: kind & OLD != 0 }))
            }
        }
    }

    fn set_slot(&mut self, slot: u64, entry: Option<Entry>) -> Result<(), Broken> {
        let words = self.pages.get_mut(1 + slot / SLOTS)?.as_chunks_mut::<SLOT_WORDS>().0;
        *words.get_mut(slot_in_page(slot)).ok_or(Broken)? = match entry {
            None => [0; SLOT_WORDS],
            Some(Entry { hash, address, old }) => {
                let [kind, high, low] = key(address.family, address.value, old);
                [kind, hash, high, low]
            }
        };
        Ok(())
    }

    /// The page with the bitmap of an address, of all leases or of the old ones, or the one where it would be.
    fn block_page(&mut self, address: Address, old: bool) -> Result<Result<u64, u64>, Broken> {
        let (family, block) = block_of(address);
        let key = key(family, block, old);
        let [owners, _, blocks, ..] = self.sizes;
        let [kind, high, low] = key;
        let first = spread(spread(kind ^ high).wrapping_add(low));
        for probe in 0..blocks {
            let number = 1 + owners + (first.wrapping_add(probe) % blocks);
            let page = self.pages.get(number)?;
            if page.starts_with(&key) {
                return Ok(Ok(number));
            }
            if page.first() == Some(&0) {
                return Ok(Err(number));
            }
        }
        Err(Broken)
    }

    fn mark(&mut self, address: Address, old: bool, taken: bool) -> Result<(), Broken> {
        let number = match self.block_page(address, old)? {
            Ok(number) => number,
            Err(number) => {
                let (family, block) = block_of(address);
                let page = self.pages.get_mut(number)?;
                for (word, key) in page.iter_mut().zip(key(family, block, old)) {
                    *word = key;
                }
                self.sizes[3] += 1;
                number
            }
        };
        let word = BLOCK_HEAD + word_of(address.value)?;
        let word = self.pages.get_mut(number)?.get_mut(word).ok_or(Broken)?;
        let bit = 1 << (address.value % 64);
        *word = if taken { *word | bit } else { *word & !bit };
        Ok(())
    }

    fn word(&mut self, number: u64, word: usize) -> Result<u64, Broken> {
        #[cfg(test)]
        {
            self.words += 1;
        }
        let page: &Page = self.pages.get(number)?;
        let bits = page.get(BLOCK_HEAD..BLOCK_HEAD + BLOCK_WORDS).ok_or(Broken)?;
        bits.get(word).copied().ok_or(Broken)
    }
}

fn block_of(address: Address) -> (Family, u128) {
    (address.family, address.value >> BLOCK_SHIFT)
}

/// The word of its bitmap that an address is in.
fn word_of(value: u128) -> Result<usize, Broken> {
    usize::try_from((value & BLOCK_MASK) / 64).map_err(|_| Broken)
}

fn slot_in_page(slot: u64) -> usize {
    usize::try_from(slot % SLOTS).unwrap_or(usize::MAX)
}

#[expect(clippy::cast_possible_truncation, reason = "the two halves of a number")]
fn key(family: Family, value: u128, old: bool) -> [u64; 3] {
    let kind = match family {
        Family::V4 => 4,
        Family::V6 => 6,
    };
    [if old { kind | OLD } else { kind }, (value >> 64) as u64, value as u64]
}

fn family_of(kind: u64) -> Result<Family, Broken> {
    match kind & !OLD {
        4 => Ok(Family::V4),
        6 => Ok(Family::V6),
        _ => Err(Broken),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(value: u128) -> Address {
        Address { family: Family::V4, value }
    }

    fn entry(hash: u64, value: u128) -> Entry {
        Entry { hash, address: v4(value), old: false }
    }

    /// Keys that fall on few slots, some at the end of the table: clusters, gaps and the turn at the end.
    #[test]
    fn a_gap_ends_no_search() {
        let mut index = Index::build(&[]).unwrap();
        let slots = index.slots();
        let entries: Vec<Entry> = (0..60)
            .map(|number| entry(slots - 3 + number % 5 + slots * (number % 7), number.into()))
            .collect();
        for round in (0..entries.len()).step_by(13) {
            for entry in &entries {
                index.insert(*entry).unwrap();
            }
            // Another order in each round, and after each step all that is left is found.
            let mut left: Vec<Entry> = entries.clone();
            left.rotate_left(round);
            while let Some(Entry { hash, address, .. }) = left.pop() {
                index.remove(hash, address).unwrap();
                assert_eq!(index.remove(hash, address), Err(Broken));
                for entry in &left {
                    assert!(index.entries(entry.hash).unwrap().contains(entry));
                }
            }
            assert_eq!(index.sizes[1], 0);
        }
    }

    #[test]
    fn bitmaps_are_searched_across_their_borders() {
        let entries: Vec<Entry> =
            (4000..12_300).map(|value| entry(u64::try_from(value).unwrap(), value)).collect();
        let mut index = Index::build(&entries).unwrap();
        let none = HashSet::new();
        for (first, last, free) in [
            (0, 4000, Some(0)),
            (3999, 4000, Some(3999)),
            (4000, 12_299, None),
            (4000, 12_300, Some(12_300)),
            (8191, 20_000, Some(12_300)),
            (8192, 8192, None),
            (50_000, 50_000, Some(50_000)),
        ] {
            let found = index.next_free(v4(first), v4(last), &none).unwrap();
            assert_eq!(found.map(|address| address.value), free, "{first} to {last}");
        }
        let skip = (12_300..20_000).map(v4).collect();
        assert_eq!(index.next_free(v4(5000), v4(19_999), &skip).unwrap(), None);
        assert_eq!(index.next_free(v4(5000), v4(20_000), &skip).unwrap(), Some(v4(20_000)));
    }

    #[test]
    fn old_leases_are_found_in_order_until_they_are_gone() {
        let none = HashSet::new();
        let old = [5_u128, 4095, 4096, 70_000].map(|value| Entry { old: true, ..entry(1, value) });
        let entries: Vec<Entry> = old.iter().copied().chain([entry(2, 6), entry(2, 4097)]).collect();
        let mut index = Index::build(&entries).unwrap();
        assert_eq!(index.next_old(v4(0), v4(4), &none).unwrap(), None);
        assert_eq!(index.next_old(v4(6), v4(9000), &none).unwrap(), Some(v4(4095)));
        assert_eq!(index.next_old(v4(0), v4(90_000), &[v4(5)].into()).unwrap(), Some(v4(4095)));
        let v6 = |value| Address { family: Family::V6, value };
        assert_eq!(index.next_old(v6(0), v6(u128::MAX), &none).unwrap(), None);
        // Growing keeps them apart.
        for number in 0..2000 {
            index.insert(entry(3, 100_000 + number)).unwrap();
        }
        for gone in &old {
            assert_eq!(index.next_old(v4(0), v4(200_000), &none).unwrap(), Some(gone.address));
            assert_eq!(index.next_free(gone.address, gone.address, &none).unwrap(), None);
            index.remove(gone.hash, gone.address).unwrap();
            assert_eq!(index.next_free(gone.address, gone.address, &none).unwrap(), Some(gone.address));
        }
        assert_eq!(index.next_old(v4(0), v4(200_000), &none).unwrap(), None);
        assert_eq!(index.sizes[4], 0);
    }
}
