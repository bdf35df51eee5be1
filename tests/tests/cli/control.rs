//! A person's word in a file: it acts there as it does on a cluster.

use std::os::unix::fs::PermissionsExt;

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

/// The arguments of a command for two files.
fn arguments<'a>(words: &[&'a str], file: &'a str, control: &'a str) -> Vec<&'a str> {
    [words, &["-f", file, "--control", control]].concat()
}

#[test]
fn a_word_is_written_beside_the_words_of_others() {
    let (directory, path) = file(RELEASE);
    let control = directory.path().join("control.yaml");
    let (path, at) = (path.to_str().unwrap(), control.to_str().unwrap());
    let say = |words: &[&str]| {
        let mut command = std::process::Command::new(serin_tests::command().unwrap());
        stdout(&command.args(arguments(words, path, at)).env("USER", "bob").output().unwrap())
    };
    let head =
        "apiVersion: serin.dev/v1alpha1\nkind: CanaryControl\nmetadata:\n  name: reviews\n  namespace: bookinfo\nspec:\n";
    let moved = "bookinfo/reviews: 50% of people move from v2 to v1\n";
    let would = "bookinfo/reviews: 50% of people would move from v2 to v1\n";
    assert_eq!(say(&["rollback", "reviews", "--dry-run=client"]), would);
    assert!(!control.exists());
    assert_eq!(say(&["rollback", "reviews"]), moved);
    let rolled_back = "  hold:\n    kind: Rollback\n  by: bob\n";
    assert_eq!(std::fs::read_to_string(&control).unwrap(), format!("{head}{rolled_back}"));
    // Who runs standalone need not be who writes.
    assert_eq!(std::fs::metadata(&control).unwrap().permissions().mode() & 0o444, 0o444);
    let other = "# ratings, until May\napiVersion: serin.dev/v1alpha1\nkind: CanaryControl\nmetadata: {name: ratings, namespace: bookinfo}\nspec: {paused: true} # by hand\n";
    std::fs::write(&control, format!("{other}---\n{head}{rolled_back}")).unwrap();
    std::fs::set_permissions(&control, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(
        say(&["resume", "bookinfo/reviews", "--yes", "--because", "5xx: \"mended\" # 1"]),
        moved.replace("v2 to v1", "v1 to v2")
    );
    let resumed = "  by: bob\n  because: \"5xx: \\\"mended\\\" # 1\"\n";
    assert_eq!(std::fs::read_to_string(&control).unwrap(), format!("{other}---\n{head}{resumed}"));
    assert_eq!(std::fs::metadata(&control).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(say(&["pause", "reviews"]), "bookinfo/reviews: nobody moves\n");
    let json = r#"{"control":{"by":"bob","hold":{"kind":"Takeover","version":"v2"},"paused":true},"dryRun":false,"moves":[{"from":"v1","share":"50%","to":"v2"}],"release":"bookinfo/reviews"}"#;
    assert_eq!(say(&["takeover", "reviews", "v2", "--yes", "-o", "json"]), format!("{json}\n"));
    let explained = stdout(&serin(&arguments(&["explain", "--header", "cookie: user=ann"], path, at)));
    assert!(explained.contains("bob has given everybody to v2 and paused it"), "{explained}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2);
}

#[test]
fn what_several_people_say_at_once_is_heard() {
    let names = ["a", "b", "c", "d"];
    let releases: Vec<String> = names.iter().map(|name| RELEASE.replace("reviews", name)).collect();
    let (directory, path) = file(&releases.join("---\n"));
    let control = directory.path().join("control.yaml");
    let (path, at) = (path.to_str().unwrap(), control.to_str().unwrap());
    std::thread::scope(|scope| {
        for name in names {
            scope.spawn(move || stdout(&serin(&arguments(&["rollback", name], path, at))));
        }
    });
    let written = std::fs::read(&control).unwrap();
    let heard = serin_release::file::Controls::parse(&control, &written).unwrap();
    let mut ids: Vec<String> = heard.ids().collect();
    ids.sort();
    assert_eq!(ids, ["bookinfo/a", "bookinfo/b", "bookinfo/c", "bookinfo/d"]);
    assert!(ids.iter().all(|id| heard.of(id).unwrap().hold.is_some()));
}

#[test]
fn what_cannot_be_said_of_a_file_is_refused() {
    let (directory, path) = file(RELEASE);
    let control = directory.path().join("control.yaml");
    let (path, at) = (path.to_str().unwrap(), control.to_str().unwrap());
    let said = |words: &[&str]| refused(&arguments(words, path, at));
    for (words, expected) in [
        (&["rollback", "shop"][..], format!("error: {path}: it has no CanaryRelease `shop`; use one of bookinfo/reviews\n")),
        (&["rollback", "reviews", "v9"], "error: `v9` is not a canary of bookinfo/reviews; use one of v2\n".to_owned()),
        (
            &["pause", "reviews", "--dry-run=server"],
            "error: --dry-run=server asks an API server, and files have none; use --dry-run=client\n".to_owned(),
        ),
        (
            &["approve", "reviews"],
            "error: bookinfo/reviews: it has no steps, so nothing waits for an approval\n".to_owned(),
        ),
        (
            &["takeover", "reviews", "v2"],
            "error: bookinfo/reviews: 50% of people move from v1 to v2\nv2 gets everybody, and the split is kept for when that is taken \
             back. this has to be confirmed, and there is no terminal; pass --yes\n"
                .to_owned(),
        ),
    ] {
        assert_eq!(said(words), expected);
    }
    assert!(!control.exists());
    let missing = refused(&["rollback", "reviews", "-f", path]);
    assert!(missing.contains("  --control <CONTROL>\n"), "{missing}");
    let both = said(&["rollback", "reviews", "-n", "bookinfo"]);
    assert!(both.contains("'--namespace <NAMESPACE>' cannot be used with"), "{both}");
    std::fs::write(&control, "kind: CanaryControl\n").unwrap();
    let fix = "start it with `apiVersion: serin.dev/v1alpha1` and `kind: CanaryControl`";
    assert_eq!(said(&["rollback", "reviews"]), format!("error: {at}:1:1: this document has no `apiVersion`; {fix}\n"));
    std::fs::remove_file(&control).unwrap();
    let (directory, spoken) = file(&self::control("reviews", "{paused: true}"));
    let spoken = spoken.to_str().unwrap();
    assert_eq!(
        refused(&arguments(&["rollback", "reviews"], spoken, at)),
        format!(
            "error: {spoken}: bookinfo/reviews: FILE has a CanaryControl of this release itself, and only one may speak of it; move it \
             into {at}\n"
        )
    );
    drop(directory);
    let (_directory, twice) = file(&format!("{RELEASE}---\n{}", RELEASE.replace("bookinfo", "other")));
    let twice = twice.to_str().unwrap();
    assert_eq!(
        refused(&arguments(&["rollback", "reviews"], twice, at)),
        format!("error: {twice}: several CanaryReleases are called `reviews`; use one of bookinfo/reviews, other/reviews\n")
    );
}

#[test]
fn a_file_of_words_is_checked_with_its_file() {
    let (directory, path) = file(&std::fs::read_to_string(crate::example("standalone.yaml")).unwrap());
    let control = directory.path().join("control.yaml");
    let check = ["standalone", "--check", "-f", path.to_str().unwrap(), "--control", control.to_str().unwrap()];
    let valid = format!("{}: valid, 1 service, 1 release\n", path.display());
    assert_eq!(stdout(&serin(&check)), valid);
    std::fs::write(&control, "").unwrap();
    assert_eq!(stdout(&serin(&check)), valid);
    std::fs::write(&control, RELEASE).unwrap();
    assert_eq!(
        refused(&check),
        format!(
            "error: {}:2:1: bookinfo/reviews: kind: `CanaryRelease` is not read from a file of controls; move it to FILE (-f), since \
             this one holds CanaryControls alone\n",
            control.display()
        )
    );
}
