//! Packets: what becomes of them, in words, and whether that is what was expected.

use anyhow::{Result, anyhow};
use wharf_sim::{Outcome, Passage, Probe, Sim, Space};

use super::format;
use super::machine::Spaces;

/// What became of a packet, a line each; and what is not as expected.
pub(super) fn ask(
    sim: &Sim,
    spaces: &Spaces,
    asked: &format::Probe,
    number: u16,
) -> Result<(Vec<String>, Vec<String>)> {
    let from = spaces.named(&asked.from)?;
    let probe = Probe {
        from,
        source: asked.source,
        // Each is a connection of its own.
        source_port: 40_000 + number,
        protocol: asked.protocol,
        to: asked.to,
    };
    let passage = sim.send(&probe);
    Ok((told(spaces, &passage), compare(spaces, asked, &passage)))
}

impl Spaces {
    fn named(&self, name: &str) -> Result<Space> {
        if name == "host" {
            return Ok(self.host);
        }
        let found = self.containers.get(name).copied();
        found.ok_or_else(|| anyhow!("there is no container {name:?}; the host is called `host`"))
    }

    fn name(&self, space: Space) -> &str {
        let found = self.containers.iter().find(|(_, container)| **container == space);
        found.map_or("host", |(name, _)| name)
    }
}

fn told(spaces: &Spaces, passage: &Passage) -> Vec<String> {
    let mut lines = vec![match &passage.outcome {
        Outcome::Delivered { at, source, destination } => {
            format!("arrives at {} from {source} to {destination}", spaces.name(*at))
        }
        Outcome::Left { at, link, source, destination } => {
            format!("leaves {} by {link} from {source} to {destination}", spaces.name(*at))
        }
        Outcome::Dropped { at, reason } => format!("is dropped at {}: {reason}", spaces.name(*at)),
    }];
    if !passage.hops.is_empty() {
        let hops = passage.hops.iter().map(|hop| format!("{}:{}", spaces.name(hop.at), hop.link));
        lines.push(format!("by {}", hops.collect::<Vec<_>>().join(", ")));
    }
    if let Some(rate) = passage.rate {
        lines.push(format!("at {rate} bit/s at most"));
    }
    lines
}

fn compare(spaces: &Spaces, asked: &format::Probe, passage: &Passage) -> Vec<String> {
    let outcome = &passage.outcome;
    let (arrives, leaves, dropped, ends) = match outcome {
        Outcome::Delivered { at, source, destination } => {
            (Some(spaces.name(*at)), None, None, Some((source, destination)))
        }
        Outcome::Left { link, source, destination, .. } => {
            (None, Some(link.as_str()), None, Some((source, destination)))
        }
        Outcome::Dropped { reason, .. } => (None, None, Some(reason.as_str()), None),
    };
    let mut wrong = Vec::new();
    let mut expect = |what: &str, wanted: Option<String>, found: Option<String>| {
        if let Some(wanted) = wanted
            && found.as_ref() != Some(&wanted)
        {
            let found = found.unwrap_or_else(|| "none".to_owned());
            wrong.push(format!("{what}: expected {wanted}, found {found}"));
        }
    };
    expect("arrives", asked.arrives.clone(), arrives.map(str::to_owned));
    expect("leaves", asked.leaves.clone(), leaves.map(str::to_owned));
    let (source, destination) = ends.unzip();
    expect(
        "seen-from",
        asked.seen_from.map(|ip| ip.to_string()),
        source.map(|source| source.ip().to_string()),
    );
    expect("seen-to", asked.seen_to.map(|to| to.to_string()), destination.map(ToString::to_string));
    expect("rate", asked.rate.map(|rate| rate.to_string()), Some(passage.rate.unwrap_or(0).to_string()));
    expect("mtu", asked.mtu.map(|mtu| mtu.to_string()), passage.mtu.map(|mtu| mtu.to_string()));
    if let Some(words) = &asked.dropped
        && !dropped.is_some_and(|reason| reason.contains(words))
    {
        wrong.push(format!(
            "dropped: expected {words:?} in the reason, it {}",
            told(spaces, passage).join(", ")
        ));
    }
    wrong
}
