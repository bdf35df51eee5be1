//! The health script of Argo CD, in the interpreter that Argo CD has.

use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use libtest_mimic::Arguments;
use serde_json::{Value, json};
use serin_tests::need::{self, Need, Outcome};

fn main() -> ExitCode {
    let trial = need::test("argo_cd_sees_how_a_release_is", &[Need::Go], argo_cd_sees_how_a_release_is);
    libtest_mimic::run(&Arguments::from_args(), vec![trial]).exit_code()
}

/// A release with this status, and what Argo CD says of it.
fn cases() -> Vec<(Value, &'static str)> {
    let failed = json!([{"version": "v2", "step": 0, "because": "22 of the 41 failures"}]);
    let overridden = json!([{"type": "Overridden", "status": "True", "message": "bob has rolled v2 back (5xx)"}]);
    vec![
        (json!({}), "Progressing: the controller has not seen it yet"),
        (json!({"observedGeneration": 1, "phase": "Active"}), "Progressing: the controller has not seen it yet"),
        (json!({"phase": "Active", "canaries": "v2=5%"}), "Healthy: v2=5%"),
        (json!({"phase": "TakenOver"}), "Healthy: "),
        (json!({"phase": "Completed", "canaries": "v2=100%"}), "Healthy: v2=100%"),
        (json!({"phase": "Advancing", "run": {"next": "v2=50% not before noon"}}), "Progressing: v2=50% not before noon"),
        (json!({"phase": "Progressing", "message": "v2 has no ready endpoint"}), "Progressing: v2 has no ready endpoint"),
        (json!({"phase": "AwaitingApproval"}), "Suspended: serin approve shop/cart"),
        (json!({"phase": "Paused"}), "Suspended: paused"),
        (json!({"phase": "Refused", "message": "spec.service: no"}), "Degraded: spec.service: no"),
        (json!({"phase": "RolledBack", "run": {"failed": failed}}), "Degraded: rolled back; v2: 22 of the 41 failures"),
        (json!({"phase": "RolledBack", "conditions": overridden}), "Degraded: rolled back; bob has rolled v2 back (5xx)"),
    ]
}

fn argo_cd_sees_how_a_release_is() -> Outcome {
    let object = |status: &Value, annotations: Value| {
        let mut status = status.clone();
        if let Some(fields) = status.as_object_mut().filter(|fields| !fields.is_empty()) {
            fields.entry("observedGeneration").or_insert(json!(2));
        }
        json!({"metadata": {"namespace": "shop", "name": "cart", "generation": 2, "annotations": annotations}, "status": status})
    };
    let synced = json!({"phase": "Advancing", "conditions": [{"type": "Programmed", "status": "True"}]});
    let cases = cases();
    let mut objects: Vec<Value> = cases.iter().map(|(status, _)| object(status, json!({}))).collect();
    // A step that holds for days would hold up what is applied after it.
    objects.push(object(&synced, json!({"serin.dev/health": "synced"})));
    let mut expected: Vec<&str> = cases.iter().map(|(_, health)| *health).collect();
    expected.push("Healthy: routes and filter are up to date; Advancing");
    assert_eq!(healths(&objects)?, expected);
    Ok(())
}

/// What the script says of objects.
fn healths(objects: &[Value]) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = here.join("../target/argocd/health");
    let built = Command::new("go")
        .args(["build", "-trimpath", "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(here.join("argocd"))
        .status()?;
    assert!(built.success(), "the interpreter cannot be built; its words are above");
    let mut command = Command::new(program);
    let mut health =
        command.arg(here.join("../deploy/argocd/health.lua")).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let lines: String = objects.iter().map(|object| format!("{object}\n")).collect();
    health.stdin.take().ok_or("no standard input")?.write_all(lines.as_bytes())?;
    let output = health.wait_with_output()?;
    assert!(output.status.success(), "the script fails; its words are above");
    Ok(String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect())
}
