//! The order of nodes within their layers, with few crossings.

use crate::graph::layers::Layered;

/// Sweeps to the right and back at most, whatever the graph.
pub const SWEEPS: usize = 12;

/// Layers with their vertices in order. A vertex is a node, or where a longer edge passes a layer; then its number is not that of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// The vertices of each layer, from above.
    pub layers: Vec<Vec<usize>>,
    /// The vertices on the way of each edge of [`Layered`], from the left one on, both ends included.
    pub ways: Vec<Vec<usize>>,
    /// The neighbours of each vertex in the layer to the left.
    pub left: Vec<Vec<usize>>,
    /// The neighbours of each vertex in the layer to the right.
    pub right: Vec<Vec<usize>>,
    /// Crossings of edges.
    pub crossings: usize,
}

/// Orders the vertices of each layer by the barycentres of their neighbours, in sweeps, and keeps the order with the fewest crossings. `first` is
/// the order to begin with: all nodes.
#[must_use]
pub fn order(layered: &Layered, first: &[usize]) -> Order {
    let mut order = split(layered, first);
    order.crossings = order.count();
    let mut best = order.clone();
    for sweep in 0..SWEEPS {
        if best.crossings == 0 {
            break;
        }
        let before = order.layers.clone();
        order.sweep(sweep % 2 == 0);
        order.crossings = order.count();
        if order.crossings < best.crossings {
            best = order.clone();
        }
        // Two equal sweeps, there and back, would be followed by the same.
        if sweep % 2 == 1 && order.layers == before {
            break;
        }
    }
    best
}

/// Begins: longer edges are cut where they pass layers.
fn split(layered: &Layered, first: &[usize]) -> Order {
    let depth = layered.layer.iter().max().map_or(0, |most| most + 1);
    let mut order = Order { layers: vec![Vec::new(); depth], ..Order::default() };
    let layer = |node: usize| layered.layer.get(node).copied().unwrap_or(0);
    for node in first {
        push(&mut order.layers, layer(*node), *node);
    }
    let mut count = layered.layer.len();
    for (from, to) in &layered.edges {
        let (left, right) = if layer(*from) <= layer(*to) { (*from, *to) } else { (*to, *from) };
        let mut way = vec![left];
        for at in layer(left) + 1..layer(right) {
            push(&mut order.layers, at, count);
            way.push(count);
            count += 1;
        }
        way.push(right);
        order.ways.push(way);
    }
    (order.left, order.right) = (vec![Vec::new(); count], vec![Vec::new(); count]);
    for way in &order.ways {
        for (one, two) in way.iter().zip(way.iter().skip(1)) {
            push(&mut order.right, *one, *two);
            push(&mut order.left, *two, *one);
        }
    }
    order
}

fn push(lists: &mut [Vec<usize>], at: usize, value: usize) {
    if let Some(list) = lists.get_mut(at) {
        list.push(value);
    }
}

impl Order {
    /// Orders each layer by the one before it: from the left on, or from the right on.
    fn sweep(&mut self, rightwards: bool) {
        let depth = self.layers.len();
        for at in 1..depth {
            let (fixed, moved) = if rightwards { (at - 1, at) } else { (depth - at, depth - at - 1) };
            let place = places(self.layers.get(fixed), self.left.len());
            let neighbours = if rightwards { &self.left } else { &self.right };
            let Some(layer) = self.layers.get_mut(moved) else { continue };
            let mut keyed: Vec<(f64, usize)> = layer
                .iter()
                .enumerate()
                .map(|(own, vertex)| (barycentre(neighbours.get(*vertex), &place).unwrap_or(own as f64), *vertex))
                .collect();
            // Stable: what is equal stays as it is.
            keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
            *layer = keyed.into_iter().map(|(_, vertex)| vertex).collect();
        }
    }

    /// Crossings between all neighbouring layers: pairs of edges whose ends are in opposite order.
    fn count(&self) -> usize {
        let pairs = self.layers.iter().zip(self.layers.iter().skip(1));
        pairs.map(|(left, right)| self.between(left, right)).sum()
    }

    /// Counted as inversions with a tree of sums (W. Barth, M. Jünger, P. Mutzel, "Simple and efficient bilayer cross counting", 2002).
    fn between(&self, left: &[usize], right: &Vec<usize>) -> usize {
        let place = places(Some(right), self.left.len());
        let mut tree = vec![0_usize; right.len() + 1];
        let (mut crossings, mut seen) = (0, 0);
        for vertex in left {
            let mut ends: Vec<usize> =
                self.right.get(*vertex).into_iter().flatten().filter_map(|end| place.get(*end).copied()).collect();
            ends.sort_unstable();
            // Edges from one vertex do not cross: they are counted first, and entered after.
            for end in &ends {
                crossings += seen - sum(&tree, end + 1);
            }
            seen += ends.len();
            for end in ends {
                add(&mut tree, end + 1);
            }
        }
        crossings
    }
}

fn sum(tree: &[usize], mut at: usize) -> usize {
    let mut sum = 0;
    while at > 0 {
        sum += tree.get(at).copied().unwrap_or(0);
        at &= at - 1;
    }
    sum
}

fn add(tree: &mut [usize], mut at: usize) {
    while let Some(sum) = tree.get_mut(at) {
        *sum += 1;
        at += at & at.wrapping_neg();
    }
}

/// The place of each vertex of a layer, by its number; 0 for all others, which nobody asks for.
fn places(layer: Option<&Vec<usize>>, count: usize) -> Vec<usize> {
    let mut places = vec![0; count];
    for (at, vertex) in layer.into_iter().flatten().enumerate() {
        if let Some(place) = places.get_mut(*vertex) {
            *place = at;
        }
    }
    places
}

fn barycentre(neighbours: Option<&Vec<usize>>, places: &[usize]) -> Option<f64> {
    let neighbours = neighbours.filter(|neighbours| !neighbours.is_empty())?;
    let sum: usize = neighbours.iter().filter_map(|vertex| places.get(*vertex)).sum();
    Some(sum as f64 / neighbours.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::{Layered, order};

    #[test]
    fn barycentres_untangle_what_can_be() {
        // 0 and 1 on the left, 2 and 3 on the right, crossed.
        let layered = Layered { layer: vec![0, 0, 1, 1], edges: vec![(0, 3), (1, 2)], back: vec![false; 2] };
        let found = order(&layered, &[0, 1, 2, 3]);
        assert_eq!((found.layers, found.crossings), (vec![vec![0, 1], vec![3, 2]], 0));
    }

    #[test]
    fn what_must_cross_is_counted() {
        let layered = Layered { layer: vec![0, 0, 1, 1], edges: vec![(0, 2), (0, 3), (1, 2), (1, 3)], back: vec![false; 4] };
        assert_eq!(order(&layered, &[0, 1, 2, 3]).crossings, 1);
        // All of 3 with all of 3: 3 · 3.
        let edges: Vec<(usize, usize)> = (0..3).flat_map(|from| (3..6).map(move |to| (from, to))).collect();
        let layered = Layered { layer: vec![0, 0, 0, 1, 1, 1], back: vec![false; 9], edges };
        assert_eq!(order(&layered, &[0, 1, 2, 3, 4, 5]).crossings, 9);
    }

    #[test]
    fn long_edges_pass_the_layers_between() {
        let layered = Layered { layer: vec![0, 3], edges: vec![(0, 1), (1, 0)], back: vec![false, true] };
        let found = order(&layered, &[0, 1]);
        assert_eq!(found.ways, [[0, 2, 3, 1], [0, 4, 5, 1]]);
        assert_eq!(found.layers, [vec![0], vec![2, 4], vec![3, 5], vec![1]]);
    }
}
