//! Coordinates of nodes and edges.

use crate::graph::layers::{Layered, layers};
use crate::graph::model::Graph;
use crate::graph::order::{Order, order};
use crate::graph::place::place;

/// The width of a node.
pub const WIDTH: f64 = 168.0;
/// The height of a node.
pub const HEIGHT: f64 = 54.0;
/// The distance of layers, where the texts of edges stand.
pub const ACROSS: f64 = 172.0;
/// The distance of nodes within a layer, where loops are.
pub const DOWN: f64 = 30.0;
/// The edge of the picture.
pub const MARGIN: f64 = 12.0;
/// The room that an edge takes where it passes a layer.
const PASSING: f64 = 14.0;
/// Rounds in which vertices move to their neighbours, to the right and back.
const ROUNDS: usize = 4;

/// A picture without its texts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layout {
    /// The width of all.
    pub width: f64,
    /// The height of all.
    pub height: f64,
    /// The left upper corners of nodes, in the graph's order.
    pub nodes: Vec<(f64, f64)>,
    /// The ways of edges, in the graph's order.
    pub ways: Vec<Way>,
    /// Crossings of edges.
    pub crossings: usize,
}

/// The way of an edge.
#[derive(Clone, Debug, PartialEq)]
pub enum Way {
    /// From one node to another: points from the caller on; between the first and the second a curve, then in turns a straight line, where it
    /// passes a layer, and a curve.
    Between(Vec<(f64, f64)>),
    /// From a node to itself: the node's left upper corner.
    Loop((f64, f64)),
}

/// Lays a graph out, its layers from left to right. The number of steps is bounded for each size: a dozen sweeps for the order, four for the places.
#[must_use]
pub fn layout(graph: &Graph) -> Layout {
    let layered = layers(graph);
    let first: Vec<usize> = (0..layered.layer.len()).collect();
    let order = order(&layered, &first);
    let nodes = layered.layer.len();
    let centres = centres(&order, nodes);
    let x = |layer: usize| MARGIN + (WIDTH + ACROSS) * layer as f64;
    let corner = |node: usize| {
        let layer = layered.layer.get(node).copied().unwrap_or(0);
        (x(layer), centres.get(node).copied().unwrap_or(0.0) - HEIGHT / 2.0)
    };
    let corners: Vec<(f64, f64)> = (0..nodes).map(corner).collect();
    let ports = Ports::new(&order, &centres, nodes);
    let mut between = order.ways.iter().enumerate().map(|(edge, way)| {
        let left = way.first().and_then(|left| layered.layer.get(*left)).copied().unwrap_or(0);
        let mut points = ports.points(edge, way, &centres, |step| x(left + step));
        // Cycles were broken by turning it: it leads from its right end to its left one.
        if layered.back.get(edge) == Some(&true) {
            points.reverse();
        }
        Way::Between(points)
    });
    let ids: Vec<&str> = graph.nodes().map(|node| node.id.as_str()).collect();
    let loops = |id: &str| ids.binary_search(&id).ok().and_then(|node| corners.get(node)).copied().unwrap_or_default();
    let ways = graph
        .edges()
        .filter_map(|edge| if edge.from == edge.to { Some(Way::Loop(loops(&edge.from))) } else { between.next() })
        .collect();
    let (width, height) = size(&layered, &order, &centres, nodes);
    Layout { width, height, nodes: corners, ways, crossings: order.crossings }
}

fn size(layered: &Layered, order: &Order, centres: &[f64], nodes: usize) -> (f64, f64) {
    let depth = layered.layer.iter().max().map_or(1, |most| most + 1) as f64;
    let lowest = order
        .layers
        .iter()
        .flatten()
        .filter_map(|at| Some(centres.get(*at)? + tall(*at, nodes) / 2.0))
        .fold(HEIGHT, f64::max);
    (2.0 * MARGIN + depth * WIDTH + (depth - 1.0) * ACROSS, lowest + MARGIN)
}

fn tall(vertex: usize, nodes: usize) -> f64 {
    if vertex < nodes { HEIGHT } else { PASSING }
}

/// The centre of each vertex, downwards. The highest begins below the margin and the room for its loop.
fn centres(order: &Order, nodes: usize) -> Vec<f64> {
    let mut centres = vec![0.0; order.left.len()];
    for round in 0..=ROUNDS {
        let depth = order.layers.len();
        for step in 0..depth {
            // At first all stand as if they had no neighbours, then they move to the left ones, then to the right ones.
            let (at, neighbours) = if round % 2 == 1 { (step, &order.left) } else { (depth - 1 - step, &order.right) };
            let Some(layer) = order.layers.get(at) else { continue };
            let desired: Vec<(f64, f64)> = layer
                .iter()
                .map(|vertex| {
                    let own = centres.get(*vertex).copied().unwrap_or(0.0);
                    let near = neighbours.get(*vertex).filter(|near| round > 0 && !near.is_empty());
                    let mean = |near: &Vec<usize>| {
                        near.iter().filter_map(|other| centres.get(*other)).sum::<f64>() / near.len() as f64
                    };
                    (near.map_or(own, mean), tall(*vertex, nodes))
                })
                .collect();
            for (vertex, centre) in layer.iter().zip(place(&desired, DOWN)) {
                if let Some(own) = centres.get_mut(*vertex) {
                    *own = centre;
                }
            }
        }
    }
    let top = order.layers.iter().flatten().filter_map(|at| Some(centres.get(*at)? - tall(*at, nodes) / 2.0));
    let shift = MARGIN + DOWN - top.fold(f64::INFINITY, f64::min);
    centres.into_iter().map(|centre| centre + shift).collect()
}

/// Where edges leave and reach nodes: at their sides, in the order of where they lead to, so that they do not cross there.
struct Ports {
    out: Vec<f64>,
    into: Vec<f64>,
}

impl Ports {
    fn new(order: &Order, centres: &[f64], nodes: usize) -> Self {
        let centre = |vertex: Option<&usize>| vertex.and_then(|vertex| centres.get(*vertex)).copied().unwrap_or(0.0);
        let mut by_left = vec![Vec::new(); nodes];
        let mut by_right = vec![Vec::new(); nodes];
        for (edge, way) in order.ways.iter().enumerate() {
            let (Some(left), Some(right)) = (way.first(), way.last()) else { continue };
            if let Some(edges) = by_left.get_mut(*left) {
                edges.push((centre(way.get(1)), edge));
            }
            if let Some(edges) = by_right.get_mut(*right) {
                edges.push((centre(way.iter().rev().nth(1)), edge));
            }
        }
        let spread = |sides: Vec<Vec<(f64, usize)>>| {
            let mut ports = vec![0.0; order.ways.len()];
            for (node, mut edges) in sides.into_iter().enumerate() {
                edges.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                let step = HEIGHT / (edges.len() + 1) as f64;
                let top = centre(Some(&node)) - HEIGHT / 2.0;
                for (at, (_, edge)) in edges.into_iter().enumerate() {
                    if let Some(port) = ports.get_mut(edge) {
                        *port = top + step * (at + 1) as f64;
                    }
                }
            }
            ports
        };
        Self { out: spread(by_left), into: spread(by_right) }
    }

    fn points(&self, edge: usize, way: &[usize], centres: &[f64], x: impl Fn(usize) -> f64) -> Vec<(f64, f64)> {
        let last = way.len().saturating_sub(1);
        let mut points = vec![(x(0) + WIDTH, self.out.get(edge).copied().unwrap_or(0.0))];
        for (step, vertex) in way.iter().enumerate().take(last).skip(1) {
            let y = centres.get(*vertex).copied().unwrap_or(0.0);
            points.extend([(x(step), y), (x(step) + WIDTH, y)]);
        }
        points.push((x(last), self.into.get(edge).copied().unwrap_or(0.0)));
        points
    }
}
