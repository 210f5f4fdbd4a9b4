//! A file of checksummed pages with a write-back cache: the storage of the index.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::holder::spread;

/// Words in a page; the last one is the checksum.
pub(super) const WORDS: usize = 128;
/// Bytes in a page.
pub(super) const BYTES: usize = WORDS * 8;

/// A page's content.
pub(super) type Page = [u64; WORDS];

/// The index cannot be used and must be made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken;

impl From<io::Error> for Broken {
    fn from(_: io::Error) -> Self {
        Self
    }
}

struct Cached {
    page: Box<Page>,
    dirty: bool,
}

/// Pages by number. Page 0 is the header, which is written last.
pub(super) struct Pages {
    file: Option<File>,
    cache: HashMap<u64, Cached>,
}

impl Pages {
    /// Pages that are all zero and only in memory.
    pub(super) fn new() -> Self {
        Self { file: None, cache: HashMap::new() }
    }

    /// The pages of a file.
    pub(super) fn of(file: File) -> Self {
        Self { file: Some(file), cache: HashMap::new() }
    }

    /// Whether there is a file behind them.
    pub(super) fn stored(&self) -> bool {
        self.file.is_some()
    }

    pub(super) fn get(&mut self, number: u64) -> Result<&Page, Broken> {
        Ok(&*self.load(number)?.page)
    }

    /// The page for changing.
    pub(super) fn get_mut(&mut self, number: u64) -> Result<&mut Page, Broken> {
        let cached = self.load(number)?;
        cached.dirty = true;
        Ok(&mut *cached.page)
    }

    fn load(&mut self, number: u64) -> Result<&mut Cached, Broken> {
        use std::collections::hash_map::Entry;
        match self.cache.entry(number) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => {
                let page = match &self.file {
                    Some(file) => read(file, number)?,
                    None => Box::new([0; WORDS]),
                };
                Ok(entry.insert(Cached { page, dirty: false }))
            }
        }
    }

    /// Writes what has changed, but not the header.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.write(|number| number != 0)
    }

    /// Writes the header.
    pub(super) fn flush_header(&mut self) -> io::Result<()> {
        self.write(|number| number == 0)
    }

    fn write(&mut self, which: impl Fn(u64) -> bool) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        for (&number, cached) in
            self.cache.iter_mut().filter(|(number, cached)| cached.dirty && which(**number))
        {
            file.write_all_at(&encode(&cached.page, number), number * BYTES as u64)?;
            cached.dirty = false;
        }
        Ok(())
    }

    /// Writes all `count` pages to a new file, which is behind them from now on.
    pub(super) fn store(&mut self, file: File, count: u64) -> io::Result<()> {
        let mut bytes = Vec::new();
        for number in 0..count {
            let cached = self.cache.get_mut(&number);
            bytes.extend_from_slice(&match cached {
                Some(cached) => {
                    cached.dirty = false;
                    encode(&cached.page, number)
                }
                None => encode(&[0; WORDS], number),
            });
        }
        file.write_all_at(&bytes, 0)?;
        self.file = Some(file);
        Ok(())
    }
}

fn read(file: &File, number: u64) -> Result<Box<Page>, Broken> {
    let mut bytes = [0; BYTES];
    let start = number.checked_mul(BYTES as u64).ok_or(Broken)?;
    file.read_exact_at(&mut bytes, start)?;
    let mut page = Box::new([0; WORDS]);
    for (word, bytes) in page.iter_mut().zip(bytes.as_chunks().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    if page.last() == Some(&checksum(&page, number)) { Ok(page) } else { Err(Broken) }
}

fn encode(page: &Page, number: u64) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    for (word, bytes) in page.iter().zip(bytes.as_chunks_mut().0) {
        *bytes = word.to_le_bytes();
    }
    if let Some(last) = bytes.last_chunk_mut() {
        *last = checksum(page, number).to_le_bytes();
    }
    bytes
}

/// Of all words but the last. A page of zeros has one too, so that a hole in the file is no page.
fn checksum(page: &Page, number: u64) -> u64 {
    let words = page.iter().take(WORDS - 1);
    words.fold(spread(number ^ 0x5741_5246), |sum, word| {
        (sum.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_come_back_and_damage_is_seen() {
        let file = tempfile::tempfile().unwrap();
        let mut pages = Pages::new();
        pages.get_mut(2).unwrap()[5] = 77;
        pages.store(file.try_clone().unwrap(), 4).unwrap();
        pages.get_mut(3).unwrap()[0] = 1;
        pages.flush().unwrap();

        let mut again = Pages::of(file.try_clone().unwrap());
        assert_eq!(again.get(2).unwrap()[5], 77);
        assert_eq!(again.get(3).unwrap()[0], 1);
        assert_eq!(again.get(0).unwrap()[0], 0);
        assert_eq!(again.get(4), Err(Broken), "behind the end");

        for position in [0, 300, BYTES as u64 - 1] {
            let mut byte = [0];
            file.read_exact_at(&mut byte, 2 * BYTES as u64 + position).unwrap();
            file.write_all_at(&[byte[0] ^ 1], 2 * BYTES as u64 + position).unwrap();
            assert_eq!(Pages::of(file.try_clone().unwrap()).get(2), Err(Broken));
            file.write_all_at(&byte, 2 * BYTES as u64 + position).unwrap();
        }
        file.write_all_at(&[0; BYTES], BYTES as u64).unwrap();
        assert_eq!(Pages::of(file).get(1), Err(Broken), "a hole");
    }

    #[test]
    fn the_header_waits() {
        let file = tempfile::tempfile().unwrap();
        let mut pages = Pages::new();
        pages.store(file.try_clone().unwrap(), 2).unwrap();
        pages.get_mut(0).unwrap()[0] = 9;
        pages.flush().unwrap();
        assert_eq!(Pages::of(file.try_clone().unwrap()).get(0).unwrap()[0], 0);
        pages.flush_header().unwrap();
        assert_eq!(Pages::of(file).get(0).unwrap()[0], 9);
    }
}
