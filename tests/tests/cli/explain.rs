//! `serin explain`: what it reads beside the file, what it makes of a request, and how it answers.

use std::collections::BTreeMap;

use serin_release::api::v1alpha1::CanaryRelease;
use serin_release::{State, Target};

use super::*;

const SERVED: &str = r#"
apiVersion: serin.dev/v1alpha1
kind: Standalone
spec:
  listen: 127.0.0.1:8080
  admin: 127.0.0.1:9901
  services:
  - {host: reviews.bookinfo.svc.cluster.local, port: 9080, aliases: [reviews, "*.example.com"], versions: {v1: ["127.0.0.1:1"], v2: ["127.0.0.1:2"]}}
  - {host: plain, port: 80, versions: {v1: ["127.0.0.1:1"]}}
"#;

/// A release of `reviews` as YAML, which JSON is.
fn release(spec: Value) -> Value {
    let mut whole = json!({"service": "reviews", "stable": {"version": "v1"}, "canaries": [{"version": "v2", "weight": "5%"}],
        "sticky": {"by": [{"cookie": "user"}]}});
    whole.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    json!({"apiVersion": "serin.dev/v1alpha1", "kind": "CanaryRelease", "metadata": {"name": "reviews", "namespace": "bookinfo"}, "spec": whole})
}

fn served(release: &Value) -> (TempDir, PathBuf) {
    file(&format!("{SERVED}---\n{release}\n"))
}

/// The answer to one request, in JSON.
fn explained(path: &Path, arguments: &[&str]) -> Value {
    let path = path.to_str().unwrap();
    let said = stdout(&serin(&[&["explain", "-f", path, "-o", "json"], arguments].concat()));
    serde_json::from_str(&said).unwrap()
}

fn said(path: &Path, arguments: &[&str]) -> String {
    stdout(&serin(&[&["explain", "-f", path.to_str().unwrap()], arguments].concat()))
}

/// The answers to a batch.
fn batch(path: &Path, lines: &str, arguments: &[&str]) -> Vec<Value> {
    let requests = path.with_file_name("requests");
    fs::write(&requests, lines).unwrap();
    let said = said(path, &[&["--requests", requests.to_str().unwrap()], arguments].concat());
    said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_standalone_is_resolved_as_its_proxy_does() {
    let (_directory, path) = served(&release(json!({"takeover": "v2"})));
    let to = |destination: &str| explained(&path, &["--destination", destination]);
    for served in [
        "reviews",
        "REVIEWS:9080",
        "reviews.bookinfo.svc.cluster.local:9080",
        "reviews.",
        "a.example.com:9080",
        "reviews:8080",
    ] {
        assert_eq!(to(served)["version"], "v2", "{served}");
    }
    assert_eq!(explained(&path, &["--header", "Host: A.Example.com"])["reason"], "takeover");
    for unserved in ["reviews:80", "ratings", "example.com"] {
        let answer = to(unserved);
        assert_eq!((&answer["reason"], &answer["release"]), (&json!("no-release"), &Value::Null), "{unserved}");
        assert_eq!((&answer["steps"][0]["kind"], &answer["steps"][0]["status"]), (&json!("no-service"), &json!(404)));
    }
    assert_eq!(
        said(&path, &["--destination", "reviews:80"]),
        "no version\n  release  -\n  reason   no-release\n   1. no service has the host `reviews:80`, so Envoy answers 404; there are \
         `*.example.com`, `plain`, `reviews`, `reviews.bookinfo.svc.cluster.local` (a port must be the service's own or that of `listen`)\n"
    );
    assert!(
        said(&path, &["--destination", "plain"])
            .contains("no release routes the service plain:80, so its requests go to v1")
    );
}

/// What a state directory has after these specs of the release.
fn history(specs: &[Value]) -> State {
    let mut state = State::default();
    for spec in specs {
        let release: CanaryRelease = serde_json::from_value(release(spec.clone())).unwrap();
        let target = Target { hosts: vec!["reviews.bookinfo.svc.cluster.local".to_owned()], ports: vec![9080] };
        let document = serin_config::SplitDocument::new(Vec::new());
        state =
            serin_release::compile(&[(release, target)], &state, document, &serin_release::Moment::default()).unwrap().state;
    }
    state
}

fn weights(v2: &str, v3: &str) -> Value {
    json!({"canaries": [{"version": "v2", "weight": v2}, {"version": "v3", "weight": v3}]})
}

/// How many of so many users get each version.
fn shares(path: &Path, arguments: &[&str]) -> (Vec<String>, BTreeMap<String, usize>) {
    let lines: String = (0..2_000).map(|user| format!("{{\"headers\":[[\"cookie\",\"user=user-{user}\"]]}}\n")).collect();
    let versions: Vec<String> =
        batch(path, &lines, arguments).iter().map(|answer| answer["version"].as_str().unwrap().to_owned()).collect();
    let mut shares = BTreeMap::new();
    versions.iter().for_each(|version| *shares.entry(version.clone()).or_default() += 1);
    (versions, shares)
}

#[test]
fn the_state_directory_is_read_unless_the_file_is_asked_for_as_written() {
    let three = SERVED.replace("v2: [\"127.0.0.1:2\"]", "v2: [\"127.0.0.1:2\"], v3: [\"127.0.0.1:3\"]");
    let (directory, path) = file(&format!("{three}---\n{}\n", release(weights("40%", "20%"))));
    let (written, _) = shares(&path, &[]);
    let place = directory.path().join(".serin/serin.yaml");
    fs::create_dir_all(&place).unwrap();
    let state = history(&[weights("5%", "20%"), weights("40%", "20%")]);
    fs::write(place.join("state.json"), serde_json::to_string(&state).unwrap()).unwrap();
    let (after, of) = shares(&path, &[]);
    // The growth of v2 goes beyond v3, which keeps its own.
    let moved = written.iter().zip(&after).filter(|(written, after)| written != after).count();
    assert!((700..900).contains(&moved), "{moved}: {of:?}");
    let ann = ["--header", "cookie: user=ann"];
    assert!(said(&path, &ann).ends_with(&format!(". buckets are as kept in {}/state.json\n", place.display())));
    assert_eq!(shares(&path, &["--as-written"]).0, written);
    assert!(!said(&path, &["--as-written", ann[0], ann[1]]).contains("buckets are"));
    let elsewhere = directory.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    assert_eq!(shares(&path, &["--state-dir", elsewhere.to_str().unwrap()]).0, written);
    fs::rename(place.join("state.json"), elsewhere.join("state.json")).unwrap();
    assert_eq!(shares(&path, &["--state-dir", elsewhere.to_str().unwrap()]).0, after);
    let output = Command::new(serin_tests::command().unwrap())
        .args(["explain", "-f", path.to_str().unwrap(), "-o", "json", ann[0], ann[1]])
        .env("SERIN_STATE_DIR", &elsewhere)
        .output();
    let answer: Value = serde_json::from_str(&stdout(&output.unwrap())).unwrap();
    let last = answer["steps"].as_array().unwrap().last().unwrap();
    assert_eq!(
        *last,
        json!({"kind": "history", "from": "state-directory", "path": elsewhere.join("state.json"), "paused": false})
    );
    fs::write(elsewhere.join("state.json"), "{").unwrap();
    let output = serin(&["explain", "-f", path.to_str().unwrap(), "--state-dir", elsewhere.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.starts_with("error: ") && message.contains("state.json: the bucket maps cannot be read: "), "{message}");
}

#[test]
fn a_paused_release_is_explained_as_it_is_held() {
    let directory = tempfile::tempdir().unwrap();
    let state = history(&[weights("5%", "0%"), weights("50%", "0%")]);
    fs::write(directory.path().join("state.json"), serde_json::to_string(&state).unwrap()).unwrap();
    let paused = release(json!({"paused": true, "canaries": [{"version": "v2", "weight": "1%"}]}));
    let (_directory, path) = served(&paused);
    let held = ["--state-dir", directory.path().to_str().unwrap()];
    let share = shares(&path, &held).1["v2"];
    assert!((900..1_100).contains(&share), "{share}");
    assert!(said(&path, &held).contains("   1. the release is paused: its split is held as kept in "));
    let share = shares(&path, &[&held[..], &["--as-written"]].concat()).1["v2"];
    assert!((5..40).contains(&share), "{share}");
}

#[test]
fn a_status_says_which_buckets_are_whose() {
    let status = |release: Value, runs: Value| {
        let mut release = release;
        release["status"] = json!({"observedGeneration": 2, "phase": "Active", "allocation": {"base": runs}});
        file(&release.to_string())
    };
    // 5 % at the upper end, where no fresh file would have it.
    let runs = json!([{"buckets": 80_000}, {"version": "v2", "buckets": 5_000}]);
    let (_directory, path) = status(release(json!({})), runs.clone());
    let ann = ["--header", "cookie: user=ann"];
    assert_eq!(explained(&path, &ann)["version"], "v2");
    assert!(said(&path, &ann).ends_with(". buckets are as in the release's status\n"));
    assert_eq!(explained(&path, &[&ann[..], &["--as-written"]].concat())["version"], "v1");
    // A pause holds them, whatever the weights are now; rules are not in a status.
    let other = json!({"paused": true, "canaries": [{"version": "v2", "weight": "1%"}],
        "rules": [{"name": "some", "when": [{"cookie": {"name": "user", "exact": "bob"}}], "split": [{"version": "v2", "weight": "100%"}]}]});
    let (_directory, path) = status(release(other), runs);
    assert_eq!(explained(&path, &ann)["version"], "v2");
    assert!(
        said(&path, &ann)
            .contains("the release is paused: buckets are held as in its status, rules and stickiness are as written")
    );
    assert_eq!(explained(&path, &["--header", "cookie: user=bob"])["rule"], "some");
    // Paused at nothing is held at nothing.
    let (_directory, path) =
        status(release(json!({"paused": true, "canaries": [{"version": "v2", "weight": "100%"}]})), json!([]));
    assert_eq!(explained(&path, &ann)["version"], "v1");
}

#[test]
fn a_canary_that_is_not_ready_gets_nothing_by_the_status() {
    let spec = json!({"canaries": [{"version": "v2", "weight": "100%"}], "rules": [{"name": "team", "when": [{"header": {"name": "x-team", "exact": "qa"}}], "version": "v2"}]});
    let with = |spec: &Value, share: &str, ready: u32| {
        let mut release = release(spec.clone());
        release["status"] = json!({"observedGeneration": 2, "allocation": {"base": [{"version": "v2", "buckets": 100_000}]},
            "versions": [{"version": "v1", "share": "0%", "ready": 1}, {"version": "v2", "share": share, "ready": ready}]});
        file(&release.to_string())
    };
    let ann = ["--header", "cookie: user=ann"];
    let team = ["--header", "x-team: qa"];
    for (share, ready, version) in [("100%", 1, "v2"), ("0%", 0, "v1")] {
        let (_directory, path) = with(&spec, share, ready);
        let (weight, rule) = (explained(&path, &ann), explained(&path, &team));
        assert_eq!((&weight["version"], &weight["bucket"]), (&json!(version), &json!(83_458)));
        assert_eq!((&rule["version"], &rule["rule"]), (&json!(version), &json!("team")));
        let note = "1. by the release's status no endpoint of v2 is ready, so stable gets what would go there\n";
        assert_eq!(said(&path, &ann).contains(note), ready == 0);
    }
    let (_directory, path) = with(&spec, "0%", 0);
    assert_eq!(explained(&path, &[&ann[..], &["--as-written"]].concat())["version"], "v2");
    let mut taken_over = spec;
    taken_over["takeover"] = json!("v2");
    let (_directory, path) = with(&taken_over, "0%", 0);
    assert_eq!(explained(&path, &ann)["reason"], "weight");
}

#[test]
fn a_first_visit_is_decided_by_the_id_that_the_proxy_would_have() {
    let issue = json!({"sticky": {"by": [{"cookie": "user"}], "otherwise": {"issueCookie": {"name": "sid"}}}});
    let sentence = "this visit has no key: it is decided by its request id (v2 for 5% of visits), and an identity is issued as cookie `sid`";
    for (_directory, path) in [served(&release(issue.clone())), file(&release(issue).to_string())] {
        let text = said(&path, &[]);
        assert!(text.contains(&format!("{sentence} (this id is made up)\n")), "{text}");
        assert_eq!(said(&path, &[]), text, "the same each time");
        let given = ["--header", "x-request-id: f4a1d2c4-6c3b-4d4c-9a57-5f8f0d3f7c11"];
        assert!(said(&path, &given).contains(&format!("{sentence}\n")));
        let step = &explained(&path, &[])["steps"][1];
        assert_eq!((&step["kind"], &step["madeUp"], &step["cookie"]), (&json!("first-visit"), &json!(true), &json!("sid")));
        let answers = batch(&path, &"{}\n".repeat(10_000), &[]);
        let canaries = answers.iter().filter(|answer| answer["version"] == "v2").count();
        assert!((400..600).contains(&canaries), "{canaries}");
        assert!(answers.iter().all(|answer| answer["reason"] == "weight" && answer["key"] == "cookie:sid"));
        assert_eq!(batch(&path, &"{}\n".repeat(10_000), &[]), answers);
    }
    // Without stickiness each visit is decided anew; with a key and no fallback stable is the proxy's answer too.
    let (_directory, path) = served(&release(json!({"sticky": null})));
    assert!(
        said(&path, &[]).contains("each visit is decided by its request id (v2 for 5% of visits) (this id is made up)\n")
    );
    let (_directory, path) = served(&release(json!({})));
    assert!(said(&path, &[]).contains("no cookie `user`, so the request goes to stable (v1)\n"));
    // For those who have the request as the filter saw it nothing is made up.
    let (_directory, path) = served(&release(json!({"sticky": null})));
    assert_eq!(explained(&path, &["--as-seen"])["reason"], "no-key");
}

#[test]
fn a_request_is_seen_as_the_proxy_shows_it() {
    let rules = json!({"rules": [
        {"name": "admin", "when": [{"path": {"pathPrefix": "/admin"}}], "version": "v2"},
        {"name": "shop", "when": [{"authority": {"exact": "shop.example.com"}}], "version": "v2"},
        {"name": "https", "when": [{"header": {"name": "x-forwarded-proto", "exact": "https"}}], "version": "v2"},
        {"name": "team", "when": [{"header": {"name": "x-team", "exact": "qa"}}], "version": "v2"}]});
    let (_served, standalone) = served(&release(rules.clone()));
    let (_mesh, mesh) = file(&release(rules).to_string());
    for path in [&standalone, &mesh] {
        for asked in ["/x/../admin", "/./admin", "/%61dmin", "/x\\..\\admin"] {
            let answer = explained(path, &["--path", asked]);
            assert_eq!(answer["rule"], "admin", "{asked}");
            assert_eq!(answer["steps"][0], json!({"kind": "proxy", "header": ":path", "was": asked, "is": "/admin"}));
            assert_eq!(explained(path, &["--as-seen", "--path", asked])["rule"], Value::Null);
        }
        assert_eq!(explained(path, &["--path", "/x%2fadmin"])["rule"], Value::Null);
        assert_eq!(explained(path, &["--header", "host: shop.example.com"])["rule"], "shop");
    }
    let https = ["--header", "x-forwarded-proto: https"];
    let named = ["--header", "x-team: qa", "--header", "connection: x-team"];
    // Whoever is the edge believes neither; in a mesh they are what the caller's proxy says.
    assert_eq!(
        (&explained(&standalone, &https)["rule"], &explained(&mesh, &https)["rule"]),
        (&Value::Null, &json!("https"))
    );
    assert_eq!((&explained(&standalone, &named)["rule"], &explained(&mesh, &named)["rule"]), (&Value::Null, &json!("team")));
    let text = said(&standalone, &[&https[..], &named[..]].concat());
    assert!(text.contains("the proxy makes the header `x-forwarded-proto` `http`; it was `https`\n"), "{text}");
    assert!(text.contains("the proxy removes the header `x-team`, which was `qa`\n"), "{text}");
    assert!(
        said(&standalone, &["--path", "/a%00"])
            .contains("Envoy answers 400 and no filter sees this request: the path has `%00`\n")
    );
}

#[test]
fn who_asks_for_the_client_is_told_which_one_is_taken() {
    let (_directory, path) = served(&release(json!({"sticky": {"by": [{"sourceAddress": {}}]}})));
    let step = |arguments: &[&str]| {
        explained(&path, arguments)["steps"].as_array().unwrap().iter().any(|step| step["kind"] == "client")
    };
    assert!(step(&[]) && !step(&["--source", "10.0.0.1"]));
    assert!(said(&path, &[]).contains("the client is taken to be 127.0.0.1; --source says another address\n"));
    let (_directory, path) = served(&release(json!({})));
    assert!(!said(&path, &[]).contains("127.0.0.1"));
}

#[test]
fn faults_of_a_command_line_are_told_with_a_fix() {
    let (_directory, path) =
        file(&format!("{}\n---\n{}\n", release(json!({})), release(json!({})).to_string().replace("reviews", "ratings")));
    let path = path.to_str().unwrap();
    let told = |arguments: &[&str]| refused(&[&["explain", "-f", path], arguments].concat());
    assert_eq!(
        told(&[]),
        "error: the file has 2 releases; choose one: --destination reviews.bookinfo.svc.cluster.local, or --destination ratings.bookinfo.svc.cluster.local\n"
    );
    for (arguments, expected) in [
        (["--destination", "http://a.x/"], "a destination has no scheme and no path; write `a.x`"),
        (["--destination", "x:99999"], "99999 is not a port; use 1 to 65535"),
        (["--destination", ":80"], "write HOST:PORT, such as `reviews.bookinfo.svc.cluster.local:9080`"),
        (["--path", "preview"], "a path begins with `/`; write `/preview`"),
        (["--header", "cookie"], "write `NAME: VALUE`, such as `cookie: user=ann`"),
    ] {
        assert!(told(&arguments).contains(expected), "{}", told(&arguments));
    }
    assert!(
        told(&["--requests", "/nowhere"]).starts_with("error: /nowhere: cannot be read: "),
        "{}",
        told(&["--requests", "/nowhere"])
    );
}

#[test]
fn faults_of_a_batch_are_told_with_their_line() {
    let (_directory, path) =
        file(&format!("{}\n---\n{}\n", release(json!({})), release(json!({})).to_string().replace("reviews", "ratings")));
    let lines = "\u{feff}{\"id\":1,\"destination\":\"ratings.bookinfo.svc.cluster.local\"}\n\n{\"id\":2}\nnonsense\n{\"id\":3,\"headers\":[[\":path\",5]]}\n";
    let answers = batch(&path, lines, &[]);
    assert_eq!(answers[0]["release"], "bookinfo/ratings");
    let choose = r#"choose one: `"destination": "reviews.bookinfo.svc.cluster.local"`, or `"destination": "ratings.bookinfo.svc.cluster.local"`"#;
    assert_eq!(answers[1], json!({"id": 2, "error": format!("line 3: the file has 2 releases; {choose}")}));
    assert_eq!(
        answers[2],
        json!({"id": null, "error": "line 4: not JSON at character 2: expected ident; write one object a line"})
    );
    let value = r#"headers[0]: a number where a value belongs; write a text, or {"base64": TEXT} for bytes that are not"#;
    assert_eq!(answers[3], json!({"id": 3, "error": format!("line 5: {value}")}));
    // The host says where a request goes too.
    let host = batch(&path, "{\"headers\":[[\"host\",\"ratings.bookinfo.svc.cluster.local\"]]}\n", &[]);
    assert_eq!(host[0]["release"], "bookinfo/ratings");
    let requests = path.with_file_name("requests");
    fs::write(&requests, "x\ny\n").unwrap();
    let told = refused(&["explain", "-f", path.to_str().unwrap(), "--requests", requests.to_str().unwrap()]);
    assert_eq!(told, "error: no line of the requests could be read; its answer says why\n");
}

#[test]
fn the_help_says_what_is_assumed() {
    let help = stdout(&serin(&["explain", "--help"]));
    let words = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for said in [
        "What the proxy does before the filter sees a request is done here too.",
        "For other files it is Istio's default",
        "SERIN_STATE_DIR",
    ] {
        assert!(words.contains(said), "{help}");
    }
}
