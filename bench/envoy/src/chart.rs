//! The chart: CPU that each row adds, with its quartiles.

use std::fmt::Write;

use crate::numbers::Summary;
use crate::report::Report;

const LEFT: f64 = 280.0;
const WIDTH: f64 = 400.0;
const RIGHT: f64 = 80.0;
const ROW: f64 = 26.0;
const TOP: f64 = 54.0;

/// Readable on light and dark ground.
const STYLE: &str = "\
text { font: 13px system-ui, sans-serif; fill: #24292f }
.note { fill: #57606a; font-size: 12px }
.title { font-weight: 600; font-size: 15px }
.bar { fill: #8c959f } .serin { fill: #0969da }
.whisker { stroke: #24292f; stroke-width: 1.2 } .grid { stroke: #8c959f; stroke-opacity: .3 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .note { fill: #9198a1 }
  .bar { fill: #7d8590 } .serin { fill: #4493f8 } .whisker { stroke: #e6edf3 }
}";

/// Draws it as SVG.
pub(crate) fn draw(report: &Report) -> String {
    let costs: Vec<_> =
        report.rows.iter().skip(1).filter_map(|(number, name)| Some((name, report.cost(*number)?.added))).collect();
    let most = costs.iter().map(|(_, added)| added.q3.max(added.median)).fold(1.0, f64::max);
    let step = step(most);
    let end = (most / step).ceil() * step;
    let x = |micros: f64| LEFT + micros.clamp(0.0, end) / end * WIDTH;
    let bottom = TOP + ROW * costs.len() as f64;
    let mut svg = String::new();
    let mut put = |piece: String| {
        svg.push_str(&piece);
        svg.push('\n');
    };
    let (width, height) = (LEFT + WIDTH + RIGHT, bottom + 44.0);
    put(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\">"
    ));
    put(format!("<style>\n{STYLE}\n</style>"));
    put("<title>CPU that a filter adds to a request in Envoy</title>".to_owned());
    put("<text class=\"title\" x=\"12\" y=\"24\">CPU that a filter adds to a request, µs</text>".to_owned());
    let mut tick = 0.0;
    while tick <= end + step / 2.0 {
        put(format!("<line class=\"grid\" x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"{TOP}\" y2=\"{bottom}\"/>", x(tick)));
        put(format!(
            "<text class=\"note\" x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{tick}</text>",
            x(tick),
            bottom + 16.0
        ));
        tick += step;
    }
    for (index, (name, added)) in costs.iter().enumerate() {
        put(row(name, added, TOP + ROW * index as f64, x));
    }
    put(format!(
        "<text class=\"note\" x=\"12\" y=\"{}\">median over rounds, whiskers are quartiles; Envoy {}, one worker, {}</text>",
        bottom + 36.0,
        report.environment.envoy,
        escaped(&report.environment.processor),
    ));
    put("</svg>".to_owned());
    svg
}

/// A row: name, bar, whisker and number. `y` is its upper edge, `x` the place of a number of microseconds.
fn row(name: &str, added: &Summary, y: f64, x: impl Fn(f64) -> f64) -> String {
    let middle = y + ROW / 2.0;
    let class = if name.starts_with("Serin") { "bar serin" } else { "bar" };
    let pieces = [
        format!("<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>", LEFT - 10.0, middle + 4.5, escaped(name)),
        format!(
            "<rect class=\"{class}\" x=\"{LEFT}\" y=\"{}\" width=\"{:.1}\" height=\"{}\" rx=\"2\"/>",
            y + 5.0,
            x(added.median) - LEFT,
            ROW - 10.0
        ),
        format!(
            "<path class=\"whisker\" fill=\"none\" d=\"M{q1:.1} {up}v8M{q1:.1} {middle}H{q3:.1}M{q3:.1} {up}v8\"/>",
            q1 = x(added.q1),
            q3 = x(added.q3),
            up = middle - 4.0,
        ),
        format!(
            "<text class=\"note\" x=\"{:.1}\" y=\"{}\">{:.1}</text>",
            x(added.median.max(added.q3)) + 8.0,
            middle + 4.5,
            added.median
        ),
    ];
    pieces.join("\n")
}

/// A round distance between ticks, so that there are four to ten.
fn step(most: f64) -> f64 {
    let mut step = 0.1;
    for factor in [2.0, 2.5, 2.0].into_iter().cycle().take(30) {
        if most / step <= 10.0 {
            break;
        }
        step *= factor;
    }
    (step * 10.0_f64).round() / 10.0
}

fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        let _ = match character {
            '<' => write!(escaped, "&lt;"),
            '&' => write!(escaped, "&amp;"),
            other => write!(escaped, "{other}"),
        };
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_few() {
        for most in [0.5, 1.0, 7.3, 12.0, 48.0, 333.0] {
            let step = step(most);
            assert!((3.9..=10.0).contains(&(most / step)), "{most}: {step}");
        }
    }

    #[test]
    fn names_cannot_break_the_drawing() {
        assert_eq!(escaped("a<b & c"), "a&lt;b &amp; c");
    }
}
