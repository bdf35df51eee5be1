//! Schemas that others read are generated from the types and committed.
#![cfg(test)]

use serin_config::SplitDocument;
use serin_controller::cluster::rbac;
use serin_tests::golden;

#[test]
fn the_schema_of_the_document_is_the_committed_one() {
    let schema = serde_json::to_string_pretty(&schemars::schema_for!(SplitDocument)).unwrap();
    golden::check("docs/split-document.schema.json", &format!("{schema}\n")).unwrap();
}

#[test]
fn what_a_cluster_is_given_is_generated() {
    let definition = serin_controller::api::crd::yaml();
    golden::check("deploy/crds/canaryreleases.serin.dev.yaml", &definition).unwrap();
    golden::check("deploy/helm/serin/crds/canaryreleases.serin.dev.yaml", &definition).unwrap();
    golden::check("deploy/rbac.yaml", &rbac::manifest()).unwrap();
    golden::check("deploy/helm/serin/files/rules.yaml", &rbac::chart_rules()).unwrap();
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
