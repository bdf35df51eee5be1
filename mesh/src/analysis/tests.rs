use serde_json::json;
use serin_release::lifecycle::run::RunState;

use super::*;
use crate::Object;

const HOST: &str = "reviews.bookinfo.svc.cluster.local";

fn resource(analysis: &serde_json::Value) -> Resource {
    let object = json!({"apiVersion": "serin.dev/v1alpha1", "kind": "CanaryRelease",
        "metadata": {"name": "reviews", "namespace": "bookinfo", "uid": "u", "generation": 1},
        "spec": {"service": "reviews", "stable": {"version": "v1"}, "canaries": [{"version": "v2"}],
            "steps": [{"weight": "10%", "hold": "1h"}, {"weight": "100%"}], "analysis": analysis}});
    Resource::read(&Object::from_json(object))
}

fn run() -> Run {
    let run = json!({"id": "a", "versions": "b", "step": 0, "seen": "2026-11-28T00:00:00Z", "state": RunState::Holding});
    serde_json::from_value(run).unwrap()
}

fn sample(labels: &[(&str, &str)], value: f64) -> Sample {
    Sample { labels: labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(), value }
}

/// A counter of requests of a pod.
fn requests(version: &str, code: &str, flags: &str, value: f64) -> Sample {
    let own = [("destination_service", HOST), ("destination_version", version), ("pod", "a")];
    sample(&[&own[..], &[("response_code", code), ("response_flags", flags)]].concat(), value)
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

#[test]
fn releases_of_a_namespace_share_a_question() {
    let mut analyses = Analyses::new(vec!["main".to_owned()], r#"cluster="east""#.to_owned());
    let resource = resource(
        &json!({"metrics": [{"failures": {}}, {"slower": {"than": "300ms"}}, {"query": "heap{v=\"$version\"}", "max": 1},
        {"name": "declined", "counts": {"bad": "bad{v=\"$version\",s=\"$service.$namespace\"}", "all": "all{v=\"$version\"}"}}]}),
    );
    analyses.follow(&resource, Some(&run()), at(0));
    let mut other = resource.clone();
    other.id = ReleaseId::new("bookinfo", "ratings");
    analyses.follow(&other, Some(&run()), at(0));
    let asked: Vec<String> = analyses.questions().into_iter().map(|question| question.promql).collect();
    let matchers = r#"reporter=~"source|waypoint",destination_service_namespace="bookinfo",cluster="east""#;
    let series = "instance, pod, reporter, destination_service, destination_version";
    assert_eq!(
        asked,
        [
            "all{v=\"v1\"}".to_owned(),
            "all{v=\"v2\"}".to_owned(),
            "bad{v=\"v1\",s=\"reviews.bookinfo\"}".to_owned(),
            "bad{v=\"v2\",s=\"reviews.bookinfo\"}".to_owned(),
            "heap{v=\"v2\"}".to_owned(),
            format!(
                "sum by ({series}, le) (istio_request_duration_milliseconds_bucket{{{matchers},le=~\"500([.]0)?|[+]Inf\"}})"
            ),
            format!(
                "sum by ({series}, response_code, response_flags, grpc_response_status) (istio_requests_total{{{matchers}}})"
            ),
        ]
    );
}

#[test]
fn a_failure_is_one_that_a_server_is_to_blame_for() {
    let counts = |code: &str, flags: &str, grpc: &str| {
        let mut one = requests("v2", code, flags, 7.0);
        if !grpc.is_empty() {
            one.labels.insert("grpc_response_status".to_owned(), grpc.to_owned());
        }
        query::failures(&[one, requests("v1", "500", "", 9.0)], HOST, "v2").into_values().next().unwrap().bad
    };
    let failures = [("500", "", ""), ("503", "UF", ""), ("0", "UPE", ""), ("200", "", "14"), ("504", "", "4")];
    let others = [("200", "", ""), ("404", "NR", ""), ("0", "DC", ""), ("200", "", "0"), ("200", "", "5")];
    for (code, flags, grpc) in failures {
        assert_eq!(counts(code, flags, grpc), 7, "{code} {flags} {grpc}");
    }
    for (code, flags, grpc) in others {
        assert_eq!(counts(code, flags, grpc), 0, "{code} {flags} {grpc}");
    }
}

#[test]
fn slow_requests_are_those_beyond_the_edge() {
    let bucket = |le: &str, value: f64| {
        let mut sample = requests("v2", "", "", value);
        sample.labels.insert("le".to_owned(), le.to_owned());
        sample
    };
    let series = query::slow(&[bucket("500", 90.0), bucket("+Inf", 100.0)], HOST, "v2");
    assert_eq!(series.into_values().collect::<Vec<_>>(), [Counts { bad: 10, all: 100 }]);
}

#[test]
fn a_bad_canary_is_told_and_a_source_that_is_away_gives_no_data() {
    let mut analyses = Analyses::new(vec!["main".to_owned()], String::new());
    let resource = resource(&json!({"metrics": [{"failures": {}}]}));
    analyses.follow(&resource, Some(&run()), at(0));
    let question = analyses.questions().into_iter().next().unwrap();
    let answers = |samples: Vec<Sample>| Answers::from([(question.clone(), samples)]);
    let verdict = |analyses: &Analyses| analyses.of(&resource.id).unwrap().analysed.verdicts["v2"].0;
    let base = vec![requests("v2", "200", "", 1000.0), requests("v2", "500", "", 900.0), requests("v1", "200", "", 100.0)];
    assert!(analyses.read(&answers(base), at(10)).is_empty());
    let more = vec![requests("v2", "200", "", 1020.0), requests("v2", "500", "", 930.0), requests("v1", "200", "", 550.0)];
    assert_eq!(analyses.read(&answers(more), at(20)), [resource.id.clone()].into());
    assert_eq!(verdict(&analyses), Verdict::Failing);
    // The next run knows nothing of that.
    let next = Run { id: "c".to_owned(), ..run() };
    analyses.follow(&resource, Some(&next), at(30));
    assert_eq!(verdict(&analyses), Verdict::Undecided);
    for second in 4..7 {
        analyses.read(&Answers::new(), at(second * 10));
    }
    assert_eq!(verdict(&analyses), Verdict::NoData);
    analyses.follow(&resource, None, at(90));
    assert!(analyses.of(&resource.id).is_none() && analyses.questions().is_empty());
}

#[test]
fn a_source_has_to_be_known() {
    let why = |sources: &[&str], named: Option<&str>| {
        let mut analyses = Analyses::new(sources.iter().map(|name| (*name).to_owned()).collect(), String::new());
        let resource = resource(&match named {
            Some(source) => json!({"metrics": [{"failures": {}}], "source": source}),
            None => json!({"metrics": [{"failures": {}}]}),
        });
        analyses.follow(&resource, Some(&run()), at(0));
        analyses.of(&resource.id).unwrap().no_source
    };
    assert_eq!(why(&["main"], None), None);
    assert_eq!(why(&["main", "other"], Some("other")), None);
    let messages = [
        (why(&[], None), "there is no metric source; the administrator sets one up with `--metrics NAME=URL`"),
        (why(&["a", "b"], None), "there are several metric sources; write one of a, b as spec.analysis.source"),
        (
            why(&["a"], Some("b")),
            "spec.analysis.source: there is no metric source `b`; the administrator has set up a (`--metrics NAME=URL`)",
        ),
    ];
    for (why, message) in messages {
        assert_eq!(why.as_deref(), Some(message));
    }
}
