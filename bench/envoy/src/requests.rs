//! The requests: what a browser behind a gateway sends, from a thousand users in turn.

use std::fmt::Write;

use crate::numbers::mixed;

const USERS: usize = 1000;

/// A request and what versions are chosen by.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// As it goes over the connection.
    pub(crate) bytes: Vec<u8>,
    /// The value of the cookie `user`.
    pub(crate) user: String,
    /// All of its cookies.
    pub(crate) cookies: String,
    /// The value of `x-request-id`.
    pub(crate) id: String,
}

/// So many requests for an authority. Where there is to be no user, the cookie has another name and the same length.
pub(crate) fn requests(count: usize, authority: &str, anonymous: bool) -> Vec<Request> {
    let cookie = if anonymous { "lang" } else { "user" };
    (0..count).map(|index| request(index, authority, cookie)).collect()
}

fn request(index: usize, authority: &str, cookie: &str) -> Request {
    let user = format!("person-{:04}", index % USERS);
    let (high, low) = (mixed(index as u64), mixed(!(index as u64)));
    let node = low & 0xffff_ffff_ffff;
    let id = format!("{:08x}-{:04x}-4{:03x}-8{:03x}-{node:012x}", high >> 32, high >> 16 & 0xffff, high & 0xfff, low >> 52);
    let cookies = format!("theme=dark; {cookie}={user}; session={high:016x}{low:016x}");
    let headers = [
        ("host", authority),
        (
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
        ),
        ("accept", "text/html,application/xhtml+xml,application/json;q=0.9,*/*;q=0.8"),
        ("accept-language", "en-GB,en;q=0.8,de;q=0.5"),
        ("accept-encoding", "gzip, deflate, br"),
        ("referer", "https://shop.example.com/products/42"),
        ("cookie", &cookies),
        ("x-tenant", "acme"),
        ("x-forwarded-for", "203.0.113.7"),
        ("x-forwarded-proto", "https"),
        ("traceparent", &format!("00-{high:016x}{low:016x}-{low:016x}-01")),
        ("x-request-id", &id),
    ];
    let mut text = "GET /api/v1/reviews/42?page=2&sort=newest HTTP/1.1\r\n".to_owned();
    for (name, value) in headers {
        // Writing into a text cannot fail.
        let _ = write!(text, "{name}: {value}\r\n");
    }
    text.push_str("\r\n");
    Request { bytes: text.into_bytes(), user, cookies, id }
}
