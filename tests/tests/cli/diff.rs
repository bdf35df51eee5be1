//! `serin diff`: who moves if a file is applied.

use std::fs;

use serde_json::{Value, json};
use serin_release::api::v1alpha1::CanaryRelease;
use serin_release::lifecycle::control::Control;
use serin_release::lifecycle::live::live;
use serin_release::lifecycle::plan::{Progress, Signals};
use serin_release::lifecycle::run::{Run, RunState};
use tempfile::TempDir;

use crate::{refused, serin, stdout};

/// Two states of a release, as files.
struct Files {
    folder: TempDir,
}

impl Files {
    fn new(before: &Value, after: &Value) -> Self {
        let files = Self { folder: tempfile::tempdir().unwrap() };
        files.write("old.yaml", &release(before).to_string());
        files.write("new.yaml", &release(after).to_string());
        files
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// The answer, with the folder left out of it.
    fn diff(&self, more: &[&str]) -> (Option<i32>, String) {
        let (new, old) = (self.path("new.yaml"), self.path("old.yaml"));
        let output = serin(&[&["diff", "-f", &new, "--from", &old], more].concat());
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        (output.status.code(), text.replace(&format!("{}/", self.folder.path().display()), ""))
    }
}

fn release(more: &Value) -> Value {
    let mut spec = json!({"service": "reviews", "stable": {"version": "v1"}, "sticky": {"by": [{"cookie": "user"}]}});
    for (name, value) in more.as_object().unwrap().iter().filter(|(name, _)| *name != "status") {
        spec[name] = value.clone();
    }
    json!({"apiVersion": "serin.dev/v1alpha1", "kind": "CanaryRelease", "metadata": {"namespace": "bookinfo", "name": "reviews"},
        "spec": spec, "status": more.get("status").cloned().unwrap_or_else(|| json!({}))})
}

fn canaries(shares: &[(&str, &str)]) -> Value {
    let canaries: Vec<Value> =
        shares.iter().map(|(version, weight)| json!({"version": version, "weight": weight})).collect();
    json!({"canaries": canaries})
}

#[test]
fn shares_move_by_the_bucket_and_the_exit_code_says_so() {
    let files = Files::new(&canaries(&[("v2", "20%"), ("v3", "10%")]), &canaries(&[("v2", "45%"), ("v3", "5%")]));
    let expected = "bookinfo/reviews  as it is in old.yaml\n  20.000% of people  v1 → v2\n   5.000% of people  v3 → v2\n  75.000% stay\n";
    assert_eq!(files.diff(&[]), (Some(0), expected.to_owned()));
    assert_eq!(files.diff(&["--exit-code"]), (Some(3), expected.to_owned()));
    let json: Value = serde_json::from_str(&files.diff(&["-o", "json"]).1).unwrap();
    assert_eq!(
        json,
        json!({"release": "bookinfo/reviews", "from": json["from"], "new": false, "stay": 75_000, "rules": {},
            "moves": [{"from": "v1", "to": "v2", "buckets": 20_000}, {"from": "v3", "to": "v2", "buckets": 5000}]})
    );
    let same = Files::new(&canaries(&[("v2", "20%")]), &canaries(&[("v2", "20%")]));
    let nobody = "bookinfo/reviews  as it is in old.yaml\n  nobody moves\n";
    assert_eq!(same.diff(&["--exit-code"]), (Some(0), nobody.to_owned()));
}

#[test]
fn bucket_maps_go_on_from_those_of_the_status() {
    // v2 has given up what v3 took, so that its buckets are not the first ones.
    let map = json!([{"version": "v3", "buckets": 10_000}, {"version": "v2", "buckets": 20_000}]);
    let mut before = canaries(&[("v2", "20%"), ("v3", "10%")]);
    before["status"] = json!({"observedGeneration": 1, "allocation": {"base": map}});
    let files = Files::new(&before, &canaries(&[("v2", "20%")]));
    let (_, text) = files.diff(&[]);
    assert!(text.contains("  10.000% of people  v3 → v1\n"), "{text}");
    assert!(text.contains("  90.000% stay\n"), "{text}");
}

#[test]
fn single_users_and_requests_are_told_as_explain_tells_them() {
    let rule = json!([{"name": "testers", "when": [{"header": {"name": "x-team", "exact": "qa"}}], "version": "v2"}]);
    let mut after = canaries(&[("v2", "50%")]);
    after["rules"] = rule;
    let files = Files::new(&canaries(&[("v2", "5%")]), &after);
    let (_, json) = files.diff(&["--user", "ann", "--user", "bob", "-o", "json"]);
    let answer: Value = serde_json::from_str(&json).unwrap();
    for user in answer["users"].as_array().unwrap() {
        let cookie = format!("cookie: user={}", user["user"].as_str().unwrap());
        for (file, field) in [("old.yaml", "from"), ("new.yaml", "to")] {
            let explained = stdout(&serin(&["explain", "-f", &files.path(file), "--header", &cookie, "-o", "json"]));
            let explained: Value = serde_json::from_str(&explained).unwrap();
            assert_eq!(explained["version"], user[field], "{user}");
        }
    }
    assert_eq!(answer["rules"], json!({"added": ["testers"]}));
    let requests: String = (0..500).map(|user| format!("{{\"headers\":[[\"cookie\",\"user={user}\"]]}}\n")).collect();
    files.write("requests.jsonl", &format!("{requests}{{\"headers\":[[\"x-team\",\"qa\"]]}}\n"));
    let (_, json) = files.diff(&["--requests", &files.path("requests.jsonl"), "-o", "json"]);
    let answer: Value = serde_json::from_str(&json).unwrap();
    let versions = |file: &str| -> Vec<Value> {
        let lines = stdout(&serin(&["explain", "-f", &files.path(file), "--requests", &files.path("requests.jsonl")]));
        lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["version"].clone()).collect()
    };
    let (before, after) = (versions("old.yaml"), versions("new.yaml"));
    let changed: Vec<usize> = (0..before.len()).filter(|at| before[*at] != after[*at]).collect();
    assert_eq!(answer["requests"]["changed"], changed.len());
    assert_eq!(answer["requests"]["of"], 501);
    let named: Vec<usize> = answer["requests"]["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| usize::try_from(line["line"].as_u64().unwrap()).unwrap())
        .collect();
    assert_eq!(named, changed.iter().take(10).map(|at| at + 1).collect::<Vec<_>>());
    let (_, text) = files.diff(&["--user", "ann", "--requests", &files.path("requests.jsonl")]);
    assert!(text.contains("rule       testers  is new: who matches it is not decided by weight any more\n"), "{text}");
    assert!(text.contains(&format!("requests   {} of 501 change\n  line ", changed.len())), "{text}");
    assert!(text.ends_with(&format!("  and {} more\n", changed.len() - 10)), "{text}");
}

#[test]
fn another_salt_is_told_before_all() {
    let mut after = canaries(&[("v2", "5%")]);
    after["sticky"] = json!({"by": [{"cookie": "user"}], "salt": "again"});
    let (code, text) = Files::new(&canaries(&[("v2", "5%")]), &after).diff(&["--exit-code"]);
    assert_eq!(code, Some(3));
    assert_eq!(
        text,
        "bookinfo/reviews  as it is in old.yaml\n  everybody may move: the salt is `again` and was `bookinfo/reviews`\n"
    );
}

#[test]
fn a_release_that_is_new_takes_people_from_stable() {
    let files = Files::new(&json!({}), &canaries(&[("v2", "5%")]));
    files.write("old.yaml", &release(&json!({})).to_string().replace("\"reviews\"", "\"other\""));
    let expected =
        "bookinfo/reviews  is not in old.yaml: everybody is stable's now\n   5.000% of people  v1 → v2\n  95.000% stay\n";
    assert_eq!(files.diff(&[]), (Some(0), expected.to_owned()));
}

#[test]
fn what_cannot_be_compared_is_told() {
    let files = Files::new(&canaries(&[("v2", "5%")]), &canaries(&[("v2", "5%")]));
    let (new, old) = (files.path("new.yaml"), files.path("old.yaml"));
    assert_eq!(
        refused(&["diff", "-f", &new, "--from", &old, "cart"]),
        format!("error: {new}: it has no release `cart`; name one of bookinfo/reviews\n")
    );
    assert_eq!(
        refused(&["diff", "-f", "-", "--from", "-"]),
        "error: both files are standard input; write one of them to a file\n"
    );
    let mut by_address = canaries(&[("v2", "5%")]);
    by_address["sticky"] = json!({"by": [{"sourceAddress": {}}]});
    files.write("new.yaml", &release(&by_address).to_string());
    assert_eq!(
        refused(&["diff", "-f", &new, "--from", &old, "--user", "ann"]),
        "error: --user: `spec.sticky.by` names no cookie, header, query or baggage that could carry the key; use --requests\n"
    );
    files.write("new.yaml", "kind: CanaryRelease\n");
    assert!(refused(&["diff", "-f", &new, "--from", &old]).contains("this document has no `apiVersion`"));
}

/// A release with three steps whose second one is reached, as its status says it.
fn at_the_second_step(version: &str) -> Value {
    let spec = json!({"canaries": [{"version": version}],
        "steps": [{"weight": "1%", "hold": "1h"}, {"weight": "25%", "hold": "1h"}, {"weight": "100%"}]});
    let text = release(&spec);
    let own: CanaryRelease = serde_json::from_value(text).unwrap();
    let signals = Signals { ready: [version.to_owned()].into(), ..Signals::default() };
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    let lived = live(&own, &Control::default(), &Progress::default(), &signals, now).unwrap();
    let run = Run { step: 1, reached: true, state: RunState::Holding, ..lived.planned.progress.run.unwrap() };
    let mut with = spec;
    with["status"] = json!({"allocation": {"base": [{"version": version, "buckets": 25_000}]}, "run": run});
    with
}

#[test]
fn steps_go_on_from_where_they_are_or_begin_again() {
    let known = at_the_second_step("v2");
    let mut same = known.clone();
    same.as_object_mut().unwrap().remove("status");
    assert_eq!(
        Files::new(&known, &same).diff(&["--exit-code"]),
        (Some(0), "bookinfo/reviews  as it is in old.yaml\n  nobody moves\n".to_owned())
    );
    let mut other = same.clone();
    other["canaries"][0]["version"] = json!("v3");
    assert_eq!(
        Files::new(&known, &other).diff(&["--exit-code"]),
        (
            Some(3),
            "bookinfo/reviews  as it is in old.yaml\n  steps begin again from the first: another version, workload or step makes another run\n  \
             24.000% of people  v2 → v1\n   1.000% of people  v2 → v3\n  75.000% stay\n"
                .to_owned()
        )
    );
    // Other steps of the same version go on from its weights.
    let mut longer = same;
    longer["steps"][0]["hold"] = json!("2h");
    let answer = Files::new(&known, &longer).diff(&["-o", "json"]).1;
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!((&answer["begins"], &answer["stay"]), (&json!(true), &json!(100_000)), "{answer}");
}
