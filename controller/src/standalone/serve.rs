//! The life of the process: it starts Envoy, keeps it alive, obeys signals, drains.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serin_release::Moment;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio::time::sleep;

use super::admin::Admin;
use super::analysis::Analyses;
use super::console::{Shown, Standalone};
use super::files::{Directory, aside};
use super::follow::{Fate, Follower, Seen, say_forgotten, steps_due};
use super::metrics::{self, Metrics};
use super::process::{self, Envoy};
use super::publish::Publisher;
use super::spans::Collector;
use super::text::{Source, parse, read_now};
use super::watch::Watch;
use super::{access_log, changes, limits, message, state};
use crate::cli::{Failure, report_error, report_warning, say};
use crate::console::{self, Settings};

/// How long an address may be one that an Envoy which is ending still has.
const VACATE: Duration = Duration::from_secs(2);
/// The shortest and the longest time between two starts of an Envoy that keeps ending.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// The signals that the process obeys.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    reopen: Signal,
}

impl Signals {
    fn new() -> Result<Self, Failure> {
        let receive = |kind| signal(kind).map_err(|error| Failure::running("signals cannot be received", error));
        Ok(Self {
            terminate: receive(SignalKind::terminate())?,
            interrupt: receive(SignalKind::interrupt())?,
            hangup: receive(SignalKind::hangup())?,
            reopen: receive(SignalKind::user_defined1())?,
        })
    }

    /// Waits for the signal to end; obeys the others meanwhile.
    async fn end(&mut self, admin: Option<Admin>, hurry: &Notify) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => hurry.notify_one(),
                _ = self.reopen.recv() => {}
            }
            if let Some(admin) = admin {
                tokio::spawn(reopen_logs(admin));
            }
        }
    }
}

/// Has Envoy reopen its access log, which somebody has renamed.
async fn reopen_logs(admin: Admin) {
    if !admin.post("/reopen_logs").await {
        report_error("Envoy did not reopen its access log; send SIGUSR1 once more");
    }
}

/// Why an Envoy is left.
enum Left {
    ByItself(Option<ExitStatus>),
    OnPurpose,
}

/// Serves a file until SIGTERM.
pub(super) async fn serve(source: Source, directory: PathBuf, console: Option<Settings>) -> Result<(), Failure> {
    let mut signals = Signals::new()?;
    let hurry = Arc::new(Notify::new());
    let open_files = limits::raise_open_files();
    let prepared = tokio::select! {
        prepared = prepare(source, directory, open_files, Arc::clone(&hurry), console) => prepared?,
        () = signals.end(None, &hurry) => return Ok(()),
    };
    let (mut follower, binary) = (prepared, process::find()?);
    let admin = follower.publisher.admin;
    let mut envoy = start(&mut follower, &binary).await?;
    announce(&follower);
    tokio::select! {
        ready = follower.publisher.ready(&follower.served) => ready.map_err(Failure::Failed)?,
        _ = envoy.ended() => return Err(Failure::Failed("Envoy ended while starting; its log above says why".into())),
        () = signals.end(Some(admin), &hurry) => {
            envoy.stop(admin).await;
            return Ok(());
        }
    }
    follower.metrics.applied();
    follower.say_serving("serving");
    let mut backoff = BACKOFF.0;
    loop {
        let left = tokio::select! {
            () = follower.run() => Left::OnPurpose,
            () = signals.end(Some(admin), &hurry) => Left::OnPurpose,
            status = envoy.ended() => Left::ByItself(status),
        };
        let Left::ByItself(status) = left else { break };
        let how = status.map_or_else(|| "in an unknown way".to_owned(), |status| format!("with {status}"));
        report_error(&format!("Envoy ended {how}"));
        follower.interrupted();
        if envoy.age() > BACKOFF.1 {
            backoff = BACKOFF.0;
        }
        envoy = tokio::select! {
            envoy = start_again(&mut follower, &binary, &mut backoff) => envoy,
            () = signals.end(None, &hurry) => return Ok(()),
        };
    }
    drain(&follower, envoy, &mut signals).await;
    Ok(())
}

/// Reads and checks all that a start needs.
async fn prepare(
    source: Source,
    directory: PathBuf,
    open_files: u64,
    hurry: Arc<Notify>,
    console: Option<Settings>,
) -> Result<Follower, Failure> {
    // Watched before it is read, so that no change is lost.
    let watch = Watch::of(std::iter::once(&*source.file).chain(source.control.as_deref()))?;
    let (followed, metrics) = (source.clone(), Metrics::new());
    let (text, mut served, history, directory) = aside(move || {
        let source = followed;
        let text = read_now(&source);
        // Once without the directory, so that an error of the file makes none.
        parse(&source, &text, &serin_release::State::default(), &Moment::default()).1?;
        let directory = Directory::open(&directory)?;
        let history = state::history(directory.path(), &source.file)?;
        let now = Moment { now: Some(Timestamp::now()), ..Moment::default() };
        let served = parse(&source, &text, &history.state(), &now).1?;
        Ok::<_, Failure>((text, served, history, directory))
    })
    .await??;
    check_addresses(&source.file, &served.spec).await?;
    access_log::check(&source.file, &served.spec.access_log).await.map_err(Failure::Failed)?;
    if let Some(address) = served.spec.metrics {
        metrics::serve(address.0, metrics.clone()).await?;
    }
    let mut collector = Collector::default();
    collector.stand_in(&mut served.spec).await.map_err(Failure::Failed)?;
    let served = Arc::new(served);
    let mut shown = Shown::new(console.is_some());
    shown.serve(&served);
    if let Some(settings) = console {
        let home = Standalone::new(&source, directory.path(), &shown, &served, collector.kept());
        console::serve(home, settings).await?;
    }
    let workers = served
        .spec
        .workers
        .map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), |workers| workers as usize);
    let connections = limits::connections(open_files, workers as u64);
    limits::warning(open_files, connections).iter().for_each(|warning| report_warning(warning));
    let (history, forgotten) = history.followed_by(&served.checked.state, super::now());
    say_forgotten(&forgotten);
    let steps_due = steps_due(&served.checked);
    let mut analyses = Analyses::default();
    analyses.follow(&served);
    Ok(Follower {
        steps_due,
        analyses,
        collector,
        applied: text.clone(),
        publisher: Publisher::new(directory, Admin::new(served.spec.admin.0), connections),
        source,
        watch,
        hurry,
        metrics,
        history,
        served,
        seen: Seen { text, fate: Fate::Applied },
        under_way: None,
        restarted: false,
        shown,
    })
}

/// Envoy would only log that an address is taken, and serve nothing there.
async fn check_addresses(file: &Path, spec: &serin_release::api::standalone::StandaloneSpec) -> Result<(), Failure> {
    let start = Instant::now();
    let all = [("listen", Some(spec.listen)), ("admin", Some(spec.admin)), ("metrics", spec.metrics)];
    for (name, address) in all.into_iter().filter_map(|(name, address)| Some((name, address?.0))) {
        let free = move || TcpListener::bind::<SocketAddr>(address).map(drop);
        while let Err(error) = aside(free).await? {
            if error.kind() != std::io::ErrorKind::AddrInUse || start.elapsed() >= VACATE {
                let problem = format!("spec.{name}: nobody can listen on `{address}`: {error}; use another address");
                return Err(Failure::Failed(format!("{}: {problem}", file.display())));
            }
            sleep(VACATE / 100).await;
        }
    }
    Ok(())
}

/// Writes all files as they are now and starts Envoy on them.
async fn start(follower: &mut Follower, binary: &Path) -> Result<Envoy, Failure> {
    let (served, history) = (Arc::clone(&follower.served), follower.history.to_json());
    follower.publisher.write_all(served, history).await?;
    let requests = follower.shown.requests();
    Envoy::start(binary, &follower.publisher.bootstrap(), follower.served.spec.workers, requests)
}

/// Starts an Envoy that has ended by itself, as often as it takes.
async fn start_again(follower: &mut Follower, binary: &Path, backoff: &mut Duration) -> Envoy {
    loop {
        report_error(&format!("starting it again in {backoff:?}"));
        sleep(*backoff).await;
        *backoff = (2 * *backoff).min(BACKOFF.1);
        match start(follower, binary).await {
            Ok(envoy) => {
                follower.metrics.envoy_restarted();
                follower.restarted = true;
                return envoy;
            }
            Err(failure) => report_error(&message(failure)),
        }
    }
}

fn announce(follower: &Follower) {
    changes::services(&[], &follower.served.spec.services).iter().for_each(|line| say(line));
    changes::all_releases(&follower.served).iter().for_each(|line| say(line));
    changes::steps(&follower.served).iter().for_each(|line| say(line));
    follower.served.warnings.iter().for_each(|warning| report_warning(warning));
}

/// Lets requests end, and then Envoy.
async fn drain(follower: &Follower, envoy: Envoy, signals: &mut Signals) {
    say("draining; a second signal ends at once");
    let most = follower.served.spec.drain_timeout.0;
    let admin = follower.publisher.admin;
    tokio::select! {
        drained = follower.publisher.drain(most) => if !drained {
            report_error(&format!("requests did not end within {most:?}"));
        },
        () = signals.end(Some(admin), &follower.hurry) => {}
    }
    envoy.stop(admin).await;
}
