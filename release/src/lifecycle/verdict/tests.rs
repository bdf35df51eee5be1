use proptest::prelude::*;
use serde_json::{Value, json};

use super::Verdict::{self, Failing, Good, NoData, Undecided};
use super::analysis::{Analysis, Figures, Kept, Report, Setup, Tick};
use super::metric::{Bounds, Kind, Metric};
use super::plan::Plan;
use crate::lifecycle::evidence::tolerance::Tolerance;

fn failures(tolerance: Tolerance) -> Metric {
    Metric { name: "failures".to_owned(), kind: Kind::Counts { tolerance, noun: "failures".to_owned() } }
}

fn heap(lasting: u64) -> Metric {
    Metric { name: "heap".to_owned(), kind: Kind::Value(Bounds { min: None, max: Some(0.9), lasting }) }
}

fn setup(canaries: &[&str], metrics: Vec<Metric>) -> Setup {
    let canaries = canaries.iter().map(|canary| (*canary).to_owned()).collect();
    Setup { stable: "v1".to_owned(), canaries, metrics, plan: Plan::new(2, 5, 86_400, 0.01), measured: Vec::new() }
}

fn tick(tick: Value) -> Tick {
    serde_json::from_value(tick).unwrap()
}

/// A tick with the bad and all requests of v2 and of v1.
fn counted(t: u64, [x, n, y, m]: [u64; 4]) -> Tick {
    tick(json!({"t": t, "counts": {"failures": {"v2": {"bad": x, "all": n}, "v1": {"bad": y, "all": m}}}}))
}

fn valued(t: u64, value: Option<f64>) -> Tick {
    let values = value.map(|value| json!({"heap": {"v2": value}})).unwrap_or(json!({}));
    tick(json!({"t": t, "values": values}))
}

#[test]
fn the_worst_verdict_is_the_largest() {
    assert!(Good < Undecided && Undecided < NoData && NoData < Failing);
    for verdict in [Good, Undecided, NoData, Failing] {
        assert_eq!(json!(verdict), json!(verdict.to_string()));
    }
    assert_eq!([Good, Undecided, NoData, Failing].map(Verdict::name), ["good", "undecided", "no-data", "failing"]);
}

#[test]
fn a_line_of_counts_gives_a_line_of_figures() {
    let line =
        r#"{"t":10,"counts":{"failures":{"v2":{"bad":1,"all":50},"v1":{"bad":3,"all":950}}},"values":{"heap":{"v2":0.5}}}"#;
    let limited = Metric { name: "limited".to_owned(), ..failures(Tolerance { limit: Some(0.05), ..Tolerance::default() }) };
    let mut analysis = Analysis::new(&setup(&["v2"], vec![failures(Tolerance::default()), limited, heap(300)]));
    let mut found = json!(analysis.tick(&serde_json::from_str(line).unwrap()));
    let round = |number: &mut Value| *number = json!((number.as_f64().unwrap() * 1000.0).round() / 1000.0);
    for metric in 0..2 {
        let metric = &mut found["metrics"][metric];
        for pointer in ["evidence/slow", "evidence/fast", "needed/slow", "needed/fast", "good/evidence", "good/needed"] {
            round(metric.pointer_mut(&format!("/{pointer}")).unwrap());
        }
    }
    // By the plain formulas with 60 digits: π = 0.05, one of four failures is the canary's, φ = 2.
    let (evidence, needed) = (json!({"slow": 0.03, "fast": 0.03}), json!({"slow": 7.601, "fast": 11.654}));
    let nothing = json!({"slow": 0.0, "fast": 0.0});
    assert_eq!(
        found,
        json!({"t": 10, "verdict": "undecided", "metrics": [
            {"name": "failures", "version": "v2", "verdict": "undecided", "evidence": evidence, "needed": needed,
                "good": {"evidence": -0.556, "needed": 2.996}},
            {"name": "limited", "version": "v2", "verdict": "undecided", "evidence": nothing, "needed": needed, "limit": nothing,
                "good": {"evidence": 0.0, "needed": 2.996}},
            {"name": "heap", "version": "v2", "verdict": "good", "value": 0.5}]})
    );
}

#[test]
fn failing_stays_and_says_why_it_was() {
    let mut analysis = Analysis::new(&setup(&["v2"], vec![failures(Tolerance::default())]));
    assert_eq!(analysis.tick(&counted(10, [1, 250, 9, 4750])).verdict, Undecided);
    let report = analysis.tick(&counted(20, [21, 250, 10, 4750]));
    let sentence = "v2 made 22 of the 41 failures but serves 5.0 % of the requests; 2 were expected. \
        Odds for harm 5·10^6 : 1, needed 2 000 : 1.";
    assert_eq!((report.verdict, report.metrics[0].sentence.as_str()), (Failing, sentence));
    let kept = serde_json::from_str(&serde_json::to_string(&analysis.keep()).unwrap()).unwrap();
    let mut resumed = Analysis::resume(&setup(&["v2"], vec![failures(Tolerance::default())]), &kept).unwrap();
    for t in 3..100 {
        for analysis in [&mut analysis, &mut resumed] {
            let report = analysis.tick(&counted(t * 10, [0, 100_000, 100_000, 1_900_000]));
            assert_eq!(report.verdict, Failing);
            assert_eq!(report.metrics[0].sentence, sentence);
        }
    }
    // Without requests too.
    for t in 100..110 {
        assert_eq!(analysis.tick(&Tick { t: t * 10, ..Tick::default() }).verdict, Failing);
    }
}

#[test]
fn three_ticks_without_a_request_are_no_data() {
    let setup = setup(&["v2"], vec![failures(Tolerance::default())]);
    let mut analysis = Analysis::new(&setup);
    let nothing = |t| counted(t, [0, 0, 5, 1000]);
    let absent = |t| Tick { t, ..Tick::default() };
    let only_stable = |t| tick(json!({"t": t, "counts": {"failures": {"v1": {"bad": 0, "all": 10}}}}));
    let verdicts = [
        (nothing(10), Undecided),
        (absent(20), Undecided),
        (only_stable(30), NoData),
        (absent(40), NoData),
        (counted(50, [0, 1, 0, 0]), Undecided),
        (absent(60), Undecided),
        (nothing(70), Undecided),
        (counted(80, [0, 1, 0, 100]), Undecided),
        (nothing(90), Undecided),
        (nothing(100), Undecided),
        (nothing(110), NoData),
    ];
    for (tick, verdict) in verdicts {
        let report = analysis.tick(&tick);
        assert_eq!(report.verdict, verdict, "{} s: {}", tick.t, report.metrics[0].sentence);
        analysis = Analysis::resume(&setup, &analysis.keep()).unwrap();
    }
    assert_eq!(analysis.report().metrics[0].sentence, "v2 had no request in the last 3 readings.");
    // What was good is so no longer.
    let mut analysis = Analysis::new(&setup);
    assert_eq!(analysis.tick(&counted(10, [0, 1700, 0, 5000])).verdict, Good);
    let verdicts: Vec<Verdict> = (2..6).map(|t| analysis.tick(&absent(t * 10)).verdict).collect();
    assert_eq!(verdicts, [Good, Good, NoData, NoData]);
}

#[test]
fn a_canary_is_good_while_the_evidence_is_there() {
    let mut analysis = Analysis::new(&setup(&["v2"], vec![failures(Tolerance::default())]));
    // (ln 20 + ln 4) / 0.005 · 2 = 1753 without failures; the other alternatives help.
    let needed = (1..).find(|t| analysis.tick(&counted(t * 10, [0, 10, 0, 190])).verdict == Good).unwrap() * 10;
    assert_eq!(needed, 1570);
    let sentence = "v2 had 0 failures in 1 570 requests, 0.0 %, v1 0.0 %. Odds for good 20 : 1, needed 20 : 1.";
    assert_eq!(analysis.report().metrics[0].sentence, sentence);
    let report = analysis.tick(&counted(1580, [4, 100, 0, 1900]));
    assert_eq!(report.verdict, Undecided, "{}", report.metrics[0].sentence);
}

#[test]
fn a_limit_holds_where_stable_is_as_bad_or_gone() {
    let tolerance = Tolerance { limit: Some(0.05), ..Tolerance::default() };
    let mut analysis = Analysis::new(&setup(&["v2"], vec![failures(tolerance.clone())]));
    let report = analysis.tick(&counted(10, [50, 250, 950, 4750]));
    let sentence =
        "v2 had 50 failures in 250 requests, 20.0 %; the limit is 5.0 %. Odds for harm 6·10^6 : 1, needed 2 000 : 1.";
    assert_eq!((report.verdict, report.metrics[0].sentence.as_str()), (Failing, sentence));
    let mut analysis = Analysis::new(&setup(&["v2"], vec![failures(tolerance)]));
    assert_eq!(analysis.tick(&counted(10, [50, 250, 0, 0])).verdict, Failing);
    let mut analysis = Analysis::new(&setup(&["v2"], vec![failures(Tolerance::default())]));
    assert_eq!(analysis.tick(&counted(10, [50, 250, 950, 4750])).verdict, Undecided);
}

#[test]
fn a_fast_test_speaks_of_its_window() {
    let mut analysis = Analysis::new(&setup(&["v2"], vec![failures(Tolerance::default())]));
    for t in 1..=1000 {
        assert_ne!(analysis.tick(&counted(t * 10, [1, 500, 19, 9500])).verdict, Failing);
    }
    let report = analysis.tick(&counted(10_010, [100, 500, 19, 9500]));
    let sentence = &report.metrics[0].sentence;
    assert!(sentence.starts_with("Within 5 minutes v2 made 110 of the 319 failures but served 5.0 % of the"), "{sentence}");
    assert!(sentence.ends_with(", needed 115 200 : 1."), "{sentence}");
}

#[test]
fn each_canary_is_compared_with_stable_alone() {
    let mut analysis = Analysis::new(&setup(&["v2", "v3"], vec![failures(Tolerance::default())]));
    let line = json!({"t": 10, "counts": {"failures": {
        "v1": {"bad": 5, "all": 4000}, "v2": {"bad": 5, "all": 4000}, "v3": {"bad": 60, "all": 300}}}});
    let report = analysis.tick(&tick(line));
    let verdicts: Vec<(&str, Verdict)> =
        report.metrics.iter().map(|answer| (answer.version.as_str(), answer.verdict)).collect();
    assert_eq!((report.verdict, verdicts), (Failing, vec![("v2", Good), ("v3", Failing)]));
}

#[test]
fn a_release_without_anything_to_look_at_has_no_data() {
    assert_eq!(Analysis::new(&setup(&["v2"], vec![])).report().verdict, NoData);
    assert_eq!(Analysis::new(&setup(&["v2"], vec![heap(0)])).report().verdict, Undecided);
}

fn verdicts_of_values(lasting: u64, values: &[(u64, Option<f64>)]) -> (Vec<Verdict>, String) {
    let setup = setup(&["v2"], vec![heap(lasting)]);
    let mut analysis = Analysis::new(&setup);
    let mut verdicts = Vec::new();
    for (t, value) in values {
        verdicts.push(analysis.tick(&valued(*t, *value)).verdict);
        // Nothing of a value is rounded.
        let resumed = Analysis::resume(&setup, &analysis.keep()).unwrap();
        assert_eq!(resumed, analysis);
    }
    (verdicts, analysis.report().metrics[0].sentence.clone())
}

#[test]
fn a_value_fails_when_it_is_beyond_for_long_enough() {
    let (good, bad) = (Some(0.9), Some(0.95));
    let (verdicts, sentence) =
        verdicts_of_values(20, &[(10, good), (20, bad), (30, bad), (40, bad), (50, good), (60, None)]);
    assert_eq!(verdicts, [Good, Undecided, Undecided, Failing, Failing, Failing]);
    assert_eq!(sentence, "v2 has 0.95; at most 0.9 is good. It has been beyond for 20 s, and fails after 20 s.");
    // An interruption starts it again.
    let (verdicts, sentence) = verdicts_of_values(20, &[(10, bad), (20, bad), (29, good), (30, bad), (40, bad)]);
    assert_eq!(verdicts, [Undecided, Undecided, Good, Undecided, Undecided]);
    assert_eq!(sentence, "v2 has 0.95; at most 0.9 is good. It has been beyond for 10 s, and fails after 20 s.");
    assert_eq!(verdicts_of_values(0, &[(10, bad)]).0, [Failing]);
}

#[test]
fn three_ticks_without_a_value_are_no_data() {
    let (good, bad) = (Some(0.9), Some(0.95));
    let (verdicts, sentence) = verdicts_of_values(0, &[(10, None), (20, None), (30, None), (40, good), (50, None)]);
    assert_eq!(
        (verdicts, sentence.as_str()),
        (vec![Undecided, Undecided, NoData, Good, Good], "v2 has 0.9; at most 0.9 is good.")
    );
    // A lost reading or two interrupt nothing; three do.
    assert_eq!(verdicts_of_values(30, &[(10, bad), (20, None), (30, None), (40, bad)]).0[3], Failing);
    let (verdicts, sentence) = verdicts_of_values(30, &[(10, bad), (20, None), (30, None), (40, None)]);
    assert_eq!((verdicts[3], sentence.as_str()), (NoData, "v2 had no value in the last 3 readings."));
    assert_eq!(verdicts_of_values(30, &[(10, bad), (20, None), (30, None), (40, None), (50, bad)]).0[4], Undecided);
}

#[test]
fn bounds_hold_on_both_sides() {
    let bounds = Bounds { min: Some(1.0), max: Some(2.0), lasting: 0 };
    assert_eq!([0.9, 1.0, 2.0, 2.1].map(|value| bounds.excludes(value)), [true, false, false, true]);
    assert!(!Bounds::default().excludes(f64::MAX));
}

#[test]
fn what_was_kept_is_short_and_what_cannot_be_read_is_named() {
    let setup = setup(&["v2"], vec![failures(Tolerance { limit: Some(0.05), ..Tolerance::default() }), heap(10)]);
    let mut analysis = Analysis::new(&setup);
    let mut last = tick(json!({"t": 604_800, "counts": {"failures":
        {"v2": {"bad": 900_000, "all": 50_000_000}, "v1": {"bad": 9_000_000, "all": 950_000_000}}}, "values": {"heap": {"v2": 1.0}}}));
    analysis.tick(&last);
    let kept = analysis.keep();
    let text = &kept.states["failures"]["v2"];
    assert_eq!(text.len(), 268);
    let error = |text: &str| {
        let mut kept = kept.clone();
        kept.states.get_mut("failures").unwrap().insert("v2".to_owned(), text.to_owned());
        Analysis::resume(&setup, &kept).unwrap_err().to_string()
    };
    let expected =
        "the kept state of metric `failures` for version `v2` cannot be read; start the analysis of the step again";
    for wrong in [
        "",
        "?",
        "AA",
        text.get(4..).unwrap(),
        text.get(..text.len() - 4).unwrap(),
        &format!("{text}AAAA"),
        &kept.states["heap"]["v2"],
    ] {
        assert_eq!(error(wrong), expected, "{wrong}");
    }
    // What is new begins, and what is gone is dropped.
    let other = Kept { t: 7, states: [("gone".to_owned(), kept.states["heap"].clone())].into() };
    let mut resumed = Analysis::resume(&setup, &other).unwrap();
    assert_eq!((resumed.report().t, resumed.report().verdict), (7, Undecided));
    last.t = 20;
    assert_eq!(resumed.tick(&last).metrics.len(), 2);
}

fn ticks() -> impl Strategy<Value = Vec<Tick>> {
    let counts = |most: u64| {
        let one = move |most: u64| prop_oneof![1 => Just(0), 4 => 0..=most];
        (one(most / 4), one(most), one(most / 4), one(most * 4))
    };
    let value = prop::option::of(0.8..1.0f64);
    prop::collection::vec((1..120u64, counts(100), value), 1..40).prop_map(|ticks| {
        let mut t = 0;
        let tick = |(seconds, (x, n, y, m), value): (u64, (u64, u64, u64, u64), Option<f64>)| {
            t += seconds;
            Tick { values: valued(t, value).values, ..counted(t, [x, n, y, m]) }
        };
        ticks.into_iter().map(tick).collect()
    })
}

/// Whether some evidence is so close to what is needed that the digits which are not kept could decide.
fn is_close(report: &Report) -> bool {
    report.metrics.iter().any(|answer| match &answer.figures {
        Figures::Counts { evidence, needed, good, .. } => {
            let left = [evidence.slow - needed.slow, evidence.fast - needed.fast, good.evidence - good.needed];
            left.iter().any(|left| left.abs() < 0.1)
        }
        Figures::Value { .. } => false,
    })
}

fn verdicts(report: &Report) -> Vec<Verdict> {
    report.metrics.iter().map(|answer| answer.verdict).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn an_analysis_that_is_kept_and_resumed_after_each_tick_thinks_the_same(ticks in ticks()) {
        let setup = setup(&["v2"], vec![failures(Tolerance { limit: Some(0.3), ..Tolerance::default() }), heap(100)]);
        let (mut whole, mut resumed) = (Analysis::new(&setup), Analysis::new(&setup));
        for tick in ticks {
            let (one, other) = (whole.tick(&tick), resumed.tick(&tick));
            if is_close(&one) {
                break;
            }
            prop_assert_eq!(verdicts(&one), verdicts(&other));
            resumed = Analysis::resume(&setup, &resumed.keep()).unwrap();
        }
    }

    #[test]
    fn without_failures_nothing_fails_and_failing_stays(ticks in ticks()) {
        let setup = setup(&["v2"], vec![failures(Tolerance { limit: Some(0.0), ..Tolerance::default() })]);
        let (mut fine, mut any, mut before) = (Analysis::new(&setup), Analysis::new(&setup), Undecided);
        for mut tick in ticks {
            let now = any.tick(&tick).verdict;
            prop_assert!(before != Failing || now == Failing);
            before = now;
            tick.counts.get_mut("failures").unwrap().get_mut("v2").unwrap().bad = 0;
            prop_assert_ne!(fine.tick(&tick).verdict, Failing);
        }
    }

    #[test]
    fn no_kept_text_is_trusted(bytes in prop::collection::vec(any::<u8>(), 0..300), kind in 0..4u8) {
        use base64::Engine;
        let setup = setup(&["v2"], vec![failures(Tolerance::default()), heap(100)]);
        let text = base64::engine::general_purpose::STANDARD_NO_PAD.encode([&[kind], &bytes[..]].concat());
        for metric in ["failures", "heap"] {
            let states = [(metric.to_owned(), [("v2".to_owned(), text.clone())].into())].into();
            if let Ok(mut analysis) = Analysis::resume(&setup, &Kept { t: u64::MAX, states }) {
                let report = analysis.tick(&counted(10, [1, 50, 3, 950]));
                if let Some(Figures::Counts { evidence, good, .. }) = report.metrics.first().map(|answer| &answer.figures) {
                    prop_assert!([evidence.slow, evidence.fast, good.evidence].iter().all(|evidence| evidence.is_finite()));
                }
            }
        }
    }
}
