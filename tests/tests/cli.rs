//! The command line: answers, errors and exit codes.
#![cfg(test)]

#[path = "cli/completion.rs"]
mod completion;
#[path = "cli/control.rs"]
mod control;
#[path = "cli/diff.rs"]
mod diff;
#[path = "cli/document.rs"]
mod document;
#[path = "cli/explain.rs"]
mod explain;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use serin_tests::bad_specs;
use tempfile::TempDir;

fn serin(arguments: &[&str]) -> Output {
    Command::new(serin_tests::command().unwrap()).args(arguments).env("NO_COLOR", "1").output().unwrap()
}

fn example(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name).display().to_string()
}

/// A file in a directory that goes with it.
fn file(text: &str) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("serin.yaml");
    fs::write(&path, text).unwrap();
    (directory, path)
}

fn stdout(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The message of a command that must refuse its file.
fn refused(arguments: &[&str]) -> String {
    let output = serin(arguments);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn every_example_is_valid() {
    for entry in fs::read_dir(example("")).unwrap() {
        let path = entry.unwrap().path().display().to_string();
        assert!(stdout(&serin(&["validate", "-f", &path])).contains(": valid, 1 release, "), "{path}");
    }
    let checked = stdout(&serin(&["standalone", "--check", "-f", &example("standalone.yaml")]));
    assert!(checked.ends_with("standalone.yaml: valid, 1 service, 1 release\n"), "{checked}");
}

/// The examples in the help of each command; those that need no cluster and end by themselves do what they say.
#[test]
fn the_help_has_examples_that_work() {
    let folder = tempfile::tempdir().unwrap();
    let copies = [
        ("reviews.yaml", "release.yaml"),
        ("reviews.yaml", "old.yaml"),
        ("reviews.yaml", "new.yaml"),
        ("standalone.yaml", "serin.yaml"),
    ];
    for (from, to) in copies {
        fs::copy(example(from), folder.path().join(to)).unwrap();
    }
    fs::write(folder.path().join("requests.jsonl"), "{\"headers\": [[\"cookie\", \"user=ann\"]]}\n").unwrap();
    let command = serin_tests::command().unwrap();
    let prelude = "kubectl() { cat release.yaml; }\nserin() { \"$SERIN\" \"$@\"; }\nset -e\n";
    let mut run = 0;
    for (name, count) in [
        ("standalone", 3),
        ("explain", 3),
        ("validate", 2),
        ("lint", 3),
        ("diff", 2),
        ("compile", 1),
        ("document", 3),
        ("completion", 2),
        ("cleanup", 2),
        ("controller", 2),
        ("crd", 1),
    ] {
        let help = stdout(&serin(&[name, "--help"]));
        let heading = if count == 1 { "\nExample:\n" } else { "\nExamples:\n" };
        let examples = help.split_once(heading).unwrap_or_else(|| panic!("{name}: {help}")).1;
        let examples: Vec<&str> = examples.lines().map_while(|line| line.strip_prefix("  ")).collect();
        assert_eq!(examples.len(), count, "{name}: {examples:?}");
        for example in examples.into_iter().filter(|example| name != "standalone" || example.ends_with("--check")) {
            assert!(example.contains(&format!("serin {name}")), "{example}");
            let arguments = [
                "-c",
                &format!(
                    "{prelude}{example}{}",
                    if matches!(name, "controller" | "document" | "cleanup")
                        || example.contains("--release")
                        || example.contains("--cluster")
                    {
                        " --help"
                    } else {
                        ""
                    }
                ),
            ];
            let output =
                Command::new("sh").args(arguments).env("SERIN", &command).current_dir(folder.path()).output().unwrap();
            assert!(!stdout(&output).is_empty(), "{example}: {output:?}");
            run += 1;
        }
    }
    assert_eq!(run, 22);
}

#[test]
fn the_controller_checks_its_arguments_before_it_looks_for_a_cluster() {
    for (option, url, schemes) in [
        ("--filter-url", "ftp://somewhere", "oci://, file://, http://, https://"),
        ("--serve-url", "serin.example.com", "http://, https://"),
    ] {
        let expected = format!("error: {option}: `{url}` has another scheme; use one of {schemes}\n");
        assert_eq!(refused(&["controller", option, url]), expected);
    }
    let header = refused(&["controller", "--routing-header", "x y"]);
    assert!(header.starts_with("error: --routing-header: `x y` is not a header name"), "{header}");
}

#[test]
fn an_answer_in_json_has_its_steps() {
    let preview = "{\"id\":null,\"release\":\"bookinfo/reviews\",\"version\":\"v2\",\"reason\":\"rule\",\"rule\":\"preview\",\"key\":null,\"bucket\":null";
    let steps = concat!(
        r#"[{"kind":"release","release":"bookinfo/reviews"},"#,
        r#"{"kind":"rule","rule":"testers","matches":false,"condition":0,"source":"header:x-team","seen":null,"wanted":"qa, dev"},"#,
        r#"{"kind":"rule","rule":"preview","matches":true,"version":"v2"}]"#
    );
    let said = stdout(&serin(&["explain", "-f", &example("reviews.yaml"), "-o", "json", "--path", "/preview/x"]));
    assert_eq!(said, format!("{preview},\"steps\":{steps}}}\n"));
    // A batch has them where they are asked for.
    let (directory, _) = file("");
    let requests = directory.path().join("requests");
    fs::write(&requests, "{\"headers\":[[\":path\",\"/preview/x\"]]}\n").unwrap();
    let batch = |more: &[&str]| {
        let example = example("reviews.yaml");
        let arguments = ["explain", "-f", &example, "--requests", requests.to_str().unwrap()];
        stdout(&serin(&[&arguments, more].concat()))
    };
    assert_eq!(batch(&[]), format!("{preview}}}\n"));
    assert_eq!(batch(&["--steps"]), said);
    let text = batch(&["--steps", "-o", "text"]);
    assert!(
        text.starts_with("null\tbookinfo/reviews\tv2\trule(preview)\n   1. release `bookinfo/reviews` routes"),
        "{text}"
    );
    let said = stdout(&serin(&["explain", "-f", &example("reviews.yaml"), "-o", "json", "--destination", "nobody:80"]));
    let answer: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        answer["steps"],
        json!([{"kind": "no-release", "destination": "nobody:80", "routed": ["reviews.bookinfo.svc.cluster.local"], "more": 0}])
    );
}

#[test]
fn a_compiled_document_explains_as_its_release_does() {
    let compiled = stdout(&serin(&["compile", "-f", &example("reviews.yaml")]));
    let (_directory, path) = file(&compiled);
    let of =
        |path: &str| stdout(&serin(&["explain", "-f", path, "--header", "cookie: user=ann", "--header", "x-team: ops"]));
    assert_eq!(of(path.to_str().unwrap()), of(&example("reviews.yaml")));
    assert_eq!(stdout(&serin(&["compile", "-f", path.to_str().unwrap()])), compiled);
}

#[test]
fn a_list_as_kubectl_prints_it_is_read() {
    let release = |name: &str, spec: Value| {
        json!({"apiVersion": "serin.dev/v1alpha1", "kind": "CanaryRelease",
            "metadata": {"name": name, "namespace": "bookinfo", "uid": "1", "generation": 3, "managedFields": []},
            "spec": spec, "status": {"phase": "Active", "canaries": "v2=5%", "observedGeneration": 3}})
    };
    let good = json!({"service": "reviews", "stable": {"version": "v1"}});
    let other = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "reviews"}});
    let list = |items: Vec<Value>| json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string();
    let two = json!({"service": "ratings", "stable": {"version": "v1"}, "takeover": "v1"});
    let (_directory, path) = file(&list(vec![other, release("reviews", good), release("ratings", two)]));
    assert!(stdout(&serin(&["validate", "-f", path.to_str().unwrap()])).contains("valid, 2 releases"));
    let answer = stdout(&serin(&[
        "explain",
        "-f",
        path.to_str().unwrap(),
        "--destination",
        "ratings.bookinfo.svc.cluster.local:9080",
    ]));
    assert!(answer.contains("takeover"), "{answer}");
    let (_directory, path) = file(&list(vec![release("reviews", json!({"service": "reviews", "stable": {}}))]));
    let message = refused(&["validate", "-f", path.to_str().unwrap()]);
    assert!(message.contains("bookinfo/reviews: spec.stable.version: `version` is missing; write the label"), "{message}");
}

#[test]
fn a_line_that_cannot_be_read_is_answered_and_the_batch_goes_on() {
    let lines = [
        (r#"{"id":"1","headers":[["cookie","user=ann"]]}"#, json!({"id": "1", "version": "v1", "bucket": 83458})),
        (r#"{"id":{"a":[1]},"headers":7}"#, json!({"id": {"a": [1]}})),
        ("nonsense", json!({"id": null})),
        ("", json!(null)),
        (r#"{"id":2,"destination":"nobody:1"}"#, json!({"id": 2, "reason": "no-release"})),
        (r#"{"id":3,"headers":[["x",{"base64":"*"}]]}"#, json!({"id": 3})),
        (r#"{"id":4,"source":"nowhere"}"#, json!({"id": 4})),
        (r#"{"headers":[["Cookie","user=ann"]]}"#, json!({"id": null, "bucket": 83458})),
    ];
    let text: String = lines.iter().map(|(line, _)| format!("{line}\n")).collect();
    let (directory, _) = file("");
    let requests = directory.path().join("requests");
    fs::write(&requests, text).unwrap();
    let said = stdout(&serin(&["explain", "-f", &example("reviews.yaml"), "--requests", requests.to_str().unwrap()]));
    let expected: Vec<_> = lines.iter().filter(|(line, _)| !line.is_empty()).collect();
    assert_eq!(said.lines().count(), expected.len());
    for (answer, (line, expected)) in said.lines().zip(expected) {
        let answer: Value = serde_json::from_str(answer).unwrap();
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(answer[name], *value, "{line}");
        }
        assert_eq!(answer.get("error").is_some(), answer.get("reason").is_none(), "{line}");
    }
}

#[test]
fn whoever_waits_for_an_answer_gets_it() {
    let mut process = Command::new(serin_tests::command().unwrap())
        .args(["explain", "-f", &example("reviews.yaml"), "--requests", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut input, mut output) = (process.stdin.take().unwrap(), BufReader::new(process.stdout.take().unwrap()));
    for id in 0..3 {
        writeln!(input, "{{\"id\":{id}}}").unwrap();
        let mut answer = String::new();
        output.read_line(&mut answer).unwrap();
        assert!(answer.starts_with(&format!("{{\"id\":{id},")), "{answer}");
    }
    drop(input);
    assert!(process.wait().unwrap().success());
}

#[test]
fn a_long_batch_is_answered_in_order_and_in_constant_memory() {
    const LINES: usize = 200_000;
    let mut process = Command::new(serin_tests::command().unwrap())
        .args(["explain", "-f", &example("reviews.yaml"), "--requests", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = process.stdin.take().unwrap();
    let id = process.id();
    let writer = std::thread::spawn(move || {
        for id in 0..LINES {
            writeln!(input, "{{\"id\":{id},\"headers\":[[\":path\",\"/\"],[\"cookie\",\"user=user-{id}\"]]}}").unwrap();
        }
        // All but the last lines are answered by now, and the process still lives.
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default().to_owned();
        line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok())
    });
    let mut next = 0;
    for line in BufReader::new(process.stdout.take().unwrap()).lines() {
        assert!(line.unwrap().starts_with(&format!("{{\"id\":{next},")));
        next += 1;
    }
    assert_eq!(next, LINES);
    let kib = writer.join().unwrap().unwrap();
    assert!(kib < 32 * 1024, "{kib} KiB");
    assert!(process.wait().unwrap().success());
}

/// The conditions and the stickiness of the contract, as they stand there.
const CONTRACT: &str = r#"
apiVersion: serin.dev/v1alpha1
kind: CanaryRelease
metadata: {name: reviews, namespace: bookinfo}
spec:
  service: reviews                       # all HTTP ports of the Service unless `ports` lists some
  stable: {version: v1}                  # label `version` of the stable pods; `deployment` when not derivable
  canaries:
  - version: v2
    weight: 50%                          # text, 0.001 % steps; the rest is stable
    workload: {images: {reviews: examples-bookinfo-reviews-v2:1.16.2}, replicas: 1}    # a clone of stable's Deployment
  sticky:
    by:                                    # the first one present and not empty is the key
    - {cookie: user}
    - {header: x-user-id}
    - {query: uid}
    - {jwtClaim: {claim: sub, header: authorization}}   # not verified: it buckets, it does not authorise
    - {baggage: user}                      # an entry of W3C baggage: survives hops that propagate tracing context
    - {sourceAddress: {ipv4Prefix: 32, ipv6Prefix: 64}}
    otherwise: random                      # stable | random (by request id) | issueCookie: {name, maxAge, path, domain, sameSite, secure, httpOnly}
    salt: bookinfo/reviews                 # default: NAMESPACE/NAME of the release
    algorithm: serin                       # serin | flagd | unleash
  rules:
  - name: testers
    version: v2
    when:
    - header: {name: x-team, in: [qa, dev]}
    - cookie: {name: beta, exact: "1"}
    - query: {name: v, regex: "2(\\.[0-9]+)?"}
    - path: {pathPrefix: /api}               # by element: /api matches /api/x and not /apix; `prefix` is plain text
    - method: {in: [GET, HEAD]}
    - authority: {suffix: .example.com}
    - os: {in: [ios, android]}               # from User-Agent: windows, macos, linux, android, ios
    - sourceAddress: {in: [10.0.0.0/8]}
    - not: {header: {name: x-bot, present: true}}
    - anyOf: [{cookie: {name: ring, exact: alpha}}, {not: {header: {name: x-ring, exact: stable}}}]
  - {name: beta, when: [{header: {name: x-beta, present: true}}], split: [{version: v2, weight: 10%}], sticky: {by: [{header: x-beta}]}}
  paused: false                          # freezes the split as it is now; it never changes who gets what
  routing:
    mode: managed                        # managed | delegate | external
    gateways: [bookinfo-gateway]         # also at these Istio Gateways, for these hosts
    hosts: [bookinfo.example.com]
    http: {timeout: 5s, retries: {attempts: 2}}  # VirtualService route settings carried over as they stand
---
apiVersion: v1
kind: Service
metadata: {name: reviews}
"#;

#[test]
fn the_contracts_examples_are_answered() {
    let (directory, path) = file(CONTRACT);
    let tester = r#"[":method","HEAD"],[":path","/api/x?v=2.15"],[":authority","a.example.com"],["user-agent","(iPhone)"],["x-team","dev"],["cookie","beta=1; user=ann"]"#;
    let cases = [
        // The contract's own line, and what it says of it.
        (r#"{"id":"1","destination":"reviews.bookinfo.svc.cluster.local:9080","headers":[[":path","/x"],["cookie","user=ann"],["x-raw",{"base64":"/w=="}]],"source":"10.0.0.1"}"#.to_owned(),
            r#"{"id":"1","release":"bookinfo/reviews","version":"v1","reason":"weight","rule":null,"key":"cookie:user","bucket":83458}"#),
        (format!(r#"{{"id":"2","headers":[{tester}],"source":"10.9.8.7"}}"#),
            r#"{"id":"2","release":"bookinfo/reviews","version":"v2","reason":"rule","rule":"testers","key":null,"bucket":null}"#),
        (format!(r#"{{"id":"3","headers":[{tester},["x-bot",""]],"source":"10.9.8.7"}}"#),
            r#"{"id":"3","release":"bookinfo/reviews","version":"v1","reason":"weight","rule":null,"key":"cookie:user","bucket":83458}"#),
        (format!(r#"{{"id":"4","headers":[{tester},["x-ring","stable"]],"source":"10.9.8.7"}}"#),
            r#"{"id":"4","release":"bookinfo/reviews","version":"v1","reason":"weight","rule":null,"key":"cookie:user","bucket":83458}"#),
        (r#"{"id":"5","headers":[["x-beta","ann"]]}"#.to_owned(),
            r#"{"id":"5","release":"bookinfo/reviews","version":"v1","reason":"rule","rule":"beta","key":"header:x-beta","bucket":83458}"#),
        (r#"{"id":"6","source":"10.0.0.1"}"#.to_owned(),
            r#"{"id":"6","release":"bookinfo/reviews","version":"v2","reason":"weight","rule":null,"key":"sourceAddress","bucket":21041}"#),
    ];
    let requests = directory.path().join("requests");
    fs::write(&requests, cases.iter().map(|(line, _)| format!("{line}\n")).collect::<String>()).unwrap();
    let said = stdout(&serin(&["explain", "-f", path.to_str().unwrap(), "--requests", requests.to_str().unwrap()]));
    for (answer, (_, expected)) in said.lines().zip(&cases) {
        assert_eq!(answer, *expected);
    }
    assert_eq!(said.lines().count(), cases.len());
}

#[test]
fn errors_name_the_file_the_path_the_cause_and_the_fix() {
    let good = fs::read_to_string(example("reviews.yaml")).unwrap();
    let cases = [
        (
            "weight: 10%",
            "weight: 10",
            "serin.yaml:8:27: bookinfo/reviews: spec.canaries[0].weight: `10` is not a percentage; write `10%`",
        ),
        (
            "stable: {version: v1}",
            "stable: {versoin: v1}",
            "serin.yaml:6:12: bookinfo/reviews: spec.stable.versoin: unknown field `versoin`; did you mean `version`?",
        ),
        (
            "stable: {version: v1}",
            "stable: {version: v2}",
            "serin.yaml:8:6: bookinfo/reviews: spec.canaries[0].version: a canary has stable's version; give it its own",
        ),
        (
            "in: [qa, dev]",
            "in: [qa], exact: dev",
            "serin.yaml:12:29: bookinfo/reviews: spec.rules[0].when[0].header: one condition has both `exact` and `in`; write two conditions",
        ),
        (
            "in: [qa, dev]",
            "regex: '(a'",
            "serin.yaml:12:52: bookinfo/reviews: spec.rules[0].when[0].header.regex: `(a` is not a pattern: a `(` is never closed; use RE2 syntax, which has no look-around and no back-references",
        ),
        (
            "{pathPrefix: /preview}",
            "{pathPrefix: preview}",
            "serin.yaml:13:36: bookinfo/reviews: spec.rules[1].when[0].path.pathPrefix: `preview` begins no path; write `/preview`",
        ),
        (
            "version: v2}\n  - {name: preview",
            "version: v3}\n  - {name: preview",
            "serin.yaml:12:70: bookinfo/reviews: spec.rules[0].version: `v3` is not a version of this release; use one of v1, v2",
        ),
        (
            "kind: CanaryRelease",
            "kind: CanaryRelaese",
            "serin.yaml:2:1: bookinfo/reviews: kind: `CanaryRelaese` of `serin.dev/v1alpha1` is not known; write `CanaryRelease`, `CanaryControl` or `Standalone`",
        ),
        (
            "kind: CanaryRelease",
            "sort: CanaryRelease",
            "serin.yaml:1:1: this document has no `kind`; start it with `apiVersion: serin.dev/v1alpha1` and `kind: CanaryRelease`",
        ),
        (
            "{cookie: user}",
            "{cookie: 'a=b'}",
            "serin.yaml:10:11: bookinfo/reviews: spec.sticky.by[0].cookie: `a=b` is not a cookie name; leave out blanks around it, `;` and `=`",
        ),
    ];
    for (from, to, expected) in cases {
        let (_directory, path) = file(&good.replacen(from, to, 1));
        for command in ["validate", "compile", "explain"] {
            let message = refused(&[command, "-f", path.to_str().unwrap()]);
            assert!(message.starts_with("error: ") && message.trim_end().ends_with(&format!("/{expected}")), "{message}");
        }
    }
    assert!(refused(&["validate", "-f", "/nowhere.yaml"]).contains("/nowhere.yaml: cannot be read: No such file"));
    let (_directory, path) = file("apiVersion: v1\nkind: Service\n");
    assert!(
        refused(&["explain", "-f", path.to_str().unwrap()])
            .contains("has no CanaryRelease and is not a split document; add a CanaryRelease")
    );
}

#[test]
fn a_documents_errors_have_its_own_paths() {
    let cases = [
        (
            r#"{"version":1,"splits":[{"release":"a/b","hosts":["b"],"stable":"v1","rules":[{"name":"r","when":[{"header":{"name":"x","regx":"a"}}],"version":"v2"}]}]}"#,
            "splits[0].rules[0].when[0].header.regx: unknown field `regx`",
        ),
        (
            r#"{"version":3,"splits":[]}"#,
            "version: version 3 of the document is not known; upgrade Serin first, since this one reads version 1",
        ),
        (
            r#"{"version":1,"splits":[{"release":"a/b","hosts":["b"],"stable":"v1","buckets":[["v2",60000],["v3",60000]]}]}"#,
            "splits[0].buckets: 120000 buckets in sum are more than 100000; lower a run",
        ),
        (
            r#"{"version":1,"splits":[{"release":"a/b","hosts":["b"],"stable":"v1"},{"release":"a/c","hosts":["B"],"ports":[80],"stable":"v1"}]}"#,
            "splits[1].hosts[0]: `B` is already routed by `a/b`; let one release have a host and port",
        ),
    ];
    for (text, expected) in cases {
        let (_directory, path) = file(text);
        let message = refused(&["validate", "-f", path.to_str().unwrap()]);
        assert!(message.contains(expected), "{message}");
        let output = serin(&["validate", "-o", "json", "-f", path.to_str().unwrap()]);
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((answer["valid"].as_bool(), output.status.code()), (Some(false), Some(2)));
    }
}

#[test]
fn what_is_perhaps_not_meant_is_a_warning() {
    let text = fs::read_to_string(example("standalone.yaml")).unwrap();
    let (_directory, path) = file(text.split_once("\n---\n").unwrap().0);
    let path = path.to_str().unwrap();
    let warning = "reviews.bookinfo.svc.cluster.local:9080 has versions v1, v2 and no release, so all requests go to v1; \
                   add a CanaryRelease, or leave the other versions out";
    for command in [&["validate", "-f", path][..], &["standalone", "--check", "-f", path]] {
        let output = serin(command);
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(String::from_utf8(output.stderr).unwrap(), format!("warning: {path}: {warning}\n"));
    }
    let answer: Value = serde_json::from_str(&stdout(&serin(&["validate", "-o", "json", "-f", path]))).unwrap();
    assert_eq!((&answer["valid"], &answer["warnings"]), (&json!(true), &json!([warning])));
}

#[test]
fn validate_tells_all_of_them_at_once_as_json() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("all.yaml");
    let bad = bad_specs::all().unwrap();
    // Types are read before texts are checked: a file with both kinds of faults gets the first kind alone.
    let (typed, checked): (Vec<_>, Vec<_>) = bad.iter().partition(|bad| {
        let text = bad_specs::release("x", &bad.spec).to_string();
        serin_release::file::parse(Path::new("x"), text.as_bytes()).is_err()
    });
    for group in [typed, checked] {
        let text: String = group
            .iter()
            .enumerate()
            .map(|(index, bad)| format!("---\n{}\n", bad_specs::release(&format!("r{index}"), &bad.spec)))
            .collect();
        std::fs::write(&path, text).unwrap();
        let output = serin(&["validate", "-o", "json", "-f", path.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(2));
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(answer["valid"], false);
        for (index, bad) in group.iter().enumerate() {
            let object = format!("default/r{index}");
            let problems = answer["problems"].as_array().unwrap().iter();
            let found = problems.clone().find(|problem| problem["object"] == object.as_str());
            let text = |field: &str| found.unwrap()[field].as_str().unwrap().to_owned();
            // What only the engine sees is reported one at a time, once all else is right.
            let Some(found) = found else { continue };
            let separator = if text("fix").is_empty() { "" } else { "; " };
            assert_eq!(format!("{}: {}{separator}{}", text("path"), text("problem"), text("fix")), bad.says, "{}", bad.name);
            assert_eq!(found["line"], 2 * index + 2, "{}", bad.name);
            assert_eq!(found["file"], path.display().to_string());
        }
        assert!(answer["problems"].as_array().unwrap().len() > 10);
    }
}
