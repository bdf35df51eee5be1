//! What the built filter is: its interface, its size, its price, and that the same sources give the same bytes.
#![cfg(test)]

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use serin_config::{Split, SplitDocument};
use serin_module::{FILTER, REQUEST_FILTER};
use serin_tests::golden;
use serin_tests::host::{Exchange, Host, Input, filter_for, interface};
use sha2::{Digest, Sha256};

#[test]
fn imports_and_exports_are_the_committed_ones() {
    for (name, module) in [("filter", FILTER), ("request_filter", REQUEST_FILTER)] {
        let (imports, exports) = interface(module).unwrap();
        golden::check(&format!("tests/golden/{name}.imports.txt"), &format!("{}\n", imports.join("\n"))).unwrap();
        golden::check(&format!("tests/golden/{name}.exports.txt"), &format!("{}\n", exports.join("\n"))).unwrap();
    }
}

/// A release with so many rules that do not match, and a sticky cookie.
fn document(rules: usize) -> Value {
    let rule = |index| json!({"name": format!("r{index}"), "when": [{"header": {"name": "x-team", "exact": format!("team-{index}")}}], "version": "v2"});
    let rules: Vec<_> = (0..rules).map(rule).collect();
    json!({"version": 1, "splits": [{"release": "bookinfo/reviews", "hosts": ["reviews.bookinfo.svc.cluster.local"], "ports": [9080],
        "stable": "v1", "buckets": [["v2", 50_000]], "sticky": {"by": [{"cookie": "user"}]}, "rules": rules}]})
}

/// A document of so many releases: the one that is asked for in the middle of others, with this number of buckets.
fn releases(count: usize, buckets: u32) -> String {
    let mut document = document(0);
    let other = |index: usize| {
        json!({"release": format!("shop-{index:05}/service"), "hosts": [format!("service.shop-{index:05}.svc.cluster.local")],
        "ports": [9080], "stable": "v1", "buckets": [["v2", 50_000]], "sticky": {"by": [{"cookie": "user"}]}})
    };
    let mut splits: Vec<_> = (1..count).map(other).collect();
    document["splits"][0]["buckets"][0][1] = json!(buckets);
    splits.insert(count / 2, document["splits"][0].take());
    document["splits"] = json!(splits);
    document.to_string()
}

fn input() -> Input {
    let header = |name: &str, value: &str| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
    let headers = vec![
        header(":method", "GET"),
        header(":path", "/reviews/0"),
        header(":authority", "reviews:9080"),
        header("user-agent", "curl/8.5.0"),
        header("accept", "*/*"),
        header("x-request-id", "f4a1d2c4-6c3b-4d4c-9a57-5f8f0d3f7c11"),
        header("x-team", "none"),
        header("cookie", "theme=dark; user=ann; session=0123456789abcdef"),
    ];
    let cluster = b"outbound|9080|v1|reviews.bookinfo.svc.cluster.local".to_vec();
    Input { headers, properties: [("xds.cluster_name".to_owned(), cluster)].into() }
}

/// The third of three equal requests: by then the VM has what it allocates once.
fn warm(document: &str) -> (Exchange, Host) {
    let mut host = Host::load(filter_for(&Split::parse(document.as_bytes()).unwrap())).unwrap();
    assert!(host.configure(document.as_bytes()).unwrap());
    host.request(input()).unwrap();
    host.request(input()).unwrap();
    (host.request(input()).unwrap(), host)
}

#[test]
fn what_a_request_costs_is_committed() {
    let cost = |document: &Value| {
        let (exchange, _) = warm(&document.to_string());
        json!({"fuel": exchange.fuel, "hostCalls": exchange.calls, "entries": exchange.entries,
            "copied": {"into": exchange.copied.into, "out": exchange.copied.out}})
    };
    let mut issued = document(0);
    issued["splits"][0]["sticky"] = json!({"by": [{"cookie": "nobody"}], "otherwise": {"issueCookie": {"name": "id"}}});
    let mut told = document(0);
    told["reportReason"] = json!(true);
    let mut keyed = document(0);
    keyed["splits"][0]["routingKey"] = json!("1f0c6b2a9d");
    let elsewhere = json!({"version": 1, "splits": []});
    let bytes = json!({"filter": FILTER.len(), "request_filter": REQUEST_FILTER.len()});
    let budget = json!({"bytes": bytes, "requests": {
        "sticky cookie": cost(&document(0)), "1 rule": cost(&document(1)), "20 rules": cost(&document(20)),
        "1000 rules": cost(&document(1000)), "routing key": cost(&keyed), "issued cookie": cost(&issued), "reason told": cost(&told), "no release": cost(&elsewhere)}});
    golden::check("tests/golden/filter.budget.json", &format!("{}\n", serde_json::to_string_pretty(&budget).unwrap()))
        .unwrap();
}

#[test]
fn ten_thousand_releases_cost_what_one_does() {
    let (one, _) = warm(&releases(1, 1));
    let (many, mut host) = warm(&releases(10_000, 1));
    assert_eq!((&one.calls, &one.entries, one.copied), (&many.calls, &many.entries, many.copied));
    // A probe of a larger table may meet one more entry.
    assert!(many.fuel < one.fuel + one.fuel / 50, "{} and {}", many.fuel, one.fuel);
    // Updates: one release is read anew, the others are compared.
    let first = host.configuration_fuel();
    for buckets in 2..6 {
        assert!(host.configure(releases(10_000, buckets).as_bytes()).unwrap());
        assert!(host.configuration_fuel() < first / 100, "{} and {first}", host.configuration_fuel());
    }
    let mebibytes = host.memory_bytes() >> 20;
    assert!(mebibytes <= 12, "{mebibytes} MiB");
}

#[test]
fn a_large_change_is_read_in_pieces() {
    let (_, mut host) = warm(&releases(10_000, 1));
    let first = host.configuration_fuel();
    let other = releases(10_000, 100_000).replace("50000", "40000");
    assert!(host.configure(other.as_bytes()).unwrap());
    assert_eq!(host.tick_milliseconds(), 1);
    let mut pieces = 1;
    while host.tick_milliseconds() == 1 {
        assert!(host.configuration_fuel() < first / 20, "{} and {first}", host.configuration_fuel());
        // The document before decides until the last piece.
        let version = |host: &mut Host| {
            host.request(input()).unwrap().request.into_iter().find(|(name, _)| name == b"x-serin-version")
        };
        assert_eq!(version(&mut host).unwrap().1, b"v1");
        host.tick().unwrap();
        pieces += 1;
    }
    assert!(pieces > 20, "{pieces}");
    let version = host.request(input()).unwrap().request.into_iter().find(|(name, _)| name == b"x-serin-version");
    assert_eq!(version.unwrap().1, b"v2");
    assert_eq!(host.tick_milliseconds(), 1000);
}

#[test]
fn fuel_is_the_same_each_time() {
    let fuel = || warm(&document(20).to_string()).0;
    assert_eq!(fuel(), fuel());
}

/// The host calls of a request with these headers more, by name.
fn calls(document: &Value, headers: &[(&str, &str)]) -> Vec<&'static str> {
    let mut host = Host::load(FILTER).unwrap();
    assert!(host.configure(document.to_string().as_bytes()).unwrap());
    let mut input = input();
    input.headers.extend(headers.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())));
    let exchange = host.request(input).unwrap();
    exchange.calls.into_iter().flat_map(|(name, times)| std::iter::repeat_n(name, times.try_into().unwrap())).collect()
}

#[test]
fn a_sticky_cookie_takes_three_host_calls() {
    let (one, all, cluster, set) =
        ("proxy_get_header_map_value", "proxy_get_header_map_pairs", "proxy_get_property", "proxy_replace_header_map_value");
    assert_eq!(calls(&document(0), &[]), [one, cluster, set]);
    // Where conditions are asked too, all headers come at once.
    assert_eq!(calls(&document(20), &[]), [all, cluster, set]);
    // A cookie may stand in a second header.
    let mut elsewhere = document(0);
    elsewhere["splits"][0]["sticky"]["by"][0]["cookie"] = json!("second");
    assert_eq!(calls(&elsewhere, &[("cookie", "second=ann")]), [all, one, cluster, set]);
    let mut taken_over = document(0);
    taken_over["splits"][0]["takeover"] = json!("v2");
    assert_eq!(calls(&taken_over, &[]), [cluster, set]);
    let nothing = json!({"version": 1, "splits": []});
    assert_eq!(calls(&nothing, &[]), [one, cluster]);
    assert_eq!(calls(&nothing, &[("x-serin-version", "v2")]), [one, cluster, "proxy_remove_header_map_value"]);
}

#[test]
fn a_response_costs_nothing_unless_it_may_carry_a_cookie() {
    let mut issued = document(0);
    issued["splits"][0]["sticky"] = json!({"by": [{"cookie": "user"}], "otherwise": {"issueCookie": {"name": "id"}}});
    let mut host = Host::load(FILTER).unwrap();
    assert!(host.configure(issued.to_string().as_bytes()).unwrap());
    let mut calls = |input: Input, cache: &str| {
        let header = |name: &str, value: &str| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
        let response = vec![header(":status", "200"), header("cache-control", cache)];
        host.exchange(input, response).unwrap().response_calls.into_iter().collect::<Vec<_>>()
    };
    let mut visitor = input();
    visitor.headers.pop();
    let (all, waiting, add) =
        (("proxy_get_header_map_pairs", 1), ("proxy_get_property", 1), ("proxy_add_header_map_value", 1));
    assert_eq!(calls(input(), "private"), []);
    assert_eq!(calls(visitor.clone(), "private"), [add, all, waiting]);
    assert_eq!(calls(visitor, "public"), [all, waiting]);
}

/// Builds the filter from a copy of the sources in another folder.
fn rebuilt(folder: &Path) -> [Vec<u8>; 2] {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let listed = Command::new("git").args(["ls-files", "-co", "--exclude-standard"]).current_dir(&root).output().unwrap();
    for file in String::from_utf8(listed.stdout).unwrap().lines().filter(|file| root.join(file).is_file()) {
        let copy = folder.join(file);
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(root.join(file), copy).unwrap();
    }
    let script = folder.join("filter/module/build.rs");
    let out = folder.join("out");
    fs::create_dir(&out).unwrap();
    let built = Command::new("rustc").args(["--edition", "2024", "-o"]).arg(out.join("build")).arg(script).status().unwrap();
    assert!(built.success());
    let done = Command::new(out.join("build"))
        .env("CARGO_MANIFEST_DIR", folder.join("filter/module"))
        .env("OUT_DIR", &out)
        .env("CARGO", env!("CARGO"))
        .status()
        .unwrap();
    assert!(done.success());
    ["serin_filter.wasm", "serin_request_filter.wasm"].map(|module| fs::read(out.join(module)).unwrap())
}

#[test]
fn two_folders_give_the_same_bytes() {
    let folders = tempfile::tempdir().unwrap();
    let near = rebuilt(&folders.path().join("a"));
    let far = rebuilt(&folders.path().join("somewhere/else"));
    let digest = |bytes: &[u8]| Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    for (near, (far, carried)) in near.iter().zip(far.iter().zip([FILTER, REQUEST_FILTER])) {
        assert_eq!(digest(near), digest(far));
        assert_eq!(digest(near), digest(carried));
    }
}

/// The document as the controller hands it on.
fn carried(document: &str) -> String {
    let text = SplitDocument::parse(document.as_bytes()).unwrap().to_text();
    json!({"document": text}).to_string()
}

/// Fuel of the longest single call for an update, and the number of calls.
fn longest_call(host: &mut Host, configuration: &str) -> (u64, usize) {
    assert!(host.configure(configuration.as_bytes()).unwrap());
    let (mut longest, mut calls) = (host.configuration_fuel(), 1);
    while host.tick_milliseconds() == 1 {
        host.tick().unwrap();
        longest = longest.max(host.configuration_fuel());
        calls += 1;
    }
    (longest, calls)
}

#[test]
fn an_update_of_a_packed_document_holds_a_worker_up_no_longer_than_one_of_a_plain_document() {
    let [first, next] = [releases(10_000, 1), releases(10_000, 2)];
    let longest = |first: &str, next: &str| {
        let mut host = Host::load(filter_for(&Split::parse(first.as_bytes()).unwrap())).unwrap();
        longest_call(&mut host, first);
        longest_call(&mut host, next)
    };
    let (plain, _) = longest(&first, &next);
    let (packed, calls) = longest(&carried(&first), &carried(&next));
    assert!(packed < plain + plain / 20, "{packed} and {plain}");
    assert!(calls > 10, "{calls}");
}
