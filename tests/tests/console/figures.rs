//! Figures of the pages: exactly what Envoy counted.

use serin_tests::envoy::stats;

use super::*;

/// The version of a release's twin.
fn version(console: &Console, name: &str) -> Value {
    let twin = console.json(&format!("{RELEASE}.json"));
    twin["versions"].as_array().unwrap().iter().find(|version| version["version"] == name).unwrap().clone()
}

/// Counts of both versions: decided, served, and answered by another one.
fn counts(console: &Console) -> [[u64; 3]; 2] {
    ["v1", "v2"].map(|name| {
        let seen = version(console, name);
        ["decisions", "served", "fallback"].map(|field| seen[field].as_str().unwrap().parse().unwrap_or(0))
    })
}

/// Waits until all that happened before is in what is shown, and says what that is.
fn settled(console: &Console) -> [[u64; 3]; 2] {
    // The request that waited for the start was decided, and is counted late.
    eventually("the filter has counted", || {
        stats(console.standalone.admin, "decisions_total").unwrap().values().sum::<u64>() > 0
    })
    .unwrap();
    let at = || console.json(&format!("{RELEASE}.json"))["at"].clone();
    let before = at();
    let mut last = before.clone();
    let mut readings = 0;
    eventually("two readings have begun since", || {
        let now = at();
        readings += usize::from(now != last);
        last = now;
        readings > 1
    })
    .unwrap();
    counts(console)
}

pub(super) fn decided_and_served_are_exact() {
    const USERS: usize = 400;
    let console = Console::with_settings("20%", json!({"accessLog": "/dev/stdout"}));
    let before = settled(&console);
    let users: Vec<usize> = (0..USERS).collect();
    let answers = console.standalone.ask(&users, 8, |&user| user_request(user, "")).unwrap();
    let canaries = answers.iter().filter(|answer| answer.body == b"v2").count() as u64;
    let stable = USERS as u64 - canaries;
    let grown = |[decided, served, elsewhere]: [u64; 3], by: u64| [decided + by, served + by, elsewhere];
    let expected = [grown(before[0], stable), grown(before[1], canaries)];
    eventually("all are counted", || counts(&console) == expected)
        .unwrap_or_else(|error| panic!("{error}: {before:?} {expected:?} {:?}", counts(&console)));
    let (stable, canary) = (version(&console, "v1"), version(&console, "v2"));
    for seen in [&stable, &canary] {
        assert_eq!(
            (&seen["success"], &seen["fallback"], &seen["ready"]),
            (&json!("100 %"), &json!("0"), &json!("1 of 1")),
            "{seen}"
        );
        assert_eq!(seen["latency"].as_array().unwrap().len(), 3, "{seen}");
        assert!(seen["health"].as_str().unwrap().starts_with("healthy"), "{seen}");
    }
    // 400 people are enough to say that it is as intended, once the log is read.
    eventually("a verdict", || version(&console, "v2")["verdict"] == "as intended").unwrap();
    let twin = console.json(&format!("{RELEASE}.json"));
    assert_eq!(twin["reasons"].as_array().unwrap().len(), 2, "{twin}");
    let rows = console.json("/topology.json")["rows"].as_array().unwrap().clone();
    let names: Vec<_> = rows.iter().map(|row| (row["from"].as_str().unwrap(), row["to"].as_str().unwrap())).collect();
    assert_eq!(names[..3], [("clients", "reviews"), ("reviews", "v1"), ("reviews", "v2")], "{rows:?}");
    assert_eq!(rows.iter().filter(|row| row["health"] == "healthy").count(), 4, "{rows:?}");
    let page = console.page("/topology");
    assert_eq!(page.matches("class=\"node kind-version health-healthy\"").count(), 2, "{page}");
}

pub(super) fn a_sick_canary_is_told_apart_from_stable_that_serves_for_it() {
    let settings = json!({"accessLog": "/dev/stdout"});
    let probed = json!({"healthCheck": {"path": "/", "interval": "100ms", "timeout": "50ms", "unhealthyThreshold": 1, "healthyThreshold": 1}});
    let console = Console::probed("50%", settings, probed, "127.0.0.1:9");
    let before = settled(&console);
    let users: Vec<usize> = (0..200).collect();
    let answers = console.standalone.ask(&users, 8, |&user| user_request(user, "")).unwrap();
    assert!(answers.iter().all(|answer| answer.body == b"v1"));
    let sick = users.iter().filter(|user| bucket(**user) < 50_000).count() as u64;
    let expected = [
        [before[0][0] + 200 - sick, before[0][1] + 200 - sick, 0],
        [before[1][0] + sick, before[1][1], before[1][2] + sick],
    ];
    eventually("all are counted", || counts(&console) == expected)
        .unwrap_or_else(|error| panic!("{error}: {before:?} {expected:?} {:?}", counts(&console)));
    let canary = version(&console, "v2");
    assert_eq!((&canary["ready"], &canary["success"]), (&json!("0 of 1"), &json!("")), "{canary}");
    let page = console.page("/topology");
    assert!(page.contains("answered by another version"), "{page}");
    assert!(page.contains("not ready"), "{page}");
}

pub(super) fn without_an_answer_figures_grow_old_and_say_why() {
    let console = Console::start("20%");
    eventually("figures were read", || !console.json(&format!("{RELEASE}.json"))["stale"].as_bool().unwrap()).unwrap();
    let envoy = console.standalone.envoy_id().unwrap();
    let signal = |name: &str| {
        assert!(std::process::Command::new("kill").args(["-s", name, &envoy.to_string()]).status().unwrap().success());
    };
    signal("STOP");
    let told = eventually("the page says so", || {
        let page = console.page(RELEASE);
        page.contains(" old: Envoy&#39;s admin interface does not answer.")
    });
    signal("CONT");
    told.unwrap();
    eventually("figures are young again", || !console.json(&format!("{RELEASE}.json"))["stale"].as_bool().unwrap()).unwrap();
}
