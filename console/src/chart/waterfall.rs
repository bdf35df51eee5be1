//! The spans of a trace, one below the other.

use crate::chart::caption::Caption;
use crate::chart::scale::ticks;
use crate::chart::svg::{Svg, shorten};
use crate::number::milliseconds;

/// One span, in the order in which it is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Span<'a> {
    /// What it is, for example `reviews GET /reviews/8`.
    pub label: &'a str,
    /// How many spans it is within.
    pub depth: usize,
    /// When it began, in microseconds since any moment that is the same for all.
    pub start: u64,
    /// How long it took, in microseconds.
    pub duration: u64,
    /// Whether it failed.
    pub error: bool,
}

const WIDTH: f64 = 640.0;
const ROW: f64 = 22.0;
const HEAD: f64 = 22.0;
const LEFT: f64 = 224.0;
const RIGHT: f64 = 632.0;
/// The characters of a label without indentation.
const LABEL: usize = 30;
/// Deeper spans are drawn as deep as these, so that some of the label is left.
const DEEPEST: usize = 10;

/// Draws the spans of a trace, each with its duration as text; the earliest begins at 0.
#[must_use]
pub fn waterfall(caption: &Caption<'_>, spans: &[Span<'_>]) -> String {
    let start = spans.iter().map(|span| span.start).min().unwrap_or(0);
    let end = spans.iter().map(|span| span.start.saturating_add(span.duration)).max().unwrap_or(0);
    let whole = end.saturating_sub(start).max(1) as f64;
    let x = |micros: f64| LEFT + (RIGHT - LEFT) * (micros / whole).clamp(0.0, 1.0);
    let height = HEAD + ROW * spans.len().max(1) as f64 + 4.0;
    let mut svg = Svg::new("chart waterfall", WIDTH, height, caption);
    if spans.is_empty() {
        svg.label("empty", (WIDTH / 2.0, HEAD + 15.0), "middle", "no spans");
        return svg.finish();
    }
    svg.begin("g", &[("class", "axis".into()), ("aria-hidden", "true".into())]);
    for value in ticks(whole).into_iter().filter(|value| *value <= whole) {
        let at = x(value);
        svg.stroke("grid", (at, HEAD - 4.0), (at, height));
        let anchor = if at > RIGHT - 24.0 { "end" } else { "start" };
        svg.label("tick", (at, HEAD - 8.0), anchor, &milliseconds(value / 1000.0));
    }
    svg.end();
    for (row, span) in spans.iter().enumerate() {
        let from = span.start.saturating_sub(start) as f64;
        let edges = (x(from), x(from + span.duration as f64));
        draw(&mut svg, span, HEAD + ROW * row as f64, edges);
    }
    svg.finish()
}

fn draw(svg: &mut Svg, span: &Span<'_>, y: f64, (from, to): (f64, f64)) {
    let duration = milliseconds(span.duration as f64 / 1000.0);
    let shown = if span.error { format!("{duration}, error") } else { duration };
    let depth = span.depth.min(DEEPEST);
    svg.begin("g", &[("class", if span.error { "span error" } else { "span" }.into())]);
    svg.text("title", &[], &format!("{}: {shown}", span.label));
    svg.label("label", (6.0 + 10.0 * depth as f64, y + 15.0), "start", &shorten(span.label, LABEL - depth * 2));
    // A span of no length is seen too.
    svg.rect("bar", (from.min(RIGHT - 1.0), y + 4.0), ((to - from).max(1.0), ROW - 8.0));
    // Behind the bar where there is room for it, else before it, else in it.
    let room = 6.5 * shown.chars().count() as f64 + 6.0;
    let (at, anchor) = match () {
        () if to + room <= RIGHT => (to + 5.0, "start"),
        () if from - room >= LEFT => (from - 5.0, "end"),
        () => (to - 5.0, "end"),
    };
    svg.label("duration", (at, y + 15.0), anchor, &shown);
    svg.end();
}
