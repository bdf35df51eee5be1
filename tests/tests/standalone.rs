//! `serin standalone` on a real Envoy: who gets which version, exactly, while things change.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, clippy::panic, reason = "a test that panics has failed")]

#[path = "standalone/analysis.rs"]
mod analysis;
#[path = "standalone/control.rs"]
mod control;
#[path = "standalone/explain.rs"]
mod explain;
#[path = "standalone/figures.rs"]
mod figures;
#[path = "standalone/life.rs"]
mod life;
#[path = "standalone/memory.rs"]
mod memory;
#[path = "standalone/path.rs"]
mod path;
#[path = "standalone/signals.rs"]
mod signals;
#[path = "standalone/tracing.rs"]
mod tracing;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use libtest_mimic::Arguments;
use serde_json::{Value, json};
use serin_config::{Algorithm, BUCKETS, BucketMap, Weight};
use serin_tests::envoy::{eventually, stats};
use serin_tests::http::{Connection, Response};
use serin_tests::named;
use serin_tests::need::{self, Need, Tests};
use serin_tests::standalone::{HOST, Standalone, user_request};

const SALT: &[u8] = b"bookinfo/reviews";

/// A spec of versions with weights, sticky by the cookie `user`.
fn spec(canaries: &[(&str, &str)]) -> Value {
    let canaries: Vec<_> = canaries.iter().map(|(version, weight)| json!({"version": version, "weight": weight})).collect();
    json!({"service": "reviews", "stable": {"version": "v1"}, "canaries": canaries, "sticky": {"by": [{"cookie": "user"}]}})
}

fn bucket(user: usize) -> u32 {
    Algorithm::Serin.bucket(SALT, format!("user-{user}").as_bytes())
}

fn body(response: &Response) -> String {
    assert_eq!(response.status, 200, "{response:?}");
    String::from_utf8(response.body.clone()).unwrap()
}

fn versions(standalone: &Standalone, users: &[usize]) -> Vec<String> {
    standalone.ask(users, 8, |&user| user_request(user, "")).unwrap().iter().map(body).collect()
}

/// Ends the clients of a test, also where it fails.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

const TESTS: Tests = named![
    a_hundred_thousand_users_are_split_exactly_and_stay,
    a_ramp_of_twenty_steps_moves_nobody_beyond_the_needed,
    takeover_rollback_rules_and_spoofed_headers,
    bad_text_keeps_the_last_good_state_and_says_why,
    two_hundred_thousand_hostile_requests_trap_nothing,
    a_thousand_updates_under_load_fail_no_request_and_cost_no_memory,
    cookies_to_issue_take_another_module_and_fail_no_request,
    explain::explain_says_what_envoy_does_after_a_history_of_changes,
    life::sigterm_lets_a_request_end_and_takes_no_new_one,
    life::an_envoy_that_dies_is_started_again_as_it_was,
    life::a_version_comes_and_goes_under_load_without_a_failed_request,
    life::all_settings_work_and_a_canary_that_is_not_ready_gets_no_traffic,
    life::services_are_told_apart_by_host_and_nobody_else_answers,
    path::a_websocket_is_opened_and_echoes,
    path::websockets_over_http_2_are_not_offered,
    path::http_1_0_is_served_also_without_a_host,
    path::a_name_may_have_a_dot_and_the_port_that_clients_connect_to,
    path::no_identity_on_what_others_may_keep,
    path::status_codes_are_reasons_to_try_again,
    path::idle_connections_and_silent_streams_end,
    control::steps_go_on_by_themselves_and_nobody_falls_back,
    analysis::a_bad_canary_is_rolled_back_although_the_file_is_broken,
    analysis::a_good_canary_goes_to_everybody_when_it_is_shown_to_be_good,
    analysis::what_people_cause_anyway_is_measured_before_and_counts_against_nobody,
    analysis::an_analysis_needs_what_envoy_counts,
    control::a_step_waits_for_the_approval_that_the_log_asks_for,
    control::a_word_in_the_file_acts_until_it_is_taken_back,
    control::a_command_writes_the_word_and_its_end_brings_the_same_users_back,
    control::each_of_two_files_has_a_last_good_text_of_its_own,
    control::a_step_is_approved_by_command,
    figures::metrics_of_all_services_have_one_name_and_exact_counts,
    figures::what_stable_serves_for_a_sick_canary_is_told_apart,
    figures::a_canary_that_is_down_is_not_found_to_be_good,
    tracing::spans_come_to_serin_with_version_and_reason,
    tracing::spans_go_where_the_file_says_while_it_changes,
    memory::a_release_that_is_taken_out_and_in_again_moves_nobody,
    memory::a_writer_that_pauses_moves_nobody,
    memory::each_file_has_a_state_of_its_own,
    memory::a_change_that_the_disk_refuses_is_tried_again,
    memory::a_change_that_envoy_refuses_is_tried_again,
    memory::a_probe_that_hangs_holds_up_no_other_release,
    memory::a_log_that_cannot_be_written_is_named,
    memory::a_change_at_which_envoy_ends_is_tried_again,
    memory::an_envoy_that_ends_shows_in_the_metrics,
    signals::a_renamed_access_log_is_opened_anew,
    signals::a_disk_that_stands_still_holds_up_no_signal,
    signals::a_rollback_gets_through_at_the_limit_of_open_files,
    signals::the_soft_limit_of_open_files_is_raised_to_the_hard_one,
];

fn main() -> ExitCode {
    libtest_mimic::run(&Arguments::from_args(), need::tests(TESTS, &[Need::Envoy])).exit_code()
}

fn a_hundred_thousand_users_are_split_exactly_and_stay() {
    let standalone = Standalone::start(&["v1", "v2"], &spec(&[("v2", "12.345%")]), 2).unwrap();
    let users: Vec<usize> = (0..100_000).collect();
    let expected: Vec<&str> = users.iter().map(|&user| if bucket(user) < 12_345 { "v2" } else { "v1" }).collect();
    let first = versions(&standalone, &users);
    let canaries = first.iter().filter(|version| *version == "v2").count();
    assert_eq!(canaries, expected.iter().filter(|version| **version == "v2").count());
    assert_eq!(first, expected);
    for _ in 0..2 {
        let again = versions(&standalone, &users);
        assert_eq!(again.iter().zip(&first).filter(|(is, was)| is != was).count(), 0, "flips");
    }
    eventually("all decisions are counted", || {
        let counted: u64 = stats(standalone.admin, "decisions_total").unwrap().values().sum();
        // One more: the request that waited for the start.
        counted > 300_000
    })
    .unwrap();
    let counted = stats(standalone.admin, "version=.=v2;.;reason=.=weight;.;decisions_total").unwrap();
    assert_eq!(counted.values().sum::<u64>(), 3 * canaries as u64);
}

fn a_ramp_of_twenty_steps_moves_nobody_beyond_the_needed() {
    let users: Vec<usize> = (0..2_000).collect();
    let standalone = Standalone::start(&["v1", "v2", "v3"], &spec(&[("v2", "0%"), ("v3", "0%")]), 2).unwrap();
    let mut map = BucketMap::default();
    let mut before = versions(&standalone, &users);
    assert!(before.iter().all(|version| version == "v1"));
    for step in 1..=20u32 {
        // v3 grows to 40 % and shrinks again to what v2 leaves of everything.
        let v2 = step * 5_000;
        let v3 = (step * 4_000).min(BUCKETS - v2).min(40_000);
        let weight = |buckets| Weight::from_buckets(buckets).unwrap();
        standalone.apply(&spec(&[("v2", &weight(v2).to_string()), ("v3", &weight(v3).to_string())])).unwrap();
        let next = map.allocate(&[("v2", weight(v2)), ("v3", weight(v3))]);
        let (was, is) = (owners(&map), owners(&next));
        let after = versions(&standalone, &users);
        for ((&user, before), after) in users.iter().zip(&before).zip(&after) {
            let at = bucket(user) as usize;
            assert_eq!((before.as_str(), after.as_str()), (was[at].as_str(), is[at].as_str()), "user {user}, step {step}");
        }
        (map, before) = (next, after);
    }
    assert!(before.iter().all(|version| version == "v2"));
}

fn owners(map: &BucketMap) -> Vec<String> {
    let name = |version: &Option<String>| version.clone().unwrap_or_else(|| "v1".to_owned());
    let mut owners: Vec<_> =
        map.runs().iter().flat_map(|run| std::iter::repeat_n(name(&run.version), run.buckets as usize)).collect();
    owners.resize(BUCKETS as usize, "v1".to_owned());
    owners
}

fn takeover_rollback_rules_and_spoofed_headers() {
    let mut spec = spec(&[("v2", "50%")]);
    spec["rules"] = json!([
        {"name": "testers", "when": [{"header": {"name": "x-team", "exact": "qa"}}], "version": "v2"},
        {"name": "bots", "when": [{"header": {"name": "x-bot", "present": true}}], "version": "v1"},
    ]);
    let standalone = Standalone::start(&["v1", "v2"], &spec, 2).unwrap();
    let users: Vec<usize> = (0..10_000).collect();
    let expected: Vec<&str> = users.iter().map(|&user| if bucket(user) < 50_000 { "v2" } else { "v1" }).collect();
    let ask = |lines: &str| -> Vec<String> {
        standalone.ask(&users, 8, |&user| user_request(user, lines)).unwrap().iter().map(body).collect()
    };
    // Every user claims the version that the split does not give.
    let spoofed = standalone.ask(&users, 8, |&user| {
        let other = if bucket(user) < 50_000 { "v1" } else { "v2" };
        user_request(user, &format!("x-serin-version: {other}\r\nX-Serin-Version: {other}\r\n"))
    });
    assert_eq!(spoofed.unwrap().iter().map(body).collect::<Vec<_>>(), expected);
    assert!(ask("x-team: qa\r\n").iter().all(|version| version == "v2"));
    assert!(ask("x-bot: 1\r\nx-team: ops\r\n").iter().all(|version| version == "v1"));
    spec["takeover"] = json!("v2");
    standalone.apply(&spec).unwrap();
    assert!(ask("x-bot: 1\r\n").iter().all(|version| version == "v2"));
    spec["takeover"] = json!("v1");
    standalone.apply(&spec).unwrap();
    assert_eq!(ask("x-team: qa\r\n").iter().filter(|version| *version == "v2").count(), 0);
}

fn bad_text_keeps_the_last_good_state_and_says_why() {
    let standalone = Standalone::start(&["v1", "v2"], &spec(&[("v2", "50%")]), 2).unwrap();
    let users: Vec<usize> = (0..200).collect();
    let before = versions(&standalone, &users);
    let good = standalone.manifest(&spec(&[("v2", "60%")]));
    standalone.replace(&good.replace("60%", "60")).unwrap();
    eventually("the error is reported", || standalone.log().contains("`60` is not a percentage")).unwrap();
    assert!(standalone.log().contains("spec.canaries[0].weight"), "{}", standalone.log());
    standalone.replace("{").unwrap();
    assert_eq!(versions(&standalone, &users), before);
    standalone.apply(&spec(&[("v2", "60%")])).unwrap();
    let expected: Vec<&str> = users.iter().map(|&user| if bucket(user) < 60_000 { "v2" } else { "v1" }).collect();
    assert_eq!(versions(&standalone, &users), expected);
}

/// Requests that a person would not send, the same each time.
fn hostile(seed: usize) -> Vec<u8> {
    let mut state = seed as u64 ^ 0x9e37_79b9_7f4a_7c15;
    let mut random = move |below: u64| {
        // Vigna's splitmix64.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (((mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 31) % below) as usize
    };
    let paths = ["/", "/?uid=%zz%", "/%ff%fex", "/a?&&=&v=2", "//..//."];
    // Envoy itself refuses these.
    let refused = ["/%00", "/?uid=\u{e9}", "*"];
    let names = [
        "cookie",
        "Cookie",
        "authorization",
        "baggage",
        "user-agent",
        "x-team",
        "x-serin-version",
        "x-request-id",
        "x-forwarded-for",
    ];
    let values: [&[u8]; 12] = [
        b"",
        b"\xff\xfe",
        b"user=\xc3\x28",
        b"user=\"",
        b"=;=;;user",
        b"Bearer a.b.c",
        b"Bearer ..",
        b"Bearer e30.eyJzdWIiOiI.x",
        b"user=%zz;q=1,,=",
        b"v2, v2",
        b"\xf0\x9f\x98\x80",
        b"user=ann; user=bob",
    ];
    let path = if random(100) == 0 { refused[random(3)] } else { paths[random(paths.len() as u64)] };
    let mut request = format!("GET {path} HTTP/1.1\r\nhost: {HOST}\r\n").into_bytes();
    for _ in 0..random(8) {
        let value = match random(60) {
            0 => vec![b'a' + random(26) as u8; 60_000],
            1 => (0..1000).map(|n| format!("c{n}={n}; ")).collect::<String>().into_bytes(),
            _ => values[random(values.len() as u64)].to_vec(),
        };
        request.extend([names[random(names.len() as u64)].as_bytes(), b": ", &value, b"\r\n"].concat());
    }
    request.extend(b"\r\n");
    request
}

fn two_hundred_thousand_hostile_requests_trap_nothing() {
    let mut spec = spec(&[("v2", "50%")]);
    spec["sticky"] = json!({"by": [{"cookie": "user"}, {"jwtClaim": {"claim": "sub"}}, {"baggage": "user"}, {"query": "uid"}, {"sourceAddress": {}}],
        "otherwise": {"issueCookie": {"name": "sid"}}});
    spec["rules"] = json!([
        {"name": "regex", "when": [{"header": {"name": "x-team", "regex": "(a|aa)*b"}}], "version": "v2"},
        {"name": "os", "when": [{"os": {"in": ["ios"]}}, {"path": {"contains": "%"}}, {"query": {"name": "uid", "contains": "z"}}], "version": "v2"},
    ]);
    let standalone = Standalone::start(&["v1", "v2"], &spec, 2).unwrap();
    let vms = || {
        stats(standalone.admin, "wasm.")
            .unwrap()
            .into_iter()
            .filter(|(name, _)| !name.contains("wasmcustom"))
            .collect::<BTreeMap<_, _>>()
    };
    let before = vms();
    assert!(before.keys().any(|name| name.contains("v8.created")), "{before:?}");
    let requests: Vec<usize> = (0..200_000).collect();
    let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
    for response in standalone.ask(&requests, 8, |&seed| hostile(seed)).unwrap() {
        *statuses.entry(response.status).or_default() += 1;
    }
    assert!(statuses.keys().all(|status| *status < 500), "{statuses:?}");
    assert!(statuses[&200] > 190_000, "{statuses:?}");
    assert_eq!(vms(), before, "a VM was made or ended");
}

fn a_thousand_updates_under_load_fail_no_request_and_cost_no_memory() {
    let standalone = Standalone::start(&["v1", "v2"], &spec(&[("v2", "50%")]), 2).unwrap();
    // Each weight is another one: Envoy does not validate the same document twice, and the count of adoptions is what is waited for.
    let apply =
        |step: u32| standalone.apply(&spec(&[("v2", &Weight::from_buckets(50_000 + step).unwrap().to_string())])).unwrap();
    (1..=20).for_each(apply);
    let before = standalone.envoy_kib().unwrap();
    let (done, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let _done = Done(&done);
        for client in 0..2 {
            let (done, asked, standalone) = (&done, &asked, &standalone);
            scope.spawn(move || {
                let mut connection = Connection::open(standalone.listen).unwrap();
                let mut user = client;
                while !done.load(Ordering::Relaxed) {
                    let version = body(&connection.send(&user_request(user, "")).unwrap());
                    // Whatever the weight is at this moment, these buckets do not change version.
                    match bucket(user) {
                        at if at < 50_000 => assert_eq!(version, "v2"),
                        at if at >= 51_020 => assert_eq!(version, "v1"),
                        _ => {}
                    }
                    asked.fetch_add(1, Ordering::Relaxed);
                    user = (user + 2) % 10_000;
                }
            });
        }
        let start = Instant::now();
        (21..=1020).for_each(apply);
        eprintln!("1000 updates in {:?}", start.elapsed());
    });
    let after = standalone.envoy_kib().unwrap();
    eprintln!("{} requests, Envoy's memory {before} -> {after} KiB", asked.load(Ordering::Relaxed));
    assert!(asked.load(Ordering::Relaxed) > 1000);
    assert!(after < before + 20 * 1024, "{before} KiB -> {after} KiB");
    assert_eq!(standalone.documents("rejected").unwrap(), 0);
}

fn cookies_to_issue_take_another_module_and_fail_no_request() {
    let issuing = json!({"by": [{"cookie": "user"}, {"cookie": "sid"}], "otherwise": {"issueCookie": {"name": "sid"}}});
    let plain = json!({"by": [{"cookie": "user"}]});
    // Another weight each time, so that each is another document.
    let step = |step: u32| {
        let mut spec = spec(&[("v2", &Weight::from_buckets(50_000 + step).unwrap().to_string())]);
        spec["sticky"] = if step % 2 == 1 { issuing.clone() } else { plain.clone() };
        spec
    };
    let standalone = Standalone::start(&["v1", "v2"], &step(0), 2).unwrap();
    let module = || {
        let config = std::fs::read_to_string(standalone.file().with_file_name("state").join("ecds.json")).unwrap();
        let names = ["serin_filter.wasm", "serin_request_filter.wasm"];
        names.into_iter().filter(|name| config.contains(&format!("/{name}\""))).collect::<Vec<_>>()
    };
    let issued = || {
        let visitor = Connection::open(standalone.listen).unwrap().get(HOST, "/", &[]).unwrap();
        visitor.header("set-cookie").is_some_and(|cookie| cookie.starts_with("sid="))
    };
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _done = Done(&done);
        for client in 0..2 {
            let (done, standalone) = (&done, &standalone);
            scope.spawn(move || {
                let mut connection = Connection::open(standalone.listen).unwrap();
                for user in (client..10_000).step_by(2).cycle().take_while(|_| !done.load(Ordering::Relaxed)) {
                    let version = body(&connection.send(&user_request(user, "")).unwrap());
                    match bucket(user) {
                        at if at < 50_000 => assert_eq!(version, "v2"),
                        at if at >= 50_010 => assert_eq!(version, "v1"),
                        _ => {}
                    }
                }
            });
        }
        assert_eq!((module(), issued()), (vec!["serin_request_filter.wasm"], false));
        for number in 1..7 {
            standalone.apply(&step(number)).unwrap();
            let expected = if number % 2 == 1 { "serin_filter.wasm" } else { "serin_request_filter.wasm" };
            assert_eq!((module(), issued()), (vec![expected], number % 2 == 1), "step {number}");
        }
    });
    assert_eq!(standalone.documents("rejected").unwrap(), 0);
}
