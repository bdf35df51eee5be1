//! Others who write Serin's objects: named, slowed down, and left alone where the API server itself changes what is written.

use std::time::Instant;

use serde_json::{Value, json};
use serin_tests::mesh::{
    CONTROLLER, Client, Controller, agree, apply, await_reason, eventually, get, half, kubectl, patch, release, reviews,
};

use crate::{Outcome, Tests};

pub(crate) const TESTS: Tests = &[
    ("fights::a_tool_that_changes_an_object_again_and_again_is_slowed_down_and_named", a_tool_that_fights),
    ("fights::what_admission_changes_is_not_written_again_and_again", what_admission_changes),
];

fn a_tool_that_fights() -> Outcome {
    let space = "fought";
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    let controller = Controller::start("fought", CONTROLLER, &[])?;
    apply(&[release(space, half())])?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    let mut client = Client::of(space)?;
    agree(space, &mut client)?;
    let writes = || controller.metric("serin_writes_total", "kind=\"VirtualService\"");
    let (before, start) = (writes()?, Instant::now());
    let theirs = json!([{"op": "replace", "path": "/spec/http/0/name", "value": "theirs"}]).to_string();
    for _ in 0..40 {
        kubectl(
            &[
                "patch",
                "virtualservice",
                "-n",
                space,
                "reviews-serin",
                "--field-manager=kustomize-controller",
                "--type=json",
                "-p",
                &theirs,
            ],
            "",
        )?;
    }
    let message = await_reason(space, "reviews", "Programmed", "Overwritten")?;
    assert_eq!(
        message,
        "`kustomize-controller` changes VirtualService fought/reviews-serin again and again, and Serin changes it back, less often each time; \
         take the object out of what that tool applies"
    );
    // Three at once, then one after 1, 2, 4, ... s.
    let most = 3.0 + (start.elapsed().as_secs_f64() + 1.0).log2().floor();
    let made = writes()? - before;
    assert!(made <= most, "{made} writes, at most {most}");
    // What Serin itself wants to change waits for nothing, and whoever gives up loses.
    patch("crel", space, "reviews", &json!({"spec": {"routing": {"http": {"timeout": "7s"}}}}))?;
    eventually("the route is Serin's again", || {
        let http = get("virtualservice", space, "reviews-serin")?["spec"]["http"].clone();
        let ours = http.as_array().into_iter().flatten().all(|http| http["name"] != "theirs" && http["timeout"] == "7s");
        Ok(if ours { Ok(()) } else { Err(http.to_string()) })
    })?;
    agree(space, &mut client)?;
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}

/// A policy of the API server that has all images of a namespace come from a mirror.
fn mirror(space: &str) -> [Value; 2] {
    let expression = "Object{spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{containers: \
                      object.spec.template.spec.containers.map(c, Object.spec.template.spec.containers{name: c.name, image: \
                      c.image.startsWith('mirror/') ? c.image : 'mirror/' + c.image})}}}}";
    let matched = json!({"resourceRules": [{"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["deployments"]}],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": space}}});
    let api = "admissionregistration.k8s.io/v1";
    [
        json!({"apiVersion": api, "kind": "MutatingAdmissionPolicy", "metadata": {"name": "mirror"}, "spec": {
            "failurePolicy": "Fail", "reinvocationPolicy": "Never", "matchConstraints": matched,
            "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}]}}),
        json!({"apiVersion": api, "kind": "MutatingAdmissionPolicyBinding", "metadata": {"name": "mirror"}, "spec": {"policyName": "mirror"}}),
    ]
}

fn what_admission_changes() -> Outcome {
    let space = "mirrored";
    reviews(space, &[("v1", 1)])?;
    apply(&mirror(space))?;
    eventually("the policy acts", || {
        let probe = kubectl(
            &["create", "deployment", "-n", space, "probe", "--image=probe", "--dry-run=server", "-o", "jsonpath={..image}"],
            "",
        )?;
        Ok(if probe == "mirror/probe" { Ok(()) } else { Err(probe) })
    })?;
    let controller = Controller::start("mirrored", CONTROLLER, &[])?;
    let workload = json!({"images": {"reviews": "reviews:2"}, "replicas": 1});
    let spec = |weight: &str| json!({"canaries": [{"version": "v2", "weight": weight, "workload": workload}], "sticky": {"by": [{"cookie": "user"}]}});
    apply(&[release(space, spec("50%"))])?;
    await_reason(space, "reviews", "Ready", "AllReady")?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    let image = || {
        Ok::<_, Box<dyn std::error::Error>>(
            get("deployment", space, "reviews-v2")?["spec"]["template"]["spec"]["containers"][0]["image"].clone(),
        )
    };
    assert_eq!(image()?, "mirror/reviews:2");
    let writes = || controller.metric("serin_writes_total", "kind=\"Deployment\"");
    let before = writes()?;
    for weight in ["51%", "52%", "53%", "54%", "55%"] {
        patch("crel", space, "reviews", &json!({"spec": spec(weight)}))?;
        await_reason(space, "reviews", "Programmed", "Programmed")?;
    }
    assert_eq!(writes()? - before, 0.0);
    // Who changes it by hand is overruled all the same.
    let theirs = json!({"spec": {"template": {"spec": {"containers": [{"name": "reviews", "image": "mirror/other"}]}}}});
    patch("deployment", space, "reviews-v2", &theirs)?;
    eventually("the image is the release's again", || {
        let image = image()?;
        Ok(if image == "mirror/reviews:2" { Ok(()) } else { Err(image.to_string()) })
    })?;
    for kind in ["mutatingadmissionpolicybinding", "mutatingadmissionpolicy"] {
        kubectl(&["delete", kind, "mirror"], "")?;
    }
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}
