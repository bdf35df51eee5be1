//! Traces that are kept in memory, within bounds.

use std::collections::BTreeMap;

use serde::Serialize;

use super::limit;
use super::span::Span;
use super::summary::{Filter, Summary, summary};
use super::tree::{Trace, trace};

/// Traces by their ids; the one whose first span came first goes first.
#[derive(Clone, Debug, Default)]
pub struct Traces {
    held: BTreeMap<String, Held>,
    /// The ids of traces in the order in which they came.
    order: BTreeMap<u64, String>,
    /// Traces that have come.
    come: u64,
    /// Bytes of all texts.
    bytes: usize,
    counts: Counts,
}

/// What is kept of a trace.
#[derive(Clone, Debug, Default)]
struct Held {
    number: u64,
    spans: Vec<Span>,
    dropped: usize,
    bytes: usize,
}

/// What has come, and what is not kept any longer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Spans that have come.
    pub spans: u64,
    /// Traces that gave way to newer ones.
    pub dropped_traces: u64,
    /// Spans that were not kept: those of such traces, and those beyond what a trace may have.
    pub dropped_spans: u64,
}

impl Traces {
    /// Takes spans in. Those of one trace may come at different times, and one that comes twice is there once, as it was last.
    pub fn add(&mut self, spans: Vec<Span>) {
        for span in spans {
            self.counts.spans += 1;
            self.add_one(span);
        }
        while self.held.len() > limit::TRACES || (self.bytes > limit::BYTES && self.held.len() > 1) {
            self.drop_oldest();
        }
    }

    fn add_one(&mut self, span: Span) {
        if !self.held.contains_key(&span.trace_id) {
            self.order.insert(self.come, span.trace_id.clone());
            self.held.insert(span.trace_id.clone(), Held { number: self.come, ..Held::default() });
            self.come += 1;
        }
        let Some(held) = self.held.get_mut(&span.trace_id) else { return };
        let key = |span: &Span| (span.id.clone(), span.kind, span.service.clone());
        let (own, bytes) = (key(&span), span.bytes());
        let at = held.spans.iter().position(|known| key(known) == own);
        let is_full = held.spans.len() >= limit::SPANS;
        match at.and_then(|at| held.spans.get_mut(at)) {
            Some(known) => {
                let before = std::mem::replace(known, span).bytes();
                held.bytes = (held.bytes + bytes).saturating_sub(before);
                self.bytes = (self.bytes + bytes).saturating_sub(before);
            }
            None if is_full => {
                held.dropped += 1;
                self.counts.dropped_spans += 1;
            }
            None => {
                held.spans.push(span);
                held.bytes += bytes;
                self.bytes += bytes;
            }
        }
    }

    fn drop_oldest(&mut self) {
        let Some(held) = self.order.pop_first().and_then(|(_, id)| self.held.remove(&id)) else { return };
        self.bytes = self.bytes.saturating_sub(held.bytes);
        self.counts.dropped_traces += 1;
        self.counts.dropped_spans += u64::try_from(held.spans.len()).unwrap_or(u64::MAX);
    }

    /// A line for each trace that a filter takes, the newest first.
    #[must_use]
    pub fn list(&self, filter: &Filter) -> Vec<Summary> {
        let all = self.held.iter().map(|(id, held)| (held.number, summary(id, &held.spans)));
        let mut taken: Vec<(u64, Summary)> = all.filter(|(_, summary)| filter.takes(summary)).collect();
        taken.sort_by(|(one, of_one), (other, of_other)| (of_other.start, other).cmp(&(of_one.start, one)));
        taken.into_iter().map(|(_, summary)| summary).take(filter.limit.unwrap_or(usize::MAX)).collect()
    }

    /// One trace. Zeros in front of its id may be left out, and letter case does not count.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<Trace> {
        let width = if id.len() > 16 { 32 } else { 16 };
        let id = format!("{:0>width$}", id.to_ascii_lowercase());
        self.held.get(&id).map(|held| trace(&id, &held.spans, held.dropped))
    }

    /// How many traces are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether no trace is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// What has come, and what is not kept any longer.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::super::span::{Kind, read};
    use super::*;
    use serde_json::{Value, json};

    /// A span of a trace, at a time in microseconds.
    fn span(trace: u64, id: u64, start: u64, more: &Value) -> Value {
        let mut span =
            json!({"traceId": format!("{trace:x}"), "id": format!("{id:x}"), "timestamp": start, "duration": 100});
        span.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        span
    }

    fn add(traces: &mut Traces, spans: &[Value]) {
        traces.add(read(Value::from(spans).to_string().as_bytes()).unwrap());
    }

    fn ids(all: &[Summary]) -> Vec<u64> {
        all.iter().map(|summary| u64::from_str_radix(&summary.id, 16).unwrap()).collect()
    }

    /// As Envoy reports a request of a user.
    fn request(trace: u64, start: u64, version: &str, reason: &str, status: u16) -> [Value; 2] {
        let tags = json!({"http.method": "GET", "http.url": "http://reviews/reviews/8?user=ann", "http.status_code": status.to_string(),
            "guid:x-request-id": format!("id-{trace}"), "serin.version": version, "serin.reason": reason,
            "upstream_cluster": format!("outbound|9080|{version}|reviews.bookinfo")});
        let mut attempt = tags.clone();
        attempt["upstream_address"] = json!("127.0.0.1:9082");
        let serin = json!({"serviceName": "serin"});
        [
            span(trace, 1, start, &json!({"kind": "SERVER", "name": "reviews", "localEndpoint": serin, "tags": tags})),
            span(
                trace,
                2,
                start + 10,
                &json!({"kind": "CLIENT", "name": "router", "parentId": "1", "localEndpoint": serin, "tags": attempt, "duration": 80}),
            ),
        ]
    }

    #[test]
    fn a_line_says_what_was_decided_and_who_answered() {
        let mut traces = Traces::default();
        add(&mut traces, &request(7, 1_000, "v2", "weight(cookie:user,28706)", 200));
        // The service goes on with the trace, and calls another one, which fails.
        let call = json!({"kind": "CLIENT", "parentId": "2", "localEndpoint": {"serviceName": "reviews"},
            "tags": {"http.method": "POST", "http.url": "http://ratings/9", "http.status_code": "503", "error": "true"}, "duration": 5});
        add(&mut traces, &[span(7, 3, 1_050, &call)]);
        let expected = Summary {
            id: "0000000000000007".to_owned(),
            start: 1_000,
            duration: 100,
            name: "GET /reviews/8".to_owned(),
            host: Some("reviews.bookinfo".to_owned()),
            version: Some("v2".to_owned()),
            reason: Some("weight(cookie:user,28706)".to_owned()),
            status: Some(200),
            upstream: Some("127.0.0.1:9082".to_owned()),
            request_id: Some("id-7".to_owned()),
            error: true,
            services: vec!["reviews".to_owned(), "serin".to_owned()],
            spans: 3,
        };
        assert_eq!(traces.list(&Filter::default()), [expected]);
        let trace = traces.get("7").unwrap();
        let names: Vec<_> = trace.flat().into_iter().map(|(depth, span)| (depth, span.id.as_str(), span.kind)).collect();
        let id = |n: u64| format!("{n:016x}");
        assert_eq!(
            names,
            [(0, id(1).as_str(), Kind::Server), (1, id(2).as_str(), Kind::Client), (2, id(3).as_str(), Kind::Client)]
        );
        assert_eq!(traces.get("8"), None);
    }

    #[test]
    fn traces_are_found_by_what_their_lines_say() {
        let mut traces = Traces::default();
        for (trace, start, version, reason, status) in [
            (1, 10, "v1", "weight(cookie:user,90000)", 200),
            (2, 40, "v2", "weight(cookie:user,100)", 503),
            (3, 20, "v2", "rule(testers)", 404),
            (4, 30, "v1", "no-key", 200),
        ] {
            add(&mut traces, &request(trace, start, version, reason, status));
        }
        add(&mut traces, &[span(5, 1, 50, &json!({"localEndpoint": {"serviceName": "ratings"}, "duration": 7_000}))]);
        let list = |filter: Filter| ids(&traces.list(&filter));
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(list(Filter::default()), [5, 2, 4, 3, 1]);
        assert_eq!(list(Filter { limit: Some(2), ..Filter::default() }), [5, 2]);
        assert_eq!(list(Filter { version: text("v2"), ..Filter::default() }), [2, 3]);
        assert_eq!(list(Filter { reason: text("weight"), ..Filter::default() }), [2, 1]);
        assert_eq!(list(Filter { reason: text("rule(testers)"), ..Filter::default() }), [3]);
        assert_eq!(list(Filter { reason: text("no-key"), ..Filter::default() }), [4]);
        assert_eq!(list(Filter { status: Some(5), ..Filter::default() }), [2]);
        assert_eq!(list(Filter { status: Some(2), ..Filter::default() }), [4, 1]);
        assert_eq!(list(Filter { service: text("ratings"), ..Filter::default() }), [5]);
        assert_eq!(list(Filter { service: text("reviews.bookinfo"), ..Filter::default() }), [2, 4, 3, 1]);
        assert_eq!(list(Filter { service: text("serin"), version: text("v1"), ..Filter::default() }), [4, 1]);
        assert_eq!(list(Filter { min_duration: 101, ..Filter::default() }), [5]);
    }

    #[test]
    fn spans_of_a_trace_join_and_a_span_that_comes_twice_is_there_once() {
        let mut traces = Traces::default();
        let [server, client] = request(1, 1_000, "v2", "no-key", 200);
        add(&mut traces, std::slice::from_ref(&client));
        assert_eq!(traces.get("1").unwrap().roots.len(), 1);
        add(&mut traces, &[server.clone(), client.clone()]);
        // The called side has the id of the calling one, and another service.
        let called = json!({"kind": "SERVER", "parentId": "1", "localEndpoint": {"serviceName": "reviews"}, "shared": true});
        add(&mut traces, &[span(1, 2, 1_020, &called)]);
        let trace = traces.get("1").unwrap();
        let drawn: Vec<_> =
            trace.flat().into_iter().map(|(depth, span)| (depth, span.service.as_str(), span.kind)).collect();
        assert_eq!(drawn, [(0, "serin", Kind::Server), (1, "serin", Kind::Client), (2, "reviews", Kind::Server)]);
        assert_eq!(traces.counts(), Counts { spans: 4, ..Counts::default() });
        assert_eq!(traces.bytes, traces.held.values().flat_map(|held| &held.spans).map(Span::bytes).sum::<usize>());
    }

    #[test]
    fn the_oldest_traces_go_first_and_all_that_goes_is_counted() {
        let mut traces = Traces::default();
        for trace in 1..=1_003 {
            add(&mut traces, &[span(trace, 1, trace, &json!({})), span(trace, 2, trace, &json!({"parentId": "1"}))]);
        }
        // A later span does not make a trace young.
        add(&mut traces, &[span(4, 3, 9_999, &json!({}))]);
        add(&mut traces, &[span(1_004, 1, 1_004, &json!({}))]);
        assert_eq!((traces.len(), traces.is_empty()), (1_000, false));
        assert_eq!(traces.counts(), Counts { spans: 2_008, dropped_traces: 4, dropped_spans: 9 });
        let kept = |trace: u64| traces.get(&format!("{trace:x}")).is_some();
        assert_eq!([4, 5, 1_004].map(kept), [false, true, true]);
        for id in 1..=203 {
            add(&mut traces, &[span(2_000, id, id, &json!({}))]);
        }
        let trace = traces.get("7d0").unwrap();
        assert_eq!((trace.flat().len(), trace.dropped), (200, 3));
        assert_eq!(traces.counts().dropped_spans, 9 + 2 + 3);
    }

    #[test]
    fn memory_has_an_end() {
        let mut traces = Traces::default();
        let tags: Value =
            (0..60).map(|n| (format!("t{n}"), json!("x".repeat(1_000)))).collect::<serde_json::Map<_, _>>().into();
        let most = limit::BYTES / 60_000;
        for trace in 1..=800 {
            add(&mut traces, &[span(trace, 1, trace, &json!({"tags": tags}))]);
        }
        assert!(traces.bytes <= limit::BYTES, "{}", traces.bytes);
        assert!((most - 10..=most).contains(&traces.len()), "{} of {most}", traces.len());
        assert_eq!(traces.counts().dropped_traces, 800 - traces.len() as u64);
    }
}
