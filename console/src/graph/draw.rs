//! The picture of a graph.
//!
//! Classes: `graph`; `edge` and `node`, each with `health-failing` and so on, nodes with `kind-version` and so on too; within: `way`, `head`, `back`
//! of an edge that leads back, `edge-label`, `box`, `label`, `sub-label`, `health`. Health is also a word, and every number is also in the table.

use std::collections::BTreeMap;

use crate::chart::caption::Caption;
use crate::chart::svg::{Svg, shorten};
use crate::graph::layout::{HEIGHT, Layout, MARGIN, WIDTH, Way};
use crate::graph::model::{Edge, Graph, Kind, Node};
use crate::graph::place::place;
use crate::graph::rows::{Row, rows};
use crate::number::plain;
use crate::verdict::Health;

/// With more edges than these only those that are degraded or failing have texts beside them; all have theirs when they are pointed at.
pub const LABELLED: usize = 40;
/// The height of a line of text beside an edge.
const LINE: f64 = 12.0;

/// Draws a graph by its layout. A node with an address is a link.
#[must_use]
pub fn svg(graph: &Graph, layout: &Layout, caption: &Caption<'_>) -> String {
    let mut svg = Svg::of_role("group", "graph", (layout.width, layout.height), caption);
    let rows = rows(graph);
    let edges: Vec<(&Edge, (&Way, &Row))> = graph.edges().zip(layout.ways.iter().zip(&rows)).collect();
    for (edge, (way, row)) in &edges {
        draw_edge(&mut svg, edge, way, row);
    }
    for (node, corner) in graph.nodes().zip(&layout.nodes) {
        draw_node(&mut svg, node, *corner);
    }
    // Above all: a text is read, a line is followed.
    let shown = |edge: &Edge| edges.len() <= LABELLED || edge.health >= Health::Degraded;
    let labels = edges.iter().filter(|(edge, _)| shown(edge)).map(|(edge, (way, row))| Label::new(edge, way, row));
    draw_labels(&mut svg, labels.collect());
    if layout.nodes.is_empty() {
        svg.label("empty", (layout.width / 2.0, layout.height / 2.0), "middle", "no requests seen");
    }
    svg.finish()
}

fn draw_edge(svg: &mut Svg, edge: &Edge, way: &Way, row: &Row) {
    let (path, head, back) = match way {
        Way::Between(points) => {
            let back = points.first().zip(points.last()).is_some_and(|(first, last)| last.0 < first.0);
            (curve(points), points.last().copied().map(|end| arrow(end, if back { (1.0, 0.0) } else { (-1.0, 0.0) })), back)
        }
        Way::Loop((x, y)) => {
            let (right, left) = (x + WIDTH - 24.0, x + WIDTH - 64.0);
            let head = arrow((left, *y), (0.0, -1.0));
            let [right, left, y, above] = [right, left, *y, y - 24.0].map(plain);
            (format!("M{right} {y}C{right} {above} {left} {above} {left} {y}"), Some(head), false)
        }
    };
    let class = format!("edge health-{}{}", edge.health.class(), if back { " back" } else { "" });
    svg.begin("g", &[("class", class.as_str().into())]);
    svg.text("title", &[], &row.sentence());
    svg.leaf("path", &[("class", "way".into()), ("d", path.as_str().into()), ("fill", "none".into())]);
    if let Some(head) = head {
        svg.leaf("path", &[("class", "head".into()), ("d", head.as_str().into())]);
    }
    svg.end();
}

/// Curves between layers, straight lines through them.
fn curve(points: &[(f64, f64)]) -> String {
    let mut path = String::new();
    let mut before: Option<(f64, f64)> = None;
    for (at, (x, y)) in points.iter().enumerate() {
        let middle = before.map(|(other, _)| plain(f64::midpoint(other, *x)));
        let (to_x, to_y) = (plain(*x), plain(*y));
        path.push_str(&match (before, middle) {
            (Some((_, from_y)), Some(middle)) if at % 2 == 1 => {
                format!("C{middle} {} {middle} {to_y} {to_x} {to_y}", plain(from_y))
            }
            (Some(_), _) => format!("L{to_x} {to_y}"),
            (None, _) => format!("M{to_x} {to_y}"),
        });
        before = Some((*x, *y));
    }
    path
}

/// The head of an arrow at a point; its shaft is in the given direction.
fn arrow((x, y): (f64, f64), (dx, dy): (f64, f64)) -> String {
    let (base_x, base_y) = (x + 8.0 * dx, y + 8.0 * dy);
    let corners = [(x, y), (base_x - 4.0 * dy, base_y + 4.0 * dx), (base_x + 4.0 * dy, base_y - 4.0 * dx)];
    let [one, two, three] = corners.map(|(x, y)| format!("{} {}", plain(x), plain(y)));
    format!("M{one}L{two}L{three}Z")
}

/// A text beside an edge, before it has its place.
struct Label {
    /// The middle, or the end beside a loop.
    at: (f64, f64),
    anchor: &'static str,
    class: String,
    lines: Vec<String>,
}

impl Label {
    fn new(edge: &Edge, way: &Way, row: &Row) -> Self {
        let class = format!("edge-label health-{}", edge.health.class());
        match way {
            // On the curve that reaches who is called: edges of one caller are apart there.
            Way::Between(points) => {
                let mut ends = points.iter().rev().copied();
                let (end, before) = (ends.next().unwrap_or_default(), ends.next().unwrap_or_default());
                let at = (f64::midpoint(end.0, before.0), f64::midpoint(end.1, before.1));
                Self { at, anchor: "middle", class, lines: row.lines() }
            }
            Way::Loop((x, y)) => {
                Self { at: (x + WIDTH - 70.0, y - 13.0), anchor: "end", class, lines: vec![row.lines().join(", ")] }
            }
        }
    }

    fn height(&self) -> f64 {
        LINE * self.lines.len() as f64
    }

    fn draw(&self, svg: &mut Svg, centre: f64) {
        svg.begin("g", &[("class", self.class.as_str().into()), ("aria-hidden", "true".into())]);
        for (at, line) in self.lines.iter().enumerate() {
            let y = centre - self.height() / 2.0 + LINE * at as f64 + 9.0;
            svg.label("line", (self.at.0, y), self.anchor, &shorten(line, 30));
        }
        svg.end();
    }
}

/// Draws the texts beside edges; those between the same layers are moved apart.
fn draw_labels(svg: &mut Svg, labels: Vec<Label>) {
    let mut columns: BTreeMap<String, Vec<Label>> = BTreeMap::new();
    for label in labels {
        columns.entry(plain(label.at.0)).or_default().push(label);
    }
    for mut column in columns.into_values() {
        column.sort_by(|a, b| a.at.1.total_cmp(&b.at.1));
        let desired: Vec<(f64, f64)> = column.iter().map(|label| (label.at.1, label.height())).collect();
        for (label, centre) in column.iter().zip(place(&desired, 2.0)) {
            label.draw(svg, centre);
        }
    }
}

fn draw_node(svg: &mut Svg, node: &Node, (x, y): (f64, f64)) {
    let class = format!("node kind-{} health-{}", node.kind.class(), node.health.class());
    let is_link = !node.href.is_empty();
    if is_link {
        svg.begin("a", &[("href", node.href.as_str().into())]);
    }
    svg.begin("g", &[("class", class.as_str().into())]);
    let sub_label = if node.sub_label.is_empty() { String::new() } else { format!(", {}", node.sub_label) };
    svg.text("title", &[], &format!("{} {}{sub_label}: {}", node.kind.class(), node.label, node.health));
    // Kinds differ in form, not in colour alone.
    let round = match node.kind {
        Kind::Caller => HEIGHT / 2.0,
        Kind::Service | Kind::Dependency => 10.0,
        Kind::Version => 4.0,
        Kind::Host => 0.0,
    };
    svg.leaf(
        "rect",
        &[
            ("class", "box".into()),
            ("x", x.into()),
            ("y", y.into()),
            ("width", WIDTH.into()),
            ("height", HEIGHT.into()),
            ("rx", round.into()),
        ],
    );
    let middle = x + WIDTH / 2.0;
    let below = if node.sub_label.is_empty() { 7.0 } else { 0.0 };
    svg.label("label", (middle, y + 18.0 + below), "middle", &shorten(&node.label, 22));
    if !node.sub_label.is_empty() {
        svg.label("sub-label", (middle, y + 32.0), "middle", &shorten(&node.sub_label, 26));
    }
    svg.label("health", (middle, y + HEIGHT - MARGIN + 4.0), "middle", &node.health.to_string());
    svg.end();
    if is_link {
        svg.end();
    }
}
