//! The filter's way to the proxies: modules under paths that hold their digest.
//!
//! Replicas of two versions run side by side during an upgrade, and a request may reach either. So each version puts its filter
//! into a ConfigMap, and every replica serves what is there, its own or not.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, ListParams, ObjectMeta, Patch, PatchParams};
use kube::{Client, ResourceExt};

use crate::{FILTER, REQUEST_FILTER};
use serin_mesh::digest::digest;
use serin_mesh::names::{MANAGED_BY, MANAGER};

/// So many modules stay: those of this version, and those that proxies may still be told of.
const KEPT: usize = 8;
/// Between two lists of the ConfigMaps.
const APART: Duration = Duration::from_millis(250);
const OWN: [&[u8]; 2] = [FILTER, REQUEST_FILTER];
/// The label of the ConfigMaps that hold a module.
pub(crate) const LABEL: &str = "serin.dev/filter";
/// The key of the module in such a ConfigMap.
pub(crate) const KEY: &str = "filter.wasm";

/// When the last list of ConfigMaps began, and their names.
type Listed = (Instant, BTreeSet<String>);

/// The modules that can be served.
#[derive(Clone)]
pub struct Modules {
    api: Api<ConfigMap>,
    /// This version's own, by their digests.
    own: Arc<[(String, &'static [u8])]>,
    others: Arc<Mutex<HashMap<String, Bytes>>>,
    listed: Arc<tokio::sync::Mutex<Option<Listed>>>,
}

impl Modules {
    /// The modules of a controller's namespace.
    #[must_use]
    pub fn new(client: Client, namespace: &str) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            own: OWN.map(|module| (digest(module), module)).into(),
            others: Arc::default(),
            listed: Arc::default(),
        }
    }

    /// The path under which a module is served.
    #[must_use]
    pub fn path(sha256: &str) -> String {
        format!("/filter/{sha256}.wasm")
    }

    /// A module by its digest.
    pub async fn get(&self, sha256: &str) -> Option<Bytes> {
        if let Some((_, own)) = self.own.iter().find(|(digest, _)| digest == sha256) {
            return Some(Bytes::from_static(own));
        }
        if sha256.len() != 64 || !sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        if let Some(known) = self.others.lock().ok().and_then(|others| others.get(sha256).cloned()) {
            return Some(known);
        }
        if !self.is_listed(&config_map(sha256)).await {
            return None;
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

    /// Whether there is a ConfigMap of this name, by a list that began after the question came: a proxy that is told of a new module
    /// does not ask twice. However many digests are asked for that nobody has, the lists keep their distance.
    async fn is_listed(&self, name: &str) -> bool {
        let asked = Instant::now();
        let mut listed = self.listed.lock().await;
        if let Some((_, names)) = listed.as_ref().filter(|(began, _)| *began >= asked) {
            return names.contains(name);
        }
        if let Some((began, _)) = listed.as_ref() {
            tokio::time::sleep_until((*began + APART).into()).await;
        }
        let began = Instant::now();
        let names: BTreeSet<String> = match self.api.list_metadata(&ListParams::default().labels(LABEL)).await {
            Ok(maps) => maps.items.iter().map(ResourceExt::name_any).collect(),
            Err(error) => {
                tracing::warn!(error = %super::cause(&error), "cannot list the filters of other versions");
                BTreeSet::new()
            }
        };
        let is_there = names.contains(name);
        *listed = Some((began, names));
        is_there
    }

    /// Puts this version's filter where every replica finds it, and removes the oldest ones.
    ///
    /// # Errors
    /// The API server's.
    pub async fn keep(&self) -> Result<(), kube::Error> {
        for (sha256, module) in &*self.own {
            let name = config_map(sha256);
            if self.api.get_metadata_opt(&name).await?.is_some() {
                continue;
            }
            let labels = [(MANAGED_BY, MANAGER), (LABEL, "true")].map(|(key, value)| (key.to_owned(), value.to_owned()));
            let map = ConfigMap {
                metadata: ObjectMeta { name: Some(name.clone()), labels: Some(labels.into()), ..ObjectMeta::default() },
                binary_data: Some([(KEY.to_owned(), ByteString(module.to_vec()))].into()),
                immutable: Some(true),
                ..ConfigMap::default()
            };
            self.api.patch(&name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(&map)).await?;
        }
        let mut all = self.api.list_metadata(&ListParams::default().labels(LABEL)).await?.items;
        all.sort_by_key(|map| std::cmp::Reverse(map.creation_timestamp().map(|time| time.0)));
        let own: Vec<String> = self.own.iter().map(|(sha256, _)| config_map(sha256)).collect();
        for old in all.iter().skip(KEPT).filter(|map| !own.contains(&map.name_any())) {
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
