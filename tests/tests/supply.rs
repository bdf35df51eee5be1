//! Licences, packages and sources are those that `deny.toml` allows. cargo-deny knows more (`make deny`); this runs everywhere.
#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde::Deserialize;
use spdx::{Expression, ParseMode};

/// The part of `deny.toml` that is checked here.
#[derive(Deserialize)]
struct Deny {
    graph: Graph,
    licenses: Licenses,
    bans: Bans,
    sources: Sources,
}

#[derive(Deserialize)]
struct Graph {
    targets: Vec<String>,
}

#[derive(Deserialize)]
struct Licenses {
    allow: Vec<String>,
    exceptions: Vec<Exception>,
}

#[derive(Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    name: String,
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Named>,
    skip: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    allow_registry: Vec<String>,
}

/// A package of the graph: name, version, licence.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Package {
    name: String,
    version: String,
    license: String,
}

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).unwrap()
}

fn deny() -> Deny {
    basic_toml::from_str(&read("deny.toml")).unwrap()
}

/// All packages that the targets of `deny.toml` are built with, tests and benches included.
fn packages() -> BTreeSet<Package> {
    let targets = deny().graph.targets;
    let targets = targets.iter().flat_map(|target| ["--target", target]);
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--workspace", "--locked", "--prefix=none", "--format={p}|{l}|"])
        .args(targets)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let package = |line: &str| {
        let (package, license) = line.split_once('|')?;
        let mut words = package.split(' ');
        let (name, version) = (words.next()?.to_owned(), words.next()?.strip_prefix('v')?.to_owned());
        Some(Package { name, version, license: license.split('|').next()?.to_owned() })
    };
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().filter(|line| !line.is_empty()).map(|line| package(line).unwrap_or_else(|| panic!("`{line}`"))).collect()
}

/// What of these licences is not allowed; each that is there is noted as used.
fn unlicensed<'a>(
    package: &Package,
    allow: &'a [String],
    exceptions: &'a [Exception],
    used: &mut BTreeSet<&'a str>,
) -> Option<String> {
    let Ok(expression) = Expression::parse_mode(&package.license, ParseMode::LAX) else {
        return Some(format!("{} {}: `{}` is not a licence", package.name, package.version, package.license));
    };
    let mut allowed = |licence: &str| {
        let own = exceptions.iter().find(|exception| exception.name == package.name);
        let found = allow.iter().chain(own.into_iter().flat_map(|own| &own.allow)).find(|allowed| *allowed == licence)?;
        Some(used.insert(found))
    };
    let holds = expression.evaluate(|requirement| allowed(&requirement.to_string()).is_some());
    (!holds).then(|| format!("{} {}: {}", package.name, package.version, package.license))
}

/// The versions of each package that are there more than once, less those that are skipped; each skip that is there is used.
fn repeated<'a>(packages: &'a BTreeSet<Package>, skips: &'a [Named], used: &mut BTreeSet<&'a str>) -> Vec<String> {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in packages {
        let skip = skips.iter().find(|skip| {
            let (name, version) = skip.name.split_once('@').unwrap();
            let rest = package.version.strip_prefix(version);
            package.name == name && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        });
        match skip {
            Some(skip) => drop(used.insert(&skip.name)),
            None => versions.entry(&package.name).or_default().push(&package.version),
        }
    }
    let more = versions.into_iter().filter(|(_, versions)| versions.len() > 1);
    more.map(|(name, versions)| format!("{name} {}", versions.join(", "))).collect()
}

#[test]
fn licences_are_allowed_and_the_list_holds_no_other() {
    let licenses = deny().licenses;
    let mut used = BTreeSet::new();
    let packages = packages();
    let bad: Vec<_> = packages
        .iter()
        .filter_map(|package| unlicensed(package, &licenses.allow, &licenses.exceptions, &mut used))
        .collect();
    assert_eq!(bad, Vec::<String>::new(), "deny.toml does not allow these licences");
    let listed = licenses.allow.iter().chain(licenses.exceptions.iter().flat_map(|exception| &exception.allow));
    assert_eq!(used, listed.map(String::as_str).collect(), "deny.toml allows licences that nothing has");
    assert!(packages.len() > 200, "{}", packages.len());
}

#[test]
fn one_version_of_each_package_or_a_reason() {
    let bans = deny().bans;
    let packages = packages();
    let mut used = BTreeSet::new();
    let more = repeated(&packages, &bans.skip, &mut used);
    assert_eq!(more, Vec::<String>::new(), "more than one version; update, or skip one in deny.toml with the reason");
    assert_eq!(used, bans.skip.iter().map(|skip| skip.name.as_str()).collect(), "deny.toml skips what is not there");
    assert!(bans.deny.iter().chain(&bans.skip).all(|named| !named.reason.is_empty()));
}

#[test]
fn nothing_banned_and_nothing_from_elsewhere() {
    let Deny { bans, sources, .. } = deny();
    let lock = read("Cargo.lock");
    let values = |key: &str| -> BTreeSet<String> {
        let values = lock.lines().filter_map(|line| line.strip_prefix(key)?.strip_suffix('"'));
        values.map(str::to_owned).collect()
    };
    let names = values("name = \"");
    assert!(names.contains("ring"));
    let banned: Vec<_> = bans.deny.iter().filter(|banned| names.contains(&banned.name)).collect();
    assert!(banned.is_empty(), "{}: {}", banned[0].name, banned[0].reason);
    let allowed = sources.allow_registry.iter().map(|registry| format!("registry+{registry}")).collect();
    assert_eq!(values("source = \""), allowed, "Cargo.lock has packages from elsewhere");
}

#[test]
fn what_is_not_allowed_is_seen() {
    let package =
        |version: &str, license: &str| Package { name: "a".into(), version: version.into(), license: license.into() };
    let allow = ["MIT".to_owned()];
    let exceptions = [Exception { name: "a".into(), allow: vec!["CC0-1.0".into()] }];
    let judge = |license: &str| unlicensed(&package("1.0.0", license), &allow, &exceptions, &mut BTreeSet::new());
    for good in ["MIT", "MIT/GPL-3.0", "GPL-2.0-only OR MIT", "MIT AND CC0-1.0"] {
        assert_eq!(judge(good), None);
    }
    for bad in ["GPL-3.0-only", "MIT AND ISC", "Apache-2.0"] {
        assert_eq!(judge(bad), Some(format!("a 1.0.0: {bad}")));
    }
    assert_eq!(judge(""), Some("a 1.0.0: `` is not a licence".to_owned()));
    let both = BTreeSet::from([package("1.2.0", "MIT"), package("1.20.0", "MIT")]);
    let skip = |name: &str| [Named { name: name.into(), reason: "r".into() }];
    assert_eq!(repeated(&both, &[], &mut BTreeSet::new()), ["a 1.2.0, 1.20.0"]);
    assert_eq!(repeated(&both, &skip("a@1.2"), &mut BTreeSet::new()), Vec::<String>::new());
    assert_eq!(repeated(&both, &skip("a@2"), &mut BTreeSet::new()), ["a 1.2.0, 1.20.0"]);
}

/// The manifest by which krew installs the plugin of kubectl, as `scripts/plugin.sh` writes it.
#[test]
fn the_manifest_of_the_plugin_is_one_that_krew_takes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let sha256 = "0".repeat(64);
    let output = Command::new(root.join("scripts/plugin.sh"))
        .args(["--manifest", "https://example.com/serin/v1", &sha256, "amd64"])
        .output()
        .unwrap();
    let manifest: serde_json::Value = serde_saphyr::from_str(&String::from_utf8(output.stdout).unwrap()).unwrap();
    let spec = &manifest["spec"];
    // krew asks for a version with a `v`, and for one line of at most 50 characters.
    assert_eq!(spec["version"], format!("v{}", env!("CARGO_PKG_VERSION")));
    assert!(spec["shortDescription"].as_str().unwrap().len() <= 50);
    assert_eq!(
        (&manifest["apiVersion"], &manifest["kind"], &manifest["metadata"]["name"]),
        (&"krew.googlecontainertools.github.com/v1alpha2".into(), &"Plugin".into(), &"serin".into())
    );
    let files =
        ["kubectl-serin", "kubectl_complete-serin", "LICENSE"].map(|from| serde_json::json!({"from": from, "to": "."}));
    let platform = serde_json::json!({
        "selector": {"matchLabels": {"os": "linux", "arch": "amd64"}},
        "uri": "https://example.com/serin/v1/kubectl-serin-linux-amd64.tar.gz", "sha256": sha256, "bin": "kubectl-serin", "files": files,
    });
    assert_eq!(spec["platforms"], serde_json::json!([platform]));
    assert!(root.join("deploy/krew/kubectl_complete-serin").exists() && root.join("LICENSE").exists());
}
