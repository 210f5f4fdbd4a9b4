//! The topology as a drawing: uplink, bridges, ports, containers from left to right, one row per attachment.

use std::fmt::Write as _;

use wharf_broker::overview::{Attached, Overview, State};

/// Pixels.
const ROW: usize = 56;
const TOP: usize = 64;
const MARGIN: usize = 24;
/// Left edges and widths of the columns.
const HOST: (usize, usize) = (MARGIN, 140);
const BRIDGE: (usize, usize) = (244, 130);
const CONTAINER: (usize, usize) = (560, 330);
const PORTS: usize = 906;
const WIDTH: usize = 1160;
/// What a character takes at most, and so what fits.
const CHARACTER: usize = 8;

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1c2733; --soft: #5b6b7b; --paper: #ffffff; --line: #8fa1b3;
  --host: #e8eef5; --bridge: #dcecdf; --box: #f4f1e6; --gone: #f6dcd9; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9fb0c0; --paper: #14191f; --line: #66788a;
  --host: #223041; --bridge: #21392a; --box: #35311f; --gone: #4a2522; } }
text { font: 13px system-ui, sans-serif; fill: var(--ink); }
.soft { font-size: 12px; fill: var(--soft); }
.name { font-weight: 600; }
.paper { fill: var(--paper); }
rect { stroke: var(--line); }
.host { fill: var(--host); } .bridge { fill: var(--bridge); } .box { fill: var(--box); } .gone { fill: var(--gone); }
path { stroke: var(--line); stroke-width: 1.5; fill: none; }
.broken { stroke-dasharray: 5 4; }
";

/// Draws it.
pub(super) fn draw(all: &Overview) -> String {
    let groups = groups(&all.attachments);
    let rows: usize = groups.iter().map(|(_, members)| members.len()).sum();
    let height = TOP + rows.max(1) * ROW + groups.len().saturating_sub(1) * MARGIN + MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" role=\"img\">\n<title>Wharf: attachments of this node</title>\n<style>{STYLE}</style>\n\
         <rect class=\"paper\" x=\"0\" y=\"0\" width=\"{WIDTH}\" height=\"{height}\" stroke=\"none\"/>\n"
    );
    let title = match rows {
        1 => "1 attachment".to_owned(),
        rows => format!("{rows} attachments"),
    };
    text(&mut svg, "name", MARGIN, 36, &title);
    let host_y = (TOP, height - TOP - MARGIN);
    let uplinks = if all.uplinks.is_empty() { "no uplink".to_owned() } else { all.uplinks.join(", ") };
    boxed(&mut svg, "host", HOST, host_y, &["host", &uplinks]);
    let mut y = TOP;
    for (bridge, members) in groups {
        group(&mut svg, bridge, &members, y);
        y += members.len() * ROW + MARGIN;
    }
    svg.push_str("</svg>\n");
    svg
}

/// The attachments by their bridge, those without one last.
fn groups(all: &[Attached]) -> Vec<(Option<&str>, Vec<&Attached>)> {
    let mut groups: Vec<(Option<&str>, Vec<&Attached>)> = Vec::new();
    for one in all {
        let bridge = one.bridge.as_deref();
        match groups.iter_mut().find(|(name, _)| *name == bridge) {
            Some((_, members)) => members.push(one),
            None => groups.push((bridge, vec![one])),
        }
    }
    groups.sort_by_key(|(name, _)| (name.is_none(), *name));
    groups
}

fn group(svg: &mut String, bridge: Option<&str>, members: &[&Attached], y: usize) {
    let height = members.len() * ROW - 12;
    let from = match bridge {
        Some(name) => {
            let count = format!("{} {}", members.len(), if members.len() == 1 { "port" } else { "ports" });
            line(svg, "", HOST.0 + HOST.1, y + height / 2, BRIDGE.0);
            boxed(svg, "bridge", BRIDGE, (y, height), &[name, &count]);
            BRIDGE.0 + BRIDGE.1
        }
        None => HOST.0 + HOST.1,
    };
    for (index, one) in members.iter().enumerate() {
        attached(svg, one, from, y + index * ROW);
    }
}

fn attached(svg: &mut String, one: &Attached, from: usize, y: usize) {
    let height = ROW - 12;
    let middle = y + height / 2;
    let whole = one.state == State::Committed;
    if let Some(link) = &one.host_link {
        line(svg, if whole { "" } else { "broken" }, from, middle, CONTAINER.0);
        text(svg, "soft", CONTAINER.0 - 176, middle - 6, &short(link, 168));
    }
    let wharf_ops::Attachment { network, container, ifname } = &one.attachment;
    let _ = writeln!(svg, "<g><title>{}</title>", escape(&format!("{network} {container}/{ifname}")));
    // The whole identifier stands in the title.
    let name =
        format!("{} · {} · {ifname}", short(container, 14 * CHARACTER), short(network, 12 * CHARACTER));
    let mut below: Vec<String> = one.addresses.iter().map(ToString::to_string).collect();
    if !whole {
        below.insert(0, super::state(one.state).to_owned());
    }
    let below = if below.is_empty() { "no addresses".to_owned() } else { below.join("  ") };
    boxed(svg, if whole { "box" } else { "gone" }, CONTAINER, (y, height), &[&name, &below]);
    svg.push_str("</g>\n");
    let ports: Vec<String> = one.ports.iter().map(super::port).collect();
    let (first, more) = ports.split_at(ports.len().div_ceil(2));
    // Two lines at most, so that rows stay rows.
    for (line, ports) in [first, more].into_iter().enumerate() {
        if !ports.is_empty() {
            text(svg, "soft", PORTS, y + 18 + line * 18, &short(&ports.join("  "), WIDTH - PORTS - 8));
        }
    }
}

/// A rectangle with a name and a line below it, in its middle. `x` and `y` are each an edge and an extent.
fn boxed(svg: &mut String, class: &str, x: (usize, usize), y: (usize, usize), lines: &[&str; 2]) {
    let ((left, width), (top, height)) = (x, y);
    let _ = writeln!(
        svg,
        "<rect class=\"{class}\" x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" rx=\"6\"/>"
    );
    let [name, below] = lines;
    let middle = top + height / 2;
    text(svg, "name", left + 10, middle - 4, &short(name, width - 16));
    text(svg, "soft", left + 10, middle + 14, &short(below, width - 16));
}

fn line(svg: &mut String, class: &str, from: usize, y: usize, to: usize) {
    let _ = writeln!(svg, "<path class=\"{class}\" d=\"M {from} {y} H {to}\"/>");
}

fn text(svg: &mut String, class: &str, x: usize, y: usize, content: &str) {
    let _ = writeln!(svg, "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{}</text>", escape(content));
}

/// What fits into so many pixels, with an ellipsis for the rest.
fn short(text: &str, pixels: usize) -> String {
    let most = pixels / CHARACTER;
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// As the content of an element. XML has no place for control characters.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            other if other.is_control() => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
pub(super) mod tests;
