//! `serin document`.

use super::*;

#[test]
fn a_carried_document_is_printed() {
    let (_directory, release) = file(&fs::read_to_string(example("reviews.yaml")).unwrap());
    let compiled = stdout(&serin(&["compile", "-f", release.to_str().unwrap()]));
    let document: Value = serde_json::from_str(&compiled).unwrap();
    let plugin = |name: &str, config: &Value| {
        json!({"apiVersion": "extensions.istio.io/v1alpha1", "kind": "WasmPlugin", "metadata": {"name": name, "namespace": "istio-system"},
            "spec": {"url": "file:///x", "pluginConfig": config}})
    };
    let printed = |objects: &Value| {
        let (_directory, path) = file(&objects.to_string());
        serin(&["document", "-f", path.to_str().unwrap()])
    };
    let text = plugin("serin", &json!({"document": compiled.trim()}));
    for objects in [plugin("serin", &document), text.clone(), json!({"kind": "List", "items": [{"kind": "Service"}, text]})]
    {
        assert_eq!(stdout(&printed(&objects)), compiled);
    }
    for (objects, message) in [
        (json!({"kind": "Service"}), ": it has no WasmPlugin; pass what `kubectl get wasmplugin -o yaml` prints of one"),
        (
            json!({"items": [plugin("a", &document), plugin("b", &document)]}),
            ": it has several WasmPlugins (istio-system/a, istio-system/b); pass one",
        ),
        (plugin("a", &Value::Null), ": WasmPlugin istio-system/a carries nothing: spec.pluginConfig is empty"),
        (
            plugin("a", &json!({"document": "x"})),
            ": WasmPlugin istio-system/a carries no split document that this version reads: document: neither JSON nor gzip in base64; write \
             JSON, or what `gzip -n | base64 -w0` makes of it",
        ),
    ] {
        let output = printed(&objects);
        let error = String::from_utf8(output.stderr.clone()).unwrap();
        assert!(error.trim_end().ends_with(message), "{error}");
        assert_eq!(output.status.code(), Some(2));
    }
}
