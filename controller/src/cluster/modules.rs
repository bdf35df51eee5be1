//! The filter's way to the proxies: modules under paths that hold their digest.
//!
//! Replicas of two versions run side by side during an upgrade, and a request may reach either. So each version puts its filter
//! into a ConfigMap, and every replica serves what is there, its own or not.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, ListParams, ObjectMeta, Patch, PatchParams};
use kube::{Client, ResourceExt};

use crate::FILTER;
use crate::reconcile::build::digest;
use crate::reconcile::hosts::{MANAGED_BY, MANAGER};

/// So many modules stay: the current one, and those that proxies may still be told of.
const KEPT: usize = 4;
const LABEL: &str = "serin.dev/filter";
const KEY: &str = "filter.wasm";

/// The modules that can be served.
#[derive(Clone)]
pub struct Modules {
    api: Api<ConfigMap>,
    own: Arc<str>,
    others: Arc<Mutex<HashMap<String, Bytes>>>,
}

impl Modules {
    /// The modules of a controller's namespace.
    #[must_use]
    pub fn new(client: Client, namespace: &str) -> Self {
        Self { api: Api::namespaced(client, namespace), own: digest(FILTER).into(), others: Arc::default() }
    }

    /// The digest of this version's own filter.
    #[must_use]
    pub fn own(&self) -> &str {
        &self.own
    }

    /// The path under which a module is served.
    #[must_use]
    pub fn path(sha256: &str) -> String {
        format!("/filter/{sha256}.wasm")
    }

    /// A module by its digest.
    pub async fn get(&self, sha256: &str) -> Option<Bytes> {
        if *self.own == *sha256 {
            return Some(Bytes::from_static(FILTER));
        }
        if sha256.len() != 64 || !sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        if let Some(known) = self.others.lock().ok().and_then(|others| others.get(sha256).cloned()) {
            return Some(known);
        }
        let found = self.api.get_opt(&config_map(sha256)).await.ok()??;
        let ByteString(bytes) = found.binary_data?.remove(KEY)?;
        if digest(&bytes) != sha256 {
            tracing::error!(config_map = config_map(sha256), "holds another module than its name says; delete it");
            return None;
        }
        let bytes = Bytes::from(bytes);
        if let Ok(mut others) = self.others.lock() {
            others.insert(sha256.to_owned(), bytes.clone());
        }
        Some(bytes)
    }

    /// Puts this version's filter where every replica finds it, and removes the oldest ones.
    ///
    /// # Errors
    /// The API server's.
    pub async fn keep(&self) -> Result<(), kube::Error> {
        let own = config_map(&self.own);
        if self.api.get_metadata_opt(&own).await?.is_none() {
            let labels = [(MANAGED_BY, MANAGER), (LABEL, "true")].map(|(key, value)| (key.to_owned(), value.to_owned()));
            let map = ConfigMap {
                metadata: ObjectMeta { name: Some(own.clone()), labels: Some(labels.into()), ..ObjectMeta::default() },
                binary_data: Some([(KEY.to_owned(), ByteString(FILTER.to_vec()))].into()),
                immutable: Some(true),
                ..ConfigMap::default()
            };
            self.api.patch(&own, &PatchParams::apply(MANAGER).force(), &Patch::Apply(&map)).await?;
        }
        let mut all = self.api.list_metadata(&ListParams::default().labels(LABEL)).await?.items;
        all.sort_by_key(|map| std::cmp::Reverse(map.creation_timestamp().map(|time| time.0)));
        for old in all.iter().skip(KEPT).filter(|map| map.name_any() != own) {
            self.api.delete(&old.name_any(), &DeleteParams::default()).await?;
        }
        Ok(())
    }
}

/// The name of the ConfigMap that holds a module.
#[must_use]
pub fn config_map(sha256: &str) -> String {
    format!("serin-filter-{}", sha256.get(..16).unwrap_or(sha256))
}
