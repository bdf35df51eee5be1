//! What a new file changes, in words. No IO.

use std::collections::BTreeMap;

use crate::api::standalone::{Service, StandaloneSpec};
use crate::api::v1alpha1::{CanaryRelease, Spec};

/// One line for each service that differs.
pub(super) fn services(old: &[Service], new: &[Service]) -> Vec<String> {
    let name = |service: &Service| format!("{}:{}", service.host, service.port);
    let find = |all: &[Service], one: &Service| {
        all.iter().find(|other| (&other.host, other.port) == (&one.host, one.port)).cloned()
    };
    let mut lines = Vec::new();
    for service in new {
        let words: Vec<_> = match find(old, service) {
            None => service.versions.iter().map(|(version, at)| format!("{version} at {}", at.join(" "))).collect(),
            Some(before) if before == *service => continue,
            Some(before) => {
                let changed = service.versions.iter().filter(|(version, at)| before.versions.get(*version) != Some(*at));
                let gone = before.versions.keys().filter(|version| !service.versions.contains_key(*version));
                let changed = changed.map(|(version, at)| format!("{version} at {}", at.join(" ")));
                let words: Vec<_> = changed.chain(gone.map(|version| format!("{version} gone"))).collect();
                if words.is_empty() { vec!["other settings".to_owned()] } else { words }
            }
        };
        lines.push(format!("{}: {}", name(service), words.join(", ")));
    }
    let gone = old.iter().filter(|service| find(new, service).is_none());
    lines.extend(gone.map(|service| format!("{}: removed", name(service))));
    lines
}

/// One line for each of the other settings that differs.
pub(super) fn settings(old: &StandaloneSpec, new: &StandaloneSpec) -> Vec<String> {
    let header = |spec: &StandaloneSpec| super::envoy::routing_header(spec).to_owned();
    let all = [
        ("listen", old.listen.to_string(), new.listen.to_string()),
        ("accessLog", old.access_log.clone(), new.access_log.clone()),
        ("drainTimeout", format!("{:?}", old.drain_timeout.0), format!("{:?}", new.drain_timeout.0)),
        ("routingHeader", header(old), header(new)),
    ];
    let changed = all.into_iter().filter(|(_, old, new)| old != new);
    changed.map(|(name, old, new)| format!("{name}: `{old}` -> `{new}`")).collect()
}

/// One line for each release that differs.
pub(super) fn releases(old: &[CanaryRelease], new: &[CanaryRelease]) -> Vec<String> {
    let by_id = |releases: &[CanaryRelease]| -> BTreeMap<String, Spec> {
        releases.iter().map(|release| (release.id(), release.spec.clone())).collect()
    };
    let (old, new) = (by_id(old), by_id(new));
    let mut lines = Vec::new();
    for (id, spec) in &new {
        match old.get(id) {
            None => lines.push(format!("{id}: new, {}", weights(spec))),
            Some(before) if before != spec => lines.push(format!("{id}: {}", differences(before, spec).join(", "))),
            Some(_) => {}
        }
    }
    lines.extend(old.keys().filter(|id| !new.contains_key(*id)).map(|id| format!("{id}: removed")));
    lines
}

fn weights(spec: &Spec) -> String {
    let canary = |canary: &crate::api::v1alpha1::Canary| format!("{} {}", canary.version, canary.weight);
    let canaries: Vec<_> = spec.canaries.iter().map(canary).collect();
    format!("stable {}, {}", spec.stable.version, if canaries.is_empty() { "no canary".into() } else { canaries.join(", ") })
}

fn differences(old: &Spec, new: &Spec) -> Vec<String> {
    let mut words = Vec::new();
    if old.stable != new.stable {
        words.push(format!("stable {} -> {}", old.stable.version, new.stable.version));
    }
    for canary in &new.canaries {
        match old.canaries.iter().find(|before| before.version == canary.version) {
            Some(before) if before.weight == canary.weight => {}
            Some(before) => words.push(format!("{} {} -> {}", canary.version, before.weight, canary.weight)),
            None => words.push(format!("{} {}", canary.version, canary.weight)),
        }
    }
    let gone = old.canaries.iter().filter(|before| !new.canaries.iter().any(|canary| canary.version == before.version));
    words.extend(gone.map(|canary| format!("{} gone", canary.version)));
    match (&old.takeover, &new.takeover) {
        (before, after) if before == after => {}
        (_, Some(version)) if *version == new.stable.version => words.push(format!("rolled back to {version}")),
        (_, Some(version)) => words.push(format!("{version} takes over")),
        (_, None) => words.push("takeover ended".into()),
    }
    match (old.paused, new.paused) {
        (false, true) => words.push("paused".into()),
        (true, false) => words.push("resumed".into()),
        _ => {}
    }
    if old.rules != new.rules {
        words.push(format!("{} rules", new.rules.len()));
    }
    if old.sticky != new.sticky {
        words.push("stickiness".into());
    }
    if words.is_empty() {
        words.push("other settings".into());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn service(versions: Value, timeout: Option<&str>) -> Service {
        serde_json::from_value(json!({"host": "a", "port": 80, "versions": versions, "timeout": timeout})).unwrap()
    }

    fn release(spec: &Value) -> CanaryRelease {
        let head = json!({"apiVersion": "serin.dev/v1alpha1", "kind": "CanaryRelease", "metadata": {"name": "a", "namespace": "b"}});
        let mut whole = head;
        whole["spec"] = spec.clone();
        serde_json::from_value(whole).unwrap()
    }

    #[test]
    fn services_are_told_by_what_differs() {
        let old = [service(json!({"v1": ["x:1"], "v2": ["x:2"]}), None)];
        let new = [service(json!({"v1": ["x:1"], "v3": ["x:3", "x:4"]}), None)];
        assert_eq!(services(&old, &old), [""; 0]);
        assert_eq!(services(&[], &old), ["a:80: v1 at x:1, v2 at x:2"]);
        assert_eq!(services(&old, &new), ["a:80: v3 at x:3 x:4, v2 gone"]);
        assert_eq!(services(&old, &[service(json!({"v1": ["x:1"], "v2": ["x:2"]}), Some("1s"))]), ["a:80: other settings"]);
        assert_eq!(services(&old, &[]), ["a:80: removed"]);
    }

    #[test]
    fn releases_are_told_by_what_differs() {
        let base = json!({"service": "a", "stable": {"version": "v1"}, "canaries": [{"version": "v2", "weight": "5%"}]});
        let with = |key: &str, value: Value| {
            let mut spec = base.clone();
            spec[key] = value;
            release(&spec)
        };
        let old = [release(&base)];
        let cases = [
            (with("canaries", json!([{"version": "v2", "weight": "25%"}])), "b/a: v2 5% -> 25%"),
            (with("canaries", json!([{"version": "v3", "weight": "1%"}])), "b/a: v3 1%, v2 gone"),
            (with("takeover", json!("v2")), "b/a: v2 takes over"),
            (with("takeover", json!("v1")), "b/a: rolled back to v1"),
            (with("paused", json!(true)), "b/a: paused"),
            (with("ports", json!([80])), "b/a: other settings"),
        ];
        for (new, line) in cases {
            assert_eq!(releases(&old, &[new]), [line]);
        }
        assert_eq!(releases(&old, &old), [""; 0]);
        assert_eq!(releases(&[], &old), ["b/a: new, stable v1, v2 5%"]);
        assert_eq!(releases(&old, &[]), ["b/a: removed"]);
    }
}
