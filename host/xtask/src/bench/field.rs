//! Where it is measured: for each contender nodes of its own, and container namespaces that exist beforehand.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::netns::Netns;
use crate::workspace::create_dir;

/// Makes namespaces under one folder.
pub(crate) struct Field {
    dir: PathBuf,
    made: RefCell<usize>,
}

impl Field {
    /// In an empty folder.
    pub(crate) fn new(dir: &Path) -> Result<Self> {
        create_dir(dir)?;
        Ok(Self { dir: dir.to_owned(), made: RefCell::new(0) })
    }

    /// A new namespace: a node without rules and links, or a container.
    pub(crate) fn namespace(&self) -> Result<Netns> {
        let mut made = self.made.borrow_mut();
        *made += 1;
        Netns::create(&self.dir.join(made.to_string()))
    }

    /// As many new ones.
    pub(crate) fn namespaces(&self, count: usize) -> Result<Vec<Netns>> {
        (0..count).map(|_| self.namespace()).collect::<Result<_>>().context("cannot make the containers")
    }
}
