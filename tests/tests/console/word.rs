//! A person's word: looked at, said, and what becomes of it.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::*;

pub(super) fn what_a_word_comes_to_is_shown_before_and_is_what_users_get() {
    const USERS: usize = 2_000;
    let console = Console::start("20%");
    let before = console.canaries(USERS);
    let fields = [("action", "weight"), ("weight.v2", "40"), ("because", "it's good")];
    let shown = console.post(&format!("{RELEASE}/preview"), &fields);
    let page = text(&shown);
    assert_eq!(shown.status, 200, "{page}");
    assert!(page.contains("<b>20%</b> of people move from v1 to v2"), "{page}");
    assert!(unescaped(&page).contains(r"serin weight bookinfo/reviews v2=40% --because 'it'\''s good'"), "{page}");
    assert_eq!(console.canaries(USERS), before, "who looks moves somebody");
    let revision = field(&page, "revision");
    let fields = [("weight.v2", "40"), ("because", "it's good"), ("revision", revision.as_str())];
    let done = console.post(&format!("{RELEASE}/weight"), &fields);
    assert_eq!((done.status, done.header("location").as_deref()), (303, Some(RELEASE)), "{}", text(&done));
    let twin = console.json(&format!("{RELEASE}.json"));
    assert_eq!(twin["versions"][1]["intended"], "40%", "{twin}");
    assert!(twin["said"].as_str().unwrap().ends_with("has set v2=40% (it's good)"), "{twin}");
    // The very users that a file with 40% has.
    let expected = Console::start("40%").canaries(USERS);
    assert!(expected > before);
    eventually("users get it", || console.canaries(USERS) == expected).unwrap();
    // A rollback asks nothing.
    assert_eq!(console.post(&format!("{RELEASE}/rollback"), &[("version", "v2")]).status, 303);
    eventually("everybody is on stable", || console.canaries(USERS) == 0).unwrap();
    assert_eq!(console.json(&format!("{RELEASE}.json"))["phase"], "RolledBack");
    assert_eq!(console.post(&format!("{RELEASE}/resume"), &[]).status, 303);
    eventually("the spec acts", || console.canaries(USERS) == before).unwrap();
    assert_eq!(console.post(&format!("{RELEASE}/takeover"), &[("version", "v2")]).status, 303);
    eventually("everybody has the canary", || console.canaries(USERS) == USERS).unwrap();
    assert_eq!(console.json(&format!("{RELEASE}.json"))["phase"], "TakenOver");
}

pub(super) fn a_word_about_what_has_changed_is_shown_again() {
    let console = Console::start("20%");
    let fields = [("action", "weight"), ("weight.v2", "30")];
    let seen = field(&text(&console.post(&format!("{RELEASE}/preview"), &fields)), "revision");
    assert_eq!(console.post(&format!("{RELEASE}/pause"), &[("because", "holidays")]).status, 303);
    let fields = [("weight.v2", "30"), ("revision", seen.as_str())];
    let again = console.post(&format!("{RELEASE}/weight"), &fields);
    let page = text(&again);
    assert_eq!(again.status, 409, "{page}");
    assert!(page.contains("The release has changed since you looked: this is what it comes to now."), "{page}");
    let now = field(&page, "revision");
    assert_ne!(now, seen);
    let fields = [("weight.v2", "30"), ("revision", now.as_str())];
    assert_eq!(console.post(&format!("{RELEASE}/weight"), &fields).status, 303);
}

pub(super) fn a_word_that_cannot_be_is_refused_with_its_reason() {
    let console = Console::start("20%");
    let refused = |action: &str, fields: &[(&str, &str)]| {
        let response = console.post(&format!("{RELEASE}/{action}"), fields);
        assert_eq!(response.status, 422, "{action}");
        let page = unescaped(&text(&response));
        page.split("<p class=\"problem\" role=\"alert\">").nth(1).unwrap().split("</p>").next().unwrap().to_owned()
    };
    for (action, fields, sentence) in [
        (
            "weight",
            &[("weight.v2", "120")][..],
            "v2: `120%` is more than 100%; lower it, since the canaries share 100% with stable",
        ),
        ("weight", &[("weight.v9", "1")], "`v9` is not a canary of bookinfo/reviews; use one of v2"),
        (
            "weight",
            &[("weight.v2", "many")],
            "v2: `many%` is not a percentage; write digits, at most three decimals and a percent sign, such as `12.345%`",
        ),
        ("weight", &[], "there is no weight in the form"),
        ("takeover", &[], "which version takes over? Choose one"),
        ("takeover", &[("version", "v3")], "`v3` is not a version of bookinfo/reviews; use one of v1, v2"),
        ("approve", &[], "bookinfo/reviews: it has no steps, so nothing waits for an approval"),
        ("dance", &[], "there is no action `dance`"),
    ] {
        assert_eq!(refused(action, fields), sentence);
    }
    assert!(!console.standalone.control().exists(), "something was written");
}

/// A stream of events, as a browser reads it.
struct Stream(BufReader<TcpStream>);

impl Stream {
    fn open(console: &Console, path: &str) -> Self {
        let mut stream = TcpStream::connect(console.standalone.console().unwrap()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\naccept-encoding: gzip\r\n\r\n"
        )
        .unwrap();
        Self(BufReader::new(stream))
    }

    /// Reads until a line has this in it.
    fn until(&mut self, part: &str) {
        let mut read = String::new();
        while !read.lines().last().is_some_and(|line| line.contains(part)) {
            assert_ne!(self.0.read_line(&mut read).unwrap(), 0, "no {part} in {read}");
        }
    }
}

pub(super) fn a_page_follows_what_happens() {
    let console = Console::start("20%");
    let mut release = Stream::open(&console, &format!("{RELEASE}/live"));
    let mut list = Stream::open(&console, "/releases/live?q=reviews");
    release.until("content-type: text/event-stream");
    release.until("<td class=\"n\">20%</td>");
    list.until("20%");
    assert_eq!(console.post(&format!("{RELEASE}/weight"), &[("weight.v2", "33.3")]).status, 303);
    release.until("<td class=\"n\">33.3%</td>");
    list.until("33.3%");
    // A text that is refused shows on the page too, and the last good state.
    std::fs::write(console.standalone.file(), "nonsense").unwrap();
    eventually("the page says so", || console.page(RELEASE).contains("The last good state keeps serving.")).unwrap();
    assert_eq!(console.json(&format!("{RELEASE}.json"))["versions"][1]["intended"], "33.3%");
}

pub(super) fn explain_says_what_envoy_does() {
    let console = Console::start("50%");
    let users: Vec<usize> = (0..200).collect();
    let answers = console.standalone.ask(&users, 8, |&user| user_request(user, "")).unwrap();
    for (user, answer) in users.iter().zip(&answers) {
        let version = String::from_utf8(answer.body.clone()).unwrap();
        let cookie = format!("cookie: user=user-{user}");
        let page = text(&console.post(&format!("{RELEASE}/explain"), &[("headers", cookie.as_str())]));
        assert!(page.contains(&format!("<h2>{version}</h2>")), "{user}: {page}");
    }
    let asked = [("destination", HOST), ("headers", "nonsense")];
    let response = console.post("/explain", &asked);
    assert_eq!(response.status, 422);
    assert!(text(&response).contains("is not a header; write `NAME: VALUE`"));
    // What is asked holds cookies: the answer to a form stands in no address.
    assert!(console.page("/explain").contains("<form class=\"ask\" method=\"post\""));
}
