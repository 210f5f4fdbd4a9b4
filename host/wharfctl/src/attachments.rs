//! `wharfctl attachments`: what exists on this node, as a table and as a drawing.

mod svg;

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use wharf_broker::Paths;
use wharf_broker::overview::{Attached, Overview, State, overview};
use wharf_broker::time::utc;
use wharf_ops::nat::{PortForward, Protocol};

use crate::recover::kernel;
use crate::say;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Also draw the topology into this file.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

pub(crate) fn run(paths: &Paths, options: &Options) -> Result<()> {
    let all = overview(paths, kernel)?;
    if let Some(file) = &options.svg {
        let drawing = svg::draw(&all);
        std::fs::write(file, drawing).with_context(|| format!("cannot write {}", file.display()))?;
    }
    let text = if options.json { serde_json::to_string_pretty(&all)? + "\n" } else { table(&all) };
    say::text(&text)?;
    match all.odd.as_slice() {
        [] => Ok(()),
        odd => bail!("these are all but what cannot be read: {}", odd.join("; ")),
    }
}

fn table(all: &Overview) -> String {
    let mut text = String::new();
    if all.attachments.is_empty() {
        text.push_str("there are no attachments\n");
    } else {
        let head =
            ["NETWORK", "CONTAINER", "IFNAME", "ENTRY", "SINCE", "ADDRESSES", "HOST LINK", "PORTS", "STATE"];
        let mut rows = vec![head.map(str::to_owned)];
        rows.extend(all.attachments.iter().map(row));
        let width = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..head.len()).map(width).collect();
        for row in &rows {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
            text.push('\n');
        }
    }
    for name in &all.unreadable {
        // Writing to a String does not fail.
        let _ = writeln!(text, "{name}: nothing of this journal can be read");
    }
    text
}

fn row(one: &Attached) -> [String; 9] {
    let joined = |parts: Vec<String>| if parts.is_empty() { "-".into() } else { parts.join(",") };
    let host_link = one.host_link.clone().map(|link| match &one.bridge {
        Some(bridge) => format!("{link}@{bridge}"),
        None => link,
    });
    [
        one.attachment.network.clone(),
        one.attachment.container.clone(),
        one.attachment.ifname.clone(),
        one.entries.join(","),
        utc(one.since),
        joined(one.addresses.iter().map(ToString::to_string).collect()),
        joined(host_link.into_iter().collect()),
        joined(one.ports.iter().map(port).collect()),
        state(one.state).to_owned(),
    ]
}

fn state(state: State) -> &'static str {
    match state {
        State::Committed => "committed",
        State::Unfinished => "unfinished",
        State::Gone => "gone",
    }
}

/// `8080→80/tcp`, with the host's address if it is a certain one.
fn port(forward: &PortForward) -> String {
    let protocol = match forward.protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Sctp => "sctp",
    };
    let host = match forward.host_address.filter(|host| !host.is_unspecified()) {
        Some(host) => std::net::SocketAddr::new(host, forward.host_port).to_string(),
        None => forward.host_port.to_string(),
    };
    format!("{host}→{}/{protocol}", forward.container_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_line_per_attachment() {
        let mut all = svg::tests::overview(2);
        let text = table(&all);
        assert_eq!(text.lines().count(), 3, "{text}");
        let line = text.lines().nth(1).unwrap();
        for word in
            ["net", "c0", "eth0", "bridge,portmap", "10.1.0.2/24", "veth0@br0", "8000→80/tcp", "committed"]
        {
            assert!(line.contains(word), "{line}");
        }
        all.attachments.clear();
        assert_eq!(table(&all), "there are no attachments\n");
    }
}
