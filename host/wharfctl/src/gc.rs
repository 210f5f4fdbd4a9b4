//! `wharfctl gc`: removes what no valid attachment of a network holds.

use anyhow::{Context, Result, bail};
use wharf_broker::Paths;
use wharf_broker::collect::{Collection, Item, Kind, Outcome, Report};
use wharf_cni::{config, env};
use wharf_kernel::{Netns, RealKernel};

use crate::say;
use crate::told::whole;

/// What is to be collected.
#[derive(Debug, clap::Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of its own on the command line")]
pub(crate) struct Options {
    /// The network's name, as its configuration has it.
    #[arg(long, value_parser = network)]
    network: String,
    /// An attachment that stays; give one for each.
    #[arg(long, value_name = "CONTAINER/IFNAME", value_parser = attachment, num_args = 1..)]
    valid: Vec<(String, String)>,
    /// Nothing of the network stays.
    #[arg(long, conflicts_with = "valid")]
    all: bool,
    /// Also remove what the reference plugins left: chains and rules whose comments name the network, and ifbs.
    #[arg(long)]
    adopt: bool,
    /// Only say what would be removed.
    #[arg(long)]
    dry_run: bool,
    /// host-local's dataDir; a whole path, below WHARF_ROOT. [default: /var/lib/cni/networks]
    #[arg(long, value_name = "DIR", value_parser = whole::<String>)]
    data_dir: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

fn network(text: &str) -> Result<String, String> {
    config::network_name(text).map_err(|error| error.to_string())?;
    Ok(text.to_owned())
}

fn attachment(text: &str) -> Result<(String, String), String> {
    let Some((container, ifname)) = text.split_once('/') else {
        return Err("give the container's id, a slash, and the interface's name, e.g. 3f5a/eth0".to_owned());
    };
    env::container_id(container).map_err(|error| error.to_string())?;
    env::ifname(ifname).map_err(|error| error.to_string())?;
    Ok((container.to_owned(), ifname.to_owned()))
}

pub(crate) fn run(paths: &Paths, options: &Options) -> Result<()> {
    if options.valid.is_empty() && !options.all {
        bail!(
            "no attachment is given as valid, so everything of network {0:?} would go: name what stays with --valid \
             CONTAINER/IFNAME, or say --all if nothing does",
            options.network
        );
    }
    let collection = Collection {
        network: options.network.clone(),
        valid: options.valid.clone(),
        data_dir: options.data_dir.clone(),
        adopt: options.adopt,
        dry_run: options.dry_run,
    };
    let host = Netns::own().context("cannot open this host's network namespace")?;
    let report = collection.run(paths, &mut RealKernel::new(host, None));
    let text = if options.json {
        serde_json::to_string_pretty(&report)? + "\n"
    } else {
        lines(&report, &options.network)
    };
    say::text(&text)?;
    if !report.is_complete() {
        bail!("not everything could be collected");
    }
    Ok(())
}

fn lines(report: &Report, network: &str) -> String {
    let mut lines: Vec<String> = report.items.iter().map(line).collect();
    lines.extend(report.errors.iter().map(|error| format!("error: {error}")));
    if lines.is_empty() {
        lines.push(format!("network {network} has nothing here that no valid attachment holds"));
    }
    lines.join("\n") + "\n"
}

fn line(item: &Item) -> String {
    let (verb, reason) = match &item.outcome {
        Outcome::Removed => ("removed", String::new()),
        Outcome::WouldRemove => ("would remove", String::new()),
        Outcome::Unsure => ("left", ": it does not say whether it is of this network".to_owned()),
        Outcome::Failed(error) => ("failed", format!(": {error}")),
    };
    let kind = match item.kind {
        Kind::Rules => "",
        Kind::Attachment => "attachment ",
        Kind::Link => "link ",
        Kind::Lease => "lease ",
    };
    let of = match (item.container.as_str(), item.ifname.as_str()) {
        ("", _) => String::new(),
        // It is in the name of these already.
        _ if item.kind == Kind::Attachment || item.kind == Kind::Rules && !item.reference => String::new(),
        (container, "") => format!(" of {container}"),
        (container, ifname) => format!(" of {container}/{ifname}"),
    };
    let by = if item.reference { " (reference plugin)" } else { "" };
    format!("{verb} {kind}{}{of}{by}{reason}", item.what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attachment_is_a_container_and_an_interface() {
        assert_eq!(attachment("3f5a/eth0"), Ok(("3f5a".to_owned(), "eth0".to_owned())));
        for text in ["3f5a", "/eth0", "3f5a/", "a/b/c", "3f 5a/eth0", "../x/eth0"] {
            attachment(text).unwrap_err();
        }
        for text in ["", "../net", "a/b"] {
            network(text).unwrap_err();
        }
    }

    #[test]
    fn a_forgotten_list_removes_nothing() {
        let root = tempfile::tempdir().unwrap();
        let options = Options {
            network: "net".into(),
            valid: vec![],
            all: false,
            adopt: false,
            dry_run: false,
            data_dir: None,
            json: false,
        };
        let error = run(&Paths::below(root.path()), &options).unwrap_err().to_string();
        assert!(error.contains("--valid") && error.contains("--all"), "{error}");
    }

    #[test]
    fn each_thing_is_a_line() {
        let item = |kind, what: &str, ifname: &str, reference, outcome| Item {
            kind,
            what: what.into(),
            container: "c".into(),
            ifname: ifname.into(),
            reference,
            outcome,
        };
        let report = Report {
            items: vec![
                item(Kind::Rules, "rules of n/c/eth0", "eth0", false, Outcome::Removed),
                item(Kind::Lease, "10.1.0.2", "eth0", false, Outcome::WouldRemove),
                item(Kind::Rules, "iptables nat chain CNI-x", "", true, Outcome::Failed("no".into())),
            ],
            errors: vec!["leases: locked".into()],
        };
        assert_eq!(
            lines(&report, "n"),
            "removed rules of n/c/eth0\nwould remove lease 10.1.0.2 of c/eth0\n\
             failed iptables nat chain CNI-x of c (reference plugin): no\nerror: leases: locked\n"
        );
        assert!(!report.is_complete());
        assert!(lines(&Report::default(), "n").contains("nothing"));
    }
}
