//! The files that calls leave on a node: leases and journals. What only makes things fast is left out.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The files below a root, by their path there. Links (to the guests) are not followed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Files(BTreeMap<PathBuf, Vec<u8>>);

/// May vanish at any time.
const FLEETING: [&str; 4] =
    ["run/wharf/bridges", "run/wharf/grants", "run/wharf/leases", "run/wharf/telemetry"];

impl Files {
    /// Reads what is there.
    pub(crate) fn read(root: &Path) -> io::Result<Self> {
        let mut files = Self::default();
        files.collect(root, Path::new(""))?;
        Ok(files)
    }

    fn collect(&mut self, root: &Path, below: &Path) -> io::Result<()> {
        for entry in fs::read_dir(root.join(below))? {
            let entry = entry?;
            let path = below.join(entry.file_name());
            let kind = entry.file_type()?;
            if kind.is_dir() && !FLEETING.iter().any(|fleeting| path == Path::new(fleeting)) {
                self.collect(root, &path)?;
            } else if kind.is_file() {
                self.0.insert(path.clone(), fs::read(root.join(path))?);
            }
        }
        Ok(())
    }

    /// Writes them below another root.
    pub(crate) fn write(&self, root: &Path) -> io::Result<()> {
        for (path, bytes) in &self.0 {
            let path = root.join(path);
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(path, bytes)?;
        }
        Ok(())
    }

    /// What is worth telling, a line each: whose leases and records there are.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.iter().filter_map(|(path, bytes)| line(path, bytes)).collect()
    }
}

fn line(path: &Path, bytes: &[u8]) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    if path.starts_with("run/wharf/attachments") {
        // A journal that is empty says nothing.
        return (!bytes.is_empty()).then(|| format!("record {name}"));
    }
    // A lease is named by its address, and says whose it is in its first two lines.
    name.parse::<std::net::IpAddr>().ok()?;
    let text = String::from_utf8_lossy(bytes);
    let mut owner = text.lines();
    let (container, ifname) = (owner.next().unwrap_or_default(), owner.next().unwrap_or_default());
    let pool = path.parent()?.file_name()?.to_string_lossy().into_owned();
    Some(format!("lease {pool} {name} of {container}/{ifname}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_can_be_written_elsewhere() {
        let [a, b] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let pool = a.path().join("var/lib/cni/networks/net");
        fs::create_dir_all(&pool).unwrap();
        fs::write(pool.join("10.1.0.2"), "c1\r\neth0").unwrap();
        fs::write(pool.join("last_reserved_ip.0"), "10.1.0.2").unwrap();
        fs::create_dir_all(a.path().join("run/wharf/leases/net")).unwrap();
        fs::write(a.path().join("run/wharf/leases/net/index"), "x").unwrap();
        let files = Files::read(a.path()).unwrap();
        assert_eq!(files.lines(), ["lease net 10.1.0.2 of c1/eth0"]);
        files.write(b.path()).unwrap();
        assert_eq!(Files::read(b.path()).unwrap(), files);
        assert!(!b.path().join("run").exists());
    }
}
