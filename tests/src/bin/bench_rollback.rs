//! How long a rollback takes, from the command to the first request on stable: on the mesh, and without one. `make bench-rollback` runs it.
//!
//! One person has the canary and asks again and again. `serin rollback` is started, and what is timed ends with the first answer that stable
//! gives. Then it is taken back until the same person has the canary again.

use std::error::Error;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use serin_tests::mesh::{CONTROLLER, Client, Controller, apply, await_reason, install, release, reviews};
use serin_tests::standalone::{Setup, Standalone, Upstreams, user_request};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// So often.
const ROUNDS: usize = 30;
/// Nothing takes longer than this.
const CAP: Duration = Duration::from_secs(60);

fn main() -> Result<()> {
    let mesh = on_the_mesh()?;
    let alone = without_a_mesh()?;
    println!("from `serin rollback` to the first request on stable, {ROUNDS} times each   median     p90     max");
    for (name, times) in [("on a mesh", mesh), ("serin standalone", alone)] {
        let [median, p90, max] = [0.5, 0.9, 1.0].map(|part| at(&times, part));
        println!("{name:<73} {median:>5.0} ms {p90:>4.0} ms {max:>4.0} ms");
    }
    Ok(())
}

/// The time of which so great a part is at most as long, in milliseconds.
fn at(times: &[Duration], part: f64) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort();
    let index = ((sorted.len() as f64 * part).ceil() as usize).clamp(1, sorted.len().max(1)) - 1;
    sorted.get(index).map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0)
}

/// Starts `serin` with these words.
fn serin(words: &[&str]) -> Result<Child> {
    Ok(Command::new(serin_tests::command()?).args(words).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?)
}

/// Rolls back and takes it back, again and again; `who` says which version the person gets.
fn rounds(words: &[&str], mut who: impl FnMut() -> Result<String>) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    for round in 0..ROUNDS {
        eprintln!("bench: round {} of {ROUNDS}", round + 1);
        let start = Instant::now();
        let mut command = serin(&[&["rollback"], words].concat())?;
        until("v1", start, &mut who)?;
        times.push(start.elapsed());
        if !command.wait()?.success() {
            return Err("serin rollback failed".into());
        }
        let status = serin(&[&["resume", "--yes"], words].concat())?.wait()?;
        if !status.success() {
            return Err("serin resume failed".into());
        }
        until("v2", Instant::now(), &mut who)?;
    }
    Ok(times)
}

fn until(version: &str, start: Instant, who: &mut impl FnMut() -> Result<String>) -> Result<()> {
    while who()? != version {
        if start.elapsed() > CAP {
            return Err(format!("nobody gets {version} within {CAP:?}").into());
        }
    }
    Ok(())
}

fn on_the_mesh() -> Result<Vec<Duration>> {
    install()?;
    let space = "latency";
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    // As it is installed.
    let pace = ["--settle-ms", "2000", "--drain-ms", "3000", "--log-level", "warn"];
    let controller = Controller::start("bench", CONTROLLER, &pace)?;
    let spec = json!({"canaries": [{"version": "v2", "weight": "100%"}], "sticky": {"by": [{"cookie": "user"}]}});
    apply(&[release(space, spec)])?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    let mut client = Client::of(space)?;
    let mut who = || Ok(client.ask("/reviews/0", &[("cookie", "user=ann")])?.version);
    until("v2", Instant::now(), &mut who)?;
    let times = rounds(&["latency/reviews"], who)?;
    drop(controller);
    Ok(times)
}

fn without_a_mesh() -> Result<Vec<Duration>> {
    let upstreams = Upstreams::start(&["v1", "v2"])?;
    let spec = json!({"service": "reviews", "stable": {"version": "v1"}, "canaries": [{"version": "v2", "weight": "100%"}],
        "sticky": {"by": [{"cookie": "user"}]}});
    let standalone = Standalone::start_with(Setup { control: true, ..Setup::new(upstreams.versions()?, &spec) })?;
    let path = |path: &std::path::Path| path.to_str().map(str::to_owned).ok_or("the path is not UTF-8");
    let (file, control, state) = (path(&standalone.file())?, path(&standalone.control())?, path(&standalone.state())?);
    let who = || {
        let answers = standalone.ask(&[1_usize], 1, |&user| user_request(user, ""))?;
        let answer = answers.first().ok_or("no answer")?;
        Ok(String::from_utf8(answer.body.clone())?)
    };
    rounds(&["bookinfo/reviews", "-f", &file, "--control", &control, "--state-dir", &state], who)
}
