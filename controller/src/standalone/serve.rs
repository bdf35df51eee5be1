//! The loop: start, follow the file, keep Envoy alive, drain.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;

use super::admin::Admin;
use super::envoy::STAT_PREFIX;
use super::files::Directory;
use super::process::{self, Envoy};
use super::resolve::{Served, resolve};
use super::watch::Watch;
use super::{changes, envoy, manifest, read};
use crate::FILTER;
use crate::api::standalone::StandaloneSpec;
use crate::cli::{Failure, report_error};
use crate::file::FileError;

/// The file of the filter.
const MODULE: &str = "serin_filter.wasm";
/// How long Envoy may take to serve, or to take a file.
const CAP: Duration = Duration::from_secs(30);
/// How often a condition is asked for.
const PERIOD: Duration = Duration::from_millis(5);
/// How long a file that does not parse may be one that is still being written.
const SETTLE: Duration = Duration::from_millis(100);
/// The longest time between two starts of an Envoy that keeps ending.
const MAX_BACKOFF: Duration = Duration::from_secs(10);

/// One of Envoy's files, and the statistics that tell what became of it.
struct Target {
    file: &'static str,
    stats: &'static str,
}

const CLUSTERS: Target = Target { file: "cds.json", stats: "cluster_manager.cds." };
const ROUTES: Target = Target { file: "rds.json", stats: "http.serin.rds.serin." };
const LISTENER: Target = Target { file: "lds.json", stats: "listener_manager.lds." };
const FILTER_CONFIG: Target = Target { file: "ecds.json", stats: "extension_config_discovery.http_filter.serin." };

/// What is running.
struct Server<'a> {
    file: &'a Path,
    directory: Directory,
    module: PathBuf,
    admin: Admin,
    served: Served,
    /// The text that was looked at last, good or bad.
    text: Vec<u8>,
}

/// Serves a file until SIGTERM.
pub(super) async fn serve(file: &Path, directory: &Path) -> Result<(), Failure> {
    let binary = process::find()?;
    let [mut terminate, mut interrupt, mut hangup] = signals()?;
    // Watched before it is read, so that no change is lost.
    let mut watch = Watch::of(file)?;
    let mut server = Server::prepare(file, directory)?;
    let mut envoy = server.start(&binary)?;
    server.announce();
    tokio::select! {
        ready = server.ready() => ready?,
        _ = envoy.ended() => return Err(Failure::Failed("Envoy ended while starting; its log above says why".into())),
        _ = terminate.recv() => return stop(envoy, &server).await,
        _ = interrupt.recv() => return stop(envoy, &server).await,
    }
    say(&format!("serving on {}, metrics at {}/stats/prometheus", server.served.spec.listen, server.served.spec.admin));
    let mut backoff = Duration::from_millis(100);
    loop {
        let started = Instant::now();
        tokio::select! {
            () = watch.changed() => server.follow().await,
            _ = hangup.recv() => server.follow().await,
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            status = envoy.ended() => {
                let how = status.map_or_else(|| "in an unknown way".to_owned(), |status| format!("with {status}"));
                backoff = if started.elapsed() > MAX_BACKOFF { Duration::from_millis(100) } else { backoff };
                report_error(&format!("Envoy ended {how}; starting it again in {backoff:?}"));
                tokio::select! {
                    () = sleep(backoff) => {}
                    _ = terminate.recv() => return Ok(()),
                    _ = interrupt.recv() => return Ok(()),
                }
                backoff = (2 * backoff).min(MAX_BACKOFF);
                envoy = server.start(&binary)?;
            }
        }
    }
    say("draining; a second signal ends at once");
    tokio::select! {
        () = server.drain() => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    stop(envoy, &server).await
}

async fn stop(envoy: Envoy, server: &Server<'_>) -> Result<(), Failure> {
    envoy.stop(server.admin).await;
    Ok(())
}

fn signals() -> Result<[Signal; 3], Failure> {
    let of = |kind| signal(kind).map_err(|error| Failure::running("signals cannot be received", error));
    Ok([of(SignalKind::terminate())?, of(SignalKind::interrupt())?, of(SignalKind::hangup())?])
}

fn say(message: &str) {
    let green = anstyle::AnsiColor::Green.on_default().bold();
    anstream::eprintln!("{green}serin{green:#} {message}");
}

impl<'a> Server<'a> {
    fn prepare(file: &'a Path, directory: &Path) -> Result<Self, Failure> {
        let text = read(file)?;
        let manifest = manifest(file, &text)?;
        let directory = Directory::open(directory)?;
        let served = resolve(file, manifest, &directory.state()?)?;
        for (name, address) in [("listen", served.spec.listen), ("admin", served.spec.admin)] {
            // Envoy would only log it and serve nothing.
            TcpListener::bind(address)
                .map_err(|error| Failure::Failed(format!("{}: spec.{name}: {address}: {error}", file.display())))?;
        }
        directory.write(MODULE, FILTER)?;
        let module = directory.path().join(MODULE);
        Ok(Self { file, admin: Admin::new(served.spec.admin), module, directory, served, text })
    }

    /// Writes all files as they are now and starts Envoy on them.
    fn start(&self, binary: &Path) -> Result<Envoy, Failure> {
        self.write_all()?;
        let spec = &self.served.spec;
        let bootstrap = envoy::bootstrap(spec, self.directory.path()).to_string();
        self.directory.write("bootstrap.json", bootstrap.as_bytes())?;
        Envoy::start(binary, &self.directory.path().join("bootstrap.json"), spec.workers)
    }

    fn write_all(&self) -> Result<(), Failure> {
        let (spec, directory) = (&self.served.spec, &self.directory);
        directory.keep(&self.served.checked.state)?;
        let document = self.served.checked.document.to_json();
        for (target, content) in [
            (CLUSTERS, envoy::clusters(spec, &self.served.defaults)),
            (ROUTES, envoy::routes(spec, &self.served.defaults)),
            (FILTER_CONFIG, envoy::filter(&self.module, &document)),
            (LISTENER, envoy::listener(spec, directory.path())),
        ] {
            directory.write(target.file, content.to_string().as_bytes())?;
        }
        Ok(())
    }

    fn announce(&self) {
        for (service, default) in self.served.spec.services.iter().zip(&self.served.defaults) {
            let versions: Vec<_> =
                service.versions.iter().map(|(version, at)| format!("{version} {}", at.join(" "))).collect();
            say(&format!("{}:{} is {}; by default {default}", service.host, service.port, versions.join(", ")));
        }
        for line in changes::describe(&[], &self.served.releases) {
            say(&line);
        }
    }

    /// Waits until Envoy serves with the filter.
    async fn ready(&self) -> Result<(), Failure> {
        let start = Instant::now();
        while start.elapsed() < CAP {
            if let (_, refused @ 1..) = self.outcome(&LISTENER).await {
                return Err(Failure::Failed(format!("Envoy refused {refused} listeners; its log above says why")));
            }
            let (filters, _) = self.outcome(&FILTER_CONFIG).await;
            if filters > 0 && self.admin.is_ready().await {
                return Ok(());
            }
            sleep(PERIOD).await;
        }
        Err(Failure::Failed(format!("Envoy did not serve within {CAP:?}; its log above says why")))
    }

    /// How many updates of a file Envoy has taken and refused.
    async fn outcome(&self, target: &Target) -> (u64, u64) {
        let stats = self.admin.stats(target.stats).await.unwrap_or_default();
        let of = |name: &str| stats.get(&format!("{}{name}", target.stats)).copied().unwrap_or_default();
        (of("update_success"), of("update_rejected") + of("update_failure"))
    }

    /// Replaces a file and waits until Envoy has taken it.
    async fn publish(&self, target: &Target, content: &serde_json::Value) -> Result<(), String> {
        let (taken, refused) = self.outcome(target).await;
        match self.directory.write(target.file, content.to_string().as_bytes()) {
            Ok(false) => return Ok(()),
            Ok(true) => {}
            Err(Failure::Failed(error) | Failure::Invalid(error)) => return Err(error),
        }
        let start = Instant::now();
        while start.elapsed() < CAP {
            match self.outcome(target).await {
                (now, _) if now > taken => return Ok(()),
                (_, now) if now > refused => return Err(format!("Envoy refused {}; its log above says why", target.file)),
                _ => sleep(PERIOD).await,
            }
        }
        Err(format!("Envoy did not take {} within {CAP:?}", target.file))
    }

    /// Looks at the file and brings its changes to Envoy. Whatever is wrong is told, and the last good state goes on.
    async fn follow(&mut self) {
        let Some(next) = self.settled().await else { return };
        match next {
            Err(error) => report_error(&format!("{error}\nthe last good state keeps serving")),
            Ok(served) => {
                let lines = changes::describe(&self.served.releases, &served.releases);
                match self.apply(&served).await {
                    Ok(()) => {
                        self.served = served;
                        lines.iter().for_each(|line| say(line));
                    }
                    Err(error) => {
                        report_error(&format!("{error}; the last good state keeps serving"));
                        if let Err(Failure::Failed(error) | Failure::Invalid(error)) = self.write_all() {
                            report_error(&error);
                        }
                    }
                }
            }
        }
    }

    /// What the file says; `None` when that is nothing new.
    async fn settled(&mut self) -> Option<Result<Served, FileError>> {
        let start = Instant::now();
        loop {
            let text = match read(self.file) {
                Ok(text) if text == self.text => return None,
                // A file that is not there has been reported.
                Err(_) if self.text.is_empty() => return None,
                text => text,
            };
            let manifest = text.as_ref().map_err(Clone::clone).and_then(|text| manifest(self.file, text));
            let served = manifest.and_then(|manifest| resolve(self.file, manifest, &self.served.checked.state));
            // Text that does not parse may be half written; it is read again before anybody hears of it.
            if served.is_err() && start.elapsed() < SETTLE {
                sleep(PERIOD).await;
                continue;
            }
            self.text = text.unwrap_or_default();
            return Some(served);
        }
    }

    /// Brings a new state to Envoy so that no route ever names a cluster that is not there.
    async fn apply(&self, next: &Served) -> Result<(), String> {
        let (old, new) = (&self.served.spec, &next.spec);
        if (old.admin, old.workers) != (new.admin, new.workers) {
            report_error("spec.admin and spec.workers take effect when serin starts; the rest of the change is applied");
        }
        let (clusters, routes) = (envoy::clusters(new, &next.defaults), envoy::routes(new, &next.defaults));
        // A default that changes changes clusters too.
        if old.services != new.services || self.served.defaults != next.defaults {
            self.publish(&CLUSTERS, &envoy::clusters(&with_old(new, old, true), &next.defaults)).await?;
        }
        self.publish(&ROUTES, &envoy::routes(&with_old(new, old, false), &next.defaults)).await?;
        self.directory.keep(&next.checked.state).map_err(|failure| match failure {
            Failure::Failed(error) | Failure::Invalid(error) => error,
        })?;
        let document = next.checked.document.to_json();
        self.publish(&FILTER_CONFIG, &envoy::filter(&self.module, &document)).await?;
        self.publish(&LISTENER, &envoy::listener(new, self.directory.path())).await?;
        self.publish(&ROUTES, &routes).await?;
        self.publish(&CLUSTERS, &clusters).await
    }

    /// Lets requests that are under way end, and takes no new ones.
    async fn drain(&self) {
        self.admin.post("/healthcheck/fail").await;
        self.admin.post("/drain_listeners").await;
        let start = Instant::now();
        let active = format!("http.{STAT_PREFIX}.downstream_rq_active");
        while start.elapsed() < self.served.spec.drain_timeout.0 {
            match self.admin.stats(&active).await {
                Some(stats) if stats.get(&active).is_some_and(|active| *active > 0) => sleep(10 * PERIOD).await,
                _ => return,
            }
        }
        report_error(&format!("requests did not end within {:?}", self.served.spec.drain_timeout.0));
    }
}

/// The new services with the versions that they had before, and if asked for the services that are gone.
fn with_old(new: &StandaloneSpec, old: &StandaloneSpec, gone: bool) -> StandaloneSpec {
    let mut both = new.clone();
    for before in &old.services {
        match both.services.iter_mut().find(|service| (&service.host, service.port) == (&before.host, before.port)) {
            Some(service) => {
                for (version, addresses) in &before.versions {
                    service.versions.entry(version.clone()).or_insert_with(|| addresses.clone());
                }
            }
            None if gone => both.services.push(before.clone()),
            None => {}
        }
    }
    both
}
