//! A person's word: it acts at once, whatever the release says and whatever tool applies it.

use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use serin_controller::cluster::policy;
use serin_tests::mesh::{
    Client, agree, all_answered, apply, await_reason, condition, counts, eventually, get, half, kubectl, patch, release,
    running, users,
};

use crate::{Outcome, Tests};

pub(crate) const TESTS: Tests = &[
    ("control::a_person_rolls_back_and_a_tool_that_applies_the_release_takes_nothing_back", a_person_rolls_back),
    ("control::weights_a_takeover_and_a_pause_by_hand_act_until_they_are_taken_back", by_hand),
    ("control::what_two_people_say_at_once_is_heard", two_at_once),
    ("control::a_word_about_another_version_acts_on_nobody", a_void_word),
    ("control::a_policy_makes_a_control_say_who_wrote_it", a_policy_names_the_author),
    ("control::who_is_on_call_may_roll_back_and_may_not_touch_the_release", on_call),
];

/// So many of the 1 000 users have v2 at 10 %.
const FEWER: usize = 89;

/// `serin` with these arguments on the mesh.
fn serin(arguments: &[&str]) -> Result<Output, Box<dyn std::error::Error>> {
    Ok(Command::new(serin_tests::command()?).args(arguments).env("NO_COLOR", "1").output()?)
}

/// What it answers where it does what was asked for.
fn said(arguments: &[&str]) -> Result<String, Box<dyn std::error::Error>> {
    let output = serin(arguments)?;
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout)?),
        false => Err(format!("{arguments:?}: {output:?}").into()),
    }
}

/// Waits until every user gets this version.
pub(crate) fn everybody_gets(client: &mut Client, version: &str) -> Outcome {
    let requests = users();
    eventually("everybody gets it", || {
        let others = counts(client, &requests)?.into_iter().filter(|own| own != version).count();
        Ok(if others == 0 { Ok(()) } else { Err(format!("{others} do not")) })
    })
}

fn history(space: &str) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let status = get("crel", space, "reviews")?["status"].clone();
    let entries = status["history"].as_array().cloned().unwrap_or_default();
    Ok(entries
        .iter()
        .map(|entry| {
            format!(
                "{} {} by {}",
                entry["what"].as_str().unwrap_or_default(),
                entry["to"].as_str().unwrap_or_default(),
                entry["by"].as_str().unwrap_or_default()
            )
        })
        .collect())
}

fn a_person_rolls_back() -> Outcome {
    let space = "word";
    let (controller, mut client, _) = running(space, half())?;
    let requests = users();
    let before = counts(&mut client, &requests)?;
    let name = format!("{space}/reviews");
    let told = said(&["rollback", &name, "--because", "5xx on checkout"])?;
    assert_eq!(told, "word/reviews: 50% of people move from v2 to v1\n");
    everybody_gets(&mut client, "v1")?;
    let message = await_reason(space, "reviews", "Overridden", "Overridden")?;
    assert_eq!(message, "admin has rolled every canary back (5xx on checkout); the spec says v2=50%");
    let status = get("crel", space, "reviews")?["status"].clone();
    assert_eq!(status["phase"], "RolledBack");
    assert_eq!((&status["control"]["kind"], &status["control"]["by"]), (&json!("Rollback"), &json!("admin")));
    assert_eq!(history(space)?, ["RolledBack  by control admin"]);
    // A tool applies the release again, by either kind of apply: nobody moves.
    apply(&[release(space, half())])?;
    let text = release(space, half()).to_string();
    kubectl(&["apply", "--server-side", "--force-conflicts", "--field-manager=argocd-controller", "-f", "-"], &text)?;
    // Another weight in the spec moves nobody either.
    patch("crel", space, "reviews", &json!({"spec": {"canaries": [{"version": "v2", "weight": "70%"}]}}))?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    for _ in 0..3 {
        assert!(counts(&mut client, &requests)?.iter().all(|version| version == "v1"));
    }
    patch("crel", space, "reviews", &json!({"spec": {"canaries": [{"version": "v2", "weight": "50%"}]}}))?;
    // Taken back: the same people come back.
    said(&["resume", &name, "--yes"])?;
    agree(space, &mut client)?;
    assert_eq!(counts(&mut client, &requests)?, before);
    assert_eq!(condition(space, "reviews", "Overridden")?.1, "NotOverridden");
    let events = kubectl(&["get", "events", "-n", space, "-o", "jsonpath={.items[*].reason}"], "")?;
    assert!(events.contains("RolledBack") && events.contains("Resumed"), "{events}");
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}

fn by_hand() -> Outcome {
    let space = "byhand";
    let (controller, mut client, shares) = running(space, half())?;
    let name = format!("{space}/reviews");
    // Weights.
    let refused = serin(&["weight", &name, "v2=10%"])?;
    assert_eq!(refused.status.code(), Some(2));
    let words = String::from_utf8(refused.stderr)?;
    assert!(words.contains("40% of people move from v2 to v1") && words.contains("pass --yes"), "{words}");
    said(&["weight", &name, "v2=10%", "--yes"])?;
    // Those who stay on v2 were there before, by the bucket.
    let fewer = agree(space, &mut client)?;
    assert_eq!(fewer.get("v2"), Some(&FEWER), "{fewer:?}");
    // A takeover, and a pause beside it.
    said(&["takeover", &name, "v2", "--yes"])?;
    everybody_gets(&mut client, "v2")?;
    assert_eq!(get("crel", space, "reviews")?["status"]["phase"], "TakenOver");
    said(&["resume", &name, "--yes"])?;
    assert_eq!(agree(space, &mut client)?, shares);
    said(&["pause", &name])?;
    patch("crel", space, "reviews", &json!({"spec": {"canaries": [{"version": "v2", "weight": "90%"}]}}))?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    let again = counts(&mut client, &users())?.iter().filter(|version| *version == "v2").count();
    assert_eq!(Some(&again), shares.get("v2"), "a pause moved somebody");
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}

fn two_at_once() -> Outcome {
    let space = "twoatonce";
    let (controller, _, _) = running(space, half())?;
    let name = format!("{space}/reviews");
    for round in 0..8 {
        let says = |verb: &'static str| -> Result<_, Box<dyn std::error::Error>> {
            Ok(Command::new(serin_tests::command()?)
                .args([verb, &name])
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()?)
        };
        let both = [says("pause")?, says("rollback")?];
        for one in both {
            let output = one.wait_with_output()?;
            assert!(output.status.success(), "round {round}: {}", String::from_utf8_lossy(&output.stderr));
        }
        let spec = get("cctl", space, "reviews")?["spec"].clone();
        assert_eq!((&spec["paused"], &spec["hold"]["kind"]), (&json!(true), &json!("Rollback")), "round {round}: {spec}");
        said(&["resume", &name, "--yes"])?;
    }
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}

fn a_void_word() -> Outcome {
    let space = "void";
    let (controller, mut client, shares) = running(space, half())?;
    let control = json!({"apiVersion": "serin.dev/v1alpha1", "kind": "CanaryControl", "metadata": {"name": "reviews", "namespace": space},
        "spec": {"hold": {"kind": "Rollback", "version": "v9"}, "by": "admin"}});
    apply(&[control])?;
    let message = await_reason(space, "reviews", "Overridden", "Void")?;
    assert!(message.starts_with("the CanaryControl speaks of v9, which the release does not have"), "{message}");
    assert_eq!(agree(space, &mut client)?, shares);
    for (hold, words) in [
        (json!({"kind": "Takeover"}), "a Takeover names the version that gets everybody; add `version`"),
        (json!({"kind": "Weights"}), "`weights` belong to the kind Weights, and that has some"),
        (json!({"kind": "Weights", "weights": {"v2": "25"}}), "write a percentage of at most 100"),
        (json!({"kind": "Undo"}), "Unsupported value: \"Undo\""),
    ] {
        let refused = patch("cctl", space, "reviews", &json!({"spec": {"hold": null}}))
            .and_then(|()| patch("cctl", space, "reviews", &json!({"spec": {"hold": hold}})));
        let refused = refused.err().ok_or_else(|| format!("{hold} is taken"))?.to_string();
        assert!(refused.contains(words), "{hold}: {refused}");
    }
    kubectl(&["delete", "crel,cctl", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}

fn on_call() -> Outcome {
    let space = "oncall";
    let (controller, mut client, _) = running(space, half())?;
    let can = |verb: &str, resource: &str| -> bool {
        kubectl(&["auth", "can-i", verb, resource, "-n", space, "--as", "bob"], "")
            .is_ok_and(|answer| answer.trim() == "yes")
    };
    kubectl(&["create", "rolebinding", "-n", space, "oncall", "--clusterrole=serin-operator", "--user=bob"], "")?;
    eventually("the rights are there", || {
        Ok(if can("create", "canarycontrols.serin.dev") { Ok(()) } else { Err("not yet".to_owned()) })
    })?;
    assert!(can("get", "canaryreleases.serin.dev") && !can("patch", "canaryreleases.serin.dev"));
    let word: Value = json!({"apiVersion": "serin.dev/v1alpha1", "kind": "CanaryControl", "metadata": {"name": "reviews", "namespace": space},
        "spec": {"hold": {"kind": "Rollback", "version": "v2"}, "by": "bob"}});
    kubectl(&["create", "--as", "bob", "-f", "-"], &word.to_string())?;
    everybody_gets(&mut client, "v1")?;
    all_answered(&mut client, &users())?;
    kubectl(&["delete", "crel,cctl", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}

/// The policy that fills in who writes a control, for one namespace, as an overlay with a namespace renders it: kustomize does not know that
/// this kind has none.
fn filled_author(space: &str) -> Result<String, Box<dyn std::error::Error>> {
    let mut objects = Vec::new();
    for text in policy::author_manifest().split("---\n") {
        let mut object: Value = serde_saphyr::from_str(text)?;
        object["metadata"]["namespace"] = json!("serin-system");
        if object["kind"] == "MutatingAdmissionPolicy" {
            let only = json!({"matchLabels": {"kubernetes.io/metadata.name": space}});
            object["spec"]["matchConstraints"]["namespaceSelector"] = only;
        }
        objects.push(object.to_string());
    }
    Ok(objects.join("\n---\n"))
}

fn a_policy_names_the_author() -> Outcome {
    let space = "author";
    kubectl(&["create", "namespace", space], "")?;
    kubectl(&["create", "rolebinding", "-n", space, "oncall", "--clusterrole=serin-operator", "--user=bob"], "")?;
    let control = |by: Value| {
        json!({"apiVersion": "serin.dev/v1alpha1", "kind": "CanaryControl", "metadata": {"name": "reviews", "namespace": space},
            "spec": {"paused": true, "by": by}})
    };
    let create = |by: Value| kubectl(&["create", "--as", "bob", "-f", "-"], &control(by).to_string());
    let written = || get("cctl", space, "reviews").map(|control| control["spec"]["by"].clone());
    let remove = || kubectl(&["delete", "cctl", "-n", space, "reviews", "--ignore-not-found"], "");
    // As `deploy/` has installed it.
    let refusal = "spec.by must be bob, who writes this; `serin` fills it in";
    for by in [json!("alice"), Value::Null] {
        eventually("another author is refused", || {
            remove()?;
            Ok(match create(by.clone()) {
                Err(error) if error.to_string().contains(refusal) => Ok(()),
                other => Err(format!("{other:?}")),
            })
        })?;
    }
    create(json!("bob"))?;
    // Labels and owners are nobody's word; the rest is.
    patch("cctl", space, "reviews", &json!({"metadata": {"labels": {"team": "shop"}}}))?;
    let other = patch("cctl", space, "reviews", &json!({"spec": {"paused": false}})).err().ok_or("it is bob's")?.to_string();
    assert!(other.contains("spec.by must be admin"), "{other}");
    kubectl(&["apply", "--server-side", "-f", "-"], &filled_author(space)?)?;
    eventually("the author is filled in", || {
        remove()?;
        Ok(match create(json!("alice")) {
            Ok(_) if written()? == "bob" => Ok(()),
            other => Err(format!("{other:?}, {:?}", written().ok())),
        })
    })?;
    kubectl(&["delete", "mutatingadmissionpolicybinding,mutatingadmissionpolicy", "serin-author"], "")?;
    remove()?;
    Ok(())
}
