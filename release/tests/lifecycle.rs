//! The life of a release over random histories: what holds whatever happens, in whatever order.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test that panics has failed")]

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serin_config::{BUCKETS, BucketMap, Weight};
use serin_release::lifecycle::control::{Approval, Control, Hold, HoldKind, Word};
use serin_release::lifecycle::plan::{Candidate, Intent, Planned, Progress, Signals, plan};
use serin_release::lifecycle::run::RunState;
use serin_release::lifecycle::span::Span;
use serin_release::lifecycle::steps::{Check, Step};
use serin_release::lifecycle::verdict::Verdict;

const STABLE: &str = "v1";
/// Walks of so many events.
const EVENTS: usize = 120;

/// A spec.
#[derive(Clone, Debug)]
struct Spec {
    canaries: Vec<(&'static str, u32)>,
    steps: Vec<Step>,
    takeover: Option<&'static str>,
    /// Seconds for which baselines have the people of the first step.
    baseline: Option<u32>,
}

/// What happens.
#[derive(Clone, Debug)]
enum Event {
    Time(i64),
    /// The clock of another leader.
    Skew(i64),
    Ready(usize, bool),
    Verdict(usize, Verdict),
    Window,
    Approve,
    Pause,
    Rollback(Option<usize>),
    Takeover(usize),
    Weights(u32, u32),
    Lift,
    Retry,
    Spec(Spec),
    Steps(Vec<Step>),
    SpecTakeover(Option<usize>),
    /// What was decided is on its way, or has arrived.
    Pending,
    /// Nothing but what is kept survives.
    Crash,
}

const VERSIONS: [&str; 3] = ["v1", "v2", "v3"];
/// With the baselines, whose pods nobody loses.
const READY: [&str; 5] = ["v1", "v2", "v3", "v2-baseline", "v3-baseline"];

fn weight(buckets: u32) -> Weight {
    Weight::from_buckets(buckets.min(BUCKETS)).unwrap()
}

fn span(seconds: u32) -> Option<Span> {
    Span::from_seconds(seconds)
}

/// Steps that never shrink a version.
fn steps(canaries: Vec<&'static str>) -> impl Strategy<Value = Vec<Step>> {
    let most = BUCKETS / u32::try_from(canaries.len()).unwrap();
    let step = (
        proptest::collection::vec(0..30_000_u32, canaries.len()),
        prop_oneof![Just(0_u32), Just(60), Just(300)],
        prop_oneof![3 => Just(0_u32), 1 => Just(60), 1 => Just(601)],
        proptest::bool::weighted(0.3),
        prop_oneof![2 => Just(None), 2 => Just(Some(Check::Pass)), 1 => Just(Some(Check::Off))],
    );
    proptest::collection::vec(step, 0..5).prop_map(move |steps| {
        let mut reached = vec![0_u32; canaries.len()];
        let step = steps.into_iter().map(|(grow, hold, over, approve, analysis)| {
            reached.iter_mut().zip(&grow).for_each(|(reached, grow)| *reached = (*reached + grow).min(most));
            let weights = canaries.iter().zip(&reached).map(|(version, buckets)| ((*version).to_owned(), weight(*buckets)));
            Step { weights: weights.collect(), over: span(over), hold: span(hold), approve, analysis, ..Step::default() }
        });
        step.collect()
    })
}

fn spec() -> impl Strategy<Value = Spec> {
    let canaries = prop_oneof![Just(vec!["v2"]), Just(vec!["v3"]), Just(vec!["v2", "v3"])];
    canaries.prop_flat_map(|canaries| {
        let most = BUCKETS / u32::try_from(canaries.len()).unwrap();
        let weights = proptest::collection::vec(0..=most, canaries.len());
        let baseline = prop_oneof![2 => Just(None), 1 => Just(Some(60_u32))];
        (Just(canaries.clone()), weights, steps(canaries), baseline).prop_map(|(canaries, weights, steps, baseline)| Spec {
            canaries: canaries.into_iter().zip(weights).collect(),
            steps,
            takeover: None,
            baseline,
        })
    })
}

fn event() -> impl Strategy<Value = Event> {
    let verdict = prop_oneof![2 => Just(Verdict::Good), 1 => Just(Verdict::Undecided), 1 => Just(Verdict::NoData), 1 => Just(Verdict::Failing)];
    prop_oneof![
        30 => prop_oneof![Just(1_i64), Just(10), Just(60), Just(300)].prop_map(Event::Time),
        2 => (-30..=30_i64).prop_map(Event::Skew),
        4 => (0..3_usize, any::<bool>()).prop_map(|(version, ready)| Event::Ready(version, ready)),
        6 => (0..3_usize, verdict).prop_map(|(version, verdict)| Event::Verdict(version, verdict)),
        3 => Just(Event::Window),
        5 => Just(Event::Approve),
        3 => Just(Event::Pause),
        2 => proptest::option::of(0..2_usize).prop_map(Event::Rollback),
        2 => (0..3_usize).prop_map(Event::Takeover),
        2 => (0..=50_000_u32, 0..=50_000_u32).prop_map(|(first, second)| Event::Weights(first, second)),
        4 => Just(Event::Lift),
        2 => Just(Event::Retry),
        1 => spec().prop_map(Event::Spec),
        1 => steps(vec!["v2", "v3"]).prop_map(Event::Steps),
        1 => proptest::option::of(0..2_usize).prop_map(Event::SpecTakeover),
        4 => Just(Event::Pending),
        3 => Just(Event::Crash),
    ]
}

/// A release with what is around it.
struct World {
    spec: Spec,
    control: Control,
    signals: Signals,
    progress: Progress,
    map: BucketMap,
    now: Timestamp,
}

/// Who serves which buckets, from bucket 0 on.
type Served = Vec<(String, u32)>;

impl World {
    fn new(spec: Spec) -> Self {
        let signals = Signals { ready: READY.map(str::to_owned).into(), ..Signals::default() };
        let now = Timestamp::from_second(1_000_000).unwrap();
        Self { spec, control: Control::default(), signals, progress: Progress::default(), map: BucketMap::default(), now }
    }

    /// A version that is not stable, of those that the spec has.
    fn canary(&self, at: usize) -> &'static str {
        self.spec.canaries[at % self.spec.canaries.len()].0
    }

    fn known(&self) -> BTreeSet<&'static str> {
        self.spec.canaries.iter().map(|(version, _)| *version).collect()
    }

    fn word(&self) -> Option<Word<'_>> {
        self.control.hold.as_ref()?.word(STABLE, &self.known())
    }

    fn plan(&self, progress: &Progress) -> Planned {
        let candidate = |(version, buckets): &(&'static str, u32)| Candidate {
            version,
            weight: weight(*buckets),
            workload: "",
            ready_within: None,
        };
        let canaries: Vec<Candidate<'_>> = self.spec.canaries.iter().map(candidate).collect();
        let intent = Intent {
            stable: STABLE,
            canaries: &canaries,
            steps: &self.spec.steps,
            schedule: None,
            takeover: self.spec.takeover,
            paused: false,
            analysed: false,
            roll_back: true,
            undecided_for: None,
            baseline: self.spec.baseline,
        };
        plan(&intent, &self.control, progress, &self.signals, self.now).unwrap()
    }

    fn allocated(&self, planned: &Planned) -> BucketMap {
        let weights = &planned.progress.weights;
        let of = |version: &str| weight(weights.get(version).copied().unwrap_or(0));
        let mut weights: Vec<_> = self.spec.canaries.iter().map(|(version, _)| (*version, of(version))).collect();
        weights.extend(
            READY.iter().skip(3).map(|version| (*version, of(version))).filter(|(_, weight)| *weight != Weight::NONE),
        );
        self.map.allocate(&weights)
    }

    /// What is served: banned versions and those that are not ready lead to stable.
    fn served(&self, planned: &Planned, map: &BucketMap) -> Served {
        let can =
            |version: &str| version == STABLE || !planned.banned.contains(version) && self.signals.ready.contains(version);
        // A baseline is stable once more.
        let can = |version: &str| can(version) && !version.ends_with("-baseline");
        if let Some(takeover) = &planned.takeover {
            return vec![(if can(takeover) { takeover.clone() } else { STABLE.to_owned() }, BUCKETS)];
        }
        let version = |run: &Option<String>| run.clone().filter(|version| can(version)).unwrap_or_else(|| STABLE.to_owned());
        let mut served: Served = map.runs().iter().map(|run| (version(&run.version), run.buckets)).collect();
        let rest = BUCKETS - served.iter().map(|(_, buckets)| buckets).sum::<u32>();
        served.push((STABLE.to_owned(), rest));
        served
    }

    /// Whether people may be moved back by it.
    fn happens(&mut self, event: Event) -> bool {
        match event {
            Event::Time(seconds) | Event::Skew(seconds) => {
                self.now = self.now.checked_add(SignedDuration::from_secs(seconds)).unwrap();
                false
            }
            Event::Ready(version, ready) => {
                let version = VERSIONS[version].to_owned();
                if ready {
                    self.signals.ready.insert(version)
                } else {
                    self.signals.ready.remove(&version)
                };
                true
            }
            Event::Verdict(version, verdict) => {
                self.signals.verdicts.insert(VERSIONS[version].to_owned(), (verdict, String::new()));
                false
            }
            Event::Window => {
                self.signals.frozen = match self.signals.frozen {
                    Some(_) => None,
                    None => Some((None, String::new())),
                };
                false
            }
            Event::Approve => {
                if let Some(run) = &self.progress.run {
                    self.control.approved.push(Approval { run: run.id.clone(), step: run.step });
                }
                false
            }
            Event::Pause => {
                self.control.paused = !self.control.paused;
                // A spec that changed meanwhile acts now.
                !self.control.paused && self.spec.steps.is_empty()
            }
            Event::Rollback(version) => self.hold(HoldKind::Rollback, version.map(|at| self.canary(at)), BTreeMap::new()),
            Event::Takeover(version) => {
                let version = if version == 0 { STABLE } else { self.canary(version) };
                self.hold(HoldKind::Takeover, Some(version), BTreeMap::new())
            }
            Event::Weights(first, second) => {
                let weights = self.spec.canaries.iter().zip([first, second]);
                let weights = weights.map(|((version, _), buckets)| ((*version).to_owned(), weight(buckets))).collect();
                self.hold(HoldKind::Weights, None, weights)
            }
            Event::Lift => self.control.hold.take().is_some(),
            Event::Retry => {
                self.control.attempt += 1;
                true
            }
            Event::Spec(spec) => {
                self.spec = spec;
                true
            }
            Event::Steps(steps) => {
                let known = self.known();
                let own = steps.into_iter().map(|step| {
                    let weights = step.weights.into_iter().filter(|(version, _)| known.contains(version.as_str())).collect();
                    Step { weights, ..step }
                });
                let had_none = self.spec.steps.is_empty();
                self.spec.steps = own.collect();
                // Without steps the weights of the spec act.
                had_none || self.spec.steps.is_empty()
            }
            Event::SpecTakeover(version) => {
                self.spec.takeover = version.map(|at| self.canary(at));
                true
            }
            Event::Pending => {
                self.signals.pending = !self.signals.pending;
                false
            }
            Event::Crash => false,
        }
    }

    fn hold(&mut self, kind: HoldKind, version: Option<&str>, weights: BTreeMap<String, Weight>) -> bool {
        self.control.hold = Some(Hold { kind, version: version.map(str::to_owned), weights });
        true
    }
}

/// Moves between two ways to serve, as (from, to).
fn moves(before: &Served, after: &Served) -> BTreeSet<(String, String)> {
    let (mut before, mut after) = (before.iter().cloned(), after.iter().cloned());
    let (mut a, mut b) = (before.next(), after.next());
    let mut moves = BTreeSet::new();
    while let (Some((from, left)), Some((to, right))) = (&mut a, &mut b) {
        let both = (*left).min(*right);
        if both > 0 && from != to {
            moves.insert((from.clone(), to.clone()));
        }
        *left -= both;
        *right -= both;
        let (left, right) = (*left, *right);
        if left == 0 {
            a = before.next();
        }
        if right == 0 {
            b = after.next();
        }
    }
    moves
}

/// What holds after each event.
fn check(world: &World, old: &Progress, planned: &Planned, served: &Served) {
    let run = planned.progress.run.as_ref().unwrap();
    let old_run = old.run.as_ref();
    let word = world.word();
    let has = |version: &str| served.iter().any(|(own, buckets)| own == version && *buckets > 0);
    let of = |progress: &Progress, version: &str| progress.weights.get(version).copied().unwrap_or(0);
    let same_run = old_run.is_some_and(|old| old.id == run.id);
    let by_hand = matches!(word, Some(Word::Weights(_)));

    // P2: nobody is led to a version without endpoints, save stable.
    for version in ["v2", "v3"] {
        assert!(!has(version) || world.signals.ready.contains(version), "{version} is not ready");
    }
    // P5: what fails is not served in the same look, and stays so.
    for version in world.known() {
        let fails = world.signals.verdicts.get(version).is_some_and(|(verdict, _)| *verdict == Verdict::Failing);
        let taken = word == Some(Word::Takeover(version));
        let failed = run.failed.iter().any(|failure| failure.version == version);
        if same_run && of(old, version) > 0 && fails && !taken {
            assert!(failed, "{version} fails and goes on");
        }
        assert!(!failed || taken || !has(version), "{version} failed and is served");
        assert!(word != Some(Word::Rollback(Some(version))) || !has(version), "{version} was rolled back and is served");
        assert!(word != Some(Word::Rollback(None)) || !has(version), "everything was rolled back");
    }
    if let Some(old) = old_run.filter(|old| old.versions == run.versions && old.attempt == run.attempt) {
        // P10: no failure is forgotten by a change of steps.
        for failure in &old.failed {
            assert!(run.failed.contains(failure), "{failure:?} is forgotten");
        }
    }
    // A word about versions that the release does not have acts on nobody.
    if word.is_none() && world.control.hold.is_some() {
        assert!(planned.is_void, "nobody says that a word is void");
        let failed = run.failed.iter().map(|failure| &failure.version);
        assert!(planned.banned.iter().eq(failed.collect::<BTreeSet<_>>()), "a void word acts");
    }
    // Another attempt begins with nobody in the canaries.
    if let Some(old) = old_run.filter(|old| old.versions == run.versions && old.attempt != run.attempt) {
        let first = world.spec.steps.first();
        for version in world.known().into_iter().filter(|_| first.is_some() && !by_hand) {
            let goal = first.and_then(|step| step.buckets(version, world.spec.canaries.len() == 1)).unwrap_or(0);
            assert!(of(&planned.progress, version) <= goal, "{version} keeps its weight over {} attempts", old.attempt);
        }
    }
    // P3: weights grow only for versions that are ready.
    for version in world.known() {
        let grows =
            same_run && !world.spec.steps.is_empty() && !by_hand && of(&planned.progress, version) > of(old, version);
        assert!(!grows || world.signals.ready.contains(version), "{version} grows and is not ready");
    }
    if !same_run {
        return;
    }
    let old_run = old_run.unwrap();
    // P4: a pause moves no weight.
    if world.control.paused && old.control.as_ref().is_some_and(|control| control.paused) && !by_hand {
        assert_eq!(planned.progress.weights, old.weights, "a pause moved weights");
    }
    // P7: neither steps nor weights go back within a run, whatever the clock.
    assert!(run.step >= old_run.step, "a step back");
    assert!(run.seen >= old_run.seen, "the clock went back");
    // Time counts while the release goes its way alone.
    assert!(old_run.state.counts() || run.total == old_run.total, "time counted in {:?}", old_run.state);
    assert!(!matches!(run.state, RunState::Paused | RunState::Held | RunState::Frozen) || !run.state.counts());
    if !world.spec.steps.is_empty() && !by_hand {
        for version in world.known() {
            assert!(of(&planned.progress, version) >= of(old, version), "a weight shrank");
        }
        // P11: nothing grows in a freeze, or while something holds.
        if world.signals.frozen.is_some() || word.is_some() || !run.failed.is_empty() || planned.takeover.is_some() {
            assert_eq!(planned.progress.weights, old.weights, "it grew while it was held");
        }
        // P13: never beyond the goal of the step.
        let step = world.spec.steps.get(usize::try_from(old_run.step).unwrap());
        for version in world.known() {
            let goal = step.and_then(|step| step.buckets(version, world.spec.canaries.len() == 1)).unwrap_or(0);
            assert!(of(&planned.progress, version) <= goal.max(of(old, version)), "beyond the goal");
        }
    }
    // P15: a baseline has people before the first step alone, and its canary has none then.
    for version in ["v2", "v3"] {
        let baseline = of(&planned.progress, &format!("{version}-baseline"));
        let is_before = run.step == 0 && !run.reached && run.measured.is_none() && of(&planned.progress, version) == 0;
        assert!(baseline == 0 || is_before, "a baseline of {version} has {baseline} buckets");
    }
    // What has not arrived takes no time, and no step is left before it has.
    if world.signals.pending {
        assert_eq!((run.step, run.total), (old_run.step, old_run.total), "it went on before people were there");
    }
    // P8, P14: a step is left with its approval and its verdict alone.
    if run.step > old_run.step {
        let left = &world.spec.steps[usize::try_from(old_run.step).unwrap()];
        let approval = Approval { run: run.id.clone(), step: old_run.step };
        assert!(!left.approve || world.control.approved.contains(&approval), "no approval");
        let good = |version: &&str| {
            of(old, version) == 0 || matches!(world.signals.verdicts.get(*version), Some((Verdict::Good, _)))
        };
        assert!(left.analysis != Some(Check::Pass) || world.known().iter().all(good), "no verdict");
        assert!(word.is_none() && !world.control.paused && world.signals.frozen.is_none(), "it went on while it was held");
        assert_eq!(run.step, old_run.step + 1, "two steps at once");
    }
}

/// A history.
fn walk(spec: Spec, events: Vec<Event>) {
    let mut world = World::new(spec);
    let mut last: Option<Served> = None;
    // What everybody had when a takeover by hand began.
    let mut kept: Option<(BucketMap, String)> = None;
    for event in events {
        let told = format!("{event:?}");
        let is_lift = matches!(event, Event::Lift);
        let was_takeover = matches!(world.word(), Some(Word::Takeover(_)));
        let mut excuse = world.happens(event);
        let old = world.progress.clone();
        let planned = world.plan(&old);
        excuse |= !planned.happened.iter().all(|happened| happened.by == "steps");
        let map = world.allocated(&planned);
        let served = world.served(&planned, &map);
        // P6: pure, and at rest within a bounded number of looks.
        assert_eq!(world.plan(&old), planned, "not pure");
        let mut rest = planned.progress.clone();
        let bound = 3 * world.spec.steps.len() + 4;
        let is_at_rest = (0..bound).any(|_| {
            let next = world.plan(&rest).progress;
            let same = next == rest;
            rest = next;
            same
        });
        assert!(is_at_rest, "no rest within {bound} looks");
        check(&world, &old, &planned, &served);
        // P1: without a reason nobody leaves a canary.
        if let Some(last) = last.filter(|_| !excuse) {
            for (from, to) in moves(&last, &served) {
                assert_eq!(from, STABLE, "somebody left {from} for {to} at {told}");
            }
        }
        // P9: after a takeover by hand everybody has what they had.
        let is_takeover = matches!(world.word(), Some(Word::Takeover(_)));
        let run = planned.progress.run.as_ref().unwrap();
        match (was_takeover, is_takeover) {
            (false, true) => {
                // A spec that brings a version back of which a word speaks begins another run, with another map.
                let same_run = old.run.as_ref().is_some_and(|old| old.id == run.id);
                assert!(!same_run || world.map == map, "the beginning of a takeover changed the map");
                kept = Some((map.clone(), run.id.clone()));
            }
            (true, true) => {
                // Once another run began, what was kept is gone, even where a later spec is the earlier one again.
                kept = kept.filter(|(_, id)| *id == run.id);
                assert!(kept.as_ref().is_none_or(|(before, _)| *before == map), "a takeover changed the map");
            }
            (true, false) if is_lift && !world.spec.steps.is_empty() => {
                let before = kept.take().filter(|(_, id)| *id == run.id);
                let growing = matches!(run.state, RunState::Ramping | RunState::Holding | RunState::Baseline);
                assert!(before.is_none_or(|(before, _)| before == map || growing), "the map did not come back");
            }
            _ => {}
        }
        (world.progress, world.map, last) = (planned.progress, map, Some(served));
    }
    completes(world);
}

/// P12: left alone, with everything good, a run comes to its end.
fn completes(mut world: World) {
    world.control = Control { attempt: 1_000_000, ..Control::default() };
    world.spec.takeover = None;
    world.signals.frozen = None;
    world.signals.pending = false;
    world.signals.ready = READY.map(str::to_owned).into();
    world.signals.verdicts = VERSIONS.map(|version| (version.to_owned(), (Verdict::Good, String::new()))).into();
    for _ in 0..400 {
        let planned = world.plan(&world.progress);
        world.progress = planned.progress;
        world.happens(Event::Time(60));
        world.happens(Event::Approve);
    }
    let state = world.progress.run.map(|run| run.state);
    assert!(matches!(state, Some(RunState::Completed | RunState::Active)), "{state:?}");
}

/// Histories of 120 events each: 36 000 looks, or as many as `make test-long` asks for.
fn walks() -> u32 {
    std::env::var("LIFECYCLE_WALKS").ok().and_then(|walks| walks.parse().ok()).unwrap_or(300)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: walks(), max_shrink_iters: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_people_go_one_way(spec in spec(), events in proptest::collection::vec(event(), EVENTS)) {
        walk(spec, events);
    }
}
