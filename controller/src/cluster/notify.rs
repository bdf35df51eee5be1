//! Tells people what happened: each sink has a task of its own, so that one that is down holds nothing up.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::header::CONTENT_TYPE;
use hyper::{Request, Uri};
use serin_mesh::message::Message;
use serin_mesh::resource::Resource;
use serin_release::api::v1alpha1::Status;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::cause;
use super::https::{Https, https};

/// Messages that wait for a sink; what comes while so many do is dropped, and the history has it.
const WAITING: usize = 1000;
/// How often a message is tried, and how long one try may take.
const TRIES: u32 = 5;
const CAP: Duration = Duration::from_secs(10);
/// The most bytes of an answer, of which nobody reads more.
const MOST_BYTES: usize = 64 << 10;

/// The form of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Json,
    Slack,
}

/// Where messages go, `NAME=URL`.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Sink {
    name: String,
    url: Uri,
}

/// The url may hold a secret.
impl std::fmt::Debug for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sink({})", self.name)
    }
}

impl FromStr for Sink {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('=').filter(|(name, _)| !name.is_empty());
        let (name, url) = parts.ok_or("write NAME=URL, such as `team-shop=https://hooks.example/shop`")?;
        let url: Uri = url.parse().map_err(|error| format!("the url of `{name}` is none: {error}"))?;
        let known = matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some();
        match known {
            true => Ok(Self { name: name.to_owned(), url }),
            false => Err(format!("the url of `{name}` is not one of http or https")),
        }
    }
}

/// The ways to the sinks, by their names.
pub(super) struct Notifier {
    cluster: String,
    sinks: BTreeMap<String, mpsc::Sender<Message>>,
}

impl Notifier {
    /// Starts a task for each sink.
    pub(super) fn start(cluster: String, json: &[Sink], slack: &[Sink], tasks: &mut JoinSet<()>) -> Self {
        let all = json.iter().map(|sink| (Form::Json, sink)).chain(slack.iter().map(|sink| (Form::Slack, sink)));
        let mut sinks = BTreeMap::new();
        for (form, sink) in all {
            let (sender, messages) = mpsc::channel(WAITING);
            tasks.spawn(deliver(sink.clone(), form, messages));
            sinks.insert(sink.name.clone(), sender);
        }
        Self { cluster, sinks }
    }

    /// Tells what happened to a release between two statuses to those whom it names.
    pub(super) fn tell(&self, resource: &Resource, before: &Status, after: &Status) {
        let Ok(release) = &resource.parsed else { return };
        let mut happened: Vec<_> = after.happened_since(before).collect();
        happened.reverse();
        for entry in happened {
            for notify in release.spec.notify.iter().filter(|notify| notify.tells(entry.what)) {
                let Some(sink) = self.sinks.get(&notify.to) else {
                    tracing::warn!(release = %resource.id, to = notify.to, "nobody of this name is set up to be told (--notify)");
                    continue;
                };
                let message = Message {
                    cluster: self.cluster.clone(),
                    release: resource.id.to_string(),
                    uid: resource.uid.clone(),
                    entry: entry.clone(),
                    next: after.run.as_ref().map(|run| run.next.clone()).unwrap_or_default(),
                };
                if sink.try_send(message).is_err() {
                    tracing::warn!(release = %resource.id, to = notify.to, "dropped a message: too many wait for this sink");
                }
            }
        }
    }
}

/// Brings messages to a sink, one after the other.
async fn deliver(sink: Sink, form: Form, mut messages: mpsc::Receiver<Message>) {
    let client = match https() {
        Ok(client) => client,
        Err(cause) => return tracing::error!(to = sink.name, cause, "cannot tell anybody anything"),
    };
    while let Some(message) = messages.recv().await {
        for number in 1..=TRIES {
            match post(&client, &sink, form, &message).await {
                Ok(()) => break,
                Err(cause) if number == TRIES => {
                    tracing::warn!(to = sink.name, release = message.release, cause, "cannot tell what happened; gave up");
                }
                Err(cause) => {
                    tracing::debug!(
                        to = sink.name,
                        release = message.release,
                        cause,
                        "cannot tell what happened; trying again"
                    );
                    sleep(Duration::from_secs(1 << (number - 1))).await;
                }
            }
        }
    }
}

async fn post(client: &Https, sink: &Sink, form: Form, message: &Message) -> Result<(), String> {
    let body = match form {
        Form::Json => message.json(),
        Form::Slack => message.slack(),
    };
    let request = Request::post(sink.url.clone())
        .header(CONTENT_TYPE, "application/json")
        .header("idempotency-key", message.key())
        .body(Full::from(body.to_string()))
        .map_err(|error| cause(&error))?;
    let answer = async {
        let response = client.request(request).await.map_err(|error| cause(&error))?;
        let status = response.status();
        // An answer that was not read would cost a connection.
        let _ = Limited::new(response.into_body(), MOST_BYTES).collect().await;
        if status.is_success() { Ok(()) } else { Err(format!("it answers with status {}", status.as_u16())) }
    };
    timeout(CAP, answer).await.unwrap_or_else(|_| Err(format!("no answer within {CAP:?}")))
}
