//! Which releases wait for a pass: those that something changed for, in the order of the changes, and those that are due at a time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use serin_release::ReleaseId;

/// Releases in one batch, so that none waits long behind the first convergence of a large cluster.
const BATCH: usize = 100;

/// The queue of a leader.
#[derive(Debug, Default)]
pub(super) struct Queue {
    order: VecDeque<ReleaseId>,
    queued: BTreeSet<ReleaseId>,
    due: BTreeMap<ReleaseId, Instant>,
    times: BTreeSet<(Instant, ReleaseId)>,
    failures: BTreeMap<ReleaseId, u32>,
}

impl Queue {
    /// Puts a release at the end, unless it is queued already.
    pub(super) fn push(&mut self, id: ReleaseId) {
        if self.queued.insert(id.clone()) {
            self.order.push_back(id);
        }
    }

    /// Says when a release is to be looked at again, whatever happens before; `None` takes that back.
    pub(super) fn schedule(&mut self, id: &ReleaseId, at: Option<Instant>) {
        if let Some(before) = self.due.remove(id) {
            self.times.remove(&(before, id.clone()));
        }
        if let Some(at) = at {
            self.due.insert(id.clone(), at);
            self.times.insert((at, id.clone()));
        }
    }

    /// Schedules a release that failed, later with each failure in a row.
    pub(super) fn retry(&mut self, id: &ReleaseId, now: Instant) {
        let failures = self.failures.entry(id.clone()).or_insert(0);
        *failures += 1;
        let delay = backoff(*failures);
        self.schedule(id, Some(now + delay));
    }

    /// Takes in that a release did not fail.
    pub(super) fn succeeded(&mut self, id: &ReleaseId) {
        self.failures.remove(id);
    }

    /// Forgets a release that nothing is left of.
    pub(super) fn forget(&mut self, id: &ReleaseId) {
        self.schedule(id, None);
        self.failures.remove(id);
    }

    /// When the next release is due that waits for a time.
    pub(super) fn next(&self) -> Option<Instant> {
        self.times.first().map(|(at, _)| *at)
    }

    /// The releases of the next batch.
    pub(super) fn batch(&mut self, now: Instant) -> Vec<ReleaseId> {
        while let Some((_, id)) = self.times.first().filter(|(at, _)| *at <= now).cloned() {
            self.schedule(&id, None);
            self.push(id);
        }
        let batch: Vec<ReleaseId> = self.order.drain(..BATCH.min(self.order.len())).collect();
        for id in &batch {
            self.queued.remove(id);
        }
        batch
    }

    /// The number of releases that wait for nothing but their turn.
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }
}

/// How long to wait after so many failures in a row: from 0.2 s doubling to 30 s, with a quarter of jitter.
pub(super) fn backoff(failures: u32) -> Duration {
    let base = Duration::from_millis(200).saturating_mul(1 << failures.min(8)).min(Duration::from_secs(30));
    base.mul_f64(1.0 + fastrand::f64() / 4.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> ReleaseId {
        ReleaseId::new("shop", name)
    }

    #[test]
    fn releases_come_in_the_order_of_their_changes_and_once() {
        let mut queue = Queue::default();
        for name in ["c", "a", "c", "b"] {
            queue.push(id(name));
        }
        assert_eq!(queue.batch(Instant::now()), [id("c"), id("a"), id("b")]);
        assert_eq!(queue.batch(Instant::now()), []);
        queue.push(id("c"));
        assert_eq!((queue.len(), queue.batch(Instant::now())), (1, vec![id("c")]));
    }

    #[test]
    fn a_batch_is_bounded_and_nobody_is_left_behind() {
        let mut queue = Queue::default();
        (0..250).for_each(|number| queue.push(id(&format!("{number:03}"))));
        let first = queue.batch(Instant::now());
        // Whoever changes all the time goes behind those that wait.
        queue.push(first[0].clone());
        let rest = [queue.batch(Instant::now()), queue.batch(Instant::now())];
        assert_eq!([first.len(), rest[0].len(), rest[1].len(), queue.len()], [100, 100, 51, 0]);
        assert_eq!(rest[1].last(), Some(&first[0]));
    }

    #[test]
    fn a_time_is_kept_until_it_comes_or_changes() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        let after = |seconds| now + Duration::from_secs(seconds);
        queue.schedule(&id("a"), Some(after(5)));
        queue.schedule(&id("b"), Some(after(3)));
        queue.schedule(&id("a"), Some(after(2)));
        assert_eq!((queue.next(), queue.batch(now)), (Some(after(2)), vec![]));
        assert_eq!(queue.batch(after(4)), [id("a"), id("b")]);
        assert_eq!(queue.next(), None);
        queue.schedule(&id("a"), Some(after(5)));
        queue.forget(&id("a"));
        assert_eq!((queue.next(), queue.batch(after(9))), (None, vec![]));
    }

    #[test]
    fn failures_in_a_row_wait_longer_until_one_succeeds() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        let delay = |queue: &mut Queue| {
            queue.retry(&id("a"), now);
            queue.next().unwrap() - now
        };
        let first = delay(&mut queue);
        let tenth = (0..9).map(|_| delay(&mut queue)).last().unwrap();
        assert!(first < Duration::from_millis(500 + 1), "{first:?}");
        assert!(tenth >= Duration::from_secs(30), "{tenth:?}");
        queue.succeeded(&id("a"));
        assert!(delay(&mut queue) <= Duration::from_millis(500));
    }
}
