//! Stickiness as it is written.

use serin_config::{IssueCookie, KeySource, Otherwise, Sticky, check_header_name};

use super::Check;

impl Check<'_> {
    pub(super) fn sticky(&mut self, path: &str, sticky: Option<&Sticky>) {
        let Some(sticky) = sticky else { return };
        if sticky.by.is_empty() && sticky.otherwise == Otherwise::Stable {
            let fix = "list at least one under `by`, or set `otherwise`";
            self.refuse(path, "there is no source of a key", fix);
        }
        if sticky.salt.is_some() && sticky.cohort.is_some() {
            let fix = "keep one of them, since a cohort is a salt that releases share";
            self.refuse(path, "there are both `salt` and `cohort`", fix);
        }
        for (index, source) in sticky.by.iter().enumerate() {
            self.key(&format!("{path}.by[{index}]"), source);
        }
        if let Otherwise::IssueCookie(cookie) = &sticky.otherwise {
            self.issued(&format!("{path}.otherwise.issueCookie"), cookie);
        }
    }

    fn key(&mut self, path: &str, source: &KeySource) {
        match source {
            KeySource::Header(name) => self.header(&format!("{path}.header"), name),
            KeySource::JwtClaim(jwt) => self.header(&format!("{path}.jwtClaim.header"), &jwt.header),
            _ => {}
        }
    }

    /// A header that a proxy lets through to the filter.
    pub(super) fn header(&mut self, path: &str, name: &str) {
        let Ok(lower) = check_header_name(name) else { return };
        if lower == "host" {
            self.refuse(path, format!("`{name}` is not a header to a proxy"), "use the condition `authority`");
        } else if lower == self.routing_header {
            let fix = "use another header, since the proxy removes this one from what clients send";
            self.refuse(path, format!("`{name}` carries the version and never comes from a client"), fix);
        }
    }

    fn issued(&mut self, path: &str, cookie: &IssueCookie) {
        if cookie.max_age == Some(0) {
            let fix = "write seconds such as `2592000`, or leave it out for a cookie of the browser session";
            self.refuse(format!("{path}.maxAge"), "browsers drop a cookie with `maxAge: 0` at once", fix);
        }
        let domain = cookie.domain.as_deref().unwrap_or_default();
        if domain.contains(['/', ':', ',', '*']) {
            let fix = "write a host such as `example.com`, without scheme, port and path";
            self.refuse(format!("{path}.domain"), format!("`{domain}` is not a domain"), fix);
        }
    }
}
