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
