//! Imports of other tools' objects: each case of `import-cases.yaml` gives its release and its report, and nothing else.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use serde::Deserialize;
use serin_release::api::v1alpha1::CanaryRelease;
use serin_release::import::{Imported, Kind, import};
use serin_release::validate;
use serin_release::yaml::{documents, from_node};

/// A case: objects of another tool, the releases that they become, and what is said of the rest.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// Where objects of this form are seen.
    #[expect(dead_code, reason = "for people")]
    seen: String,
    input: String,
    /// Nothing where nothing can be imported.
    #[serde(default)]
    expected: String,
    report: Vec<Said>,
}

/// A line of the report by its kind.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Said {
    changed: Option<String>,
    lost: Option<String>,
    by_hand: Option<String>,
    text: String,
}

impl Said {
    fn line(&self) -> String {
        let kinds = [("changed", &self.changed), ("lost", &self.lost), ("by-hand", &self.by_hand)];
        let (kind, path) = kinds.iter().find_map(|(kind, path)| Some((kind, path.as_ref()?))).unwrap();
        format!("{kind} {path}: {}", self.text)
    }
}

fn cases() -> Vec<Case> {
    let nodes = documents(include_str!("import-cases.yaml")).unwrap();
    from_node(&nodes[0], "").unwrap()
}

fn imported(input: &str) -> Imported {
    import(&documents(input).unwrap()).unwrap()
}

fn lines(imported: &Imported) -> Vec<String> {
    let said = imported.report.iter().filter(|line| line.kind != Kind::Carried);
    said.map(ToString::to_string).collect()
}

#[test]
fn each_case_gives_its_releases_and_its_report() {
    let mut different = String::new();
    for case in cases() {
        let imported = imported(&case.input);
        let expected: Vec<CanaryRelease> =
            documents(&case.expected).unwrap().iter().map(|node| from_node(node, "").unwrap()).collect();
        let json = |releases: &[CanaryRelease]| serde_json::to_string_pretty(releases).unwrap();
        if imported.releases != expected {
            let (found, wanted) = (json(&imported.releases), json(&expected));
            different.push_str(&format!("{}: it is\n{found}\nand not\n{wanted}\n", case.name));
        }
        let (mut found, mut wanted) = (lines(&imported), case.report.iter().map(Said::line).collect::<Vec<_>>());
        found.sort();
        wanted.sort();
        for line in found.iter().filter(|line| !wanted.contains(line)) {
            different.push_str(&format!("{}: says too `{line}`\n", case.name));
        }
        for line in wanted.iter().filter(|line| !found.contains(line)) {
            different.push_str(&format!("{}: does not say `{line}`\n", case.name));
        }
    }
    assert!(different.is_empty(), "{different}");
}

#[test]
fn each_release_is_valid() {
    for case in cases() {
        for release in imported(&case.input).releases {
            validate(&release, "x-serin-version").unwrap_or_else(|problems| panic!("{}: {problems}", case.name));
        }
    }
}
