//! The reference of the kinds that users write, as Markdown, from the schema of their types.
//!
//! ```text
//! types ─ schemars ─► JSON Schema ─ a section for each object, in the order in which they are found ─► Markdown
//! ```

use std::collections::VecDeque;
use std::fmt::Write;

use schemars::{JsonSchema, schema_for};
use serde_json::{Map, Value};

use crate::api::standalone::Standalone;
use crate::api::v1alpha1::CanaryRelease;
use crate::lifecycle::control::CanaryControl;
use crate::limits;

/// The reference of `CanaryRelease`.
#[must_use]
pub fn canary_release() -> String {
    let intro = "# CanaryRelease\n\n\
        A canary release of one Service. The kind is `CanaryRelease` of `serin.dev/v1alpha1`; it is namespaced and its short name is \
        `crel`. The same text works on a cluster and in a file of `serin standalone`. `kubectl explain crel.spec` shows the same \
        descriptions. Unknown fields are errors. Texts and lists have the limits that stand here; `spec.routing.http` is checked by Istio.\n\n\
        Examples: [a release](../../examples/reviews.yaml), [a release with standalone](../../examples/standalone.yaml). \
        Conditions of the status: [conditions.md](conditions.md).\n";
    Reference::new::<CanaryRelease>(Some("spec")).markdown(intro, "CanaryRelease")
}

/// The reference of `CanaryControl`.
#[must_use]
pub fn canary_control() -> String {
    let intro = "# CanaryControl\n\n\
        A person's word about a release. The kind is `CanaryControl` of `serin.dev/v1alpha1`; it is namespaced, its short name is `cctl`, and \
        its name and namespace are those of the [CanaryRelease](canaryrelease.md). `serin rollback`, `takeover`, `weight`, `pause` and \
        `resume` write it; it may as well be applied by hand, or stand in a file of `serin standalone`: in FILE, or in CONTROL \
        (`--control`). Unknown fields are errors.\n\n\
        What acts is, from the strongest on: the deletion of the release; `hold` of the kinds Rollback and Takeover; `spec.takeover` of the \
        release; `hold` of the kind Weights; a pause; the weights of its spec. A hold about a version that the release does not have does not \
        act. The condition [Overridden](conditions.md#overridden) of the release says what does. \
        How to: [roll back by hand](../how-to/roll-back.md).\n";
    Reference::new::<CanaryControl>(Some("spec")).markdown(intro, "CanaryControl")
}

/// The reference of `Standalone`.
#[must_use]
pub fn standalone() -> String {
    let intro = "# Standalone\n\n\
        What `serin standalone` serves without a cluster. The kind is `Standalone` of `serin.dev/v1alpha1`; a file holds exactly one, \
        beside any number of [CanaryReleases](canaryrelease.md). Unknown fields are errors. A duration is digits and a unit: `500ms`, \
        `15s`, `2m`, `1h`.\n\n\
        Example with all settings: [standalone.yaml](../../examples/standalone.yaml).\n";
    Reference::new::<Standalone>(None).markdown(intro, "Standalone")
}

/// An object of the schema, and where it stands.
struct Section {
    name: String,
    schema: Value,
    paths: Vec<String>,
}

/// A schema that is being written down.
struct Reference {
    root: Value,
    definitions: Map<String, Value>,
    /// The field below which the limits of specs apply.
    limited: Option<&'static str>,
}

impl Reference {
    fn new<T: JsonSchema>(limited: Option<&'static str>) -> Self {
        let mut root = schema_for!(T).to_value();
        let definitions = root.as_object_mut().and_then(|fields| fields.remove("$defs"));
        let definitions = definitions.and_then(|definitions| definitions.as_object().cloned()).unwrap_or_default();
        Self { root, definitions, limited }
    }

    fn markdown(&self, intro: &str, name: &str) -> String {
        let mut text = format!("<!-- Generated from the types; `make golden` writes it. -->\n{intro}");
        for section in self.sections(name) {
            // Writing to a String does not fail.
            let _ = write!(text, "\n## {}\n\n{}\n", section.name, sentence(&section.schema));
            if !section.paths.is_empty() {
                let _ = write!(text, "\nAt {}.\n", places(&section.paths));
            }
            text.push_str(&self.table(&section));
        }
        text
    }

    /// All objects, each once, those of the first levels first.
    fn sections(&self, name: &str) -> Vec<Section> {
        let mut sections = vec![Section { name: name.to_owned(), schema: self.root.clone(), paths: Vec::new() }];
        let mut queue: VecDeque<(String, Value)> = fields(&self.root, "").into();
        while let Some((path, schema)) = queue.pop_front() {
            let Some((suffix, name)) = self.definition(&schema) else { continue };
            let path = format!("{path}{suffix}");
            match sections.iter_mut().find(|section| section.name == name) {
                Some(section) => section.paths.push(path.clone()),
                None => {
                    let schema = self.definitions.get(name).cloned().unwrap_or_default();
                    sections.push(Section { name: name.to_owned(), schema, paths: vec![path.clone()] });
                }
            }
            let schema = self.definitions.get(name).cloned().unwrap_or_default();
            queue.extend(fields(&schema, &format!("{path}.")));
        }
        // What users write comes first.
        sections.sort_by_key(|section| section.paths.first().is_some_and(|path| path.starts_with("status")));
        sections
    }

    /// The object or choice that a field holds, with what its path adds: `[]` for each item, `.*` for each value of a map.
    fn definition<'s>(&'s self, schema: &'s Value) -> Option<(String, &'s str)> {
        if let Some(name) = referred(schema) {
            let definition = self.definitions.get(name)?;
            return match definition.get("properties").or_else(|| definition.get("oneOf")) {
                Some(_) => Some((String::new(), name)),
                // Another name for a list or a map.
                None => self.definition(definition),
            };
        }
        if let Some(items) = schema.get("items") {
            return self.definition(items).map(|(suffix, name)| (format!("[]{suffix}"), name));
        }
        let values = schema.get("additionalProperties").filter(|values| values.is_object())?;
        self.definition(values).map(|(suffix, name)| (format!(".*{suffix}"), name))
    }

    fn table(&self, section: &Section) -> String {
        let is_spec = |path: &String| self.limited.is_some_and(|spec| path == spec || path.starts_with(&format!("{spec}.")));
        let limited = section.paths.iter().any(is_spec);
        let required = list(&section.schema, "required");
        let properties = section.schema.get("properties").and_then(Value::as_object);
        if let Some(properties) = properties {
            let rows = properties.iter().map(|(name, schema)| {
                let default = match schema.get("default") {
                    _ if required.contains(&name.as_str()) => "required".to_owned(),
                    Some(default) => format!("`{}`", plain(default)),
                    None => String::new(),
                };
                format!("| `{name}` | {} | {default} | {} |\n", self.kind(name, schema, limited), cell(schema))
            });
            return format!("\n| field | type | default | description |\n|---|---|---|---|\n{}", rows.collect::<String>());
        }
        let choices = section.schema.get("oneOf").and_then(Value::as_array).into_iter().flatten();
        let rows = choices.map(|choice| {
            match choice.get("properties").and_then(Value::as_object).and_then(|all| all.iter().next()) {
                Some((name, schema)) => format!("| `{name}:` | {} | {} |\n", self.kind(name, schema, limited), cell(choice)),
                None => {
                    let values: Vec<_> = constants(choice).into_iter().map(|value| format!("`{value}`")).collect();
                    format!("| {} | | {} |\n", values.join(", "), cell(choice))
                }
            }
        });
        format!("\nExactly one of:\n\n| write | type | description |\n|---|---|---|\n{}", rows.collect::<String>())
    }

    /// The type of a field in words, with its limits.
    fn kind(&self, name: &str, schema: &Value, limited: bool) -> String {
        if let Some(reference) = referred(schema) {
            if self.definition(schema).is_some_and(|(_, name)| name == reference) {
                return format!("[{reference}](#{})", reference.to_lowercase());
            }
            let definition = self.definitions.get(reference).cloned().unwrap_or_default();
            return match reference {
                "Weight" => "percentage".to_owned(),
                "Seconds" | "TimeLimit" => "duration".to_owned(),
                "Address" => "`IP:PORT`".to_owned(),
                _ => self.kind(name, &definition, limited),
            };
        }
        let values = constants(schema);
        if !values.is_empty() {
            return values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", ");
        }
        match type_name(schema) {
            "array" => {
                let items = schema.get("items").map(|items| self.kind(name, items, limited)).unwrap_or_default();
                let most = if limited { format!(" (at most {})", limits::most_items(name)) } else { String::new() };
                format!("list{most} of {items}")
            }
            "object" => match schema.get("additionalProperties").filter(|values| values.is_object()) {
                Some(values) => format!("map of {}", self.kind("", values, limited)),
                None => "object".to_owned(),
            },
            "string" => {
                let most =
                    if limited { format!(" (at most {} characters)", limits::most_characters(name)) } else { String::new() };
                format!("text{most}")
            }
            "integer" => format!("integer{}", range(schema)),
            "boolean" => "boolean".to_owned(),
            _ => "any".to_owned(),
        }
    }
}

/// The fields of an object or of the choices of an enum, with their paths.
fn fields(schema: &Value, prefix: &str) -> Vec<(String, Value)> {
    let own = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    let choices = schema.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    let chosen = choices.filter_map(|choice| choice.get("properties")?.as_object()).flatten();
    own.chain(chosen).map(|(name, schema)| (format!("{prefix}{name}"), schema.clone())).collect()
}

/// The definition that a schema refers to; an optional field refers to it beside `null`.
fn referred(schema: &Value) -> Option<&str> {
    let direct = schema.get("$ref").and_then(Value::as_str);
    let optional = || schema.get("anyOf")?.as_array()?.iter().find_map(|choice| choice.get("$ref")?.as_str());
    direct.or_else(optional)?.strip_prefix("#/$defs/")
}

/// The values of an enum of texts.
fn constants(schema: &Value) -> Vec<&str> {
    let listed = list(schema, "enum");
    let single = schema.get("const").and_then(Value::as_str);
    let choices = schema.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    listed.into_iter().chain(single).chain(choices.filter_map(|choice| choice.get("const")?.as_str())).collect()
}

/// The texts of a list; `null` and others are left out.
fn list<'s>(schema: &'s Value, field: &str) -> Vec<&'s str> {
    schema.get(field).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

/// The type of a schema, `null` left out.
fn type_name(schema: &Value) -> &str {
    let single = schema.get("type").and_then(Value::as_str);
    single.or_else(|| list(schema, "type").into_iter().find(|name| *name != "null")).unwrap_or_default()
}

/// The bounds of an integer; those of its width are left out.
fn range(schema: &Value) -> String {
    let bound = |field: &str| schema.get(field).and_then(Value::as_u64);
    match (bound("minimum"), bound("maximum")) {
        (_, Some(255 | 65_535)) | (None, _) => String::new(),
        (Some(least), Some(most)) => format!(" from {least} to {most}"),
        (Some(least), None) => format!(" from {least}"),
    }
}

/// A value as one writes it in YAML; durations in seconds where they are whole.
fn plain(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let seconds = text.strip_suffix("000ms").filter(|digits| digits.parse::<u64>().is_ok());
    seconds.map_or(text.clone(), |seconds| format!("{seconds}s"))
}

/// The description of a schema on one line.
fn sentence(schema: &Value) -> String {
    let text = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The description as a cell of a table.
fn cell(schema: &Value) -> String {
    sentence(schema).replace('|', "\\|")
}

/// The paths at which an object stands: a few of them, and how many more there are.
fn places(paths: &[String]) -> String {
    const SHOWN: usize = 4;
    let shown: Vec<_> = paths.iter().take(SHOWN).map(|path| format!("`{path}`")).collect();
    let more = paths.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!(" and {more} more places") } else { String::new() };
    format!("{}{more}", shown.join(", "))
}
