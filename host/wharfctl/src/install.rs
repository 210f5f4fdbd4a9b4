//! `wharfctl install`: guests first, the binary after them, then the links, and a network configuration list last, each
//! by a rename: at no moment does a list name what is not there.

mod list;
mod sysctls;

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use wharf_broker::{Paths, guests};

pub(crate) use list::Installed;

use crate::component::{self, Component, compile};
use crate::grants;
use crate::say::say;
use crate::told::whole;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Where the runtime looks for CNI plugins; a whole path, below WHARF_ROOT.
    #[arg(long, default_value = "/opt/cni/bin", value_parser = whole::<PathBuf>)]
    bin_dir: PathBuf,
    /// The folder of guests (*.wasm) to install. [default: ../guests beside this program's folder, else
    /// /usr/share/wharf/guests]
    #[arg(long)]
    guests: Option<PathBuf>,
    /// The CNI binary to install. [default: `wharf` beside this program]
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Also link each guest's name to the binary, so that existing configurations work unchanged.
    #[arg(long)]
    drop_in: bool,
    /// A network configuration list for the runtime's folder, put there last, under its own name. `usePodCidr` and
    /// `usePodCidrIPv6` in it are replaced by this node's pod CIDRs, which the Kubernetes API is asked for.
    #[arg(long, value_name = "FILE")]
    conflist: Vec<PathBuf>,
    /// The runtime's folder of network configuration lists; a whole path, below WHARF_ROOT.
    #[arg(long, default_value = crate::lists::CONF_DIR, value_parser = whole::<PathBuf>)]
    conf_dir: PathBuf,
    #[command(flatten)]
    api: crate::pod_cidr::Api,
    /// Also set what kube-proxy and a gateway need: net.ipv4.ip_forward, net.ipv6.conf.all.forwarding, and
    /// net.bridge.bridge-nf-call-iptables and -ip6tables.
    #[arg(long)]
    sysctls: bool,
}

/// Where a package puts the guests.
const PACKAGED_GUESTS: &str = "/usr/share/wharf/guests";
/// What a plugin that a link replaces is called from then on.
pub(crate) const REPLACED: &str = "replaced-by-wharf";

pub(crate) fn run(paths: &Paths, options: &Options) -> Result<()> {
    let own = std::env::current_exe().context("cannot tell where this program is")?;
    let beside = own.parent().unwrap_or(Path::new("/"));
    let binary = options.binary.clone().unwrap_or_else(|| beside.join("wharf"));
    if !binary.is_file() {
        bail!("{} is missing: build it, or name it by --binary", binary.display());
    }
    let folder = match &options.guests {
        Some(folder) => folder.clone(),
        None => default_guests()?,
    };
    // All are compiled before any is replaced: that takes seconds, in which the node goes on as it was.
    let files = components(&folder)?;
    let conf_dir = paths.inside(&options.conf_dir.to_string_lossy());
    let lists = options.conflist.iter().map(|file| list::prepare(paths, &options.api, file, &conf_dir));
    let lists = lists.collect::<Result<Vec<_>>>()?;
    let ready =
        files.iter().map(|file| Component::read(file, None)?.compile(compile)).collect::<Result<Vec<_>>>()?;
    for guest in &ready {
        let before = guests::read(paths, &guest.manifest.name).ok();
        grants::would_run(paths, &guest.manifest, before.as_ref())?;
    }
    let mut names = Vec::new();
    for guest in ready {
        let before = component::store(paths, &guest)?;
        say!("{}  {}", guest.manifest.name, guest.manifest.digest);
        let written = grants::write(paths, &guest.manifest, before.as_ref())?;
        grants::tell(paths, &guest.manifest.name, &written);
        names.push(guest.manifest.name);
    }
    let bin_dir = paths.inside(&options.bin_dir.to_string_lossy());
    fs::create_dir_all(&bin_dir).with_context(|| format!("cannot make {}", bin_dir.display()))?;
    Installed::note_bin_dir(paths, &bin_dir)?;
    let target = bin_dir.join("wharf");
    // In one piece, for the page cache then has it in large folios. A copy within the kernel goes page by page, and a start
    // of what it wrote takes a sixth longer until it is read from the disk again.
    let program = fs::read(&binary).with_context(|| format!("cannot read {}", binary.display()))?;
    replace(&target, |temporary| {
        fs::write(temporary, &program)?;
        fs::set_permissions(temporary, fs::Permissions::from_mode(0o755))?;
        fs::File::open(temporary)?.sync_all()
    })?;
    say!("{}", target.display());
    if options.drop_in {
        for name in names {
            drop_in(&bin_dir, &name)?;
        }
    }
    if options.sysctls {
        sysctls::set()?;
    }
    list::put(paths, lists, &conf_dir)
}

/// Where the guests are that came with this program.
pub(crate) fn default_guests() -> Result<PathBuf> {
    let own = std::env::current_exe().context("cannot tell where this program is")?;
    let built = own.parent().unwrap_or(Path::new("/")).join("../guests");
    Ok(if built.is_dir() { built } else { PACKAGED_GUESTS.into() })
}

/// The `*.wasm` files of a folder, by name.
pub(crate) fn components(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| {
        format!("cannot read the folder of guests {}; name one by --guests", folder.display())
    })?;
    let mut files = Vec::new();
    for entry in entries {
        let file = entry?.path();
        if file.extension() == Some(OsStr::new("wasm")) {
            files.push(file);
        }
    }
    if files.is_empty() {
        bail!("there is no *.wasm in {}", folder.display());
    }
    files.sort();
    Ok(files)
}

/// Links a plugin's name to the binary. A plugin that has the name is kept under another.
pub(crate) fn drop_in(bin_dir: &Path, name: &str) -> Result<()> {
    let link = bin_dir.join(name);
    match fs::symlink_metadata(&link) {
        // A link of ours is replaced; a plugin, or somebody else's link to one, is kept.
        Ok(_) if fs::read_link(&link).ok().as_deref() != Some(Path::new("wharf")) => {
            let kept = bin_dir.join(format!("{name}.{REPLACED}"));
            // A hard link: at no moment is there no plugin of that name. What was kept before is an older one.
            replace(&kept, |temporary| fs::hard_link(&link, temporary))
                .with_context(|| format!("cannot keep {}", link.display()))?;
            say!("{} is kept as {}", link.display(), kept.display());
        }
        _ => {}
    }
    replace(&link, |temporary| symlink("wharf", temporary))?;
    say!("{} -> wharf", link.display());
    Ok(())
}

/// Makes a file under a temporary name and renames it to `target`: whoever executes it gets the old or the new one.
fn replace(target: &Path, make: impl FnOnce(&Path) -> io::Result<()>) -> Result<()> {
    let name = target.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let temporary = target.with_file_name(format!(".{name}.{}", std::process::id()));
    let _ = fs::remove_file(&temporary);
    let result = make(&temporary).and_then(|()| fs::rename(&temporary, target));
    // A rename to another link of the same file leaves both.
    let _ = fs::remove_file(&temporary);
    result.with_context(|| format!("cannot write {}", target.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_that_is_replaced_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let bin = directory.path();
        fs::write(bin.join("bridge"), "reference").unwrap();
        drop_in(bin, "bridge").unwrap();
        drop_in(bin, "bridge").unwrap();
        assert_eq!(fs::read_link(bin.join("bridge")).unwrap(), Path::new("wharf"));
        assert_eq!(fs::read_to_string(bin.join("bridge.replaced-by-wharf")).unwrap(), "reference");
        // As an installation leaves it that was cut short between the two steps.
        fs::remove_file(bin.join("bridge")).unwrap();
        fs::hard_link(bin.join("bridge.replaced-by-wharf"), bin.join("bridge")).unwrap();
        drop_in(bin, "bridge").unwrap();
        assert_eq!(fs::read_to_string(bin.join("bridge.replaced-by-wharf")).unwrap(), "reference");
        assert_eq!(fs::read_dir(bin).unwrap().count(), 2);
        symlink("/usr/lib/cni/portmap", bin.join("portmap")).unwrap();
        drop_in(bin, "portmap").unwrap();
        assert_eq!(
            fs::read_link(bin.join("portmap.replaced-by-wharf")).unwrap(),
            Path::new("/usr/lib/cni/portmap")
        );
    }

    #[test]
    fn the_plugin_that_is_kept_is_the_one_that_was_there_last() {
        let directory = tempfile::tempdir().unwrap();
        let bin = directory.path();
        fs::write(bin.join("bridge"), "1.1").unwrap();
        drop_in(bin, "bridge").unwrap();
        // As a package's upgrade does: by a rename over whatever has the name.
        fs::write(bin.join("new"), "1.2").unwrap();
        fs::rename(bin.join("new"), bin.join("bridge")).unwrap();
        drop_in(bin, "bridge").unwrap();
        assert_eq!(fs::read_link(bin.join("bridge")).unwrap(), Path::new("wharf"));
        assert_eq!(fs::read_to_string(bin.join("bridge.replaced-by-wharf")).unwrap(), "1.2");
        assert_eq!(fs::read_dir(bin).unwrap().count(), 2);
    }

    #[test]
    fn a_folder_without_guests_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        assert!(components(directory.path()).unwrap_err().to_string().contains("no *.wasm"));
        assert!(components(&directory.path().join("none")).unwrap_err().to_string().contains("--guests"));
    }
}
