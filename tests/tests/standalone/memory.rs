//! Nothing is forgotten: bucket maps of releases that are gone for a while, and changes that could not be applied.

use std::fs;
use std::net::TcpListener;
use std::time::Duration;

use serin_tests::envoy::CAP;
use serin_tests::standalone::{Serin, Setup, free};
use serin_tests::upstream::{Request, serve};

use super::*;

/// A history after which fresh maps would differ from those that are kept, and the users by it.
fn with_a_history() -> (Standalone, Vec<usize>, Vec<String>) {
    let standalone = Standalone::start(&["v1", "v2", "v3"], &spec(&[("v2", "5%"), ("v3", "20%")]), 2).unwrap();
    standalone.apply(&latest()).unwrap();
    let users: Vec<usize> = (0..500).collect();
    let before = versions(&standalone, &users);
    (standalone, users, before)
}

fn latest() -> Value {
    spec(&[("v2", "40%"), ("v3", "20%")])
}

/// The text without its release.
fn without_release(text: &str) -> String {
    text.split_once("---\n").unwrap().0.to_owned()
}

fn flips(before: &[String], after: &[String]) -> usize {
    before.iter().zip(after).filter(|(before, after)| before != after).count()
}

pub(super) fn a_release_that_is_taken_out_and_in_again_moves_nobody() {
    let (standalone, users, before) = with_a_history();
    let text = standalone.manifest(&latest());
    standalone.replace(&without_release(&text)).unwrap();
    eventually("it is doubted", || standalone.log().contains("1 of 1 release is gone: bookinfo/reviews; waiting 2s"))
        .unwrap();
    // Who is sure says so.
    standalone.serin().signal("HUP").unwrap();
    eventually("it is gone", || standalone.log().contains("bookinfo/reviews: removed")).unwrap();
    assert!(versions(&standalone, &users).iter().all(|version| version == "v1"));
    standalone.replace(&text).unwrap();
    eventually("it is back", || standalone.log().contains("bookinfo/reviews: new, stable v1, v2 40%, v3 20%")).unwrap();
    eventually("its users are back", || versions(&standalone, &users) == before)
        .unwrap_or_else(|error| panic!("{error}: {} flips", flips(&before, &versions(&standalone, &users))));
}

pub(super) fn a_writer_that_pauses_moves_nobody() {
    let (standalone, users, before) = with_a_history();
    let text = standalone.manifest(&latest());
    // Half of the file is valid, and is all that there is for a while.
    fs::write(standalone.file(), without_release(&text)).unwrap();
    eventually("it is doubted", || standalone.log().contains("1 of 1 release is gone: bookinfo/reviews; waiting 2s"))
        .unwrap();
    let asked = versions(&standalone, &users);
    fs::write(standalone.file(), &text).unwrap();
    assert_eq!(flips(&before, &asked), 0);
    standalone.apply(&spec(&[("v2", "40.001%"), ("v3", "20%")])).unwrap();
    assert!(!standalone.log().contains("removed"), "{}", standalone.log());
    // A file that empties is looked at as long, and is then reported.
    standalone.replace("\n").unwrap();
    eventually("the empty file is reported", || standalone.log().contains("there is no `kind: Standalone`; add one"))
        .unwrap();
    assert!(standalone.log().contains("the file is empty; waiting 2s for the rest of it"), "{}", standalone.log());
    assert_eq!(flips(&before, &versions(&standalone, &users)), 0);
}

pub(super) fn each_file_has_a_state_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let (listen, admin) = (free().unwrap(), free().unwrap());
    let address = serve(|_: &Request| ("200 OK".to_owned(), String::new(), String::new())).unwrap();
    let versions = json!({"v1": [address.to_string()], "v2": [address.to_string()]});
    let text = Setup::new(versions, &spec(&[("v2", "5%")])).manifest(listen, admin);
    let files = ["one.yaml", "two.yaml"].map(|name| folder.path().join(name));
    files.iter().for_each(|file| fs::write(file, &text).unwrap());
    let run = |file: usize, more: &[&str]| {
        let words = ["standalone", "-f", files[file].to_str().unwrap()];
        Serin::start(words.iter().chain(more), None).unwrap()
    };
    let serves = |serin: &mut Serin| {
        eventually("it serves", || serin.log().contains("serving") || serin.ended().unwrap().is_some()).unwrap();
        assert!(serin.log().contains("serving on"), "{}", serin.log());
        serin.signal("TERM").unwrap();
        assert!(serin.wait().unwrap().success(), "{}", serin.log());
    };
    for file in [0, 1] {
        serves(&mut run(file, &[]));
        let state = folder.path().join(".serin").join(files[file].file_name().unwrap()).join("state.json");
        let state: Value = serde_json::from_str(&fs::read_to_string(state).unwrap()).unwrap();
        assert_eq!(state["file"], files[file].canonicalize().unwrap().to_str().unwrap());
        assert!(state["releases"]["bookinfo/reviews"].is_object(), "{state}");
    }
    // Where one directory is named for both, the second is refused.
    let shared = folder.path().join("shared");
    let shared = ["--state-dir", shared.to_str().unwrap()];
    serves(&mut run(0, &shared));
    let mut second = run(1, &shared);
    assert_eq!(second.wait().unwrap().code(), Some(1));
    let first = files[0].canonicalize().unwrap();
    let refusal =
        format!("the state directory belongs to `{}`; name a directory of its own with --state-dir", first.display());
    assert!(second.log().contains(&refusal), "{}", second.log());
    // A file that was renamed takes its state along.
    fs::rename(&files[0], &files[1]).unwrap();
    serves(&mut run(1, &shared));
}

/// The metrics of a standalone whose `metrics` is this address.
fn gauges(metrics: std::net::SocketAddr) -> BTreeMap<String, String> {
    let answer = Connection::open(metrics).unwrap().get("metrics", "/metrics", &[]).unwrap();
    let text = body(&answer);
    let line = |line: &str| {
        let (name, value) = line.strip_prefix("serin_standalone_")?.split_once(' ')?;
        Some((name.to_owned(), value.to_owned()))
    };
    text.lines().filter_map(line).collect()
}

fn measured(versions: &Value, release: &Value) -> (Standalone, std::net::SocketAddr) {
    let metrics = free().unwrap();
    let settings = json!({"metrics": metrics});
    let setup = Setup { settings, ..Setup::new(versions.clone(), release) };
    (Standalone::start_with(setup).unwrap(), metrics)
}

pub(super) fn a_change_that_the_disk_refuses_is_tried_again() {
    let upstreams = serin_tests::standalone::Upstreams::start(&["v1", "v2"]).unwrap();
    let (standalone, metrics) = measured(&upstreams.versions().unwrap(), &spec(&[("v2", "50%")]));
    let is = |applied: &str, name: &str, value: &str| {
        let now = gauges(metrics);
        now["file_applied"] == applied && now[name] == value
    };
    assert!(is("1", "file_generation", "1") && is("1", "applied_generation", "1"), "{:?}", gauges(metrics));
    // A folder stands where the bucket maps belong: nobody can write them.
    let kept = standalone.state().join("state.json");
    let aside = standalone.state().join("aside");
    let refuse = || {
        fs::rename(&kept, &aside).unwrap();
        fs::create_dir_all(kept.join("full")).unwrap();
    };
    let allow = || {
        fs::remove_dir_all(&kept).unwrap();
        fs::rename(&aside, &kept).unwrap();
    };
    let users: Vec<usize> = (0..200).collect();
    let before = versions(&standalone, &users);
    let mut back = spec(&[("v2", "50%")]);
    back["takeover"] = json!("v1");
    refuse();
    standalone.replace(&standalone.manifest(&back)).unwrap();
    let tries = || gauges(metrics)["apply_failures_total"].parse::<u32>().unwrap();
    eventually("it is tried several times", || tries() > 2).unwrap();
    assert!(is("0", "file_generation", "2") && is("0", "applied_generation", "1"), "{:?}", gauges(metrics));
    let log = standalone.log();
    assert!(log.contains("state.json: cannot be written: ") && log.contains("next try in 0.2s, at once by SIGHUP"), "{log}");
    assert_eq!(versions(&standalone, &users), before);
    allow();
    eventually("the rollback gets through", || is("1", "applied_generation", "2"))
        .unwrap_or_else(|error| panic!("{error}\n{}", standalone.log()));
    assert!(standalone.log().contains("rolled back to v1"), "{}", standalone.log());
    assert!(versions(&standalone, &users).iter().all(|version| version == "v1"));
    // The same text saved once more is tried at once, and so is what SIGHUP asks for.
    for hurry in ["save", "signal"] {
        refuse();
        let text = standalone.manifest(&spec(&[("v2", if hurry == "save" { "60%" } else { "70%" })]));
        standalone.replace(&text).unwrap();
        let failed = tries();
        // By then the next try is at least five seconds away.
        eventually("it has failed", || tries() >= failed + 6).unwrap();
        allow();
        let begun = Instant::now();
        match hurry {
            "save" => standalone.replace(&text).unwrap(),
            _ => standalone.serin().signal("HUP").unwrap(),
        }
        eventually("it is applied", || gauges(metrics)["file_applied"] == "1").unwrap();
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    }
    assert!(gauges(metrics)["last_apply_timestamp_seconds"].parse::<f64>().unwrap() > 1.7e9);
}

pub(super) fn a_change_that_envoy_refuses_is_tried_again() {
    let upstreams = serin_tests::standalone::Upstreams::start(&["v1", "v2"]).unwrap();
    let (standalone, metrics) = measured(&upstreams.versions().unwrap(), &spec(&[("v2", "0%")]));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let elsewhere = taken.local_addr().unwrap();
    let text = standalone.manifest(&spec(&[("v2", "100%")]));
    let text = text.replace(&format!("\"listen\":\"{}\"", standalone.listen), &format!("\"listen\":\"{elsewhere}\""));
    standalone.replace(&text).unwrap();
    eventually("it is refused", || gauges(metrics)["apply_failures_total"].parse::<u32>().unwrap() > 1).unwrap();
    assert!(standalone.log().contains("Envoy refused lds.json"), "{}", standalone.log());
    // A change that is tried again and again moves nobody.
    let users: Vec<usize> = (0..200).collect();
    for _ in 0..5 {
        assert!(versions(&standalone, &users).iter().all(|version| version == "v1"));
    }
    drop(taken);
    let there = || Connection::open(elsewhere).and_then(|mut other| other.send(&user_request(1, "")));
    eventually("Envoy serves there", || there().is_ok_and(|answer| answer.body == b"v2"))
        .unwrap_or_else(|error| panic!("{error}\n{}", standalone.log()));
    eventually("file and proxy agree", || gauges(metrics)["file_applied"] == "1").unwrap();
}

pub(super) fn a_probe_that_hangs_holds_up_no_other_release() {
    // Nobody accepts there: the system takes connections, and no answer comes.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let upstreams = serin_tests::standalone::Upstreams::start(&["v1", "v2"]).unwrap();
    let (standalone, metrics) = measured(&upstreams.versions().unwrap(), &spec(&[("v2", "0%")]));
    let hanging = json!({"host": "slow", "port": 80, "versions": {"v1": [silent.local_addr().unwrap().to_string()]},
        "healthCheck": {"path": "/", "timeout": "50s", "interval": "50s"}});
    let with = |weight: &str| {
        let text = standalone.manifest(&spec(&[("v2", weight)]));
        text.replace("\"services\":[", &format!("\"services\":[{hanging},"))
    };
    let begun = Instant::now();
    standalone.replace(&with("100%")).unwrap();
    let users: Vec<usize> = (0..200).collect();
    let all = |wanted: &str| versions(&standalone, &users).iter().all(|version| version == wanted);
    eventually("the weight changes", || all("v2")).unwrap_or_else(|error| panic!("{error}\n{}", standalone.log()));
    assert!(begun.elapsed() < CAP / 2, "{:?}", begun.elapsed());
    assert!(
        standalone.log().contains("upstreams are not ready yet, and the change goes on: outbound|80|v1|slow"),
        "{}",
        standalone.log()
    );
    // A rollback that comes while they are waited for does not wait.
    standalone.replace(&with("50%").replace("\"host\":\"slow\"", "\"host\":\"slower\"")).unwrap();
    eventually("it waits", || fs::read_to_string(standalone.state().join("cds.json")).unwrap().contains("slower")).unwrap();
    let begun = Instant::now();
    standalone.apply(&spec(&[("v2", "0%")])).unwrap();
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}\n{}", begun.elapsed(), standalone.log());
    eventually("file and proxy agree", || gauges(metrics)["file_applied"] == "1").unwrap();
    assert!(all("v1"));
}

pub(super) fn a_change_at_which_envoy_ends_is_tried_again() {
    // Nobody accepts there, so that the change waits for a probe.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let upstreams = serin_tests::standalone::Upstreams::start(&["v1", "v2"]).unwrap();
    let (standalone, metrics) = measured(&upstreams.versions().unwrap(), &spec(&[("v2", "0%")]));
    let hanging = json!({"host": "slow", "port": 80, "versions": {"v1": [silent.local_addr().unwrap().to_string()]},
        "healthCheck": {"path": "/", "timeout": "50s", "interval": "50s"}});
    let text = standalone.manifest(&spec(&[("v2", "100%")]));
    standalone.replace(&text.replace("\"services\":[", &format!("\"services\":[{hanging},"))).unwrap();
    eventually("it waits", || fs::read_to_string(standalone.state().join("cds.json")).unwrap().contains("slow")).unwrap();
    let envoy = standalone.envoy_id().unwrap();
    assert!(std::process::Command::new("kill").args(["-9", &envoy.to_string()]).status().unwrap().success());
    eventually("it is applied after all", || {
        gauges(metrics)["file_applied"] == "1" && standalone.get("1", &[]).is_ok_and(|answer| answer.body == b"v2")
    })
    .unwrap_or_else(|error| panic!("{error}\n{}", standalone.log()));
    let expected = "Envoy has ended once while it applied this change\nthe last good state keeps serving; next try in 0.2s, at once by SIGHUP";
    assert!(standalone.log().contains(expected), "{}", standalone.log());
}

pub(super) fn an_envoy_that_ends_shows_in_the_metrics() {
    let upstreams = serin_tests::standalone::Upstreams::start(&["v1", "v2"]).unwrap();
    let (standalone, metrics) = measured(&upstreams.versions().unwrap(), &spec(&[("v2", "50%")]));
    let old = standalone.envoy_id().unwrap();
    assert!(std::process::Command::new("kill").args(["-9", &old.to_string()]).status().unwrap().success());
    eventually("it is counted", || gauges(metrics)["envoy_restarts_total"] == "1").unwrap();
    eventually("another Envoy serves the file", || gauges(metrics)["file_applied"] == "1").unwrap();
    assert_eq!(standalone.get("1", &[]).unwrap().status, 200);
    assert_eq!(gauges(metrics)["file_generation"], "1");
}

pub(super) fn a_log_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let standalone = Standalone::start(&["v1", "v2"], &spec(&[("v2", "0%")]), 1).unwrap();
    let log = folder.path().join("logs/access.json");
    let text =
        standalone.manifest(&spec(&[("v2", "100%")])).replace("\"accessLog\":\"\"", &format!("\"accessLog\":{log:?}"));
    standalone.replace(&text).unwrap();
    let expected = format!(
        "error: {}: Standalone: spec.accessLog: `{}` cannot be written: No such file or directory (os error 2); name a file in a folder \
         that exists and that serin may write to\nthe last good state keeps serving; next try in 0.2s, at once by SIGHUP",
        standalone.file().display(),
        log.display()
    );
    eventually("it is named", || standalone.log().contains(&expected))
        .unwrap_or_else(|error| panic!("{error}\n{}", standalone.log()));
    // Once there is a folder, the change is applied.
    fs::create_dir(folder.path().join("logs")).unwrap();
    eventually("the request is logged", || {
        standalone.get("1", &[]).unwrap();
        fs::read_to_string(&log).is_ok_and(|log| log.contains("\"version\":\"v2\""))
    })
    .unwrap();
}
