//! `serin explain` says what a real Envoy does: after a history of changes, for requests of all kinds.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::*;

/// Requests while the release is running, and while it is paused.
const RUNNING: std::ops::Range<u64> = 0..1_000;
const PAUSED: std::ops::Range<u64> = 1_000..3_000;

/// A header as it is sent.
type Header = (&'static str, Vec<u8>);

/// A request as a client sends it.
struct Sent {
    method: &'static str,
    host: &'static str,
    path: Vec<u8>,
    headers: Vec<Header>,
}

/// Numbers that are the same each time (Vigna's splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % below as u64) as usize
    }

    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    /// Whether something that happens once in so many times happens now.
    fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}

fn token(random: &mut Random) -> Vec<u8> {
    let payload = match random.below(4) {
        0 => format!(r#"{{"sub":{}}}"#, random.below(500)),
        1 => r#"{"sub":["a"]}"#.to_owned(),
        _ => format!(r#"{{"iss":"x","sub":"person-{}"}}"#, random.below(500)),
    };
    let scheme = random.one(&["Bearer ", "bearer ", "", "Basic "]);
    format!("{scheme}e30.{}.x", URL_SAFE_NO_PAD.encode(payload)).into_bytes()
}

fn cookies(random: &mut Random) -> Vec<u8> {
    match random.below(12) {
        0 => format!("sid={:032x}", random.below(1 << 30)).into_bytes(),
        1 => [b"junk=".to_vec(), vec![b'a' + random.below(26) as u8; 60_000], b"; user=big".to_vec()].concat(),
        2 => b"user=\"quoted\"; user=second".to_vec(),
        3 => b"user=\xff\xfe".to_vec(),
        4 => b"=;;user; beta=1".to_vec(),
        5 => (0..300).map(|number| format!("c{number}={number}; ")).collect::<String>().into_bytes(),
        6 => format!("beta=1; user=user-{}", random.below(2_000)).into_bytes(),
        _ => format!("theme=dark; user=user-{}", random.below(2_000)).into_bytes(),
    }
}

fn path(random: &mut Random, number: u64) -> Vec<u8> {
    const PIECES: [&str; 30] = [
        "admin",
        "%61dmin",
        "api",
        "x",
        "..",
        ".",
        "%2e%2e",
        "%2E",
        ".%2e",
        "..;v=1",
        ".;",
        "",
        "",
        "a\\b",
        "..\\admin",
        "a%2fb",
        "%5C..",
        "%zz",
        "%4",
        "%C3%BC",
        "\"q\"",
        "{id}",
        "a|b",
        "reviews",
        "v2.15",
        "~%7e",
        "a%20b",
        "^`",
        "...",
        "[1]",
    ];
    let mut path = String::new();
    for _ in 0..=random.below(5) {
        path.push('/');
        path.push_str(random.one(&PIECES));
    }
    if random.once_in(60) {
        // Envoy itself refuses these.
        path.push_str(random.one(&["/%00", "/a#b", "/\u{fc}"]));
    }
    let query = random.one(&["", "v=2.15&", "v=3&", "uid=u%2bser&", "uid=&", "flag&a=%zz&", "q=/../%61&", "?v=2&"]);
    format!("{path}?{query}n={number}").into_bytes()
}

/// A request that somebody might send, and one that nobody should. `newer` says that `..;x` is `..` for Envoy, as since 1.39.
fn request(number: u64, newer: bool) -> Sent {
    let mut random = Random(number ^ 0x5eed);
    let path = path(&mut random, number).into_iter().filter(|byte| newer || *byte != b';').collect();
    let host = random.one(&[
        HOST,
        HOST,
        "reviews",
        "reviews",
        "REVIEWS",
        "Reviews:9080",
        "reviews.bookinfo.svc.cluster.local:9080",
        "shop.example.com",
        "Shop.Example.COM:9080",
        "ratings:8080",
        "Ratings.bookinfo.svc.cluster.local",
        "details",
        "details:80",
        "plain",
    ]);
    let rare = ["nobody", "reviews:80", "example.com", "ratings:9080", "reviews.", "Reviews.:9080"];
    let host = if random.once_in(30) { random.one(&rare) } else { host };
    let mut headers: Vec<Header> = Vec::new();
    if !random.once_in(3) {
        headers.push(("cookie", cookies(&mut random)));
    }
    for _ in 0..random.below(6) {
        let name = random.one(&[
            "cookie",
            "Cookie",
            "x-team",
            "X-Team",
            "x-user-id",
            "user-agent",
            "authorization",
            "baggage",
            "x-forwarded-for",
            "X-Forwarded-Proto",
            "x-forwarded-host",
            "x-forwarded-port",
            "x-envoy-internal",
            "x-envoy-external-address",
            "x-envoy-retry-on",
            "x-envoy-original-path",
            "x-envoy-attempt-count",
            "x-serin-version",
            "X-Serin-Version",
            "x-request-id",
            "referer",
            "te",
            "expect",
            "connection",
            "keep-alive",
            "proxy-connection",
            "upgrade",
            "accept",
            "x-raw",
        ]);
        // Some come twice.
        for _ in 0..=usize::from(random.once_in(6)) {
            headers.push((name, value(name, &mut random)));
        }
    }
    Sent { method: random.one(&["GET", "GET", "GET", "POST", "OPTIONS", "HEAD", "DELETE"]), host, path, headers }
}

fn value(name: &str, random: &mut Random) -> Vec<u8> {
    if random.once_in(if name == "x-raw" { 2 } else { 20 }) {
        return random.one(&[&b""[..], b" \t", b"\xff\xfe", b"caf\xc3\xa9", b"a\tb"]).to_vec();
    }
    let texts: &[&str] = match name.to_ascii_lowercase().as_str() {
        "cookie" => return cookies(random),
        "authorization" => return token(random),
        "x-user-id" => return format!("id-{}", random.below(1_000)).into_bytes(),
        "x-team" => &["qa", "dev", "ops", "QA ", "qa,dev"],
        "user-agent" => {
            &["Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X)", "curl/8", "Mozilla/5.0 (X11; Linux x86_64)"]
        }
        "baggage" => &["user=bag%20one;ttl=1", "a=1,user=two", "user=", "broken"],
        "x-forwarded-for" => &["1.2.3.4", "1.2.3.4, 5.6.7.8", "::1", "unknown"],
        "x-forwarded-proto" => &["https", "http"],
        "referer" => &[
            "https://shop.example.com/campaign",
            "https://shop.example.com/campaign#part",
            "about:blank",
            "/campaign",
            "https://u@shop.example.com/campaign",
        ],
        "te" => &["trailers", "gzip", "trailers, deflate;q=0.5", "Trailers"],
        "expect" => &["100-continue", "nothing"],
        "connection" => &[
            "close",
            "keep-alive",
            "x-team",
            "X-User-Id, x-raw",
            "cookie",
            "keep-alive, authorization",
            "te",
            "x-forwarded-for",
            "upgrade",
        ],
        "upgrade" => &["h2c", "foo"],
        "x-serin-version" => &["v1", "v2", "v3"],
        _ => &["1", "5xx", "true", "other"],
    };
    random.one(texts).as_bytes().to_vec()
}

impl Sent {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes =
            [self.method.as_bytes(), b" ", &self.path, b" HTTP/1.1\r\nhost: ", self.host.as_bytes(), b"\r\n"].concat();
        for (name, value) in &self.headers {
            bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        bytes.extend(b"\r\n");
        bytes
    }

    /// The same as a line of a batch. Of the request id that one is said which Envoy gave it.
    fn line(&self, number: u64, request_id: &str) -> Value {
        let text = |bytes: &[u8]| match std::str::from_utf8(bytes) {
            Ok(text) => json!(text),
            Err(_) => json!({"base64": STANDARD.encode(bytes)}),
        };
        let mut headers =
            vec![json!([":method", self.method]), json!([":path", text(&self.path)]), json!(["host", self.host])];
        let sent = self.headers.iter().filter(|(name, _)| *name != "x-request-id");
        headers.extend(sent.map(|(name, value)| json!([name, text(value)])));
        headers.push(json!(["x-request-id", request_id]));
        json!({"id": number, "headers": headers, "source": "127.0.0.1"})
    }
}

/// A file with these releases in front of the upstreams of `standalone`.
fn file(standalone: &Standalone, log: &Path, releases: &[Value]) -> String {
    let text = standalone.manifest(&spec(&[]));
    let mut served: Value = serde_json::from_str(text.split("\n---\n").next().unwrap()).unwrap();
    let versions = served["spec"]["services"][0]["versions"].clone();
    served["spec"]["accessLog"] = json!(log);
    // Whether a request is traced shows in its id, by which some are decided.
    served["spec"]["tracing"] = json!({"sampling": "50%"});
    served["spec"]["services"] = json!([
        {"host": HOST, "port": 9080, "aliases": ["reviews", "*.example.com"], "versions": versions},
        {"host": "ratings.bookinfo.svc.cluster.local", "port": 8080, "aliases": ["ratings"], "versions": versions},
        {"host": "details", "port": 80, "versions": versions},
        {"host": "plain", "port": 80, "versions": versions},
        {"host": "marker", "port": 80, "versions": versions},
    ]);
    let mut text = served.to_string();
    for release in releases {
        text.push_str(&format!("\n---\n{release}"));
    }
    text + "\n"
}

fn release(name: &str, canaries: &[(&str, &str)], more: Value) -> Value {
    let mut spec = spec(canaries);
    spec["service"] = json!(name);
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"apiVersion": "serin.dev/v1alpha1", "kind": "CanaryRelease", "metadata": {"name": name, "namespace": "bookinfo"}, "spec": spec})
}

/// Rules over all that Envoy may change; those that hold for many requests come last.
fn rules() -> Value {
    let rule = |name: &str, when: Value| json!({"name": name, "version": "v3", "when": when});
    json!([
        rule("internal", json!([{"header": {"name": "x-envoy-internal", "present": true}}])),
        rule("retry", json!([{"header": {"name": "x-envoy-retry-on", "present": true}}])),
        rule("original", json!([{"header": {"name": "x-envoy-original-path", "present": true}}])),
        rule("https", json!([{"header": {"name": "x-forwarded-proto", "exact": "https"}}])),
        rule("outside", json!([{"not": {"header": {"name": "x-envoy-external-address", "exact": "127.0.0.1"}}}])),
        rule("hop", json!([{"anyOf": [{"header": {"name": "connection", "present": true}}, {"header": {"name": "keep-alive", "present": true}},
            {"header": {"name": "upgrade", "present": true}}, {"header": {"name": "proxy-connection", "present": true}}]}])),
        rule("attempts", json!([{"header": {"name": "x-envoy-attempt-count", "in": ["1", "1,1", "5xx,1"]}}])),
        rule("forwarded", json!([{"header": {"name": "x-forwarded-for", "prefix": "1.2.3.4"}}, {"method": {"exact": "GET"}}])),
        rule("ports", json!([{"header": {"name": "x-forwarded-port", "contains": "1,"}}])),
        rule("trailers", json!([{"header": {"name": "te", "exact": "trailers"}}])),
        rule("waits", json!([{"header": {"name": "expect", "present": true}}])),
        rule("campaign", json!([{"header": {"name": "referer", "contains": "/campaign"}}])),
        rule("admin", json!([{"path": {"pathPrefix": "/admin"}}, {"not": {"method": {"exact": "POST"}}}])),
        rule("exact", json!([{"path": {"in": ["/x", "//", "/a%2fb", "/%22q%22", "/~~"]}}])),
        rule("pattern", json!([{"path": {"regex": "/api(/.*)?"}}])),
        rule("raw", json!([{"header": {"name": "x-raw", "present": true}}, {"not": {"header": {"name": "x-raw", "regex": ".*"}}}])),
        rule("query", json!([{"query": {"name": "v", "regex": "2(\\.[0-9]+)?"}}])),
        rule("phones", json!([{"os": {"in": ["ios"]}}])),
        rule("lower", json!([{"authority": {"suffix": ".com"}}, {"cookie": {"name": "user", "present": true}}])),
        {"name": "team", "when": [{"header": {"name": "x-team", "in": ["qa", "dev"], "ignoreCase": true}}],
            "split": [{"version": "v2", "weight": "30%"}], "sticky": {"by": [{"header": "x-user-id"}], "otherwise": "random"}},
        {"name": "beta", "when": [{"cookie": {"name": "beta", "exact": "1"}}], "split": [{"version": "v2", "weight": "50%"}]},
    ])
}

/// What a release routes by, when nobody says otherwise.
fn sticky() -> Value {
    json!({"by": [{"cookie": "user"}, {"header": "x-user-id"}, {"query": "uid"}, {"jwtClaim": {"claim": "sub"}}, {"baggage": "user"}],
        "otherwise": {"issueCookie": {"name": "sid"}}})
}

/// The steps of a history: weights, rules, a release that goes and comes back, a pause during which weights change.
fn history() -> Vec<Vec<Value>> {
    let reviews = |v2: &str, v3: &str, more: Value| release("reviews", &[("v2", v2), ("v3", v3)], more);
    let ratings = |v2: &str| {
        release("ratings", &[("v2", v2)], json!({"sticky": {"by": [{"header": "x-forwarded-for"}, {"sourceAddress": {}}]}}))
    };
    let details = |v2: &str| release("details", &[("v2", v2), ("v3", "10%")], json!({"sticky": null}));
    let held = |v2: &str| reviews(v2, "25%", json!({"sticky": sticky(), "rules": rules(), "paused": true}));
    let running = || reviews("15%", "25%", json!({"sticky": sticky(), "rules": rules()}));
    vec![
        vec![reviews("5%", "20%", json!({"sticky": sticky()})), ratings("10%")],
        vec![reviews("40%", "20%", json!({"sticky": sticky()})), ratings("10%"), details("30%")],
        vec![reviews("40%", "5%", json!({"sticky": sticky(), "rules": rules()})), ratings("60%"), details("50%")],
        vec![running(), details("20%")],
        vec![running(), ratings("35%"), details("20%")],
        vec![held("70%"), ratings("70%"), details("45%")],
        vec![held("1%"), ratings("20%"), details("45%")],
    ]
}

/// The lines of an access log, by the number in the query.
fn logged(log: &Path) -> BTreeMap<u64, Value> {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let numbered = lines.filter_map(|line| {
        let number = line["path"].as_str()?.rsplit_once("n=")?.1.parse().ok()?;
        Some((number, line))
    });
    numbered.collect()
}

/// What `serin explain` says to these lines, with the steps; `more` begins with the command.
fn explained(standalone: &Standalone, lines: &[Value], more: &[&str]) -> Vec<Value> {
    let mut process = Command::new(serin_tests::command().unwrap())
        .args(more)
        .args(["--steps", "--requests", "-", "-f"])
        .arg(standalone.file())
        .arg("--state-dir")
        .arg(standalone.file().with_file_name("state"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let mut input = process.stdin.take().unwrap();
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()).unwrap());
    let output = process.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The reason as an access log writes it.
fn summary(answer: &Value) -> String {
    let text = |name: &str| match &answer[name] {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let parts: Vec<String> = ["rule", "key", "bucket"].into_iter().filter_map(text).collect();
    let reason = answer["reason"].as_str().unwrap();
    if parts.is_empty() { reason.to_owned() } else { format!("{reason}({})", parts.join(",")) }
}

/// What came of requests that went through Envoy and through `serin explain`.
#[derive(Default)]
struct Compared {
    refused: usize,
    taken: usize,
    differ: Vec<String>,
    /// Where `--as-written` says another version.
    history: usize,
    /// How often each way to a version was taken.
    ways: BTreeMap<String, usize>,
}

/// Sends requests through Envoy, and asks `serin explain` about those that Envoy did not refuse.
fn compare(standalone: &Standalone, log: &Path, numbers: std::ops::Range<u64>) -> Compared {
    let newer = serin_tests::envoy::version().unwrap() >= (1, 39);
    let sent: Vec<(u64, Sent)> = numbers.map(|number| (number, request(number, newer))).collect();
    let answers = standalone.ask(&sent, 1, |(_, sent)| sent.bytes()).unwrap();
    // What Envoy refuses by itself: what is not HTTP, an upgrade, a host that nobody has, headers of more than 96 KiB.
    let statuses: BTreeSet<u16> = answers.iter().map(|answer| answer.status).collect();
    assert!(statuses.iter().all(|status| [200, 400, 403, 404, 431].contains(status)), "{statuses:?}");
    let taken: Vec<_> = sent.iter().zip(&answers).filter(|(_, answer)| answer.status == 200).collect();
    let mut lines = BTreeMap::new();
    eventually("all requests are logged", || {
        lines = logged(log);
        taken.iter().all(|((number, _), _)| lines.contains_key(number))
    })
    .unwrap();
    let id = |number: &u64| lines[number]["request_id"].as_str().unwrap();
    let asked: Vec<Value> = taken.iter().map(|((number, sent), _)| sent.line(*number, id(number))).collect();
    let said = explained(standalone, &asked, &["explain"]);
    let written = explained(standalone, &asked, &["explain", "--as-written"]);
    assert_eq!((said.len(), written.len()), (taken.len(), taken.len()));
    let mut compared = Compared { refused: sent.len() - taken.len(), taken: taken.len(), ..Compared::default() };
    for (((number, sent), answer), (said, written)) in taken.into_iter().zip(said.iter().zip(&written)) {
        compared.add(sent, answer, &lines[number], said);
        compared.history += usize::from(said["version"] != written["version"]);
    }
    compared
}

impl Compared {
    /// Compares one request: what Envoy logged and answered, and what was said.
    fn add(&mut self, sent: &Sent, answer: &Response, line: &Value, said: &Value) {
        let service = line["cluster"].as_str().unwrap().rsplit('|').next().unwrap().split('.').next().unwrap();
        let release = if service == "plain" { Value::Null } else { json!(format!("bookinfo/{service}")) };
        let first_visit = said["steps"].as_array().unwrap().iter().find(|step| step["kind"] == "first-visit");
        let issues = first_visit.is_some_and(|visit| visit["cookie"] == "sid");
        let reason = line["reason"].as_str().unwrap().to_owned();
        let from_envoy = (&release, &line["version"], reason, answer.header("set-cookie").is_some());
        let from_explain = (&said["release"], &said["version"], summary(said), issues);
        // A version is served where one was decided.
        let served = String::from_utf8_lossy(&answer.body);
        let other = said["version"].as_str().is_some_and(|version| !served.is_empty() && served != version);
        if from_envoy != from_explain || other {
            let sent = sent.bytes().escape_ascii().to_string();
            self.differ.push(format!("{sent}\n  envoy   {from_envoy:?}\n  explain {from_explain:?}\n  {said}"));
        }
        let way = match (said["rule"].as_str(), said["key"].as_str()) {
            (Some(rule), _) => format!("rule {rule}"),
            (None, Some(key)) if first_visit.is_some() => format!("first visit by {key}"),
            (None, Some(key)) => format!("weight by {key}"),
            (None, None) => said["reason"].as_str().unwrap().to_owned(),
        };
        *self.ways.entry(way).or_default() += 1;
    }

    fn check(&self) {
        let Self { refused, taken, differ, history, ways } = self;
        let differences = differ.len();
        eprintln!(
            "{taken} compared, {refused} refused by Envoy, {differences} differ, {history} by history alone: {ways:#?}"
        );
        let first: Vec<&str> = differ.iter().take(10).map(String::as_str).collect();
        assert!(differ.is_empty(), "{differences} of {taken} differ:\n{}", first.join("\n"));
        assert!(*refused <= (taken + refused) / 10, "Envoy refused {refused} requests and took {taken}");
        // Else nothing would be seen of the state directory.
        assert!(*history > taken / 20, "{history} of {taken}");
    }
}

pub(crate) fn explain_says_what_envoy_does_after_a_history_of_changes() {
    let standalone = Standalone::start(&["v1", "v2", "v3"], &spec(&[]), 1).unwrap();
    let log = standalone.file().with_file_name("access.log");
    for (step, mut releases) in history().into_iter().enumerate() {
        // The only worker has the whole document once it sends this service's requests elsewhere.
        let version = ["v2", "v3", "v1"][step % 3];
        releases.push(release("marker", &[("v2", "0%"), ("v3", "0%")], json!({"takeover": version})));
        standalone.replace(&file(&standalone, &log, &releases)).unwrap();
        let marker = || Connection::open(standalone.listen)?.get("marker", "/", &[]);
        eventually("the change is taken", || marker().is_ok_and(|answer| answer.body == version.as_bytes()))
            .unwrap_or_else(|error| panic!("{error}\n{}", standalone.log()));
        if step == 4 {
            compare(&standalone, &log, RUNNING).check();
        }
    }
    let compared = compare(&standalone, &log, PAUSED);
    compared.check();
    // What is compared is what was meant to be: each rule that a client can meet, each key, and first visits.
    let met: BTreeSet<&str> = compared.ways.keys().map(String::as_str).collect();
    for rule in rules().as_array().unwrap() {
        let name = rule["name"].as_str().unwrap();
        let hidden = ["internal", "retry", "original", "https", "outside", "hop"].contains(&name);
        assert_ne!(met.contains(format!("rule {name}").as_str()), hidden, "{name}: {met:?}");
    }
    for key in [
        "cookie:user",
        "header:x-user-id",
        "query:uid",
        "jwtClaim:sub",
        "baggage:user",
        "cookie:sid",
        "header:x-forwarded-for",
    ] {
        assert!(met.contains(format!("weight by {key}").as_str()), "no request had the key {key}: {met:?}");
    }
    for first in ["first visit by cookie:sid", "first visit by header:x-request-id"] {
        assert!(compared.ways[first] > 50, "{first}: {:?}", compared.ways);
    }
}
