//! No file of source is forgotten: each is compiled by a target, and each test in it runs.
#![cfg(test)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The first files of the targets of all members, and whether Rust's own harness runs the tests in them.
fn targets() -> Vec<(PathBuf, bool)> {
    let output =
        Command::new(env!("CARGO")).args(["metadata", "--format-version", "1", "--locked", "--no-deps"]).output().unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let list = |value: &Value| value.as_array().unwrap().clone();
    let mut targets = Vec::new();
    for package in list(&metadata["packages"]) {
        let manifest = text(Path::new(package["manifest_path"].as_str().unwrap()));
        for target in list(&package["targets"]) {
            let name = target["name"].as_str().unwrap();
            // cargo does not tell it.
            let own_harness = manifest.contains(&format!("name = \"{name}\"\nharness = false"));
            targets.push((PathBuf::from(target["src_path"].as_str().unwrap()), !own_harness));
        }
    }
    targets
}

/// The files of a crate: the first one, and what `mod` declares in each. A first file has its modules beside it, as has a `mod.rs`.
fn files(first: &Path) -> BTreeSet<PathBuf> {
    let mut seen = BTreeSet::new();
    let mut next = vec![first.to_owned()];
    while let Some(file) = next.pop() {
        let folder = file.parent().unwrap();
        let inside = if file == first || file.ends_with("mod.rs") { folder.to_owned() } else { file.with_extension("") };
        let mut path = None;
        for line in text(&file).lines() {
            let line = line.trim();
            if let Some(given) = line.strip_prefix("#[path = \"") {
                path = Some(folder.join(given.trim_end_matches("\"]")));
            } else if let Some(name) = declared(line) {
                let candidates = [inside.join(format!("{name}.rs")), inside.join(name).join("mod.rs")];
                let found = path.take().or_else(|| candidates.into_iter().find(|candidate| candidate.is_file()));
                next.push(found.unwrap_or_else(|| panic!("{}: no file of the module {name}", file.display())));
            }
        }
        seen.insert(file);
    }
    seen.into_iter().map(|file| file.canonicalize().unwrap()).collect()
}

/// The name that `mod NAME;` declares.
fn declared(line: &str) -> Option<&str> {
    let (visible, name) = line.strip_suffix(';')?.rsplit_once("mod ")?;
    let visible = visible.trim_end();
    (visible.is_empty() || visible == "pub" || (visible.starts_with("pub(") && visible.ends_with(')'))).then_some(name)
}

#[test]
fn each_file_is_compiled() {
    let compiled: BTreeSet<PathBuf> = targets().iter().flat_map(|(first, _)| files(first)).collect();
    let listed =
        Command::new("git").args(["ls-files", "-co", "--exclude-standard", "*.rs"]).current_dir(root()).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    // Modules for the bench in Envoy: packages of their own, which it builds.
    let ours = listed.lines().filter(|file| !file.starts_with("bench/envoy/modules/") && root().join(file).is_file());
    let forgotten: Vec<&str> = ours.filter(|file| !compiled.contains(&root().join(file))).collect();
    assert_eq!(forgotten, Vec::<&str>::new(), "no target and no `mod` names these");
    assert!(compiled.len() > 100, "{}", compiled.len());
}

#[test]
fn each_test_runs() {
    let is_test = |line: &&str| line.trim().starts_with("#[test]");
    let mut own = 0;
    for (first, harness) in targets() {
        for file in files(&first) {
            let tests = text(&file).lines().filter(is_test).count();
            own += usize::from(!harness);
            // Rust drops them without a word where another harness runs.
            assert!(
                harness || tests == 0,
                "{}: `#[test]`, but the harness is {}'s own; add it to its list",
                file.display(),
                first.display()
            );
        }
    }
    assert!(own > 10, "{own}");
}

#[test]
fn a_declaration_is_seen_in_every_form() {
    let forms = ["mod a;", "pub mod a;", "pub(crate) mod a;", "pub(in crate::x) mod a;"];
    assert_eq!(forms.map(declared), [Some("a"); 4]);
    assert_eq!(["mod a {", "// a mod a;", "use mod_a;", "let remod a;"].map(declared), [None; 4]);
}
