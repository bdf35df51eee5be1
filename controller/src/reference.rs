//! The reference of Serin's own metrics, as Markdown, from what its registries write.

use std::collections::BTreeMap;
use std::fmt::Write;

/// A family of metrics as Prometheus reads it.
#[derive(Debug, Default)]
struct Family<'t> {
    kind: &'t str,
    help: &'t str,
    /// Labels, each with the values that it has.
    labels: BTreeMap<&'t str, Vec<&'t str>>,
}

/// The tables of the controller and of standalone.
#[must_use]
pub fn metrics() -> String {
    #[cfg(feature = "cluster")]
    let controller = table(&crate::cluster::metrics::each::text());
    #[cfg(not(feature = "cluster"))]
    let controller = String::new();
    let standalone = table(&crate::standalone::metrics_text());
    format!(
        "<!-- Generated from the registries; `make golden` writes it. -->\n# Metrics\n\n\
         Serin's own metrics, in the format of OpenMetrics. The decisions themselves are counted by the filter in each proxy: see \
         [the filter](filter.md#metrics). Those of `serin standalone`: [monitor standalone](../how-to/monitor-standalone.md).\n\n\
         ## Controller\n\n`serin controller` serves them at `/metrics` of `--listen`, or of `--metrics-listen` to who \
         [may read them](../how-to/restrict-rights.md#metrics). Releases and shares are those of the replica that \
         leads; of a label with many values only the name stands here.\n\n{controller}\n\
         ## Standalone\n\n`serin standalone` serves them at `/metrics` of `spec.metrics`; those of its Envoy, the filter's among them, \
         are at `/stats/prometheus` of `spec.admin`.\n\n{standalone}"
    )
}

/// A table of the families in a text of OpenMetrics.
fn table(text: &str) -> String {
    let mut families: Vec<(&str, Family<'_>)> = Vec::new();
    for line in text.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            families.push((name, Family { help: help.trim_end_matches('.'), ..Family::default() }));
        }
        let Some((name, family)) = families.last_mut() else { continue };
        if let Some((_, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            family.kind = kind;
        } else if let Some((_, labels)) = line.strip_prefix(*name).and_then(|rest| rest.split_once('{')) {
            let labels = labels.rsplit_once('}').map(|(labels, _)| labels).unwrap_or_default();
            // No value of a sample has a comma or a quote.
            for (label, value) in
                labels.split(',').filter_map(|label| label.split_once('=')).filter(|(name, _)| *name != "le")
            {
                let values = family.labels.entry(label).or_default();
                let value = value.trim_matches('"');
                if !values.contains(&value) {
                    values.push(value);
                }
            }
        }
    }
    let mut table = "| metric | type | labels | meaning |\n|---|---|---|---|\n".to_owned();
    for (name, Family { kind, help, labels }) in families {
        let name = if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
        let labels = labels.into_iter().map(|(label, mut values)| {
            values.sort_unstable();
            let several = if values.len() > 1 { format!(": `{}`", values.join("`, `")) } else { String::new() };
            format!("`{label}`{several}")
        });
        // Writing to a String does not fail.
        let _ = writeln!(table, "| `{name}` | {kind} | {} | {help}. |", labels.collect::<Vec<_>>().join("; "));
    }
    table
}

/// The page of labels, annotations, the finalizer and the names of objects.
#[cfg(feature = "cluster")]
#[must_use]
pub fn labels() -> String {
    use crate::cluster::apply::SCALE_MANAGER;
    use crate::cluster::modules::{KEY, LABEL, config_map};
    use serin_mesh::desired::APPLIED;
    use serin_mesh::entry::Scope;
    use serin_mesh::home::Home;
    use serin_mesh::home::istio::{Istio, ObjectNames};
    use serin_mesh::names::{ALL, CONTROLLER, MANAGED_BY, MANAGER, RELEASE_LABEL, VERSION_LABEL, clone_name};
    use serin_mesh::resource::FINALIZER;
    use serin_mesh::workload::SIZED;
    use serin_mesh::{Metadata, Object};

    let id = serin_release::ReleaseId::new("NAMESPACE", "NAME");
    let ObjectNames { rule, mesh_route: route, gateway_route } = ObjectNames::of(&id);
    let home = Istio { root_namespace: "ROOT".to_owned(), ..Istio::default() };
    let mesh = home.carrier_name(&Scope::Mesh);
    let waypoint = home.carrier_name(&Scope::Waypoint("NAMESPACE".to_owned(), "WAYPOINT".to_owned()));
    let metadata = Metadata { name: "reviews-v1".to_owned(), ..Metadata::default() };
    let clone = clone_name(&Object::new(metadata, serde_json::Value::Null), "v1", "v2");
    let module = config_map("DIGEST");
    format!(
        "<!-- Generated from the constants of the controller; `make golden` writes it. -->\n\
         # Labels, annotations and names of objects\n\n\
         Serin writes every object by server-side apply with the field manager `{MANAGER}`; `{SCALE_MANAGER}` holds a number of pods \
         that is left to whoever scales. It never changes or deletes an object that \
         lacks its labels.\n\n\
         ## What Serin reads\n\n\
         | label | on | meaning |\n|---|---|---|\n\
         | `{VERSION_LABEL}` | pods, Deployments, WorkloadEntries | the version; `spec.stable.version` and `spec.canaries[].version` are its values |\n\
         | `istio.io/use-waypoint`, `istio.io/use-waypoint-namespace` | Services, Namespaces | the waypoint whose WasmPlugin gets the release |\n\n\
         ## What Serin writes\n\n\
         | key | on | meaning |\n|---|---|---|\n\
         | label `{MANAGED_BY}: {MANAGER}` | every object that Serin creates | the object is Serin's |\n\
         | label `{RELEASE_LABEL}` | every object that Serin creates | the name of its release in the same namespace; `{ALL}` on WasmPlugins |\n\
         | label `{LABEL}: \"true\"` | ConfigMaps | holds a module of the filter, under the key `{KEY}` |\n\
         | annotation `{APPLIED}` | every object that Serin creates | a digest of the fields that were applied last |\n\
         | annotation `{SIZED}` | Deployments of canaries | their number of pods is Serin's, as `replicas` says |\n\
         | annotation `{CONTROLLER}` | WasmPlugins | the namespace of the controller that writes to the mesh |\n\
         | finalizer `{FINALIZER}` | CanaryReleases | keeps the release until its objects are removed in the safe order |\n\n\
         ## Names\n\n\
         | object | name |\n|---|---|\n\
         | DestinationRule of a release | `{rule}` in the namespace of the release |\n\
         | VirtualService of a release, in the mesh | `{route}` in the namespace of the release |\n\
         | VirtualService of a release, at gateways | `{gateway_route}` in the namespace of the release |\n\
         | Deployment of a canary with `workload` | the name of stable's Deployment with the canary's version, such as `{clone}` for `reviews-v1` |\n\
         | WasmPlugin of the mesh | `{}` in the root namespace |\n\
         | WasmPlugin of a waypoint | `{}` in the namespace of the waypoint |\n\
         | ConfigMap of a module | `{module}` in the namespace of the controller; the first 16 digits of its SHA-256 |\n\
         | Lease | `{MANAGER}` in the namespace of the controller |\n",
        mesh.name, waypoint.name,
    )
}
