//! What counters grew by: readings come in, figures of a window and of the last half hour go out. Pure; the time comes in.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;

use crate::figures::{Point, ReleaseFigures, Served};
use crate::stats::increase;

/// The window of figures, in seconds.
pub const WINDOW: i64 = 300;
/// The time behind a point of the past, in seconds, and how many points there are: half an hour.
const POINT: i64 = 10;
const POINTS: usize = 180;

/// Something of each version, by release and version.
pub type ByVersion<T> = BTreeMap<(String, String), T>;

/// Counters of all releases at one moment, as they stand.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// Decisions, by release, version and reason.
    pub decided: BTreeMap<(String, String, String), u64>,
    /// What upstreams served, by release and version.
    pub served: ByVersion<Served>,
}

/// What grew from one reading to the next.
#[derive(Clone, Debug)]
struct Growth {
    at: Timestamp,
    growth: Reading,
}

/// The readings until now.
#[derive(Clone, Debug, Default)]
pub struct Past {
    last: Option<(Timestamp, Reading)>,
    window: VecDeque<Growth>,
    /// Since when the newest point is counted, and what it has.
    point: Option<(Timestamp, ByVersion<Served>)>,
    points: ByVersion<VecDeque<Point>>,
}

impl Past {
    /// Takes a reading of one process. Where a counter fell it was started again, and all of them began anew.
    pub fn read(&mut self, at: Timestamp, reading: Reading) {
        if let Some((_, before)) = &self.last {
            let growth = growth(before, &reading);
            self.count(at, &growth.served);
            self.window.push_back(Growth { at, growth });
        }
        let oldest = at.as_second() - WINDOW;
        while self.window.front().is_some_and(|first| first.at.as_second() <= oldest) {
            self.window.pop_front();
        }
        self.last = Some((at, reading));
    }

    /// Adds to the point under way, and begins another one where it is over.
    fn count(&mut self, at: Timestamp, served: &ByVersion<Served>) {
        let begun = self.last.as_ref().map_or(at, |(before, _)| *before);
        let (since, sum) = self.point.get_or_insert_with(|| (begun, BTreeMap::new()));
        for (key, own) in served {
            add(sum.entry(key.clone()).or_default(), own);
        }
        let seconds = at.as_second() - since.as_second();
        if seconds < POINT {
            return;
        }
        let sum = std::mem::take(sum);
        self.point = Some((at, BTreeMap::new()));
        for (key, served) in sum {
            let rate = served.requests as f64 / seconds as f64;
            let p99 = served.quantile(0.99).map(|range| range.point);
            let points = self.points.entry(key).or_default();
            points.push_back(Point { at, rate, success: served.success(), p99 });
            while points.len() > POINTS {
                points.pop_front();
            }
        }
    }

    /// For how many seconds there are figures, at most [`WINDOW`].
    #[must_use]
    pub fn seconds(&self) -> u32 {
        let (Some(first), Some((last, _))) = (self.window.front(), &self.last) else { return 0 };
        // What the first growth is about began one reading before.
        let seconds = last.as_second() - first.at.as_second() + 1;
        u32::try_from(seconds.clamp(1, WINDOW)).unwrap_or(0)
    }

    /// The figures of the window, by release.
    #[must_use]
    pub fn figures(&self) -> BTreeMap<String, ReleaseFigures> {
        let mut releases: BTreeMap<String, ReleaseFigures> = BTreeMap::new();
        for Growth { growth, .. } in &self.window {
            for ((release, version, reason), count) in &growth.decided {
                let own = releases.entry(release.clone()).or_default();
                *own.decided.entry(version.clone()).or_default().entry(reason.clone()).or_default() += count;
            }
            for ((release, version), served) in &growth.served {
                let own = releases.entry(release.clone()).or_default();
                add(own.served.entry(version.clone()).or_default(), served);
            }
        }
        for ((release, version), points) in &self.points {
            let own = releases.entry(release.clone()).or_default();
            own.past.insert(version.clone(), points.iter().copied().collect());
        }
        releases
    }
}

fn add(sum: &mut Served, more: &Served) {
    sum.requests += more.requests;
    sum.failures += more.failures;
    sum.elsewhere += more.elsewhere;
    sum.times = sum.times.with(&more.times);
}

/// What grew between two readings. A version that was read with no requests is there with none.
fn growth(before: &Reading, now: &Reading) -> Reading {
    let fell = |key, earlier: &Served| now.served.get(key).is_some_and(|served| served.requests < earlier.requests);
    let is_less = |key, earlier: &u64| now.decided.get(key).is_some_and(|count| count < earlier);
    let is_anew = before.served.iter().any(|(key, earlier)| fell(key, earlier))
        || before.decided.iter().any(|(key, earlier)| is_less(key, earlier));
    let nothing = Reading::default();
    let before = if is_anew { &nothing } else { before };
    let decided = now.decided.iter().map(|(key, count)| {
        let earlier = before.decided.get(key).copied().unwrap_or(0);
        (key.clone(), increase(earlier, *count))
    });
    let served = now.served.iter().map(|(key, served)| {
        let empty = Served::default();
        let earlier = before.served.get(key).unwrap_or(&empty);
        let grown = Served {
            requests: increase(earlier.requests, served.requests),
            failures: increase(earlier.failures, served.failures),
            elsewhere: increase(earlier.elsewhere, served.elsewhere),
            times: served.times.since(&earlier.times),
        };
        (key.clone(), grown)
    });
    Reading { decided: decided.filter(|(_, count)| *count > 0).collect(), served: served.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Bins;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn reading(decided: u64, requests: u64, failures: u64, slow: u64) -> Reading {
        let key = |reason: &str| ("a/b".to_owned(), "v2".to_owned(), reason.to_owned());
        let times = Bins::detailed(&[(1.0, 0.1, requests - slow), (100.0, 10.0, slow)]);
        Reading {
            decided: [(key("weight"), decided), (key("rule"), 7)].into(),
            served: [(("a/b".to_owned(), "v2".to_owned()), Served { requests, failures, times, elsewhere: 0 })].into(),
        }
    }

    #[test]
    fn figures_are_what_grew_and_never_negative() {
        let mut past = Past::default();
        assert_eq!((past.seconds(), past.figures().len()), (0, 0));
        past.read(at(100), reading(10, 10, 1, 0));
        assert_eq!((past.seconds(), past.figures().len()), (0, 0), "what was there before is no figure");
        past.read(at(101), reading(30, 28, 2, 0));
        past.read(at(102), reading(40, 38, 2, 5));
        let figures = past.figures();
        let own = &figures["a/b"];
        assert_eq!(own.decided, [("v2".to_owned(), [("weight".to_owned(), 30)].into())].into());
        assert_eq!((own.served["v2"].requests, own.served["v2"].failures, past.seconds()), (28, 1, 2));
        assert_eq!(own.served["v2"].times.total(), 28.0);
        assert_eq!(own.served["v2"].quantile(0.99).unwrap().high, 110.0);
        // Envoy began again.
        past.read(at(103), reading(4, 4, 3, 0));
        let own = &past.figures()["a/b"];
        assert_eq!((own.by_weight("v2"), own.served["v2"].requests, own.served["v2"].failures), (34, 32, 4));
    }

    #[test]
    fn a_window_ends_and_half_an_hour_has_points() {
        let mut past = Past::default();
        for second in 0..=2_000 {
            past.read(at(second), reading(second as u64, second as u64, 0, 0));
        }
        let figures = past.figures();
        let own = &figures["a/b"];
        assert_eq!((past.seconds(), own.by_weight("v2"), own.served["v2"].requests), (300, 300, 300));
        let points = &own.past["v2"];
        assert_eq!((points.len(), points[0].at, points[179].at), (180, at(210), at(2_000)));
        assert!(points.iter().all(|point| point.rate == 1.0 && point.success == Some(1.0)));
    }
}
