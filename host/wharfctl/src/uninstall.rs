//! `wharfctl uninstall`: first no pod is attached any more, then the pods that run go one by one as they always do, and
//! with the last one goes everything that was installed.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::net::if_::if_nametoindex;
use serde_json::Value;
use wharf_broker::collect::Collection;
use wharf_broker::guests::write_atomically;
use wharf_broker::log::Log;
use wharf_broker::overview::{Attached, State, overview};
use wharf_broker::{Paths, Unreadable, guests};

use crate::drop_in::{gone, is_own, replaced, unlink};
use crate::grants;
use crate::install::Installed;
use crate::lists::{self, CONF_DIR, OWN};
use crate::recover::kernel;
use crate::say::say;
use crate::told::whole;

/// Every pod has it, those of other networks too; to delete it takes no record.
const LOOPBACK: &str = "loopback";
/// How often is looked whether the last pod has gone.
const AGAIN: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Where the runtime looks for CNI plugins, beside the folders that were installed into; a whole path, below WHARF_ROOT.
    #[arg(long, default_value = "/opt/cni/bin", value_parser = whole::<PathBuf>)]
    bin_dir: PathBuf,
    /// The runtime's folder of network configuration lists; a whole path, below WHARF_ROOT.
    #[arg(long, default_value = CONF_DIR, value_parser = whole::<PathBuf>)]
    conf_dir: PathBuf,
    /// Wait for the last pod.
    #[arg(long)]
    wait: bool,
    /// With --wait: give up after so many seconds.
    #[arg(long, value_name = "SECONDS", requires = "wait")]
    timeout: Option<u64>,
    /// Afterwards stay until SIGTERM, as the container of a DaemonSet has to.
    #[arg(long)]
    stay: bool,
}

pub(crate) fn run(paths: &Paths, options: &Options) -> Result<()> {
    let conf_dir = paths.inside(&options.conf_dir.to_string_lossy());
    let mut installed = Installed::read(paths)?;
    retire(paths, &installed, &conf_dir)?;
    installed.bin_dirs.insert(Path::new("/").join(&options.bin_dir));
    withdraw(paths, &installed, &conf_dir)?;
    let until = options.timeout.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let mut said = None;
    loop {
        let mut left = attachments(paths)?;
        left.retain(|one| one.entries != [LOOPBACK] || !comes_back(paths, &installed, LOOPBACK));
        if left.is_empty() {
            break;
        }
        if said != Some(left.len()) {
            say!("{} attachments are there: {}", left.len(), names(&left));
            for one in &left {
                if let Some(reason) = &one.unseen {
                    let wharf_ops::Attachment { network, container, ifname } = &one.attachment;
                    say!(
                        "{container}/{ifname}: its namespace cannot be seen from here ({reason}); if its pod is gone, \
                         `wharfctl gc --network {network}` removes it"
                    );
                }
            }
            said = Some(left.len());
        }
        if !options.wait || until.is_some_and(|until| Instant::now() >= until) {
            let next = match options.timeout {
                Some(seconds) => {
                    format!("the {seconds} seconds are over, so run this again, with --timeout or without")
                }
                None => "run this again when they are gone, or say --wait".to_owned(),
            };
            bail!("they keep their network and can be deleted, and no pod is attached any more; {next}");
        }
        std::thread::sleep(AGAIN);
    }
    let bridges = bridges(&conf_dir)?;
    remove(paths, &installed)?;
    for line in what_stays(paths, &installed, &conf_dir, &bridges)? {
        say!("{line}");
    }
    if !options.stay {
        return Ok(());
    }
    loop {
        nix::unistd::pause();
    }
}

/// From now on no ADD is served. Those of our own lists' networks are refused: what they attach would be nobody's to delete
/// once the lists are gone. A network that another list has too is not meant.
fn retire(paths: &Paths, installed: &Installed, conf_dir: &Path) -> Result<()> {
    let file = paths.retired();
    let directory = file.parent().context("a file is in a folder")?;
    let own = own_lists(paths, installed);
    let mut networks: BTreeSet<String> = wharf_broker::retired_networks(paths);
    networks.extend(own.iter().filter_map(|file| {
        let list = lists::parse(&fs::read(file).ok()?, true).ok()?;
        Some(list.network.name)
    }));
    for other in lists::read(conf_dir)?.iter().filter(|file| !own.contains(&file.path)) {
        if let Ok(list) = &other.list {
            networks.remove(&list.network.name);
        }
    }
    let mut lines = vec!["`wharfctl install` ends this.".to_owned()];
    lines.extend(networks.iter().map(|network| format!("network {network}")));
    let text = lines.join("\n") + "\n";
    Ok(write_atomically(directory, "retired", text.as_bytes())?)
}

fn own_lists(paths: &Paths, installed: &Installed) -> Vec<PathBuf> {
    installed.conflists.iter().map(|file| paths.inside(&file.to_string_lossy())).collect()
}

/// Takes our lists away, if the runtime has another one: some runtimes delete no pod while they have none.
fn withdraw(paths: &Paths, installed: &Installed, conf_dir: &Path) -> Result<()> {
    let own = own_lists(paths, installed);
    let others = lists::read(conf_dir)?;
    let other = others.iter().find(|file| file.list.is_ok() && !own.contains(&file.path));
    match other {
        Some(other) => {
            for file in own.iter().filter(|file| file.exists()) {
                say!("{}: removed, for there is {}", file.display(), other.path.display());
                gone(fs::remove_file(file), file)?;
            }
        }
        None => {
            for file in own.iter().filter(|file| file.exists()) {
                say!("{}: stays until the last pod is gone: there is no other list", file.display());
            }
        }
    }
    Ok(())
}

/// The attachments that a runtime has still to delete. What is known to have lost its namespace is collected; not to see it
/// is no proof.
fn attachments(paths: &Paths) -> Result<Vec<Attached>> {
    wharf_broker::recover(paths, &kernel, Log::from_env(), Unreadable::Stays)?;
    let all = overview(paths, kernel)?;
    if !all.unreadable.is_empty() {
        bail!(
            "nothing can be read of these journals, so nobody knows what they own: {}; the DELs of their pods remove them, \
             and if those are gone, `wharfctl recover --force` does",
            all.unreadable.join(", ")
        );
    }
    if !all.odd.is_empty() {
        bail!("nobody knows what these stand for: {}", all.odd.join("; "));
    }
    let (lost, left): (Vec<_>, Vec<_>) =
        all.attachments.into_iter().partition(|one| one.state == State::Gone);
    for network in lost.iter().map(|one| &one.attachment.network) {
        let of = left.iter().filter(|one| one.attachment.network == *network);
        let valid = of.map(|one| (one.attachment.container.clone(), one.attachment.ifname.clone())).collect();
        let collection =
            Collection { network: network.clone(), valid, data_dir: None, adopt: false, dry_run: false };
        // Not what has no record: pods that the plugins before Wharf attached are as alive as ours.
        let report = collection.run_recorded(paths);
        if !report.is_complete() {
            bail!(
                "network {network}: what lost its namespace could not be collected; see `wharfctl gc --network {network}`"
            );
        }
    }
    Ok(left)
}

/// Whether the plugin that was there before takes over what Wharf made under its name, wherever that is a link of ours.
fn comes_back(paths: &Paths, installed: &Installed, name: &str) -> bool {
    let links = installed.bin_dirs.iter().map(|folder| paths.inside(&folder.to_string_lossy()).join(name));
    let mut ours = links.filter(|link| is_own(link)).peekable();
    ours.peek().is_some() && ours.all(|link| replaced(&link).symlink_metadata().is_ok())
}

fn names(all: &[Attached]) -> String {
    let mut names: Vec<String> = all
        .iter()
        .take(5)
        .map(|one| format!("{}/{}", one.attachment.container, one.attachment.ifname))
        .collect();
    if all.len() > names.len() {
        names.push("...".to_owned());
    }
    names.join(", ")
}

/// Removes the links of a folder of plugins, and the binary after them.
fn empty(bin_dir: &Path) -> Result<()> {
    for entry in fs::read_dir(bin_dir).into_iter().flatten().flatten() {
        if is_own(&entry.path()) {
            unlink(&entry.path())?;
        }
    }
    let binary = bin_dir.join(OWN);
    gone(fs::remove_file(&binary), &binary)
}

/// Removes a folder with all that is in it. One that something is mounted on, as in a container, stays, empty.
fn emptied(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == ErrorKind::ResourceBusy && fs::read_dir(folder)?.next().is_none() => {
            Ok(())
        }
        outcome => gone(outcome, folder),
    }
}

/// Removes everything; lists first, the binary after what names it.
fn remove(paths: &Paths, installed: &Installed) -> Result<()> {
    for file in &installed.conflists {
        let file = paths.inside(&file.to_string_lossy());
        gone(fs::remove_file(&file), &file)?;
    }
    for bin_dir in &installed.bin_dirs {
        empty(&paths.inside(&bin_dir.to_string_lossy()))?;
    }
    for name in guests::names(paths)? {
        let file = paths.grants().join(format!("{name}.toml"));
        if grants::untouched(paths, &name) {
            gone(fs::remove_file(&file), &file)?;
        } else if file.exists() {
            say!("{}: stays, for it was changed by hand", file.display());
        }
    }
    // An empty folder is nobody's.
    let _ = fs::remove_dir(paths.grants());
    for file in [paths.pod_cidrs(), paths.installed()] {
        gone(fs::remove_file(&file), &file)?;
    }
    for folder in [paths.guests(), paths.artefacts(), paths.inside("/run/wharf")] {
        emptied(&folder)?;
    }
    // Until here, whoever comes is refused.
    gone(fs::remove_file(paths.retired()), &paths.retired())?;
    let _ = fs::remove_dir(paths.inside("/var/lib/wharf"));
    say!("Wharf is removed from this node");
    Ok(())
}

/// The bridges that lists name and that are there.
fn bridges(conf_dir: &Path) -> Result<BTreeSet<String>> {
    let lists = lists::read(conf_dir)?;
    let plugins = lists.iter().filter_map(|file| file.list.as_ref().ok()).flat_map(|list| &list.plugins);
    let of_bridge = plugins.filter(|plugin| plugin.kind == "bridge");
    let names =
        of_bridge.map(|plugin| plugin.raw.get("bridge").and_then(Value::as_str).unwrap_or("cni0").to_owned());
    Ok(names.filter(|name| if_nametoindex(name.as_str()).is_ok()).collect())
}

/// What is left on purpose, a line each: it is the operator's, or others may use it.
fn what_stays(
    paths: &Paths,
    installed: &Installed,
    conf_dir: &Path,
    bridges: &BTreeSet<String>,
) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    if paths.settings().exists() {
        lines.push(format!("{}: stays, for it is the operator's", paths.settings().display()));
    }
    for name in bridges {
        lines.push(format!(
            "the bridge {name}: stays, for others may use it; `ip link delete {name}` removes it"
        ));
    }
    let folders: Vec<PathBuf> =
        installed.bin_dirs.iter().map(|folder| paths.inside(&folder.to_string_lossy())).collect();
    let is_gone = |name: &str| {
        (name == OWN || guests::SHIPPED.contains(&name))
            && !folders.iter().any(|folder| folder.join(name).exists())
    };
    for file in lists::read(conf_dir)? {
        let Ok(list) = &file.list else { continue };
        let named =
            list.plugins.iter().flat_map(|plugin| [Some(plugin.kind.as_str()), plugin.ipam()]).flatten();
        let gone: BTreeSet<&str> = named.filter(|name| is_gone(name)).collect();
        if !gone.is_empty() {
            let gone = gone.into_iter().collect::<Vec<_>>().join(", ");
            lines.push(format!("{}: stays, and names plugins that are gone: {gone}", file.path.display()));
        }
    }
    Ok(lines)
}
