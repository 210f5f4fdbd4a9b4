//! An initramfs: a tree of files in the kernel's own archive format, "newc" of cpio.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// What is at a path.
#[derive(Debug)]
enum Entry {
    Folder,
    /// The content of a file of this system, with its permissions.
    Copy(PathBuf),
    Text(u32, String),
    Link(PathBuf),
}

/// A tree that is to be written. Paths are absolute, as they will be.
#[derive(Debug, Default)]
pub(in crate::test) struct Tree {
    // In order of their components: a folder comes before what it holds, as the kernel needs it.
    entries: BTreeMap<PathBuf, Entry>,
}

impl Tree {
    /// An empty folder, and its parents.
    pub(in crate::test) fn folder(&mut self, path: &Path) {
        for folder in path.ancestors().filter(|folder| folder.parent().is_some()) {
            self.entries.entry(folder.to_owned()).or_insert(Entry::Folder);
        }
    }

    /// What `from` holds; a link is followed.
    pub(in crate::test) fn copy(&mut self, from: &Path, to: &Path) {
        self.insert(to, Entry::Copy(from.to_owned()));
    }

    /// A file with these permissions and this text.
    pub(in crate::test) fn text(&mut self, path: &Path, mode: u32, text: &str) {
        self.insert(path, Entry::Text(mode, text.to_owned()));
    }

    /// A symbolic link.
    pub(in crate::test) fn link(&mut self, path: &Path, target: &Path) {
        self.insert(path, Entry::Link(target.to_owned()));
    }

    /// A folder of this system with all below it; links stay links.
    pub(in crate::test) fn copy_all(&mut self, from: &Path, to: &Path) -> Result<()> {
        self.folder(to);
        let entries = fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))?;
        for entry in entries {
            let entry = entry.with_context(|| format!("cannot list {}", from.display()))?;
            let (from, to) = (entry.path(), to.join(entry.file_name()));
            let kind = entry.file_type().with_context(|| format!("cannot look at {}", from.display()))?;
            if kind.is_dir() {
                self.copy_all(&from, &to)?;
            } else if kind.is_symlink() {
                let target = fs::read_link(&from);
                self.link(&to, &target.with_context(|| format!("cannot read {}", from.display()))?);
            } else if kind.is_file() {
                self.copy(&from, &to);
            }
        }
        Ok(())
    }

    /// Whether something is at that path already.
    pub(in crate::test) fn has(&self, path: &Path) -> bool {
        self.entries.contains_key(path)
    }

    fn insert(&mut self, path: &Path, entry: Entry) {
        if let Some(parent) = path.parent() {
            self.folder(parent);
        }
        self.entries.insert(path.to_owned(), entry);
    }

    /// Writes the archive. The inodes are numbers of this archive alone.
    pub(in crate::test) fn write(&self, out: &mut impl Write) -> Result<()> {
        const FOLDER: u32 = 0o040_755;
        const LINK: u32 = 0o120_777;
        const FILE: u32 = 0o100_000;
        let mut inode = 0;
        for (path, entry) in &self.entries {
            inode += 1;
            let name = path.strip_prefix("/").unwrap_or(path).as_os_str();
            match entry {
                Entry::Folder => record(out, inode, FOLDER, name, b"")?,
                Entry::Link(target) => record(out, inode, LINK, name, target.as_os_str().as_bytes())?,
                Entry::Text(mode, text) => record(out, inode, FILE | mode, name, text.as_bytes())?,
                Entry::Copy(from) => {
                    let read = || Ok((fs::metadata(from)?.permissions().mode() & 0o777, fs::read(from)?));
                    let (mode, content) = read().map_err(|error: std::io::Error| {
                        anyhow::Error::new(error).context(format!("cannot read {}", from.display()))
                    })?;
                    record(out, inode, FILE | mode, name, &content)?;
                }
            }
        }
        record(out, 0, 0, OsStr::new("TRAILER!!!"), b"")
    }
}

/// A header of thirteen numbers, the name and the content, each padded to four bytes.
fn record(out: &mut impl Write, inode: u32, mode: u32, name: &OsStr, content: &[u8]) -> Result<()> {
    const HEADER: usize = 110;
    let length = |bytes: usize| u32::try_from(bytes).context("a file of 4 GB and more fits no initramfs");
    let name_length = name.len() + 1;
    // Inode, mode, owner, group, links, time, length, device (twice two numbers), length of the name, checksum.
    let numbers = [inode, mode, 0, 0, 1, 0, length(content.len())?, 0, 0, 0, 0, length(name_length)?, 0];
    let mut record = b"070701".to_vec();
    for number in numbers {
        write!(record, "{number:08X}")?;
    }
    record.extend(name.as_bytes());
    record.resize((HEADER + name_length).next_multiple_of(4), 0);
    let padding = vec![0; content.len().next_multiple_of(4) - content.len()];
    let write = |out: &mut dyn Write| {
        out.write_all(&record)?;
        out.write_all(content)?;
        out.write_all(&padding)
    };
    write(out).with_context(|| format!("cannot write {} into the initramfs", name.display()))
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;
    use crate::sh;

    #[test]
    fn folders_come_before_what_they_hold() {
        let mut tree = Tree::default();
        tree.text(Path::new("/a/b/c"), 0o755, "#!/bin/sh\n");
        tree.link(Path::new("/a/b.d"), Path::new("/a/b"));
        let mut archive = Vec::new();
        tree.write(&mut archive).unwrap();
        assert_eq!(archive.len() % 4, 0);
        let text = String::from_utf8_lossy(&archive);
        let at = ["a\0", "a/b\0", "a/b/c\0", "a/b.d\0", "TRAILER!!!\0"].map(|name| text.find(name).unwrap());
        assert!(at.is_sorted(), "{at:?}");
    }

    #[test]
    fn cpio_reads_it() {
        if sh::find("cpio").is_none() {
            println!("SKIPPED: cpio_reads_it: there is no cpio here");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("source");
        fs::write(&source, "seven..").unwrap();
        let mut tree = Tree::default();
        tree.copy(&source, Path::new("/etc/text"));
        tree.link(Path::new("/sbin"), Path::new("/etc"));
        let out = dir.path().join("out");
        fs::create_dir(&out).unwrap();
        let mut cpio = Command::new("cpio");
        cpio.args(["-i", "--quiet", "--no-absolute-filenames"]).current_dir(&out).stdin(Stdio::piped());
        let mut child = cpio.spawn().unwrap();
        tree.write(&mut child.stdin.take().unwrap()).unwrap();
        assert!(child.wait().unwrap().success());
        assert_eq!(fs::read_to_string(out.join("etc/text")).unwrap(), "seven..");
        assert_eq!(fs::read_link(out.join("sbin")).unwrap(), Path::new("/etc"));
    }
}
