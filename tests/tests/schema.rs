//! Schemas that others read are generated from the types and committed.
#![cfg(test)]

use serin_config::SplitDocument;
use serin_release::reference;
use serin_tests::golden;

#[test]
fn the_schema_of_the_document_is_the_committed_one() {
    let schema = serde_json::to_string_pretty(&schemars::schema_for!(SplitDocument)).unwrap();
    golden::check("docs/split-document.schema.json", &format!("{schema}\n")).unwrap();
}

#[cfg(feature = "system")]
#[test]
fn what_a_cluster_is_given_is_generated() {
    use serin_controller::cluster::{crd, policy, rbac};
    for definition in [crd::crd(), crd::control::crd()] {
        let name = definition["metadata"]["name"].as_str().unwrap();
        let text = crd::text(&definition);
        golden::check(&format!("deploy/crds/{name}.yaml"), &text).unwrap();
        golden::check(&format!("deploy/helm/serin/crds/{name}.yaml"), &text).unwrap();
    }
    golden::check("deploy/rbac.yaml", &rbac::manifest()).unwrap();
    golden::check("deploy/roles.yaml", &rbac::user_roles()).unwrap();
    golden::check("deploy/components/without-workloads/rbac.yaml", &rbac::without_workloads()).unwrap();
    golden::check("deploy/helm/serin/files/rules.yaml", &rbac::chart_rules()).unwrap();
    golden::check("deploy/policy.yaml", &policy::manifest()).unwrap();
    golden::check("deploy/components/filled-author/policy.yaml", &policy::author_manifest()).unwrap();
    golden::check("deploy/helm/serin/files/policy.yaml", &policy::chart_spec()).unwrap();
}

#[test]
fn the_page_of_conditions_is_generated() {
    golden::check("docs/reference/conditions.md", &serin_mesh::conditions::reference()).unwrap();
}

#[cfg(feature = "system")]
#[test]
fn the_reference_of_the_command_line_is_generated() {
    golden::check("docs/reference/command-line.md", &serin_controller::cli::reference()).unwrap();
}

#[cfg(feature = "system")]
#[test]
fn the_reference_of_metrics_and_labels_is_generated() {
    golden::check("docs/reference/metrics.md", &serin_controller::reference::metrics()).unwrap();
    golden::check("docs/reference/labels.md", &serin_controller::reference::labels()).unwrap();
}

#[test]
fn the_reference_of_the_filter_is_generated() {
    golden::check("docs/reference/filter.md", &serin_tests::reference::filter().unwrap()).unwrap();
}

#[test]
fn the_reference_of_the_kinds_is_generated() {
    golden::check("docs/reference/canaryrelease.md", &reference::canary_release()).unwrap();
    golden::check("docs/reference/canarycontrol.md", &reference::canary_control()).unwrap();
    golden::check("docs/reference/standalone.md", &reference::standalone()).unwrap();
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
