//! Traces, from the list down to who served, and back to the log.

use super::*;

pub(super) fn a_trace_says_why_and_who_served_and_leads_to_its_line() {
    let settings = json!({"accessLog": "/dev/stdout", "tracing": {"sampling": "100%"}});
    let console = Console::with_settings("50%", settings);
    let users: Vec<usize> = (0..40).collect();
    let answers = console.standalone.ask(&users, 4, |&user| user_request(user, "")).unwrap();
    let canaries = answers.iter().filter(|answer| answer.body == b"v2").count();
    // Not the request that waited for the start.
    let of_user = |row: &Value| row["name"].as_str().unwrap().contains("/reviews/0");
    let rows = |query: &str| -> Vec<Value> {
        let list = console.json(&format!("/traces.json?{query}"));
        list["rows"].as_array().unwrap().iter().filter(|row| of_user(row)).cloned().collect()
    };
    let all = || (rows("version=v1").len(), rows("version=v2").len());
    let came = eventually("all spans came", || all() == (40 - canaries, canaries));
    came.unwrap_or_else(|error| panic!("{error}: {canaries} {:?}", all()));
    assert!(rows("status=5").is_empty());
    assert!(rows("min=60000").is_empty());
    assert_eq!(rows("version=v2&reason=weight&status=2").len(), canaries);
    let row = rows("version=v2")[0].clone();
    let id = row["id"].as_str().unwrap();
    let page = console.page(&format!("/traces/{id}"));
    let reason = row["reason"].as_str().unwrap();
    assert!(reason.starts_with("weight(cookie:user,"), "{row}");
    for tag in ["serin.version", "serin.reason", reason, "upstream_cluster.name", row["upstream"].as_str().unwrap()] {
        assert!(page.contains(tag), "{tag} in {page}");
    }
    let twin = console.json(&format!("/traces/{id}.json"));
    let request = twin["request"].as_str().unwrap();
    assert!(page.contains(&format!("href=\"/requests?q={request}\"")), "{page}");
    // And back.
    let line = || console.json(&format!("/requests.json?q={request}"))["rows"].clone();
    eventually("the log is read", || line().as_array().unwrap().len() == 1).unwrap();
    assert_eq!(line()[0]["trace_id"], id);
    assert!(console.page(&format!("/requests?q={id}")).contains(&format!("href=\"/traces/{id}\"")));
    assert_eq!(console.get("/traces/none").status, 404);
}

pub(super) fn without_tracing_the_page_says_what_is_missing() {
    let console = Console::start("20%");
    let page = console.page("/traces");
    assert!(page.contains("Nothing is traced; set `spec.tracing: {sampling: 1%}` in the Standalone"), "{page}");
    let settings = json!({"tracing": {"sampling": "1%", "endpoint": "http://127.0.0.1:9/api/v2/spans"}});
    let page = Console::with_settings("20%", settings).page("/traces");
    assert!(page.contains("Spans go to http://127.0.0.1:9/api/v2/spans: look there"), "{page}");
}
