//! Figures of the pages: exactly what Envoy counted.

use super::*;

/// The version of a release's twin.
fn version(console: &Console, name: &str) -> Value {
    let twin = console.json(&format!("{RELEASE}.json"));
    twin["versions"].as_array().unwrap().iter().find(|version| version["version"] == name).unwrap().clone()
}

pub(super) fn decided_and_served_are_exact() {
    const USERS: usize = 400;
    let console = Console::with_settings("20%", json!({"accessLog": "/dev/stdout"}));
    // What was there before is no figure.
    eventually("figures were read", || !console.json(&format!("{RELEASE}.json"))["stale"].as_bool().unwrap()).unwrap();
    let users: Vec<usize> = (0..USERS).collect();
    let answers = console.standalone.ask(&users, 8, |&user| user_request(user, "")).unwrap();
    let canaries = answers.iter().filter(|answer| answer.body == b"v2").count();
    let is = |name: &str, count: usize| {
        let seen = version(&console, name);
        (seen["decisions"] == count.to_string() && seen["served"] == count.to_string()).then_some(seen)
    };
    eventually("all are counted", || is("v2", canaries).is_some() && is("v1", USERS - canaries).is_some()).unwrap();
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
    let part = format!("{:.2}", 100.0 * canaries as f64 / USERS as f64);
    let part = part.trim_end_matches('0').trim_end_matches('.');
    assert_eq!(canary["decided"], format!("{part} %"), "{canary}");
    // 400 people are enough to say that it is as intended.
    assert_eq!(canary["verdict"], "as intended", "{canary}");
    let twin = console.json(&format!("{RELEASE}.json"));
    assert_eq!(twin["reasons"].as_array().unwrap().len(), 2, "{twin}");
    let rows = console.json("/topology.json")["rows"].as_array().unwrap().clone();
    let names: Vec<_> = rows.iter().map(|row| (row["from"].as_str().unwrap(), row["to"].as_str().unwrap())).collect();
    assert_eq!(names[..3], [("clients", "reviews"), ("reviews", "v1"), ("reviews", "v2")], "{rows:?}");
    assert_eq!(rows.iter().filter(|row| row["health"] == "healthy").count(), 4, "{rows:?}");
    assert!(console.page("/topology").contains("<title>version v2: healthy</title>"));
}

pub(super) fn a_sick_canary_is_told_apart_from_stable_that_serves_for_it() {
    let settings = json!({"accessLog": "/dev/stdout"});
    let probed = json!({"healthCheck": {"path": "/", "interval": "100ms", "timeout": "50ms", "unhealthyThreshold": 1, "healthyThreshold": 1}});
    let console = Console::probed("50%", settings, probed, "127.0.0.1:9");
    eventually("figures were read", || !console.json(&format!("{RELEASE}.json"))["stale"].as_bool().unwrap()).unwrap();
    let users: Vec<usize> = (0..200).collect();
    let answers = console.standalone.ask(&users, 8, |&user| user_request(user, "")).unwrap();
    assert!(answers.iter().all(|answer| answer.body == b"v1"));
    eventually("all are counted", || {
        let (stable, canary) = (version(&console, "v1"), version(&console, "v2"));
        let number = |seen: &Value, field: &str| seen[field].as_str().unwrap().parse::<usize>().unwrap_or(0);
        let decided = number(&canary, "decisions");
        decided > 50
            && decided + number(&stable, "decisions") == 200
            && number(&canary, "fallback") == decided
            && number(&canary, "served") == 0
            && canary["ready"] == "0 of 1"
            && canary["success"] == ""
    })
    .unwrap();
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
