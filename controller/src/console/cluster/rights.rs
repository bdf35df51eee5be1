//! What a user may do, as the API server says it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use kube::Client;
use kube::api::{Api, PostParams};
use serin_console::frame::{Hindrance, May};
use tokio::time::timeout;

/// So long an answer holds.
const FRESH: Duration = Duration::from_secs(60);
/// So long an answer may take: a page does not wait for it for ever.
const PATIENCE: Duration = Duration::from_secs(3);

/// The rights of one user, by namespace.
pub(super) struct Rights {
    client: Client,
    known: Mutex<HashMap<String, (Instant, May)>>,
}

impl Rights {
    pub(super) fn new(client: Client) -> Self {
        Self { client, known: Mutex::default() }
    }

    /// What the user may do in a namespace.
    pub(super) async fn may(&self, namespace: &str) -> May {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(namespace).cloned();
        if let Some((_, may)) = known.filter(|(at, _)| at.elapsed() < FRESH) {
            return may;
        }
        let ask = |verb, resource| self.hindrance(namespace, verb, resource);
        let (update, make) = (ask("update", "canarycontrols"), ask("create", "canarycontrols"));
        let (edit, create, delete) =
            (ask("update", "canaryreleases"), ask("create", "canaryreleases"), ask("delete", "canaryreleases"));
        let (update, make, edit, create, delete) = tokio::join!(update, make, edit, create, delete);
        let may = May { speak: update.or(make), edit, create, delete };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(namespace.to_owned(), (Instant::now(), may.clone()));
        may
    }

    /// Why something may not be done; whoever does not get an answer tries, and is told then.
    async fn hindrance(&self, namespace: &str, verb: &str, resource: &str) -> Hindrance {
        let attributes = ResourceAttributes {
            group: Some("serin.dev".to_owned()),
            namespace: Some(namespace.to_owned()).filter(|namespace| !namespace.is_empty()),
            resource: Some(resource.to_owned()),
            verb: Some(verb.to_owned()),
            ..ResourceAttributes::default()
        };
        let spec =
            SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..SelfSubjectAccessReviewSpec::default() };
        let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
        let reviews: Api<SelfSubjectAccessReview> = Api::all(self.client.clone());
        let parameters = PostParams::default();
        let answer = timeout(PATIENCE, reviews.create(&parameters, &review)).await.ok()?.ok()?.status?;
        let place = if namespace.is_empty() { "all namespaces".to_owned() } else { format!("namespace {namespace}") };
        (!answer.allowed).then(|| format!("you may not {verb} {resource}.serin.dev in {place}"))
    }
}
