//! A trace on one line, and which traces are listed.

use std::collections::BTreeSet;

use serde::Serialize;

use super::span::{Kind, Span};
use super::tree::extent;

/// A trace on one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Its id.
    pub id: String,
    /// When it began, in microseconds since 1970.
    pub start: u64,
    /// How long it took, in microseconds.
    pub duration: u64,
    /// Method and path of its request, else the name of its first span.
    pub name: String,
    /// The host of the service that it was sent to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The version that was decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Why, such as `weight(cookie:user,28706)`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The status of its answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The address that answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// The id of its request, as the access log has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Whether any span of it failed.
    pub error: bool,
    /// The services that reported spans, by name.
    pub services: Vec<String>,
    /// How many spans are kept.
    pub spans: usize,
}

/// Which traces are listed. What is not set leaves none out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// A service that has a span in it, or the host that the request was sent to.
    pub service: Option<String>,
    /// The version that was decided.
    pub version: Option<String>,
    /// The reason, or its kind: `weight` is that of `weight(cookie:user,28706)` too.
    pub reason: Option<String>,
    /// The first digit of the status.
    pub status: Option<u16>,
    /// The shortest duration, in microseconds.
    pub min_duration: u64,
    /// How many at most.
    pub limit: Option<usize>,
}

impl Filter {
    /// Whether a trace is listed.
    #[must_use]
    pub fn takes(&self, summary: &Summary) -> bool {
        let fits = |wanted: &Option<String>, is: &Option<String>| wanted.is_none() || wanted == is;
        let service = |name: &String| summary.services.contains(name) || summary.host.as_ref() == Some(name);
        let reason = |wanted: &String| {
            let is = summary.reason.as_deref().unwrap_or_default();
            is == wanted || is.split_once('(').is_some_and(|(kind, _)| kind == wanted)
        };
        self.service.as_ref().is_none_or(service)
            && fits(&self.version, &summary.version)
            && self.reason.as_ref().is_none_or(reason)
            && self.status.is_none_or(|class| summary.status.is_some_and(|status| status / 100 == class))
            && summary.duration >= self.min_duration
    }
}

/// The line of a trace. What its spans do not agree on is as the first one says, and a status as the one that the client was given.
pub(super) fn summary(id: &str, spans: &[Span]) -> Summary {
    let mut ordered: Vec<&Span> = spans.iter().collect();
    ordered.sort_by_key(|span| (span.parent.is_some(), span.start, &span.id, span.kind));
    let tag = |name: &str| ordered.iter().find_map(|span| span.tag(name)).map(str::to_owned);
    // Services that go on with the trace have calls of their own.
    let decided = ordered.iter().find(|span| span.tag("serin.version").is_some()).or(ordered.first());
    let of_decided = |name: &str| decided.and_then(|span| span.tag(name)).map(str::to_owned);
    let attempt = ordered.iter().rfind(|span| span.kind == Kind::Client && span.tag("serin.version").is_some());
    let (start, duration) = extent(spans);
    let services: BTreeSet<String> = spans.iter().map(|span| span.service.clone()).filter(|name| !name.is_empty()).collect();
    let name = || decided.map_or_else(String::new, |span| span.name.clone());
    Summary {
        id: id.to_owned(),
        start,
        duration,
        name: decided.and_then(|span| request(span)).unwrap_or_else(name),
        host: tag("upstream_cluster").and_then(|cluster| host(&cluster)),
        version: of_decided("serin.version"),
        reason: of_decided("serin.reason"),
        status: decided.and_then(|span| span.status()),
        upstream: attempt.and_then(|span| span.tag("upstream_address")).map(str::to_owned),
        request_id: of_decided("guid:x-request-id"),
        error: spans.iter().any(|span| span.error),
        services: services.into_iter().collect(),
        spans: spans.len(),
    }
}

/// Method and path, without what a query may hold of a person.
fn request(span: &Span) -> Option<String> {
    let (method, url) = (span.tag("http.method")?, span.tag("http.url")?);
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.split_once('/').map_or("", |(_, path)| path);
    let path = path.split(['?', '#']).next().unwrap_or_default();
    Some(format!("{method} /{path}"))
}

/// The host in the name of a cluster such as `outbound|9080|v2|reviews.bookinfo`.
fn host(cluster: &str) -> Option<String> {
    let host = cluster.trim_end_matches(';').split('|').nth(3)?;
    (!host.is_empty()).then(|| host.to_owned())
}
