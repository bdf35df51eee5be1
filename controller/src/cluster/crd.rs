//! The CustomResourceDefinitions of `CanaryRelease` and `CanaryControl`, generated from its types.
//!
//! ```text
//! Spec, Status ─ schemars ─► JSON Schema ─ structural form ─ bounds ─ CEL rules ─► CustomResourceDefinition
//! ```
//! What a schema or a rule over one object can see is refused by the API server; the rest by `release::validate`, with the
//! same paths.

pub mod control;

use kube::core::schema::{OptionalEnum, StructuralSchemaRewriter};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use serde_json::{Map, Value, json};
use serin_mesh::Kind;
use serin_release::api::v1alpha1::{Spec, Status};
use serin_release::limits;

/// The definition as the API server takes it.
#[must_use]
pub fn crd() -> Value {
    let mut spec = schema::<Spec>("Desired state of the release.");
    bound(&mut spec, "spec");
    add_rules(&mut spec);
    let column = |name: &str, kind: &str, path: &str, priority: u8| json!({"name": name, "type": kind, "jsonPath": path, "priority": priority});
    let condition = |kind: &str, field: &str| format!(".status.conditions[?(@.type==\"{kind}\")].{field}");
    definition(
        Kind::CanaryRelease,
        "crel",
        &json!({
            "subresources": {"status": {}},
            "additionalPrinterColumns": [
                column("Service", "string", ".spec.service", 1),
                column("Stable", "string", ".spec.stable.version", 0),
                column("Canaries", "string", ".status.canaries", 0),
                column("Phase", "string", ".status.phase", 0),
                column("Reason", "string", ".status.reason", 0),
                column("Accepted", "string", &condition("Accepted", "status"), 1),
                column("Ready", "string", &condition("Ready", "status"), 1),
                column("Programmed", "string", &condition("Programmed", "status"), 1),
                column("Age", "date", ".metadata.creationTimestamp", 0),
                column("Message", "string", ".status.message", 1),
            ],
            "schema": {"openAPIV3Schema": {
                "type": "object",
                "description": "A canary release of one Service: its stable version, its canaries, and which requests each of them gets, by sticky weight, header, cookie or URI.",
                "required": ["spec"],
                // It becomes a label of the objects that are made for it.
                "x-kubernetes-validations": [
                    {"rule": "self.metadata.name.size() <= 63", "message": "the name has more than 63 characters; shorten it"},
                ],
                "properties": {
                    "apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"},
                    "spec": spec, "status": schema::<Status>("Observed state of the release."),
                },
            }},
        }),
    )
}

/// The definition of a kind, with what is said of its only version.
fn definition(kind: Kind, short_name: &str, version: &Value) -> Value {
    let (group, name, plural) = (kind.group(), kind.name(), kind.plural());
    let mut only = Map::from_iter([
        ("name".to_owned(), kind.version().into()),
        ("served".to_owned(), true.into()),
        ("storage".to_owned(), true.into()),
    ]);
    only.extend(version.as_object().cloned().unwrap_or_default());
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{group}")},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {
                "kind": name, "listKind": format!("{name}List"), "plural": plural, "singular": name.to_lowercase(),
                "shortNames": [short_name], "categories": ["serin"],
            },
            "versions": [only],
        },
    })
}

/// One definition as YAML.
#[must_use]
pub fn text(definition: &Value) -> String {
    super::rbac::yaml(definition)
}

/// Both definitions as YAML.
#[must_use]
pub fn yaml() -> String {
    super::rbac::stream(&[crd(), control::crd()])
}

/// The schema of a weight.
fn weight() -> Value {
    let mut schema = json!({"x-kubernetes-int-or-string": true, "maxLength": limits::most_characters("weight")});
    rules(&mut schema, &[WEIGHT_RULE]);
    schema
}

/// Weights by version, of which a number is refused too, in words that say what to write.
fn weights(schema: &mut Value) {
    let Some(fields) = schema.as_object_mut() else { return };
    fields.insert("maxProperties".into(), limits::most_items("canaries").into());
    fields.insert("additionalProperties".into(), weight());
}

/// At least one metric, each of one kind.
fn metrics(schema: &mut Value) {
    if let Some(fields) = schema.as_object_mut() {
        fields.insert("minItems".into(), 1.into());
    }
    if let Some(metric) = schema.get_mut("items") {
        exactly_one(metric, "kind", &["failures", "slower", "counts", "query"]);
        rules(metric, &METRIC_RULES);
    }
}

/// The structural schema of a type.
fn schema<T: JsonSchema>(description: &str) -> Value {
    let settings = SchemaSettings::openapi3().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let settings = settings
        .with_transform(RecursiveTransform(mixed))
        .with_transform(StructuralSchemaRewriter)
        .with_transform(OptionalEnum);
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    if let Some(fields) = schema.as_object_mut() {
        fields.remove("title");
        fields.insert("description".into(), description.into());
    }
    tidy(&mut schema);
    schema
}

/// Leaves out what the API server does not know or what only repeats the type.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            // A number's bounds say more than its width, which the API server does not check.
            if fields.get("format").and_then(Value::as_str).is_some_and(|format| format.starts_with("uint")) {
                fields.remove("format");
            }
            // An optional field may be left out; `null` would be one more way to say so.
            fields.remove("nullable");
            fields.values_mut().for_each(tidy);
        }
        Value::Array(values) => values.iter_mut().for_each(tidy),
        _ => {}
    }
}

/// Gives every text and list of a spec a bound, so that the cost of the rules has one.
fn bound(schema: &mut Value, name: &str) {
    let kind = schema.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    let Some(fields) = schema.as_object_mut() else { return };
    if kind == "string" && !fields.contains_key("enum") {
        let most = limits::most_characters(name);
        fields.insert("maxLength".into(), most.into());
    }
    if kind == "array" {
        let most = limits::most_items(name);
        fields.insert("maxItems".into(), most.into());
    }
    if matches!(name, "http" | "patch") {
        *fields = of_others(fields);
        return;
    }
    if let Some(items) = fields.get_mut("items") {
        bound(items, name);
    }
    if let Some(values) = fields.get_mut("additionalProperties") {
        bound(values, "");
    }
    for (name, schema) in fields.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        bound(schema, name);
    }
}

/// `otherwise` is a text or an object: a structural schema has no such type, so that only its values are bounded. The pattern
/// matches no text; it keeps texts out of the second branch.
fn mixed(schema: &mut schemars::Schema) {
    let variants = schema.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    let is_otherwise =
        variants.filter_map(|variant| variant.get("required")).any(|required| *required == json!(["issueCookie"]));
    if is_otherwise {
        *schema = schemars::json_schema!({
            "description": "What a request without a key gets: `stable`, `random` (a bucket by the request's id), or `issueCookie: {name: ...}` (an identity in a cookie that the response sets). Defaults to `stable`.",
            "x-kubernetes-preserve-unknown-fields": true,
            "anyOf": [{"enum": ["stable", "random"]}, {"required": ["issueCookie"], "maxProperties": 1, "pattern": "a^"}],
        });
    }
}

/// An object that others say the fields of: Istio those of a route, Kubernetes those of a pod.
fn of_others(fields: &Map<String, Value>) -> Map<String, Value> {
    let description = fields.get("description").cloned().unwrap_or_default();
    Map::from_iter([
        ("type".to_owned(), "object".into()),
        ("description".to_owned(), description),
        ("x-kubernetes-preserve-unknown-fields".to_owned(), true.into()),
    ])
}

/// Sources of a condition, and of a key.
const SOURCES: [&str; 8] = ["header", "cookie", "query", "path", "method", "authority", "os", "sourceAddress"];
const KEYS: [&str; 6] = ["cookie", "header", "query", "jwtClaim", "baggage", "sourceAddress"];
const OPERATORS: [&str; 8] = ["exact", "prefix", "suffix", "contains", "regex", "in", "present", "pathPrefix"];

/// Rules of a spec: a condition in CEL, and what to say where it does not hold.
const SPEC_RULES: [(&str, &str); 5] = [
    (
        "!has(self.canaries) || self.canaries.all(c, c.version != self.stable.version)",
        "a canary has stable's version; give it its own",
    ),
    (
        "!has(self.canaries) || self.canaries.exists(c, has(c.weight) && (type(c.weight) != string || !c.weight.matches('WEIGHT'))) || self.canaries.map(c, has(c.weight) ? int(double(c.weight.replace('%', '')) * 1000.0 + 0.5) : 0).sum() <= 100000",
        "the weights of the canaries sum to more than 100%; lower one, stable gets what they leave over",
    ),
    (
        "!has(self.takeover) || self.takeover == self.stable.version || (has(self.canaries) && self.canaries.exists(c, c.version == self.takeover))",
        "`takeover` is not a version of this release; use stable's or a canary's",
    ),
    (
        "!has(self.rules) || self.rules.all(r, !has(r.version) || r.version == self.stable.version || (has(self.canaries) && self.canaries.exists(c, c.version == r.version)))",
        "a rule's `version` is not a version of this release; use stable's or a canary's",
    ),
    (
        "!has(self.rules) || self.rules.all(r, !has(r.split) || (has(self.canaries) && r.split.all(s, self.canaries.exists(c, c.version == s.version))))",
        "a version in a rule's `split` is not a canary of this release; list canaries only, stable gets what they leave over",
    ),
];

/// Rules of a rule.
const RULE_RULES: [(&str, &str); 4] = [
    ("!has(self.version) || !has(self.split)", "this rule has both `version` and `split`; keep one of them"),
    (
        "has(self.version) || has(self.split)",
        "this rule has neither `version` nor `split`; add `version: v2`, or `split: [...]` for a share",
    ),
    (
        "!has(self.sticky) || has(self.split)",
        "`sticky` belongs to a `split`; leave it out, since a single version needs no bucket",
    ),
    (
        "!has(self.split) || self.split.exists(s, type(s.weight) != string || !s.weight.matches('WEIGHT')) || self.split.map(s, int(double(s.weight.replace('%', '')) * 1000.0 + 0.5)).sum() <= 100000",
        "the weights of the split sum to more than 100%; lower one, stable gets what they leave over",
    ),
];

/// Rules of the steps, which see the canaries too.
const STEP_RULES: [(&str, &str); 3] = [
    (
        "!has(self.steps) || self.steps.all(s, !has(s.weight) || (has(self.canaries) && self.canaries.size() == 1))",
        "a step's `weight` is that of the only canary; write `weights: {v2: 5%}` with the version of each",
    ),
    (
        "!has(self.steps) || self.steps.all(s, !has(s.weights) || (has(self.canaries) && s.weights.all(v, self.canaries.exists(c, c.version == v))))",
        "a version in a step's `weights` is not a canary of this release; list canaries only, stable gets what they leave over",
    ),
    (
        "!has(self.schedule) || (has(self.steps) && self.steps.size() > 0)",
        "`schedule` holds up steps, and there are none; add `steps`, or leave it out",
    ),
];

/// Rules of a step.
const STEP_RULE: [(&str, &str); 2] = [
    ("!(has(self.weight) && has(self.weights))", "this step has both `weight` and `weights`; keep one of them"),
    (
        "has(self.weight) || (has(self.weights) && self.weights.size() > 0)",
        "this step has neither `weight` nor `weights`; add `weight: 5%`, or `weights: {v2: 5%}`",
    ),
];

/// Rules of the analysis, which see the steps too.
const ANALYSIS_RULES: [(&str, &str); 1] = [(
    "has(self.analysis) || !has(self.steps) || self.steps.all(s, !has(s.analysis) || s.analysis == 'off')",
    "a step asks for an analysis that the release does not have; add `analysis`, or leave it out",
)];

/// Rules of a metric.
const METRIC_RULES: [(&str, &str); 3] = [
    (
        "has(self.query) ? !has(self.tolerate) && !has(self.margin) && !has(self.limit) : !has(self.min) && !has(self.max) && !has(self.__for__)",
        "`min`, `max` and `for` belong to `query`, `tolerate`, `margin` and `limit` to the other metrics; leave out what does not belong",
    ),
    ("!has(self.query) || has(self.min) || has(self.max)", "no value of the query would be bad; add `min` or `max`"),
    ("!has(self.min) || !has(self.max) || self.min <= self.max", "no value would be good; write a `min` of at most `max`"),
];

/// What a weight must be, in words that say what to write.
const WEIGHT_RULE: (&str, &str) = (
    "type(self) == string && self.matches('WEIGHT')",
    "write a percentage of at most 100 with at most three decimals, a dot and no blanks, such as `50%` or `0.5%`",
);

/// What a share looks like. The rules for sums hold where one does not, so that they say nothing about it.
const WEIGHT: &str = "^(100([.]0{1,3})?|[0-9]{1,2}([.][0-9]{1,3})?)%$";

/// Who says how many pods a canary has.
const WORKLOAD_RULE: (&str, &str) = (
    "!(has(self.replicas) && has(self.autoscale) && self.autoscale == 'copy')",
    "there are both `replicas` and `autoscale: copy`; leave one of them out, since an autoscaler sets the number of pods",
);

/// Adds the rules that see more than one field, in CEL.
fn add_rules(spec: &mut Value) {
    rules(spec, &SPEC_RULES);
    rules(spec, &STEP_RULES);
    rules(spec, &ANALYSIS_RULES);
    visit(spec, "spec", &mut |name, schema| match name {
        "canaries" | "split" => list_by_key(schema, "version"),
        "rules" => {
            list_by_key(schema, "name");
            let Some(rule) = schema.get_mut("items") else { return };
            rules(rule, &RULE_RULES);
        }
        "when" | "anyOf" => {
            if let Some(fields) = schema.as_object_mut() {
                fields.insert("minItems".into(), 1.into());
            }
            if let Some(condition) = schema.get_mut("items") {
                exactly_one(condition, "source", &SOURCES.iter().copied().chain(["not", "anyOf"]).collect::<Vec<_>>());
            }
        }
        "not" => exactly_one(schema, "source", &SOURCES),
        "steps" => {
            if let Some(step) = schema.get_mut("items") {
                rules(step, &STEP_RULE);
            }
        }
        "weights" => weights(schema),
        "metrics" => metrics(schema),
        "by" => {
            if let Some(key) = schema.get_mut("items") {
                exactly_one(key, "source", &KEYS);
            }
        }
        "sticky" => rules(
            schema,
            &[(
                "!(has(self.salt) && has(self.cohort))",
                "there are both `salt` and `cohort`; keep one of them, since a cohort is a salt that releases share",
            )],
        ),
        "header" | "cookie" | "query" | "path" | "method" | "authority" | "os" => {
            exactly_one(schema, "operator", &OPERATORS)
        }
        "weight" | "plus" | "margin" | "limit" | "falseAlarms" => {
            if let Some(fields) = schema.as_object_mut() {
                fields.remove("pattern");
                // A number is refused too, in words that say what to write.
                fields.remove("type");
                fields.insert("x-kubernetes-int-or-string".into(), true.into());
            }
            rules(schema, &[WEIGHT_RULE]);
        }
        "replicas" => rules(
            schema,
            &[("type(self) == int ? self >= 0 : self == 'share'", "write a number of pods such as `2`, or `share`")],
        ),
        "workload" => rules(schema, &[WORKLOAD_RULE]),
        "version" => pattern(schema, "^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"),
        "service" => pattern(schema, "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"),
        _ => {}
    });
}

/// Calls `act` with each property of a schema and its name, the inner ones first.
fn visit(schema: &mut Value, name: &str, act: &mut dyn FnMut(&str, &mut Value)) {
    if let Some(items) = schema.get_mut("items") {
        visit(items, "", act);
    }
    for (name, schema) in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        visit(schema, name, act);
    }
    act(name, schema);
}

fn rules(schema: &mut Value, added: &[(&str, &str)]) {
    let Some(fields) = schema.as_object_mut() else { return };
    let all = fields.entry("x-kubernetes-validations").or_insert_with(|| json!([]));
    let Some(all) = all.as_array_mut() else { return };
    all.extend(added.iter().map(|(rule, message)| json!({"rule": rule.replace("WEIGHT", WEIGHT), "message": message})));
}

/// Replaces the alternatives of an enum by a rule whose message says what is wanted.
fn exactly_one(schema: &mut Value, what: &str, names: &[&str]) {
    let known = |name: &&str| schema.get("properties").is_some_and(|properties| properties.get(name).is_some());
    let names: Vec<&str> = names.iter().copied().filter(known).collect();
    if names.is_empty() {
        return;
    }
    // `in` is a word of CEL itself.
    let field = |name: &&str| match *name {
        "in" => "has(self.__in__)".to_owned(),
        name => format!("has(self.{name})"),
    };
    let fields: Vec<_> = names.iter().map(field).collect();
    let rule = format!("[{}].exists_one(x, x)", fields.join(", "));
    let message = format!("write exactly one {what}: {}", names.join(", "));
    rules(schema, &[(&rule, &message)]);
    if let Some(fields) = schema.as_object_mut() {
        fields.remove("oneOf");
    }
}

/// Makes a list one whose elements are told apart by a field: the API server refuses two of one key.
fn list_by_key(schema: &mut Value, key: &str) {
    if let Some(fields) = schema.as_object_mut() {
        fields.insert("x-kubernetes-list-type".into(), "map".into());
        fields.insert("x-kubernetes-list-map-keys".into(), json!([key]));
    }
}

fn pattern(schema: &mut Value, pattern: &str) {
    if let Some(fields) = schema.as_object_mut() {
        fields.insert("pattern".into(), pattern.into());
    }
}
