//! What the conditions `Ready`, `Programmed` and `TakenOver` say: of what is published, and never of what was asked for. No client
//! required.

use serin_config::{KeySource, Otherwise, ReleaseSplit};
use serin_release::api::v1alpha1::CanaryRelease;

use crate::conditions::{Condition, Reason};
use crate::order::Served;
use crate::outcome::Routed;
use crate::pass::Pass;
use crate::proxies::Arrival;
use crate::workload;

/// The conditions of a release that is routed, beside `Accepted` and `TakenOver`.
pub(crate) fn conditions(pass: &Pass<'_>, routed: &Routed) -> [Condition; 2] {
    let asked: Vec<&str> = routed.asked.iter().map(String::as_str).collect();
    let stable = asked.first().copied().unwrap_or_default();
    [
        ready(stable, &asked, pass, &routed.lacking),
        routed.gap.clone().or_else(|| callers(pass)).unwrap_or_else(|| programmed(routed, pass.served, pass.seen.arrival)),
    ]
}

/// Callers whom no proxy leads.
fn callers(pass: &Pass<'_>) -> Option<Condition> {
    let (source, host) = pass.seen.called_without_proxy?;
    let message = format!(
        "{host} was called within the last hour by somebody without a proxy, as metric source {source} knows: these requests go to any pod of \
         the Service, canaries too; give the caller a sidecar, or let it call through a gateway of the mesh"
    );
    Some(Condition::new(Reason::CallersWithoutProxy, message))
}

fn programmed(routed: &Routed, served: Served<'_>, arrival: Arrival<'_>) -> Condition {
    let published = match served {
        Served::Entry(published) => published,
        Served::Unknown => None,
    };
    if !routed.pending.is_empty() {
        let versions = routed.pending.join(", ");
        return Condition::new(Reason::Pending, format!("routes for {versions} are on their way to the proxies"));
    }
    match &routed.entry {
        Some(entry) if published != Some(&entry.served) => Condition::new(Reason::Pending, "the split is not published yet"),
        Some(entry) => up_to_date(arrival, &without_key(&entry.served)),
        None => up_to_date(Arrival::Unknown, ""),
    }
}

/// Whether what is published is what proxies have, as far as somebody tells.
fn up_to_date(arrival: Arrival<'_>, without_key: &str) -> Condition {
    let proxies = match arrival {
        Arrival::Unknown => String::new(),
        Arrival::Everywhere(source) => format!(", and so is every proxy with the filter that metric source {source} knows"),
        Arrival::Behind(source) => {
            let message = format!(
                "the split is published, and metric source {source} knows of proxies that still do not have it: see `istioctl proxy-status`, and the \
                 logs of these proxies"
            );
            return Condition::new(Reason::ProxiesBehind, message);
        }
    };
    Condition::new(Reason::Programmed, format!("routes and filter are up to date{proxies}{without_key}"))
}

/// What becomes of people whom nothing tells apart: the first thing that looks broken where weights are tried in a browser.
fn without_key(split: &ReleaseSplit) -> String {
    let Some(sticky) = split.sticky.as_ref().filter(|_| split.takeover.is_none() && !split.buckets.is_empty()) else {
        return String::new();
    };
    let name = |source: &KeySource| match source {
        KeySource::Cookie(name) => Some(format!("cookie {name}")),
        KeySource::Header(name) => Some(format!("header {name}")),
        KeySource::Query(name) => Some(format!("query {name}")),
        KeySource::JwtClaim(claim) => Some(format!("claim {}", claim.claim)),
        KeySource::Baggage(name) => Some(format!("baggage {name}")),
        // Everybody has one.
        KeySource::SourceAddress(_) => None,
    };
    match sticky.by.iter().map(name).collect::<Option<Vec<_>>>() {
        Some(keys) if sticky.otherwise == Otherwise::Stable => {
            format!("; requests without a key ({}) go to stable, unless spec.sticky.otherwise says more", keys.join(", "))
        }
        _ => String::new(),
    }
}

/// Whether all versions that requests are sent to have endpoints; stable comes first.
fn ready(stable: &str, asked: &[&str], pass: &Pass<'_>, lacking: &[String]) -> Condition {
    let references = pass.references;
    // What is rolled back needs no pods.
    let needs = |version: &str| pass.resource.parsed.as_ref().is_ok_and(|release| !release.banned.contains(version));
    let has = |version: &str| references.ready.get(version).copied().unwrap_or(0);
    let needed: Vec<&str> = asked.iter().copied().filter(|version| needs(version)).collect();
    let missing: Vec<&str> = needed.iter().copied().filter(|version| has(version) == 0).collect();
    if missing.is_empty() && !lacking.is_empty() {
        return Condition::new(Reason::PodsMissing, lacking.join("; "));
    }
    if missing.is_empty() {
        return Condition::new(Reason::AllReady, format!("endpoints are ready for {}", needed.join(", ")));
    }
    let states: Vec<String> = missing.iter().filter_map(|version| workload::state(references, version)).collect();
    let states = if states.is_empty() { String::new() } else { format!(" ({})", states.join(", ")) };
    if missing.contains(&stable)
        && references.is_stranded(stable, &asked.iter().map(|version| (*version).to_owned()).collect())
    {
        let others: Vec<&str> =
            references.ready.keys().map(String::as_str).filter(|version| !asked.contains(version)).collect();
        let others = if others.is_empty() { "pods without this label".to_owned() } else { others.join(" and ") };
        let message = format!(
            "no pod has stable's label version={stable} any more, and {others} is ready: what would go to stable goes to any pod of the Service \
             until spec.stable.version names a version that is there"
        );
        return Condition::new(Reason::StableRelabelled, message);
    }
    if missing.contains(&stable) {
        let message = format!(
            "stable {stable} has no ready endpoint{states}, and Serin never promotes a canary by itself; to send everything to one, set \
             spec.takeover"
        );
        return Condition::new(Reason::StableNotReady, message);
    }
    let message =
        format!("{} has no ready endpoint{states}, so stable gets its requests until it has one", missing.join(" and "));
    Condition::new(Reason::CanaryNotReady, message)
}

/// Who gets everything, if somebody does.
pub(crate) fn taken_over(release: &CanaryRelease, published: Option<&ReleaseSplit>) -> Condition {
    let asked = release.spec.takeover.as_deref();
    let acting = published.and_then(|published| Some((published.takeover.as_deref()?, published.stable.as_str())));
    match (asked, acting) {
        (_, Some((version, stable))) if version == stable && asked.is_none_or(|asked| asked == version) => {
            Condition::new(Reason::RolledBack, format!("stable {stable} gets every request"))
        }
        (_, Some((version, stable))) if version != stable && asked.is_none_or(|asked| asked == version) => {
            Condition::new(Reason::TakenOver, format!("{version} gets every request"))
        }
        (None, _) => Condition::new(Reason::NoTakeover, "rules and weights decide"),
        (Some(version), _) if version == release.spec.stable.version => {
            let message = format!("stable {version} does not get every request yet: the split is not published");
            Condition::new(Reason::TakeoverPending, message)
        }
        (Some(version), _) => Condition::new(
            Reason::TakeoverNotReady,
            format!("{version} cannot take requests yet; until it can, rules and weights decide, and stable gets its share"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::Object;
    use crate::entry::Entry;
    use crate::outcome::Writes;
    use crate::resource::Resource;

    fn split(takeover: &Value) -> ReleaseSplit {
        serde_json::from_value(json!({"release": "a/b", "hosts": ["h"], "stable": "v1", "takeover": takeover})).unwrap()
    }

    fn routed(pending: &[&str], entry: Option<ReleaseSplit>) -> Routed {
        let entry = entry.map(|split| Entry {
            allocation: Default::default(),
            wanted: split.clone(),
            served: split,
            automata: BTreeMap::new(),
            scopes: BTreeSet::new(),
        });
        Routed {
            writes: Writes::default(),
            entry: entry.map(Arc::new),
            allocation: Default::default(),
            asked: Vec::new(),
            lacking: Vec::new(),
            pending: pending.iter().map(|version| (*version).to_owned()).collect(),
            gap: None,
            requeue_at: None,
        }
    }

    #[test]
    fn a_release_is_programmed_once_each_version_is_routable_and_the_split_is_published() {
        let (none, published) = (split(&Value::Null), split(&Value::Null));
        let served = Served::Entry(Some(&published));
        let pending = |message: &str| Condition::new(Reason::Pending, message);
        let programmed = |routed: &Routed, served| programmed(routed, served, Arrival::Unknown);
        let done = Condition::new(Reason::Programmed, "routes and filter are up to date");
        assert_eq!(programmed(&routed(&[], Some(none.clone())), served), done);
        let routes = pending("routes for v2, v3 are on their way to the proxies");
        assert_eq!(programmed(&routed(&["v2", "v3"], Some(none.clone())), served), routes);
        let split = pending("the split is not published yet");
        assert_eq!(programmed(&routed(&[], Some(super::tests::split(&json!("v1")))), served), split);
        assert_eq!(programmed(&routed(&[], Some(none)), Served::Entry(None)), split);
    }

    #[test]
    fn a_takeover_is_what_is_published() {
        let of = |asked: Value, published: Option<Value>| {
            let spec =
                json!({"service": "h", "stable": {"version": "v1"}, "canaries": [{"version": "v2"}], "takeover": asked});
            let object = json!({"metadata": {"namespace": "a", "name": "b"}, "spec": spec});
            let release = Resource::read(&Object::from_json(object)).parsed.unwrap();
            taken_over(&release, published.map(|takeover| split(&takeover)).as_ref())
        };
        let said = |reason: Reason, message: &str| Condition::new(reason, message);
        let (none, v1, v2) = (|| Value::Null, || json!("v1"), || json!("v2"));
        let nobody = said(Reason::NoTakeover, "rules and weights decide");
        assert_eq!((of(none(), None), of(none(), Some(none()))), (nobody.clone(), nobody));
        let canary = said(Reason::TakenOver, "v2 gets every request");
        // It acts until the document says otherwise.
        assert_eq!((of(v2(), Some(v2())), of(none(), Some(v2()))), (canary.clone(), canary));
        assert_eq!(of(v1(), Some(v1())), said(Reason::RolledBack, "stable v1 gets every request"));
        let not_yet = said(Reason::TakeoverPending, "stable v1 does not get every request yet: the split is not published");
        assert_eq!((of(v1(), Some(none())), of(v1(), Some(v2()))), (not_yet.clone(), not_yet));
        let message = "v2 cannot take requests yet; until it can, rules and weights decide, and stable gets its share";
        assert_eq!(of(v2(), Some(none())), said(Reason::TakeoverNotReady, message));
    }

    #[test]
    fn people_without_a_key_are_told_of() {
        let of = |sticky: Value, takeover: Value| {
            let mut split = split(&takeover);
            split.buckets = vec![("v2".to_owned(), 1000)];
            split.sticky = serde_json::from_value(sticky).unwrap();
            without_key(&split)
        };
        let keys = json!([{"cookie": "user"}, {"header": "x-user"}]);
        assert_eq!(
            of(json!({"by": keys}), Value::Null),
            "; requests without a key (cookie user, header x-user) go to stable, unless spec.sticky.otherwise says more"
        );
        for (sticky, takeover) in [
            (json!({"by": keys, "otherwise": "random"}), Value::Null),
            (json!({"by": keys, "otherwise": {"issueCookie": {"name": "user"}}}), Value::Null),
            (json!({"by": [{"cookie": "user"}, {"sourceAddress": {}}]}), Value::Null),
            (json!({"by": keys}), json!("v2")),
            (Value::Null, Value::Null),
        ] {
            assert_eq!(of(sticky.clone(), takeover), "", "{sticky}");
        }
    }
}
