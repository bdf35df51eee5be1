//! What is written in several places stands the same in all of them.
#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn metadata() -> Value {
    let arguments = ["metadata", "--format-version", "1", "--locked", "--no-deps"];
    serde_json::from_str(&output(env!("CARGO"), &arguments)).unwrap()
}

/// What stands behind a key at the start of a line.
fn value<'a>(text: &'a str, key: &str) -> &'a str {
    let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_else(|| panic!("no `{key}`"));
    line.trim().trim_matches('"')
}

/// The versions, such as `1.2.3`, that follow each occurrence of a text.
fn versions_behind<'a>(text: &'a str, before: &str) -> Vec<&'a str> {
    let version = |(at, _): (usize, &str)| {
        let rest = text.get(at + before.len()..)?;
        let end = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(rest.len());
        rest.get(..end).map(|version| version.trim_end_matches('.')).filter(|version| version.split('.').count() == 3)
    };
    text.match_indices(before).filter_map(version).collect()
}

#[test]
fn the_version_is_one() {
    let packages = metadata()["packages"].as_array().unwrap().clone();
    let versions: BTreeSet<&str> = packages.iter().map(|package| package["version"].as_str().unwrap()).collect();
    let version = *versions.first().unwrap();
    assert_eq!(versions.len(), 1, "{versions:?}");
    let mut named = BTreeMap::new();
    let files = output("git", &["ls-files", "-co", "--exclude-standard"]);
    // Tests name images that nobody builds.
    for file in files.lines().filter(|file| !file.starts_with("tests/")) {
        let Ok(text) = fs::read_to_string(root().join(file)) else { continue };
        // Images, and what Kustomize calls the tag of one.
        for before in ["serin:", "serin-filter:", "newTag: "] {
            for found in versions_behind(&text, before) {
                assert_eq!(found, version, "{file}: `{before}{found}`, but Cargo.toml has {version}");
                *named.entry(file.to_owned()).or_insert(0) += 1;
            }
        }
    }
    for file in ["deploy/deployment.yaml", "deploy/README.md", "deploy/Dockerfile", "deploy/Dockerfile.filter"] {
        assert!(named.contains_key(file), "{file} names no image with a version: {named:?}");
    }
    let chart = read("deploy/helm/serin/Chart.yaml");
    assert_eq!([value(&chart, "version:"), value(&chart, "appVersion:")], [version; 2], "deploy/helm/serin/Chart.yaml");
    let changes = read("CHANGELOG.md");
    assert!(
        changes.contains("\n## Unreleased\n") || changes.contains(&format!("\n## {version}")),
        "CHANGELOG.md has no {version}"
    );
}

#[test]
fn rust_is_one_version() {
    let toolchain = read("rust-toolchain.toml");
    let channel = value(&toolchain, "channel =");
    let minor = channel.rsplit_once('.').unwrap().0;
    assert_eq!(value(&read("Cargo.toml"), "rust-version ="), minor, "Cargo.toml");
    for file in ["deploy/Dockerfile", "deploy/Dockerfile.filter"] {
        assert!(read(file).contains(&format!("rust:{minor} AS build")), "{file} does not build with Rust {minor}");
    }
}

#[test]
fn what_the_tests_run_on_is_one_list() {
    let list = read("tests/versions.env");
    let envoys: Vec<&str> = [value(&list, "ENVOY=")].into_iter().chain(value(&list, "ENVOY_OLDER=").split(' ')).collect();
    let mut pinned: Vec<String> = fs::read_dir(root().join("scripts/envoy"))
        .unwrap()
        .map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    pinned.sort();
    assert_eq!(pinned, envoys.iter().copied().rev().collect::<Vec<_>>(), "scripts/envoy/ and tests/versions.env");
    for envoy in &envoys {
        let pins = read(&format!("scripts/envoy/{envoy}.txt"));
        assert!(pins.contains(&format!("\nenvoy-server=={envoy} ")), "scripts/envoy/{envoy}.txt pins another version");
        assert_eq!(pins.matches("--hash=sha256:").count(), 3, "scripts/envoy/{envoy}.txt");
    }
    let (istio, kubernetes) = (value(&list, "ISTIO="), value(&list, "KUBERNETES="));
    let modules = read("tests/stack/go.mod");
    assert!(modules.contains(&format!("\tistio.io/api v{istio} ")), "tests/stack/go.mod has another Istio");
    assert!(modules.contains(&format!("\tk8s.io/kubernetes v{kubernetes} ")), "tests/stack/go.mod has another Kubernetes");
    assert_eq!(value(&read("tests/stack/build.sh"), "kubernetes="), format!("v{kubernetes}"), "tests/stack/build.sh");
    let minor = |version: &str| version.rsplit_once('.').unwrap().0.to_owned();
    let envoys: Vec<String> = envoys.into_iter().map(minor).collect();
    let (last, first) = envoys.split_last().unwrap();
    let tested = format!(
        "Tested with Envoy {} and {last}, Istio {}, Kubernetes {}",
        first.join(", "),
        minor(istio),
        minor(kubernetes)
    );
    assert!(read("README.md").contains(&tested), "README.md does not say `{tested}`, as tests/versions.env does");
}

#[test]
fn what_the_documents_tell_to_make_exists() {
    let makefile = read("Makefile");
    let targets: BTreeSet<&str> =
        makefile.lines().filter_map(|line| line.split_once(": ").map(|(target, _)| target)).collect();
    let mut told = BTreeSet::new();
    for file in output("git", &["ls-files", "*.md"]).lines() {
        let text = read(file);
        // Commands, in code: `make A B=C D`, or such a line of a block.
        let commands = ["`make ", "\nmake "].into_iter().flat_map(|begin| text.split(begin).skip(1));
        for command in commands {
            let line = command.split(['`', '\n', '#']).next().unwrap();
            for target in line.split_whitespace().filter(|word| !word.contains('=') && *word != "...") {
                assert!(targets.contains(target), "{file}: `make {target}`, but the Makefile has no such target");
                told.insert(target.to_owned());
            }
        }
    }
    assert!(told.contains("quick") && told.contains("demo") && told.len() > 10, "{told:?}");
}

#[test]
fn helm_makes_the_namespace_that_it_installs_into() {
    let mut commands = 0;
    for file in output("git", &["ls-files", "*.md"]).lines() {
        // A command may go on behind a backslash.
        for line in read(file).replace("\\\n", " ").lines().filter(|line| line.contains("helm install ")) {
            assert!(line.contains(" --create-namespace"), "{file}: {line}");
            commands += 1;
        }
    }
    assert_eq!(commands, 1);
}

#[test]
fn serin_is_removed_in_one_order() {
    let removes = |command: &&str| command.starts_with("kubectl delete ") || command.starts_with("helm uninstall ");
    let page = read("docs/how-to/remove.md");
    let (steps, _) = page.split_once("\n## ").unwrap();
    let typed = steps.lines().filter_map(|line| line.trim().strip_prefix("$ ")?.split('#').next());
    let steps: Vec<&str> =
        typed.map(|command| command.trim_end().trim_end_matches(" --timeout=60s")).filter(removes).collect();
    let readme = read("README.md");
    let (_, told) = readme.split_once("**It goes without a trace**").unwrap();
    let (told, _) = told.split_once("[Remove it]").unwrap();
    assert_eq!(told.split('`').filter(removes).collect::<Vec<_>>(), steps, "README.md and docs/how-to/remove.md");
    assert_eq!(steps.len(), 5);
}

/// The packages of `make quick`.
fn pure() -> Vec<String> {
    value(&read("Makefile"), "PURE :=").split(' ').map(str::to_owned).collect()
}

#[test]
fn quick_builds_nothing_of_the_cluster() {
    let packages: Vec<String> = pure().iter().map(|package| format!("-p={package}")).collect();
    let mut arguments =
        vec!["tree", "--locked", "--no-default-features", "-e=normal,build,dev", "--prefix=none", "--format={p}"];
    arguments.extend(packages.iter().map(String::as_str));
    let tree = output(env!("CARGO"), &arguments);
    let built: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    for package in ["kube", "k8s-openapi", "tokio", "hyper", "serin-controller"] {
        assert!(!built.contains(package), "make quick builds {package}");
    }
    assert!(pure().iter().all(|package| built.contains(package.as_str())));
}

#[test]
fn plain_cargo_test_tests_the_pure_crates() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap();
    let default = metadata["workspace_default_members"].as_array().unwrap();
    let names: BTreeSet<&str> = packages
        .iter()
        .filter(|package| default.contains(&package["id"]))
        .map(|package| package["name"].as_str().unwrap())
        .collect();
    let pure = pure();
    let expected: BTreeSet<&str> = pure.iter().map(String::as_str).filter(|name| *name != "serin-tests").collect();
    assert_eq!(names, expected, "default-members of Cargo.toml, and PURE of the Makefile");
}
