//! What documents hold, and which module of the filter reads them.
#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};
use serin_config::{ReleaseSplit, SplitDocument};
use serin_mesh::documents::{CARRIED_LIMIT, Filter, Module, documents};
use serin_mesh::entry::{Entries, Entry, Scope};
use serin_mesh::fit::{DOCUMENT_LIMIT, Limits, fit};
use serin_mesh::names::routing_key;
use serin_release::ReleaseId;

/// Bytes of JSON, where the limit itself is not what a test is about.
const LIMITS: Limits = Limits { document: 1_000_000, namespace: 1_000_000 };

/// A quota that nobody meets.
const ALL: usize = usize::MAX;

/// An entry with so many rules of about 1000 bytes.
fn entry(release: &str, rules: usize) -> Entry {
    with_rules(release, (0..rules).map(|_| "y".repeat(1000)))
}

fn with_rules(release: &str, values: impl Iterator<Item = String>) -> Entry {
    let rule = |(number, value): (usize, String)| json!({"name": format!("r{number}"), "when": [{"header": {"name": "x", "exact": value}}], "version": "v2"});
    let rules: Vec<Value> = values.enumerate().map(rule).collect();
    of_split(json!({"release": release, "hosts": [release.replace('/', ".")], "stable": "v1", "rules": rules}))
}

fn of_split(split: Value) -> Entry {
    let split: ReleaseSplit = serde_json::from_value(split).unwrap();
    Entry {
        allocation: Default::default(),
        wanted: split.clone(),
        served: split,
        automata: BTreeMap::new(),
        scopes: BTreeSet::from([Scope::Mesh]),
    }
}

#[test]
fn what_does_not_fit_stays_out_and_nobody_loses_a_place() {
    let settings = SplitDocument::new(Vec::new());
    let of = |list: &[(&str, usize)]| -> Entries {
        list.iter().map(|(id, rules)| (id.parse().unwrap(), Arc::new(entry(id, 10 * *rules)))).collect()
    };
    let before = of(&[("a/small", 1), ("b/large", 500), ("c/other", 300)]);
    let first = documents(&before, &Entries::new(), &settings, ALL).unwrap();
    assert_eq!(first.fit.left_out, BTreeSet::new());
    // One grows, one is new: neither fits, and what was there stays as it was.
    let wanted = of(&[("a/new", 250), ("a/small", 1), ("b/large", 800), ("c/other", 300)]);
    let second = documents(&wanted, &first.fit.entries, &settings, ALL).unwrap();
    assert_eq!(second.fit.left_out, ["a/new", "b/large"].map(|id| id.parse().unwrap()).into());
    assert_eq!(second.fit.entries, before);
    assert!(second.scopes[&Scope::Mesh].bytes <= DOCUMENT_LIMIT);
    // Another one shrinks: now the growth fits.
    let wanted = of(&[("a/small", 1), ("b/large", 800), ("c/other", 1)]);
    let third = documents(&wanted, &second.fit.entries, &settings, ALL).unwrap();
    let left_out =
        if third.fit.left_out.is_empty() { third } else { documents(&wanted, &third.fit.entries, &settings, ALL).unwrap() };
    assert_eq!((left_out.fit.left_out, left_out.fit.entries), (BTreeSet::new(), wanted));
}

fn ids(names: &[&str]) -> BTreeSet<ReleaseId> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

fn entries(list: &[(&str, Entry)]) -> Entries {
    list.iter().map(|(id, entry)| (id.parse().unwrap(), Arc::new(entry.clone()))).collect()
}

#[test]
fn a_namespace_has_its_quota_and_no_more() {
    let limits = Limits { namespace: 100_000, ..LIMITS };
    let before = entries(&[("a/first", entry("a/first", 50)), ("b/first", entry("b/first", 50))]);
    let first = fit(&before, &Entries::new(), limits);
    assert_eq!(first.left_out, BTreeSet::new());
    // Room for all, and not for this tenant; the other one goes on.
    let mut more = before.clone();
    more.extend(entries(&[
        ("a/second", entry("a/second", 60)),
        ("b/second", entry("b/second", 30)),
        ("a/third", entry("a/third", 10)),
    ]));
    let second = fit(&more, &first.entries, limits);
    assert_eq!((second.left_out, second.over_quota), (ids(&["a/second"]), ids(&["a/second"])));
    assert!(
        second.entries.contains_key(&"a/third".parse().unwrap())
            && second.entries.contains_key(&"b/second".parse().unwrap())
    );
    // A quota that was lowered takes nothing away, and a rollback has its place.
    let lowered = Limits { namespace: 10_000, ..limits };
    let mut rollback = entry("a/first", 51);
    rollback.served.takeover = Some("v1".to_owned());
    let third = fit(&before, &second.entries, lowered);
    assert_eq!((third.left_out.len(), third.entries), (0, before.clone()));
    let wanted = entries(&[("a/first", rollback), ("b/first", entry("b/first", 51))]);
    let fourth = fit(&wanted, &before, lowered);
    assert_eq!((fourth.shortened, fourth.left_out), (ids(&["a/first"]), ids(&["b/first"])));
    assert_eq!(fourth.over_quota, ids(&["a/first", "b/first"]));
}

#[test]
fn a_takeover_of_stable_fits_into_a_full_document() {
    // As many rules as there is room for.
    let of = |rules: usize| entries(&[("a/full", entry("a/full", rules)), ("b/canary", entry("b/canary", 2))]);
    let rules = (1..1000).rev().find(|rules| fit(&of(*rules), &Entries::new(), LIMITS).left_out.is_empty()).unwrap();
    let full = documents(&of(rules), &Entries::new(), &SplitDocument::new(Vec::new()), ALL).unwrap();
    let mut longer = entry("b/canary", 3);
    let larger =
        fit(&entries(&[("a/full", entry("a/full", rules)), ("b/canary", longer.clone())]), &full.fit.entries, LIMITS);
    assert_eq!((larger.left_out, larger.shortened), (ids(&["b/canary"]), BTreeSet::new()));
    // The same change, with stable taking over: rules that decide nothing are left out.
    longer.wanted.takeover = Some("v1".to_owned());
    longer.served.takeover = Some("v1".to_owned());
    let taken =
        fit(&entries(&[("a/full", entry("a/full", rules)), ("b/canary", longer.clone())]), &full.fit.entries, LIMITS);
    assert_eq!((taken.left_out, taken.shortened), (BTreeSet::new(), ids(&["b/canary"])));
    let served = &taken.entries[&"b/canary".parse().unwrap()].served;
    assert_eq!(
        (served.takeover.as_deref(), served.rules.len(), served.hosts.clone()),
        (Some("v1"), 0, vec!["b.canary".to_owned()])
    );
    // With room again it is written as it stands.
    let with_room = fit(&entries(&[("a/full", entry("a/full", 1)), ("b/canary", longer.clone())]), &taken.entries, LIMITS);
    let again = fit(&entries(&[("a/full", entry("a/full", 1)), ("b/canary", longer.clone())]), &with_room.entries, LIMITS);
    assert_eq!(
        (again.shortened, again.entries[&"b/canary".parse().unwrap()].served.clone()),
        (BTreeSet::new(), longer.served)
    );
}

#[test]
fn a_clash_is_the_trouble_of_the_one_who_comes() {
    let at = |id: &str, hosts: &[&str], ports: &[u16]| {
        let mut entry = entry(id, 0);
        entry.served.hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        entry.served.ports = ports.to_vec();
        entry
    };
    let before = entries(&[("a/a", at("a/a", &["one"], &[])), ("b/b", at("b/b", &["two"], &[80]))]);
    let first = fit(&before, &Entries::new(), LIMITS);
    // `a/a` moves to the host that `b/b` has: it stays where it was, and the document compiles.
    let moved = entries(&[
        ("a/a", at("a/a", &["two"], &[])),
        ("b/b", at("b/b", &["two"], &[80])),
        ("c/c", at("c/c", &["one"], &[])),
    ]);
    let second = fit(&moved, &first.entries, LIMITS);
    let clash = |who: &str, with: &str| (who.parse::<ReleaseId>().unwrap(), with.parse::<ReleaseId>().unwrap());
    assert_eq!(second.clashes, BTreeMap::from([clash("a/a", "b/b"), clash("c/c", "a/a")]));
    assert_eq!(second.entries, before);
    documents(&moved, &first.entries, &SplitDocument::new(Vec::new()), ALL).unwrap();
    // On another port there is none.
    let moved = entries(&[("a/a", at("a/a", &["two"], &[8080])), ("b/b", at("b/b", &["two"], &[80]))]);
    assert_eq!(fit(&moved, &first.entries, LIMITS).clashes, BTreeMap::new());
    // Two that change places do not stand in each other's way.
    let swapped = entries(&[("a/a", at("a/a", &["two"], &[])), ("b/b", at("b/b", &["one"], &[]))]);
    let swapped = fit(&swapped, &first.entries, LIMITS);
    assert_eq!(
        (swapped.clashes.len(), swapped.entries.values().map(|entry| entry.served.hosts[0].as_str()).collect::<Vec<_>>()),
        (0, vec!["two", "one"])
    );
}

#[test]
fn only_a_scope_that_issues_cookies_needs_the_module_for_them() {
    let settings = SplitDocument::new(Vec::new());
    let mut issuing = entry("a/issuing", 1);
    issuing.served.sticky = serde_json::from_value(json!({"by": [], "otherwise": {"issueCookie": {"name": "id"}}})).unwrap();
    let mut behind = entry("b/behind", 1);
    let waypoint = Scope::Waypoint("b".to_owned(), "waypoint".to_owned());
    behind.scopes.insert(waypoint.clone());
    let wanted = [("a/issuing", issuing), ("b/behind", behind)]
        .map(|(id, entry)| (id.parse::<ReleaseId>().unwrap(), Arc::new(entry)))
        .into();
    let documents = documents(&wanted, &Entries::new(), &settings, ALL).unwrap();
    assert!(documents.scopes.contains_key(&waypoint));
    let issuing = [&Scope::Mesh, &waypoint].map(|scope| documents.scopes[scope].issues_cookies);
    assert_eq!(issuing, [true, false]);

    let module = |url: &str| Module { url: url.to_owned(), sha256: None };
    let filter = Filter { any: module("any"), requests: Some(module("requests")) };
    let chosen = |issues: bool, url: Option<&str>| filter.module(issues, url).url.as_str();
    assert_eq!([None, Some("requests"), Some("earlier")].map(|url| chosen(false, url)), ["requests"; 3]);
    assert_eq!([None, Some("requests"), Some("earlier"), Some("any")].map(|url| chosen(true, url)), ["any"; 4]);
    // One change is enough for a version.
    assert_eq!(chosen(false, Some("any")), "any");
    let elsewhere = Filter { requests: None, ..filter.clone() };
    assert_eq!(elsewhere.module(false, None).url, "any");
}

/// Words of which names are made.
const WORDS: &str = "payment order cart user account catalog search inventory shipping billing invoice ledger quote pricing promo review rating \
                     profile session auth token gateway edge proxy cache queue worker scheduler mail sms push notify report audit export import media \
                     image video thumb feed stream event metric trace log config flag feature admin portal web mobile api graph store stock return \
                     refund fraud risk score match rank recommend geo map route fleet driver rider trip fare";

/// Some words, joined.
fn name(random: &mut impl FnMut(usize) -> usize, most: usize) -> String {
    let words: Vec<&str> = WORDS.split_whitespace().collect();
    (0..=random(most)).map(|_| words[random(words.len())]).collect::<Vec<_>>().join("-")
}

/// A release as a team names its own, with a routing key.
fn varied(random: &mut impl FnMut(usize) -> usize, team: &str, number: usize) -> Entry {
    let (service, canary) = (format!("{}-{}", name(random, 3), number % 50), format!("v{}", 2 + random(39)));
    let (port, cookie) = ([80, 8080, 9080, 443][random(4)], ["user", "sid", "uid", "session"][random(4)]);
    of_split(
        json!({"release": format!("{team}/{service}"), "hosts": [format!("{service}.{team}.svc.cluster.local")], "ports": [port],
        "routingKey": routing_key(&number.to_string()), "stable": format!("v{}", 1 + random(39)),
        "buckets": [[canary, 1000 * (1 + random(49))]], "sticky": {"by": [{"cookie": cookie}]}}),
    )
}

#[test]
fn forty_thousand_releases_fit() {
    let mut state = 1_u64;
    let mut random = |most: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % most
    };
    let teams: Vec<String> = (0..800).map(|number| format!("{}-{number}", name(&mut random, 2))).collect();
    let all: Entries = (0..40_000)
        .map(|number| varied(&mut random, &teams[number / 50], number))
        .map(|entry| (entry.served.release.parse().unwrap(), Arc::new(entry)))
        .collect();
    let documents = documents(&all, &Entries::new(), &SplitDocument::new(Vec::new()), ALL).unwrap();
    let document = &documents.scopes[&Scope::Mesh];
    println!("{} releases: {} bytes of JSON, {} carried", all.len(), document.bytes, document.text.len());
    assert_eq!((documents.fit.left_out.len(), documents.fit.entries.len()), (0, 40_000));
    assert!(document.text.len() <= CARRIED_LIMIT && document.bytes <= DOCUMENT_LIMIT);
}

/// Text that nothing can pack.
fn noise(seed: u64, bytes: usize) -> String {
    let mut state = seed;
    (0..bytes)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(b'0' + u8::try_from(state >> 59).unwrap())
        })
        .collect()
}

#[test]
fn what_cannot_be_packed_has_less_room() {
    let noisy = |id: &str, seed: u64, bytes: usize| (id.to_owned(), with_rules(id, std::iter::once(noise(seed, bytes))));
    let of = |list: Vec<(String, Entry)>| -> Entries {
        list.into_iter().map(|(id, entry)| (id.parse().unwrap(), Arc::new(entry))).collect()
    };
    let settings = SplitDocument::new(Vec::new());
    let before = of(vec![noisy("b/first", 1, 600_000), noisy("b/second", 2, 600_000)]);
    let first = documents(&before, &Entries::new(), &settings, ALL).unwrap();
    assert_eq!(first.fit.left_out, BTreeSet::new());
    let wanted = of(vec![
        noisy("a/new", 3, 900_000),
        noisy("b/first", 1, 600_000),
        noisy("b/second", 2, 600_000),
        noisy("c/new", 4, 10),
    ]);
    let second = documents(&wanted, &first.fit.entries, &settings, ALL).unwrap();
    assert_eq!(second.fit.left_out, ids(&["a/new"]));
    let document = &second.scopes[&Scope::Mesh];
    assert!(document.text.len() <= CARRIED_LIMIT && document.bytes > 1_200_000);
    // One that grows beyond what there is keeps its place and its last state.
    let wanted = of(vec![noisy("b/first", 1, 1_200_000), noisy("b/second", 2, 600_000)]);
    let third = documents(&wanted, &first.fit.entries, &settings, ALL).unwrap();
    assert_eq!((third.fit.left_out, third.fit.entries), (ids(&["b/first"]), first.fit.entries));
}
