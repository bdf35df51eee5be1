//! What the built filter is: its interface, its size, its price, and that the same sources give the same bytes.
#![cfg(test)]

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;
use serin_controller::FILTER;
use serin_tests::golden;
use serin_tests::host::{Exchange, Host, Input, interface};
use sha2::{Digest, Sha256};

#[test]
fn imports_and_exports_are_the_committed_ones() {
    let (imports, exports) = interface(FILTER).unwrap();
    golden::check("tests/golden/filter.imports.txt", &format!("{}\n", imports.join("\n"))).unwrap();
    golden::check("tests/golden/filter.exports.txt", &format!("{}\n", exports.join("\n"))).unwrap();
}

/// A release with so many rules that do not match, and a sticky cookie.
fn document(rules: usize) -> String {
    let rule = |index| json!({"name": format!("r{index}"), "when": [{"header": {"name": "x-team", "exact": format!("team-{index}")}}], "version": "v2"});
    let rules: Vec<_> = (0..rules).map(rule).collect();
    json!({"version": 1, "splits": [{"release": "bookinfo/reviews", "hosts": ["reviews.bookinfo.svc.cluster.local"], "ports": [9080],
        "stable": "v1", "buckets": [["v2", 50_000]], "sticky": {"by": [{"cookie": "user"}]}, "rules": rules}]})
    .to_string()
}

/// The second of two equal requests: by then the VM has what it allocates once.
fn warm(document: &str) -> Exchange {
    let mut host = Host::load(FILTER).unwrap();
    assert!(host.configure(document.as_bytes()).unwrap());
    let header = |name: &str, value: &str| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
    let mut input = Input {
        headers: vec![
            header(":method", "GET"),
            header(":path", "/reviews/0"),
            header(":authority", "reviews:9080"),
            header("user-agent", "curl/8.5.0"),
            header("accept", "*/*"),
            header("x-request-id", "f4a1d2c4-6c3b-4d4c-9a57-5f8f0d3f7c11"),
            header("x-team", "none"),
            header("cookie", "theme=dark; user=ann; session=0123456789abcdef"),
        ],
        ..Input::default()
    };
    input.properties.insert("xds.cluster_name".into(), b"outbound|9080|v1|reviews.bookinfo.svc.cluster.local".to_vec());
    host.request(input.clone()).unwrap();
    host.request(input).unwrap()
}

#[test]
fn size_fuel_and_host_calls_are_the_committed_ones() {
    let of = |rules| {
        let exchange = warm(&document(rules));
        json!({"fuel": exchange.fuel, "calls": exchange.calls})
    };
    let budget = json!({"bytes": FILTER.len(), "rules": {"0": of(0), "1": of(1), "20": of(20), "200": of(200)}});
    golden::check("tests/golden/filter.budget.json", &format!("{}\n", serde_json::to_string_pretty(&budget).unwrap()))
        .unwrap();
}

#[test]
fn fuel_is_the_same_each_time() {
    assert_eq!(warm(&document(20)), warm(&document(20)));
}

#[test]
fn a_sticky_cookie_takes_three_host_calls() {
    let calls = warm(&document(0)).calls;
    let named: Vec<_> = calls.into_iter().collect();
    assert_eq!(named, [("proxy_get_header_map_pairs", 1), ("proxy_get_property", 1), ("proxy_replace_header_map_value", 1)]);
}

/// Builds the filter from a copy of the sources in another folder.
fn rebuilt(folder: &Path) -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let listed = Command::new("git").args(["ls-files", "-co", "--exclude-standard"]).current_dir(&root).output().unwrap();
    for file in String::from_utf8(listed.stdout).unwrap().lines().filter(|file| root.join(file).is_file()) {
        let copy = folder.join(file);
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(root.join(file), copy).unwrap();
    }
    let script = folder.join("controller/build.rs");
    let out = folder.join("out");
    fs::create_dir(&out).unwrap();
    let built = Command::new("rustc").args(["--edition", "2024", "-o"]).arg(out.join("build")).arg(script).status().unwrap();
    assert!(built.success());
    let done = Command::new(out.join("build"))
        .env("CARGO_MANIFEST_DIR", folder.join("controller"))
        .env("OUT_DIR", &out)
        .env("CARGO", env!("CARGO"))
        .status()
        .unwrap();
    assert!(done.success());
    fs::read(out.join("serin_filter.wasm")).unwrap()
}

#[test]
fn two_folders_give_the_same_bytes() {
    let folders = tempfile::tempdir().unwrap();
    let near = rebuilt(&folders.path().join("a"));
    let far = rebuilt(&folders.path().join("somewhere/else"));
    let digest = |bytes: &[u8]| Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(digest(&near), digest(&far));
    assert_eq!(digest(&near), digest(FILTER));
}
