//! The chart: one group of bars per row, the length being the median wall time.

use std::fmt::Write;

use super::contender::Side;
use super::rounds::Row;

const LABEL: f64 = 270.0;
const BARS: f64 = 520.0;
const BAR: f64 = 11.0;
const GROUP: f64 = 3.0 * BAR + 12.0;
const TOP: f64 = 64.0;
const WIDTH: f64 = LABEL + BARS + 110.0;

/// Draws the rows; `subtitle` says on what machine.
pub(crate) fn chart(rows: &[Row], subtitle: &str) -> String {
    let longest = rows.iter().flat_map(|row| &row.cells).map(|(_, summary)| summary.wall).fold(1.0, f64::max);
    let groups: f64 = rows.iter().map(|_| GROUP).sum();
    let height = TOP + groups + 16.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"16\" y=\"22\" font-size=\"16\" font-weight=\"bold\">Median wall time in milliseconds, shorter is better</text>\n\
         <text x=\"16\" y=\"40\" fill=\"#555555\">{}</text>\n",
        escape(subtitle)
    );
    let mut x = 16.0;
    for side in Side::ALL {
        // Writing to a String cannot fail.
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"48\" width=\"10\" height=\"10\" fill=\"{}\"/><text x=\"{}\" y=\"57\">{}</text>",
            colour(side),
            x + 15.0,
            side.name()
        );
        x += 150.0;
    }
    let mut y = TOP + 8.0;
    for row in rows {
        group(&mut svg, row, y, longest);
        y += GROUP;
    }
    svg.push_str("</svg>\n");
    svg
}

fn group(svg: &mut String, row: &Row, top: f64, longest: f64) {
    let label = format!("{}  {}", row.scenario, row.operation);
    let middle = top + 1.5 * BAR + 4.0;
    let _ = writeln!(
        svg,
        "<text x=\"{}\" y=\"{middle}\" text-anchor=\"end\">{}</text>",
        LABEL - 8.0,
        escape(&label)
    );
    let mut y = top;
    for side in Side::ALL {
        if let Some(summary) = row.cell(side) {
            let length = (BARS * summary.wall / longest).max(1.0);
            let ratio = row.ratio(side).filter(|_| side != Side::Reference);
            let ratio = ratio.map_or_else(String::new, |ratio| format!(" ({:.1}x)", ratio.wall));
            let _ = writeln!(
                svg,
                "<rect x=\"{LABEL}\" y=\"{y}\" width=\"{length:.1}\" height=\"{}\" fill=\"{}\"/>\
                 <text x=\"{:.1}\" y=\"{}\" font-size=\"10\">{:.1}{ratio}</text>",
                BAR - 1.0,
                colour(side),
                LABEL + length + 4.0,
                y + BAR - 2.0,
                summary.wall,
            );
        }
        y += BAR;
    }
}

fn colour(side: Side) -> &'static str {
    match side {
        Side::Reference => "#9aa5b1",
        Side::DropIn => "#5aa9e6",
        Side::OneProcess => "#1b4f9c",
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::stats::{Sample, Summary};

    #[test]
    fn the_longest_bar_is_the_slowest_and_ratios_are_told() {
        let cell = |side, wall| (side, Summary::of(&[Sample { wall, cpu: 1.0 }]).unwrap());
        let cells = vec![cell(Side::Reference, 80.0), cell(Side::OneProcess, 8.0)];
        let row = Row { scenario: "a & b".to_owned(), operation: "ADD", cells };
        let svg = chart(&[row], "Linux <6>");
        assert!(svg.contains("a &amp; b  ADD") && svg.contains("Linux &lt;6&gt;"));
        assert!(svg.contains("width=\"520.0\"") && svg.contains("width=\"52.0\""));
        assert!(svg.contains("8.0 (10.0x)") && !svg.contains("(1.0x)"));
        assert_eq!(svg.matches("<rect").count(), 1 + 3 + 2, "background, legend, two bars");
    }
}
