//! How often the engine asks for memory while it decides, and how much reading a file asks for: counts that no noise touches.
#![cfg(test)]
#![expect(unsafe_code, reason = "an allocator is unsafe by its nature; this one counts and hands on")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fmt::Write;
use std::path::Path;

use serde_json::{Value, json};
use serin_config::{Destination, Request, Split, SplitDocument};

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
    static BYTES: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: all is handed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        BYTES.set(BYTES.get() + layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations of one decision, with rules and stickiness as given.
fn allocations(rules: &Value, sticky: &Value) -> usize {
    let document = json!({"version": 1, "splits": [{"release": "a/b", "hosts": ["b"], "stable": "v1", "buckets": [["v2", 50_000]],
        "rules": rules, "sticky": sticky}]});
    let mut document = SplitDocument::parse(document.to_string().as_bytes()).unwrap();
    document.embed_automata().unwrap();
    let split = Split::compile(&document).unwrap();
    let request = Request::get("/shop/cart?id=7")
        .header(":authority", "b:80")
        .header("user-agent", "Mozilla/5.0 (Windows NT 10.0)")
        .header("x-request-id", "f4a1d2c4")
        .header("x-team", "none")
        .header("baggage", "user=ann")
        .header("cookie", "theme=dark; user=ann");
    let destination = Destination::new("b", Some(80));
    let before = COUNT.get();
    let decision = split.decide(&destination, &request);
    assert_eq!(decision.release, Some("a/b"));
    drop(decision);
    COUNT.get() - before
}

#[test]
fn a_decision_takes_no_memory() {
    let none = json!([]);
    for key in [json!({"cookie": "user"}), json!({"header": "x-team"}), json!({"query": "id"}), json!({"baggage": "user"})] {
        assert_eq!(allocations(&none, &json!({"by": [key]})), 0, "{key}");
    }
    assert_eq!(allocations(&none, &json!({"otherwise": "random"})), 0);
    let user = json!({"by": [{"cookie": "user"}]});
    let conditions = [
        json!({"header": {"name": "x-team", "exact": "qa"}}),
        json!({"header": {"name": "x-team", "prefix": "QA", "ignoreCase": true}}),
        json!({"cookie": {"name": "theme", "suffix": "light"}}),
        json!({"query": {"name": "id", "in": ["1", "2"]}}),
        json!({"path": {"pathPrefix": "/api"}}),
        json!({"path": {"regex": "/api/.*"}}),
        json!({"method": {"exact": "POST"}}),
        json!({"authority": {"suffix": ".example.com"}}),
        json!({"os": {"in": ["ios"]}}),
        json!({"anyOf": [{"header": {"name": "x-none", "present": true}}]}),
        json!({"not": {"header": {"name": "x-team", "present": true}}}),
    ];
    for condition in conditions {
        assert_eq!(allocations(&json!([{"name": "r", "when": [condition], "version": "v2"}]), &user), 0, "{condition}");
    }
    let rule = |n: u32| json!({"name": format!("r{n}"), "when": [{"header": {"name": "x-team", "exact": format!("t{n}")}}], "version": "v2"});
    assert_eq!(allocations(&(0..1000).map(rule).collect(), &user), 0);
}

#[test]
fn a_new_identity_takes_memory() {
    let issue = json!({"by": [{"cookie": "nobody"}], "otherwise": {"issueCookie": {"name": "id"}}});
    assert!(allocations(&json!([]), &issue) > 0, "the counter does not count");
}

/// A release as `kubectl` prints it.
fn release(number: usize) -> String {
    format!(
        r#"{{"apiVersion": "serin.dev/v1alpha1", "kind": "CanaryRelease", "metadata": {{"name": "r{number}", "namespace": "shop"}},
  "spec": {{"service": "s{number}", "stable": {{"version": "v1"}}, "canaries": [{{"version": "v2", "weight": "10%"}}],
    "rules": [{{"name": "testers", "when": [{{"header": {{"name": "x-team", "exact": "qa"}}}}], "version": "v2"}}]}}}}"#
    )
}

fn documents(releases: usize) -> String {
    (0..releases).fold(String::new(), |mut text, number| {
        let _ = writeln!(text, "---\n{}", release(number));
        text
    })
}

fn list(releases: usize) -> String {
    let items: Vec<String> = (0..releases).map(release).collect();
    format!("{{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [{}]}}", items.join(",\n"))
}

/// The bytes that are allocated to read and compile a text.
fn cost(text: &str, releases: usize) -> usize {
    let before = BYTES.get();
    let path = Path::new("releases.yaml");
    let checked = serin_release::file::parse(path, text.as_bytes()).unwrap().compile(path).unwrap();
    assert_eq!(checked.split.len(), releases);
    BYTES.get() - before
}

#[test]
fn eight_times_the_releases_cost_eight_times_as_much() {
    for form in [documents, list] {
        let [small, large] = [250, 2000].map(|releases| cost(&form(releases), releases));
        assert!(large < small * 10, "{small} and {large} bytes");
    }
}
