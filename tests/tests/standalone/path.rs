//! The data path: protocols, names, and what responses carry.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serin_tests::standalone::Setup;
use serin_tests::upstream::{Request, WEBSOCKET_KEY, frame, read_frame, serve};

use super::*;

/// Answers with the header lines that a request asks for in `x-answer`, and with its own first line and host.
fn answering() -> std::net::SocketAddr {
    let answer = |request: &Request| {
        let wish = request.header("x-answer").unwrap_or_default().replace('|', "\r\n");
        let (status, lines) = wish.split_once("\r\n").unwrap_or((&wish, ""));
        let status = if status.is_empty() { "200 OK" } else { status };
        let lines = if lines.is_empty() { String::new() } else { format!("{lines}\r\n") };
        let body = format!("{} at {}", request.line, request.header("host").unwrap_or_default());
        (status.to_owned(), lines, if status.starts_with("304") { String::new() } else { body })
    };
    serve(answer).unwrap()
}

fn in_front_of(address: std::net::SocketAddr, release: &Value) -> Setup {
    Setup::new(json!({"v1": [address.to_string()], "v2": [address.to_string()]}), release)
}

fn send(standalone: &Standalone, request: &str) -> Response {
    Connection::open(standalone.listen).unwrap().send(request.as_bytes()).unwrap()
}

pub(super) fn a_websocket_is_opened_and_echoes() {
    let mut setup = in_front_of(answering(), &spec(&[("v2", "50%")]));
    // A limit of whole requests is none of open WebSockets.
    setup.service = json!({"timeout": "200ms"});
    let standalone = Standalone::start_with(setup).unwrap();
    let mut stream = TcpStream::connect(standalone.listen).unwrap();
    stream.set_read_timeout(Some(serin_tests::envoy::CAP)).unwrap();
    let [key, proof] = WEBSOCKET_KEY;
    let request = format!(
        "GET /chat HTTP/1.1\r\nhost: {HOST}\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: {key}\r\ncookie: user=user-1\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{head}");
    assert!(head.contains(&format!("sec-websocket-accept: {proof}\r\n")), "{head}");
    for text in ["hello", "again"] {
        stream.write_all(&frame(text.as_bytes(), Some([7, 0, 255, 9]))).unwrap();
        assert_eq!(read_frame(&mut stream).unwrap(), text.as_bytes());
        // Longer than the service's timeout nothing is said, and nobody hangs up.
        stream.set_read_timeout(Some(Duration::from_millis(400))).unwrap();
        let silence = stream.read(&mut [0]).unwrap_err().kind();
        assert!(matches!(silence, ErrorKind::WouldBlock | ErrorKind::TimedOut), "{silence}");
        stream.set_read_timeout(Some(serin_tests::envoy::CAP)).unwrap();
    }
    // What would make this an open proxy stays refused.
    let tunnel = send(&standalone, &format!("CONNECT {HOST}:9080 HTTP/1.1\r\nhost: {HOST}:9080\r\n\r\n"));
    assert_eq!(tunnel.status, 404, "{tunnel:?}");
}

/// A client may open one only where the server's settings say `SETTINGS_ENABLE_CONNECT_PROTOCOL` (RFC 8441, section 3).
pub(super) fn websockets_over_http_2_are_not_offered() {
    let standalone = Standalone::start_with(in_front_of(answering(), &spec(&[]))).unwrap();
    let mut stream = TcpStream::connect(standalone.listen).unwrap();
    stream.set_read_timeout(Some(serin_tests::envoy::CAP)).unwrap();
    // The preface of a client with settings that are empty (RFC 9113, section 3.4).
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
    let mut head = [0; 9];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(head[3..], [4, 0, 0, 0, 0, 0], "the first frame has the settings");
    let mut settings = vec![0; usize::from(u16::from_be_bytes([head[1], head[2]]))];
    stream.read_exact(&mut settings).unwrap();
    let setting = |number: u8| settings.chunks_exact(6).find(|one| one[..2] == [0, number]).map(|one| one[2..].to_vec());
    assert_eq!(setting(8).unwrap_or_default(), [0, 0, 0, 0], "{settings:?}");
    // So this reads what it should: the most streams at once are never none.
    assert!(setting(3).is_some_and(|streams| streams != [0; 4]), "{settings:?}");
}

pub(super) fn http_1_0_is_served_also_without_a_host() {
    let standalone = Standalone::start_with(in_front_of(answering(), &spec(&[("v2", "50%")]))).unwrap();
    for (head, host) in [
        (format!("GET /old HTTP/1.0\r\nhost: {HOST}\r\nconnection: close\r\n\r\n"), HOST),
        (format!("GET /old HTTP/1.0\r\nhost: {HOST}\r\nconnection: keep-alive\r\n\r\n"), HOST),
        ("GET /old HTTP/1.0\r\n\r\n".to_owned(), HOST),
        ("GET /old HTTP/1.0\r\nhost: reviews\r\n\r\n".to_owned(), "reviews"),
    ] {
        let answer = send(&standalone, &head);
        assert_eq!((answer.status, body(&answer)), (200, format!("GET /old HTTP/1.1 at {host}")), "{head}");
        // A client that knows no chunks gets none.
        assert_eq!(answer.header("transfer-encoding"), None, "{answer:?}");
    }
}

pub(super) fn a_name_may_have_a_dot_and_the_port_that_clients_connect_to() {
    let standalone = Standalone::start_with(in_front_of(answering(), &spec(&[("v2", "50%")]))).unwrap();
    let ask = |host: &str, headers: &[(&str, &[u8])]| {
        let answer = Connection::open(standalone.listen).unwrap().get(host, "/", headers).unwrap();
        (answer.status, String::from_utf8(answer.body).unwrap())
    };
    let port = standalone.listen.port();
    for host in ["reviews", "reviews.", "REVIEWS:9080", &format!("reviews:{port}"), &format!("{HOST}.")] {
        assert_eq!(ask(host, &[]), (200, format!("GET / HTTP/1.1 at {}", host.trim_end_matches('.'))));
    }
    assert_eq!(ask(&format!("reviews.:{port}"), &[]).0, 200);
    // Who comes from inside is given the names, and who comes through another proxy is not.
    let named = format!("no service of this name; there are reviews, {HOST}\n");
    assert_eq!(ask("shop", &[]), (404, named.clone()));
    assert_eq!(ask("reviews:1", &[]), (404, named));
    for other in [&b"203.0.113.9"[..], b"127.0.0.1"] {
        assert_eq!(ask("shop", &[("x-forwarded-for", other)]), (404, "no service of this name\n".to_owned()));
    }
}

pub(super) fn no_identity_on_what_others_may_keep() {
    let mut release = spec(&[("v2", "50%")]);
    release["sticky"] = json!({"by": [{"cookie": "sid"}], "otherwise": {"issueCookie": {"name": "sid", "maxAge": 60}}});
    let standalone = Standalone::start_with(in_front_of(answering(), &release)).unwrap();
    let cookies = |wish: &str| -> Vec<String> {
        let answer = send(&standalone, &format!("GET / HTTP/1.1\r\nhost: {HOST}\r\nx-answer: {wish}\r\n\r\n"));
        assert_eq!(answer.status.to_string(), wish.get(..3).unwrap());
        let cookies = answer.headers.iter().filter(|(name, _)| name == "set-cookie");
        cookies.map(|(_, value)| String::from_utf8_lossy(value).split('=').next().unwrap().to_owned()).collect()
    };
    for wish in [
        "200 OK",
        "404 Not Found|cache-control: max-age=60",
        "302 Found|cache-control: private, max-age=60|location: /x",
        "200 OK|cache-control: public, no-store",
        "200 OK|cache-control: \u{fffd}",
    ] {
        assert_eq!(cookies(wish), ["sid"], "{wish}");
    }
    for wish in [
        "304 Not Modified",
        "503 Service Unavailable",
        "500 Internal Server Error|cache-control: private",
        "200 OK|cache-control: public, max-age=60",
        "301 Moved Permanently|cache-control: max-age=60|cache-control: S-MaxAge=60|location: /x",
    ] {
        assert_eq!(cookies(wish), [""; 0], "{wish}");
    }
    assert_eq!(cookies("200 OK|set-cookie: a=1|cache-control: private"), ["a", "sid"]);
}

pub(super) fn status_codes_are_reasons_to_try_again() {
    // The first answer to each path is a 418.
    let seen = std::sync::Arc::new(std::sync::Mutex::new(std::collections::BTreeSet::new()));
    let answer = move |request: &Request| {
        let first = seen.lock().unwrap().insert(request.line.clone()) && request.line.contains("/pot");
        let status = if first { "418 Teapot" } else { "200 OK" };
        (status.to_owned(), String::new(), "tea".to_owned())
    };
    let mut setup = in_front_of(serve(answer).unwrap(), &spec(&[]));
    setup.service = json!({"retries": {"attempts": 1, "on": "connect-failure, 418"}});
    let standalone = Standalone::start_with(setup).unwrap();
    assert_eq!(send(&standalone, &format!("GET /pot HTTP/1.1\r\nhost: {HOST}\r\n\r\n")).status, 200);
}

pub(super) fn idle_connections_and_silent_streams_end() {
    // Nobody accepts there: the system takes connections, and no answer comes.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut setup = in_front_of(answering(), &spec(&[("v2", "0%")]));
    setup.settings = json!({"idleTimeout": "200ms", "streamIdleTimeout": "200ms"});
    setup.versions["v2"] = json!([silent.local_addr().unwrap().to_string()]);
    setup.release["rules"] = json!([{"name": "silent", "when": [{"path": {"exact": "/silent"}}], "version": "v2"}]);
    let standalone = Standalone::start_with(setup).unwrap();
    let mut stream = TcpStream::connect(standalone.listen).unwrap();
    stream.set_read_timeout(Some(serin_tests::envoy::CAP)).unwrap();
    let mut all = Vec::new();
    assert_eq!(stream.read_to_end(&mut all).unwrap(), 0, "an idle connection is closed");
    let answer = send(&standalone, &format!("GET /silent HTTP/1.1\r\nhost: {HOST}\r\n\r\n"));
    assert_eq!((answer.status, answer.body.as_slice()), (504, &b"stream timeout"[..]));
}
