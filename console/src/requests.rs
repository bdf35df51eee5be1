//! The last requests, as Envoy's log has them: who got what, why, and what they would get now.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serin_config::ReleaseSplit;

/// So many requests are remembered.
pub const MOST: usize = 10_000;

/// A line of the log. What Envoy does not know is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Request {
    /// When it began (RFC 3339).
    #[serde(deserialize_with = "or_default")]
    pub time: String,
    /// Its method.
    #[serde(deserialize_with = "or_default")]
    pub method: String,
    /// The host that the client asked for.
    #[serde(deserialize_with = "or_default")]
    pub authority: String,
    /// Its path and query.
    #[serde(deserialize_with = "or_default")]
    pub path: String,
    /// The status of the answer; 0 where there was none.
    #[serde(deserialize_with = "or_default")]
    pub status: u16,
    /// Envoy's flags, such as `UF`.
    #[serde(deserialize_with = "or_default")]
    pub flags: String,
    /// How long it took, in milliseconds.
    #[serde(deserialize_with = "or_default")]
    pub duration_ms: u64,
    /// Its id.
    #[serde(deserialize_with = "or_default")]
    pub request_id: String,
    /// Its trace.
    #[serde(deserialize_with = "or_default")]
    pub trace_id: String,
    /// The version that was decided; behind a dot it may have the release's key.
    #[serde(deserialize_with = "or_default")]
    pub version: String,
    /// Why, such as `weight(cookie:user,28706)`.
    #[serde(deserialize_with = "or_default")]
    pub reason: String,
    /// The address that served it.
    #[serde(deserialize_with = "or_default")]
    pub upstream: String,
    /// The cluster that it was routed to.
    #[serde(deserialize_with = "or_default")]
    pub cluster: String,
}

/// Envoy writes `null` for what it does not know.
fn or_default<'de, D: serde::Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

impl Request {
    /// A line of the log; `None` for one that is no request.
    #[must_use]
    pub fn read(line: &str) -> Option<Self> {
        let request: Self = line.trim_start().starts_with('{').then(|| serde_json::from_str(line).ok()).flatten()?;
        (!request.time.is_empty()).then_some(request)
    }

    /// Host and port of its cluster.
    #[must_use]
    pub fn service(&self) -> Option<(&str, u16)> {
        let mut parts = self.cluster.strip_prefix("outbound|")?.split('|');
        let (port, _, host) = (parts.next()?.parse().ok()?, parts.next()?, parts.next()?);
        Some((host, port))
    }

    /// Whether it went to one of these services.
    #[must_use]
    pub fn is_of(&self, services: &[(String, u16)]) -> bool {
        self.service().is_some_and(|(host, port)| services.iter().any(|own| (own.0.as_str(), own.1) == (host, port)))
    }

    /// The bucket in its reason.
    #[must_use]
    pub fn bucket(&self) -> Option<u32> {
        let inside = self.reason.split_once('(')?.1.strip_suffix(')')?;
        inside.rsplit(',').next()?.parse().ok()
    }

    /// Whether weights of the release decided it: no rule, no takeover, no missing key.
    #[must_use]
    pub fn is_by_weight(&self) -> bool {
        self.reason.starts_with("weight(")
    }
}

/// What somebody looks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Filter {
    /// A version; empty for all.
    pub version: String,
    /// How the reason begins, such as `weight`.
    pub reason: String,
    /// How the status begins: `5` or `503`.
    pub status: String,
    /// A part of the path, the id of the request or of its trace.
    pub q: String,
}

impl Filter {
    fn takes(&self, request: &Request) -> bool {
        let has = |text: &str| text.contains(&self.q);
        (self.version.is_empty() || request.version == self.version)
            && request.reason.starts_with(&self.reason)
            && request.status.to_string().starts_with(&self.status)
            && (has(&request.path) || has(&request.request_id) || has(&request.trace_id))
    }
}

/// The last requests.
#[derive(Clone, Debug, Default)]
pub struct Ring {
    /// Each with the second in which it began.
    requests: VecDeque<(i64, Request)>,
    /// How many there were.
    pub seen: u64,
}

impl Ring {
    /// Remembers a request; the oldest is forgotten.
    pub fn push(&mut self, request: Request) {
        if self.requests.len() >= MOST {
            self.requests.pop_front();
        }
        self.seen += 1;
        let second = request.time.parse::<Timestamp>().map_or(0, Timestamp::as_second);
        self.requests.push_back((second, request));
    }

    /// Those of a service that a filter takes, newest first.
    pub fn of<'r>(&'r self, services: &'r [(String, u16)], filter: &'r Filter) -> impl Iterator<Item = &'r Request> {
        self.requests
            .iter()
            .rev()
            .map(|(_, request)| request)
            .filter(move |request| (services.is_empty() || request.is_of(services)) && filter.takes(request))
    }

    /// The buckets that weights decided in these seconds, each with the version that it got last, and how many requests that were.
    #[must_use]
    pub fn people(&self, services: &[(String, u16)], seconds: Range<i64>) -> (People, u64) {
        let (mut people, mut count) = (BTreeMap::new(), 0);
        let among = self.requests.iter().rev().filter(|(second, _)| seconds.contains(second));
        for (_, request) in among.filter(|(_, request)| request.is_by_weight() && request.is_of(services)) {
            count += 1;
            if let Some(bucket) = request.bucket() {
                people.entry(bucket).or_insert_with(|| request.version.clone());
            }
        }
        (people, count)
    }
}

/// The version that a bucket belongs to in an entry.
#[must_use]
pub fn version_of(entry: &ReleaseSplit, bucket: u32) -> &str {
    if let Some(takeover) = &entry.takeover {
        return takeover;
    }
    let mut end = 0_u32;
    for (version, count) in &entry.buckets {
        end = end.saturating_add(*count);
        if bucket < end {
            return version;
        }
    }
    &entry.stable
}

/// The buckets that were seen lately, each with the version that it got last.
pub type People = BTreeMap<u32, String>;

/// How many of the people that were seen lately move when one entry replaces another, in words; empty where nobody was seen.
#[must_use]
pub fn seen(people: &People, before: &ReleaseSplit, after: &ReleaseSplit) -> String {
    match movers(people, before, after) {
        (_, 0) => String::new(),
        (moves, seen) => format!("Of {seen} people seen in the last 10 minutes {moves} move."),
    }
}

/// How many of the people that were seen move when one entry replaces another, and how many were seen.
#[must_use]
pub fn movers(people: &People, before: &ReleaseSplit, after: &ReleaseSplit) -> (usize, usize) {
    let moves = people.keys().filter(|bucket| version_of(before, **bucket) != version_of(after, **bucket)).count();
    (moves, people.len())
}

/// Distinct buckets by the version that they got.
#[must_use]
pub fn keys(people: &People) -> BTreeMap<&str, u64> {
    let versions: BTreeSet<&str> = people.values().map(String::as_str).collect();
    let count = |version: &str| people.values().filter(|own| *own == version).count() as u64;
    versions.into_iter().map(|version| (version, count(version))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"time":"2026-01-01T00:00:00.000Z","method":"GET","authority":"reviews","path":"/a","status":200,"flags":"-","duration_ms":3,
        "request_id":"56bc","trace_id":null,"version":"v2","reason":"weight(cookie:user,28706)","upstream":"127.0.0.1:1",
        "cluster":"outbound|9080|v2|reviews.bookinfo.svc.cluster.local","user_agent":null}"#;

    fn request(version: &str, bucket: u32, second: u32) -> Request {
        Request {
            version: version.to_owned(),
            reason: format!("weight(cookie:user,{bucket})"),
            time: format!("2026-01-01T00:00:{second:02}Z"),
            ..Request::read(LINE).unwrap()
        }
    }

    #[test]
    fn a_line_is_a_request() {
        let request = Request::read(LINE).unwrap();
        assert_eq!(request.service(), Some(("reviews.bookinfo.svc.cluster.local", 9080)));
        assert_eq!((request.bucket(), request.status, request.trace_id.as_str()), (Some(28_706), 200, ""));
        for none in ["", "[warning] something", "{", "{}", "{\"time\": 7}"] {
            assert_eq!(Request::read(none), None, "{none}");
        }
        let of = |reason: &str| Request { reason: reason.to_owned(), ..Request::default() };
        assert_eq!(
            [of("rule(qa)").bucket(), of("no-key").bucket(), of("rule(qa,cookie:user,7)").bucket()],
            [None, None, Some(7)]
        );
    }

    #[test]
    fn the_oldest_is_forgotten_and_the_newest_comes_first() {
        let mut ring = Ring::default();
        for number in 0..MOST as u32 + 5 {
            ring.push(request("v2", number, 0));
        }
        let (all, none) = (Filter::default(), []);
        let buckets: Vec<_> = ring.of(&none, &all).filter_map(Request::bucket).collect();
        assert_eq!((buckets.len(), buckets[0], buckets[MOST - 1], ring.seen), (MOST, MOST as u32 + 4, 5, MOST as u64 + 5));
        let elsewhere = [("reviews".to_owned(), 9080)];
        assert_eq!(ring.of(&elsewhere, &all).count(), 0);
        let filter = |version: &str, status: &str, q: &str| {
            let filter = Filter { version: version.into(), status: status.into(), q: q.into(), ..Filter::default() };
            ring.of(&[], &filter).count()
        };
        assert_eq!(
            (filter("v1", "", ""), filter("v2", "2", "56b"), filter("", "5", ""), filter("", "", "/b")),
            (0, MOST, 0, 0)
        );
    }

    #[test]
    fn people_are_counted_once_and_move_by_their_buckets() {
        let mut ring = Ring::default();
        for (version, bucket, second) in
            [("v1", 9, 1), ("v1", 10, 10), ("v2", 10, 11), ("v2", 20_000, 12), ("v1", 90_000, 13)]
        {
            ring.push(request(version, bucket, second));
        }
        let services = [("reviews.bookinfo.svc.cluster.local".to_owned(), 9080)];
        let from = "2026-01-01T00:00:05Z".parse::<Timestamp>().unwrap().as_second();
        let (people, count) = ring.people(&services, from..from + 100);
        assert_eq!((count, ring.people(&services, from + 100..from + 200).1), (4, 0));
        assert_eq!(people, [(10, "v2".to_owned()), (20_000, "v2".to_owned()), (90_000, "v1".to_owned())].into());
        assert_eq!(keys(&people), [("v1", 1), ("v2", 2)].into());
        let entry = |buckets: u32, takeover: Option<&str>| {
            let text = format!(r#"{{"release":"a/b","hosts":["h"],"stable":"v1","buckets":[["v2",{buckets}]]}}"#);
            ReleaseSplit { takeover: takeover.map(str::to_owned), ..serde_json::from_str(&text).unwrap() }
        };
        assert_eq!(movers(&people, &entry(20_001, None), &entry(20_000, None)), (1, 3));
        assert_eq!(movers(&people, &entry(20_000, None), &entry(20_000, Some("v2"))), (2, 3));
    }
}
