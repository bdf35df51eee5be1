//! Metric sources: what answers to the queries of Prometheus (its HTTP API, `/api/v1/query`).

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::time::Duration;

use futures::StreamExt;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{ACCEPT, CONTENT_TYPE};
use hyper::{Request, StatusCode, Uri};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serin_mesh::analysis::{Answers, Question, Sample};
use serin_mesh::proxies::Observed;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::cause;
use super::https::{Https, https};

/// How long an answer may take.
const CAP: Duration = Duration::from_secs(10);
/// The most bytes that an answer may have: one has a line for each document or host.
const MOST_BYTES: usize = 4 << 20;
/// Between two looks.
const APART: Duration = Duration::from_secs(15);

/// A metric source that the administrator names, `NAME=URL`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source {
    /// Its name in messages.
    pub(super) name: String,
    /// The base of its API, without a slash at the end.
    url: String,
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('=').filter(|(name, _)| !name.is_empty());
        let (name, url) = parts.ok_or("write NAME=URL, such as `main=http://prometheus.monitoring:9090`")?;
        let uri: Uri = url.parse().map_err(|error| format!("`{url}` is not a url: {error}"))?;
        let known = matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some() && uri.query().is_none();
        match known {
            true => Ok(Self { name: name.to_owned(), url: url.trim_end_matches('/').to_owned() }),
            false => {
                Err(format!("`{url}` is not the base of an API; write one such as `http://prometheus.monitoring:9090`"))
            }
        }
    }
}

/// Asks metric sources.
struct Asker(Https);

/// Asks a source again and again, and tells what it says; `None` while it does not answer.
pub(super) async fn observe(source: Source, labels: String, tell: mpsc::Sender<(String, Option<Observed>)>) {
    let mut ticks = interval(APART);
    let mut asker = None;
    let mut failed = false;
    loop {
        ticks.tick().await;
        if asker.is_none() {
            asker = Asker::new().map_err(|cause| tracing::error!(cause, "cannot ask metric sources")).ok();
        }
        let Some(asker) = &asker else { continue };
        let answer = asker.observe(&source, &labels).await;
        match &answer {
            Ok(_) if failed => tracing::info!(source = source.name, "the metric source answers again"),
            Err(cause) if !failed => {
                tracing::warn!(source = source.name, cause, "the metric source does not answer; trying again")
            }
            _ => {}
        }
        failed = answer.is_err();
        if tell.send((source.name.clone(), answer.ok())).await.is_err() {
            return;
        }
    }
}

/// Between two rounds of questions of analyses.
const TICK: Duration = Duration::from_secs(10);
/// Questions that a source is asked at once.
const AT_ONCE: usize = 4;

/// Asks sources what analyses want to know, again and again; a question that is not answered is left out.
pub(super) async fn ask(sources: Vec<Source>, asked: watch::Receiver<BTreeSet<Question>>, tell: mpsc::Sender<Answers>) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut asker = None;
    let mut failed = false;
    loop {
        ticks.tick().await;
        let questions = asked.borrow().clone();
        if questions.is_empty() {
            continue;
        }
        if asker.is_none() {
            asker = Asker::new().map_err(|cause| tracing::error!(cause, "cannot ask metric sources")).ok();
        }
        let Some(asker) = &asker else { continue };
        let rounds = questions.into_iter().filter_map(|question| {
            let source = sources.iter().find(|source| source.name == question.source)?;
            Some(async move {
                let answer = asker.query(source, &question.promql).await;
                (question, answer)
            })
        });
        let all: Vec<_> = futures::stream::iter(rounds).buffer_unordered(AT_ONCE).collect().await;
        let first = all.iter().find_map(|(question, answer)| Some((question, answer.as_ref().err()?)));
        if let Some((question, cause)) = first.filter(|_| !failed) {
            tracing::warn!(
                source = question.source,
                cause,
                query = question.promql,
                "the metric source does not answer; trying again"
            );
        }
        failed = first.is_some();
        let answers = all.into_iter().filter_map(|(question, answer)| Some((question, answer.ok()?))).collect();
        if tell.send(answers).await.is_err() {
            return;
        }
    }
}

impl Asker {
    fn new() -> Result<Self, String> {
        https().map(Self)
    }

    /// What proxies have, and who is called by somebody without one.
    async fn observe(&self, source: &Source, labels: &str) -> Result<Observed, String> {
        let documents = self.query(source, &documents_query(labels)).await?;
        let called = self.query(source, &callers_query(labels)).await?;
        Ok(Observed {
            documents: documents.iter().filter_map(document).collect(),
            called_without_proxy: called.into_iter().filter_map(|mut sample| sample.labels.remove(HOST)).collect(),
        })
    }

    /// The instant vector that a query comes to.
    async fn query(&self, source: &Source, query: &str) -> Result<Vec<Sample>, String> {
        let body = format!("query={}", utf8_percent_encode(query, NON_ALPHANUMERIC));
        let request = Request::post(format!("{}/api/v1/query", source.url))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(ACCEPT, "application/json")
            .body(Full::from(body))
            .map_err(|error| cause(&error))?;
        let answer = async {
            let response = self.0.request(request).await.map_err(|error| cause(&error))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MOST_BYTES).collect().await.map_err(|error| error.to_string())?;
            samples(status, &body.to_bytes())
        };
        timeout(CAP, answer).await.unwrap_or_else(|_| Err(format!("no answer within {CAP:?}")))
    }
}

/// The label that holds a document's checksum in the answer to a query.
const DOCUMENT: &str = "document";
/// The label of Istio's that holds the host that was called.
const HOST: &str = "destination_service";

/// How many proxies have which document.
fn documents_query(labels: &str) -> String {
    format!("count_values({DOCUMENT:?}, serin_document_checksum{{{labels}}})")
}

/// Hosts that somebody without a proxy called in the last hour, as their own proxies tell. Not by `increase`: that is 0 for a series
/// that is new.
fn callers_query(labels: &str) -> String {
    let comma = if labels.is_empty() { "" } else { "," };
    let calls = format!(
        r#"istio_requests_total{{reporter="destination",source_workload="unknown",connection_security_policy!="mutual_tls"{comma}{labels}}}"#
    );
    format!("sum by ({HOST}) (clamp_min({calls} - ({calls} offset 1h or {calls} * 0), 0)) > 0")
}

fn document(sample: &Sample) -> Option<(u32, u64)> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of proxies")]
    let proxies = sample.value as u64;
    Some((sample.labels.get(DOCUMENT)?.parse().ok()?, proxies))
}

/// An answer of Prometheus's API.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "resultType")]
    kind: String,
    result: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    metric: BTreeMap<String, String>,
    /// The time, and the number as text.
    value: (f64, String),
}

fn samples(status: StatusCode, body: &[u8]) -> Result<Vec<Sample>, String> {
    let answer: Result<Answer, _> = serde_json::from_slice(body);
    let data = match answer {
        Ok(Answer { error: Some(error), .. }) => return Err(error),
        Ok(Answer { data: Some(data), .. }) if data.kind == "vector" => data,
        _ if status != StatusCode::OK => return Err(format!("it answers with status {}", status.as_u16())),
        _ => return Err("it does not answer as Prometheus does".to_owned()),
    };
    let samples =
        data.result.into_iter().map(|line| Some(Sample { labels: line.metric, value: line.value.1.parse().ok()? }));
    samples.collect::<Option<_>>().ok_or_else(|| "it does not answer as Prometheus does".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_a_name_and_the_base_of_an_api() {
        let source = |text: &str| text.parse::<Source>().map(|source| (source.name, source.url));
        let named = |url: &str| Ok(("main".to_owned(), url.to_owned()));
        assert_eq!(source("main=http://prometheus:9090/"), named("http://prometheus:9090"));
        assert_eq!(source("main=https://metrics.example/prometheus"), named("https://metrics.example/prometheus"));
        let shape = "write NAME=URL, such as `main=http://prometheus.monitoring:9090`";
        assert_eq!(source("http://prometheus:9090").unwrap_err(), shape);
        assert_eq!(source("=http://prometheus:9090").unwrap_err(), shape);
        for url in ["prometheus:9090", "ftp://prometheus", "http://prometheus/?query=x", "/x"] {
            let message =
                format!("`{url}` is not the base of an API; write one such as `http://prometheus.monitoring:9090`");
            assert_eq!(source(&format!("main={url}")).unwrap_err(), message);
        }
    }

    #[test]
    fn an_answer_is_read_and_a_bad_one_is_told() {
        let ok = |text: &str| samples(StatusCode::OK, text.as_bytes());
        let text = r#"{"status":"success","data":{"resultType":"vector","result":[
            {"metric":{"document":"4294967295"},"value":[1700000000.5,"12"]}]}}"#;
        let read = ok(text).unwrap();
        assert_eq!(read.iter().filter_map(document).collect::<Vec<_>>(), [(u32::MAX, 12)]);
        let strange = Err("it does not answer as Prometheus does".to_owned());
        for text in ["", "<html>", "{}", r#"{"data":{"resultType":"scalar","result":[]}}"#, &text.replace("\"12\"", "\"x\"")]
        {
            assert_eq!(ok(text), strange, "{text}");
        }
        let error = r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#;
        assert_eq!(samples(StatusCode::BAD_REQUEST, error.as_bytes()), Err("parse error".to_owned()));
        assert_eq!(samples(StatusCode::BAD_GATEWAY, b"<html>"), Err("it answers with status 502".to_owned()));
    }

    #[test]
    fn labels_of_the_administrator_stand_in_every_selector() {
        assert_eq!(documents_query(""), r#"count_values("document", serin_document_checksum{})"#);
        let labels = r#"cluster="east""#;
        assert_eq!(documents_query(labels), r#"count_values("document", serin_document_checksum{cluster="east"})"#);
        assert_eq!(callers_query(labels).matches(labels).count(), 3);
        assert_eq!(callers_query("").matches("mutual_tls\"}").count(), 3);
    }
}
