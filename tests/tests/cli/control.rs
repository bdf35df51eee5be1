//! A person's word in a file: it acts there as it does on a cluster.

use serde_json::Value;

use crate::{file, refused, serin, stdout};

const RELEASE: &str = "apiVersion: serin.dev/v1alpha1\nkind: CanaryRelease\nmetadata: {name: reviews, namespace: bookinfo}\nspec:\n  service: reviews\n  \
                       stable: {version: v1}\n  canaries: [{version: v2, weight: 50%}]\n  sticky: {by: [{cookie: user}]}\n  rules:\n  - {name: testers, when: \
                       [{header: {name: x-team, exact: qa}}], version: v2}\n";

fn control(name: &str, spec: &str) -> String {
    format!(
        "{RELEASE}---\napiVersion: serin.dev/v1alpha1\nkind: CanaryControl\nmetadata: {{name: {name}, namespace: bookinfo}}\nspec: {spec}\n"
    )
}

/// How many of 200 users get v2, and what a tester gets.
fn shares(text: &str) -> (usize, String) {
    let (directory, path) = file(text);
    let requests: String = (0..200).map(|user| format!("{{\"headers\":[[\"cookie\",\"user={user}\"]]}}\n")).collect();
    let lines = directory.path().join("requests.jsonl");
    std::fs::write(&lines, requests + "{\"headers\":[[\"x-team\",\"qa\"]]}\n").unwrap();
    let answers = stdout(&serin(&["explain", "-f", path.to_str().unwrap(), "--requests", lines.to_str().unwrap()]));
    let versions: Vec<String> = answers
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["version"].as_str().unwrap_or_default().to_owned())
        .collect();
    let v2 = versions.iter().take(200).filter(|version| *version == "v2").count();
    (v2, versions.last().unwrap().clone())
}

#[test]
fn a_word_acts_on_the_release_of_its_name() {
    let plain = shares(RELEASE);
    assert_eq!(plain, (95, "v2".to_owned()));
    assert_eq!(shares(&control("reviews", "{hold: {kind: Rollback}}")), (0, "v1".to_owned()));
    assert_eq!(shares(&control("reviews", "{hold: {kind: Rollback, version: v2}}")), (0, "v1".to_owned()));
    assert_eq!(shares(&control("reviews", "{hold: {kind: Takeover, version: v2}}")).0, 200);
    assert_eq!(shares(&control("reviews", "{hold: {kind: Weights, weights: {v2: 100%}}}")).0, 200);
    // Of what the release does not have, and of another release, nothing acts.
    assert_eq!(shares(&control("reviews", "{hold: {kind: Rollback, version: v9}}")), plain);
    assert_eq!(shares(&control("ratings", "{hold: {kind: Rollback}}")), plain);
    // What is paused from the start begins as its spec says.
    assert_eq!(shares(&control("reviews", "{paused: true}")), plain);
}

#[test]
fn a_word_that_says_too_little_or_too_much_is_refused_at_its_line() {
    for (hold, expected) in [
        ("{kind: Takeover}", "bookinfo/reviews: spec.hold: a Takeover names the version that gets everybody; add `version`"),
        ("{kind: Weights}", "bookinfo/reviews: spec.hold: the kind Weights has `weights`, and no `version`"),
        ("{kind: Rollback, weights: {v2: 1%}}", "bookinfo/reviews: spec.hold.weights: `weights` belong to the kind Weights"),
        ("{kind: Weights, weights: {v2: 60%, v3: 60%}}", "spec.hold.weights: the weights sum to more than 100%"),
        ("{kind: Undo}", "spec.hold.kind"),
    ] {
        let (_directory, path) = file(&control("reviews", &format!("{{hold: {hold}}}")));
        let words = refused(&["validate", "-f", path.to_str().unwrap()]);
        assert!(words.contains(expected), "{words}");
    }
}

#[test]
fn an_answer_says_who_has_spoken() {
    let told = |spec: &str, more: &[&str]| {
        let (_directory, path) = file(&control("reviews", spec));
        let arguments = ["explain", "-f", path.to_str().unwrap(), "--header", "cookie: user=ann"];
        stdout(&serin(&[&arguments, more].concat()))
    };
    let back = "{hold: {kind: Rollback, version: v2}, by: bob, because: 5xx on checkout}";
    let words = "bob has rolled v2 back (5xx on checkout), and that acts instead of the spec";
    assert!(told(back, &[]).contains(words), "{}", told(back, &[]));
    assert!(!told(back, &["--as-written"]).contains(words));
    assert!(!told("{hold: {kind: Rollback, version: v9}, by: bob}", &[]).contains("bob"));
}
