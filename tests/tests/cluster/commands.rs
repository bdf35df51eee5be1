//! A release by commands alone: create, list, show, wait, approve, finish, delete.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use serin_tests::mesh::{
    CONTROLLER, Client, Controller, agree, apply, counts, eventually, get, kubectl, patch, release, reviews, users,
};

use crate::pty::Screen;
use crate::{Outcome, Tests};

pub(crate) const TESTS: Tests = &[
    ("commands::a_release_lives_by_commands_and_finishes_without_moving_anybody", by_commands),
    ("commands::steps_are_waited_for_and_approved", stepped),
    ("commands::a_file_is_looked_at_beside_the_cluster", linted),
    ("commands::names_of_the_cluster_are_completed", completed),
    ("commands::a_screen_shows_a_release_until_a_key_is_typed", watched),
];

fn serin(arguments: &[&str]) -> Result<(i32, String, String), Box<dyn std::error::Error>> {
    let output: Output = Command::new(serin_tests::command()?).args(arguments).env("NO_COLOR", "1").output()?;
    let code = output.status.code().ok_or("a signal ended it")?;
    Ok((code, String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?))
}

/// What it answers where it ends with this code.
fn said(code: i32, arguments: &[&str]) -> Result<String, Box<dyn std::error::Error>> {
    let (found, out, error) = serin(arguments)?;
    if found == code { Ok(out + &error) } else { Err(format!("{arguments:?}: {found}: {out}{error}").into()) }
}

/// What is found about a file beside the cluster: codes and paths.
fn findings(space: &str, spec: Value) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let directory = tempfile::TempDir::new()?;
    let file = directory.path().join("release.json");
    std::fs::write(&file, release(space, spec).to_string())?;
    let path = file.to_str().ok_or("the path is not UTF-8")?;
    let found: Value = serde_json::from_str(&said(0, &["lint", "-f", path, "--cluster", "-o", "json"])?)?;
    let told = |finding: &Value| {
        let text = |field: &str| finding[field].as_str().unwrap_or_default().to_owned();
        format!("{} {} {}", text("code"), text("path"), text("text"))
    };
    Ok(found["findings"].as_array().into_iter().flatten().map(told).collect())
}

fn linted() -> Outcome {
    let space = "linted";
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    let sticky = |salt: &str| json!({"by": [{"cookie": "user"}], "salt": salt});
    let spec =
        |version: &str, salt: &str| json!({"canaries": [{"version": version, "weight": "10%"}], "sticky": sticky(salt)});
    // Pods are ready a moment before the Service's slices say so.
    eventually("nothing is found", || {
        let found = findings(space, spec("v2", "a"))?;
        Ok(if found.is_empty() { Ok(()) } else { Err(format!("{found:?}")) })
    })?;
    apply(&[release(space, spec("v2", "a"))])?;
    let autoscaler =
        json!({"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "reviews-v1"}, "maxReplicas": 3});
    apply(&[
        json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "reviews", "namespace": space}, "spec": autoscaler}),
    ])?;
    let unready = "version-unready spec.canaries[0].version no ready pod of the Service has the label version=v3, so that stable would get its people; \
                   run its pods first, or let Serin do it with `workload`";
    let shrinks = "hpa-will-shrink-stable spec.stable HorizontalPodAutoscaler reviews takes stable's pods away 300 s after people have left them, and a \
                   rollback brings all of them back at once; set spec.behavior.scaleDown.stabilizationWindowSeconds to 1800 or more there";
    let salt = "salt-changed spec.sticky the salt is another one than in the cluster, so that everybody may get another version at once; keep what is \
                there";
    assert_eq!(findings(space, spec("v3", "b"))?, [unready, shrinks, salt]);
    let mut wrong = spec("v2", "a");
    wrong["routing"] = json!({"gateways": ["nowhere"], "hosts": ["reviews.example.com"]});
    let refused = "gateway-unknown spec.routing.gateways[0] the controller would refuse it: there is no Gateway linted/nowhere; create it, or correct the \
                   name (NAMESPACE/NAME)";
    assert_eq!(findings(space, wrong)?, [refused, shrinks]);
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    Ok(())
}

fn by_commands() -> Outcome {
    let space = "commands";
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    let controller = Controller::start(space, CONTROLLER, &[])?;
    let name = format!("{space}/reviews");
    let create = ["create", &name, "--version", "v2", "--weight", "50%", "--by", "cookie:user"];
    let printed = said(0, &[&create[..], &["--dry-run=client", "-o", "yaml"]].concat())?;
    assert!(printed.contains("service: reviews") && printed.contains("version: v1"), "{printed}");
    assert_eq!(said(0, &create)?, "commands/reviews: Active, v2=50%\n");
    let second = said(2, &create)?;
    assert!(second.contains("the release commands/reviews has the Service already"), "{second}");
    let mut client = Client::of(space)?;
    agree(space, &mut client)?;

    let list = said(0, &["list", "-n", space])?;
    let lines: Vec<Vec<&str>> = list.lines().map(|line| line.split_whitespace().take(4).collect()).collect();
    assert_eq!(lines, [["NAME", "STABLE", "CANARIES", "PHASE"], ["reviews", "v1", "v2=50%", "Active"]]);
    let all: Value = serde_json::from_str(&said(0, &["list", "-n", space, "-o", "json"])?)?;
    assert_eq!(all["releases"][0]["versions"][1], json!({"version": "v2", "share": "50%", "ready": 1}));
    let page = said(0, &["show", &name])?;
    for line in [
        "commands/reviews  Active\n",
        "v1 stable  50%    1\n",
        "v2 canary  50%    1\n",
        "Accepted ✓   Ready ✓   Programmed ✓",
    ] {
        assert!(page.contains(line), "{line}: {page}");
    }
    said(0, &["status", &name, "--for", "programmed", "--timeout", "30s"])?;
    let missing = said(1, &["show", "nobody", "-n", space])?;
    assert!(missing.contains("CanaryRelease commands/nobody is not there"), "{missing}");

    // Nobody may move by it.
    let early = said(2, &["finish", &name, "--yes"])?;
    assert!(early.contains("no canary has everybody (v1 50%, v2 50%), so people would move"), "{early}");
    said(0, &["takeover", &name, "v2", "--yes"])?;
    let everybody = |client: &mut Client| {
        let requests = users();
        eventually("everybody has v2", || {
            let others = counts(client, &requests)?.iter().filter(|version| *version != "v2").count();
            Ok(if others == 0 { Ok(()) } else { Err(format!("{others} do not")) })
        })
    };
    everybody(&mut client)?;
    // What Git owns is printed, and not touched.
    kubectl(&["annotate", "crel", "-n", space, "reviews", "argocd.argoproj.io/tracking-id=shop"], "")?;
    let printed = said(5, &["finish", &name, "--yes"])?;
    assert!(printed.contains("\"version\": \"v2\"") && printed.contains("Argo CD owns the release"), "{printed}");
    assert_eq!(get("crel", space, "reviews")?["spec"]["stable"]["version"], "v1");
    kubectl(&["annotate", "crel", "-n", space, "reviews", "argocd.argoproj.io/tracking-id-"], "")?;
    assert_eq!(said(0, &["finish", &name, "--yes"])?, "commands/reviews: v2 is stable\n");
    for _ in 0..3 {
        assert!(counts(&mut client, &users())?.iter().all(|version| version == "v2"), "somebody moved");
    }
    let status = said(0, &["status", &name, "--timeout", "30s"])?;
    assert!(status.contains("commands/reviews: Active"), "{status}");
    let spec = get("crel", space, "reviews")?["spec"].clone();
    assert_eq!((&spec["stable"], &spec["canaries"]), (&json!({"version": "v2"}), &json!([])));
    assert_eq!(get("cctl", space, "reviews")?["spec"]["hold"], Value::Null);
    assert!(counts(&mut client, &users())?.iter().all(|version| version == "v2"));
    let gone = said(0, &["delete", &name])?;
    assert_eq!(gone, "commands/reviews: deleted; stable's pods and Service are as they were\n");
    assert!(get("crel", space, "reviews").is_err());
    drop(controller);
    Ok(())
}

/// What kubectl completes for its plugin, by the script that is shipped.
fn completed() -> Outcome {
    let space = "completed";
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    let controller = Controller::start(space, CONTROLLER, &[])?;
    let name = format!("{space}/reviews");
    said(0, &["create", &name, "--version", "v2", "--weight", "5%", "--by", "cookie:user"])?;
    let folder = tempfile::tempdir()?;
    std::os::unix::fs::symlink(serin_tests::command()?, folder.path().join("kubectl-serin"))?;
    let shim = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/krew/kubectl_complete-serin");
    std::os::unix::fs::symlink(shim, folder.path().join("kubectl_complete-serin"))?;
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH")?);
    let names = |words: &[&str]| -> Result<Vec<String>, Box<dyn std::error::Error>> {
        let mut kubectl = Command::new(std::env::var_os("KUBECTL").ok_or("no KUBECTL")?);
        let output = kubectl.args(["__complete", "serin"]).args(words).env("PATH", &path).output()?;
        let text = String::from_utf8(output.stdout)?;
        let lines = text.lines().filter(|line| !line.starts_with(['-', ':']));
        Ok(lines.map(|line| line.split('\t').next().unwrap_or_default().to_owned()).collect())
    };
    assert_eq!(names(&["roll"])?, ["rollback"]);
    assert_eq!(names(&["show", "-n", space, ""])?, ["reviews"]);
    assert_eq!(names(&["show", "completed/"])?, [name.as_str()]);
    assert_eq!(names(&["takeover", &name, ""])?, ["v1", "v2"]);
    assert_eq!(names(&["rollback", "-n", space, "reviews", ""])?, ["v2"]);
    assert_eq!(names(&["weight", &name, ""])?, ["v2="]);
    assert_eq!(names(&["list", "-n", "complet"])?, [space]);
    assert_eq!(names(&["rollback", "completed/nobody", ""])?, [""; 0]);
    said(0, &["delete", &name, "--yes"])?;
    drop(controller);
    Ok(())
}

/// A screen of 24 lines and 80 columns, and one of 12 and 40.
const WHOLE: [&str; 24] = [
    "watched/reviews  AwaitingApproval, step 2 of 3",
    "",
    "VERSION    SHARE  READY",
    "v1 stable  50%    1",
    "v2 canary  50%    1",
    "·························#########################",
    "",
    "STEPS    ✓ 10% 1s   ▸ 50% 1s approve   · 100%",
    "         AwaitingApproval: v2=100% when somebody approves",
    "",
    "Accepted ✓   Ready ✓   Programmed ✓   TakenOver –",
    "",
    "WHEN                  WHO    WHAT",
    "TIME  steps  ApprovalNeeded at v2=50%: step 2 of 3",
    "TIME  steps  Stepped v2=10% → v2=50%: step 2 of 3",
    "TIME  steps  Stepped to v2=10%: step 1 of 3",
    "TIME  spec   Started",
    "",
    "",
    "",
    "",
    "",
    "",
    "quit: q",
];
const SMALL: [&str; 12] = [
    "watched/reviews  AwaitingApproval, step…",
    "VERSION    SHARE  READY",
    "v1 stable  50%    1",
    "v2 canary  50%    1",
    "····················####################",
    "STEPS    …   ▸ 50% 1s approve   · 100%",
    "         AwaitingApproval: v2=100% when",
    "         somebody approves",
    "WHEN                  WHO    WHAT",
    "TIME  steps  ApprovalNe…",
    "",
    "quit: q",
];

fn watched() -> Outcome {
    let space = "watched";
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    let controller = Controller::start(space, CONTROLLER, &[])?;
    let name = format!("{space}/reviews");
    let steps = ["--steps", "10%,50%,100%", "--hold", "1s", "--approve-last"];
    said(0, &[&["create", &name, "--version", "v2", "--by", "cookie:user"], &steps[..]].concat())?;
    said(0, &["status", &name, "--for", "approval", "--timeout", "60s"])?;
    let start = |arguments: &[&str], lines, columns| {
        Screen::start(Command::new(serin_tests::command()?).args(arguments).env_remove("NO_COLOR"), lines, columns)
    };
    let shows = |screen: &Screen, expected: &[&str]| {
        eventually("the screen is as it should be", || {
            let lines: Vec<String> = screen.lines()?.iter().map(|line| timeless(line)).collect();
            Ok(if lines == expected { Ok(()) } else { Err(format!("{lines:#?}")) })
        })
    };
    let screen = start(&["show", &name, "-w"], 24, 80)?;
    shows(&screen, &WHOLE)?;
    assert!(screen.is_own()? && screen.has_colours()?);
    screen.resize(12, 40)?;
    shows(&screen, &SMALL)?;
    said(0, &["rollback", &name])?;
    eventually("the screen changes", || {
        let first = screen.lines()?.first().cloned().unwrap_or_default();
        Ok(if first == "watched/reviews  RolledBack, step 2 of 3" { Ok(()) } else { Err(first) })
    })?;
    screen.quits_by(b"q")?;

    let plain =
        Screen::start(Command::new(serin_tests::command()?).args(["list", "-n", space, "-w"]).env("NO_COLOR", "1"), 4, 40)?;
    shows(&plain, &["NAME     STABLE  CANARIES  PHASE", "reviews  v1      v2=0%     RolledBack", "", "quit: q"])?;
    assert!(plain.is_own()? && !plain.has_colours()?);
    plain.quits_by(&[3])?;

    let mut killed = start(&["show", &name, "-w"], 24, 80)?;
    eventually("it has a screen", || Ok(if killed.is_own()? { Ok(()) } else { Err("not yet".to_owned()) }))?;
    killed.terminate()?;
    killed.ends(143)?;

    // What was waited for ends it, and stays on the screen that was there before.
    let mut ended = start(&["show", &name, "-w", "--until", "done"], 24, 80)?;
    ended.ends(3)?;
    assert_eq!(ended.lines()?.first().map(String::as_str), Some("watched/reviews  RolledBack, step 2 of 3"));
    said(0, &["delete", &name, "--yes"])?;
    drop(controller);
    Ok(())
}

/// A line without the moments in it.
fn timeless(line: &str) -> String {
    let is_moment = |word: &&str| word.starts_with("20") && word.ends_with('Z') && word.len() == 20;
    let word = |word: &str| if is_moment(&word) { "TIME".to_owned() } else { word.to_owned() };
    line.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

fn stepped() -> Outcome {
    let space = "waited";
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    let controller = Controller::start(space, CONTROLLER, &[])?;
    let name = format!("{space}/reviews");
    let steps = ["--steps", "10%,50%,100%", "--hold", "1s", "--approve-last"];
    said(0, &[&["create", &name, "--version", "v2", "--by", "cookie:user"], &steps[..]].concat())?;
    let waited = said(5, &["status", &name, "--timeout", "60s"])?;
    let last = waited.lines().last().unwrap_or_default();
    assert_eq!(last, "waited/reviews: AwaitingApproval at step 2 of 3, v2=50%; run `serin approve waited/reviews`");
    said(0, &["status", &name, "--for", "approval"])?;
    said(0, &["status", &name, "--for", "step=2"])?;
    said(4, &["status", &name, "--for", "rolledBack", "--timeout", "1s"])?;
    let page = said(0, &["show", &name])?;
    assert!(page.contains("STEPS    ✓ 10% 1s   ▸ 50% 1s approve   · 100%\n"), "{page}");
    said(0, &["approve", &name])?;
    said(0, &["show", &name, "-w", "--until", "done"])?;
    // A question needs somebody who can answer it.
    let unasked = said(2, &["delete", &name])?;
    assert!(unasked.contains("100% of people move from v2 to v1") && unasked.contains("pass --yes"), "{unasked}");
    said(0, &["rollback", &name])?;
    said(3, &["status", &name, "--timeout", "30s"])?;
    patch("crel", space, "reviews", &json!({"metadata": {"labels": {"team": "shop"}}}))?;
    said(0, &["delete", &name, "--yes"])?;
    drop(controller);
    Ok(())
}
