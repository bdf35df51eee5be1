//! A strategic merge patch of the spec of pods, as `kubectl patch` merges one: objects field by field, and lists whose elements have a
//! name element by element.
//!
//! Source: sig-api-machinery, strategic-merge-patch.md; the keys are the `patchMergeKey`s of PodSpec, Container and Volume.

use serde_json::{Map, Value};

/// Lists whose elements are told apart by a field; all others are replaced as a whole.
const KEYS: [(&str, &str); 12] = [
    ("containers", "name"),
    ("env", "name"),
    ("hostAliases", "ip"),
    ("imagePullSecrets", "name"),
    ("initContainers", "name"),
    ("ports", "containerPort"),
    ("resizePolicy", "resourceName"),
    ("resourceClaims", "name"),
    ("topologySpreadConstraints", "topologyKey"),
    ("volumeDevices", "devicePath"),
    ("volumeMounts", "mountPath"),
    ("volumes", "name"),
];

/// The directive of a patch: `delete` or `replace`.
const DIRECTIVE: &str = "$patch";

fn key_of(list: &str) -> Option<&'static str> {
    KEYS.iter().find(|(name, _)| *name == list).map(|(_, key)| *key)
}

/// Checks a patch before it is merged.
///
/// # Errors
/// The path of what cannot be merged, and why, with a fix.
pub fn check(patch: &Value) -> Result<(), (String, String)> {
    match patch {
        Value::Object(_) => check_value(patch, "", ""),
        _ => {
            Err((String::new(), "this is not a part of a pod's spec; write fields such as `{containers: [...]}`".to_owned()))
        }
    }
}

fn check_value(value: &Value, name: &str, path: &str) -> Result<(), (String, String)> {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = format!("{path}.{name}");
                let is_directive = name == DIRECTIVE && matches!(value.as_str(), Some("delete" | "replace"));
                if name.starts_with('$') && !is_directive {
                    let cause = "this is not a directive that Serin knows; write `$patch: delete` or `$patch: replace`";
                    return Err((path, cause.to_owned()));
                }
                check_value(value, name, &path)?;
            }
            Ok(())
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let path = format!("{path}[{index}]");
                if let Some(key) = key_of(name).filter(|key| item.get(key).is_none()) {
                    return Err((path, format!("this item has no `{key}`, by which it is merged; add it")));
                }
                check_value(item, "", &path)?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Merges a patch into an object. `null` removes a field.
pub fn merge(target: &mut Map<String, Value>, patch: &Map<String, Value>) {
    if patch.get(DIRECTIVE).and_then(Value::as_str) == Some("replace") {
        target.clear();
    }
    for (name, value) in patch.iter().filter(|(name, _)| *name != DIRECTIVE) {
        match (value, target.get_mut(name)) {
            (Value::Null, _) => drop(target.remove(name)),
            (Value::Object(patch), _) if is_deletion(patch) => drop(target.remove(name)),
            (Value::Object(patch), Some(Value::Object(found))) => merge(found, patch),
            (Value::Array(patch), Some(Value::Array(found))) if key_of(name).is_some() => {
                merge_list(found, patch, key_of(name).unwrap_or_default());
            }
            (value, _) => drop(target.insert(name.clone(), merged_into_nothing(name, value))),
        }
    }
}

/// What a patch comes to where there is nothing yet: its directives are no content.
fn merged_into_nothing(name: &str, patch: &Value) -> Value {
    match patch {
        Value::Object(patch) => {
            let mut made = Map::new();
            merge(&mut made, patch);
            Value::Object(made)
        }
        Value::Array(items) => match key_of(name) {
            Some(key) => {
                let mut made = Vec::new();
                merge_list(&mut made, items, key);
                Value::Array(made)
            }
            None => patch.clone(),
        },
        _ => patch.clone(),
    }
}

fn is_deletion(patch: &Map<String, Value>) -> bool {
    patch.get(DIRECTIVE).and_then(Value::as_str) == Some("delete")
}

fn merge_list(target: &mut Vec<Value>, patch: &[Value], key: &str) {
    for item in patch {
        let Some(patch) = item.as_object() else { continue };
        let at = target.iter().position(|found| found.get(key) == patch.get(key));
        match (at, is_deletion(patch)) {
            (Some(at), true) => drop(target.remove(at)),
            (None, true) => {}
            (Some(at), false) => {
                if let Some(found) = target.get_mut(at).and_then(Value::as_object_mut) {
                    merge(found, patch);
                }
            }
            (None, false) => target.push(merged_into_nothing("", item)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn merged(target: Value, patch: Value) -> Value {
        check(&patch).unwrap();
        let (Value::Object(mut target), Value::Object(patch)) = (target, patch) else { return Value::Null };
        merge(&mut target, &patch);
        Value::Object(target)
    }

    #[test]
    fn lists_with_names_are_merged_and_others_replaced() {
        let pod = json!({
            "containers": [
                {"name": "reviews", "image": "reviews:1", "args": ["a", "b"], "env": [{"name": "MODE", "value": "old"}, {"name": "KEEP", "value": "1"}]},
                {"name": "proxy", "image": "proxy:1"},
            ],
            "volumes": [{"name": "config", "configMap": {"name": "config-1"}}],
            "nodeSelector": {"disk": "ssd", "zone": "a"},
        });
        let patch = json!({
            "containers": [{"name": "reviews", "args": ["c"], "env": [{"name": "MODE", "value": "new"}, {"name": "MORE", "value": "2"}]}],
            "volumes": [{"name": "config", "configMap": {"name": "config-2"}}, {"name": "scratch", "emptyDir": {}}],
            "nodeSelector": {"zone": null},
            "initContainers": [{"name": "migrate", "image": "migrate:2"}],
        });
        let wanted = json!({
            "containers": [
                {"name": "reviews", "image": "reviews:1", "args": ["c"],
                 "env": [{"name": "MODE", "value": "new"}, {"name": "KEEP", "value": "1"}, {"name": "MORE", "value": "2"}]},
                {"name": "proxy", "image": "proxy:1"},
            ],
            "volumes": [{"name": "config", "configMap": {"name": "config-2"}}, {"name": "scratch", "emptyDir": {}}],
            "nodeSelector": {"disk": "ssd"},
            "initContainers": [{"name": "migrate", "image": "migrate:2"}],
        });
        assert_eq!(merged(pod, patch), wanted);
    }

    #[test]
    fn directives_delete_and_replace() {
        let pod = json!({
            "containers": [{"name": "a"}, {"name": "b"}], "securityContext": {"runAsUser": 1, "fsGroup": 2}, "affinity": {"nodeAffinity": {}},
        });
        let patch = json!({
            "containers": [{"name": "a", "$patch": "delete"}, {"name": "c", "$patch": "delete"}],
            "securityContext": {"$patch": "replace", "runAsUser": 3}, "affinity": {"$patch": "delete"},
            "dnsConfig": {"$patch": "replace", "options": null},
        });
        let wanted = json!({"containers": [{"name": "b"}], "securityContext": {"runAsUser": 3}, "dnsConfig": {}});
        assert_eq!(merged(pod, patch), wanted);
    }

    #[test]
    fn what_cannot_be_merged_is_named() {
        let at = |patch: Value| check(&patch).unwrap_err().0;
        assert_eq!(at(json!([])), "");
        assert_eq!(at(json!({"containers": [{"name": "a"}, {"env": []}]})), ".containers[1]");
        assert_eq!(at(json!({"containers": [{"name": "a", "ports": [{"name": "http"}]}]})), ".containers[0].ports[0]");
        assert_eq!(at(json!({"$setElementOrder/containers": []})), ".$setElementOrder/containers");
        assert_eq!(at(json!({"volumes": [{"name": "a", "$patch": "merge"}]})), ".volumes[0].$patch");
    }
}
