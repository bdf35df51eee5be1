//! What stands before each page: by which names it may be asked for, that nobody else's page posts to it, and what browsers are told.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Settings;

/// What browsers are told of each answer: nothing is loaded from elsewhere, and nobody frames it.
const HEADERS: [(HeaderName, &str); 4] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; \
         base-uri 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// The names by which a console may be asked for. A page of another name that leads here, by a name server of its own, is not served.
pub(super) struct Hosts(Vec<String>);

impl Hosts {
    pub(super) fn new(settings: &Settings) -> Self {
        let own = ["localhost", "127.0.0.1", "[::1]"].map(str::to_owned).into_iter();
        let listen = match settings.listen {
            SocketAddr::V4(address) => address.ip().to_string(),
            SocketAddr::V6(address) => format!("[{}]", address.ip()),
        };
        Self(own.chain([listen]).chain(settings.hosts.iter().map(|host| host.to_ascii_lowercase())).collect())
    }

    fn has(&self, authority: &str) -> bool {
        let port = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let host = authority.rsplit_once(':').filter(|(_, rest)| port(rest)).map_or(authority, |(host, _)| host);
        self.0.contains(&host.to_ascii_lowercase())
    }
}

fn text(headers: &HeaderMap, name: impl header::AsHeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// Why a request that changes something is not served.
fn hindrance(headers: &HeaderMap) -> Option<&'static str> {
    let host = text(headers, header::HOST).unwrap_or_default();
    let is_own = |origin: &str| origin.split_once("://").is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host));
    let same = match text(headers, "sec-fetch-site") {
        Some(site) => site == "same-origin",
        None => text(headers, header::ORIGIN).is_some_and(is_own),
    };
    if !same {
        return Some("this form belongs to another page; open the console itself and send it from there");
    }
    let kind = text(headers, header::CONTENT_TYPE).unwrap_or_default();
    let is_form = kind.split(';').next().unwrap_or_default().trim() == "application/x-www-form-urlencoded";
    (!is_form).then_some("only forms are taken; send application/x-www-form-urlencoded")
}

/// Lets a request through, or says why not.
pub(super) async fn guard(State(hosts): State<Arc<Hosts>>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let host = text(headers, header::HOST).unwrap_or_default();
    let is_safe = matches!(*request.method(), Method::GET | Method::HEAD);
    let mut response = if !hosts.has(host) {
        let sentence =
            format!("`{host}` is not a name of this console; start it with --console-host {host}, or use another name\n");
        (StatusCode::MISDIRECTED_REQUEST, sentence).into_response()
    } else if let Some(why) = hindrance(headers).filter(|_| !is_safe) {
        (StatusCode::FORBIDDEN, format!("{why}\n")).into_response()
    } else {
        next.run(request).await
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts() -> Hosts {
        let listen = "192.0.2.7:9900".parse().unwrap();
        Hosts::new(&Settings { listen, hosts: vec!["Canary.example".to_owned()], base: String::new(), read_only: false })
    }

    #[test]
    fn only_own_names_are_served() {
        let served = |host: &str| hosts().has(host);
        for host in ["localhost", "localhost:9900", "127.0.0.1:1", "[::1]:9900", "[::1]", "192.0.2.7:9900", "canary.EXAMPLE"]
        {
            assert!(served(host), "{host}");
        }
        for host in ["", "evil.example", "evil.example:9900", "localhost.evil.example", "localhost:evil", "192.0.2.8"] {
            assert!(!served(host), "{host}");
        }
    }

    #[test]
    fn only_forms_of_own_pages_are_taken() {
        const FORM: &str = "application/x-www-form-urlencoded";
        let taken = |site: Option<&str>, origin: Option<&str>, kind: &str| {
            let mut headers = HeaderMap::new();
            let all = [("host", Some("localhost:9900")), ("sec-fetch-site", site), ("origin", origin)];
            for (name, value) in all.into_iter().chain([("content-type", Some(kind))]) {
                if let Some(value) = value {
                    headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
                }
            }
            hindrance(&headers).is_none()
        };
        assert!(taken(Some("same-origin"), None, FORM));
        assert!(taken(Some("same-origin"), None, "application/x-www-form-urlencoded; charset=utf-8"));
        assert!(taken(None, Some("http://localhost:9900"), FORM));
        for site in ["cross-site", "same-site", "none", ""] {
            assert!(!taken(Some(site), Some("http://localhost:9900"), FORM), "{site}");
        }
        for origin in [None, Some("null"), Some("http://localhost"), Some("http://evil.example:9900")] {
            assert!(!taken(None, origin, FORM), "{origin:?}");
        }
        assert!(!taken(Some("same-origin"), None, "text/plain"));
        assert!(!taken(Some("same-origin"), None, "application/json"));
    }
}
