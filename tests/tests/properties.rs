//! What holds for every input.
#![cfg(test)]

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;
use serin_config::{Algorithm, BUCKETS, BucketMap, Destination, Request, Split, SplitDocument, Weight};
use serin_module::FILTER;
use serin_tests::corpus;
use serin_tests::host::{Host, Input};

/// Versions with weights that sum to at most everything.
fn weights() -> impl Strategy<Value = Vec<(String, Weight)>> {
    let cuts = proptest::collection::vec(0..=BUCKETS, 1..8);
    (cuts, any::<prop::sample::Index>()).prop_map(|(mut cuts, start)| {
        cuts.sort_unstable();
        let first = cuts.iter().scan(0, |last, &cut| Some(cut - std::mem::replace(last, cut)));
        let shares: Vec<u32> = first.collect();
        // Versions differ between two of these: some come, some go, some change places.
        let offset = start.index(3);
        let named = shares
            .into_iter()
            .enumerate()
            .map(|(at, share)| (format!("v{}", at + 2 + offset), Weight::from_buckets(share).unwrap()));
        named.collect()
    })
}

fn allocate(map: &BucketMap, weights: &[(String, Weight)]) -> BucketMap {
    map.allocate(&weights.iter().map(|(name, weight)| (name.as_str(), *weight)).collect::<Vec<_>>())
}

/// The owner of each bucket; `None` is stable.
fn owners(map: &BucketMap) -> Vec<Option<String>> {
    let runs = map.runs().iter();
    let mut owners: Vec<_> = runs.flat_map(|run| std::iter::repeat_n(run.version.clone(), run.buckets as usize)).collect();
    owners.resize(BUCKETS as usize, None);
    owners
}

fn shares(owners: &[Option<String>]) -> BTreeMap<Option<String>, i64> {
    let mut shares = BTreeMap::new();
    for owner in owners {
        *shares.entry(owner.clone()).or_default() += 1;
    }
    shares
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_version_holds_exactly_its_share(steps in proptest::collection::vec(weights(), 1..6)) {
        let mut map = BucketMap::default();
        for weights in steps {
            map = allocate(&map, &weights);
            let shares = shares(&owners(&map));
            for (name, weight) in weights {
                prop_assert_eq!(shares.get(&Some(name)).copied().unwrap_or_default(), i64::from(weight.buckets()));
            }
        }
    }

    #[test]
    fn a_change_moves_only_the_difference(before in weights(), between in weights(), after in weights()) {
        let before = allocate(&allocate(&BucketMap::default(), &before), &between);
        let after = owners(&allocate(&before, &after));
        let before = owners(&before);
        let (old, new) = (shares(&before), shares(&after));
        let grown = |owner: &Option<String>| new.get(owner).copied().unwrap_or_default() - old.get(owner).copied().unwrap_or_default();
        let needed: i64 = new.keys().map(grown).filter(|grown| *grown > 0).sum();
        let moved: Vec<_> = before.iter().zip(&after).filter(|(was, is)| was != is).collect();
        prop_assert_eq!(i64::try_from(moved.len()).unwrap(), needed);
        for (was, is) in moved {
            prop_assert!(grown(was) < 0 && grown(is) > 0, "{:?} -> {:?}", was, is);
        }
    }

    #[test]
    fn equal_maps_are_equal_values(before in weights(), after in weights()) {
        let map = allocate(&allocate(&BucketMap::default(), &before), &after);
        prop_assert_eq!(allocate(&map, &after), map.clone());
        let read: BucketMap = serde_json::from_str(&serde_json::to_string(&map).unwrap()).unwrap();
        prop_assert_eq!(read, map);
    }

    #[test]
    fn a_key_that_is_in_stays_in_while_the_weight_grows(key in ".{1,20}", low in 0..=BUCKETS, high in 0..=BUCKETS) {
        let (low, high) = (low.min(high), low.max(high));
        let weight = |buckets| [("v2", Weight::from_buckets(buckets).unwrap())];
        let small = BucketMap::default().allocate(&weight(low));
        let large = small.allocate(&weight(high));
        let bucket = Algorithm::Serin.bucket(b"salt", key.as_bytes()) as usize;
        prop_assert!(owners(&small)[bucket].is_none() || owners(&large)[bucket].is_some());
    }

    #[test]
    fn any_bytes_are_a_document_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Split::parse(&bytes);
    }
}

fn document() -> SplitDocument {
    let text = json!({"version": 1, "reportReason": true, "splits": [{"release": "a/b", "hosts": ["b"], "stable": "v1",
        "buckets": [["v2", 12_345], ["v1", 20_000], ["v3", 30_000]], "sticky": {"by": [{"header": "x-key"}]}}]});
    SplitDocument::parse(text.to_string().as_bytes()).unwrap()
}

#[test]
fn a_key_has_the_same_bucket_natively_and_in_wasm() {
    let document = document();
    let split = Split::compile(&document).unwrap();
    let mut host = Host::load(FILTER).unwrap();
    assert!(host.configure(document.to_json().as_bytes()).unwrap());
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 2000,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let host = std::cell::RefCell::new(host);
    let run = runner.run(&proptest::collection::vec(any::<u8>(), 0..80), |key| {
        let request = Request::new().header("x-key", &key);
        let expected = split.decide(&Destination::parse("b:80"), &request).summary();
        let mut input = Input { headers: vec![(b"x-key".to_vec(), key)], ..Input::default() };
        input.properties.insert("xds.cluster_name".into(), b"outbound|80||b".to_vec());
        let exchange = host.borrow_mut().request(input).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(
            exchange.filter_state.get("serin_reason").map(|text| String::from_utf8_lossy(text).into_owned()),
            Some(expected)
        );
        Ok(())
    });
    run.unwrap();
}

#[test]
fn what_is_explained_is_what_is_decided() {
    let header = prop_oneof![
        Just(":path"),
        Just(":method"),
        Just("cookie"),
        Just("user-agent"),
        Just("authorization"),
        Just("baggage"),
        Just("x-team"),
        Just("x-request-id"),
    ];
    let value = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..60),
        "(user|beta|ring)=[a-z0-9\"]{0,4}(; ?(user|sid)=[a-z]{0,3})?".prop_map(String::into_bytes),
        "/(api|reviews)?(/[a-z]{0,2})?(\\?(v|uid)=[0-9%.]{0,4})?".prop_map(String::into_bytes),
    ];
    let requests = proptest::collection::vec((header, value), 0..6);
    for case in corpus::load().unwrap() {
        let split = case.compile().unwrap().split;
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
            cases: 100,
            failure_persistence: None,
            ..ProptestConfig::default()
        });
        let run = runner.run(&requests, |headers| {
            let request = headers.into_iter().fold(Request::new(), |request, (name, value)| request.header(name, value));
            for release in split.releases() {
                let authority = release.authority();
                let destination = Destination::parse(&authority);
                let decision = split.decide(&destination, &request);
                prop_assert_eq!(&split.explain(&destination, &request).decision, &decision);
                prop_assert!(decision.version.is_some());
            }
            Ok(())
        });
        run.unwrap_or_else(|error| panic!("{}: {error}", case.name));
    }
}

/// JSON of a few levels, with texts of any characters.
fn json_value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        (-1e9..1e9_f64).prop_map(Into::into),
        any::<String>().prop_map(Into::into),
        "(true|null|1|~|no|0x1|- a|# b|a: b|'|\"|<<|)".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            // A field `<<` means something to YAML.
            proptest::collection::btree_map("[^<\\pC]{0,8}", inner, 0..6)
                .prop_map(|fields| serde_json::Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn json_is_read_as_json_is(value in json_value(), pretty in any::<bool>()) {
        let value = json!({ "value": value });
        let text = if pretty { serde_json::to_string_pretty(&value).unwrap() } else { value.to_string() };
        let documents = serin_release::yaml::documents(&text).unwrap();
        let read: serde_json::Value = serin_release::yaml::from_node(&documents[0], "").unwrap();
        prop_assert_eq!(read, value);
    }
}
