//! What a request without a key gets: stable, its own id, or an identity that the response sets as a cookie.

use crate::document::sticky::{IssueCookie, SameSite};
use crate::error::Cause;
use crate::json::value::Json;
use crate::name::is_token;

/// The header whose value is another one for each request.
pub(crate) const REQUEST_ID: &str = "x-request-id";

/// What a request without a key gets.
#[derive(Clone, Debug)]
pub(crate) enum Fallback {
    Stable,
    /// Holds the label of the request's id.
    Random(String),
    /// Boxed, since few have it.
    Issue(Box<(String, IssueCookie)>),
}

impl Fallback {
    /// By the request's id.
    pub(crate) fn random() -> Self {
        Self::Random(["header:", REQUEST_ID].concat())
    }

    /// Reads what stands under `otherwise`; with a fault it is of no use.
    #[inline(never)]
    pub(crate) fn compile(json: &Json<'_>) -> Self {
        if json.missing() {
            return Self::Stable;
        }
        if json.is_text() {
            return if json.word(&["stable", "random"]) == 1 { Self::random() } else { Self::Stable };
        }
        let Some((2, json)) = &json.variant("fallback", &["stable", "random", "issueCookie"]) else {
            json.misfit("a word or `issueCookie`");
            return Self::random();
        };
        let cookie = issue(json);
        Self::Issue(Box::new((["cookie:", &cookie.name].concat(), cookie)))
    }
}

fn issue(json: &Json<'_>) -> IssueCookie {
    let [name, max_age, path, domain, same_site, secure, http_only] =
        &json.fields(&["name", "maxAge", "path", "domain", "sameSite", "secure", "httpOnly"]);
    let text = |json: &Json<'_>| json.given().then(|| json.text().into_owned());
    let flag = |json: &Json<'_>| !json.missing() && json.boolean();
    let cookie = IssueCookie {
        name: name.text().into_owned(),
        max_age: max_age.given().then(|| max_age.number(u64::MAX)),
        path: text(path),
        domain: text(domain),
        same_site: same_site.given().then(|| match same_site.word(&["Strict", "Lax", "None", "strict", "lax", "none"]) {
            0 | 3 => SameSite::Strict,
            1 | 4 => SameSite::Lax,
            _ => SameSite::None,
        }),
        secure: flag(secure),
        http_only: flag(http_only),
    };
    if let Err(cause) = check_issue(&cookie) {
        json.fault(cause);
    }
    cookie
}

#[inline(never)]
fn check_issue(cookie: &IssueCookie) -> Result<(), Cause> {
    if !is_token(&cookie.name) {
        return Err(Cause::IssueCookieName(cookie.name.clone()));
    }
    // RFC 6265, section 4.1.1: attribute values are printable ASCII without `;`.
    let fits = |text: &str| text.bytes().all(|b| (b.is_ascii_graphic() || b == b' ') && b != b';');
    for (text, must) in [(&cookie.path, "/"), (&cookie.domain, "")] {
        if let Some(text) = text.as_deref().filter(|text| !fits(text) || text.is_empty() || !text.starts_with(must)) {
            return Err(Cause::IssueCookieScope(text.to_owned()));
        }
    }
    let host_prefix = cookie.name.starts_with("__Host-");
    if (cookie.same_site == Some(SameSite::None) || host_prefix || cookie.name.starts_with("__Secure-")) && !cookie.secure {
        return Err(Cause::InsecureCookie(cookie.name.clone()));
    }
    if host_prefix && (cookie.domain.is_some() || cookie.path.as_deref().is_some_and(|path| path != "/")) {
        return Err(Cause::HostCookie(cookie.name.clone()));
    }
    Ok(())
}
