//! Files of JSON lines below `/run/wharf`: any number of calls append, one reader at a time follows.
//!
//! A file that has grown to its limit becomes `NAME.1`, in the place of an older one: nobody has to read for it to stay
//! small. A reader remembers which file it was in and how far it came, and finds both again.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use serde::{Deserialize, Serialize};

use super::Event;
use crate::Paths;

/// One line for each call.
pub const EVENTS: &str = "events.jsonl";
/// The same with all operations, where spans are wanted.
pub const SPANS: &str = "spans.jsonl";
/// What a spool has at most, in bytes, and its predecessor as much: /run is memory.
pub const LIMIT: u64 = 2 << 20;

/// Writes a line, or nothing at all.
pub(super) fn append(paths: &Paths, name: &str, event: &Event) {
    let Ok(mut line) = serde_json::to_vec(event) else { return };
    line.push(b'\n');
    let directory = paths.spool();
    let file = directory.join(name);
    let open = || {
        let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
        OpenOptions::new().append(true).create(true).mode(0o600).custom_flags(flags).open(&file)
    };
    let opened = open().or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => fs::create_dir_all(&directory).and_then(|()| open()),
        _ => Err(error),
    });
    let Ok(mut opened) = opened else { return };
    // One write: lines of calls at the same time do not mix.
    let _ = opened.write_all(&line);
    if opened.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() >= LIMIT) {
        let _ = turn_over(&opened, &file, &directory.join(format!("{name}.1")));
    }
}

/// Puts a full file in the place of its predecessor. Several calls may find it full: the first one does it, and for the
/// others the name is already of the next file, which has to stay where it is.
pub(super) fn turn_over(full: &File, name: &Path, predecessor: &Path) -> io::Result<()> {
    // Nobody waits here: who holds the lock is doing it.
    if full.try_lock().is_err() {
        return Ok(());
    }
    let own = id(&full.metadata()?);
    let outcome = match fs::symlink_metadata(name) {
        Ok(found) if id(&found) == own => fs::rename(name, predecessor),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    full.unlock().and(outcome)
}

/// What a file is known by, whatever its name.
fn id(metadata: &fs::Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// How far somebody has read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reader {
    /// The file, by device and inode.
    file: (u64, u64),
    /// In it, in bytes.
    offset: u64,
}

impl Reader {
    /// The events since the last time, oldest first, and where to go on: keep that once they are dealt with. Lines that
    /// cannot be read are left out. `most` bounds how many there are.
    pub fn read(&self, paths: &Paths, name: &str, most: usize) -> io::Result<(Vec<Event>, Self)> {
        let current = paths.spool().join(name);
        let mut events = Vec::new();
        let mut reader = self.clone();
        // The predecessor first, from where it was left; nothing of it if it is finished already.
        for path in [paths.spool().join(format!("{name}.1")), current] {
            let Some((file, id)) = open(&path)? else { continue };
            let is_last = path.extension().is_none_or(|extension| extension != "1");
            if reader.file != id {
                if !is_last && self.knows_current(paths, name)? {
                    continue;
                }
                reader = Self { file: id, offset: 0 };
            }
            reader.follow(file, &mut events, most)?;
            if events.len() >= most {
                break;
            }
        }
        Ok((events, reader))
    }

    /// Whether the file that is being written is the one that was read last.
    fn knows_current(&self, paths: &Paths, name: &str) -> io::Result<bool> {
        Ok(open(&paths.spool().join(name))?.is_some_and(|(_, id)| id == self.file))
    }

    fn follow(&mut self, mut file: File, events: &mut Vec<Event>, most: usize) -> io::Result<()> {
        file.seek(SeekFrom::Start(self.offset))?;
        let mut lines = BufReader::new(file.take(LIMIT * 2));
        let mut line = Vec::new();
        while events.len() < most {
            line.clear();
            let read = lines.read_until(b'\n', &mut line)?;
            // A line that is just being written is for the next time.
            if line.last() != Some(&b'\n') {
                break;
            }
            self.offset += read as u64;
            events.extend(serde_json::from_slice::<Event>(&line).ok());
        }
        Ok(())
    }
}

fn open(path: &PathBuf) -> io::Result<Option<(File, (u64, u64))>> {
    let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
    match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => {
            let id = id(&file.metadata()?);
            Ok(Some((file, id)))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
