//! How long texts and lists of a spec may be: the same in the definition that the API server has and in a file.

use serde_json::Value;

use crate::problem::Problem;

/// The most characters of a text, by its field.
#[must_use]
pub fn most_characters(field: &str) -> usize {
    match field {
        "weight" | "plus" | "margin" | "limit" | "falseAlarms" | "than" => 8,
        "over" | "hold" | "deadline" | "undecidedFor" | "watchAfter" | "readyWithin" | "for" => 32,
        "timeZone" => 64,
        "from" | "to" => 40,
        "run" => 64,
        "by" => 256,
        "because" => 512,
        "version" | "takeover" => 63,
        "service" | "source" | "hosts" | "gateways" | "name" | "deployment" | "salt" | "cohort" => 253,
        _ => 4096,
    }
}

/// The most items of a list, by its field.
#[must_use]
pub fn most_items(field: &str) -> usize {
    match field {
        "rules" | "in" => 1000,
        "ports" => 64,
        "when" => 10,
        "steps" => 32,
        "windows" | "freeze" => 50,
        "anyOf" => 12,
        _ => 16,
    }
}

/// Adds a problem for each text and list of a spec that is too long. Settings of routes and of pods are others' business.
pub(crate) fn check(value: &Value, field: &str, path: &str, problems: &mut Vec<Problem>) {
    match value {
        Value::String(text) => {
            let (length, most) = (text.chars().count(), most_characters(field));
            if length > most {
                problems.push(Problem::new(
                    path,
                    format!("the text has {length} characters"),
                    format!("use at most {most}"),
                ));
            }
        }
        Value::Array(items) => {
            let most = most_items(field);
            if items.len() > most {
                let fix = format!("use at most {most}");
                problems.push(Problem::new(path, format!("the list has {} items", items.len()), fix));
            }
            for (index, item) in items.iter().enumerate() {
                check(item, field, &format!("{path}[{index}]"), problems);
            }
        }
        Value::Object(fields) => {
            for (name, value) in fields.iter().filter(|(name, _)| !matches!(name.as_str(), "http" | "patch")) {
                check(value, name, &format!("{path}.{name}"), problems);
            }
        }
        _ => {}
    }
}
