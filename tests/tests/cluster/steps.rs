//! Steps: weights grow by themselves, in the order and time that the release says, and nobody flips.

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use serin_tests::mesh::{
    CONTROLLER, Client, Controller, Watcher, agree, apply, await_reason, counts, eventually, get, kubeconfig, kubectl,
    patch, release, reviews, users,
};
use serin_tests::severed::Plain;
use serin_tests::upstream;

use crate::{Outcome, Tests};

pub(crate) const TESTS: Tests = &[
    ("steps::people_are_told_and_a_sink_that_is_down_holds_nothing_up", people_are_told),
    ("steps::a_release_goes_its_way_and_waits_for_a_person", goes_its_way),
    ("steps::killed_at_each_write_of_a_step_and_of_a_rollback_nobody_flips", killed_at_each_write),
    ("steps::steps_of_all_releases_share_documents_and_none_is_skipped", steps_share_documents),
    ("steps::a_new_leader_goes_on_where_the_last_one_was", a_new_leader),
];

/// So many of the 1 000 users have v2 at 50 %.
const HALF: usize = 527;

fn spec(steps: &Value) -> Value {
    json!({"canaries": [{"version": "v2"}], "steps": steps, "sticky": {"by": [{"cookie": "user"}]}})
}

/// Waits until the release is in a phase.
fn phase(space: &str, phase: &str) -> Outcome {
    eventually(&format!("it is {phase}"), || {
        let status = get("crel", space, "reviews")?["status"].clone();
        Ok(if status["phase"] == phase { Ok(()) } else { Err(format!("{} {}", status["phase"], status["run"])) })
    })
}

/// What happened, oldest first.
fn story(space: &str) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let status = get("crel", space, "reviews")?["status"].clone();
    let told = |entry: &Value| {
        let text = |field: &str| entry[field].as_str().unwrap_or_default().to_owned();
        format!("{} {} by {}: {}", text("what"), text("to"), text("by"), text("because"))
    };
    Ok(status["history"].as_array().into_iter().flatten().rev().map(told).collect())
}

fn goes_its_way() -> Outcome {
    let space = "steps";
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    let controller = Controller::start(space, CONTROLLER, &[])?;
    let mut client = Client::of(space)?;
    let watcher = Watcher::start(space)?;
    let steps = json!([
        {"name": "first", "weight": "10%", "hold": "2s"},
        {"weight": "50%", "approve": true},
        {"weight": "100%"},
    ]);
    apply(&[release(space, spec(&steps))])?;
    phase(space, "AwaitingApproval")?;
    let half = agree(space, &mut client)?;
    let run = get("crel", space, "reviews")?["status"]["run"].clone();
    assert_eq!((&run["step"], &run["reached"]), (&json!(1), &json!(true)), "{run}");
    assert_eq!(run["next"], "v2=100% when somebody approves");
    let said = |arguments: &[&str]| -> Result<String, Box<dyn std::error::Error>> {
        let output = Command::new(serin_tests::command()?).args(arguments).env("NO_COLOR", "1").output()?;
        Ok(String::from_utf8([output.stdout, output.stderr].concat())?)
    };
    let name = format!("{space}/reviews");
    let refused = said(&["approve", &name, "--step", "1"])?;
    assert!(refused.contains("step 1 of 3 needs no approval; see `approve` in spec.steps"), "{refused}");
    assert_eq!(said(&["approve", &name])?, "steps/reviews: step 2 of 3 is approved\n");
    phase(space, "Completed")?;
    let everybody = agree(space, &mut client)?;
    assert_eq!((half.get("v2"), everybody.get("v2")), (Some(&HALF), Some(&1000)));
    assert_eq!(
        story(space)?,
        [
            "Started  by spec: ",
            "Stepped v2=10% by steps: step 1 of 3",
            "Stepped v2=50% by steps: step 2 of 3",
            "ApprovalNeeded v2=50% by steps: step 2 of 3",
            "Stepped v2=100% by steps: step 3 of 3",
            "Completed v2=100% by steps: step 3 of 3",
        ]
    );
    let events = kubectl(&["get", "events", "-n", space, "-o", "jsonpath={.items[*].reason}"], "")?;
    for reason in ["Started", "Stepped", "ApprovalNeeded", "Completed"] {
        assert!(events.contains(reason), "{reason}: {events}");
    }
    watcher.finish()?;
    kubectl(&["delete", "crel,cctl", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}

/// How often the document of the mesh was written.
fn documents() -> Result<i64, Box<dyn std::error::Error>> {
    Ok(get("wasmplugin", "istio-system", "serin")?["metadata"]["generation"].as_i64().unwrap_or_default())
}

fn steps_share_documents() -> Outcome {
    let spaces = ["shared-one", "shared-two"];
    for space in spaces {
        reviews(space, &[("v1", 1), ("v2", 1)])?;
    }
    let pace = ["--settle-ms", "1000", "--drain-ms", "600", "--lease-seconds", "3", "--batch-ms", "3000"];
    let controller = Controller::start(spaces[0], CONTROLLER, &pace)?;
    let mut client = Client::of(spaces[0])?;
    let weights: Vec<Value> = (1..=6).map(|weight| json!({"weight": format!("{weight}0%"), "hold": "1s"})).collect();
    let mut steps = vec![json!({"weight": "0%", "approve": true})];
    steps.extend(weights);
    for space in spaces {
        apply(&[release(space, spec(&json!(steps)))])?;
    }
    for space in spaces {
        phase(space, "AwaitingApproval")?;
    }
    let before = documents()?;
    let watcher = Watcher::start(spaces[0])?;
    for space in spaces {
        let name = format!("{space}/reviews");
        let said = Command::new(serin_tests::command()?).args(["approve", &name]).output()?;
        assert!(said.status.success(), "{said:?}");
    }
    for space in spaces {
        phase(space, "Completed")?;
        let stepped = story(space)?.into_iter().filter(|line| line.starts_with("Stepped")).collect::<Vec<_>>();
        let expected =
            (0..=6).map(|step| format!("Stepped v2={step}0% by steps: step {} of 7", step + 1).replace("=00%", "=0%"));
        assert_eq!(stepped, expected.collect::<Vec<_>>());
    }
    // Twelve weights; the first ones may have gone apart.
    let written = documents()? - before;
    assert!((6..=8).contains(&written), "{written} documents");
    assert!(agree(spaces[0], &mut client)?["v2"] > 500);
    watcher.finish()?;
    for space in spaces {
        kubectl(&["delete", "crel,cctl", "-n", space, "reviews", "--timeout=60s"], "")?;
    }
    drop(controller);
    Ok(())
}

fn a_new_leader() -> Outcome {
    let space = "ramp";
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    let steps = json!([{"weight": "20%", "hold": "1s"}, {"weight": "40%", "hold": "1s"}, {"weight": "60%", "approve": true}, {"weight": "80%"}]);
    apply(&[release(space, spec(&steps))])?;
    let mut client = Client::of(space)?;
    let requests = users();
    let mut before: Option<Vec<String>> = None;
    // A freeze of the namespace holds everything up before the first step.
    let freeze =
        |value: &Value| patch("namespace", "", space, &json!({"metadata": {"annotations": {"serin.dev/freeze": value}}}));
    freeze(&json!("holidays"))?;
    let frozen = Controller::start(space, CONTROLLER, &[])?;
    eventually("it is frozen", || {
        let run = get("crel", space, "reviews")?["status"]["run"].clone();
        Ok(if run["state"] == "Frozen" && run["next"] == "frozen: holidays" { Ok(()) } else { Err(run.to_string()) })
    })?;
    assert_eq!(agree(space, &mut client)?.get("v1"), Some(&1000));
    freeze(&Value::Null)?;
    eventually("it goes on", || {
        let run = get("crel", space, "reviews")?["status"]["run"].clone();
        Ok(if run["state"] == "Frozen" { Err(run.to_string()) } else { Ok(()) })
    })?;
    drop(frozen);
    // Killed again and again on its way.
    while get("crel", space, "reviews")?["status"]["phase"] != "AwaitingApproval" {
        let controller = Controller::start(space, CONTROLLER, &[])?;
        await_reason(space, "reviews", "Programmed", "Programmed")?;
        let now = counts(&mut client, &requests)?;
        let back = |(before, now): (&String, &String)| before == "v2" && now == "v1";
        if let Some(before) = &before {
            assert!(!before.iter().zip(&now).any(back), "somebody fell back to v1");
        }
        before = Some(now);
        drop(controller);
    }
    let told = story(space)?;
    let stepped: Vec<&String> = told.iter().filter(|told| told.starts_with("Stepped")).collect();
    assert_eq!(
        stepped,
        [
            "Stepped v2=20% by steps: step 1 of 4",
            "Stepped v2=40% by steps: step 2 of 4",
            "Stepped v2=60% by steps: step 3 of 4",
        ]
    );
    let controller = Controller::start(space, CONTROLLER, &[])?;
    patch("crel", space, "reviews", &json!({"spec": {"paused": true}}))?;
    phase(space, "Paused")?;
    agree(space, &mut client)?;
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}

fn people_are_told() -> Outcome {
    let space = "told";
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let ears = Arc::clone(&heard);
    let address = upstream::serve(move |request| {
        // Each message is refused once, and comes again under its key.
        let key = request.header("idempotency-key").unwrap_or_default().to_owned();
        let Ok(mut heard) = ears.lock() else {
            return ("500 Internal Server Error".to_owned(), String::new(), String::new());
        };
        let is_new = !heard.contains(&key);
        let message: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        heard.push(if message["id"] == key && message["release"] == "told/reviews" { key } else { message.to_string() });
        (if is_new { "503 Service Unavailable" } else { "204 No Content" }.to_owned(), String::new(), String::new())
    })?;
    let sinks = format!("team=http://{address}/x,down=http://127.0.0.1:1/");
    let controller = Controller::start(space, CONTROLLER, &["--notify", &sinks])?;
    let spec = json!({"canaries": [{"version": "v2"}], "steps": [{"weight": "10%"}, {"weight": "100%"}],
        "notify": [{"to": "team", "on": ["stepped", "completed"]}, {"to": "down"}, {"to": "nobody"}]});
    apply(&[release(space, spec)])?;
    eventually("each message is heard twice", || {
        let all = heard.lock().map(|heard| heard.clone()).unwrap_or_default();
        let whats: Vec<&str> = all.iter().filter_map(|key| key.rsplit('-').next()).collect();
        let twice = ["Stepped", "Stepped", "Stepped", "Stepped", "Completed", "Completed"];
        Ok(if whats == twice { Ok(()) } else { Err(format!("{all:?}")) })
    })?;
    assert!(controller.log().contains("nobody of this name is set up to be told"), "{}", controller.log());
    let phase = get("crel", space, "reviews")?["status"]["phase"].clone();
    assert_eq!(phase, "Completed");
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}

/// The control that approves the step that waits, or rolls back.
fn word(space: &str, spec: &Value) -> Outcome {
    let control = json!({"apiVersion": "serin.dev/v1alpha1", "kind": "CanaryControl",
        "metadata": {"name": "reviews", "namespace": space}, "spec": spec});
    kubectl(&["apply", "--server-side", "--force-conflicts", "-f", "-"], &control.to_string()).map(|_| ())
}

fn killed_at_each_write() -> Outcome {
    let space = "severed";
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    let directory = PathBuf::from(std::env::var_os("RUN").ok_or("RUN is not set")?);
    let plain = Plain::start(&kubeconfig()?)?;
    let mut client = Client::of(space)?;
    // Each step is one try.
    let steps: Vec<Value> = (1..=20).map(|step| json!({"weight": format!("{}%", step * 4), "approve": true})).collect();
    let whole = Controller::start(space, CONTROLLER, &[])?;
    apply(&[release(space, spec(&json!(steps)))])?;
    phase(space, "AwaitingApproval")?;
    agree(space, &mut client)?;
    whole.terminate()?;
    let run = || get("crel", space, "reviews").map(|release| release["status"]["run"].clone());
    let by_whom = |version: &str, now: &[String]| now.iter().filter(|own| *own == version).count();
    let mut killed = [0, 0];
    for (kind, killed) in ["step", "rollback"].into_iter().zip(&mut killed) {
        for write in 1..15 {
            let before = counts(&mut client, &users())?;
            let state = run()?;
            let rolls_back = kind == "rollback";
            match rolls_back {
                true => word(space, &json!({"hold": {"kind": "Rollback"}, "by": "admin"}))?,
                false => word(space, &json!({"approved": [{"run": state["id"], "step": state["step"]}], "by": "admin"}))?,
            }
            let severed = plain.severed_at(write, &directory)?;
            let broken = Controller::spawn(space, CONTROLLER, &severed.kubeconfig, &[])?;
            severed.victim(broken.id());
            let settled = || -> Result<bool, Box<dyn std::error::Error>> {
                let status = get("crel", space, "reviews")?["status"].clone();
                Ok(match rolls_back {
                    true => status["phase"] == "RolledBack" && status["control"]["kind"] == "Rollback",
                    false => status["run"]["step"] != state["step"] && status["phase"] == "AwaitingApproval",
                })
            };
            eventually("it is killed, or done", || {
                Ok(if severed.happened() || settled()? { Ok(()) } else { Err("neither".to_owned()) })
            })?;
            let done = !severed.happened();
            // Whatever acts now: nobody is served what neither state gives.
            let between = counts(&mut client, &users())?;
            let back = |(before, now): (&String, &String)| before == "v2" && now == "v1";
            let has_left = before.iter().zip(&between).any(back);
            assert!(rolls_back || !has_left, "{kind} {write}: somebody fell back");
            drop(broken);
            let whole = Controller::start(space, CONTROLLER, &[])?;
            eventually("another one goes on to the end", || Ok(if settled()? { Ok(()) } else { Err(run()?.to_string()) }))?;
            match rolls_back {
                true => {
                    eventually("nobody has v2", || {
                        let now = counts(&mut client, &users())?;
                        Ok(match by_whom("v2", &now) {
                            0 => Ok(()),
                            some => Err(some.to_string()),
                        })
                    })?;
                    word(space, &json!({"by": "admin"}))?;
                    eventually("the same people are back", || {
                        let now = counts(&mut client, &users())?;
                        Ok(if now == before { Ok(()) } else { Err(by_whom("v2", &now).to_string()) })
                    })?;
                }
                false => {
                    agree(space, &mut client)?;
                    let now = counts(&mut client, &users())?;
                    assert!(!before.iter().zip(&now).any(back), "{kind} {write}: somebody fell back");
                }
            }
            whole.terminate()?;
            if done {
                break;
            }
            *killed += 1;
        }
    }
    assert!(killed.iter().all(|killed| *killed >= 2), "killed at {killed:?} writes only");
    // No step was left out, and none was done twice.
    let told = story(space)?;
    let steps = told.iter().filter(|told| told.starts_with("Stepped"));
    let numbers: Vec<u32> = steps.filter_map(|told| told.split("step ").nth(1)?.split(' ').next()?.parse().ok()).collect();
    assert!(numbers.len() > 1 && numbers.windows(2).all(|two| two[1] == two[0] + 1), "{told:?}");
    let whole = Controller::start(space, CONTROLLER, &[])?;
    kubectl(&["delete", "crel,cctl", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(whole);
    Ok(())
}
