//! The loop: start, follow the file, keep Envoy alive, drain.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;

use super::admin::Admin;
use super::files::Directory;
use super::process::{self, Envoy};
use super::publish::Publisher;
use super::resolve::{Served, resolve};
use super::watch::Watch;
use super::{changes, manifest, message, read};
use crate::cli::{Failure, report_error};
use crate::file::FileError;

/// How long a file must stay the same to count as written.
const QUIET: Duration = Duration::from_millis(10);
/// How long a file that does not parse may be one that is still being written.
const SETTLE: Duration = Duration::from_millis(100);
/// How often the file is read although nothing tells of a change: some file systems tell nothing.
const LOOK: Duration = Duration::from_secs(2);
/// How long an address may be one that an Envoy which is ending still has.
const VACATE: Duration = Duration::from_secs(2);
/// The shortest and the longest time between two starts of an Envoy that keeps ending.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// A file's text, or why it cannot be read.
type Text = Result<Vec<u8>, FileError>;

/// What is running.
struct Server<'a> {
    file: &'a Path,
    publisher: Publisher,
    served: Served,
    /// The text that was looked at last, good or bad.
    seen: Text,
    /// The text that Envoy is being brought to.
    under_way: Option<Text>,
    /// The text during whose way to Envoy an Envoy has ended.
    deadly: Option<Text>,
}

/// The signals that end serin.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Serves a file until SIGTERM.
pub(super) async fn serve(file: &Path, directory: &Path) -> Result<(), Failure> {
    let mut stop = Stop { terminate: on(SignalKind::terminate())?, interrupt: on(SignalKind::interrupt())? };
    let mut hangup = on(SignalKind::hangup())?;
    // Watched before it is read, so that no change is lost.
    let mut watch = Watch::of(file)?;
    let (mut server, binary) = (Server::prepare(file, directory)?, process::find()?);
    server.check_addresses().await?;
    let mut envoy = server.start(&binary)?;
    server.announce();
    tokio::select! {
        ready = server.publisher.ready(&server.served) => ready.map_err(Failure::Failed)?,
        _ = envoy.ended() => return Err(Failure::Failed("Envoy ended while starting; its log above says why".into())),
        () = stop.asked() => {
            envoy.stop(server.publisher.admin).await;
            return Ok(());
        }
    }
    server.say_serving("serving");
    let (mut backoff, mut again) = (BACKOFF.0, false);
    loop {
        let work = async {
            if std::mem::take(&mut again) {
                server.ready_again().await;
            }
            tokio::select! {
                () = watch.changed() => {}
                _ = hangup.recv() => {}
                () = sleep(LOOK) => {}
            }
            server.follow().await;
        };
        let status = tokio::select! {
            () = work => continue,
            () = stop.asked() => break,
            status = envoy.ended() => status,
        };
        let how = status.map_or_else(|| "in an unknown way".to_owned(), |status| format!("with {status}"));
        report_error(&format!("Envoy ended {how}"));
        server.interrupted();
        if envoy.age() > BACKOFF.1 {
            backoff = BACKOFF.0;
        }
        envoy = loop {
            report_error(&format!("starting it again in {backoff:?}"));
            tokio::select! {
                () = sleep(backoff) => {}
                () = stop.asked() => return Ok(()),
            }
            backoff = (2 * backoff).min(BACKOFF.1);
            match server.start(&binary) {
                Ok(envoy) => break envoy,
                Err(failure) => report_error(&message(failure)),
            }
        };
        again = true;
    }
    say("draining; a second signal ends at once");
    let most = server.served.spec.drain_timeout.0;
    tokio::select! {
        drained = server.publisher.drain(most) => if !drained {
            report_error(&format!("requests did not end within {most:?}"));
        },
        () = stop.asked() => {}
    }
    envoy.stop(server.publisher.admin).await;
    Ok(())
}

fn on(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|error| Failure::running("signals cannot be received", error))
}

fn say(message: &str) {
    let green = anstyle::AnsiColor::Green.on_default().bold();
    anstream::eprintln!("{green}serin{green:#} {message}");
}

fn warn(message: &str) {
    let yellow = anstyle::AnsiColor::Yellow.on_default().bold();
    anstream::eprintln!("{yellow}warning:{yellow:#} {message}");
}

impl<'a> Server<'a> {
    fn prepare(file: &'a Path, directory: &Path) -> Result<Self, Failure> {
        let text = read(file)?;
        let manifest = manifest(file, &text)?;
        // Once without the directory, so that an error of the file makes none.
        resolve(file, manifest.clone(), &crate::release::State::default())?;
        let directory = Directory::open(directory)?;
        let served = resolve(file, manifest, &directory.state()?)?;
        let publisher = Publisher { directory, admin: Admin::new(served.spec.admin) };
        Ok(Self { file, publisher, served, seen: Ok(text), under_way: None, deadly: None })
    }

    /// Envoy would only log that an address is taken, and serve nothing there.
    async fn check_addresses(&self) -> Result<(), Failure> {
        let start = Instant::now();
        let free = |address: SocketAddr| TcpListener::bind(address).map(drop);
        for (name, address) in [("listen", self.served.spec.listen), ("admin", self.served.spec.admin)] {
            while let Err(error) = free(address) {
                if error.kind() != std::io::ErrorKind::AddrInUse || start.elapsed() >= VACATE {
                    let problem = format!("spec.{name}: nobody can listen on `{address}`: {error}; use another address");
                    return Err(Failure::Failed(format!("{}: {problem}", self.file.display())));
                }
                sleep(QUIET).await;
            }
        }
        Ok(())
    }

    /// Writes all files as they are now and starts Envoy on them.
    fn start(&self, binary: &Path) -> Result<Envoy, Failure> {
        self.publisher.write_all(&self.served)?;
        Envoy::start(binary, &self.publisher.directory.path().join("bootstrap.json"), self.served.spec.workers)
    }

    fn announce(&self) {
        changes::services(&[], &self.served.spec.services).iter().for_each(|line| say(line));
        changes::releases(&[], &self.served.releases).iter().for_each(|line| say(line));
        self.served.warnings.iter().for_each(|warning| warn(warning));
    }

    fn say_serving(&self, word: &str) {
        let spec = &self.served.spec;
        say(&format!("{word} on {}, metrics at {}/stats/prometheus", spec.listen, spec.admin));
    }

    async fn ready_again(&self) {
        match self.publisher.ready(&self.served).await {
            Ok(()) => self.say_serving("serving again"),
            Err(error) => report_error(&error),
        }
    }

    /// Looks at the file and brings its changes to Envoy. Whatever is wrong is told, and the last good state goes on.
    async fn follow(&mut self) {
        let Some((text, next)) = self.settled().await else { return };
        match next {
            Err(error) => report_error(&format!("{error}\nthe last good state keeps serving")),
            Ok(mut next) => {
                let (old, new) = (&self.served.spec, &mut next.spec);
                if (old.admin, old.workers) != (new.admin, new.workers) {
                    warn("spec.admin and spec.workers take effect when serin starts; the rest of the change is applied");
                    (new.admin, new.workers) = (old.admin, old.workers);
                }
                self.under_way = Some(text.clone());
                match self.publisher.apply(&self.served, &next).await {
                    Ok(()) => self.adopt(next),
                    Err(error) => {
                        report_error(&format!("{error}; the last good state keeps serving"));
                        if let Err(failure) = self.publisher.write_all(&self.served) {
                            report_error(&message(failure));
                        }
                    }
                }
                (self.under_way, self.deadly) = (None, None);
            }
        }
        self.seen = text;
    }

    fn adopt(&mut self, next: Served) {
        let old = std::mem::replace(&mut self.served, next);
        let new = &self.served;
        changes::services(&old.spec.services, &new.spec.services).iter().for_each(|line| say(line));
        changes::settings(&old.spec, &new.spec).iter().for_each(|line| say(line));
        changes::releases(&old.releases, &new.releases).iter().for_each(|line| say(line));
        new.warnings.iter().filter(|warning| !old.warnings.contains(warning)).for_each(|warning| warn(warning));
    }

    /// An Envoy has ended. A change that was on its way is tried once more, since it need not have been the cause.
    fn interrupted(&mut self) {
        let Some(text) = self.under_way.take() else { return };
        if self.deadly.as_ref() == Some(&text) {
            report_error("Envoy ended twice at this change; the last good state keeps serving");
            self.seen = text;
            self.deadly = None;
        } else {
            self.deadly = Some(text);
        }
    }

    /// The file as it is once it stops changing; `None` when it says nothing new.
    async fn settled(&self) -> Option<(Text, Result<Served, FileError>)> {
        let start = Instant::now();
        loop {
            let text = read(self.file);
            if text == self.seen {
                return None;
            }
            sleep(QUIET).await;
            // Half of a file may be a valid one.
            if read(self.file) != text && start.elapsed() < 10 * SETTLE {
                continue;
            }
            let parsed = text.clone().and_then(|text| manifest(self.file, &text));
            let next = parsed.and_then(|manifest| resolve(self.file, manifest, &self.served.checked.state));
            if next.is_ok() || start.elapsed() >= SETTLE {
                return Some((text, next));
            }
        }
    }
}
