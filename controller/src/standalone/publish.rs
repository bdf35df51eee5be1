//! Brings a state to Envoy: writes its files, and asks it whether it has taken them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};

use super::admin::{Admin, Stats};
use super::files::{Directory, Disk, aside};
use super::look::listed;
use super::resolve::Served;
use super::steps::{MODULES, Resource, Step, Target, Warmth, change, whole};
use super::{envoy, message, state};
use crate::cli::{Failure, report_error, report_warning};

/// How long Envoy may take to serve, or to take a file.
const CAP: Duration = Duration::from_secs(30);
/// A look that comes so late shows that the machine stood still, and that does not count.
const STANDSTILL: Duration = Duration::from_secs(10);
/// How long Envoy may not have taken a file before it is written once more, which is a new event.
const NUDGE: Duration = Duration::from_secs(1);
/// How long all upstreams are waited for, those that need not be ready included.
const WARM: Duration = Duration::from_secs(5);
/// How long the bucket maps may take to be on the disk before a change goes on without.
const SYNC: Duration = Duration::from_secs(2);
/// The shortest and the longest time between two questions.
const PERIOD: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(100));

/// Asks again and again, less and less often.
struct Looks {
    start: Instant,
    last: Instant,
    period: Duration,
}

impl Looks {
    fn new() -> Self {
        let start = Instant::now();
        Self { start, last: start, period: PERIOD.0 }
    }

    fn elapsed(&self) -> Duration {
        self.last - self.start
    }

    /// Waits for the next look; false when there were enough.
    async fn next(&mut self) -> bool {
        if self.elapsed() >= CAP {
            return false;
        }
        sleep(self.period).await;
        self.period = (self.period + self.period / 10).min(PERIOD.1);
        let gap = self.last.elapsed();
        self.last += gap;
        if gap >= STANDSTILL {
            self.start += gap;
        }
        true
    }
}

/// What became of a change.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Applied {
    /// Envoy has it.
    Whole,
    /// There is a newer text, and Envoy has nothing of this one but clusters.
    Superseded,
}

/// The way to Envoy: the files that it watches, and what it says of them.
pub(super) struct Publisher {
    disk: Disk,
    /// What survives a loss of power waits for the disk, and Envoy's files need not wait for it.
    keeping: Disk,
    pub(super) admin: Admin,
    connections: u64,
    /// The version of each file that Envoy is known to have.
    known: BTreeMap<&'static str, String>,
    /// What the last change has written.
    written: Written,
}

#[derive(Clone, Copy, Debug, Default)]
struct Written {
    files: bool,
    maps: bool,
}

impl Publisher {
    pub(super) fn new(directory: Directory, admin: Admin, connections: u64) -> Self {
        let disk = Disk::new(directory);
        Self {
            keeping: disk.with_another_queue(),
            disk,
            admin,
            connections,
            known: BTreeMap::new(),
            written: Written::default(),
        }
    }

    /// Where Envoy's bootstrap is.
    pub(super) fn bootstrap(&self) -> std::path::PathBuf {
        self.disk.path().join("bootstrap.json")
    }

    /// Writes all files of a state, for an Envoy that starts on them.
    pub(super) async fn write_all(&mut self, served: Arc<Served>, history: Vec<u8>) -> Result<(), Failure> {
        self.known.clear();
        self.keep(history).await?;
        let connections = self.connections;
        self.disk.run(move |directory| write_all(directory, &served, connections)).await
    }

    /// Puts back what a change has written that Envoy did not take as a whole.
    pub(super) async fn restore(&mut self, served: Arc<Served>, history: Vec<u8>) -> Result<(), Failure> {
        let Written { files, maps } = std::mem::take(&mut self.written);
        if maps {
            self.keep(history).await?;
        }
        if files {
            self.known.clear();
            self.disk.run(move |directory| write_resources(directory, &served)).await?;
        }
        Ok(())
    }

    /// Waits until Envoy serves a state with the filter.
    pub(super) async fn ready(&mut self, served: &Arc<Served>) -> Result<(), String> {
        let (path, served) = (self.disk.path().to_owned(), Arc::clone(served));
        for resource in aside(move || whole(&path, &served)).await.map_err(message)? {
            self.taken(&resource, 0).await?;
        }
        let mut looks = Looks::new();
        while !self.admin.is_ready().await {
            if !looks.next().await {
                return Err(format!("Envoy did not serve within {CAP:?}; its log above says why"));
            }
        }
        Ok(())
    }

    /// Brings a new state to an Envoy that has the old one. While upstreams of the new one are waited for, it gives way to a
    /// newer text.
    pub(super) async fn apply(
        &mut self,
        (old, new): (Arc<Served>, Arc<Served>),
        history: Vec<u8>,
        newer: impl Future<Output = ()>,
    ) -> Result<Applied, String> {
        let path = self.disk.path().to_owned();
        let steps = aside(move || change(&path, &old, &new)).await.map_err(message)?;
        self.written = Written::default();
        let mut newer = std::pin::pin!(newer);
        let mut history = Some(history);
        for step in steps {
            match step {
                Step::Publish(resource) => self.publish(resource).await?,
                Step::Warm(clusters) => tokio::select! {
                    warm = self.warm(&clusters) => warm?,
                    () = &mut newer => return Ok(Applied::Superseded),
                },
                Step::Keep => {
                    self.keep(history.take().unwrap_or_default()).await.map_err(message)?;
                    self.written.maps = true;
                }
            }
        }
        Ok(Applied::Whole)
    }

    /// Writes the bucket maps, but does not wait for a disk that stands still.
    async fn keep(&self, history: Vec<u8>) -> Result<(), Failure> {
        let keeping = self.keeping.clone();
        let mut kept =
            tokio::spawn(async move { keeping.run(move |directory| directory.keep(state::NAME, &history)).await });
        let ended = |error| Err(Failure::running("a worker has ended", error));
        if let Ok(kept) = timeout(SYNC, &mut kept).await {
            return kept.unwrap_or_else(ended);
        }
        report_warning(
            "the bucket maps are not on the disk yet; the change goes on, and they are written as soon as the disk answers",
        );
        tokio::spawn(async move {
            if let Err(failure) = kept.await.unwrap_or_else(ended) {
                report_error(&message(failure));
            }
        });
        Ok(())
    }

    /// Replaces a file and waits until Envoy has taken it.
    async fn publish(&mut self, resource: Resource) -> Result<(), String> {
        let target = resource.target;
        if self.known.get(target.file) == Some(&resource.version) {
            return Ok(());
        }
        self.known.remove(target.file);
        let refused = self.admin.stats(target.stats).await.map_or(u64::MAX, |stats| target.refused(&stats));
        let text = resource.text.clone();
        self.disk.run(move |directory| directory.write(target.file, text.as_bytes())).await.map_err(message)?;
        self.written.files = true;
        self.taken(&resource, refused).await
    }

    /// Waits until Envoy has taken a version of a file; writes it once more where Envoy seems not to have seen it.
    async fn taken(&mut self, resource: &Resource, refused: u64) -> Result<(), String> {
        let target = resource.target;
        let (mut looks, mut nudge) = (Looks::new(), NUDGE);
        loop {
            match self.admin.stats(target.stats).await {
                Some(stats) if stats.text(&format!("{}version_text", target.stats)) == resource.version => {
                    self.known.insert(target.file, resource.version.clone());
                    return Ok(());
                }
                Some(stats) if target.refused(&stats) > refused => {
                    return Err(format!("Envoy refused {}; its log above says why", target.file));
                }
                // Only an Envoy that answers has missed something.
                Some(_) if looks.elapsed() >= nudge => {
                    nudge *= 2;
                    let text = resource.text.clone();
                    self.disk
                        .run(move |directory| directory.replace(target.file, text.as_bytes()))
                        .await
                        .map_err(message)?;
                }
                _ => {}
            }
            if !looks.next().await {
                return Err(format!("Envoy did not take {} within {CAP:?}", target.file));
            }
        }
    }

    /// Waits until clusters can take requests: names are resolved, upstreams probed. Those that nobody needs yet are not waited
    /// for as long as the others.
    async fn warm(&self, Warmth { wanted, needed }: &Warmth) -> Result<(), String> {
        let all = "cluster_manager.warming_clusters";
        let mut looks = Looks::new();
        let mut left = wanted.clone();
        loop {
            match self.admin.stats(all).await {
                Some(stats) if stats.number(all) == 0 => return Ok(()),
                Some(_) => {
                    let warming = self.admin.warming_clusters().await.unwrap_or_else(|| left.clone());
                    left = warming.intersection(wanted).cloned().collect();
                }
                None => {}
            }
            let names: Vec<_> = left.iter().collect();
            if left.is_empty() {
                return Ok(());
            }
            if left.is_disjoint(needed) && looks.elapsed() >= WARM {
                report_warning(&format!("upstreams are not ready yet, and the change goes on: {}", listed(&names)));
                return Ok(());
            }
            if !looks.next().await {
                return Err(format!("new upstreams did not become ready within {CAP:?}: {}", listed(&names)));
            }
        }
    }

    /// Lets requests that are under way end, and takes no new ones; false when some are left.
    pub(super) async fn drain(&self, most: Duration) -> bool {
        self.admin.post("/healthcheck/fail").await;
        self.admin.post("/drain_listeners").await;
        let start = Instant::now();
        let active = format!("http.{}.downstream_rq_active", envoy::STAT_PREFIX);
        let mut quiet = 0;
        while start.elapsed() < most {
            match self.admin.stats(&active).await {
                Some(stats) if stats.number(&active) > 0 => quiet = 0,
                // A request may have been on its way to a worker while the first answer was written.
                Some(_) if quiet < 2 => quiet += 1,
                _ => return true,
            }
            sleep(10 * PERIOD.0).await;
        }
        false
    }
}

fn write_all(directory: &Directory, served: &Served, connections: u64) -> Result<(), Failure> {
    for (module, bytes) in MODULES {
        directory.write(module, bytes)?;
    }
    write_resources(directory, served)?;
    let bootstrap = envoy::bootstrap(&served.spec, directory.path(), connections);
    directory.write("bootstrap.json", bootstrap.to_string().as_bytes())
}

fn write_resources(directory: &Directory, served: &Served) -> Result<(), Failure> {
    // The clusters come last: until then those of the state that was refused are there as well.
    for resource in whole(directory.path(), served).iter().rev() {
        directory.write(resource.target.file, resource.text.as_bytes())?;
    }
    Ok(())
}

impl Target {
    fn refused(&self, stats: &Stats) -> u64 {
        let count = |name: &str| stats.number(&format!("{}{name}", self.stats));
        count("update_rejected") + count("update_failure")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::os::unix::fs::MetadataExt;
    use std::path::PathBuf;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const TARGET: &Target = &Target { file: "rds.json", stats: "rds." };

    fn publisher(directory: &tempfile::TempDir, admin: std::net::SocketAddr) -> Publisher {
        Publisher::new(Directory::open(directory.path()).unwrap(), Admin::new(admin), 16)
    }

    fn resource(version: &str) -> Resource {
        Resource { target: TARGET, version: version.to_owned(), text: format!("text of {version}") }
    }

    /// An Envoy that misses the first so many events of a file: it says that it has a version once the file was moved there
    /// more often.
    async fn envoy_that_misses(events: usize, file: PathBuf) -> std::net::SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let mut seen = BTreeSet::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 1024];
                assert!(stream.read(&mut request).await.unwrap() > 0);
                seen.extend(std::fs::metadata(&file).map(|file| (file.ino(), file.mtime_nsec())));
                let version = if seen.len() > events { "v7" } else { "v6" };
                let body = format!("rds.update_rejected: 0\nrds.version_text: \"{version}\"\n");
                let length = body.len();
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        address
    }

    #[tokio::test]
    async fn an_event_that_envoy_has_missed_is_made_once_more() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(TARGET.file);
        let admin = envoy_that_misses(2, file.clone()).await;
        let mut publisher = publisher(&directory, admin);
        let start = Instant::now();
        publisher.publish(resource("v7")).await.unwrap();
        // The first event, one after a second and one after two.
        assert!(start.elapsed() >= 2 * NUDGE, "{:?}", start.elapsed());
        assert_eq!(std::fs::read_to_string(file).unwrap(), "text of v7");
    }

    #[tokio::test]
    async fn what_envoy_is_known_to_have_is_not_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(TARGET.file);
        let mut publisher = publisher(&directory, envoy_that_misses(0, file.clone()).await);
        publisher.publish(resource("v7")).await.unwrap();
        let written = std::fs::metadata(&file).unwrap().ino();
        // Nobody answers at this address.
        publisher.admin = Admin::new(std::net::SocketAddr::from(([127, 0, 0, 1], 1)));
        publisher.publish(resource("v7")).await.unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().ino(), written);
    }
}
