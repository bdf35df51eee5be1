//! A document as one text, plain and packed, in the built filter.
#![cfg(test)]

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use serin_config::SplitDocument;
use serin_module::REQUEST_FILTER;
use serin_tests::host::{Host, Input};
use serin_tests::names::{self, names};

/// So many releases, of which the last one has this number of buckets.
fn document(releases: usize, buckets: u32) -> SplitDocument {
    let split = |number: usize| {
        let (namespace, name) = (format!("team-{}", number / 50), format!("svc-{number}"));
        let buckets = if number + 1 == releases { buckets } else { 50_000 };
        json!({"release": format!("{namespace}/{name}"), "hosts": [format!("{name}.{namespace}.svc.cluster.local")], "ports": [9080],
            "stable": "v1", "buckets": [["v2", buckets]], "sticky": {"by": [{"cookie": "user"}]}})
    };
    let splits: Vec<Value> = (0..releases).map(split).collect();
    SplitDocument::parse(json!({"version": 1, "splits": splits}).to_string().as_bytes()).unwrap()
}

fn enveloped(text: &str) -> Vec<u8> {
    json!({ "document": text }).to_string().into_bytes()
}

fn host() -> Host {
    Host::load(REQUEST_FILTER).unwrap()
}

/// The version that a request to the last of so many releases gets.
fn version(host: &mut Host, releases: usize) -> String {
    let last = releases - 1;
    let header = |name: &str, value: &str| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
    let headers = vec![header(":method", "GET"), header(":path", "/"), header("cookie", "user=ann")];
    let cluster = format!("outbound|9080||svc-{last}.team-{}.svc.cluster.local", last / 50).into_bytes();
    let exchange = host.request(Input { headers, properties: [("xds.cluster_name".to_owned(), cluster)].into() }).unwrap();
    let value = exchange.request.into_iter().find(|(name, _)| name == b"x-serin-version").unwrap().1;
    String::from_utf8(value).unwrap()
}

/// Reads a document to its end; answers with the fuel of each piece.
fn read(host: &mut Host, configuration: &[u8]) -> Vec<u64> {
    assert!(host.configure(configuration).unwrap());
    let mut pieces = vec![host.configuration_fuel()];
    while host.tick_milliseconds() == 1 {
        host.tick().unwrap();
        pieces.push(host.configuration_fuel());
    }
    pieces
}

#[test]
fn a_text_of_either_form_decides_as_the_document_does() {
    let document = document(300, 100_000);
    let json = document.to_json();
    let packed = document.to_text();
    assert!(packed.starts_with("H4sI") && packed.len() * 8 < json.len(), "{} of {}", packed.len(), json.len());
    for configuration in [json.clone().into_bytes(), enveloped(&json), enveloped(&packed)] {
        let mut host = host();
        read(&mut host, &configuration);
        assert_eq!(version(&mut host, 300), "v2");
        let adopted = format!("adopted a split document of 300 releases, {} bytes", json.len());
        assert!(host.logs().iter().any(|line| line.contains(&adopted)), "{:?}", host.logs());
    }
    // What is short stays readable.
    let short = self::document(20, 100_000);
    assert_eq!(short.to_text(), short.to_json());
}

#[test]
fn ten_thousand_releases_of_teams_are_few_bytes() {
    let names = names(200, 50);
    let hosts: BTreeSet<String> = names.iter().map(names::Name::host).collect();
    let document = |buckets| SplitDocument::parse(names::document(&names, 5_000, buckets).to_string().as_bytes()).unwrap();
    let (json, packed) = (document(50_000).to_json(), document(50_000).to_text());
    println!("{} bytes, {} packed", json.len(), packed.len());
    assert_eq!(hosts.len(), 10_000);
    // What istiod sends to each sidecar for a change.
    assert!(json.len() > 1_500_000 && packed.len() <= 330_000, "{} of {}", packed.len(), json.len());
    let mut host = host();
    read(&mut host, &enveloped(&packed));
    let pieces = read(&mut host, &enveloped(&document(60_000).to_text()));
    let longest = pieces.iter().max().unwrap();
    println!("{} pieces, fuel {longest} at most", pieces.len());
    // A piece of a plain document has as much, and holds a worker up for a millisecond.
    assert!(*longest < 14_000_000, "{pieces:?}");
    let adopted = format!("adopted a split document of 10000 releases, {} bytes", json.len());
    assert_eq!(host.logs().iter().filter(|line| line.contains(&adopted)).count(), 2, "{:?}", host.logs());
}

#[test]
fn forty_thousand_releases_are_inflated_in_pieces_beside_requests() {
    const RELEASES: usize = 40_000;
    let mut host = host();
    let first = read(&mut host, &enveloped(&document(RELEASES, 1).to_text()));
    assert_eq!((first.len(), version(&mut host, RELEASES)), (1, "v1".to_owned()));
    let changed = document(RELEASES, 100_000);
    let configuration = enveloped(&changed.to_text());
    assert!(host.configure(&configuration).unwrap());
    let mut pieces = vec![host.configuration_fuel()];
    while host.tick_milliseconds() == 1 {
        assert_eq!(version(&mut host, RELEASES), "v1", "the one before decides");
        host.tick().unwrap();
        pieces.push(host.configuration_fuel());
    }
    assert_eq!(version(&mut host, RELEASES), "v2");
    let (longest, all) = (pieces.iter().max().unwrap(), pieces.iter().sum::<u64>());
    println!("{} pieces, fuel {longest} at most, {all} in all, {} to read all anew", pieces.len(), first[0]);
    // A change of one release costs a small part of reading all, and a piece of it little.
    assert!(all < first[0] / 4 && *longest < first[0] / 100, "{longest} and {all} of {}", first[0]);
    let mebibytes = host.memory_bytes() >> 20;
    println!("{mebibytes} MiB");
    assert!(mebibytes <= 64, "{mebibytes} MiB");
}

#[test]
fn a_bomb_is_refused_and_the_last_good_document_decides() {
    let mut host = host();
    read(&mut host, &enveloped(&document(20, 100_000).to_text()));
    // 64 MiB of blanks, in 64 KiB: once as it is, and once with a size that it does not have.
    let bomb = |said: u32| {
        let mut document = document(20, 0);
        document.splits[0].release = format!("a/{}", " ".repeat(64 << 20));
        let mut bytes = STANDARD.decode(document.to_text()).unwrap();
        assert!(bytes.len() < 100_000);
        if said > 0 {
            let at = bytes.len() - 4;
            bytes[at..].copy_from_slice(&said.to_le_bytes());
        }
        enveloped(&STANDARD.encode(bytes))
    };
    let before = host.memory_bytes();
    for said in [0, 1000, 1 << 20] {
        read(&mut host, &bomb(said));
        let refused = "document: it inflates to more than it says, or to more than 16 MiB";
        assert!(host.logs().last().unwrap().contains(refused), "{:?}", host.logs().last());
        assert_eq!(version(&mut host, 20), "v2");
    }
    assert!(host.memory_bytes() - before <= 3 << 20, "{} and {before}", host.memory_bytes());
    assert_eq!(host.metrics()["serin.result=.=rejected;.;documents_total"], 3);
    // What is told is the document that decides.
    let decides = serin_config::checksum(&enveloped(&document(20, 100_000).to_text())).unwrap();
    assert_eq!(host.metrics()["serin.document_checksum"], i64::from(decides));
    for damaged in ["", "H4sI", "AAAA", "H4sIAAAAAAAAAA==", "\u{1f600}"] {
        read(&mut host, &enveloped(damaged));
        let refused = "document: neither JSON nor gzip in base64; the last good one keeps deciding";
        assert!(host.logs().last().unwrap().contains(refused), "{:?}", host.logs().last());
    }
    assert_eq!(version(&mut host, 20), "v2");
}
