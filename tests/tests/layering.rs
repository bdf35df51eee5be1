//! Who may depend on whom.
#![cfg(test)]

#[path = "layering/imports.rs"]
mod imports;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use imports::{circle, imports, sources};
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
        ("serin-release", &["kube", "tokio", "clap", "hyper", "k8s-openapi", "serin-mesh"][..]),
        ("serin-mesh", &["kube", "tokio", "clap", "hyper", "k8s-openapi", "serin-controller"][..]),
        ("serin-console", &["kube", "k8s-openapi", "tokio", "clap", "hyper", "axum", "serin-mesh", "tracing", "rand"][..]),
        ("serin-filter", &["kube", "tokio", "hyper", "clap"][..]),
        ("serin-release", &["kube", "k8s-openapi", "tokio", "clap", "hyper", "proxy-wasm", "tracing", "rand"][..]),
        ("serin-module", &["proxy-wasm", "serin-config", "kube", "tokio"][..]),
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
    assert_eq!(with_kube, ["serin-controller", "serin-tests"]);
}

/// The crates in which no file may import from one that imports from it, however far around.
const WITHOUT_CIRCLES: [&str; 4] = ["config", "release", "mesh", "console"];

/// Rooms of a crate, and those that they must not import from.
const NEVER: [(&str, &str, &[&str]); 5] = [
    ("config", "request", &["engine", "author"]),
    ("config", "buckets", &["engine", "author", "request", "json", "document"]),
    ("config", "json", &["engine", "author", "request", "document"]),
    ("config", "document", &["engine", "author", "request", "json"]),
    ("config", "error.rs", &["engine", "author", "request", "json"]),
];

fn src(krate: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(krate).join("src")
}

#[test]
fn no_circle_of_imports_is_left() {
    for krate in WITHOUT_CIRCLES {
        assert_eq!(circle(&imports(&src(krate))), None, "{krate}");
    }
}

#[test]
fn lower_rooms_know_nothing_of_higher_ones() {
    let within =
        |file: &str, room: &str| file == room || file == format!("{room}.rs") || file.starts_with(&format!("{room}/"));
    for (krate, room, never) in NEVER {
        let graph = imports(&src(krate));
        assert!(graph.keys().any(|file| within(file, room)), "{krate} has {room}");
        for (file, imported) in graph.iter().filter(|(file, _)| within(file, room)) {
            for other in never {
                assert!(graph.keys().any(|file| within(file, other)), "{krate} has {other}");
                let found = imported.iter().find(|imported| within(imported, other));
                assert_eq!(found, None, "{krate}: {file} imports from {other}");
            }
        }
    }
}

#[test]
fn a_circle_is_found_however_it_is_written() {
    let found = |files: &[(&str, &str)]| {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        circle(&imports(folder.path())).map(|circle| circle.join(" -> "))
    };
    let lib = ("lib.rs", "mod a; mod b; pub use a::A; pub use b::c::C;");
    let leaf = ("b.rs", "pub(crate) mod c;");
    assert_eq!(found(&[lib, leaf, ("a.rs", "use crate::b::c::C; struct A(C);"), ("b/c.rs", "use std::fmt;")]), None);
    for imported in [
        "use crate::a::A;",
        "use crate::a::{B, A};",
        "use crate::{a::{self, A}};",
        "use super::super::a::A;",
        "mod tests { use super::*; use crate::a::A; }",
        "fn f() { crate::a::f() }",
        "macro_rules! m { () => { $crate::a::f() } }",
        "macro_rules! m { () => { crate::a::f() } }",
    ] {
        let all = [lib, leaf, ("a.rs", "use crate::b::c::C;"), ("b/c.rs", imported)];
        assert_eq!(found(&all).as_deref(), Some("a.rs -> b/c.rs -> a.rs"), "{imported}");
    }
    // Who has a module below takes nothing from it by saying so.
    let below = ("a.rs", "mod c;\n#[cfg(test)]\nmod d { fn f() {} }");
    assert_eq!(found(&[("lib.rs", "mod a;"), below, ("a/c.rs", "use super::A;")]), None);
    // A file that takes from the crate's own list of names hangs on all of them.
    let all = [lib, leaf, ("a.rs", "use crate::C;"), ("b/c.rs", "// crate::a::A\n/// [`crate::a::A`]\nstruct C;")];
    assert_eq!(found(&all).as_deref(), Some("a.rs -> lib.rs -> a.rs"));
}

/// Ways to ask for the time. Calendars are no clocks.
const CLOCKS: [&str; 4] = ["Timestamp::now", "Zoned::now", "SystemTime::now", "Instant::now"];

#[test]
fn the_time_comes_in() {
    for krate in ["config", "release", "mesh", "console"] {
        for (path, text) in sources(&src(krate)) {
            // Tests of a file stand at its end, or in a file of their own.
            let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
            let is_test = path.file_name().is_some_and(|name| name == "tests.rs");
            let clock = CLOCKS.iter().find(|clock| !is_test && text.contains(**clock));
            assert_eq!(clock, None, "{} asks for the time", path.display());
        }
    }
}

#[test]
fn the_engine_names_no_layer_above_it() {
    let all = sources(&src("config"));
    assert!(all.iter().any(|(path, _)| path.ends_with("engine/decide.rs")), "folders are read too");
    for (path, text) in all {
        for word in ["envoy", "istio", "kube", "SystemTime", "Instant::now", "println!"] {
            let used = text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .any(|line| line.to_lowercase().contains(&word.to_lowercase()));
            assert!(!used, "{} names `{word}`", path.display());
        }
    }
}
