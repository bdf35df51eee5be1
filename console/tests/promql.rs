//! Queries as Prometheus gets them. `SERIN_BLESS=1` writes the expected ones.
#![cfg(test)]

use serin_console::promql::decisions;
use serin_console::promql::envoy::{self, Dialect};
use serin_console::promql::istio::{self, Reporter};

const ONE: [&str; 1] = ["reviews.bookinfo.svc.cluster.local"];
const TWO: [&str; 3] = ["shop.example.com", "reviews.bookinfo.svc.cluster.local", "shop.example.com"];

fn queries() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (name, hosts) in [("one", &ONE[..]), ("two", &TWO), ("none", &[])] {
        for (dialect, reporter) in [("source", Reporter::Source), ("destination", Reporter::Destination)] {
            let name = |query: &str| format!("istio {query}, {dialect}, {name}");
            found.push((name("requests"), istio::requests(reporter, hosts, 300)));
            found.push((name("errors"), istio::errors(reporter, hosts, 300)));
            found.push((name("success"), istio::success_ratio(reporter, hosts, 300)));
            found.push((name("p99"), istio::quantile(reporter, hosts, 0.99, 300)));
        }
        found.push((format!("istio edges, {name}"), istio::edges(hosts, 60)));
        found.push((format!("istio unreached, {name}"), istio::unreached(hosts, 60)));
        found.push((format!("istio requests, waypoint, {name}"), istio::requests(Reporter::Waypoint, hosts, 60)));
        for dialect in [Dialect::Standalone, Dialect::Mesh] {
            let name = |query: &str| format!("envoy {query}, {dialect:?}, {name}");
            found.push((name("requests"), envoy::requests(dialect, hosts, 60)));
            found.push((name("errors"), envoy::errors(dialect, hosts, 60)));
            found.push((name("success"), envoy::success_ratio(dialect, hosts, 60)));
            found.push((name("served"), envoy::served(dialect, hosts, 60)));
            found.push((name("healthy"), envoy::healthy(dialect, hosts)));
            found.push((name("p50"), envoy::quantile(dialect, hosts, 0.5, 60)));
        }
    }
    let releases = ["shop/cart", "bookinfo/reviews"];
    found.push(("decided".to_owned(), decisions::decided(&releases, 300)));
    found.push(("decided, none".to_owned(), decisions::decided(&[], 300)));
    found.push(("observed".to_owned(), decisions::observed_share(&releases, 300)));
    found.push(("intended".to_owned(), decisions::intended_share("bookinfo", &["reviews"])));
    found
}

#[test]
fn queries_are_as_expected() {
    let text: String = queries().into_iter().map(|(name, query)| format!("# {name}\n{query}\n\n")).collect();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/queries.promql");
    if std::env::var_os("SERIN_BLESS").is_some() {
        std::fs::write(file, text).unwrap();
        return;
    }
    assert_eq!(text, std::fs::read_to_string(file).unwrap());
}

#[test]
fn the_order_of_hosts_does_not_matter() {
    let [a, b, _] = TWO;
    assert_eq!(istio::errors(Reporter::Source, &[a, b], 60), istio::errors(Reporter::Source, &[b, a], 60));
    assert_eq!(envoy::errors(Dialect::Mesh, &[a, b], 60), envoy::errors(Dialect::Mesh, &[b, a], 60));
}
