//! Documents that follow one another: reading what changed gives what reading everything gives.
#![cfg(test)]

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};
use serin_config::{Destination, DocumentError, Request, Split, SplitDocument, Update};
use serin_tests::corpus;

/// A release with a number of its own, few enough that names and hosts of two of them meet now and then.
fn release() -> impl Strategy<Value = Value> {
    let ports = prop_oneof![Just(json!([])), Just(json!([80])), Just(json!([81, 82]))];
    let rules = prop_oneof![
        4 => Just(json!([])),
        1 => Just(json!([{"name": "r", "when": [{"header": {"name": "x", "regex": "a+"}}], "version": "v2"}])),
        1 => Just(json!([{"name": "r", "when": [{"path": {"regex": "/b?"}}], "buckets": [["v3", 5]]}])),
    ];
    (0..40_u32, 0..60_u32, ports, rules, 0..3_u32).prop_map(|(name, host, ports, rules, weight)| {
        let mut release = json!({"release": format!("a/{name}"), "hosts": [format!("H{host}."), format!("also-{name}")],
            "stable": "v1", "sticky": {"by": [{"cookie": "u"}]}});
        for (field, value) in [("ports", ports), ("rules", rules)] {
            if value != json!([]) {
                release[field] = value;
            }
        }
        if weight > 0 {
            release["buckets"] = json!([["v2", weight * 1000]]);
        }
        if weight == 2 {
            release["routingKey"] = json!(format!("key-{name}"));
        }
        if weight == 1 {
            release["sticky"]["otherwise"] = json!({"issueCookie": {"name": "id"}});
        }
        release
    })
}

/// A document, most often one that compiles: of releases that meet only one stays.
fn releases() -> impl Strategy<Value = Vec<Value>> {
    (proptest::collection::vec(release(), 0..20), 0..8_u32).prop_map(|(mut releases, clashes)| {
        if clashes > 0 {
            let mut seen = std::collections::BTreeSet::new();
            releases.retain(|release| {
                let (name, host) = (release["release"].to_string(), release["hosts"][0].to_string());
                seen.insert(name) && seen.insert(host)
            });
        }
        releases
    })
}

/// What becomes of the releases from one document to the next.
#[derive(Clone, Debug)]
enum Change {
    Replace(prop::sample::Index, Value),
    Remove(prop::sample::Index),
    Insert(prop::sample::Index, Value),
    Swap(prop::sample::Index, prop::sample::Index),
    All(Vec<Value>),
}

fn change() -> impl Strategy<Value = Change> {
    let place = any::<prop::sample::Index>;
    prop_oneof![
        3 => (place(), release()).prop_map(|(at, release)| Change::Replace(at, release)),
        2 => place().prop_map(Change::Remove),
        2 => (place(), release()).prop_map(|(at, release)| Change::Insert(at, release)),
        1 => (place(), place()).prop_map(|(a, b)| Change::Swap(a, b)),
        1 => releases().prop_map(Change::All),
    ]
}

fn apply(releases: &mut Vec<Value>, change: Change) {
    let size = releases.len();
    match change {
        Change::Insert(at, release) => releases.insert(at.index(size + 1), release),
        Change::All(all) => *releases = all,
        _ if size == 0 => {}
        Change::Replace(at, release) => releases[at.index(size)] = release,
        Change::Remove(at) => drop(releases.remove(at.index(size))),
        Change::Swap(a, b) => releases.swap(a.index(size), b.index(size)),
    }
}

/// The text of a document with these releases; its members in another order for each form.
fn text(releases: &[Value], form: u32) -> String {
    let mut document = json!({"version": 1, "splits": releases});
    let compiled = SplitDocument::parse(document.to_string().as_bytes()).unwrap();
    let automata: Value = match compiled.clone().embed_automata() {
        Ok(_) => {
            let mut compiled = compiled;
            compiled.embed_automata().unwrap();
            serde_json::to_value(&compiled.automata).unwrap()
        }
        Err(_) => json!({}),
    };
    let splits = serde_json::to_string(releases).unwrap();
    match form {
        0 => format!(r#"{{"version":1,"automata":{automata},"splits":{splits}}}"#),
        1 => format!(r#" {{ "splits" : {splits} , "automata" : {automata} , "version":1 }} "#),
        2 => format!(r#"{{"automata":{automata},"reportReason":true,"splits":{splits},"version":1}}"#),
        3 => {
            document["automata"] = automata;
            serde_json::to_string_pretty(&document).unwrap()
        }
        4 => json!({"document": text(releases, 1).trim()}).to_string(),
        // Long enough to be packed.
        _ => {
            document["automata"] = automata;
            document["splits"].as_array_mut().unwrap().extend((0..300).map(|number| {
                json!({"release": format!("b/{number}"), "hosts": [format!("b-{number}")], "stable": "v1", "buckets": [["v2", 1000]]})
            }));
            let packed = SplitDocument::parse(document.to_string().as_bytes()).unwrap().to_text();
            assert!(packed.starts_with("H4sI"));
            json!({"document": packed}).to_string()
        }
    }
}

/// Reads a document in small pieces.
fn update(text: &str, previous: Option<Arc<Split>>) -> Result<Split, DocumentError> {
    let mut update = Update::new(text.as_bytes().to_vec(), previous);
    for _ in 0..100_000 {
        if let Some(split) = update.step(50)? {
            return Ok(split);
        }
    }
    panic!("a document is never finished");
}

/// All that can be seen of a split.
fn seen(split: &Split) -> (Vec<String>, Vec<Option<String>>, [bool; 2]) {
    let ports = [None, Some(80), Some(81), Some(82), Some(83)];
    let hosts = (0..60).map(|number| format!("h{number}")).chain((0..40).map(|number| format!("also-{number}")));
    let destinations: Vec<_> = hosts.flat_map(|host| ports.map(|port| (host.clone(), port))).collect();
    let routed =
        destinations.iter().map(|(host, port)| Some(split.release(&Destination::new(host, *port))?.name().to_owned()));
    let settings = [split.report_reason(), split.issues_cookies()];
    (split.releases().map(|release| format!("{release:?}")).collect(), routed.collect(), settings)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_update_gives_what_a_fresh_start_gives(
        mut now in releases(),
        steps in proptest::collection::vec((proptest::collection::vec(change(), 0..4), 0..6_u32), 1..12),
    ) {
        let mut current: Option<Arc<Split>> = None;
        for (changes, form) in steps {
            changes.into_iter().for_each(|change| apply(&mut now, change));
            let text = text(&now, form);
            let fresh = Split::parse(text.as_bytes());
            match (update(&text, current.clone()), fresh) {
                (Ok(updated), Ok(fresh)) => {
                    prop_assert_eq!(seen(&updated), seen(&fresh));
                    current = Some(Arc::new(updated));
                }
                (Err(updated), Err(fresh)) => prop_assert_eq!(updated, fresh),
                (updated, fresh) => prop_assert!(false, "{:?} and {:?}", updated.err(), fresh.err()),
            }
        }
    }

    #[test]
    fn a_damaged_document_has_the_same_error_either_way(now in releases(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let good = text(&now, 0);
        let previous = Split::parse(good.as_bytes()).ok().map(Arc::new);
        let mut bytes = good.into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let updated = Update::new(bytes.clone(), previous).step(usize::MAX).map(|split| split.map(|split| seen(&split)));
        prop_assert_eq!(updated, Split::parse(&bytes).map(|split| Some(seen(&split))));
    }
}

/// The engine reads documents by hand-written code, everybody else by what serde derives.
#[test]
fn what_serde_writes_the_engine_reads() {
    let mut read = 0;
    for case in corpus::load().unwrap() {
        let document = case.compile().unwrap().document;
        let text = document.to_json();
        let derived: SplitDocument = serde_json::from_str(&text).unwrap();
        assert_eq!(document, derived, "{}", case.name);
        // The members stand in another order here.
        let sorted = serde_json::to_string_pretty(&serde_json::to_value(&document).unwrap()).unwrap();
        let answers = |split: &Split| {
            let asked = case.requests.iter().map(|asked| asked.complete(&case.compile().unwrap()).unwrap());
            let requests = asked.map(|(to, headers)| {
                let request = headers.iter().fold(Request::new(), |request, (name, value)| {
                    request.header(std::str::from_utf8(name).unwrap(), value)
                });
                split.decide(&Destination::parse(&to), &request).summary()
            });
            requests.collect::<Vec<_>>()
        };
        let (written, sorted) = (Split::parse(text.as_bytes()).unwrap(), Split::parse(sorted.as_bytes()).unwrap());
        assert_eq!(answers(&written), answers(&sorted), "{}", case.name);
        read += 1;
    }
    assert!(read > 60, "{read}");
}
