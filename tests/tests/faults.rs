//! What is wrong with a document: one change to a good one, and the whole message.
#![cfg(test)]

use serde_json::{Value, json};
use serin_config::{Split, SplitDocument};

/// A document that uses all that there is.
fn good() -> Value {
    json!({"version": 1, "routingHeader": "x-version", "reportReason": true, "automata": {}, "splits": [
        {"release": "a/other", "hosts": ["other", "also"], "ports": [80], "stable": "v1"},
        {"release": "a/b", "hosts": ["b.a.svc", "[::1]"], "ports": [80, 81], "stable": "v1", "takeover": "v3",
            "buckets": [["v2", 10_000], ["v3", 20_000]],
            "sticky": {
                "by": [{"cookie": "user"}, {"header": "X-User"}, {"query": "uid"}, {"jwtClaim": {"claim": "sub", "header": "x-token"}},
                    {"baggage": "user"}, {"sourceAddress": {"ipv4Prefix": 24, "ipv6Prefix": 48}}],
                "otherwise": {"issueCookie": {"name": "id", "maxAge": 60, "path": "/", "domain": "b.org", "sameSite": "Lax",
                    "secure": true, "httpOnly": true}},
                "cohort": "together", "algorithm": "serin"},
            "rules": [
                {"name": "first", "version": "v2", "when": [
                    {"header": {"name": "x-a", "exact": "1", "ignoreCase": true}}, {"cookie": {"name": "c", "prefix": "1"}},
                    {"query": {"name": "q", "in": ["1", "2"]}}, {"path": {"pathPrefix": "/api"}}, {"method": {"suffix": "T"}},
                    {"authority": {"contains": "x"}}, {"os": {"in": ["ios", "linux"]}}, {"sourceAddress": {"in": ["10.0.0.0/8", "::1"]}},
                    {"not": {"os": {"exact": "windows"}}},
                    {"anyOf": [{"path": {"present": true}}, {"not": {"header": {"name": "x-b", "present": false}}}]}]},
                {"name": "second", "buckets": [["v2", 5]], "sticky": {"by": [{"cookie": "user"}], "salt": "s", "algorithm": "flagd"},
                    "when": [{"path": {"regex": "/x"}}]}]}]})
}

/// What is wrong with the document when one place of it is another.
fn wrong(place: &str, value: Value) -> String {
    let mut document = good();
    let (parent, name) = place.rsplit_once('/').unwrap();
    match document.pointer_mut(parent).unwrap() {
        Value::Object(members) => drop(members.insert(name.to_owned(), value)),
        Value::Array(items) => items[name.parse::<usize>().unwrap()] = value,
        other => panic!("nothing lies in {other}"),
    }
    let told = Split::parse(document.to_string().as_bytes()).map(|_| ()).unwrap_err().to_string();
    match serde_json::from_value::<SplitDocument>(document.clone()) {
        // What the shapes allow has the same error where it is there as data.
        Ok(data) if data.version == 1 => assert_eq!(Split::compile(&data).map(|_| ()).unwrap_err().to_string(), told),
        Ok(_) => {}
        Err(_) => assert_eq!(SplitDocument::parse(document.to_string().as_bytes()).unwrap_err().to_string(), told),
    }
    told
}

#[test]
fn the_good_document_is_good() {
    let text = good().to_string();
    let (parsed, data) = (Split::parse(text.as_bytes()).unwrap(), SplitDocument::parse(text.as_bytes()).unwrap());
    let compiled = Split::compile(&data).unwrap();
    assert_eq!((parsed.len(), compiled.len()), (2, 2));
    assert_eq!((parsed.routing_header(), compiled.routing_header()), ("x-version", "x-version"));
}

#[test]
fn faults_of_the_document() {
    for (place, value, expected) in [
        (
            "/version",
            json!(2),
            "version: version 2 of the document is not known; upgrade Serin first, since this one reads version 1",
        ),
        ("/version", json!("1"), "version: a text where a whole number belongs; write a whole number"),
        ("/version", json!(1.0), "version: a number where a whole number belongs; write a whole number"),
        ("/routingHeader", json!("a b"), "routingHeader: `a b` is not a header name; use letters, digits and `-`"),
        ("/reportReason", json!(1), "reportReason: a number where a boolean belongs; write a boolean"),
        ("/reportReason", json!(null), "reportReason: null where a boolean belongs; write a boolean"),
        ("/automata", json!([]), "automata: a list where an object belongs; write an object"),
        ("/automata", json!({"a": 1}), "automata.a: a number where a text belongs; write a text"),
        ("/splits", json!({}), "splits: an object where a list belongs; write a list"),
        ("/splits", json!(null), "splits: null where a list belongs; write a list"),
        (
            "/more",
            json!(1),
            "more: unknown field `more`; use one of `version`, `routingHeader`, `reportReason`, `automata`, `splits`",
        ),
        ("/splits/0", json!([1]), "splits[0]: a list where an object belongs; write an object"),
        (
            "/splits/1/release",
            json!("a/other"),
            "splits[1].release: `a/other` already has an entry; put all of a release into one",
        ),
        (
            "/splits/1/hosts/0",
            json!("ALSO."),
            "splits[1].hosts[0]: `ALSO.` is already routed by `a/other`; let one release have a host and port",
        ),
    ] {
        assert_eq!(wrong(place, value), expected, "{place}");
    }
    let missing = |text: &str| Split::parse(text.as_bytes()).map(|_| ()).unwrap_err().to_string();
    assert_eq!(missing("{}"), "missing field `version`; add it");
    assert_eq!(missing(r#"{"version":1}"#), "missing field `splits`; add it");
    assert_eq!(missing(r#"{"version":1,"version":1,"splits":[]}"#), "version: duplicate field `version`; keep one");
    assert_eq!(missing(r#"{"version":1,"splits":[],"splits":[]}"#), "splits: duplicate field `splits`; keep one");
    assert_eq!(missing("[]"), "the document is not an object; write an object");
    assert_eq!(
        missing(r#"{"version":1,"splits":[{"release":"a/b","release":"a/b"}]}"#),
        "splits[0].release: duplicate field `release`; keep one"
    );
    assert_eq!(missing(r#"{"version":1,"#), "not JSON: EOF while parsing a value at line 1 column 13; correct it there");
}

#[test]
fn faults_of_a_release() {
    for (place, value, expected) in [
        (
            "release",
            json!("a b"),
            "release: `a b` is not the name of a release; use NAMESPACE/NAME in printable ASCII without `;`, `\"` and `\\`",
        ),
        (
            "stable",
            json!("v 1"),
            "stable: `v 1` is not a version; use at most 63 letters, digits, `-`, `_` and `.`, a letter or digit at both ends",
        ),
        (
            "takeover",
            json!("-"),
            "takeover: `-` is not a version; use at most 63 letters, digits, `-`, `_` and `.`, a letter or digit at both ends",
        ),
        ("hosts", json!([]), "hosts: there is no host; list at least one, such as `reviews.bookinfo.svc.cluster.local`"),
        ("hosts", json!("b"), "hosts: a text where a list belongs; write a list"),
        ("hosts", json!(null), "hosts: null where a list belongs; write a list"),
        ("hosts/1", json!("b:80"), "hosts[1]: `b:80` is not a host name; write it without scheme, port and path"),
        ("hosts/1", json!(""), "hosts[1]: `` is not a host name; write it without scheme, port and path"),
        ("hosts/1", json!("a|b"), "hosts[1]: `a|b` is not a host name; write it without scheme, port and path"),
        ("hosts/1", json!("a b"), "hosts[1]: `a b` is not a host name; write it without scheme, port and path"),
        ("ports/1", json!(0), "ports[1]: 0 is not a port; use 1 to 65535"),
        ("ports/1", json!(65536), "ports[1]: 65536 is too large; use at most 65535"),
        ("ports/1", json!(-1), "ports[1]: a number where a whole number belongs; write a whole number"),
        ("ports", json!(null), "ports: null where a list belongs; write a list"),
        ("buckets", json!([["v2", 99_999], ["v3", 2]]), "buckets: 100001 buckets in sum are more than 100000; lower a run"),
        (
            "buckets",
            json!([["v2", 4_294_967_295_u32], ["v3", 4_294_967_295_u32]]),
            "buckets: 8589934590 buckets in sum are more than 100000; lower a run",
        ),
        ("buckets/1", json!(["v2", 0]), "buckets[1]: a run of 0 buckets; leave it out"),
        (
            "buckets/1",
            json!(["v 2", 1]),
            "buckets[1]: `v 2` is not a version; use at most 63 letters, digits, `-`, `_` and `.`, a letter or digit at both ends",
        ),
        (
            "buckets/1",
            json!(["v2"]),
            "buckets[1]: a list where a list of version and buckets belongs; write a list of version and buckets",
        ),
        (
            "buckets/1",
            json!(["v2", 1, 1]),
            "buckets[1]: a list where a list of version and buckets belongs; write a list of version and buckets",
        ),
        ("buckets/1", json!(["v2", "1"]), "buckets[1][1]: a text where a whole number belongs; write a whole number"),
        ("buckets/1", json!([2, 1]), "buckets[1][0]: a number where a text belongs; write a text"),
        ("buckets/1", json!(["v2", 4_294_967_296_u64]), "buckets[1][1]: 4294967296 is too large; use at most 4294967295"),
        ("rules", json!({}), "rules: an object where a list belongs; write a list"),
        (
            "more",
            json!(1),
            "more: unknown field `more`; use one of `release`, `hosts`, `ports`, `routingKey`, `stable`, `buckets`, `sticky`, `rules`, `takeover`",
        ),
    ] {
        assert_eq!(wrong(&format!("/splits/1/{place}"), value), format!("splits[1].{expected}"), "{place}");
    }
    assert_eq!(wrong("/splits/1", json!({"release": "a/b", "stable": "v1"})), "splits[1]: missing field `hosts`; add it");
    assert_eq!(wrong("/splits/1", json!({"hosts": ["b"], "stable": "v1"})), "splits[1]: missing field `release`; add it");
    assert_eq!(wrong("/splits/1", json!({"release": "a/b", "hosts": ["b"]})), "splits[1]: missing field `stable`; add it");
}

#[test]
fn faults_of_stickiness() {
    for (place, value, expected) in [
        (
            "by/0",
            json!({"cookies": "a"}),
            "by[0].cookies: unknown key source `cookies`; use one of `cookie`, `header`, `query`, `jwtClaim`, `baggage`, `sourceAddress`",
        ),
        ("by/0", json!({"cookie": "a", "header": "b"}), "by[0]: 2 members where one belongs; write exactly one"),
        ("by/0", json!({}), "by[0]: 0 members where one belongs; write exactly one"),
        ("by/0", json!("cookie"), "by[0]: a text where an object belongs; write an object"),
        (
            "by/0",
            json!({"cookie": " a"}),
            "by[0].cookie: ` a` is not a cookie name; leave out blanks around it, `;` and `=`",
        ),
        (
            "by/0",
            json!({"cookie": "a=b"}),
            "by[0].cookie: `a=b` is not a cookie name; leave out blanks around it, `;` and `=`",
        ),
        ("by/1", json!({"header": ":path"}), "by[1].header: `:path` is not a header name; use letters, digits and `-`"),
        ("by/1", json!({"header": "Host"}), "by[1].header: `host` is not a header to a proxy; use another key source"),
        ("by/2", json!({"query": ""}), "by[2].query: an empty text; write at least one character"),
        ("by/3", json!({"jwtClaim": {"claim": ""}}), "by[3].jwtClaim.claim: an empty text; write at least one character"),
        ("by/3", json!({"jwtClaim": {}}), "by[3].jwtClaim: missing field `claim`; add it"),
        (
            "by/3",
            json!({"jwtClaim": {"claim": "a", "header": "a b"}}),
            "by[3].jwtClaim.header: `a b` is not a header name; use letters, digits and `-`",
        ),
        ("by/4", json!({"baggage": ""}), "by[4].baggage: an empty text; write at least one character"),
        (
            "by/5",
            json!({"sourceAddress": {"ipv4Prefix": 33}}),
            "by[5].sourceAddress.ipv4Prefix: a prefix of 33 bits is longer than the address; use at most 32",
        ),
        (
            "by/5",
            json!({"sourceAddress": {"ipv6Prefix": 129}}),
            "by[5].sourceAddress.ipv6Prefix: a prefix of 129 bits is longer than the address; use at most 128",
        ),
        (
            "by/5",
            json!({"sourceAddress": {"ipv6Prefix": 256}}),
            "by[5].sourceAddress.ipv6Prefix: 256 is too large; use at most 255",
        ),
        ("salt", json!("x"), "cohort: both `salt` and `cohort` are given; keep one, since a cohort is a shared salt"),
        ("cohort", json!(""), "cohort: an empty text; write at least one character"),
        ("algorithm", json!("md5"), "algorithm: unknown word `md5`; use one of `serin`, `flagd`, `unleash`"),
        ("otherwise", json!("never"), "otherwise: unknown word `never`; use one of `stable`, `random`"),
        (
            "otherwise",
            json!({"issue": 1}),
            "otherwise.issue: unknown fallback `issue`; use one of `stable`, `random`, `issueCookie`",
        ),
        ("otherwise", json!(1), "otherwise: a number where an object belongs; write an object"),
        (
            "otherwise/issueCookie/name",
            json!("a b"),
            "otherwise.issueCookie: `a b` is not a name that a cookie can be issued by; use letters, digits and `!#$%&'*+-.^_`|~`",
        ),
        (
            "otherwise/issueCookie/path",
            json!("x"),
            "otherwise.issueCookie: `x` is not a path or domain of a cookie; begin a path with `/`, and use printable ASCII without `;`",
        ),
        (
            "otherwise/issueCookie/domain",
            json!(""),
            "otherwise.issueCookie: `` is not a path or domain of a cookie; begin a path with `/`, and use printable ASCII without `;`",
        ),
        (
            "otherwise/issueCookie",
            json!({"name": "a", "sameSite": "none"}),
            "otherwise.issueCookie: browsers refuse the cookie `a`; set `secure: true`",
        ),
        (
            "otherwise/issueCookie",
            json!({"name": "__Secure-a"}),
            "otherwise.issueCookie: browsers refuse the cookie `__Secure-a`; set `secure: true`",
        ),
        (
            "otherwise/issueCookie/name",
            json!("__Host-a"),
            "otherwise.issueCookie: browsers refuse the cookie `__Host-a` with `domain` or `path`; leave both out",
        ),
        (
            "otherwise/issueCookie/sameSite",
            json!("LAX"),
            "otherwise.issueCookie.sameSite: unknown word `LAX`; use one of `Strict`, `Lax`, `None`, `strict`, `lax`, `none`",
        ),
        (
            "otherwise/issueCookie/maxAge",
            json!("1"),
            "otherwise.issueCookie.maxAge: a text where a whole number belongs; write a whole number",
        ),
    ] {
        assert_eq!(wrong(&format!("/splits/1/sticky/{place}"), value), format!("splits[1].sticky.{expected}"), "{place}");
    }
    assert_eq!(
        wrong("/splits/1/sticky", json!({"by": []})),
        "splits[1].sticky.by: there is no key source; list at least one, or set `otherwise`"
    );
    assert_eq!(
        wrong("/splits/1/sticky", json!({})),
        "splits[1].sticky.by: there is no key source; list at least one, or set `otherwise`"
    );
    assert_eq!(
        wrong("/splits/1/sticky", json!({"salt": "", "otherwise": "random"})),
        "splits[1].sticky.salt: an empty text; write at least one character"
    );
}

#[test]
fn faults_of_a_rule() {
    for (place, value, expected) in [
        ("0/name", json!(""), "[0].name: an empty text; write at least one character"),
        (
            "1/name",
            json!("first"),
            "[1].name: two rules have the name `first`; give each its own, since decisions are reported by it",
        ),
        ("0/when", json!([]), "[0].when: there is no condition; list at least one, or use the base split"),
        ("0/version", json!(null), "[0]: this rule sends nobody anywhere; add `version`, or `buckets` for a share"),
        ("0/buckets", json!([]), "[0]: this rule has both `version` and `buckets`; keep one"),
        ("0/sticky", json!({"by": [{"cookie": "a"}]}), "[0].sticky: `sticky` has no use without `buckets`; leave it out"),
        (
            "0/version",
            json!("v 2"),
            "[0].version: `v 2` is not a version; use at most 63 letters, digits, `-`, `_` and `.`, a letter or digit at both ends",
        ),
        ("1/sticky", json!({}), "[1].sticky.by: there is no key source; list at least one, or set `otherwise`"),
        (
            "1/sticky/algorithm",
            json!("unleash"),
            "[1].buckets[0]: 5 buckets are not whole percents, and Unleash knows only these; use a multiple of 1000",
        ),
        ("1/more", json!(1), "[1].more: unknown field `more`; use one of `name`, `when`, `version`, `buckets`, `sticky`"),
    ] {
        assert_eq!(wrong(&format!("/splits/1/rules/{place}"), value), format!("splits[1].rules{expected}"), "{place}");
    }
}

#[test]
fn faults_of_a_condition() {
    let kinds = "use one of `header`, `cookie`, `query`, `path`, `method`, `authority`, `os`, `sourceAddress`";
    let operators = "`exact`, `prefix`, `suffix`, `contains`, `regex`, `in`, `present`";
    for (condition, expected) in [
        (json!({"headers": {}}), format!(".headers: unknown condition `headers`; {kinds}, `not`, `anyOf`")),
        (json!({"not": {"not": {}}}), format!(".not.not: unknown condition `not`; {kinds}")),
        (json!({"anyOf": [{"anyOf": []}]}), format!(".anyOf[0].anyOf: unknown condition `anyOf`; {kinds}, `not`")),
        (json!({"anyOf": []}), ".anyOf: an empty list matches nothing; write at least one value".to_owned()),
        (json!({"anyOf": [{"path": {"exact": "/"}}, {"not": {"query": {"name": "", "exact": ""}}}]}), ".anyOf[1].not.query.name: an empty text; write at least one character".to_owned()),
        (json!("path"), ": a text where an object belongs; write an object".to_owned()),
        (json!({"header": {"exact": "1"}}), ".header: missing field `name`; add it".to_owned()),
        (json!({"header": {"name": "a b", "exact": "1"}}), ".header.name: `a b` is not a header name; use letters, digits and `-`".to_owned()),
        (json!({"header": {"name": "Host", "exact": "1"}}), ".header.name: `host` is not a header to a proxy; use the condition `authority`".to_owned()),
        (json!({"cookie": {"name": "a;", "exact": "1"}}), ".cookie.name: `a;` is not a cookie name; leave out blanks around it, `;` and `=`".to_owned()),
        (json!({"header": {"name": "a"}}), format!(".header: there is no operator; use one of {operators}")),
        (json!({"path": {}}), format!(".path: there is no operator; use one of `pathPrefix`, {operators}")),
        (json!({"path": {"exact": null}}), format!(".path: there is no operator; use one of `pathPrefix`, {operators}")),
        (json!({"path": {"prefix": "/", "in": ["/"]}}), ".path: one condition has both `prefix` and `in`; write two conditions".to_owned()),
        (json!({"path": {"pathPrefix": "/", "present": true}}), ".path: one condition has both `pathPrefix` and `present`; write two conditions".to_owned()),
        (json!({"method": {"exact": "/", "regex": ""}}), ".method: one condition has both `exact` and `regex`; write two conditions".to_owned()),
        (json!({"path": {"present": true, "ignoreCase": true}}), ".path.ignoreCase: `ignoreCase` does not fit `present`; leave it out".to_owned()),
        (json!({"path": {"in": []}}), ".path.in: an empty list matches nothing; write at least one value".to_owned()),
        (json!({"path": {"in": [1]}}), ".path.in[0]: a number where a text belongs; write a text".to_owned()),
        (json!({"path": {"pathPrefix": "api"}}), ".path.pathPrefix: `api` is not a path prefix; begin it with `/`, and leave out `?` and `#`".to_owned()),
        (json!({"path": {"pathPrefix": "/A?", "ignoreCase": true}}), ".path.pathPrefix: `/A?` is not a path prefix; begin it with `/`, and leave out `?` and `#`".to_owned()),
        (json!({"path": {"name": "a", "exact": ""}}), format!(".path.name: unknown field `name`; use one of `pathPrefix`, {operators}, `ignoreCase`")),
        (json!({"method": {"name": "a", "exact": ""}}), format!(".method.name: unknown field `name`; use one of {operators}, `ignoreCase`")),
        (json!({"header": {"name": "a", "regx": ""}}), format!(".header.regx: unknown field `regx`; use one of `name`, {operators}, `ignoreCase`")),
        (json!({"os": {}}), ".os: there is no operator; use one of `exact`, `in`, `present`".to_owned()),
        (json!({"os": {"exact": "ios", "present": true}}), ".os: one condition has both `exact` and `present`; write two conditions".to_owned()),
        (json!({"os": {"in": ["ios", "beos"]}}), ".os.in[1]: unknown word `beos`; use one of `windows`, `macos`, `linux`, `android`, `ios`".to_owned()),
        (json!({"os": {"in": []}}), ".os.in: an empty list matches nothing; write at least one value".to_owned()),
        (json!({"sourceAddress": {}}), ".sourceAddress: missing field `in`; add it".to_owned()),
        (json!({"sourceAddress": {"in": []}}), ".sourceAddress.in: an empty list matches nothing; write at least one value".to_owned()),
        (json!({"sourceAddress": {"in": ["::1", "10.0.0.0/33"]}}), ".sourceAddress.in[1]: `10.0.0.0/33` is not an address or a network; write one such as `10.1.2.3` or `10.0.0.0/8`".to_owned()),
        (json!({"path": {"regex": "(?=a)"}}), ".path.regex: `(?=a)` is not a pattern: it looks ahead or behind; use RE2 syntax, which has no look-around and no back-references".to_owned()),
    ] {
        let told = wrong("/splits/1/rules/0/when/3", condition.clone());
        assert_eq!(told, format!("splits[1].rules[0].when[3]{expected}"), "{condition}");
    }
    let told = wrong("/automata", json!({"/x": "AAAA"}));
    assert!(told.starts_with("splits[1].rules[1].when[0].path.regex: the automaton cannot be read ("), "{told}");
}
