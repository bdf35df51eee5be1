//! The decision: destination to release, rules in order, then the base split.

use std::fmt::Write;

use serde::Serialize;

use crate::document::sticky::{IssueCookie, SameSite};
use crate::engine::keying::{Key, Keying};
use crate::engine::release::Release;
use crate::engine::rules::CompiledRule;
use crate::engine::shares::{Shares, Target};
use crate::engine::split::Split;
use crate::request::{Destination, RequestView};

/// Why a request goes where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// A rule matched.
    Rule,
    /// The base split, by the bucket of the key.
    Weight,
    /// There was no key, so stable.
    NoKey,
    /// A version has taken over.
    Takeover,
    /// No release routes the destination.
    NoRelease,
}

impl Reason {
    /// The reason as logs, metrics and answers write it: `rule`, `weight`, `no-key`, `takeover`, `no-release`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rule => "rule",
            Self::Weight => "weight",
            Self::NoKey => "no-key",
            Self::Takeover => "takeover",
            Self::NoRelease => "no-release",
        }
    }
}

/// What became of a request, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision<'s> {
    /// The release; `None` when none routes the destination.
    pub release: Option<&'s str>,
    /// The version; `None` without a release.
    pub version: Option<&'s str>,
    /// Why.
    pub reason: Reason,
    /// The rule that matched.
    pub rule: Option<&'s str>,
    /// Where the sticky key came from, such as `cookie:user`.
    pub key: Option<&'s str>,
    /// The bucket of the key, as the split's algorithm numbers it.
    pub bucket: Option<u32>,
    /// The identity that the response must set.
    pub set_cookie: Option<SetCookie<'s>>,
}

/// An identity to set in the response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetCookie<'s> {
    /// Name and attributes.
    pub cookie: &'s IssueCookie,
    /// The identity: 32 hexadecimal digits.
    pub value: String,
}

impl SetCookie<'_> {
    /// The value of a `set-cookie` header (RFC 6265, section 4.1).
    #[must_use]
    #[inline(never)]
    pub fn header_value(&self) -> String {
        let IssueCookie { name, max_age, path, domain, same_site, secure, http_only } = self.cookie;
        let mut text = format!("{name}={}; Path={}", self.value, path.as_deref().unwrap_or("/"));
        // Writing into a text cannot fail.
        if let Some(seconds) = max_age {
            let _ = write!(text, "; Max-Age={seconds}");
        }
        if let Some(domain) = domain {
            let _ = write!(text, "; Domain={domain}");
        }
        match same_site {
            Some(SameSite::Strict) => text.push_str("; SameSite=Strict"),
            Some(SameSite::Lax) => text.push_str("; SameSite=Lax"),
            Some(SameSite::None) => text.push_str("; SameSite=None"),
            None => {}
        }
        if *secure {
            text.push_str("; Secure");
        }
        if *http_only {
            text.push_str("; HttpOnly");
        }
        text
    }
}

/// The answer of `serin explain -o json`, one line each.
impl Serialize for Decision<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Answer<'a> {
            release: Option<&'a str>,
            version: Option<&'a str>,
            reason: &'static str,
            rule: Option<&'a str>,
            key: Option<&'a str>,
            bucket: Option<u32>,
        }
        let Self { release, version, reason, rule, key, bucket, .. } = *self;
        Answer { release, version, reason: reason.as_str(), rule, key, bucket }.serialize(serializer)
    }
}

/// Sees the steps of a decision in the order in which the engine takes them; `()` sees nothing and costs nothing.
pub(crate) trait Observer {
    /// Whether it looks: then each rule is asked, else those alone that may match.
    const LOOKS: bool;

    /// The release that routes the destination, or that there is none.
    fn release(&mut self, release: Option<&Release>);

    /// A version that gets everything.
    fn takeover(&mut self, version: &str);

    /// A rule, and the index of its first condition that does not hold; without one it matches.
    fn rule(&mut self, rule: &CompiledRule, failed: Option<usize>, request: &impl RequestView);

    /// No source has a key, so stable.
    fn no_key(&mut self, keying: &Keying, stable: &str);

    /// The key, its bucket, and the version that holds it.
    fn bucket(&mut self, shares: &Shares, key: &Key<'_, '_>, bucket: u32, version: &str);
}

impl Observer for () {
    const LOOKS: bool = false;

    fn release(&mut self, _: Option<&Release>) {}

    fn takeover(&mut self, _: &str) {}

    fn rule(&mut self, _: &CompiledRule, _: Option<usize>, _: &impl RequestView) {}

    fn no_key(&mut self, _: &Keying, _: &str) {}

    fn bucket(&mut self, _: &Shares, _: &Key<'_, '_>, _: u32, _: &str) {}
}

impl Split {
    /// Decides a request. Never fails.
    #[must_use]
    pub fn decide<'s>(&'s self, destination: &Destination<'_>, request: &impl RequestView) -> Decision<'s> {
        self.walk(destination, request, &mut ())
    }

    /// Decides a request and shows each step to an observer.
    pub(crate) fn walk<'s>(
        &'s self,
        destination: &Destination<'_>,
        request: &impl RequestView,
        observer: &mut impl Observer,
    ) -> Decision<'s> {
        match self.release(destination) {
            Some(release) => release.walk(request, observer),
            None => {
                observer.release(None);
                Decision::of(None, None, Reason::NoRelease)
            }
        }
    }
}

impl Release {
    /// Decides a request to this release. Never fails.
    #[must_use]
    pub fn decide(&self, request: &impl RequestView) -> Decision<'_> {
        self.walk(request, &mut ())
    }

    fn walk<O: Observer>(&self, request: &impl RequestView, observer: &mut O) -> Decision<'_> {
        observer.release(Some(self));
        if let Some(version) = &self.takeover {
            observer.takeover(version);
            return Decision::of(Some(self), Some(version), Reason::Takeover);
        }
        let first = if O::LOOKS { self.first_of_all(request, observer) } else { self.rules.first(request) };
        match first {
            Some(rule) => self.by_rule(rule, request, observer),
            None => self.by_bucket(&self.base, Reason::Weight, request, observer),
        }
    }

    fn first_of_all(&self, request: &impl RequestView, observer: &mut impl Observer) -> Option<&CompiledRule> {
        self.rules.iter().find(|rule| {
            let failed = rule.when.iter().position(|matcher| !matcher.holds(request));
            observer.rule(rule, failed, request);
            failed.is_none()
        })
    }

    fn by_rule<'s>(
        &'s self,
        rule: &'s CompiledRule,
        request: &impl RequestView,
        observer: &mut impl Observer,
    ) -> Decision<'s> {
        let decision = match &rule.target {
            Target::Version(version) => Decision::of(Some(self), Some(version), Reason::Rule),
            Target::Shares(shares) => self.by_bucket(shares, Reason::Rule, request, observer),
        };
        Decision { rule: Some(&rule.name), ..decision }
    }

    fn by_bucket<'s>(
        &'s self,
        shares: &'s Shares,
        reason: Reason,
        request: &impl RequestView,
        observer: &mut impl Observer,
    ) -> Decision<'s> {
        let keying = &shares.keying;
        let Some(key) = keying.key(request) else {
            observer.no_key(keying, &self.stable);
            return Decision::of(Some(self), Some(&self.stable), Reason::NoKey);
        };
        let bucket = keying.bucket(&key.value);
        let version = shares.holder(bucket).unwrap_or(&self.stable);
        observer.bucket(shares, &key, bucket, version);
        // An identity is hexadecimal digits.
        let identity = || String::from_utf8(key.value.to_vec()).unwrap_or_default();
        Decision {
            release: Some(&self.name),
            version: Some(version),
            reason,
            rule: None,
            key: Some(key.label),
            bucket: Some(bucket),
            set_cookie: key.issue.map(|cookie| SetCookie { cookie, value: identity() }),
        }
    }
}

impl<'s> Decision<'s> {
    fn of(release: Option<&'s Release>, version: Option<&'s str>, reason: Reason) -> Self {
        let release = release.map(|release| release.name.as_str());
        Self { release, version, reason, rule: None, key: None, bucket: None, set_cookie: None }
    }

    /// The reason with what it rests on, for an access log: `weight(cookie:user,4711)`, `rule(testers)`, `no-key`.
    #[must_use]
    #[inline(never)]
    pub fn summary(&self) -> String {
        let mut text = self.reason.as_str().to_owned();
        let bucket = self.bucket.map(|bucket| bucket.to_string());
        let parts = [self.rule, self.key, bucket.as_deref()];
        let mut open = '(';
        for part in parts.into_iter().flatten() {
            text.push(open);
            text.push_str(part);
            open = ',';
        }
        if open == ',' {
            text.push(')');
        }
        text
    }
}
