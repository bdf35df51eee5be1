//! The VirtualServices of a release: one route for each version that the filter may name, behind them stable.

use serde_json::{Map, Value, json};
use serin_release::ReleaseId;
use serin_release::api::v1alpha1::{Routing, RoutingMode};

use crate::Kind;
use crate::desired::{Desired, content, set};
use crate::home::Plan;
use crate::names::{dns_label, routing_value};
use crate::service::Service;

/// The routes for clients in the mesh, or those that the owner's VirtualService delegates to. Clients in the namespaces `unaware`
/// cannot tell versions apart: a route to a subset would be none for them.
pub(super) fn in_mesh(plan: &Plan<'_>, routing: &Routing, name: &str, unaware: &[&str]) -> Desired {
    let listed = &plan.release.spec.ports;
    let any_version = (!unaware.is_empty()).then(|| {
        let id = &plan.resource.id;
        let matches: Vec<Value> = unaware.iter().map(|namespace| json!({"sourceNamespace": namespace})).collect();
        let mut http = json!({
            "name": format!("{}.{}/any-version", id.namespace, id.name), "match": matches,
            "route": [{"destination": {"host": plan.release.host()}}],
        });
        tell(&mut http, plan, None);
        with_settings(Some(&mut http), routing);
        http
    });
    if routing.mode == RoutingMode::Delegate {
        // A delegate serves the mesh too, so that it names a port only where there is one.
        let ports = http_ports(listed, plan.service);
        let port = ports.first().copied().filter(|_| ports.len() == 1);
        let routes = routes(plan, routing, port, &json!({}));
        let http: Vec<Value> = any_version.into_iter().chain(routes).collect();
        return desired(plan, name, json!({"http": http}));
    }
    let mut http: Vec<Value> = any_version.into_iter().collect();
    for &port in listed {
        http.extend(routes(plan, routing, Some(port), &json!({"port": port})));
    }
    if listed.is_empty() {
        // A route keeps the port that the client asked for.
        http.extend(routes(plan, routing, None, &json!({})));
    } else {
        // The other ports stay as they were without a release.
        let id = &plan.resource.id;
        http.push(json!({
            "name": route_name(id, "other-ports"), "route": [{"destination": {"host": plan.release.host()}}],
        }));
        with_settings(http.last_mut(), routing);
    }
    desired(plan, name, json!({"hosts": [plan.release.host()], "http": http}))
}

/// The routes at gateways: a request does not say the Service's port there, so it goes to the first one.
pub(super) fn at_gateways(plan: &Plan<'_>, routing: &Routing, name: &str) -> Desired {
    let port = http_ports(&plan.release.spec.ports, plan.service).first().copied();
    let http = routes(plan, routing, port, &json!({}));
    desired(plan, name, json!({"hosts": routing.hosts, "gateways": routing.gateways, "http": http}))
}

fn desired(plan: &Plan<'_>, name: &str, spec: Value) -> Desired {
    let id = &plan.resource.id;
    Desired::new(Kind::VirtualService, &id.namespace, name, &id.name, content(spec))
}

/// A route by the header for each canary, then stable's; `matches` is what each of them matches besides.
fn routes(plan: &Plan<'_>, routing: &Routing, port: Option<u16>, matches: &Value) -> Vec<Value> {
    let canaries = plan.routes.iter().map(String::as_str).filter(|version| *version != plan.stable);
    let by_header = |version: &str| {
        let asked = plan.routing_keys.iter().map(|key| {
            let mut matches = matches.clone();
            set(&mut matches, &["headers", plan.routing_header, "exact"], routing_value(version, key.as_deref()).into());
            matches
        });
        route(plan, routing, version, port, &asked.collect::<Vec<_>>())
    };
    let is_asked = matches.as_object().is_some_and(|matches| !matches.is_empty());
    let stable = route(plan, routing, plan.stable, port, if is_asked { std::slice::from_ref(matches) } else { &[] });
    canaries.map(by_header).chain(std::iter::once(stable)).collect()
}

fn route(plan: &Plan<'_>, routing: &Routing, version: &str, port: Option<u16>, matches: &[Value]) -> Value {
    let id = &plan.resource.id;
    let mut destination = json!({"host": plan.release.host()});
    if version != plan.stable || !plan.stranded {
        set(&mut destination, &["subset"], dns_label(version).into());
    }
    if let Some(port) = port {
        set(&mut destination, &["port"], json!({"number": port}));
    }
    let mut http = json!({"name": route_name(id, version), "route": [{"destination": destination}]});
    if !matches.is_empty() {
        set(&mut http, &["match"], json!(matches));
    }
    // Behind the route the header says the version alone, and what a client wrote there itself is gone.
    let told = if version == plan.stable && plan.stranded { None } else { Some(version) };
    tell(&mut http, plan, told);
    with_settings(Some(&mut http), routing);
    http
}

/// Makes a route tell the version that it leads to, where a key is asked for; of several versions it tells none.
fn tell(http: &mut Value, plan: &Plan<'_>, version: Option<&str>) {
    let header = plan.routing_header;
    if plan.routing_keys.iter().any(Option::is_some) {
        match version {
            Some(version) => set(http, &["headers", "request", "set", header], version.into()),
            None => set(http, &["headers", "request", "remove"], json!([header])),
        }
    }
}

/// The name of the route to a version.
pub(super) fn route_name(id: &ReleaseId, version: &str) -> String {
    format!("{}.{}.{version}", id.namespace, id.name)
}

/// Adds the settings that the release asks for on each of its routes.
fn with_settings(http: Option<&mut Value>, routing: &Routing) {
    let settings = routing.http.as_ref().and_then(Value::as_object);
    if let (Some(http), Some(settings)) = (http.and_then(Value::as_object_mut), settings) {
        fill(http, settings);
    }
}

/// Adds fields that are not there.
fn fill(into: &mut Map<String, Value>, more: &Map<String, Value>) {
    for (name, value) in more {
        match (into.get_mut(name), value) {
            (Some(Value::Object(into)), Value::Object(more)) => fill(into, more),
            (Some(_), _) => {}
            (None, value) => drop(into.insert(name.clone(), value.clone())),
        }
    }
}

/// The ports that are listed, else the Service's for HTTP.
fn http_ports(listed: &[u16], service: Option<&Service>) -> Vec<u16> {
    let http = service.into_iter().flat_map(|service| service.ports.iter().filter(|port| port.http).map(|port| port.number));
    if listed.is_empty() { http.collect() } else { listed.to_vec() }
}
