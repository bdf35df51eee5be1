//! Lives of releases, told step by step.

use serde_json::{Value, json};

use super::*;
use crate::lifecycle::schedule::OnDeadline;

/// A release with one canary, v2, and what it has come to.
struct Story {
    steps: Vec<Step>,
    schedule: Schedule,
    analysed: bool,
    undecided_for: Option<u32>,
    baseline: Option<u32>,
    takeover: Option<&'static str>,
    control: Control,
    signals: Signals,
    progress: Progress,
    start: Timestamp,
}

impl Story {
    fn new(steps: Value) -> Self {
        Self {
            steps: serde_json::from_value(steps).unwrap(),
            schedule: Schedule::default(),
            analysed: false,
            undecided_for: None,
            baseline: None,
            takeover: None,
            control: Control::default(),
            signals: Signals { ready: ["v1", "v2"].map(str::to_owned).into(), ..Signals::default() },
            progress: Progress::default(),
            start: "2026-11-26T12:00:00Z".parse().unwrap(),
        }
    }

    /// Looks so many seconds after the start, until nothing is due.
    fn at(&mut self, seconds: i64) -> Look {
        let now = self.start.checked_add(jiff::SignedDuration::from_secs(seconds)).unwrap();
        let canaries = [Candidate { version: "v2", weight: "7%".parse().unwrap(), workload: "", ready_within: Some(60) }];
        let intent = Intent {
            stable: "v1",
            canaries: &canaries,
            steps: &self.steps,
            schedule: Some(&self.schedule),
            takeover: self.takeover,
            paused: false,
            analysed: self.analysed,
            roll_back: true,
            undecided_for: self.undecided_for,
            baseline: self.baseline,
        };
        let mut happened = Vec::new();
        loop {
            let planned = plan(&intent, &self.control, &self.progress, &self.signals, now).unwrap();
            let said = |happened: Happened| {
                let Happened { what, from, to, by, because } = happened;
                format!("{what:?} {from} -> {to} by {by}: {because}")
            };
            happened.extend(planned.happened.iter().cloned().map(said));
            let is_at_rest = self.progress == planned.progress;
            self.progress = planned.progress.clone();
            if is_at_rest {
                let run = planned.progress.run.unwrap();
                let look = planned.look_at.map(|at| at.duration_since(self.start).as_secs());
                let weight = planned.progress.weights.get("v2").copied().unwrap_or(0);
                let banned = planned.banned.into_iter().collect::<Vec<_>>().join(",");
                return Look {
                    state: run.state,
                    weight,
                    happened,
                    next: run.next,
                    look,
                    takeover: planned.takeover,
                    banned,
                };
            }
        }
    }

    fn run(&self) -> &Run {
        self.progress.run.as_ref().unwrap()
    }

    fn hold(&mut self, hold: Value) {
        self.control.hold = serde_json::from_value(hold).unwrap();
    }
}

/// What a look came to; times are in seconds since the start.
struct Look {
    state: RunState,
    weight: u32,
    happened: Vec<String>,
    next: String,
    look: Option<i64>,
    takeover: Option<String>,
    banned: String,
}

#[test]
fn a_release_goes_its_way_and_says_so() {
    let mut story = Story::new(json!([
        {"weight": "1%", "hold": "10m"}, {"weight": "5%", "hold": "30m", "analysis": "pass"}, {"weight": "100%", "approve": true},
    ]));
    let look = story.at(0);
    assert_eq!((look.state, look.weight, look.look), (RunState::Holding, 1000, Some(600)));
    assert_eq!(look.happened, ["Started  ->  by spec: ", "Stepped  -> v2=1% by steps: step 1 of 3"]);
    assert_eq!(look.next, "v2=5% not before 2026-11-26T12:10:00Z");
    let look = story.at(599);
    assert_eq!((look.state, look.weight, look.happened.len()), (RunState::Holding, 1000, 0));
    let look = story.at(600);
    assert_eq!((look.state, look.weight, look.look), (RunState::Holding, 5000, Some(2400)));
    assert_eq!(look.happened, ["Stepped v2=1% -> v2=5% by steps: step 2 of 3"]);
    // A gap counts for ten minutes, however long it was.
    for seconds in [1200, 1800, 2399] {
        assert_eq!(story.at(seconds).state, RunState::Holding);
    }
    let look = story.at(2400);
    assert_eq!(
        (look.state, look.weight, look.next),
        (RunState::AwaitingVerdict, 5000, "v2=100% when the verdict is good".into())
    );
    for verdict in [Verdict::Undecided, Verdict::NoData] {
        story.signals.verdicts.insert("v2".to_owned(), (verdict, String::new()));
        assert_eq!(story.at(2500).state, RunState::AwaitingVerdict);
    }
    story.signals.verdicts.insert("v2".to_owned(), (Verdict::Good, String::new()));
    let look = story.at(2600);
    assert_eq!(
        (look.state, look.weight, look.next),
        (RunState::AwaitingApproval, 100_000, "the end when somebody approves".into())
    );
    assert_eq!(
        look.happened,
        ["Stepped v2=5% -> v2=100% by steps: step 3 of 3", "ApprovalNeeded v2=100% -> v2=100% by steps: step 3 of 3",]
    );
    // An approval of another run, or of another step, is none.
    let approval = |run: &str, step| crate::lifecycle::control::Approval { run: run.to_owned(), step };
    let id = story.run().id.clone();
    story.control.approved = vec![approval("000000", 2), approval(&id, 1)];
    assert_eq!(story.at(2700).state, RunState::AwaitingApproval);
    story.control.approved.push(approval(&id, 2));
    let look = story.at(2800);
    assert_eq!((look.state, look.weight, look.look), (RunState::Completed, 100_000, None));
    assert_eq!(look.happened, ["Completed v2=100% -> v2=100% by steps: step 3 of 3"]);
}

#[test]
fn a_ramp_grows_in_few_weights_and_an_outage_makes_no_jump() {
    let mut story = Story::new(json!([{"weight": "50%", "over": "2h"}]));
    let (mut weights, mut seconds) = (Vec::new(), 0);
    let look = loop {
        let look = story.at(seconds);
        weights.push(look.weight);
        match look.look.filter(|_| look.state == RunState::Ramping) {
            Some(next) => seconds = next,
            None => break look,
        }
    };
    assert_eq!((look.state, seconds, weights.len()), (RunState::Completed, 7200, 101));
    assert!(weights.iter().enumerate().all(|(at, weight)| *weight == u32::try_from(at).unwrap() * 500), "{weights:?}");
    // A short one changes each half minute.
    let mut story = Story::new(json!([{"weight": "10%", "over": "100s"}]));
    assert_eq!((story.at(0).weight, story.at(33).weight, story.at(34).weight), (0, 0, 3333));
    // After an outage of an hour it is where ten minutes would have brought it.
    let mut story = Story::new(json!([{"weight": "50%", "over": "2h"}]));
    story.at(0);
    assert_eq!(story.at(3600).weight, 50_000 * 8 / 100);
}

#[test]
fn a_person_rolls_back_and_everybody_comes_back() {
    let mut story = Story::new(json!([{"weight": "20%", "hold": "1h"}, {"weight": "100%"}]));
    story.at(0);
    (story.control.by, story.control.because) = ("bob".to_owned(), "5xx on checkout".to_owned());
    story.hold(json!({"kind": "Rollback", "version": "v2"}));
    let look = story.at(60);
    assert_eq!((look.state, look.weight, look.banned.as_str()), (RunState::Held, 20_000, "v2"));
    assert_eq!(look.happened, ["RolledBack v2=20% ->  by control bob: 5xx on checkout"]);
    // Time stands still, and a takeover of that version in the spec does not act.
    story.takeover = Some("v2");
    assert_eq!(story.at(7200).takeover, None);
    story.takeover = None;
    story.hold(Value::Null);
    let look = story.at(7300);
    assert_eq!((look.state, look.weight, look.banned.as_str()), (RunState::Holding, 20_000, ""));
    assert_eq!(look.look, Some(7300 + 3600 - 60), "what was counted before stays counted, and the time of the hold is not");
    assert_eq!(look.happened, ["Resumed v2=20% -> v2=20% by control bob: 5xx on checkout"]);
    // Of a version that the release does not have nobody says anything.
    story.hold(json!({"kind": "Rollback", "version": "v9"}));
    assert_eq!(story.at(7301).state, RunState::Holding);
}

#[test]
fn weights_by_hand_stop_the_steps_and_a_ramp_goes_on_from_there() {
    let mut story = Story::new(json!([{"weight": "40%", "over": "100m"}]));
    story.at(0);
    assert_eq!(story.at(600).weight, 4000);
    story.hold(json!({"kind": "Weights", "weights": {"v2": "25%"}}));
    let look = story.at(660);
    assert_eq!((look.state, look.weight), (RunState::Held, 25_000));
    assert_eq!(look.happened, ["WeightsSet v2=4% -> v2=25% by control: "]);
    story.hold(Value::Null);
    let look = story.at(720);
    assert_eq!((look.state, look.weight), (RunState::Ramping, 25_000), "the ramp begins anew from there");
    assert_eq!(story.at(720 + 300).weight, 25_000 + 15_000 * 5 / 100);
}

#[test]
fn a_failing_version_is_rolled_back_in_a_pause_too_and_another_attempt_begins_anew() {
    let mut story = Story::new(json!([{"weight": "5%", "hold": "1h"}, {"weight": "100%"}]));
    story.at(0);
    story.control.paused = true;
    assert_eq!(story.at(10).state, RunState::Paused);
    story.signals.verdicts.insert("v2".to_owned(), (Verdict::Failing, "22 of 41 failures".to_owned()));
    let look = story.at(20);
    assert_eq!((look.state, look.weight, look.banned.as_str()), (RunState::RolledBack, 5000, "v2"));
    assert_eq!(look.happened, ["RolledBack v2=5% ->  by analysis: 22 of 41 failures"]);
    story.signals.verdicts.clear();
    story.control = Control::default();
    assert_eq!(story.at(30).state, RunState::RolledBack, "it stays so");
    // Other steps do not make it good.
    story.steps = serde_json::from_value(json!([{"weight": "10%"}])).unwrap();
    assert_eq!(story.at(40).banned, "v2");
    story.control.attempt = 1;
    let look = story.at(50);
    assert_eq!((look.state, look.weight, look.banned.as_str()), (RunState::Completed, 10_000, ""));
    assert_eq!(look.happened.first().unwrap(), "Started v2=5% ->  by control: attempt 1");
    // A person's takeover of a version that fails stands.
    story.hold(json!({"kind": "Takeover", "version": "v2"}));
    story.signals.verdicts.insert("v2".to_owned(), (Verdict::Failing, String::new()));
    let look = story.at(60);
    assert_eq!((look.takeover.as_deref(), look.banned.as_str()), (Some("v2"), ""));
}

#[test]
fn a_deadline_counts_what_counts() {
    let mut story = Story::new(json!([{"weight": "5%", "approve": true}, {"weight": "100%"}]));
    story.schedule.deadline = "1h".parse().ok();
    story.at(0);
    story.control.paused = true;
    for seconds in [0, 600, 1200, 1800] {
        story.at(seconds);
    }
    story.control.paused = false;
    for seconds in (1800..=5399).step_by(599) {
        assert_eq!(story.at(seconds).state, RunState::AwaitingApproval, "{seconds}");
    }
    let look = story.at(5400);
    assert_eq!((look.state, look.weight), (RunState::Deadline, 5000));
    assert_eq!(look.happened, ["Late v2=5% -> v2=5% by schedule: step 1 of 2"]);
    // With the approval that came too late it stays, and a longer deadline lets it go on.
    let approval = crate::lifecycle::control::Approval { run: story.run().id.clone(), step: 0 };
    story.control.approved.push(approval);
    assert_eq!(story.at(5500).state, RunState::Deadline);
    story.schedule.deadline = "3h".parse().ok();
    assert_eq!(story.at(5600).state, RunState::Completed);

    let mut story = Story::new(json!([{"weight": "5%", "hold": "2h"}, {"weight": "100%"}]));
    (story.schedule.deadline, story.schedule.on_deadline) = ("10m".parse().ok(), OnDeadline::RollBack);
    assert_eq!(story.at(0).look, Some(600));
    let look = story.at(600);
    assert_eq!((look.state, look.banned.as_str()), (RunState::RolledBack, "v2"));
    assert_eq!(look.happened, ["RolledBack v2=5% ->  by schedule: the deadline is over"]);
}

#[test]
fn nothing_grows_outside_of_windows_in_a_freeze_or_without_pods() {
    let mut story = Story::new(json!([{"weight": "5%", "hold": "20m"}, {"weight": "100%"}]));
    story.schedule = serde_json::from_value(json!({"windows": [{"from": "09:00", "to": "12:05"}]})).unwrap();
    story.at(0);
    let look = story.at(600);
    assert_eq!((look.state, look.weight, look.look), (RunState::OutsideWindow, 5000, Some(21 * 3600)));
    assert_eq!(look.next, "the next window opens at 2026-11-27T09:00:00Z");
    story.schedule = Schedule::default();
    story.signals.frozen = Some(("2027-01-04T00:00:00Z".parse().ok(), "holidays".to_owned()));
    let look = story.at(700);
    assert_eq!((look.state, look.next.as_str()), (RunState::Frozen, "frozen until 2027-01-04T00:00:00Z: holidays"));
    story.signals.frozen = None;
    story.signals.ready.remove("v2");
    assert_eq!(story.at(800).state, RunState::NotReady);
    story.signals.ready.insert("v2".to_owned());
    story.signals.lacking.insert("v2".to_owned());
    assert_eq!(story.at(900).state, RunState::NotReady, "it has fewer pods than its weight needs");
    story.signals.lacking.clear();
    assert_eq!(story.at(901).state, RunState::Holding);
}

#[test]
fn without_steps_the_weights_of_the_spec_act() {
    let mut story = Story::new(json!([]));
    let look = story.at(0);
    assert_eq!((look.state, look.weight, look.look), (RunState::Active, 7000, None));
    story.takeover = Some("v1");
    assert_eq!(story.at(1).takeover.as_deref(), Some("v1"));
}

#[test]
fn pods_that_take_too_long_are_reported_once() {
    let mut story = Story::new(json!([{"weight": "1%"}, {"weight": "100%"}]));
    story.signals.ready.remove("v2");
    let look = story.at(0);
    assert_eq!((look.state, look.look), (RunState::NotReady, Some(60)));
    assert_eq!(story.at(59).happened.len(), 0);
    assert_eq!(story.at(60).happened, ["Late  ->  by steps: v2 has no ready pod after 60s"]);
    assert_eq!(story.at(120).happened.len(), 0);
    story.signals.ready.insert("v2".to_owned());
    assert_eq!(story.at(130).weight, 100_000);
    assert_eq!(story.run().waited, 0);
}

#[test]
fn a_verdict_that_does_not_come_is_reported_once_and_waited_for() {
    let mut story = Story::new(json!([{"weight": "1%", "hold": "10s"}, {"weight": "100%"}]));
    (story.analysed, story.undecided_for) = (true, Some(60));
    story.at(0);
    let look = story.at(10);
    assert_eq!((look.state, look.look), (RunState::AwaitingVerdict, Some(70)));
    let look = story.at(70);
    assert_eq!((look.state, look.weight), (RunState::Undecided, 1000));
    assert_eq!(look.happened, ["Undecided v2=1% -> v2=1% by analysis: step 1 of 2"]);
    assert_eq!(story.at(200).happened.len(), 0);
    story.signals.verdicts.insert("v2".to_owned(), (Verdict::Good, String::new()));
    assert_eq!(story.at(201).weight, 100_000);
}

#[test]
fn a_verdict_is_about_one_step_of_one_run() {
    let mut story = Story::new(json!([{"weight": "1%"}, {"weight": "5%"}]));
    story.analysed = true;
    story.at(0);
    let id = story.run().id.clone();
    for judged in [("another".to_owned(), 0), (id.clone(), 1)] {
        story.signals.verdicts = [("v2".to_owned(), (Verdict::Failing, "bad".to_owned()))].into();
        story.signals.judged = Some(judged);
        assert_eq!(story.at(1).state, RunState::AwaitingVerdict);
    }
    story.signals.judged = Some((id, 0));
    assert_eq!(story.at(2).state, RunState::RolledBack);
}

#[test]
fn a_baseline_has_the_people_of_the_first_step_before_the_canary() {
    let mut story = Story::new(json!([{"weight": "5%", "hold": "10m"}, {"weight": "100%"}]));
    story.baseline = Some(1800);
    // Its pods come first.
    let look = story.at(0);
    assert_eq!((look.state, look.weight), (RunState::NotReady, 0));
    story.signals.ready.insert("v2-baseline".to_owned());
    let look = story.at(10);
    assert_eq!((look.state, look.weight, look.look), (RunState::Baseline, 0, Some(1810)));
    assert_eq!(look.next, "v2=5% once its people were measured on a clone of stable");
    assert_eq!(story.progress.weights, [("v2-baseline".to_owned(), 5000)].into());
    // Whoever rolls back now sends its people to stable too.
    story.hold(json!({"kind": "Rollback", "version": "v2"}));
    assert_eq!(story.at(20).banned, "v2,v2-baseline");
    story.hold(Value::Null);
    assert_eq!(story.at(30).state, RunState::Baseline);
    let (baseline, stable) = (json!({"bad": 9, "all": 1000}), json!({"bad": 179, "all": 19_000}));
    let measured = json!([{"metric": "failures", "version": "v2", "baseline": baseline, "stable": stable}]);
    story.signals.measured = serde_json::from_value(measured).unwrap();
    for seconds in [600, 1200, 1800] {
        assert_eq!(story.at(seconds).state, RunState::Baseline);
    }
    let look = story.at(1820);
    assert_eq!((look.state, look.weight, look.look), (RunState::Holding, 5000, Some(2420)));
    let said = "failures: 9 of 188 are of the people of v2";
    assert_eq!(
        look.happened,
        [format!("Measured v2-baseline=5% ->  by steps: {said}"), "Stepped  -> v2=5% by steps: step 1 of 2".to_owned()]
    );
    // What was measured stays, also for other steps; another attempt measures again.
    story.steps = serde_json::from_value(json!([{"weight": "5%", "hold": "10m"}, {"weight": "50%"}])).unwrap();
    assert_eq!(story.at(1830).state, RunState::Holding);
    assert_eq!(story.run().measured, Some(story.signals.measured.clone()));
    story.control.attempt = 1;
    assert_eq!(story.at(1840).state, RunState::Baseline);
}
