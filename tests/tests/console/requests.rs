//! The last requests, as Envoy's log has them.

use std::collections::BTreeMap;

use super::*;

pub(super) fn each_request_is_there_with_its_version_and_reason() {
    const USERS: usize = 300;
    let console = Console::with_settings("20%", json!({"accessLog": "/dev/stdout"}));
    let users: Vec<usize> = (0..USERS).collect();
    let answers = console.standalone.ask(&users, 8, |&user| user_request(user, "")).unwrap();
    let served = answers.iter().filter(|answer| answer.body == b"v2").count();
    let all = || console.json("/requests.json?reason=weight");
    eventually("the log is read", || all()["seen"].as_u64().unwrap() > USERS as u64).unwrap();
    let rows = |query: &str| console.json(&format!("/requests.json?{query}"))["rows"].as_array().unwrap().clone();
    // A page has 200.
    assert_eq!(rows("reason=weight").len(), 200);
    let canaries = rows("reason=weight&version=v2");
    assert_eq!(canaries.len(), served);
    for row in &canaries {
        assert_eq!((&row["version"], &row["status"], &row["now"]), (&json!("v2"), &json!(200), &json!("")), "{row}");
        assert!(row["reason"].as_str().unwrap().starts_with("weight(cookie:user,"), "{row}");
    }
    let one = canaries[0]["request_id"].as_str().unwrap();
    assert_eq!(rows(&format!("q={one}")).len(), 1);
    assert!(rows("status=5").is_empty());
    // Who moves is told of those who were seen, too.
    let fields = [("action", "takeover"), ("version", "v2")];
    let page = text(&console.post(&format!("{RELEASE}/preview"), &fields));
    // The request that waited for the start is one of them.
    let others = USERS - served;
    let told =
        [others, others + 1].map(|moves| format!("Of {} people seen in the last 10 minutes {moves} move.", USERS + 1));
    assert!(told.iter().any(|told| page.contains(told)), "{told:?} {page}");
    // Another split: what the same users would get now stands beside.
    assert_eq!(console.post(&format!("{RELEASE}/rollback"), &[]).status, 303);
    let page = console.page(&format!("{RELEASE}/requests?version=v2"));
    assert_eq!(page.matches("<td>v2</td>").count(), served, "{page}");
    assert_eq!(page.matches("<td>v1</td>").count(), served, "{page}");
}

pub(super) fn without_a_log_the_page_says_what_is_missing() {
    let console = Console::start("20%");
    let page = console.page("/requests");
    assert!(
        page.contains("There is no access log; set `spec.accessLog: /dev/stdout` in the Standalone, and it is shown here."),
        "{page}"
    );
}

pub(super) fn what_people_and_the_file_do_is_in_the_history() {
    let console = Console::start("20%");
    assert_eq!(console.post(&format!("{RELEASE}/weight"), &[("weight.v2", "40"), ("because", "good")]).status, 303);
    assert_eq!(console.post(&format!("{RELEASE}/rollback"), &[("version", "v2")]).status, 303);
    assert_eq!(console.post(&format!("{RELEASE}/pause"), &[]).status, 303);
    assert_eq!(console.post(&format!("{RELEASE}/resume"), &[]).status, 303);
    console.standalone.apply(&spec("60%")).unwrap();
    eventually("the file is read", || console.json(&format!("{RELEASE}.json"))["versions"][1]["intended"] == "60%").unwrap();
    let twin = console.json(&format!("{RELEASE}.json"));
    let events: Vec<BTreeMap<&str, &str>> = twin["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| ["what", "moved", "because"].into_iter().map(|name| (name, event[name].as_str().unwrap())).collect())
        .collect();
    let told: Vec<[&str; 3]> = events.iter().map(|event| [event["what"], event["moved"], event["because"]]).collect();
    assert_eq!(
        told,
        [
            ["WeightsSet", "v2=20% → v2=60%", ""],
            ["Resumed", "all on stable → v2=20%", ""],
            ["Paused", "", ""],
            ["RolledBack", "v2=40% → all on stable", ""],
            ["WeightsSet", "v2=20% → v2=40%", "good"],
        ]
    );
    let page = console.page(&format!("{RELEASE}/history"));
    assert!(page.contains("v2=40% → all on stable"), "{page}");
}
