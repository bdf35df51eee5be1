//! Spans of requests: who takes them, and what they say.

use std::sync::{Arc, Mutex};

use serin_tests::standalone::Setup;
use serin_tests::upstream::{Request, serve};

use super::*;

/// A collector of the test's own: its URL, and the spans that came.
fn collector() -> (String, Arc<Mutex<Vec<Value>>>) {
    let spans = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&spans);
    let take = move |request: &Request| {
        assert_eq!(request.line, "POST /api/v2/spans HTTP/1.1");
        assert_eq!(request.header("content-type"), Some("application/json"));
        let batch: Vec<Value> = serde_json::from_slice(&request.body).unwrap();
        sink.lock().unwrap().extend(batch);
        ("202 Accepted".to_owned(), String::new(), String::new())
    };
    let address = serve(take).unwrap();
    (format!("http://{address}/api/v2/spans"), spans)
}

/// Two versions; what they get of the headers of a trace comes back.
fn traced(tracing: Value, log: &std::path::Path) -> Standalone {
    let upstream = |version: &'static str| {
        let answer = move |request: &Request| {
            let headers = ["x-b3-traceid", "traceparent"]
                .map(|name| request.header(name).map(|value| format!("back-{name}: {value}\r\n")).unwrap_or_default());
            ("200 OK".to_owned(), headers.concat(), version.to_owned())
        };
        json!([serve(answer).unwrap().to_string()])
    };
    let versions = json!({"v1": upstream("v1"), "v2": upstream("v2")});
    let mut settings = json!({"accessLog": log});
    if !tracing.is_null() {
        settings["tracing"] = tracing;
    }
    Standalone::start_with(Setup { settings, ..Setup::new(versions, &spec(&[("v2", "30%")])) }).unwrap()
}

fn expected(user: usize) -> (String, String) {
    let version = if bucket(user) < 30_000 { "v2" } else { "v1" };
    (version.to_owned(), format!("weight(cookie:user,{})", bucket(user)))
}

pub(super) fn spans_come_to_serin_with_version_and_reason() {
    let log = tempfile::NamedTempFile::new().unwrap();
    let standalone = traced(json!({"sampling": "100%"}), log.path());
    let told = standalone.log();
    let url = told.split_once(", spans to http://").unwrap().1.split_whitespace().next().unwrap();
    let own: std::net::SocketAddr = url.strip_suffix("/api/v2/spans").unwrap().parse().unwrap();
    assert!(own.ip().is_loopback());
    let get = |path: &str| -> Value {
        let answer = Connection::open(own).unwrap().get("localhost", path, &[]).unwrap();
        assert_eq!(answer.status, 200, "{path}");
        serde_json::from_slice(&answer.body).unwrap()
    };
    let users: Vec<usize> = (0..30).collect();
    let request = |user: &usize| {
        String::from_utf8(user_request(*user, "")).unwrap().replacen("/reviews/0", &format!("/traced/{user}?q=1"), 1)
    };
    for user in &users {
        let answer = Connection::open(standalone.listen).unwrap().send(request(user).as_bytes()).unwrap();
        let id = answer.header("back-x-b3-traceid").unwrap();
        assert_eq!(id.len(), 32);
        assert!(answer.header("back-traceparent").unwrap().starts_with(&format!("00-{id}-")));
    }
    let traces = || -> BTreeMap<String, Value> {
        let list = get("/traces")["traces"].as_array().unwrap().clone();
        let own = |trace: Value| {
            let user = trace["name"].as_str().unwrap().strip_prefix("GET /traced/").map(str::to_owned);
            user.filter(|_| trace["spans"] == 2).map(|user| (user, trace))
        };
        list.into_iter().filter_map(own).collect()
    };
    eventually("all spans have come", || traces().len() == users.len()).unwrap();
    let traces = traces();
    for user in &users {
        let (trace, (version, reason)) = (&traces[&user.to_string()], expected(*user));
        assert_eq!((&trace["version"], &trace["reason"]), (&json!(version), &json!(reason)), "{trace}");
        assert_eq!((&trace["status"], &trace["host"], &trace["error"]), (&json!(200), &json!(HOST), &json!(false)));
        let whole = get(&format!("/traces/{}", trace["id"].as_str().unwrap()));
        let root = &whole["roots"][0];
        assert_eq!((&root["span"]["kind"], whole["roots"].as_array().unwrap().len()), (&json!("SERVER"), 1));
        let attempt = &root["children"][0]["span"];
        assert_eq!((&attempt["kind"], &attempt["tags"]["upstream_address"]), (&json!("CLIENT"), &trace["upstream"]));
        for span in [&root["span"], attempt] {
            assert_eq!(span["tags"]["serin.version"], json!(version));
            assert_eq!(span["tags"]["serin.reason"], json!(reason));
        }
    }
    let counters = stats(standalone.admin, "tracing.zipkin.").unwrap();
    assert_eq!(counters["tracing.zipkin.reports_dropped"], 0, "{counters:?}");
}

/// The lines of the access log by path.
fn lines(log: &std::path::Path) -> BTreeMap<String, Value> {
    let text = std::fs::read_to_string(log).unwrap();
    // Envoy may be in the middle of the last line.
    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let lines = whole.map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.map(|line| (line["path"].as_str().unwrap_or_default().to_owned(), line)).collect()
}

pub(super) fn spans_go_where_the_file_says_while_it_changes() {
    let log = tempfile::NamedTempFile::new().unwrap();
    let standalone = traced(Value::Null, log.path());
    let ((first, of_first), (second, of_second)) = (collector(), collector());
    let text = standalone.manifest(&spec(&[("v2", "30%")]));
    let with = |tracing: Value| {
        let (spec, release) = text.split_once("\n---\n").unwrap();
        let mut spec: Value = serde_json::from_str(spec).unwrap();
        spec["spec"]["tracing"] = tracing;
        format!("{spec}\n---\n{release}")
    };
    let ask = |path: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nhost: {HOST}\r\ncookie: user=user-7\r\n\r\n");
        let answer = Connection::open(standalone.listen).unwrap().send(request.as_bytes()).unwrap();
        assert_eq!(answer.status, 200);
        answer.header("back-x-b3-traceid")
    };
    let change = |text: &str, says: &str| {
        standalone.replace(text).unwrap();
        eventually(says, || standalone.log().contains(says)).unwrap_or_else(|error| panic!("{error}\n{}", standalone.log()));
    };
    assert_eq!(ask("/untraced"), None);
    eventually("the request is logged", || lines(log.path()).contains_key("/untraced")).unwrap();
    assert_eq!(lines(log.path())["/untraced"].get("trace_id"), None);
    let (version, reason) = expected(7);
    let to = [(&first, &of_first, "/first"), (&second, &of_second, "/second")];
    let mut before = "off".to_owned();
    for (url, spans, path) in to {
        let after = format!("100% to {url}");
        change(&with(json!({"sampling": "100%", "endpoint": url})), &format!("tracing: `{before}` -> `{after}`"));
        before = after;
        let mut id = None;
        // Workers get the new listener one after the other.
        eventually("requests are traced there", || {
            id = ask(path);
            let spans = spans.lock().unwrap();
            spans.iter().any(|span| span["tags"]["http.url"] == format!("http://{HOST}{path}"))
        })
        .unwrap();
        let id = id.unwrap();
        let own = || -> Vec<Value> { spans.lock().unwrap().iter().filter(|span| span["traceId"] == id).cloned().collect() };
        eventually("both spans have come", || own().len() == 2).unwrap();
        for span in own() {
            assert_eq!(span["tags"]["serin.version"], json!(version), "{span}");
            assert_eq!(span["tags"]["serin.reason"], json!(reason), "{span}");
        }
        eventually("the line has the trace", || {
            lines(log.path()).get(path).and_then(|line| line["trace_id"].as_str().map(str::to_owned)) == Some(id.clone())
        })
        .unwrap();
    }
    change(&text, &format!("tracing: `{before}` -> `off`"));
    eventually("requests are not traced any more", || ask("/off").is_none()).unwrap();
    // A spec that Envoy would not understand changes nothing.
    for (tracing, says) in [
        (
            json!({"endpoint": "zipkin:9411"}),
            "spec.tracing.endpoint: `zipkin:9411` is not the URL of a Zipkin collector; write one such as",
        ),
        (
            json!({"endpoint": "https://zipkin/spans"}),
            "spec.tracing.endpoint: `https://zipkin/spans` asks for TLS, and spans are sent without it; use",
        ),
        (
            json!({"sampling": "0.125%"}),
            "spec.tracing.sampling: Envoy samples in steps of 0.01%, and `0.125%` is between two; use one",
        ),
        (json!({"sampling": "101%"}), "`101%` is more than 100%; lower it"),
    ] {
        change(&with(tracing), says);
    }
    assert_eq!(ask("/off"), None);
}
