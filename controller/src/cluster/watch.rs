//! One watch for each kind, into one channel.

use futures::StreamExt;
use kube::api::{Api, DynamicObject};
use kube::runtime::utils::WatchStreamExt;
use kube::runtime::watcher::{self, Event};
use kube::{Client, core::PartialObjectMeta};
use tokio::sync::mpsc::UnboundedSender;

use super::kind::Kind;
use super::world::Seen;
use crate::cluster::metrics::Metrics;

/// Watches a kind until the receiver is gone. What fails is tried again with a growing delay and jitter.
pub(super) async fn watch(client: Client, kind: Kind, sender: UnboundedSender<(Kind, Seen)>, metrics: Metrics) {
    let resource = kind.resource();
    let config = match kind.selector() {
        Some(selector) => watcher::Config::default().labels(selector),
        None => watcher::Config::default(),
    };
    let events = match kind.metadata_only() {
        true => {
            let api: Api<PartialObjectMeta<DynamicObject>> = Api::all_with(client, &resource);
            watcher::watcher(api, config).map(|event| event.map(|event| convert(event, from_metadata))).boxed()
        }
        false => {
            let api: Api<DynamicObject> = Api::all_with(client, &resource);
            watcher::watcher(api, config).map(|event| event.map(|event| convert(event, |object| object))).boxed()
        }
    };
    let mut events = std::pin::pin!(events.default_backoff());
    while let Some(event) = events.next().await {
        match event {
            Ok(seen) => {
                if sender.send((kind, seen)).is_err() {
                    return;
                }
            }
            Err(error) => {
                metrics.watch_error(kind);
                tracing::warn!(kind = kind.name(), error = %super::cause(&error), "cannot watch; trying again");
            }
        }
    }
}

fn convert<T>(event: Event<T>, object: impl Fn(T) -> DynamicObject) -> Seen {
    match event {
        Event::Init => Seen::Begin,
        Event::InitApply(value) => Seen::Listed(object(value)),
        Event::InitDone => Seen::Listing,
        Event::Apply(value) => Seen::Changed(object(value)),
        Event::Delete(value) => Seen::Gone(object(value)),
    }
}

fn from_metadata(object: PartialObjectMeta<DynamicObject>) -> DynamicObject {
    DynamicObject { types: object.types, metadata: object.metadata, data: serde_json::Value::Null }
}
