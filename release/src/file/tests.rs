use super::*;

const GOOD: &str = "\
apiVersion: serin.dev/v1alpha1
kind: Standalone
spec:
  listen: 127.0.0.1:8080
  admin: 127.0.0.1:9901
  services:
  - {host: reviews.bookinfo.svc.cluster.local, port: 9080, versions: {v1: ['127.0.0.1:9081'], v2: ['127.0.0.1:9082']}}
---
apiVersion: serin.dev/v1alpha1
kind: CanaryRelease
metadata: {name: reviews, namespace: bookinfo}
spec:
  service: reviews
  ports: [9080]
  stable: {version: v1}
  canaries:
  - {version: v2, weight: 10%}
  sticky:
    by: [{cookie: user}]
    otherwise: {issueCookie: {name: sid, maxAge: 3600}}
  rules:
  - name: testers
    when:
    - header: {name: x-team, in: [qa]}
    - cookie: {name: beta, exact: '1'}
    version: v2
  takeover: v1
  paused: false
";

fn error(text: &str) -> String {
    let path = Path::new("a.yaml");
    let parsed = parse(path, text.as_bytes());
    match parsed.and_then(|file| file.compile(path)) {
        Err(problems) => problems.to_string(),
        Ok(_) => "valid".to_owned(),
    }
}

fn changed(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    error(&GOOD.replacen(from, to, 1))
}

#[test]
fn a_good_file_is_good() {
    assert_eq!(error(GOOD), "valid");
    // What YAML allows beside it: a directive, a byte order mark, comments, aliases, merged fields, JSON.
    assert_eq!(changed("apiVersion", "%YAML 1.2\n---\napiVersion"), "valid");
    assert_eq!(error(&format!("\u{feff}# releases\n{GOOD}---\n# nothing\n---\n")), "valid");
    assert_eq!(changed("in: [qa]", "in: &teams [qa]}\n    - not: {header: {name: x-not, in: *teams}"), "valid");
    assert_eq!(changed("{version: v2, weight: 10%}", "{<<: {version: v3}, version: v2, weight: 10%}"), "valid");
    assert_eq!(changed("paused: false", "paused: off"), "valid");
}

/// One change of the good file each, and the whole message.
const CASES: &[(&str, &str, &str)] = &[
    (
        "weight: 10%",
        "weight:",
        "a.yaml:17:25: bookinfo/reviews: spec.canaries[0].weight: there is no value; write a percentage such as `10%`, or leave the field out",
    ),
    (
        "weight: 10%",
        "weight: 10",
        "a.yaml:17:27: bookinfo/reviews: spec.canaries[0].weight: `10` is not a percentage; write `10%`",
    ),
    (
        "weight: 10%",
        "weight: 110%",
        "a.yaml:17:27: bookinfo/reviews: spec.canaries[0].weight: `110%` is more than 100%; lower it, since the canaries share 100% with stable",
    ),
    (
        "weight: 10%",
        "weight: ten",
        "a.yaml:17:27: bookinfo/reviews: spec.canaries[0].weight: `ten` is not a percentage; write digits, at most three decimals and a percent sign, such as `12.345%`",
    ),
    (
        "weight: 10%",
        "weight: {{ .Values.w }}",
        "a.yaml:17:28: spec.canaries[0].weight: `{{` begins a template that nothing has filled in; render it first, for example with `helm template`",
    ),
    (
        "  takeover: v1",
        "  takeover: v1\n  takeover: v2",
        "a.yaml:28:3: spec.takeover: `takeover` stands here twice, first in line 27; keep one of them",
    ),
    (
        "listen: 127.0.0.1:8080",
        "listen: 8080",
        "a.yaml:4:11: Standalone: spec.listen: `8080` is not an address; write an address such as `0.0.0.0:8080`",
    ),
    (
        "maxAge: 3600",
        "maxAge: 30d",
        "a.yaml:20:50: bookinfo/reviews: spec.sticky.otherwise.issueCookie.maxAge: `30d` is not a whole number; write seconds, such as `2592000` for 30 days",
    ),
    (
        "maxAge: 3600",
        "maxAge: -1",
        "a.yaml:20:50: bookinfo/reviews: spec.sticky.otherwise.issueCookie.maxAge: `-1` is not a whole number of 0 or more; write seconds, such as `2592000` for 30 days",
    ),
    (
        "ports: [9080]",
        "ports: [70000]",
        "a.yaml:14:11: bookinfo/reviews: spec.ports[0]: `70000` is not a port; write 1 to 65535",
    ),
    ("ports: [9080]", "ports: 9080", "a.yaml:14:10: bookinfo/reviews: spec.ports: `9080` is not a list; write `[9080]`"),
    (
        "cookie: {name: beta, exact: '1'}",
        "cookie: beta=1",
        "a.yaml:25:15: bookinfo/reviews: spec.rules[0].when[1].cookie: `beta=1` where an object with fields belongs; write fields such as `{name: beta, exact: \"1\"}`",
    ),
    (
        "in: [qa]",
        "in: qa",
        "a.yaml:24:34: bookinfo/reviews: spec.rules[0].when[0].header.in: `qa` is not a list; write `[qa]`",
    ),
    (
        "exact: '1'",
        "exact: 1",
        "a.yaml:25:35: bookinfo/reviews: spec.rules[0].when[1].cookie.exact: `1` is a number where a text belongs; put it in quotes: `\"1\"`",
    ),
    (
        "    - header: {name: x-team, in: [qa]}\n    - cookie",
        "    - header: {name: x-team, in: [qa]}\n      cookie",
        "a.yaml:24:7: bookinfo/reviews: spec.rules[0].when[0]: `header` and `cookie` in one item; make each an item of the list",
    ),
    (
        "version: v1",
        "version: 1",
        "a.yaml:15:21: bookinfo/reviews: spec.stable.version: `1` is a number where a text belongs; put it in quotes: `\"1\"`",
    ),
    (
        "stable: {version: v1}",
        "stable: {}",
        "a.yaml:15:11: bookinfo/reviews: spec.stable.version: `version` is missing; write the label `version` of its pods, such as `v2`",
    ),
    (
        "stable: {version: v1}",
        "stabel: {version: v1}",
        "a.yaml:15:3: bookinfo/reviews: spec.stabel: unknown field `stabel`; did you mean `stable`?",
    ),
    (
        "paused: false",
        "paused: \"true\"",
        "a.yaml:28:11: bookinfo/reviews: spec.paused: `true` is a text where a boolean belongs; remove the quotes",
    ),
    (
        "kind: CanaryRelease\n",
        "",
        "a.yaml:9:1: this document has no `kind`; start it with `apiVersion: serin.dev/v1alpha1` and `kind: CanaryRelease`",
    ),
    (
        "serin.dev/v1alpha1\nkind: Canary",
        "serin.io/v1alpha1\nkind: Canary",
        "a.yaml:9:1: bookinfo/reviews: apiVersion: `serin.io/v1alpha1` has no CanaryRelease; write `serin.dev/v1alpha1`",
    ),
    (
        "kind: CanaryRelease",
        "kind: Canaryrelease",
        "a.yaml:10:1: bookinfo/reviews: kind: `Canaryrelease` of `serin.dev/v1alpha1` is not known; write `CanaryRelease`, `CanaryControl` or `Standalone`",
    ),
    (
        "kind: Standalone",
        "kind: Other",
        "a.yaml:2:1: kind: `Other` of `serin.dev/v1alpha1` is not known; write `CanaryRelease`, `CanaryControl` or `Standalone`",
    ),
    (
        "  paused: false",
        "   paused: false",
        "a.yaml:28:10: spec: there is a second `:` in one field, or a field is indented too far, at `: false`; put the text in quotes, or indent it like its neighbours",
    ),
    ("  paused: false", "\tpaused: false", "a.yaml:28:1: spec: a tab stands where only blanks may; replace it by blanks"),
    (
        "  paused: false",
        "\u{a0} paused: false",
        "a.yaml:28:1: bookinfo/reviews: \u{a0} paused: the name of this field has a no-break space (U+00A0); replace it by blanks",
    ),
    (
        "  paused: false",
        "  paused: 'false",
        "a.yaml:28:11: spec: a quote is never closed, at `'false`; close it, or remove it",
    ),
    (
        "in: [qa]",
        "in: [qa",
        "a.yaml:24:34: spec.rules[0].when[0].header.in: `[` is closed by `}`, at `[qa}`; close it with its own bracket",
    ),
    (
        "service: reviews",
        "service: a: b",
        "a.yaml:13:13: spec: there is a second `:` in one field, or a field is indented too far, at `: b`; put the text in quotes, or indent it like its neighbours",
    ),
    (
        "issueCookie: {name: sid, maxAge: 3600}",
        "issueCookie: {}",
        "a.yaml:20:30: bookinfo/reviews: spec.sticky.otherwise.issueCookie.name: `name` is missing; write a name",
    ),
    (
        "otherwise: {issueCookie: {name: sid, maxAge: 3600}}",
        "otherwise: {issue: {}}",
        "a.yaml:20:17: bookinfo/reviews: spec.sticky.otherwise.issue: unknown field `issue`; write one of `stable`, `random`, `issueCookie`",
    ),
    (
        "otherwise: {issueCookie: {name: sid, maxAge: 3600}}",
        "otherwise: never",
        "a.yaml:20:16: bookinfo/reviews: spec.sticky.otherwise: `never` is not known here; write one of `stable`, `random`, `issueCookie`",
    ),
    (
        "by: [{cookie: user}]",
        "by: [{cookie: user, header: x}]",
        "a.yaml:19:10: bookinfo/reviews: spec.sticky.by[0]: `cookie` and `header` in one item; make each an item of the list",
    ),
    (
        "by: [{cookie: user}]",
        "by: [{}]",
        "a.yaml:19:10: bookinfo/reviews: spec.sticky.by[0]: nothing is in here; write one of `cookie`, `header`, `query`, `jwtClaim`, `baggage`, `sourceAddress`",
    ),
    (
        "in: [qa]",
        "in: []",
        "a.yaml:24:30: bookinfo/reviews: spec.rules[0].when[0].header.in: an empty list matches nothing; write at least one value",
    ),
    (
        "in: [qa]",
        "regex: '^(?!bot)'",
        "a.yaml:24:30: bookinfo/reviews: spec.rules[0].when[0].header.regex: `^(?!bot)` is not a pattern: it looks ahead or behind; use RE2 syntax, which has no look-around and no back-references",
    ),
    (
        "in: [qa]",
        "regex: '('",
        "a.yaml:24:30: bookinfo/reviews: spec.rules[0].when[0].header.regex: `(` is not a pattern: a `(` is never closed; use RE2 syntax, which has no look-around and no back-references",
    ),
    (
        "in: [qa]",
        "",
        "a.yaml:24:7: bookinfo/reviews: spec.rules[0].when[0].header: there is no operator; use one of `exact`, `prefix`, `suffix`, `contains`, `regex`, `in`, `present`",
    ),
    (
        "in: [qa]",
        "in: [qa], exact: x",
        "a.yaml:24:7: bookinfo/reviews: spec.rules[0].when[0].header: one condition has both `exact` and `in`; write two conditions",
    ),
    (
        "name: x-team",
        "name: 'x team'",
        "a.yaml:24:16: bookinfo/reviews: spec.rules[0].when[0].header.name: `x team` is not a header name; use letters, digits and `-`",
    ),
    (
        "version: v2\n  takeover",
        "version: v2\n    split: [{version: v2, weight: 1%}]\n  takeover",
        "a.yaml:22:5: bookinfo/reviews: spec.rules[0]: this rule has both `version` and `split`; keep one of them",
    ),
    (
        "    version: v2\n  takeover",
        "  takeover",
        "a.yaml:22:5: bookinfo/reviews: spec.rules[0]: this rule has neither `version` nor `split`; add `version: v2`, or `split: [...]` for a share",
    ),
    (
        "host: reviews.bookinfo",
        "hosst: reviews.bookinfo",
        "a.yaml:7:6: Standalone: spec.services[0].hosst: unknown field `hosst`; did you mean `host`?",
    ),
];

#[test]
fn each_mistake_is_named_with_its_place_and_fix() {
    for (from, to, expected) in CASES {
        assert_eq!(changed(from, to), *expected, "{to}");
    }
}

#[test]
fn what_is_not_utf8_is_named_by_its_byte() {
    let path = Path::new("-");
    let problems = parse(path, b"a: b\nc: \xff\n").unwrap_err();
    assert_eq!(problems.to_string(), "standard input:2:4: byte 0xff is not UTF-8; save the file as UTF-8");
}

#[test]
fn all_releases_that_are_wrong_are_named_at_once() {
    let release = |name: &str, weight: &str| {
        format!(
            "---\napiVersion: serin.dev/v1alpha1\nkind: CanaryRelease\nmetadata: {{name: {name}, namespace: shop}}\n\
             spec: {{service: {name}, stable: {{version: v1}}, canaries: [{{version: v2, weight: {weight}}}], takeover: v9}}\n"
        )
    };
    let text = release("a", "5%") + &release("b", "5%");
    assert_eq!(
        error(&text),
        "a.yaml:5:82: shop/a: spec.takeover: `v9` is not a version of this release; use one of v1, v2\n\
         a.yaml:10:82: shop/b: spec.takeover: `v9` is not a version of this release; use one of v1, v2"
    );
}

#[test]
fn a_list_of_kubectl_holds_releases_and_what_is_beside_them_passes() {
    let item = r#"{"apiVersion":"serin.dev/v1alpha1","kind":"CanaryRelease","metadata":{"name":"a","namespace":"n","uid":"1"},
        "spec":{"service":"a","stable":{"version":"v1"}},"status":{"phase":"Active","later":{}}}"#;
    let text = format!(
        r#"{{"apiVersion":"v1","kind":"List","metadata":{{"resourceVersion":""}},"items":[{{"apiVersion":"v1","kind":"Pod"}},{item}]}}"#
    );
    assert_eq!(error(&text), "valid");
    let wrong = text.replace(r#""stable":{"version":"v1"}"#, r#""stable":{"version":1}"#);
    assert_eq!(
        error(&wrong),
        "a.yaml:2:51: n/a: spec.stable.version: `1` is a number where a text belongs; put it in quotes: `\"1\"`"
    );
}

#[test]
fn flow_style_yaml_is_not_taken_for_a_split_document() {
    let text = "{apiVersion: serin.dev/v1alpha1, kind: CanaryRelease, metadata: {name: a}, spec: {service: a, stable: {version: v1}}}";
    assert_eq!(error(text), "valid");
    assert_eq!(error(r#"{"version": 1, "splits": []}"#), "valid");
    assert_eq!(
        error(r#"{"version": 2, "splits": []}"#).split("; ").next(),
        Some("a.yaml: version: version 2 of the document is not known")
    );
}

#[test]
fn aliases_cannot_fill_the_memory() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let one = format!("*a{}", level - 1);
        text.push_str(&format!("a{level}: &a{level} [{}]\n", [one.as_str(); 10].join(", ")));
    }
    assert!(
        error(&text).ends_with("aliases make the text too large; write fewer of them inside of one another"),
        "{}",
        error(&text)
    );
}

#[test]
fn ten_thousand_releases_are_read() {
    let release = |n: usize| {
        format!(
            "apiVersion: serin.dev/v1alpha1\nkind: CanaryRelease\nmetadata: {{name: r{n}, namespace: shop}}\n\
             spec: {{service: r{n}, stable: {{version: v1}}, canaries: [{{version: v2, weight: 5%}}]}}\n"
        )
    };
    let text: String = (0..10_000).map(|n| format!("---\n{}", release(n))).collect();
    let File::Manifest(manifest) = parse(Path::new("a.yaml"), text.as_bytes()).unwrap() else { panic!("not YAML") };
    assert_eq!(manifest.releases.len(), 10_000);
    let broken = text.replace("name: r9999,", "name: r9999, namespace: m,");
    assert_eq!(
        error(&broken),
        "a.yaml:49999:39: metadata.namespace: `namespace` stands here twice, first in line 49999; keep one of them"
    );
}

/// What `kubectl get crel -A -o json` prints for a large cluster: more than 250 000 nodes.
#[test]
fn a_list_of_five_thousand_releases_with_a_status_is_read() {
    let conditions = ["Accepted", "Ready", "Programmed", "TakenOver"].map(|kind| {
        serde_json::json!({
            "type": kind, "status": "True", "reason": kind, "message": "so it is",
            "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1,
        })
    });
    let release = |n: usize| {
        serde_json::json!({
            "apiVersion": "serin.dev/v1alpha1", "kind": "CanaryRelease",
            "metadata": {"name": format!("r{n}"), "namespace": "shop", "generation": 1, "uid": format!("u{n}"), "labels": {"team": "a"}},
            "spec": {"service": format!("r{n}"), "stable": {"version": "v1"}, "canaries": [{"version": "v2", "weight": "5%"}]},
            "status": {
                "observedGeneration": 1, "phase": "Active", "canaries": "v2=5%",
                "versions": [{"version": "v1", "share": "95%", "ready": 2}, {"version": "v2", "share": "5%", "ready": 2}],
                "allocation": {"base": [{"version": "v2", "buckets": 5000}]},
                "conditions": conditions,
            },
        })
    };
    let items: Vec<_> = (0..5000).map(release).collect();
    let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string();
    let File::Manifest(manifest) = parse(Path::new("a.json"), list.as_bytes()).unwrap() else { panic!("not a manifest") };
    let names: Vec<_> = manifest.releases.iter().map(|release| release.metadata.name.clone()).collect();
    assert_eq!(names, (0..5000).map(|n| format!("r{n}")).collect::<Vec<_>>());
}

#[test]
fn fifty_thousand_rules_are_read() {
    let rule = |n: usize| format!("  - {{name: r{n}, when: [{{header: {{name: x-user, exact: u{n}}}}}], version: v2}}\n");
    let rules: String = (0..1000).map(rule).collect();
    let release = |n: usize| {
        format!(
            "---\napiVersion: serin.dev/v1alpha1\nkind: CanaryRelease\nmetadata: {{name: r{n}, namespace: shop}}\nspec:\n  \
             service: r{n}\n  stable: {{version: v1}}\n  canaries: [{{version: v2, weight: 5%}}]\n  rules:\n{rules}"
        )
    };
    let text: String = (0..50).map(release).collect();
    let File::Manifest(manifest) = parse(Path::new("a.yaml"), text.as_bytes()).unwrap() else { panic!("not YAML") };
    assert_eq!(manifest.releases.iter().map(|release| release.spec.rules.len()).collect::<Vec<_>>(), [1000; 50]);
}

#[test]
fn two_files_do_not_speak_of_the_same_release() {
    let of = |name: &str, spec: &str| {
        format!(
            "apiVersion: serin.dev/v1alpha1\nkind: CanaryControl\nmetadata: {{name: {name}, namespace: shop}}\nspec: {spec}\n"
        )
    };
    let said = |name: &str, spec: &str| Controls::parse(Path::new("c.yaml"), of(name, spec).as_bytes()).unwrap();
    let release = "apiVersion: serin.dev/v1alpha1\nkind: CanaryRelease\nmetadata: {name: cart, namespace: shop}\nspec: {service: cart, stable: {version: v1}}\n";
    let manifest = |text: &str| match parse(Path::new("f.yaml"), text.as_bytes()).unwrap() {
        File::Manifest(manifest) => manifest,
        File::Document(_) => panic!("a document"),
    };
    let controls = said("cart", "{paused: true}");
    let mut plain = manifest(release);
    plain.hear(&controls).unwrap();
    assert!(plain.releases[0].word.as_ref().unwrap().paused);
    let mut spoken = manifest(&format!("{release}---\n{}", of("cart", "{}")));
    assert_eq!(
        spoken.hear(&controls).unwrap_err().to_string(),
        "c.yaml:1:1: shop/cart: f.yaml has a CanaryControl of this release too; keep one of them"
    );
    // Of a release that the file does not have nothing is heard.
    spoken.hear(&said("search", "{}")).unwrap();
}
