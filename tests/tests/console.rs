//! The console beside `serin standalone`: a real Envoy, real files, pages as they come over the wire.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, clippy::panic, reason = "a test that panics has failed")]

#[path = "console/edit.rs"]
mod edit;
#[path = "console/figures.rs"]
mod figures;
#[path = "console/guard.rs"]
mod guard;
#[path = "console/requests.rs"]
mod requests;
#[path = "console/traces.rs"]
mod traces;
#[path = "console/word.rs"]
mod word;

use std::process::ExitCode;

use libtest_mimic::Arguments;
use serde_json::{Value, json};
use serin_config::Algorithm;
use serin_tests::envoy::eventually;
use serin_tests::http::{Connection, Response};
use serin_tests::named;
use serin_tests::need::{self, Need, Tests};
use serin_tests::standalone::{HOST, Setup, Standalone, Upstreams, user_request};

const TESTS: Tests = named![
    edit::a_release_is_changed_and_all_else_in_the_file_stays,
    edit::a_text_that_is_wrong_is_named_by_its_lines_and_not_written,
    edit::a_release_is_made_and_deleted,
    edit::nobody_loses_what_somebody_else_wrote,
    figures::decided_and_served_are_exact,
    figures::a_sick_canary_is_told_apart_from_stable_that_serves_for_it,
    figures::without_an_answer_figures_grow_old_and_say_why,
    guard::only_own_names_and_own_pages_are_served,
    guard::a_console_that_only_shows_takes_no_form,
    guard::a_console_may_stand_under_a_path,
    guard::each_answer_says_what_browsers_may_do,
    requests::each_request_is_there_with_its_version_and_reason,
    requests::without_a_log_the_page_says_what_is_missing,
    requests::what_people_and_the_file_do_is_in_the_history,
    traces::a_trace_says_why_and_who_served_and_leads_to_its_line,
    traces::without_tracing_the_page_says_what_is_missing,
    word::what_a_word_comes_to_is_shown_before_and_is_what_users_get,
    word::a_word_about_what_has_changed_is_shown_again,
    word::a_word_that_cannot_be_is_refused_with_its_reason,
    word::a_page_follows_what_happens,
    word::explain_says_what_envoy_does,
];

fn main() -> ExitCode {
    libtest_mimic::run(&Arguments::from_args(), need::tests(TESTS, &[Need::Envoy])).exit_code()
}

/// The release, split by the cookie `user`.
fn spec(weight: &str) -> Value {
    json!({"service": "reviews", "stable": {"version": "v1"}, "canaries": [{"version": "v2", "weight": weight}],
        "sticky": {"by": [{"cookie": "user"}]}})
}

/// The bucket of a user, as weights see it.
fn bucket(user: usize) -> u32 {
    Algorithm::Serin.bucket(b"bookinfo/reviews", format!("user-{user}").as_bytes())
}

/// A console and what is behind it.
struct Console {
    standalone: Standalone,
    _upstreams: Upstreams,
}

const RELEASE: &str = "/releases/bookinfo/reviews";

impl Console {
    fn start(weight: &str) -> Self {
        Self::with(weight, &[])
    }

    /// With these arguments beside the usual ones.
    fn with(weight: &str, more: &[&'static str]) -> Self {
        Self::of(weight, more, json!({}))
    }

    /// With these settings beside the usual ones.
    fn with_settings(weight: &str, settings: Value) -> Self {
        Self::of(weight, &[], settings)
    }

    /// With probes, and a canary at this address.
    fn probed(weight: &str, settings: Value, service: Value, canary: &str) -> Self {
        let upstreams = Upstreams::start(&["v1"]).unwrap();
        let mut versions = upstreams.versions().unwrap();
        versions["v2"] = json!([canary]);
        let arguments = vec!["--console", "127.0.0.1:0"];
        let setup = Setup { control: true, arguments, settings, service, ..Setup::new(versions, &spec(weight)) };
        Self { standalone: Standalone::start_with(setup).unwrap(), _upstreams: upstreams }
    }

    fn of(weight: &str, more: &[&'static str], settings: Value) -> Self {
        let upstreams = Upstreams::start(&["v1", "v2"]).unwrap();
        let arguments = [&["--console", "127.0.0.1:0"], more].concat();
        let setup = Setup { control: true, arguments, settings, ..Setup::new(upstreams.versions().unwrap(), &spec(weight)) };
        Self { standalone: Standalone::start_with(setup).unwrap(), _upstreams: upstreams }
    }

    fn get(&self, path: &str) -> Response {
        self.get_with(path, &[])
    }

    fn get_with(&self, path: &str, headers: &[(&str, &[u8])]) -> Response {
        Connection::open(self.standalone.console().unwrap()).unwrap().get("localhost", path, headers).unwrap()
    }

    fn page(&self, path: &str) -> String {
        let response = self.get(path);
        assert_eq!(response.status, 200, "{path}: {response:?}");
        text(&response)
    }

    fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.page(path)).unwrap()
    }

    /// A form as a page of the console sends it.
    fn post(&self, path: &str, fields: &[(&str, &str)]) -> Response {
        self.post_from(path, fields, "sec-fetch-site: same-origin\r\n")
    }

    fn post_from(&self, path: &str, fields: &[(&str, &str)], headers: &str) -> Response {
        let encoded = |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
        let fields = fields.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
        let body = fields.collect::<Vec<_>>().join("&");
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-www-form-urlencoded\r\n{headers}content-length: \
             {}\r\n\r\n{body}",
            body.len()
        );
        Connection::open(self.standalone.console().unwrap()).unwrap().send(request.as_bytes()).unwrap()
    }

    /// How many of so many users get v2.
    fn canaries(&self, users: usize) -> usize {
        let users: Vec<usize> = (0..users).collect();
        let answers = self.standalone.ask(&users, 8, |&user| user_request(user, "")).unwrap();
        answers.iter().filter(|answer| answer.body == b"v2").count()
    }
}

fn text(response: &Response) -> String {
    String::from_utf8(response.body.clone()).unwrap()
}

/// What a field of the form on a page holds.
fn field(page: &str, name: &str) -> String {
    let from = page.split_once(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("no {name} in {page}")).1;
    unescaped(from.split('"').next().unwrap())
}

/// The text in the page's text area of a name.
fn area(page: &str, name: &str) -> String {
    let from = page.split_once(&format!("<textarea name=\"{name}\"")).unwrap().1.split_once('>').unwrap().1;
    unescaped(from.split("</textarea>").next().unwrap())
}

fn unescaped(text: &str) -> String {
    let all = [
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&#60;", "<"),
        ("&#62;", ">"),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&#38;", "&"),
        ("&amp;", "&"),
    ];
    all.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}
