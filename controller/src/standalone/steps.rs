//! The way from one state to another, file by file, on which no route ever names a cluster that is not there. No IO.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;
use serin_release::api::standalone::StandaloneSpec;

use super::envoy;
use super::resolve::Served;
use crate::{FILTER, REQUEST_FILTER};

/// The files of the filter: with an entry for responses, and without.
pub(super) const MODULES: [(&str, &[u8]); 2] =
    [("serin_filter.wasm", FILTER), ("serin_request_filter.wasm", REQUEST_FILTER)];

/// One of Envoy's files, and the statistics that tell what became of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) file: &'static str,
    pub(super) stats: &'static str,
}

const CLUSTERS: &Target = &Target { file: "cds.json", stats: "cluster_manager.cds." };
const ROUTES: &Target = &Target { file: "rds.json", stats: "http.serin.rds.serin." };
const LISTENER: &Target = &Target { file: "lds.json", stats: "listener_manager.lds." };
const FILTER_CONFIG: &Target = &Target { file: "ecds.json", stats: "extension_config_discovery.http_filter.serin." };

/// What one of the files shall hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Resource {
    pub(super) target: &'static Target,
    pub(super) version: String,
    pub(super) text: String,
}

impl Resource {
    fn new(target: &'static Target, content: &Value) -> Self {
        Self { target, version: envoy::version_of(content).to_owned(), text: content.to_string() }
    }
}

/// A step of the way.
#[derive(Debug)]
pub(super) enum Step {
    /// Replace a file, and wait until Envoy has taken it.
    Publish(Resource),
    /// Wait until upstreams can take requests: their names are resolved, and they are probed.
    Warm(Warmth),
    /// Keep the bucket maps.
    Keep,
}

/// The clusters that are waited for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Warmth {
    /// Those that are new or changed.
    pub(super) wanted: BTreeSet<String>,
    /// Those without which requests would fail that do not fail yet: new ones of services that are there already.
    pub(super) needed: BTreeSet<String>,
}

/// All files of a state, in the order in which Envoy reads them: a listener that is refused never asks for its routes.
pub(super) fn whole(directory: &Path, served: &Served) -> [Resource; 4] {
    [
        Resource::new(CLUSTERS, &clusters(served)),
        Resource::new(LISTENER, &envoy::listener(&served.spec, directory)),
        Resource::new(ROUTES, &routes(served)),
        Resource::new(FILTER_CONFIG, &filter(directory, served)),
    ]
}

/// The way from what Envoy has to what it shall have.
pub(super) fn change(directory: &Path, old: &Served, new: &Served) -> Vec<Step> {
    let publish = |target, content: &Value| Step::Publish(Resource::new(target, content));
    let (before, after) = (clusters(old), clusters(new));
    let mut steps = Vec::new();
    if before != after {
        let (spec, defaults) = with_old(new, old, true);
        steps.push(publish(CLUSTERS, &envoy::clusters(&spec, &defaults)));
        steps.push(Step::Warm(Warmth { wanted: wanted(&before, &after), needed: needed(old, new) }));
    }
    // Until every worker has the new document, decisions of the old one find their routes as well.
    let headers = BTreeSet::from([envoy::routing_header(&old.spec), envoy::routing_header(&new.spec)]);
    let (spec, defaults) = with_old(new, old, false);
    steps.push(publish(ROUTES, &envoy::routes(&spec, &defaults, &headers)));
    // What Envoy may refuse comes before the document: a change that is tried again and again moves no user.
    steps.push(publish(LISTENER, &envoy::listener(&new.spec, directory)));
    steps.push(Step::Keep);
    steps.push(publish(FILTER_CONFIG, &filter(directory, new)));
    steps.push(publish(ROUTES, &routes(new)));
    steps.push(publish(CLUSTERS, &after));
    steps
}

/// The names of the clusters that are not among others as they are.
fn wanted(before: &Value, after: &Value) -> BTreeSet<String> {
    let list = |clusters: &Value| clusters.get("resources").and_then(Value::as_array).cloned().unwrap_or_default();
    let name = |cluster: &Value| cluster.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let before: BTreeMap<String, Value> = list(before).into_iter().map(|cluster| (name(&cluster), cluster)).collect();
    let after = list(after).into_iter();
    after.filter(|cluster| before.get(&name(cluster)) != Some(cluster)).map(|cluster| name(&cluster)).collect()
}

fn needed(old: &Served, new: &Served) -> BTreeSet<String> {
    let known: BTreeSet<String> = old.spec.services.iter().flat_map(cluster_names).collect();
    let served = |service: &&serin_release::api::standalone::Service| {
        old.spec.services.iter().any(|before| (&before.host, before.port) == (&service.host, service.port))
    };
    let all = new.spec.services.iter().filter(served).flat_map(cluster_names);
    all.filter(|name| !known.contains(name)).collect()
}

fn cluster_names(service: &serin_release::api::standalone::Service) -> impl Iterator<Item = String> {
    service.versions.keys().map(move |version| envoy::cluster_name(service, version))
}

fn filter(directory: &Path, served: &Served) -> Value {
    let [(any, _), (requests, _)] = MODULES;
    let module = if served.checked.split.issues_cookies() { any } else { requests };
    envoy::filter(&directory.join(module), &served.checked.document.to_json())
}

fn clusters(served: &Served) -> Value {
    envoy::clusters(&served.spec, &served.defaults)
}

fn routes(served: &Served) -> Value {
    envoy::routes(&served.spec, &served.defaults, &BTreeSet::from([envoy::routing_header(&served.spec)]))
}

/// The new services and their defaults with the versions that they had before, and if asked for with the services that are gone; with a
/// collector that is gone, too.
fn with_old(new: &Served, old: &Served, gone: bool) -> (StandaloneSpec, Vec<String>) {
    let (mut both, mut defaults) = (new.spec.clone(), new.defaults.clone());
    for (before, default) in old.spec.services.iter().zip(&old.defaults) {
        match both.services.iter_mut().find(|service| (&service.host, service.port) == (&before.host, before.port)) {
            Some(service) => {
                for (version, addresses) in &before.versions {
                    service.versions.entry(version.clone()).or_insert_with(|| addresses.clone());
                }
            }
            None if gone => {
                both.services.push(before.clone());
                defaults.push(default.clone());
            }
            None => {}
        }
    }
    // Until the listener is replaced it sends spans to the collector that it had.
    both.tracing = both.tracing.or_else(|| old.spec.tracing.clone());
    (both, defaults)
}

#[cfg(test)]
mod tests {
    use serin_release::State;

    use super::*;
    use crate::standalone::resolve::resolve;
    use crate::standalone::text::manifest;

    fn served(services: &str, stable: &str, canary: &str) -> Served {
        let text = format!(
            "apiVersion: serin.dev/v1alpha1\nkind: Standalone\nspec: {{listen: '127.0.0.1:1', admin: '127.0.0.1:2', services: {services}}}\n\
             ---\napiVersion: serin.dev/v1alpha1\nkind: CanaryRelease\nmetadata: {{name: a, namespace: b}}\n\
             spec: {{service: a.b, stable: {{version: {stable}}}, canaries: [{{version: {canary}, weight: 10%}}]}}\n"
        );
        let path = Path::new("serin.yaml");
        resolve(path, manifest(path, text.as_bytes()).unwrap(), &State::default(), &serin_release::Moment::default())
            .unwrap()
    }

    fn service(host: &str, versions: &str, more: &str) -> String {
        let versions: Vec<_> = versions.split(' ').map(|version| format!("{version}: ['127.0.0.1:3']")).collect();
        format!("{{host: {host}, port: 80, versions: {{{}}}{more}}}", versions.join(", "))
    }

    /// All texts behind a key.
    fn texts(value: &Value, key: &str, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    if let (true, Some(text)) = (name == key, value.as_str()) {
                        found.insert(text.to_owned());
                    }
                    texts(value, key, found);
                }
            }
            Value::Array(values) => values.iter().for_each(|value| texts(value, key, found)),
            _ => {}
        }
    }

    fn named(text: &str, key: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        texts(&serde_json::from_str(text).unwrap(), key, &mut found);
        found
    }

    #[test]
    fn no_route_names_a_missing_cluster_at_any_step_of_a_change() {
        let probed = ", healthCheck: {path: /}";
        let traced = |url: &str| format!("[{}], tracing: {{endpoint: '{url}'}}", service("a.b", "v1 v2", ""));
        let states = [
            served(&format!("[{}]", service("a.b", "v1 v2", "")), "v1", "v2"),
            served(&format!("[{}]", service("a.b", "v2 v3", "")), "v2", "v3"),
            served(&format!("[{}]", service("a.b", "v1 v2 v3", probed)), "v3", "v1"),
            served(&format!("[{}, {}]", service("c", "v1", probed), service("a.b", "v1 v2", "")), "v2", "v1"),
            served(&traced("http://127.0.0.1:4/spans"), "v1", "v2"),
            served(&traced("http://zipkin/spans"), "v1", "v2"),
        ];
        let directory = Path::new("/state");
        for (old, new) in states.iter().flat_map(|old| states.iter().map(move |new| (old, new))) {
            let mut files: BTreeMap<&str, String> =
                whole(directory, old).map(|resource| (resource.target.file, resource.text)).into();
            for step in change(directory, old, new) {
                if let Step::Publish(resource) = step {
                    files.insert(resource.target.file, resource.text);
                }
                let (routed, known) = (named(&files["rds.json"], "cluster"), named(&files["cds.json"], "name"));
                assert!(routed.is_subset(&known), "{routed:?} {known:?}");
                assert!(named(&files["lds.json"], "collector_cluster").is_subset(&known), "{known:?}");
                // Decisions of the document that is served find their routes.
                let document: Value = serde_json::from_str(&files["ecds.json"]).unwrap();
                let document = document.pointer("/resources/0/typed_config/config/configuration/value").unwrap();
                let document: Value = serde_json::from_str(document.as_str().unwrap()).unwrap();
                let decided = document["splits"][0]["buckets"][0][0].as_str().unwrap();
                assert!(routed.contains(&format!("outbound|80|{decided}|a.b")), "{routed:?} {decided}");
            }
            let last: BTreeMap<&str, String> =
                whole(directory, new).map(|resource| (resource.target.file, resource.text)).into();
            assert_eq!(files, last);
        }
    }

    #[test]
    fn only_what_would_fail_otherwise_is_waited_for() {
        let needed = |old: &str, new: &str| {
            needed(&served(old, "v1", "v2"), &served(new, "v1", "v2")).into_iter().collect::<Vec<_>>()
        };
        let one = format!("[{}]", service("a.b", "v1 v2", ""));
        assert_eq!(needed(&one, &format!("[{}, {}]", service("a.b", "v1 v2", ""), service("c", "v1", ""))), [""; 0]);
        assert_eq!(needed(&one, &format!("[{}]", service("a.b", "v1 v2", ", healthCheck: {path: /}"))), [""; 0]);
        assert_eq!(needed(&one, &format!("[{}]", service("a.b", "v1 v2 v3", ""))), ["outbound|80|v3|a.b"]);
        let clusters = |services: &str| clusters(&served(services, "v1", "v2"));
        let two = format!("[{}, {}]", service("a.b", "v1 v2 v3", ""), service("c", "v1", ""));
        assert_eq!(
            wanted(&clusters(&one), &clusters(&two)).into_iter().collect::<Vec<_>>(),
            ["outbound|80|v1|c", "outbound|80|v3|a.b"]
        );
        let changed = one.replacen("'127.0.0.1:3'", "'127.0.0.1:4'", 1);
        assert_eq!(wanted(&clusters(&one), &clusters(&changed)).into_iter().collect::<Vec<_>>(), ["outbound|80|v1|a.b"]);
    }

    #[test]
    fn the_version_of_a_file_is_that_of_its_content() {
        let of = |versions: &str| {
            let [clusters, ..] = whole(Path::new("/s"), &served(&format!("[{}]", service("a.b", versions, "")), "v1", "v2"));
            clusters.version
        };
        assert_eq!(of("v1 v2").len(), 16);
        assert_eq!(of("v1 v2"), of("v2 v1"));
        assert_ne!(of("v1 v2"), of("v1 v2 v3"));
    }
}
