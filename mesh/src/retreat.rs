//! Rollback first: what only moves people to stable is taken before anything is checked and before anything else is written.

use serin_config::ReleaseSplit;
use serin_release::api::v1alpha1::{CanaryRelease, Spec};

use serin_release::served::Limits;

use crate::entry::Entry;

/// The entry with what a release says in it that only moves people to stable: a takeover of stable, canaries of weight 0, and versions that
/// a person has rolled back.
/// `None` where it says no such thing, or nothing new. The spec may be one that is refused for something else.
#[must_use]
pub fn retreat(release: &CanaryRelease, before: &Entry) -> Option<Entry> {
    let spec = &release.spec;
    // Of another stable version nobody knows yet whether it answers.
    if spec.stable.version != before.wanted.stable {
        return None;
    }
    let mut after = before.clone();
    for split in [&mut after.wanted, &mut after.served] {
        if spec.takeover.as_ref() == Some(&split.stable) {
            split.takeover.clone_from(&spec.takeover);
        } else if !spec.paused && spec.takeover == split.takeover {
            empty_zeros(spec, split);
        }
    }
    if !release.banned.is_empty() {
        let limits = Limits { waiting: release.banned.clone(), ..Limits::default() };
        after.served = limits.serve(&after.served);
    }
    (after != *before).then_some(after)
}

/// Gives stable the buckets of canaries that shall have none.
fn empty_zeros(spec: &Spec, split: &mut ReleaseSplit) {
    let has_zero =
        |version: &str| spec.canaries.iter().any(|canary| canary.version == version && canary.weight.buckets() == 0);
    let stable = split.stable.clone();
    let runs = split.buckets.iter().map(|(version, buckets)| match has_zero(version) {
        true => (stable.clone(), *buckets),
        false => (version.clone(), *buckets),
    });
    split.buckets = serin_release::served::joined(runs, &stable);
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde_json::{Value, json};

    use super::*;
    use crate::Object;
    use crate::resource::Resource;

    fn release(spec: &Value) -> CanaryRelease {
        let metadata = json!({"namespace": "shop", "name": "reviews"});
        Resource::read(&Object::from_json(json!({"metadata": metadata, "spec": spec}))).parsed.unwrap()
    }

    fn entry(buckets: &Value, takeover: &Value) -> Entry {
        let split: ReleaseSplit = serde_json::from_value(
            json!({"release": "shop/reviews", "hosts": ["reviews"], "stable": "v1", "buckets": buckets, "takeover": takeover}),
        )
        .unwrap();
        Entry {
            allocation: Default::default(),
            wanted: split.clone(),
            served: split,
            automata: BTreeMap::new(),
            scopes: BTreeSet::new(),
        }
    }

    fn spec(more: &Value) -> Value {
        let canaries = json!([{"version": "v2", "weight": "30%"}, {"version": "v3"}]);
        let mut spec = json!({"service": "reviews", "stable": {"version": "v1"}, "canaries": canaries});
        for (name, value) in more.as_object().unwrap() {
            spec[name] = value.clone();
        }
        spec
    }

    #[test]
    fn what_only_moves_people_to_stable_is_taken_out_of_any_spec() {
        let shared = json!([["v2", 20_000], ["v3", 10_000], ["v2", 5000]]);
        let of = |more: &Value, buckets: &Value, takeover: &Value| {
            let after = retreat(&release(&spec(more)), &entry(buckets, takeover))?;
            assert_eq!(after.wanted, after.served);
            Some((json!(after.served.buckets), json!(after.served.takeover)))
        };
        let (none, v1, v2) = (Value::Null, json!("v1"), json!("v2"));
        // A takeover of stable, whatever else is wrong, also in a pause.
        let mistake = json!([{"name": "r", "when": [], "version": "v9"}]);
        for more in [
            json!({"takeover": "v1"}),
            json!({"takeover": "v1", "rules": mistake}),
            json!({"takeover": "v1", "paused": true}),
        ] {
            assert_eq!(of(&more, &shared, &none), Some((shared.clone(), v1.clone())), "{more}");
            assert_eq!(of(&more, &shared, &v2), Some((shared.clone(), v1.clone())), "{more}");
            assert_eq!(of(&more, &shared, &v1), None, "{more}");
        }
        // A weight of 0; v3 has one, v2 has not. The last run of stable is not written.
        let kept = json!([["v2", 20_000], ["v1", 10_000], ["v2", 5000]]);
        assert_eq!(of(&json!({}), &shared, &none), Some((kept.clone(), none.clone())));
        assert_eq!(of(&json!({}), &kept, &none), None);
        assert_eq!(
            of(&json!({}), &json!([["v2", 20_000], ["v3", 10_000]]), &none),
            Some((json!([["v2", 20_000]]), none.clone()))
        );
        // A pause holds the split, and the end of a takeover moves people to canaries too.
        assert_eq!(of(&json!({"paused": true}), &shared, &none), None);
        assert_eq!(of(&json!({}), &shared, &v2), None);
        // Another stable is not a rollback.
        let other = json!({"stable": {"version": "v4"}, "takeover": "v4"});
        assert_eq!(of(&other, &shared, &none), None);
    }
}
