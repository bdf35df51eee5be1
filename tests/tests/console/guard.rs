//! By which names the console is served, and whose forms it takes.

use super::*;

pub(super) fn only_own_names_and_own_pages_are_served() {
    let console = Console::start("20%");
    let address = console.standalone.console().unwrap();
    let named = |host: &str| Connection::open(address).unwrap().get(host, "/releases", &[]).unwrap();
    for host in ["localhost", "localhost:9900", "127.0.0.1", "[::1]:1"] {
        assert_eq!(named(host).status, 200, "{host}");
    }
    let other = named("evil.example");
    assert_eq!(other.status, 421);
    assert_eq!(
        text(&other),
        "`evil.example` is not a name of this console; start it with --console-host evil.example, or use another name\n"
    );
    let fields = [("version", "v2")];
    let from = |headers: &str| console.post_from(&format!("{RELEASE}/rollback"), &fields, headers).status;
    for headers in [
        "",
        "sec-fetch-site: cross-site\r\n",
        "sec-fetch-site: same-site\r\norigin: http://localhost\r\n",
        "origin: http://evil.example\r\n",
        "origin: null\r\n",
    ] {
        assert_eq!(from(headers), 403, "{headers}");
    }
    assert!(!console.standalone.control().exists(), "a form of another page was taken");
    assert_eq!(from("origin: http://localhost\r\n"), 303);
    assert!(console.standalone.control().exists());
}

pub(super) fn a_console_that_only_shows_takes_no_form() {
    let console = Console::with("20%", &["--console-read-only"]);
    let page = console.page(RELEASE);
    assert!(page.contains("this console only shows: it was started to be read only"), "{page}");
    for (path, status) in [
        (format!("{RELEASE}/rollback"), 404),
        (format!("{RELEASE}/preview"), 404),
        (format!("{RELEASE}/delete"), 404),
        (format!("{RELEASE}/edit"), 405),
        ("/new".to_owned(), 405),
    ] {
        assert_eq!(console.post(&path, &[("version", "v2"), ("name", "reviews")]).status, status, "{path}");
    }
    // To ask changes nothing.
    assert_eq!(console.post("/explain", &[("path", "/")]).status, 200);
}

pub(super) fn a_console_may_stand_under_a_path() {
    let console = Console::with("20%", &["--console-base-path", "/serin/"]);
    let start = console.get("/serin");
    assert_eq!((start.status, start.header("location").as_deref()), (303, Some("/serin/releases")));
    let page = console.page("/serin/releases");
    assert!(page.contains("<a href=\"/serin/releases/bookinfo/reviews\">bookinfo/reviews</a>"), "{page}");
    let links = page.split("href=\"").skip(1).chain(page.split("src=\"").skip(1)).chain(page.split("action=\"").skip(1));
    for link in links.filter_map(|rest| rest.split('"').next()).filter(|link| link.starts_with('/')) {
        assert!(link.starts_with("/serin/"), "{link}");
        assert_eq!(console.get(link).status, 200, "{link}");
    }
    let done = console.post(&format!("/serin{RELEASE}/pause"), &[]);
    assert_eq!((done.status, done.header("location")), (303, Some(format!("/serin{RELEASE}"))));
    assert_eq!(console.get("/releases").status, 404);
}

pub(super) fn each_answer_says_what_browsers_may_do() {
    let console = Console::start("20%");
    let policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; \
                  base-uri 'none'; frame-ancestors 'none'";
    let style = console.page("/releases").split("href=\"/assets/").nth(1).unwrap().split('"').next().unwrap().to_owned();
    for (path, status) in [
        ("/releases".to_owned(), 200),
        ("/releases.json".to_owned(), 200),
        (RELEASE.to_owned(), 200),
        (format!("{RELEASE}.json"), 200),
        (format!("{RELEASE}/edit"), 200),
        (format!("{RELEASE}/explain"), 200),
        ("/new".to_owned(), 200),
        ("/explain".to_owned(), 200),
        (format!("/assets/{style}"), 200),
        ("/assets/other.css".to_owned(), 404),
        ("/releases/bookinfo/none".to_owned(), 404),
        ("/nowhere".to_owned(), 404),
        ("/healthz".to_owned(), 200),
        ("/readyz".to_owned(), 200),
    ] {
        let response = console.get(&path);
        assert_eq!(response.status, status, "{path}");
        assert_eq!(response.header("content-security-policy").as_deref(), Some(policy), "{path}");
        assert_eq!(response.header("x-content-type-options").as_deref(), Some("nosniff"), "{path}");
    }
    let zipped = console.get_with("/releases", &[("accept-encoding", b"gzip")]);
    assert_eq!(zipped.header("content-encoding").as_deref(), Some("gzip"));
    assert_eq!(zipped.body[..2], [0x1f, 0x8b]);
    // A page may not be kept, and what it loads for ever.
    assert_eq!(console.get("/releases").header("cache-control").as_deref(), Some("no-store"));
    let kept = console.get(&format!("/assets/{style}")).header("cache-control");
    assert_eq!(kept.as_deref(), Some("public, max-age=31536000, immutable"));
}
