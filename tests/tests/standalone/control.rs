//! A person's word in the file: it acts without a change of the release, and gives people back as they were.

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
