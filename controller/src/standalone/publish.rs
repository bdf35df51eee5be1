//! Brings a state to Envoy, file by file, in an order in which no route ever names a cluster that is not there.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::time::sleep;

use super::admin::{Admin, Stats};
use super::files::Directory;
use super::resolve::Served;
use super::{envoy, message};
use crate::api::standalone::StandaloneSpec;
use crate::cli::Failure;
use crate::{FILTER, REQUEST_FILTER};

/// How long Envoy may take to serve, or to take a file.
const CAP: Duration = Duration::from_secs(30);
/// How often a condition is asked for.
const PERIOD: Duration = Duration::from_millis(5);
/// The files of the filter: with an entry for responses, and without.
const MODULES: [(&str, &[u8]); 2] = [("serin_filter.wasm", FILTER), ("serin_request_filter.wasm", REQUEST_FILTER)];

/// One of Envoy's files, and the statistics that tell what became of it.
struct Target {
    file: &'static str,
    stats: &'static str,
}

const CLUSTERS: Target = Target { file: "cds.json", stats: "cluster_manager.cds." };
const ROUTES: Target = Target { file: "rds.json", stats: "http.serin.rds.serin." };
const LISTENER: Target = Target { file: "lds.json", stats: "listener_manager.lds." };
const FILTER_CONFIG: Target = Target { file: "ecds.json", stats: "extension_config_discovery.http_filter.serin." };

/// The way to Envoy: the files that it watches, and what it says of them.
pub(super) struct Publisher {
    pub(super) directory: Directory,
    pub(super) admin: Admin,
}

impl Publisher {
    /// Writes all files of a state, for an Envoy that starts on them or that refused another one.
    pub(super) fn write_all(&self, served: &Served) -> Result<(), Failure> {
        let (spec, directory) = (&served.spec, &self.directory);
        directory.keep(&served.checked.state)?;
        for (module, bytes) in MODULES {
            directory.write(module, bytes)?;
        }
        // The clusters come last: until then those of the state that was refused are there as well.
        for (target, content) in [
            (FILTER_CONFIG, self.filter(served)),
            (LISTENER, envoy::listener(spec, directory.path())),
            (ROUTES, routes(served)),
            (CLUSTERS, clusters(served)),
        ] {
            directory.write(target.file, content.to_string().as_bytes())?;
        }
        let bootstrap = envoy::bootstrap(spec, directory.path());
        directory.write("bootstrap.json", bootstrap.to_string().as_bytes())
    }

    /// Waits until Envoy serves a state with the filter.
    pub(super) async fn ready(&self, served: &Served) -> Result<(), String> {
        let start = Instant::now();
        // In the order in which Envoy reads them: a listener that is refused never asks for its routes.
        for (target, content) in [
            (CLUSTERS, clusters(served)),
            (LISTENER, envoy::listener(&served.spec, self.directory.path())),
            (ROUTES, routes(served)),
            (FILTER_CONFIG, self.filter(served)),
        ] {
            self.taken(&target, envoy::version_of(&content), 0, start).await?;
        }
        while !self.admin.is_ready().await {
            if start.elapsed() >= CAP {
                return Err(format!("Envoy did not serve within {CAP:?}; its log above says why"));
            }
            sleep(PERIOD).await;
        }
        Ok(())
    }

    /// Brings a new state to an Envoy that has the old one.
    pub(super) async fn apply(&self, old: &Served, new: &Served) -> Result<(), String> {
        if clusters(old) != clusters(new) {
            let (spec, defaults) = with_old(new, old, true);
            self.publish(&CLUSTERS, &envoy::clusters(&spec, &defaults)).await?;
            self.warm().await?;
        }
        // Until every worker has the new document, decisions of the old one find their routes as well.
        let headers = BTreeSet::from([envoy::routing_header(&old.spec), envoy::routing_header(&new.spec)]);
        let (spec, defaults) = with_old(new, old, false);
        let both = envoy::routes(&spec, &defaults, &headers);
        self.publish(&ROUTES, &both).await?;
        self.directory.keep(&new.checked.state).map_err(message)?;
        self.publish(&FILTER_CONFIG, &self.filter(new)).await?;
        self.publish(&LISTENER, &envoy::listener(&new.spec, self.directory.path())).await?;
        self.publish(&ROUTES, &routes(new)).await?;
        self.publish(&CLUSTERS, &clusters(new)).await
    }

    fn filter(&self, served: &Served) -> Value {
        let [(any, _), (requests, _)] = MODULES;
        let module = if served.checked.split.issues_cookies() { any } else { requests };
        envoy::filter(&self.directory.path().join(module), &served.checked.document.to_json())
    }

    /// Replaces a file and waits until Envoy has taken it.
    async fn publish(&self, target: &Target, content: &Value) -> Result<(), String> {
        let text = content.to_string();
        if self.directory.holds(target.file, text.as_bytes()) {
            return Ok(());
        }
        let refused = self.admin.stats(target.stats).await.map_or(u64::MAX, |stats| target.refused(&stats));
        self.directory.write(target.file, text.as_bytes()).map_err(message)?;
        self.taken(target, envoy::version_of(content), refused, Instant::now()).await
    }

    /// Waits until Envoy has taken a version of a file.
    async fn taken(&self, target: &Target, version: &str, refused: u64, start: Instant) -> Result<(), String> {
        while start.elapsed() < CAP {
            match self.admin.stats(target.stats).await {
                Some(stats) if stats.text(&format!("{}version_text", target.stats)) == version => return Ok(()),
                Some(stats) if target.refused(&stats) > refused => {
                    return Err(format!("Envoy refused {}; its log above says why", target.file));
                }
                _ => sleep(PERIOD).await,
            }
        }
        Err(format!("Envoy did not take {} within {CAP:?}", target.file))
    }

    /// Waits until all clusters can take requests: names are resolved, upstreams probed.
    async fn warm(&self) -> Result<(), String> {
        let start = Instant::now();
        let warming = "cluster_manager.warming_clusters";
        while start.elapsed() < CAP {
            match self.admin.stats(warming).await {
                Some(stats) if stats.number(warming) == 0 => return Ok(()),
                _ => sleep(PERIOD).await,
            }
        }
        Err(format!("new upstreams did not become ready within {CAP:?}"))
    }

    /// Lets requests that are under way end, and takes no new ones; false when some are left.
    pub(super) async fn drain(&self, most: Duration) -> bool {
        self.admin.post("/healthcheck/fail").await;
        self.admin.post("/drain_listeners").await;
        let start = Instant::now();
        let active = format!("http.{}.downstream_rq_active", envoy::STAT_PREFIX);
        let mut quiet = 0;
        while start.elapsed() < most {
            match self.admin.stats(&active).await {
                Some(stats) if stats.number(&active) > 0 => quiet = 0,
                // A request may have been on its way to a worker while the first answer was written.
                Some(_) if quiet < 2 => quiet += 1,
                _ => return true,
            }
            sleep(10 * PERIOD).await;
        }
        false
    }
}

impl Target {
    fn refused(&self, stats: &Stats) -> u64 {
        let of = |name: &str| stats.number(&format!("{}{name}", self.stats));
        of("update_rejected") + of("update_failure")
    }
}

fn clusters(served: &Served) -> Value {
    envoy::clusters(&served.spec, &served.defaults)
}

fn routes(served: &Served) -> Value {
    envoy::routes(&served.spec, &served.defaults, &BTreeSet::from([envoy::routing_header(&served.spec)]))
}

/// The new services and their defaults with the versions that they had before, and if asked for with the services that are gone.
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
    (both, defaults)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::file::{self, File};
    use crate::release::State;
    use crate::standalone::resolve::resolve;

    fn served(services: &str, stable: &str, canary: &str) -> Served {
        let text = format!(
            "apiVersion: serin.dev/v1alpha1\nkind: Standalone\nspec: {{listen: '127.0.0.1:1', admin: '127.0.0.1:2', services: {services}}}\n\
             ---\napiVersion: serin.dev/v1alpha1\nkind: CanaryRelease\nmetadata: {{name: a, namespace: b}}\n\
             spec: {{service: a.b, stable: {{version: {stable}}}, canaries: [{{version: {canary}, weight: 10%}}]}}\n"
        );
        let path = Path::new("serin.yaml");
        let File::Manifest(manifest) = file::parse(path, text.as_bytes()).unwrap() else { panic!("no manifest") };
        resolve(path, manifest, &State::default()).unwrap()
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

    fn named(value: &Value, key: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        texts(value, key, &mut found);
        found
    }

    #[test]
    fn no_route_names_a_missing_cluster_at_any_step_of_a_change() {
        let probed = ", healthCheck: {path: /}";
        let states = [
            served(&format!("[{}]", service("a.b", "v1 v2", "")), "v1", "v2"),
            served(&format!("[{}]", service("a.b", "v2 v3", "")), "v2", "v3"),
            served(&format!("[{}]", service("a.b", "v1 v2 v3", probed)), "v3", "v1"),
            served(&format!("[{}, {}]", service("c", "v1", probed), service("a.b", "v1 v2", "")), "v2", "v1"),
        ];
        for (old, new) in states.iter().flat_map(|old| states.iter().map(move |new| (old, new))) {
            let headers = BTreeSet::from(["x-serin-version"]);
            let (spec, defaults) = with_old(new, old, true);
            let union = named(&envoy::clusters(&spec, &defaults), "name");
            let (spec, defaults) = with_old(new, old, false);
            let between = named(&envoy::routes(&spec, &defaults, &headers), "cluster");
            let (before, after) = (named(&routes(old), "cluster"), named(&routes(new), "cluster"));
            assert!(before.is_subset(&union) && between.is_subset(&union) && after.is_subset(&union));
            assert!(after.is_subset(&between));
            assert!(after.is_subset(&named(&clusters(new), "name")));
        }
    }

    #[test]
    fn the_version_of_a_file_is_that_of_its_content() {
        let of = |versions: &str| clusters(&served(&format!("[{}]", service("a.b", versions, "")), "v1", "v2"));
        assert_eq!(envoy::version_of(&of("v1 v2")).len(), 16);
        assert_eq!(envoy::version_of(&of("v1 v2")), envoy::version_of(&of("v2 v1")));
        assert_ne!(envoy::version_of(&of("v1 v2")), envoy::version_of(&of("v1 v2 v3")));
    }
}
