//! Signals, and the limits of the system.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use serin_tests::standalone::Setup;

use super::*;

pub(super) fn a_renamed_access_log_is_opened_anew() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("access.json");
    let upstreams = serin_tests::standalone::Upstreams::start(&["v1"]).unwrap();
    let settings = json!({"accessLog": log});
    let standalone =
        Standalone::start_with(Setup { settings, ..Setup::new(upstreams.versions().unwrap(), &spec(&[])) }).unwrap();
    let envoy = standalone.envoy_id().unwrap();
    for signal in ["USR1", "HUP"] {
        let old = folder.path().join(signal);
        fs::rename(&log, &old).unwrap();
        standalone.serin().signal(signal).unwrap();
        eventually("there is another log", || {
            standalone.get("1", &[]).unwrap();
            fs::read_to_string(&log).is_ok_and(|log| !log.is_empty())
        })
        .unwrap_or_else(|error| panic!("{signal}: {error}\n{}", standalone.log()));
        let length = fs::metadata(&old).unwrap().len();
        standalone.get("1", &[]).unwrap();
        eventually("the request is logged", || fs::read_to_string(&log).unwrap().lines().count() > 1).unwrap();
        assert_eq!(fs::metadata(&old).unwrap().len(), length);
    }
    assert_eq!(standalone.envoy_id().unwrap(), envoy);
    assert!(!standalone.log().contains("error"), "{}", standalone.log());
}

pub(super) fn a_disk_that_stands_still_holds_up_no_signal() {
    let mut standalone = Standalone::start(&["v1", "v2"], &spec(&[("v2", "50%")]), 1).unwrap();
    // Who reads a pipe waits for its other end, as one waits for a disk that does not answer.
    let file = standalone.state().join("ecds.json");
    fs::remove_file(&file).unwrap();
    assert!(Command::new("mkfifo").arg(&file).status().unwrap().success());
    standalone.replace(&standalone.manifest(&spec(&[("v2", "60%")]))).unwrap();
    let kept = standalone.state().join("state.json");
    eventually("the change is on its way", || fs::read_to_string(&kept).unwrap().contains("60000")).unwrap();
    let begun = Instant::now();
    standalone.serin().signal("TERM").unwrap();
    assert!(standalone.wait().unwrap().success());
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
}

pub(super) fn a_rollback_gets_through_at_the_limit_of_open_files() {
    let upstreams = serin_tests::standalone::Upstreams::start(&["v1", "v2"]).unwrap();
    let setup =
        Setup { open_files: Some((512, 512)), ..Setup::new(upstreams.versions().unwrap(), &spec(&[("v2", "100%")])) };
    let standalone = Standalone::start_with(setup).unwrap();
    let warning = "with 512 open files at most 200 clients can be connected at once; raise the hard limit";
    assert!(standalone.log().contains(warning), "{}", standalone.log());
    assert!(!standalone.log().contains("no configured limit"), "{}", standalone.log());
    let mut known = Connection::open(standalone.listen).unwrap();
    assert_eq!(body(&known.send(&user_request(1, "")).unwrap()), "v2");
    let idle: Vec<TcpStream> = (0..600).map(|_| TcpStream::connect(standalone.listen).unwrap()).collect();
    let begun = Instant::now();
    let mut back = spec(&[("v2", "100%")]);
    back["takeover"] = json!("v1");
    standalone.apply(&back).unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(body(&known.send(&user_request(1, "")).unwrap()), "v1");
    // Those beyond the limit were sent away, and the others are served.
    let served = idle.into_iter().filter_map(|mut stream| {
        stream.set_read_timeout(Some(serin_tests::envoy::CAP)).unwrap();
        stream.write_all(&user_request(1, "connection: close\r\n")).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.starts_with("HTTP/1.1 200").then_some(())
    });
    let served = served.count();
    assert!((150..=200).contains(&served), "{served}");
}

pub(super) fn the_soft_limit_of_open_files_is_raised_to_the_hard_one() {
    let upstreams = serin_tests::standalone::Upstreams::start(&["v1"]).unwrap();
    let setup = Setup { open_files: Some((256, 1024)), ..Setup::new(upstreams.versions().unwrap(), &spec(&[])) };
    let standalone = Standalone::start_with(setup).unwrap();
    // Envoy has the limits of the process that started it.
    for process in [standalone.serin().id(), standalone.envoy_id().unwrap()] {
        let limits = fs::read_to_string(format!("/proc/{process}/limits")).unwrap();
        let files = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
        assert_eq!(files.split_whitespace().collect::<Vec<_>>(), ["1024", "1024", "files"]);
    }
}
