//! The CustomResourceDefinition of `CanaryControl`.

use serde_json::{Value, json};
use serin_mesh::Kind;
use serin_release::lifecycle::control::Control;

use super::{bound, rules, schema, visit};

/// Rules of a hold.
const HOLD_RULES: [(&str, &str); 3] = [
    ("self.kind != 'Takeover' || has(self.version)", "a Takeover names the version that gets everybody; add `version`"),
    (
        "self.kind == 'Weights' ? has(self.weights) && self.weights.size() > 0 : !has(self.weights)",
        "`weights` belong to the kind Weights, and that has some; write such as `{kind: Weights, weights: {v2: 25%}}`",
    ),
    ("self.kind != 'Weights' || !has(self.version)", "the kind Weights has no `version`; name versions in `weights`"),
];

/// The definition as the API server takes it.
#[must_use]
pub fn crd() -> Value {
    let mut spec = schema::<Control>(
        "What a person says of the release of the same name and namespace. It acts until it is taken back.",
    );
    bound(&mut spec, "spec");
    visit(&mut spec, "spec", &mut |name, schema| match name {
        "hold" => rules(schema, &HOLD_RULES),
        "weights" => super::weights(schema),
        _ => {}
    });
    let column = |name: &str, kind: &str, path: &str| json!({"name": name, "type": kind, "jsonPath": path});
    super::definition(
        Kind::CanaryControl,
        "cctl",
        &json!({
            "additionalPrinterColumns": [
                column("Hold", "string", ".spec.hold.kind"),
                column("Version", "string", ".spec.hold.version"),
                column("Paused", "boolean", ".spec.paused"),
                column("By", "string", ".spec.by"),
                column("Because", "string", ".spec.because"),
                column("Age", "date", ".metadata.creationTimestamp"),
            ],
            "schema": {"openAPIV3Schema": {
                "type": "object",
                "description": "A person's word about the CanaryRelease of the same name: roll back, take over, weights by hand, a pause. No tool that applies the release takes it back.",
                "required": ["spec"],
                "properties": {
                    "apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"},
                    "spec": spec,
                },
            }},
        }),
    )
}
