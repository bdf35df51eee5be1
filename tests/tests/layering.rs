//! Who may depend on whom.
#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// The names of all packages that a member of the workspace builds with, itself included, by member.
fn closure() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO")).args(["metadata", "--format-version", "1", "--locked"]).output().unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let name = |id: &Value| -> String {
        let package = metadata["packages"].as_array().unwrap().iter().find(|package| package["id"] == *id).unwrap();
        package["name"].as_str().unwrap().to_owned()
    };
    let mut direct: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for node in metadata["resolve"]["nodes"].as_array().unwrap() {
        let normal = |dep: &&Value| dep["dep_kinds"].as_array().unwrap().iter().any(|kind| kind["kind"].is_null());
        let deps = node["deps"].as_array().unwrap().iter().filter(normal).map(|dep| name(&dep["pkg"]));
        direct.entry(name(&node["id"])).or_default().extend(deps);
    }
    let members = metadata["workspace_members"].as_array().unwrap().iter().map(name);
    members
        .map(|member| {
            let mut seen = BTreeSet::from([member.clone()]);
            let mut next = vec![member.clone()];
            while let Some(package) = next.pop() {
                next.extend(direct[&package].iter().filter(|dep| seen.insert((*dep).clone())).cloned());
            }
            (member, seen)
        })
        .collect()
}

#[test]
fn layers_hold() {
    let closure = closure();
    let forbidden = [
        ("serin-config", &["proxy-wasm", "kube", "tokio", "log", "tracing", "rand", "jiff", "chrono", "hyper"][..]),
        ("serin-filter", &["kube", "tokio", "hyper", "clap"][..]),
        // One provider of cryptography: with two of them TLS refuses to choose.
        ("serin-controller", &["proxy-wasm", "serin-filter", "aws-lc-rs", "openssl"][..]),
    ];
    for (member, packages) in forbidden {
        for package in packages {
            assert!(!closure[member].contains(*package), "{member} depends on {package}");
        }
    }
    assert!(closure["serin-filter"].contains("proxy-wasm"));
    let with_kube: Vec<&str> =
        closure.iter().filter(|(_, packages)| packages.contains("kube")).map(|(member, _)| member.as_str()).collect();
    assert_eq!(with_kube, ["serin-bench-envoy", "serin-controller", "serin-tests"]);
}

#[test]
fn the_engine_names_no_layer_above_it() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/src");
    for file in fs::read_dir(sources).unwrap() {
        let path = file.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        for word in ["envoy", "istio", "kube", "SystemTime", "Instant::now", "println!"] {
            let used = text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .any(|line| line.to_lowercase().contains(&word.to_lowercase()));
            assert!(!used, "{} names `{word}`", path.display());
        }
    }
}
