//! Schemas that others read are generated from the types and committed.
#![cfg(test)]

use serin_config::SplitDocument;
use serin_tests::golden;

#[test]
fn the_schema_of_the_document_is_the_committed_one() {
    let schema = serde_json::to_string_pretty(&schemars::schema_for!(SplitDocument)).unwrap();
    golden::check("docs/split-document.schema.json", &format!("{schema}\n")).unwrap();
}

#[test]
fn a_release_without_rules_takes_at_most_250_bytes() {
    let text = r#"{"release":"bookinfo/reviews","hosts":["reviews.bookinfo.svc.cluster.local"],"ports":[9080],"stable":"v1",
        "buckets":[["v2",12345]],"sticky":{"by":[{"cookie":"user"}]}}"#;
    let with = format!(r#"{{"version":1,"splits":[{text}]}}"#);
    let document = SplitDocument::parse(with.as_bytes()).unwrap();
    let empty = SplitDocument::new(Vec::new()).to_json().len();
    let bytes = document.to_json().len() - empty;
    assert!(bytes <= 250, "{bytes} bytes");
}
