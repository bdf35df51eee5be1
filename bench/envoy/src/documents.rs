//! Split documents, as the controller writes them.

// The same names as in the bench of the cluster, on whose crate a mesh depends.
#[path = "../../../tests/src/names.rs"]
#[expect(unreachable_pub, reason = "there it is public")]
mod names;

use serde_json::{Value, json};
use serin_config::SplitDocument;

use crate::Result;

/// The host of the one release that all rows but the large ones ask for.
pub(crate) const HOST: &str = "reviews.bookinfo.svc.cluster.local";
/// Its release.
pub(crate) const RELEASE: &str = "bookinfo/reviews";
/// Namespaces of a large mesh, and releases in each.
const NAMESPACES: usize = 200;
const RELEASES: usize = 50;

/// One release by the cookie `user`, half and half, with rules.
pub(crate) fn reviews(rules: Vec<Value>) -> String {
    let mut split = split(RELEASE, HOST, 50_000);
    if let Some(split) = split.as_object_mut().filter(|_| !rules.is_empty()) {
        split.insert("rules".to_owned(), rules.into());
    }
    document(&[split])
}

/// The same release, where a visitor without the cookie is given an identity.
pub(crate) fn issuing() -> String {
    let mut split = split(RELEASE, HOST, 50_000);
    let sticky =
        json!({"by": [{"cookie": "user"}, {"cookie": "serin_id"}], "otherwise": {"issueCookie": {"name": "serin_id"}}});
    if let Some(split) = split.as_object_mut() {
        split.insert("sticky".to_owned(), sticky);
    }
    document(&[split])
}

/// So many releases; the canary of the middle one has so many buckets.
pub(crate) fn releases(count: usize, buckets: u32) -> String {
    let middle = middle(count);
    let own = |index| if index == middle { buckets } else { 50_000 };
    document(&(0..count).map(|index| split(&release(index), &host(index), own(index))).collect::<Vec<_>>())
}

/// 10 000 releases with the names of a large mesh, as a WasmPlugin carries them; the canary of the middle one has so many buckets.
pub(crate) fn packed(buckets: u32) -> Result<String> {
    let names = names::names(NAMESPACES, RELEASES);
    let document = names::document(&names, middle(names.len()), buckets).to_string();
    Ok(json!({"document": SplitDocument::parse(document.as_bytes())?.to_text()}).to_string())
}

/// The host of the middle one.
pub(crate) fn packed_host() -> String {
    let names = names::names(NAMESPACES, RELEASES);
    names.get(middle(names.len())).map(names::Name::host).unwrap_or_default()
}

/// The number of the release that is asked for among so many.
pub(crate) fn middle(count: usize) -> usize {
    count / 2
}

/// The name of a release among many.
pub(crate) fn release(index: usize) -> String {
    format!("shop-{index:04}/service")
}

/// Its host.
pub(crate) fn host(index: usize) -> String {
    format!("service-{index:04}.shop-{index:04}.svc.cluster.local")
}

/// A rule that sends those with a header to v2.
pub(crate) fn header_rule(name: String, header: &str, value: &str) -> Value {
    json!({"name": name, "when": [{"header": {"name": header, "exact": value}}], "version": "v2"})
}

/// Ten rules by header and ten by path, none of which matches.
pub(crate) fn mixed_rules() -> Vec<Value> {
    let headers = (0..10).map(|n| header_rule(format!("header-{n}"), &format!("x-preview-{n}"), "on"));
    let path = |n| json!({"name": format!("path-{n}"), "when": [{"path": {"pathPrefix": format!("/preview/{n}")}}], "version": "v2"});
    headers.chain((0..10).map(path)).collect()
}

/// So many rules for values of one header, none of which matches.
pub(crate) fn literal_rules(count: usize) -> Vec<Value> {
    (0..count).map(|n| header_rule(format!("tenant-{n}"), "x-tenant", &format!("tenant-{n:04}"))).collect()
}

fn split(release: &str, host: &str, buckets: u32) -> Value {
    // A run without buckets is refused.
    let runs: Vec<Value> = (buckets > 0).then(|| json!(["v2", buckets])).into_iter().collect();
    json!({
        "release": release, "hosts": [host], "ports": [9080], "stable": "v1", "buckets": runs,
        "sticky": {"by": [{"cookie": "user"}]},
    })
}

fn document(splits: &[Value]) -> String {
    json!({"version": 1, "splits": splits}).to_string()
}
