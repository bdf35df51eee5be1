//! The built filter's life beyond a single decision: documents come and go, the VM stays.
#![cfg(test)]

use serde_json::json;
use serin_module::{FILTER, REQUEST_FILTER};
use serin_tests::host::{Exchange, Host, Input};

fn document(weight: u32) -> Vec<u8> {
    json!({"version": 1, "splits": [{"release": "shop/cart", "hosts": ["cart"], "stable": "v1", "buckets": [["v2", weight]],
        "sticky": {"by": [{"cookie": "user"}], "otherwise": {"issueCookie": {"name": "sid", "maxAge": 60}}}}]})
    .to_string()
    .into_bytes()
}

fn host() -> Host {
    Host::load(FILTER).unwrap()
}

fn ask(host: &mut Host, headers: &[(&str, &[u8])]) -> Exchange {
    let headers = headers.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.to_vec())).collect();
    host.request(Input { headers, ..Input::default() }).unwrap()
}

fn version(exchange: &Exchange) -> Option<&str> {
    let found = exchange.request.iter().find(|(name, _)| name == b"x-serin-version");
    found.map(|(_, value)| std::str::from_utf8(value).unwrap())
}

const CART: [(&str, &[u8]); 3] = [(":authority", b"cart:80"), ("cookie", b"user=ann"), ("x-serin-version", b"spoofed")];

#[test]
fn without_a_document_requests_take_the_default_route() {
    let mut host = host();
    assert!(host.configure(b"").unwrap());
    assert_eq!(version(&ask(&mut host, &CART)), None);
    assert!(host.configure(b"{").unwrap());
    assert_eq!(version(&ask(&mut host, &CART)), None);
    assert!(host.logs().last().unwrap().contains("there is none yet"), "{:?}", host.logs());
}

#[test]
fn a_bad_document_keeps_the_last_good_one() {
    let mut host = host();
    assert!(host.configure(&document(100_000)).unwrap());
    let bad = [
        (&b"\xff"[..], "not JSON, at line 1 column 1"),
        (br#"{"version":2,"splits":[],"more":1}"#, "version 2 of the document is not known"),
        (br#"{"version":1,"splits":[],"more":1}"#, "unknown field `more`"),
        (br#"{"version":1,"splits":[{"release":"a/b","hosts":["b"],"stable":"v 1"}]}"#, "splits[0].stable: `v 1` is not a version; the last good one"),
        (br#"{"version":1,"splits":[{"release":"a/b","hosts":["b"],"stable":"v1","rules":[{"name":"r","when":[{"header":{"name":"x","regex":"a"}}],"version":"v2"}]}]}"#,
            "splits[0].rules[0].when[0].header.regex: the pattern `a` has no automaton; pass the document through `serin compile`"),
    ];
    for (text, cause) in bad {
        assert!(host.configure(text).unwrap(), "the filter must never answer false");
        assert!(host.logs().last().unwrap().contains(cause), "{:?}", host.logs().last());
        assert_eq!(version(&ask(&mut host, &CART)), Some("v2"));
    }
    let rejected = host.metrics().get("serin.result=.=rejected;.;documents_total");
    assert_eq!(rejected, Some(&5));
    assert!(host.configure(&document(1)).unwrap());
    assert_eq!(version(&ask(&mut host, &CART)), Some("v1"));
}

#[test]
fn plugins_that_share_a_vm_do_not_share_a_document() {
    let mut host = host();
    assert!(host.configure(&document(100_000)).unwrap());
    host.plugin("another");
    assert!(host.configure(b"{").unwrap());
    assert_eq!(version(&ask(&mut host, &CART)), None);
    assert!(host.configure(&document(1)).unwrap());
    assert_eq!(version(&ask(&mut host, &CART)), Some("v1"));
    host.plugin("serin");
    assert_eq!(version(&ask(&mut host, &CART)), Some("v2"));
}

#[test]
fn an_identity_is_issued_once_and_decides_from_the_first_request() {
    let mut host = host();
    assert!(host.configure(&document(50_000)).unwrap());
    let mut seen = std::collections::BTreeSet::new();
    for id in 0..50 {
        let id = format!("request-{id}");
        let first = ask(&mut host, &[(":authority", b"cart"), ("x-request-id", id.as_bytes())]);
        let cookie = String::from_utf8(first.response[0].1.clone()).unwrap();
        let (pair, attributes) = cookie.split_once(';').unwrap();
        assert_eq!(attributes, " Path=/; Max-Age=60");
        let next = ask(&mut host, &[(":authority", b"cart"), ("cookie", pair.as_bytes()), ("x-request-id", b"another")]);
        assert_eq!(version(&next), version(&first));
        assert_eq!(next.response, []);
        seen.insert(version(&first).unwrap().to_owned());
    }
    assert_eq!(seen.len(), 2);
}

#[test]
fn no_identity_on_responses_that_others_may_keep() {
    let mut host = host();
    assert!(host.configure(&document(50_000)).unwrap());
    let mut issued = |response: &[(&str, &[u8])]| {
        let headers = [(":authority", "cart"), ("x-request-id", "1")];
        let bytes = |(name, value): (&str, &[u8])| (name.as_bytes().to_vec(), value.to_vec());
        let headers = headers.map(|(name, value)| bytes((name, value.as_bytes()))).to_vec();
        let response = response.iter().copied().map(bytes).collect::<Vec<_>>();
        let before = response.len();
        let exchange = host.exchange(Input { headers, ..Input::default() }, response.clone()).unwrap();
        assert_eq!(exchange.response[..before], response);
        exchange.response[before..].iter().any(|(name, value)| name == b"set-cookie" && value.starts_with(b"sid="))
    };
    assert!(issued(&[(":status", b"200"), ("cache-control", b"private, max-age=60"), ("set-cookie", b"a=1")]));
    assert!(issued(&[(":status", b"404"), ("cache-control", b"max-age=60")]));
    assert!(issued(&[(":status", b"200"), ("cache-control", b"\xff\xfe")]));
    for bad in [
        &[(":status", &b"304"[..])][..],
        &[(":status", b"503"), ("cache-control", b"private")],
        &[(":status", b"200"), ("cache-control", b"public, max-age=60")],
        &[(":status", b"200"), ("cache-control", b"max-age=60"), ("cache-control", b"s-maxage=60")],
    ] {
        assert!(!issued(bad), "{bad:?}");
    }
    // The next response that may carry it does.
    assert!(issued(&[(":status", b"200")]));
}

#[test]
fn decisions_are_counted_with_the_tick() {
    let mut host = host();
    assert!(host.configure(&document(100_000)).unwrap());
    assert_eq!(host.tick_milliseconds(), 1000);
    for _ in 0..3 {
        ask(&mut host, &CART);
    }
    ask(&mut host, &[(":authority", b"nobody")]);
    let decisions = |host: &Host| {
        host.metrics().iter().filter(|(name, _)| name.ends_with("decisions_total")).map(|(_, n)| *n).sum::<i64>()
    };
    assert_eq!(decisions(&host), 0);
    host.tick().unwrap();
    host.tick().unwrap();
    assert_eq!(host.metrics()["serin.release=.=shop/cart;.;version=.=v2;.;reason=.=weight;.;decisions_total"], 3);
    assert_eq!(decisions(&host), 3);
    // A new document does not lose what was not flushed.
    ask(&mut host, &CART);
    assert!(host.configure(&document(1)).unwrap());
    assert_eq!(decisions(&host), 4);
}

#[test]
fn requests_and_documents_leave_no_memory_behind() {
    let mut host = host();
    for _ in 0..50 {
        assert!(host.configure(&document(50_000)).unwrap());
    }
    for _ in 0..2_000 {
        ask(&mut host, &CART);
    }
    for weight in [1, 100_000] {
        assert!(host.configure(&document(weight)).unwrap());
        ask(&mut host, &CART);
        host.tick().unwrap();
    }
    let before = (host.memory_bytes(), host.metric_definitions());
    for weight in 1..500 {
        assert!(host.configure(&document(weight)).unwrap());
    }
    for request in 0..20_000 {
        ask(&mut host, &CART);
        if request % 100 == 0 {
            host.tick().unwrap();
        }
    }
    host.tick().unwrap();
    assert_eq!((host.memory_bytes(), host.metric_definitions()), before);
}

#[test]
fn streams_that_end_without_a_word_leave_no_memory_behind() {
    let mut host = host();
    assert!(host.configure(&document(50_000)).unwrap());
    // Visitors who are issued an identity that no response takes along.
    let mut visit = |number: u32| {
        let headers = [(":authority", "cart:80".to_owned()), ("x-request-id", number.to_string())];
        let headers = headers.map(|(name, value)| (name.as_bytes().to_vec(), value.into_bytes())).to_vec();
        host.abandoned(Input { headers, ..Input::default() }).unwrap();
        host.memory_bytes()
    };
    (0..2_000).for_each(|number| {
        visit(number);
    });
    let before = visit(2_000);
    (2_001..20_000).for_each(|number| assert_eq!(visit(number), before));
}

#[test]
fn who_sees_no_responses_issues_no_cookies() {
    let mut host = Host::load(REQUEST_FILTER).unwrap();
    let issues = String::from_utf8(document(100_000)).unwrap();
    let plain = issues.replace(r#""otherwise":{"issueCookie":{"maxAge":60,"name":"sid"}}"#, r#""otherwise":"stable""#);
    assert_ne!(plain, issues);
    assert!(host.configure(plain.as_bytes()).unwrap());
    assert!(host.configure(issues.as_bytes()).unwrap(), "the filter must never answer false");
    let log = host.logs().last().unwrap();
    assert!(log.contains("a release issues a cookie, and this module sees no responses; use serin_filter.wasm"), "{log}");
    assert!(log.contains("the last good one keeps deciding"), "{log}");
    let known = ask(&mut host, &CART);
    assert_eq!((version(&known), known.entries.get("proxy_on_response_headers")), (Some("v2"), None));
    assert_eq!(version(&ask(&mut host, &[(":authority", b"cart:80"), ("x-request-id", b"1")])), Some("v1"));
    // An issuing rule counts too, and a release that leaves takes its cookies with it.
    let rule = r#""rules":[{"name":"r","when":[{"path":{"exact":"/"}}],"buckets":[["v2",1]],"sticky":{"by":[{"cookie":"u"}],"otherwise":{"issueCookie":{"name":"u"}}}}]"#;
    let by_rule =
        plain.replace(r#""splits":["#, &format!(r#""splits":[{{"release":"a/b","hosts":["b"],"stable":"v1",{rule}}},"#));
    assert!(host.configure(by_rule.as_bytes()).unwrap());
    assert!(host.logs().last().unwrap().contains("a release issues a cookie"), "{:?}", host.logs().last());
    assert!(host.configure(plain.replace("v2", "v3").as_bytes()).unwrap());
    assert_eq!(version(&ask(&mut host, &CART)), Some("v3"));
}
