//! The scenario, step by step. Each step shows what a person wants to see and fails with what was seen instead.

use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::Value;

use super::leftover::{FILES, Listing, RULES};
use super::stage::{BRIDGE, CONTAINER_PORT, Container, INTO, NODE, OUT_OF, OUTSIDE, Stage, WAN};
use super::traffic::{self, Direction};
use crate::{cni, say, sh};

/// A container with the result of its ADD.
struct Attached<'a> {
    container: &'a Container,
    result: Value,
}

/// Plays everything from the first ADD to the proof that nothing is left.
pub(crate) fn play(stage: &Stage) -> Result<()> {
    let before = Listing::read(&stage.root)?;
    let [one, two] = &stage.containers;
    let one = add(stage, one, true)?;
    let with_one = Listing::read(&stage.root)?;
    let two = add(stage, two, false)?;
    let with_two = Listing::read(&stage.root)?;
    let brought: Vec<&str> =
        with_two.beyond(&with_one).filter(|(part, _)| is_ours_alone(part)).flat_map(|(_, new)| new).collect();
    ping(&one, &two)?;
    mapped_port(stage, &one)?;
    masquerade(stage, &two)?;
    shaping(stage, &one)?;
    for attached in [&one, &two] {
        check(stage, attached)?;
    }
    for attached in [&one, &two] {
        delete(stage, attached)?;
    }
    nothing_left(stage, &before, &brought, &[one, two])
}

fn add<'a>(stage: &Stage, container: &'a Container, first: bool) -> Result<Attached<'a>> {
    let name = &container.attachment.container;
    say::heading(&format!("ADD {name}: bridge, host-local, portmap and bandwidth in one process"));
    let config = container.config();
    if first {
        say::line(format_args!("the configuration on stdin: {config}"));
    }
    let begin = Instant::now();
    let result = cni::start(&stage.runtime, &stage.wharf, "ADD", &container.attachment, &config)?.result()?;
    let took = begin.elapsed();
    let text = if first { format!("{result:#}") } else { result.to_string() };
    for line in text.lines() {
        say::line(line);
    }
    say::good(format_args!("{name} has its network after {:.1} ms", took.as_secs_f64() * 1e3));
    Ok(Attached { container, result })
}

impl Attached<'_> {
    fn name(&self) -> &str {
        &self.container.attachment.container
    }

    /// The container's address of one family, from the result.
    fn address(&self, v6: bool) -> Result<IpAddr> {
        let ips = self.result.get("ips").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        ips.iter()
            .filter_map(|ip| ip.get("address")?.as_str()?.split('/').next()?.parse().ok())
            .find(|ip: &IpAddr| ip.is_ipv6() == v6)
            .ok_or_else(|| anyhow!("the result of {} has no {} address", self.name(), family(v6)))
    }

    /// The configuration with the result, as CHECK and DEL get it.
    fn config(&self) -> Value {
        let mut config = self.container.config();
        if let Some(object) = config.as_object_mut() {
            object.insert("prevResult".to_owned(), self.result.clone());
        }
        config
    }
}

fn ping(one: &Attached, two: &Attached) -> Result<()> {
    say::heading("Ping from one container to the other");
    for v6 in [false, true] {
        let target = two.address(v6)?;
        let mut command = Command::new("ping");
        command.args(["-n", "-c", "3", "-i", "0.2", "-w", "5", &target.to_string()]);
        let line = sh::display(&command);
        say::command(&format!("in {}: {line}", one.name()));
        let output = one.container.netns.run(|| sh::output(&mut command))?;
        for line in output.lines().filter(|line| line.contains("time=") || line.contains("packet loss")) {
            say::line(line);
        }
        ensure!(
            output.contains(" 0% packet loss"),
            "packets were lost between the containers ({})",
            family(v6)
        );
        say::good(format_args!("{} reaches {} over {}", one.name(), two.name(), family(v6)));
    }
    Ok(())
}

fn mapped_port(stage: &Stage, one: &Attached) -> Result<()> {
    say::heading("HTTP from outside through the mapped port");
    for (v6, node) in [(false, NODE[0]), (true, NODE[1])] {
        let target = SocketAddr::new(node.parse().context("the node's address")?, one.container.host_port);
        say::command(&format!("outside: GET http://{target}/"));
        let seen = traffic::http(&one.container.netns, CONTAINER_PORT, &stage.outside, target, one.name())?;
        say::line(format_args!("{}: {}", seen.status, seen.body));
        ensure!(
            seen.status.contains("200") && seen.body.contains(one.name()),
            "not the page of {}",
            one.name()
        );
        say::good(format_args!("{target} leads to port {CONTAINER_PORT} of {} ({})", one.name(), family(v6)));
    }
    Ok(())
}

fn masquerade(stage: &Stage, two: &Attached) -> Result<()> {
    say::heading("From a container to the outside, masqueraded");
    for (v6, outside, node) in [(false, OUTSIDE[0], NODE[0]), (true, OUTSIDE[1], NODE[1])] {
        let target = SocketAddr::new(outside.parse().context("the outside address")?, 80);
        say::command(&format!("in {}: GET http://{target}/", two.name()));
        let seen = traffic::http(&stage.outside, 80, &two.container.netns, target, "outside")?;
        say::line(format_args!("{}; the server outside saw the client {}", seen.status, seen.client));
        let own = two.address(v6)?;
        ensure!(seen.client.to_string() == node, "the server saw {}, not the node's {node}", seen.client);
        say::good(format_args!("{own} appears as the node's {node}"));
    }
    Ok(())
}

fn shaping(stage: &Stage, one: &Attached) -> Result<()> {
    say::heading("The shaped rates, measured with TCP");
    let target = SocketAddr::new(OUTSIDE[0].parse().context("the outside address")?, 5001);
    for (direction, way, limit) in [
        (Direction::ToClient, "into the container", INTO),
        (Direction::FromClient, "out of the container", OUT_OF),
    ] {
        let rate = traffic::rate(&stage.outside, &one.container.netns, target, direction)? / 1e6;
        let limit = f64::from(u32::try_from(limit / 1_000_000)?);
        let share = 100.0 * rate / limit;
        say::line(format_args!(
            "{way}: {rate:.1} Mbit/s measured, {limit:.0} Mbit/s configured ({share:.0} %)"
        ));
        // Headers take about 5 %; a busy machine may slow the stream, nothing may speed it up.
        ensure!((60.0..=105.0).contains(&share), "the rate {way} is not the configured one");
        say::good(format_args!("{way} it is shaped"));
    }
    Ok(())
}

fn check(stage: &Stage, attached: &Attached) -> Result<()> {
    say::heading(&format!("CHECK {}", attached.name()));
    let call = cni::start(
        &stage.runtime,
        &stage.wharf,
        "CHECK",
        &attached.container.attachment,
        &attached.config(),
    )?;
    if let Some(unexpected) = call.finish()? {
        bail!("CHECK prints nothing when all is well, but it said {unexpected}");
    }
    say::good("everything that ADD made is still as it was made");
    Ok(())
}

fn delete(stage: &Stage, attached: &Attached) -> Result<()> {
    say::heading(&format!("DEL {}", attached.name()));
    let begin = Instant::now();
    cni::start(&stage.runtime, &stage.wharf, "DEL", &attached.container.attachment, &attached.config())?
        .finish()?;
    say::good(format_args!("done after {:.1} ms", begin.elapsed().as_secs_f64() * 1e3));
    let links = attached.container.netns.ip("-o link show")?;
    ensure!(!links.contains("eth0"), "{} still has its interface: {links}", attached.name());
    Ok(())
}

/// The bridge with its own addresses and the empty base table belong to the network and stay, as with every bridge
/// plugin; nothing that belonged to a container may.
///
/// `brought` are lines that came with the last ADD, so that a rule or file without a telling name is found too.
fn nothing_left(stage: &Stage, before: &Listing, brought: &[&str], gone: &[Attached]) -> Result<()> {
    say::heading("What is left");
    let mut words: Vec<String> = Vec::new();
    for attached in gone {
        words.push(attached.name().to_owned());
        words.push(attached.container.host_port.to_string());
        words.extend([attached.address(false)?.to_string(), attached.address(true)?.to_string()]);
    }
    let after = Listing::read(&stage.root)?;
    let mut dirty = Vec::new();
    for (part, new) in after.beyond(before) {
        let is_foreign = |line: &&str| {
            !belongs_to_the_network(part, line, &words) || is_ours_alone(part) && brought.contains(line)
        };
        let foreign: Vec<&str> = new.iter().copied().filter(is_foreign).collect();
        if part == RULES {
            say::line(format_args!("{part}: {} lines, the base of the tables", new.len()));
        } else {
            for line in &new {
                say::line(format_args!("{part}: {line}"));
            }
        }
        if foreign.is_empty() {
            say::good(format_args!("{part}: nothing of the containers"));
        }
        dirty.extend(foreign.into_iter().map(|line| format!("{part}: {line}")));
    }
    ensure!(dirty.is_empty(), "left behind:\n  {}", dirty.join("\n  "));
    Ok(())
}

/// Whether only plugins change that part; the kernel changes the others by itself too, at its own time.
fn is_ours_alone(part: &str) -> bool {
    [RULES, FILES].contains(&part)
}

/// Whether a line may stay after the last DEL; `words` are names, addresses and ports of the containers.
fn belongs_to_the_network(part: &str, line: &str, words: &[String]) -> bool {
    match part {
        RULES => !words.iter().any(|word| line.contains(word)) && !line.contains("elements"),
        FILES => {
            let name = line.rsplit('/').next().unwrap_or_default();
            !words.iter().any(|word| name.contains(word)) && name.parse::<IpAddr>().is_err()
        }
        // The link to the outside is the demo's; with forwarding on, the kernel adds addresses to it.
        _ => line.split_whitespace().any(|word| word == BRIDGE || word == WAN),
    }
}

fn family(v6: bool) -> &'static str {
    if v6 { "IPv6" } else { "IPv4" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_the_networks_own_may_stay() {
        let words = ["demo-one", "8080", "10.88.0.2"].map(str::to_owned);
        for (part, line, stays) in [
            ("links", "wharf0", true),
            ("links", "veth12345678", false),
            ("IPv4 routes", "10.88.0.0/24 dev wharf0 proto kernel scope link src 10.88.0.1 linkdown", true),
            ("qdiscs", "qdisc tbf 1: dev veth1 root rate 40Mbit", false),
            ("nft rules", "type nat hook prerouting priority dstnat; policy accept;", true),
            ("nft rules", "tcp dport 8080 dnat to 10.88.0.2:80", false),
            ("nft rules", "elements = { tcp . 9 : jump x }", false),
            ("leases and state files", "/var/lib/cni/networks/demo/last_reserved_ip.0", true),
            ("leases and state files", "/var/lib/cni/networks/demo/10.88.0.9", false),
            ("leases and state files", "/run/wharf/demo-one-eth0", false),
        ] {
            assert_eq!(belongs_to_the_network(part, line, &words), stays, "{part}: {line}");
        }
    }
}
