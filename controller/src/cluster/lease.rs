//! Leadership by a Lease, such that a leader that is cut off stops before another one starts.
//!
//! As in client-go, nobody's clock is compared with anybody else's: a candidate takes a lease over when it has seen no change
//! of it for the lease's duration, by its own monotonic clock. A leader counts from the moment *before* it sent the renewal
//! that succeeded, and gives up two thirds of the duration after it; the rest is longer than a write may take.
//! (kube has no leader election; the crates that do either compare wall clocks or keep leading while the API server is away.)

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Api, ObjectMeta, PostParams};
use kube::{Client, Error};
use tokio::time::{Instant, sleep, timeout};

/// The times of a lease, all from its duration.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// After so long without a change others may take the lease.
    pub duration: Duration,
}

impl Timing {
    /// A leader that could not renew for so long stops.
    fn renew_within(self) -> Duration {
        self.duration * 10 / 15
    }

    /// How often it renews, and how often others look.
    fn period(self) -> Duration {
        self.duration * 2 / 15
    }

    /// How long a request may take: a write that was begun as a leader ends before another leader starts.
    #[must_use]
    pub fn request(self) -> Duration {
        self.duration * 4 / 15
    }
}

/// Says whether this process leads now.
#[derive(Clone, Debug, Default)]
pub struct Fence(Arc<Mutex<Option<Instant>>>);

impl Fence {
    /// Whether this process leads: to be asked before every write.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.0.lock().is_ok_and(|until| until.is_some_and(|until| Instant::now() < until))
    }

    fn set(&self, until: Option<Instant>) {
        if let Ok(mut held) = self.0.lock() {
            *held = until;
        }
    }
}

/// A candidate for a lease.
pub struct Candidate {
    api: Api<Lease>,
    name: String,
    identity: String,
    fence: Fence,
    timing: Timing,
    /// The state of the lease that was seen last, and when it was first seen so.
    seen: Option<(Option<String>, Instant)>,
    /// For how long nobody held it when this process took it, as far as clocks agree. Nothing is decided by it that must be right.
    gap: Duration,
}

impl Candidate {
    /// A candidate by this name; `identity` differs between all processes that may ever run.
    #[must_use]
    pub fn new(client: Client, namespace: &str, name: &str, identity: &str, fence: Fence, timing: Timing) -> Self {
        let api = Api::namespaced(client, namespace);
        Self { api, name: name.to_owned(), identity: identity.to_owned(), fence, timing, seen: None, gap: Duration::ZERO }
    }

    /// Whether nobody held the lease for much longer than it takes to notice that.
    #[must_use]
    pub fn was_vacant(&self) -> bool {
        self.gap > 2 * self.timing.duration
    }

    /// Waits until this process leads.
    pub async fn acquire(&mut self) {
        loop {
            let started = Instant::now();
            match self.attempt(started).await {
                Ok(true) => {
                    self.fence.set(Some(started + self.timing.renew_within()));
                    return;
                }
                Ok(false) => {}
                Err(error) => tracing::warn!(lease = self.name, error, "cannot reach the lease; trying again"),
            }
            // A tenth of jitter, so that candidates do not meet again and again.
            sleep(self.timing.period().mul_f64(1.0 + fastrand::f64() / 10.0)).await;
        }
    }

    /// Renews until that fails for too long, then returns: this process leads no more.
    pub async fn hold(&mut self) {
        let mut until = Instant::now() + self.timing.renew_within();
        loop {
            sleep(self.timing.period().min(until.saturating_duration_since(Instant::now()))).await;
            let started = Instant::now();
            if started >= until {
                break;
            }
            match self.attempt(started).await {
                Ok(true) => {
                    until = started + self.timing.renew_within();
                    self.fence.set(Some(until));
                }
                Ok(false) => {
                    tracing::warn!(lease = self.name, "another controller took the lease");
                    break;
                }
                Err(error) => tracing::warn!(lease = self.name, error, "cannot renew the lease; trying again"),
            }
        }
        self.fence.set(None);
    }

    /// Gives the lease up, so that another controller need not wait.
    pub async fn release(&mut self) {
        self.fence.set(None);
        let Ok(Ok(Some(mut lease))) = timeout(self.timing.request(), self.api.get_opt(&self.name)).await else { return };
        let Some(spec) = lease.spec.as_mut().filter(|spec| spec.holder_identity.as_deref() == Some(&self.identity)) else {
            return;
        };
        spec.holder_identity = None;
        if let Ok(Err(error)) =
            timeout(self.timing.request(), self.api.replace(&self.name, &PostParams::default(), &lease)).await
        {
            tracing::warn!(lease = self.name, error = %super::cause(&error), "cannot give the lease up; it runs out");
        }
    }

    /// One look at the lease; true when this process holds it now.
    async fn attempt(&mut self, now: Instant) -> Result<bool, String> {
        let patience = self.timing.request();
        let request = async {
            let current = self.api.get_opt(&self.name).await?;
            let Some(next) = self.next(current, now) else { return Ok(false) };
            let written = match next.metadata.resource_version {
                Some(_) => self.api.replace(&self.name, &PostParams::default(), &next).await,
                None => self.api.create(&PostParams::default(), &next).await,
            };
            match written {
                Ok(lease) => {
                    self.seen = Some((lease.metadata.resource_version, now));
                    Ok(true)
                }
                // Somebody else wrote it in between.
                Err(Error::Api(status)) if status.code == 409 => Ok(false),
                Err(error) => Err(error),
            }
        };
        match timeout(patience, request).await {
            Ok(result) => result.map_err(|error| super::cause(&error)),
            Err(_) => Err(format!("no answer within {patience:?}")),
        }
    }

    /// The lease as this process would write it, or `None` while another one holds it.
    fn next(&mut self, current: Option<Lease>, now: Instant) -> Option<Lease> {
        let Some(mut lease) = current else {
            let metadata = ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
            return Some(Lease { metadata, spec: Some(self.held(None)) });
        };
        let version = lease.metadata.resource_version.clone();
        if self.seen.as_ref().is_none_or(|(known, _)| *known != version) {
            self.seen = Some((version, now));
        }
        let spec = lease.spec.take();
        let holder = spec.as_ref().and_then(|spec| spec.holder_identity.clone()).filter(|holder| !holder.is_empty());
        let idle = self.seen.as_ref().map_or(Duration::ZERO, |(_, since)| now.saturating_duration_since(*since));
        let told =
            spec.as_ref().and_then(|spec| spec.lease_duration_seconds).and_then(|seconds| u64::try_from(seconds).ok());
        let free = match holder.as_deref() {
            None => true,
            Some(holder) if holder == self.identity => true,
            Some(_) => idle >= told.map_or(self.timing.duration, Duration::from_secs),
        };
        if free && holder.as_deref() != Some(&self.identity) {
            let renewed = spec.as_ref().and_then(|spec| spec.renew_time.as_ref());
            let since = renewed.map(|renewed| Timestamp::now().duration_since(renewed.0));
            self.gap = since.and_then(|since| Duration::try_from(since).ok()).unwrap_or_default();
        }
        lease.spec = free.then(|| self.held(spec));
        free.then_some(lease)
    }

    fn held(&self, before: Option<LeaseSpec>) -> LeaseSpec {
        let before = before.unwrap_or_default();
        let mine = before.holder_identity.as_deref() == Some(&self.identity);
        let now = Some(MicroTime(Timestamp::now()));
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(self.timing.duration.as_secs()).ok(),
            acquire_time: if mine { before.acquire_time } else { now.clone() },
            renew_time: now,
            lease_transitions: Some(before.lease_transitions.unwrap_or(0) + i32::from(!mine)),
            ..before
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMING: Timing = Timing { duration: Duration::from_secs(15) };

    /// A candidate that never asks anybody.
    fn candidate(identity: &str) -> Candidate {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config = kube::Config::new("http://127.0.0.1:1".parse().unwrap());
        Candidate::new(Client::try_from(config).unwrap(), "serin-system", "serin", identity, Fence::default(), TIMING)
    }

    fn lease(holder: &str, revision: &str) -> Lease {
        let metadata = ObjectMeta { resource_version: Some(revision.to_owned()), ..ObjectMeta::default() };
        let spec = LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: Some(15),
            lease_transitions: Some(3),
            // By somebody whose clock is wrong: nobody compares it.
            renew_time: Some(MicroTime(Timestamp::UNIX_EPOCH)),
            acquire_time: Some(MicroTime(Timestamp::UNIX_EPOCH)),
            ..LeaseSpec::default()
        };
        Lease { metadata, spec: Some(spec) }
    }

    fn holder(lease: Option<Lease>) -> Option<String> {
        lease?.spec?.holder_identity
    }

    #[tokio::test]
    async fn a_lease_that_nobody_holds_is_taken() {
        let now = Instant::now();
        assert_eq!(holder(candidate("a").next(None, now)), Some("a".to_owned()));
        assert_eq!(holder(candidate("a").next(Some(lease("", "1")), now)), Some("a".to_owned()));
    }

    #[tokio::test]
    async fn a_lease_is_taken_over_once_it_has_not_changed_for_its_duration() {
        let (mut a, start) = (candidate("a"), Instant::now());
        let after = |milliseconds| start + Duration::from_millis(milliseconds);
        assert_eq!(holder(a.next(Some(lease("b", "1")), start)), None);
        assert_eq!(holder(a.next(Some(lease("b", "1")), after(14_999))), None);
        // It was renewed: the time begins anew.
        assert_eq!(holder(a.next(Some(lease("b", "2")), after(15_000))), None);
        assert_eq!(holder(a.next(Some(lease("b", "2")), after(29_999))), None);
        let taken = a.next(Some(lease("b", "2")), after(30_000)).unwrap();
        let spec = taken.spec.clone().unwrap();
        assert_eq!((spec.holder_identity.as_deref(), spec.lease_transitions), (Some("a"), Some(4)));
        assert_ne!(spec.acquire_time, Some(MicroTime(Timestamp::UNIX_EPOCH)));
        // Whoever was quicker wins.
        assert_eq!(taken.metadata.resource_version.as_deref(), Some("2"));
    }

    #[tokio::test]
    async fn a_holder_renews_without_a_transition() {
        let spec = candidate("a").next(Some(lease("a", "1")), Instant::now()).unwrap().spec.unwrap();
        assert_eq!((spec.lease_transitions, spec.acquire_time), (Some(3), Some(MicroTime(Timestamp::UNIX_EPOCH))));
        assert_ne!(spec.renew_time, Some(MicroTime(Timestamp::UNIX_EPOCH)));
    }

    #[test]
    fn a_leader_stops_so_early_that_its_last_write_is_over_when_another_one_starts() {
        for seconds in [3, 15, 300] {
            let timing = Timing { duration: Duration::from_secs(seconds) };
            assert!(timing.renew_within() + timing.request() < timing.duration);
            assert!(timing.period() + timing.request() < timing.renew_within());
        }
        let fence = Fence::default();
        assert!(!fence.holds());
        fence.set(Some(Instant::now() + Duration::from_secs(60)));
        assert!(fence.holds());
        fence.set(Some(Instant::now()));
        assert!(!fence.holds());
    }
}
