//! What an explanation says: each step in words, and as JSON.
#![cfg(test)]

use std::net::IpAddr;

use serde_json::{Value, json};
use serin_config::{Destination, Explanation, Request, Split};

const HOST: &str = "reviews.bookinfo.svc.cluster.local:9080";

fn split(change: Value) -> Split {
    let mut release = json!({"release": "bookinfo/reviews", "hosts": ["reviews.bookinfo.svc.cluster.local"], "ports": [9080],
        "stable": "v1", "buckets": [["v2", 5_000]], "sticky": {"by": [{"cookie": "user"}, {"header": "x-user-id"}]}});
    release.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    Split::parse(json!({"version": 1, "splits": [release]}).to_string().as_bytes()).unwrap()
}

fn words(explanation: &Explanation<'_>) -> Vec<String> {
    explanation.steps.iter().map(ToString::to_string).collect()
}

/// The words for the only rule, which does not match because of this condition; and the step as JSON.
fn unmet(condition: &Value, request: &Request) -> (String, Value) {
    let split = split(json!({"rules": [{"name": "r", "when": [condition], "version": "v2"}]}));
    let explanation = split.explain(&Destination::parse(HOST), request);
    let step = explanation.steps.get(1).unwrap();
    let words = step.to_string();
    let words = words.strip_prefix("rule `r` does not match: ").unwrap_or_else(|| panic!("{condition}: {words}"));
    (words.to_owned(), serde_json::to_value(step).unwrap())
}

#[test]
fn a_request_is_explained_step_by_step() {
    let split = split(json!({"rules": [
        {"name": "testers", "when": [{"header": {"name": "x-team", "in": ["qa", "dev"]}}], "version": "v2"}]}));
    let explained = |request: Request| split.explain(&Destination::parse(HOST), &request);
    let ann = explained(Request::get("/").header("cookie", "user=ann").header("x-team", "ops"));
    assert_eq!(
        words(&ann),
        [
            "release `bookinfo/reviews` routes this destination",
            "rule `testers` does not match: header `x-team` is `ops`, not `qa` or `dev`",
            "the key is `ann`, from cookie `user`",
            "bucket 83458 of 100000 (salt `bookinfo/reviews`) belongs to v1",
        ]
    );
    assert_eq!(
        serde_json::to_string(&ann.steps).unwrap(),
        concat!(
            r#"[{"kind":"release","release":"bookinfo/reviews"},"#,
            r#"{"kind":"rule","rule":"testers","matches":false,"condition":0,"source":"header:x-team","seen":"ops","wanted":"qa, dev"},"#,
            r#"{"kind":"key","source":"cookie:user","value":"ann","issued":false},"#,
            r#"{"kind":"bucket","salt":"bookinfo/reviews","bucket":83458,"of":100000,"version":"v1"}]"#
        )
    );
    let tester = explained(Request::get("/").header("x-team", "qa"));
    assert_eq!(words(&tester)[1..], ["rule `testers` matches, so the request goes to v2"]);
    assert_eq!(
        serde_json::to_value(&tester.steps[1]).unwrap(),
        json!({"kind": "rule", "rule": "testers", "matches": true, "version": "v2"})
    );
    let stranger = explained(Request::get("/"));
    assert_eq!(
        words(&stranger)[1..],
        [
            "rule `testers` does not match: there is no header `x-team`",
            "no cookie `user` and no header `x-user-id`, so the request goes to stable (v1)",
        ]
    );
    assert_eq!(
        serde_json::to_value(&stranger.steps[2]).unwrap(),
        json!({"kind": "no-key", "sources": ["cookie:user", "header:x-user-id"], "version": "v1"})
    );
}

#[test]
fn each_operator_says_what_was_seen_and_what_was_wanted() {
    let request = || {
        Request::get("/reviews/1?v=2.15&empty=")
            .header(":authority", "shop.example.com")
            .header("x-team", "ops")
            .header("cookie", "beta=no")
            .header("user-agent", "curl/8.5.0 (X11)")
            .from("10.1.2.3".parse::<IpAddr>().unwrap())
    };
    let team = |operator: Value| {
        let mut named = json!({"name": "X-Team"});
        named.as_object_mut().unwrap().extend(operator.as_object().unwrap().clone());
        json!({ "header": named })
    };
    let many: Vec<String> = (0..50).map(|number| format!("t{number}")).collect();
    for (condition, expected) in [
        (team(json!({"exact": "qa"})), "header `x-team` is `ops`, not `qa`"),
        (team(json!({"exact": "QA", "ignoreCase": true})), "header `x-team` is `ops`, not `qa` in any case"),
        (team(json!({"in": many})), "header `x-team` is `ops`, not `t0`, `t1`, `t2`, `t3`, `t4` or 45 more"),
        (team(json!({"prefix": "q"})), "header `x-team` is `ops`, which does not begin with `q`"),
        (team(json!({"suffix": "q"})), "header `x-team` is `ops`, which does not end with `q`"),
        (team(json!({"contains": "q"})), "header `x-team` is `ops`, which does not contain `q`"),
        (team(json!({"regex": "q.*"})), "header `x-team` is `ops`, which does not match `q.*`"),
        (team(json!({"present": false})), "header `x-team` is present"),
        (json!({"header": {"name": "x-bot", "present": true}}), "there is no header `x-bot`"),
        (json!({"cookie": {"name": "beta", "exact": "1"}}), "cookie `beta` is `no`, not `1`"),
        (json!({"cookie": {"name": "gone", "exact": "1"}}), "there is no cookie `gone`"),
        (json!({"query": {"name": "v", "exact": "3"}}), "query parameter `v` is `2.15`, not `3`"),
        (json!({"query": {"name": "empty", "exact": "3"}}), "query parameter `empty` is empty, not `3`"),
        (json!({"path": {"pathPrefix": "/api/"}}), "the path is `/reviews/1`, which is not below `/api`"),
        (json!({"method": {"in": ["POST", "PUT"]}}), "the method is `GET`, not `POST` or `PUT`"),
        (json!({"authority": {"suffix": ".org"}}), "the authority is `shop.example.com`, which does not end with `.org`"),
        (json!({"os": {"in": ["ios", "android"]}}), "the operating system is `linux`, not `ios` or `android`"),
        (json!({"os": {"present": false}}), "the operating system is `linux`"),
        (
            json!({"sourceAddress": {"in": ["10.2.0.0/16", "192.168.0.1", "::/0"]}}),
            "the client address is `10.1.2.3`, which is not in `10.2.0.0/16`, `192.168.0.1` or `::/0`",
        ),
        (json!({"not": team(json!({"in": ["ops"]}))}), "header `x-team` is `ops`, which `not` excludes"),
        (
            json!({"not": team(json!({"prefix": "op"}))}),
            "header `x-team` is `ops`, which begins with `op`, and `not` excludes that",
        ),
        (json!({"not": team(json!({"present": true}))}), "header `x-team` is present, which `not` excludes"),
        (
            json!({"not": {"header": {"name": "x-bot", "present": false}}}),
            "there is no header `x-bot`, which `not` excludes",
        ),
        (
            json!({"not": {"path": {"pathPrefix": "/"}}}),
            "the path is `/reviews/1`, which is below `/`, and `not` excludes that",
        ),
        (
            json!({"not": {"sourceAddress": {"in": ["10.0.0.0/8"]}}}),
            "the client address is `10.1.2.3`, which is in `10.0.0.0/8`, and `not` excludes that",
        ),
        (
            json!({"anyOf": [{"cookie": {"name": "ring", "exact": "alpha"}}, {"not": team(json!({"exact": "ops"}))}]}),
            "no alternative of `anyOf` holds: there is no cookie `ring`, and header `x-team` is `ops`, which `not` excludes",
        ),
        (json!({"anyOf": [{"cookie": {"name": "ring", "exact": "alpha"}}]}), "there is no cookie `ring`"),
    ] {
        assert_eq!(unmet(&condition, &request()).0, expected, "{condition}");
    }
    let nowhere = Request::new();
    assert_eq!(unmet(&json!({"os": {"exact": "ios"}}), &nowhere).0, "header `user-agent` names no operating system");
    assert_eq!(unmet(&json!({"sourceAddress": {"in": ["::1"]}}), &nowhere).0, "the client address is not known");
    assert_eq!(unmet(&json!({"path": {"present": true}}), &nowhere).0, "there is no path");
}

#[test]
fn values_that_are_not_text_or_very_long_are_shown() {
    let condition = json!({"header": {"name": "x-team", "in": ["qa"]}});
    let (words, step) = unmet(&condition, &Request::new().header("x-team", b"caf\xe9"));
    assert_eq!(words, "header `x-team` is `caf\\xe9`, which is not UTF-8 and so matches no text");
    assert_eq!(
        step,
        json!({"kind": "rule", "rule": "r", "matches": false, "condition": 0, "source": "header:x-team", "seen": "caf\\xe9", "wanted": "qa"})
    );
    let (words, step) = unmet(&condition, &Request::new().header("x-team", "a".repeat(60_000)));
    assert_eq!(words, format!("header `x-team` is `{}…` (60000 bytes), not `qa`", "a".repeat(80)));
    assert_eq!(step["seen"].as_str().unwrap().len(), 60_000);
    let (words, _) = unmet(&condition, &Request::new().header("x-team", "a").header("x-team", "\u{1b}[31mb"));
    assert_eq!(words, "header `x-team` is `a,\\u{1b}[31mb`, not `qa`");
}

#[test]
fn steps_of_rules_say_how_they_compare() {
    let of = |condition: Value| {
        let (_, step) = unmet(&condition, &Request::get("/x").header("x-team", "ops"));
        let mut step = step.as_object().unwrap().clone();
        for name in ["kind", "rule", "matches", "condition"] {
            step.remove(name).unwrap();
        }
        Value::from(step)
    };
    assert_eq!(
        of(json!({"path": {"pathPrefix": "/api"}})),
        json!({"source": "path", "seen": "/x", "wanted": "/api", "operator": "pathPrefix"})
    );
    assert_eq!(
        of(json!({"not": {"header": {"name": "x-team", "exact": "OPS", "ignoreCase": true}}})),
        json!({"source": "header:x-team", "seen": "ops", "wanted": "ops", "not": true, "ignoreCase": true})
    );
    assert_eq!(
        of(json!({"cookie": {"name": "beta", "present": true}})),
        json!({"source": "cookie:beta", "seen": null, "wanted": "true", "operator": "present"})
    );
    assert_eq!(
        of(json!({"header": {"name": "x-team", "regex": "qa|dev", "ignoreCase": true}})),
        json!({"source": "header:x-team", "seen": "ops", "wanted": "(?i:qa|dev)", "operator": "regex"})
    );
    assert_eq!(
        of(json!({"anyOf": [{"method": {"exact": "PUT"}}, {"sourceAddress": {"in": ["::1", "10.0.0.0/8"]}}]})),
        json!({"source": "anyOf", "seen": null, "wanted": "one of 2 alternatives", "operator": "anyOf", "alternatives": [
            {"source": "method", "seen": "GET", "wanted": "PUT"},
            {"source": "sourceAddress", "seen": null, "wanted": "::1, 10.0.0.0/8", "operator": "network"}]})
    );
}

#[test]
fn visits_without_a_key_are_decided_by_their_id() {
    let id = "f4a1d2c4-6c3b-4d4c-9a57-5f8f0d3f7c11";
    let request = Request::get("/").header("x-request-id", id);
    let explained = |change: Value, request: &Request| {
        let split = split(change);
        let explanation = split.explain(&Destination::parse(HOST), request);
        (words(&explanation), serde_json::to_value(&explanation.steps).unwrap())
    };
    let (words, _) = explained(json!({"sticky": null}), &request);
    assert_eq!(words[1], "each visit is decided by its request id (v2 for 5% of visits)");
    let by = json!([{"cookie": "user"}]);
    let (words, steps) = explained(json!({"sticky": {"by": by, "otherwise": "random"}}), &request);
    assert_eq!(words[1], "this visit has no key: it is decided by its request id (v2 for 5% of visits)");
    assert_eq!(
        steps[1],
        json!({"kind": "first-visit", "sources": ["cookie:user"], "shares": [["v2", "5%"]], "cookie": null, "value": id, "madeUp": false})
    );
    let issue = json!({"sticky": {"by": by, "otherwise": {"issueCookie": {"name": "sid"}}}, "buckets": [["v2", 5_000], ["v3", 1_000], ["v2", 1]]});
    let (words, steps) = explained(issue.clone(), &request);
    assert_eq!(
        words[1],
        "this visit has no key: it is decided by its request id (v2 for 5.001% and v3 for 1% of visits), and an identity is issued as cookie `sid`"
    );
    assert_eq!((&steps[1]["cookie"], &steps[1]["sources"]), (&json!("sid"), &json!(["cookie:user", "cookie:sid"])));
    // A visitor who comes back has a key, and so has one who names the id as such.
    let (words, _) = explained(issue, &Request::get("/").header("cookie", "sid=0123"));
    assert_eq!(words[1], "the key is `0123`, from cookie `sid`");
    let named = json!({"sticky": {"by": [{"header": "x-request-id"}], "otherwise": "random"}});
    assert_eq!(explained(named, &request).0[1], format!("the key is `{id}`, from header `x-request-id`"));
}

#[test]
fn what_no_release_routes_is_told_from_what_one_does() {
    let split = split(json!({"ports": [9080, 80]}));
    let explanation = split.explain(&Destination::parse("ratings:9080"), &Request::new());
    assert_eq!(
        words(&explanation),
        [
            "no release routes `ratings:9080`; routed are `reviews.bookinfo.svc.cluster.local:9080`, `reviews.bookinfo.svc.cluster.local:80`"
        ]
    );
    let release =
        |number: usize| json!({"release": format!("a/r{number}"), "hosts": [format!("r{number}")], "stable": "v1"});
    let many = json!({"version": 1, "splits": (0..30).map(release).collect::<Vec<_>>()});
    let many = Split::parse(many.to_string().as_bytes()).unwrap();
    let explanation = many.explain(&Destination::parse("x"), &Request::new());
    assert!(words(&explanation)[0].ends_with("`r19`, and 10 more"), "{explanation:?}");
    let none = Split::parse(br#"{"version":1,"splits":[]}"#).unwrap();
    assert_eq!(
        words(&none.explain(&Destination::parse("x"), &Request::new())),
        ["no release routes `x`: there is no release"]
    );
}

#[test]
fn the_other_steps_have_words_too() {
    let explained = |change: Value| {
        words(&split(change).explain(&Destination::parse(HOST), &Request::get("/").header("cookie", "user=ann")))
    };
    assert_eq!(
        explained(json!({"takeover": "v2"}))[1..],
        ["`takeover` sends everything to v2, whatever rules and weights say"]
    );
    let unleash =
        json!({"sticky": {"by": [{"cookie": "user"}], "algorithm": "unleash", "salt": "s"}, "buckets": [["v2", 100_000]]});
    assert!(explained(unleash)[2].ends_with("of 100 (salt `s`) belongs to v2"));
    let beta = json!({"rules": [{"name": "beta", "when": [{"method": {"exact": "GET"}}], "buckets": [["v2", 100_000]]}]});
    assert_eq!(explained(beta)[1], "rule `beta` matches, and its own split decides");
    let other = json!({"sticky": {"by": [{"query": "uid"}, {"jwtClaim": {"claim": "sub"}}, {"baggage": "user"}, {"sourceAddress": {}}]}});
    assert_eq!(
        explained(other)[1],
        "no query parameter `uid`, no readable claim `sub`, no baggage entry `user` and no client address, so the request goes to stable (v1)"
    );
}
