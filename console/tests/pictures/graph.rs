use serin_console::chart::Caption;
use serin_console::graph::{Edge, Graph, Kind, Layout, Node, layout, rows, svg};
use serin_console::verdict::Health;

use super::check;

const CAPTION: Caption<'_> = Caption { id: "g1", title: "Topology of bookinfo", desc: "The same is in the table below." };

fn node(id: &str, kind: Kind, health: Health) -> Node {
    Node { id: id.to_owned(), kind, label: id.to_owned(), sub_label: "bookinfo".to_owned(), health, href: String::new() }
}

fn edge(from: &str, to: &str, rate: f64) -> Edge {
    Edge { from: from.to_owned(), to: to.to_owned(), rate: Some(rate), ..Edge::default() }
}

fn picture(graph: &Graph) -> String {
    svg(graph, &layout(graph), &CAPTION)
}

fn bookinfo() -> (Vec<Node>, Vec<Edge>) {
    let mut nodes = vec![
        node("productpage", Kind::Caller, Health::Healthy),
        node("ingress", Kind::Caller, Health::NoData),
        node("reviews", Kind::Service, Health::Degraded),
        node("v1", Kind::Version, Health::Healthy),
        node("v2", Kind::Version, Health::Failing),
        node("ratings", Kind::Dependency, Health::Healthy),
        node("10.244.0.6:8000", Kind::Host, Health::Healthy),
        node("10.244.0.7:8000", Kind::Host, Health::NoData),
    ];
    nodes[3].href = "/releases/bookinfo/reviews/traffic?version=v1&window=5m".to_owned();
    nodes[5].sub_label.clear();
    let known = Edge { success: Some(0.991), p99: "24.9 ms".to_owned(), health: Health::Healthy, ..Edge::default() };
    let edges = vec![
        edge("productpage", "reviews", 20.0),
        edge("ingress", "reviews", 1.2),
        Edge { share: Some(0.713), ..Edge { rate: Some(14.3), from: "reviews".into(), to: "v1".into(), ..known.clone() } },
        Edge {
            share: Some(0.287),
            success: Some(0.806),
            p99: "≈ 184 ms (100 to 250 ms)".to_owned(),
            health: Health::Failing,
            note: "no answer: UF".to_owned(),
            ..edge("reviews", "v2", 6.9)
        },
        edge("v2", "ratings", 6.8),
        Edge { from: "v1".into(), to: "10.244.0.6:8000".into(), rate: Some(14.3), ..known },
        edge("v2", "10.244.0.7:8000", 6.9),
        edge("v2", "v2", 0.1),
        edge("ratings", "reviews", 0.2),
        edge("ingress", "10.244.0.7:8000", 0.3),
    ];
    (nodes, edges)
}

/// A permutation without randomness: a generator of Lehmer's.
fn shuffled<T>(mut list: Vec<T>, seed: u64) -> Vec<T> {
    let mut state = seed;
    for at in (1..list.len()).rev() {
        state = state * 48_271 % 0x7fff_ffff;
        list.swap(at, (state % (at as u64 + 1)) as usize);
    }
    list
}

#[test]
fn a_release_in_its_mesh() {
    let (nodes, edges) = bookinfo();
    let graph = Graph::new(nodes, edges);
    check("graph", &picture(&graph));
    let sentences: Vec<String> = rows(&graph).iter().map(|row| row.sentence()).collect();
    assert_eq!(sentences.len(), 10);
    assert_eq!(sentences[0], "ingress to 10.244.0.7:8000: 0.3 rps, success no data, p99 no data, no data");
    assert_eq!(
        sentences[5],
        "reviews to v2: 6.9 rps, share 28.7 %, success 80.6 %, p99 ≈ 184 ms (100 to 250 ms), failing; no answer: UF"
    );
}

#[test]
fn shuffled_input_gives_the_same_bytes() {
    let (nodes, edges) = bookinfo();
    let expected = picture(&Graph::new(nodes.clone(), edges.clone()));
    for seed in 1..50 {
        let graph = Graph::new(shuffled(nodes.clone(), seed), shuffled(edges.clone(), seed + 100));
        assert!(picture(&graph) == expected, "{seed}");
    }
}

#[test]
fn nothing_one_node_and_a_loop_are_pictures() {
    check("graph-empty", &picture(&Graph::default()));
    let one = node("reviews", Kind::Service, Health::NoData);
    check("graph-loop", &picture(&Graph::new(vec![one.clone()], vec![edge("reviews", "reviews", 0.5)])));
    let Layout { width, height, nodes, ways, .. } = layout(&Graph::new(vec![one], vec![]));
    assert_eq!((width, height, nodes, ways), (192.0, 108.0, vec![(12.0, 42.0)], vec![]));
}

#[test]
fn duplicates_merge_and_ends_without_a_node_become_one() {
    let part = |rate, success, health, note: &str, p99: &str| Edge {
        success: Some(success),
        health,
        note: note.to_owned(),
        p99: p99.to_owned(),
        ..edge("a", "b", rate)
    };
    let edges = vec![
        part(3.0, 1.0, Health::Healthy, "", "10 ms"),
        part(1.0, 0.6, Health::Failing, "UF", "20 ms"),
        part(0.0, 0.0, Health::NoData, "UF", "10 ms"),
    ];
    for seed in 1..10 {
        let graph = Graph::new(vec![], shuffled(edges.clone(), seed));
        let merged: Vec<&Edge> = graph.edges().collect();
        let success = 0.9;
        let expected =
            Edge { rate: Some(4.0), success: Some(success), ..part(0.0, 0.0, Health::Failing, "UF", "10 ms; 20 ms") };
        assert_eq!(merged, [&expected]);
        assert_eq!(graph.nodes().map(|node| node.kind).collect::<Vec<_>>(), [Kind::Caller, Kind::Dependency]);
    }
    let twice = vec![node("a", Kind::Version, Health::Failing), node("a", Kind::Caller, Health::Healthy)];
    let graph = Graph::new(twice, vec![]);
    assert_eq!(graph.node("a").map(|node| (node.kind, node.health)), Some((Kind::Caller, Health::Failing)));
}

#[test]
fn names_are_escaped() {
    let mut odd = node("<script>&\"'", Kind::Host, Health::NoData);
    odd.href = "/x?a=\"><script>".to_owned();
    let found = picture(&Graph::new(vec![odd], vec![]));
    assert!(!found.contains("<script>") && found.contains("&lt;script&gt;&amp;&quot;&#39;"), "{found}");
}

#[test]
fn three_hundred_nodes_are_laid_out_without_overlap_and_always_the_same() {
    let kinds = [Kind::Caller, Kind::Service, Kind::Version, Kind::Dependency, Kind::Host];
    let nodes: Vec<Node> = (0..300).map(|at| node(&format!("n{at}"), kinds[at % 5], Health::Healthy)).collect();
    let edges: Vec<Edge> = (0..1000_usize)
        .map(|at| edge(&format!("n{}", at * 37 % 300), &format!("n{}", (at * at * 13 + 7 * at) % 300), 0.1 * at as f64))
        .collect();
    let graph = Graph::new(nodes.clone(), edges.clone());
    let found = layout(&graph);
    assert_eq!(found.nodes.len(), 300);
    let mut places: Vec<(i64, i64)> = found.nodes.iter().map(|(x, y)| (*x as i64, *y as i64)).collect();
    places.sort_unstable();
    for pair in places.windows(2) {
        assert!(pair[0].0 != pair[1].0 || pair[1].1 - pair[0].1 >= 80, "{pair:?}");
    }
    assert!(places.iter().all(|(x, y)| *x >= 12 && *y >= 12 && (*x as f64) < found.width && (*y as f64) < found.height));
    let again = Graph::new(shuffled(nodes, 7), shuffled(edges, 8));
    assert!(picture(&graph) == picture(&again));
}

#[test]
fn a_chain_with_long_edges_is_laid_out_too() {
    let name = |at: usize| format!("n{at:03}");
    let mut edges: Vec<Edge> = (1..120).map(|at| edge(&name(at - 1), &name(at), 1.0)).collect();
    edges.extend((0..250).map(|at| edge(&name(at % 50), &name(119 - at % 59), 1.0)));
    let found = layout(&Graph::new(vec![], edges));
    assert_eq!(found.nodes.len(), 120);
}
