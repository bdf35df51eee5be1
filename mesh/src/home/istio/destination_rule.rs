//! The DestinationRule of a release: its subsets.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::desired::{Desired, content, set};
use crate::home::Plan;
use crate::names::{VERSION_LABEL, dns_label};
use crate::{Kind, Object};

/// The subsets of the known versions, so that they merge with a rule of the owner's for the same host.
pub(super) fn desired(plan: &Plan<'_>, name: &str, foreign: &[Object]) -> Desired {
    let id = &plan.resource.id;
    let subset = |version: &String| json!({"name": dns_label(version), "labels": {VERSION_LABEL: version}});
    let mut spec = json!({"host": plan.release.host(), "subsets": plan.known.iter().map(subset).collect::<Vec<_>>()});
    match foreign.iter().find(|rule| merges(rule, &id.namespace)) {
        // Rules merge only where they are exported alike.
        Some(owners) => {
            if let Some(export) = owners.data.pointer("/spec/exportTo") {
                set(&mut spec, &["exportTo"], export.clone());
            }
        }
        // A rule for a wildcard or of the root namespace acted until now, and ours hides it: its policy is carried on.
        None => {
            if let Some(policy) = hidden_policy(foreign, &id.namespace) {
                set(&mut spec, &["trafficPolicy"], policy.clone());
            }
        }
    }
    Desired::new(Kind::DestinationRule, &id.namespace, name, &id.name, content(spec))
}

/// Whether a rule that applies to the host is for it alone and of the namespace, so that Istio merges it with ours.
fn merges(rule: &Object, namespace: &str) -> bool {
    rule.metadata.namespace == namespace && rule.text("/spec/host").is_some_and(|host| !host.starts_with('*'))
}

/// The policy of the nearest rule for more than this host.
fn hidden_policy<'a>(foreign: &'a [Object], namespace: &str) -> Option<&'a Value> {
    let wide = |rule: &&Object| rule.data.pointer("/spec/workloadSelector").is_none();
    let near = |rule: &&Object| {
        let host = rule.text("/spec/host").unwrap_or_default();
        (rule.metadata.namespace == namespace, host.len())
    };
    foreign.iter().filter(wide).max_by_key(near)?.data.pointer("/spec/trafficPolicy")
}

/// The rule of the owner's that has a subset by the name of a version's and selects something else, with that version. Of several rules
/// for a host the oldest one's subset acts; what came after `ours` does nothing.
pub(super) fn taken<'a>(
    foreign: &'a [Object],
    namespace: &str,
    ours: Option<&Object>,
    versions: &'a [&str],
) -> Option<(&'a Object, &'a str)> {
    let acts =
        |rule: &&Object| merges(rule, namespace) && ours.is_none_or(|ours| rule.metadata.created <= ours.metadata.created);
    foreign.iter().filter(acts).find_map(|rule| {
        let differs = |version: &&&str| {
            let name = dns_label(version);
            rule.list("/spec/subsets").any(|subset| {
                subset.get("name").and_then(Value::as_str) == Some(&name)
                    && subset.pointer("/labels/version").and_then(Value::as_str) != Some(version)
            })
        };
        versions.iter().find(differs).map(|version| (rule, *version))
    })
}

/// A rule that hides versions from clients in its namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hiding {
    /// The namespace of the clients.
    pub(super) namespace: String,
    /// The rule, with its namespace.
    pub(super) rule: String,
    /// The subsets that it lacks.
    pub(super) missing: Vec<String>,
}

/// The rules that hide versions, one for each namespace. Istio looks for a client at the rules of its own namespace, then at those
/// of the Service's, then at the root's: of the first that has any for the host the nearest ones act, wildcards too.
/// `looked_at_later` are the Service's namespace and the root.
pub(super) fn hiding(foreign: &[Object], looked_at_later: [&str; 2], versions: &BTreeSet<String>) -> Vec<Hiding> {
    let mut by_namespace: BTreeMap<&str, Vec<&Object>> = BTreeMap::new();
    let elsewhere = |rule: &&Object| !looked_at_later.contains(&rule.metadata.namespace.as_str());
    for rule in foreign.iter().filter(elsewhere) {
        by_namespace.entry(&rule.metadata.namespace).or_default().push(rule);
    }
    let hiding = by_namespace.into_iter().filter_map(|(namespace, rules)| {
        let nearness = |rule: &Object| {
            let host = rule.text("/spec/host").unwrap_or_default();
            (!host.starts_with('*'), host.len())
        };
        let nearest = rules.iter().map(|rule| nearness(rule)).max()?;
        let act: Vec<&&Object> =
            rules.iter().filter(|rule| nearness(rule).0 && nearest.0 || nearness(rule) == nearest).collect();
        let subsets =
            act.iter().flat_map(|rule| rule.list("/spec/subsets")).filter_map(|subset| subset.get("name")?.as_str());
        let has: BTreeSet<&str> = subsets.collect();
        let missing = versions.iter().map(|version| dns_label(version)).filter(|subset| !has.contains(subset.as_str()));
        let missing: Vec<String> = missing.collect();
        let rule = act.first()?.full_name();
        (!missing.is_empty()).then(|| Hiding { namespace: namespace.to_owned(), rule, missing })
    });
    hiding.collect()
}
