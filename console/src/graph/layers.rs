//! Layers: cycles are broken, and each node is to the right of all that call it.

use std::collections::BTreeSet;

use crate::graph::model::Graph;

/// Nodes by number, in the order of their ids, with their layers; edges that were turned to break cycles are marked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layered {
    /// The layer of each node; each layer from 0 on has nodes.
    pub layer: Vec<usize>,
    /// The edges between different nodes, `(from, to)` by number, in order of the graph's edges without loops.
    pub edges: Vec<(usize, usize)>,
    /// Whether the edge closes a cycle, and so leads to the left or within its layer.
    pub back: Vec<bool>,
}

/// Gives each node a layer: the longest path that leads to it, and at least that of its kind, so that callers, services, versions, dependencies
/// and hosts stand in columns. Layers without nodes are left out. Cycles are broken where a search in depth, by ids in order, comes back.
#[must_use]
pub fn layers(graph: &Graph) -> Layered {
    let ids: Vec<&str> = graph.nodes().map(|node| node.id.as_str()).collect();
    let number = |id: &str| ids.binary_search(&id).ok();
    let edges: Vec<(usize, usize)> = graph
        .edges()
        .filter_map(|edge| Some((number(&edge.from)?, number(&edge.to)?)))
        .filter(|(from, to)| from != to)
        .collect();
    let mut next = vec![Vec::new(); ids.len()];
    for (at, (from, to)) in edges.iter().enumerate() {
        if let Some(next) = next.get_mut(*from) {
            next.push((at, *to));
        }
    }
    // Searched from the left kinds on, so that an edge from a host back to a caller is the one that is turned.
    let mut starts: Vec<usize> = (0..ids.len()).collect();
    let kinds: Vec<usize> = graph.nodes().map(|node| node.kind as usize).collect();
    starts.sort_by_key(|node| kinds.get(*node).copied());
    let (finished, back) = search(&next, &starts, edges.len());
    let mut layer = kinds;
    // The last that was finished comes first in a topological order.
    for node in finished.into_iter().rev() {
        let own = layer.get(node).copied().unwrap_or(0);
        for (edge, to) in next.get(node).into_iter().flatten() {
            if let (Some(false), Some(layer)) = (back.get(*edge), layer.get_mut(*to)) {
                *layer = (*layer).max(own + 1);
            }
        }
    }
    let used: Vec<usize> = layer.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
    let layer = layer.into_iter().map(|layer| used.binary_search(&layer).unwrap_or(0)).collect();
    Layered { layer, edges, back }
}

/// A search in depth without recursion: the nodes as they are finished, and the edges that lead to a node on the way to them.
fn search(next: &[Vec<(usize, usize)>], starts: &[usize], edges: usize) -> (Vec<usize>, Vec<bool>) {
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        New,
        Open,
        Done,
    }
    let mut state = vec![State::New; next.len()];
    let (mut finished, mut back) = (Vec::new(), vec![false; edges]);
    let mut set = |node: usize, to: State| {
        let before = state.get(node).copied().unwrap_or(State::Done);
        if let Some(state) = state.get_mut(node) {
            // What is begun is not begun again.
            if (before, to) != (State::Open, State::Open) && before != State::Done {
                *state = to;
            }
        }
        before
    };
    for start in starts {
        let mut way: Vec<(usize, usize)> = Vec::new();
        if set(*start, State::Open) == State::New {
            way.push((*start, 0));
        }
        while let Some((node, at)) = way.last_mut() {
            let Some((edge, to)) = next.get(*node).and_then(|next| next.get(*at)).copied() else {
                set(*node, State::Done);
                finished.push(*node);
                way.pop();
                continue;
            };
            *at += 1;
            match set(to, State::Open) {
                State::New => way.push((to, 0)),
                State::Open => {
                    if let Some(back) = back.get_mut(edge) {
                        *back = true;
                    }
                }
                State::Done => {}
            }
        }
    }
    (finished, back)
}

#[cfg(test)]
mod tests {
    use super::layers;
    use crate::graph::model::{Edge, Graph, Kind, Node};
    use crate::verdict::Health;

    fn graph(nodes: &[(&str, Kind)], edges: &[(&str, &str)]) -> Graph {
        let node = |&(id, kind): &(&str, Kind)| Node {
            id: id.to_owned(),
            kind,
            label: id.to_owned(),
            sub_label: String::new(),
            health: Health::NoData,
            href: String::new(),
        };
        let edge = |&(from, to): &(&str, &str)| Edge { from: from.to_owned(), to: to.to_owned(), ..Edge::default() };
        Graph::new(nodes.iter().map(node).collect(), edges.iter().map(edge).collect())
    }

    #[test]
    fn a_layer_is_the_longest_path_and_at_least_that_of_the_kind() {
        use Kind::{Caller, Dependency, Host, Service, Version};
        let nodes =
            [("a", Caller), ("s", Service), ("v1", Version), ("v2", Version), ("d", Dependency), ("h", Host), ("x", Host)];
        let found = layers(&graph(&nodes, &[("a", "s"), ("s", "v1"), ("s", "v2"), ("v2", "d"), ("d", "h"), ("v1", "h")]));
        // By id: a d h s v1 v2 x.
        assert_eq!(found.layer, [0, 3, 4, 1, 2, 2, 4]);
        assert_eq!(found.back, [false; 6]);
    }

    #[test]
    fn a_chain_of_one_kind_is_a_path_and_empty_layers_are_left_out() {
        let found = layers(&graph(&[("a", Kind::Host), ("b", Kind::Host), ("c", Kind::Host)], &[("c", "b"), ("b", "a")]));
        assert_eq!(found.layer, [2, 1, 0]);
    }

    #[test]
    fn cycles_are_broken_at_the_same_place_and_loops_are_none_of_the_layers() {
        let nodes = [("a", Kind::Service), ("b", Kind::Service), ("c", Kind::Service)];
        let found = layers(&graph(&nodes, &[("a", "b"), ("b", "c"), ("c", "a"), ("b", "b"), ("c", "b")]));
        assert_eq!(found.layer, [0, 1, 2]);
        // a b, b c, c a, c b.
        assert_eq!(found.edges, [(0, 1), (1, 2), (2, 0), (2, 1)]);
        assert_eq!(found.back, [false, false, true, true]);
        assert_eq!(layers(&Graph::default()).layer, Vec::<usize>::new());
    }
}
