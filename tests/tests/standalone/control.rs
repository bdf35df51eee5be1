//! A person's word in the file: it acts without a change of the release, and gives people back as they were.

use std::process::Command;

use serin_tests::standalone::{Setup, Upstreams};

use super::*;

/// The manifest with a CanaryControl.
fn with_word(text: &str, spec: &Value) -> String {
    let metadata = json!({"name": "reviews", "namespace": "bookinfo"});
    let control = json!({"apiVersion": "serin.dev/v1alpha1", "kind": "CanaryControl", "metadata": metadata, "spec": spec});
    format!("{text}\n---\n{control}\n")
}

pub(super) fn a_word_in_the_file_acts_until_it_is_taken_back() {
    let weights = spec(&[("v2", "40%"), ("v3", "20%")]);
    let standalone = Standalone::start(&["v1", "v2", "v3"], &spec(&[("v2", "5%"), ("v3", "20%")]), 2).unwrap();
    standalone.apply(&weights).unwrap();
    let users: Vec<usize> = (0..500).collect();
    let before = versions(&standalone, &users);
    let text = standalone.manifest(&weights);
    let get = |said: &str, expected: &dyn Fn(&str) -> String| {
        let expected: Vec<String> = before.iter().map(|version| expected(version)).collect();
        eventually(said, || versions(&standalone, &users) == expected).unwrap();
    };
    standalone.replace(&with_word(&text, &json!({"hold": {"kind": "Rollback", "version": "v2"}, "by": "bob"}))).unwrap();
    get("v2 is rolled back, and nobody else moves", &|version| if version == "v2" { "v1".into() } else { version.into() });
    standalone.replace(&with_word(&text, &json!({"hold": {"kind": "Takeover", "version": "v3"}, "by": "bob"}))).unwrap();
    get("everybody has v3", &|_| "v3".to_owned());
    standalone.replace(&text).unwrap();
    get("everybody is back", &str::to_owned);
    // A pause keeps what is there, whatever the release says then.
    let more = standalone.manifest(&spec(&[("v2", "70%"), ("v3", "20%")]));
    standalone.replace(&with_word(&more, &json!({"paused": true, "by": "bob"}))).unwrap();
    let told = "bookinfo/reviews: bob has paused it; without that: v2 40% -> 70%";
    eventually("it is read", || standalone.log().contains(told)).unwrap();
    assert_eq!(versions(&standalone, &users), before, "{}", standalone.log());
    let log = standalone.log();
    for told in [
        "bookinfo/reviews: v2 40% -> 0%: bob has rolled v2 back; without that: v2 0% -> 40%",
        "bookinfo/reviews: v2 0% -> 40%, v3 takes over: bob has given everybody to v3; without that: takeover ended",
        "bookinfo/reviews: takeover ended, the spec acts again",
    ] {
        assert!(log.contains(told), "{log}");
    }
}

pub(super) fn steps_go_on_by_themselves_and_nobody_falls_back() {
    let mut stepped = spec(&[("v2", "0%")]);
    stepped["steps"] = json!([{"weight": "10%", "hold": "1s"}, {"weight": "50%", "hold": "1s"}, {"weight": "100%"}]);
    let standalone = Standalone::start(&["v1", "v2"], &stepped, 2).unwrap();
    let users: Vec<usize> = (0..500).collect();
    let mut before = versions(&standalone, &users);
    let mut look = |at: &str| {
        eventually(at, || standalone.log().contains(at)).unwrap();
        let now = versions(&standalone, &users);
        assert!(before.iter().zip(&now).all(|(before, now)| before == "v1" || now == "v2"), "somebody fell back");
        before = now;
    };
    look("bookinfo/reviews: Stepped: nobody -> v2=10%, step 1 of 3");
    look("bookinfo/reviews: Stepped: v2=10% -> v2=50%, step 2 of 3");
    look("bookinfo/reviews: Stepped: v2=50% -> v2=100%, step 3 of 3");
    eventually("everybody has v2", || versions(&standalone, &users).iter().all(|version| version == "v2")).unwrap();
    // A rollback by hand keeps what was reached for the day on which it is taken back.
    let text = standalone.manifest(&stepped);
    standalone.replace(&with_word(&text, &json!({"hold": {"kind": "Rollback"}, "by": "bob"}))).unwrap();
    eventually("everybody has v1", || versions(&standalone, &users).iter().all(|version| version == "v1")).unwrap();
    standalone.replace(&text).unwrap();
    eventually("everybody has v2 again", || versions(&standalone, &users).iter().all(|version| version == "v2")).unwrap();
}

pub(super) fn a_step_waits_for_the_approval_that_the_log_asks_for() {
    let mut stepped = spec(&[("v2", "0%")]);
    stepped["steps"] = json!([{"weight": "10%", "approve": true}, {"weight": "100%"}]);
    let standalone = Standalone::start(&["v1", "v2"], &stepped, 2).unwrap();
    let asked = "bookinfo/reviews: ApprovalNeeded: v2=10% -> v2=10%, step 1 of 2; a CanaryControl approves it: `";
    eventually("it asks", || standalone.log().contains(asked)).unwrap();
    let log = standalone.log();
    let approved = log.split(asked).nth(1).and_then(|rest| rest.split('`').next()).unwrap();
    let approved: Value = serde_saphyr::from_str(approved).unwrap();
    standalone.replace(&with_word(&standalone.manifest(&stepped), &approved)).unwrap();
    let users: Vec<usize> = (0..100).collect();
    eventually("everybody has v2", || versions(&standalone, &users).iter().all(|version| version == "v2")).unwrap();
}

/// A running standalone with a file of what people say, and its upstreams.
fn spoken_of(spec: &Value) -> (Upstreams, Standalone) {
    let upstreams = Upstreams::start(&["v1", "v2"]).unwrap();
    let setup = Setup { control: true, ..Setup::new(upstreams.versions().unwrap(), spec) };
    (upstreams, Standalone::start_with(setup).unwrap())
}

/// What a command says that writes there.
fn say(standalone: &Standalone, words: &[&str]) -> String {
    let (file, control) = (standalone.file(), standalone.control());
    let mut command = Command::new(serin_tests::command().unwrap());
    command.args(words).arg("-f").arg(file).arg("--control").arg(control).arg("--state-dir").arg(standalone.state());
    let output = command.env("NO_COLOR", "1").env("USER", "bob").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

pub(super) fn a_command_writes_the_word_and_its_end_brings_the_same_users_back() {
    let (_upstreams, standalone) = spoken_of(&spec(&[("v2", "5%")]));
    // Grown, so that a fresh map of buckets would not be the one that acts.
    standalone.apply(&spec(&[("v2", "50%")])).unwrap();
    let users: Vec<usize> = (0..500).collect();
    let before = versions(&standalone, &users);
    let of = |buckets: u32| -> Vec<String> {
        users.iter().map(|&user| if bucket(user) < buckets { "v2" } else { "v1" }.to_owned()).collect()
    };
    assert_eq!(before, of(50_000));
    let get = |what: &str, expected: &[String]| {
        eventually(what, || versions(&standalone, &users) == expected)
            .unwrap_or_else(|error| panic!("{error}: {}", standalone.log()));
    };
    let said = say(&standalone, &["rollback", "reviews", "--because", "5xx"]);
    assert_eq!(said, "bookinfo/reviews: 50% of people move from v2 to v1\n");
    get("v2 is rolled back", &of(0));
    let told = "bookinfo/reviews: v2 50% -> 0%: bob has rolled every canary back (5xx); without that: v2 0% -> 50%";
    eventually("it is told", || standalone.log().contains(told)).unwrap();
    assert_eq!(say(&standalone, &["resume", "reviews", "--yes"]), "bookinfo/reviews: 50% of people move from v1 to v2\n");
    get("the same users are back", &before);
    assert_eq!(say(&standalone, &["weight", "reviews", "v2=60%"]), "bookinfo/reviews: 10% of people move from v1 to v2\n");
    get("v2 has more", &of(60_000));
    say(&standalone, &["takeover", "reviews", "v2", "--yes"]);
    get("everybody has v2", &of(100_000));
    say(&standalone, &["resume", "reviews", "--yes"]);
    get("the spec acts again", &before);
    // A file that is gone takes words back, where somebody is sure of it.
    say(&standalone, &["rollback", "reviews"]);
    get("v2 is rolled back again", &of(0));
    std::fs::remove_file(standalone.control()).unwrap();
    let doubt = "control.yaml: no CanaryControl speaks any more of bookinfo/reviews; waiting 2s";
    eventually("it is doubted", || standalone.log().contains(doubt)).unwrap();
    standalone.serin().signal("HUP").unwrap();
    get("the same users are back once more", &before);
}

pub(super) fn each_of_two_files_has_a_last_good_text_of_its_own() {
    let (_upstreams, standalone) = spoken_of(&spec(&[("v2", "50%")]));
    let users: Vec<usize> = (0..500).collect();
    let before = versions(&standalone, &users);
    let get = |what: &str, expected: &dyn Fn(usize) -> bool| {
        let version = |&user: &usize| if expected(user) { "v2".to_owned() } else { "v1".to_owned() };
        let expected: Vec<String> = users.iter().map(version).collect();
        eventually(what, || versions(&standalone, &users) == expected)
            .unwrap_or_else(|error| panic!("{error}: {}", standalone.log()));
    };
    let word = |spec: &Value| with_word("", spec).trim_start_matches("\n---\n").to_owned();
    let rolled_back = json!({"hold": {"kind": "Rollback"}, "by": "bob"});
    standalone.replace("{").unwrap();
    eventually("the fault is told", || standalone.log().contains("serin.yaml:1:")).unwrap();
    assert_eq!(versions(&standalone, &users), before);
    // Whoever rolls back need not mend the file first.
    standalone.replace_control(&word(&rolled_back)).unwrap();
    get("the word acts although the file is broken", &|_| false);
    standalone.replace(&standalone.manifest(&spec(&[("v2", "60%")]))).unwrap();
    eventually("the file is applied", || standalone.log().contains("without that: v2 0% -> 60%")).unwrap();
    assert!(versions(&standalone, &users).iter().all(|version| version == "v1"));
    // A fault of the other file: what it said last goes on, and the release changes all the same.
    standalone.replace_control(&word(&json!({"hold": {"kind": "Takeover"}}))).unwrap();
    let told = |fault: &str| {
        let is_it = |line: &str| line.contains("/control.yaml:1:") && line.ends_with(fault);
        eventually("the fault is told", || standalone.log().lines().any(is_it)).unwrap();
    };
    told("bookinfo/reviews: spec.hold: a Takeover names the version that gets everybody; add `version`");
    standalone.replace(&standalone.manifest(&spec(&[("v2", "70%")]))).unwrap();
    eventually("the file is applied", || standalone.log().contains("without that: v2 0% -> 70%")).unwrap();
    assert!(versions(&standalone, &users).iter().all(|version| version == "v1"));
    standalone.replace_control(&word(&json!({"by": "bob"}))).unwrap();
    get("the word is taken back", &|user| bucket(user) < 70_000);
    // One release, one place.
    standalone.replace(&with_word(&standalone.manifest(&spec(&[("v2", "80%")])), &rolled_back)).unwrap();
    told("serin.yaml has a CanaryControl of this release too; keep one of them");
    get("nobody moves", &|user| bucket(user) < 70_000);
}

pub(super) fn a_step_is_approved_by_command() {
    let mut stepped = spec(&[("v2", "0%")]);
    stepped["steps"] = json!([{"weight": "10%", "approve": true}, {"weight": "100%"}]);
    let (_upstreams, standalone) = spoken_of(&stepped);
    eventually("it asks", || standalone.log().contains("bookinfo/reviews: ApprovalNeeded")).unwrap();
    assert_eq!(say(&standalone, &["approve", "reviews"]), "bookinfo/reviews: step 1 of 2 is approved\n");
    let users: Vec<usize> = (0..100).collect();
    eventually("everybody has v2", || versions(&standalone, &users).iter().all(|version| version == "v2")).unwrap();
}
