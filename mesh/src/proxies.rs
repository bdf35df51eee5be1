//! What proxies have and who passes them by, as metric sources tell. No client required; the time comes in.
//!
//! A proxy's filter tells the checksum of the document that decides. Publications are numbered: a proxy whose document was in force
//! until publication 7 has every change up to that one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serin_release::ReleaseId;

use crate::entry::Scope;

/// So many documents are known by their checksums; what is older is a document of somebody else's.
const REMEMBERED: usize = 10_000;

/// What a metric source tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// The number of proxies by the checksum of their document.
    pub documents: BTreeMap<u32, u64>,
    /// Hosts that are called by somebody who has no proxy.
    pub called_without_proxy: BTreeSet<String>,
}

/// How far the last change of a release has come. Sources go by their names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Arrival<'a> {
    /// Nobody tells, or it is on its way.
    #[default]
    Unknown,
    /// All proxies of a source have it.
    Everywhere(&'a str),
    /// Some proxies of a source do not have it, though they had the time.
    Behind(&'a str),
}

/// What metric sources tell of one release.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen<'a> {
    /// How far its last change has come.
    pub arrival: Arrival<'a>,
    /// The source that knows of callers without a proxy, and the host that they call.
    pub called_without_proxy: Option<(&'a str, &'a str)>,
}

impl Seen<'_> {
    /// What makes a difference to those who are told: whether a change is everywhere or behind, and whether somebody calls without
    /// a proxy.
    const fn told(&self) -> [bool; 3] {
        let Self { arrival, called_without_proxy } = self;
        let (everywhere, behind) = (matches!(arrival, Arrival::Everywhere(_)), matches!(arrival, Arrival::Behind(_)));
        [everywhere, behind, called_without_proxy.is_some()]
    }
}

/// Numbers of proxies by what their documents are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// They have a document that is in force.
    pub current: u64,
    /// They have one that was.
    pub earlier: u64,
    /// They have one that this leader did not publish and did not find.
    pub unknown: u64,
}

/// What is known of proxies.
#[derive(Debug, Default)]
pub struct Proxies {
    /// How long proxies may take to get a document and tell.
    grace: Duration,
    publications: u64,
    current: BTreeMap<Scope, u32>,
    /// The last publication at which a document was in force, by its checksum.
    earlier: BTreeMap<u32, u64>,
    /// The publication that changed a release last, and when that was; those that no publication has changed are not in it.
    changed: BTreeMap<ReleaseId, (u64, Instant)>,
    /// By the name of the source, with the time.
    observed: BTreeMap<String, (Observed, Instant)>,
}

impl Proxies {
    /// Knows nothing; proxies may take so long to get a document and tell.
    #[must_use]
    pub fn new(grace: Duration) -> Self {
        Self { grace, ..Self::default() }
    }

    /// Takes up the documents that are there at the start, by their checksums.
    pub fn take_up(&mut self, current: BTreeMap<Scope, u32>) {
        self.publications += 1;
        self.retire(&current);
        self.current = current;
    }

    /// The documents that are in force, by their checksums.
    pub(crate) const fn current(&self) -> &BTreeMap<Scope, u32> {
        &self.current
    }

    /// Takes in a publication: which documents are in force now, and which releases it changed or ended.
    pub fn published<'r>(
        &mut self,
        current: BTreeMap<Scope, u32>,
        changed: impl IntoIterator<Item = (&'r ReleaseId, bool)>,
        now: Instant,
    ) {
        self.retire(&current);
        self.current = current;
        self.publications += 1;
        for (id, lives) in changed {
            match lives {
                true => drop(self.changed.insert(id.clone(), (self.publications, now))),
                false => drop(self.changed.remove(id)),
            }
        }
    }

    fn retire(&mut self, next: &BTreeMap<Scope, u32>) {
        let gone = self.current.iter().filter(|(scope, checksum)| next.get(scope) != Some(checksum));
        self.earlier.extend(gone.map(|(_, checksum)| (*checksum, self.publications)));
        if self.earlier.len() > REMEMBERED
            && let Some((&oldest, _)) = self.earlier.iter().min_by_key(|(_, last)| **last)
        {
            self.earlier.remove(&oldest);
        }
    }

    /// Takes in what a source tells, or that it tells nothing; answers with the releases for which that makes a difference, of those
    /// that are given with their hosts.
    pub fn observe<'r>(
        &mut self,
        source: &str,
        observed: Option<Observed>,
        releases: impl Iterator<Item = (&'r ReleaseId, &'r [String])>,
        now: Instant,
    ) -> BTreeSet<ReleaseId> {
        let releases: Vec<_> = releases.collect();
        let tell = |own: &Self| releases.iter().map(|(id, hosts)| own.seen(id, hosts).told()).collect::<Vec<_>>();
        let before = tell(self);
        match observed {
            Some(observed) => drop(self.observed.insert(source.to_owned(), (observed, now))),
            None => drop(self.observed.remove(source)),
        }
        let after = tell(self);
        let differs = releases.iter().zip(before.into_iter().zip(after)).filter(|(_, (before, after))| before != after);
        differs.map(|((id, _), _)| (*id).clone()).collect()
    }

    /// What sources tell of a release that has these hosts.
    #[must_use]
    pub fn seen<'a>(&'a self, id: &ReleaseId, hosts: &'a [String]) -> Seen<'a> {
        let called = self.observed.iter().find_map(|(source, (observed, _))| {
            let host = hosts.iter().find(|host| observed.called_without_proxy.contains(*host))?;
            Some((source.as_str(), host.as_str()))
        });
        Seen { arrival: self.arrival(id), called_without_proxy: called }
    }

    fn arrival(&self, id: &ReleaseId) -> Arrival<'_> {
        let mut all = Arrival::Unknown;
        for (source, (observed, at)) in &self.observed {
            match self.arrival_by(id, source, observed, *at) {
                Some(everywhere @ Arrival::Everywhere(_)) => all = everywhere,
                Some(other) => return other,
                None => {}
            }
        }
        all
    }

    /// What one source says; nothing where it knows no proxy.
    fn arrival_by<'a>(&self, id: &ReleaseId, source: &'a str, observed: &Observed, at: Instant) -> Option<Arrival<'a>> {
        let proxies = observed.documents.iter().filter(|(_, proxies)| **proxies > 0);
        let lasts: Vec<Option<u64>> = proxies.map(|(checksum, _)| self.last(*checksum)).collect();
        if lasts.is_empty() {
            return None;
        }
        // What was there at the start is in every document that is known, and may be in others.
        let (number, since) = self.changed.get(id).map_or((0, None), |(number, since)| (*number, Some(*since)));
        let is_late = |since: Instant| since.checked_add(self.grace).is_some_and(|due| due <= at);
        Some(match since {
            _ if lasts.iter().all(|last| last.is_some_and(|last| last >= number)) => Arrival::Everywhere(source),
            Some(since) if is_late(since) => Arrival::Behind(source),
            _ => Arrival::Unknown,
        })
    }

    /// The last publication at which a document was in force.
    fn last(&self, checksum: u32) -> Option<u64> {
        let current = self.current.values().any(|current| *current == checksum);
        if current { Some(self.publications) } else { self.earlier.get(&checksum).copied() }
    }

    /// Numbers of proxies by what their documents are.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for (checksum, proxies) in self.observed.values().flat_map(|(observed, _)| &observed.documents) {
            let count = match self.last(*checksum) {
                Some(last) if last == self.publications => &mut counts.current,
                Some(_) => &mut counts.earlier,
                None => &mut counts.unknown,
            };
            *count = count.saturating_add(*proxies);
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(120);

    struct World {
        proxies: Proxies,
        start: Instant,
        ids: [ReleaseId; 2],
    }

    impl World {
        fn new() -> Self {
            let ids = ["shop/cart", "shop/pay"].map(|id| id.parse().unwrap());
            let mut world = Self { proxies: Proxies::new(GRACE), start: Instant::now(), ids };
            world.proxies.take_up(BTreeMap::from([(Scope::Mesh, 1)]));
            world
        }

        fn publish(&mut self, seconds: u64, checksum: u32, release: usize) {
            let current = BTreeMap::from([(Scope::Mesh, checksum)]);
            self.proxies.published(current, [(&self.ids[release], true)], self.start + Duration::from_secs(seconds));
        }

        /// Tells of proxies with these documents; the releases for which that makes a difference.
        fn observe(&mut self, seconds: u64, documents: &[u32], called: &[&str]) -> Vec<String> {
            let observed = Observed {
                documents: documents.iter().map(|checksum| (*checksum, 3)).collect(),
                called_without_proxy: called.iter().map(|host| (*host).to_owned()).collect(),
            };
            let hosts = [["cart".to_owned()], ["pay".to_owned()]];
            let releases = self.ids.iter().zip(hosts.iter().map(<[String; 1]>::as_slice));
            let told = self.proxies.observe("main", Some(observed), releases, self.start + Duration::from_secs(seconds));
            told.into_iter().map(|id| id.to_string()).collect()
        }

        fn arrivals(&self) -> [Arrival<'_>; 2] {
            [0, 1].map(|at| self.proxies.seen(&self.ids[at], &[]).arrival)
        }
    }

    use Arrival::{Behind, Everywhere, Unknown};

    #[test]
    fn a_change_has_come_when_every_proxy_has_a_document_that_holds_it() {
        let mut world = World::new();
        assert_eq!(world.arrivals(), [Unknown, Unknown]);
        assert_eq!(world.observe(0, &[1], &[]), ["shop/cart", "shop/pay"]);
        assert_eq!(world.arrivals(), [Everywhere("main"), Everywhere("main")]);
        // Another release's change takes nothing back.
        world.publish(10, 2, 0);
        assert_eq!(world.arrivals(), [Unknown, Everywhere("main")]);
        assert!(world.observe(20, &[1, 2], &[]).is_empty());
        assert_eq!(world.arrivals(), [Unknown, Everywhere("main")]);
        assert_eq!(world.proxies.counts(), Counts { current: 3, earlier: 3, unknown: 0 });
        // The time of grace runs from the publication.
        assert!(world.observe(129, &[1, 2], &[]).is_empty());
        assert_eq!(world.observe(130, &[1, 2], &[]), ["shop/cart"]);
        assert_eq!(world.arrivals(), [Behind("main"), Everywhere("main")]);
        world.publish(131, 3, 1);
        assert_eq!(world.arrivals(), [Behind("main"), Unknown]);
        // An earlier document holds what was published before it.
        assert_eq!(world.observe(140, &[2], &[]), ["shop/cart"]);
        assert_eq!(world.arrivals(), [Everywhere("main"), Unknown]);
        assert_eq!(world.observe(150, &[3], &[]), ["shop/pay"]);
        assert_eq!(world.arrivals(), [Everywhere("main"), Everywhere("main")]);
    }

    #[test]
    fn nothing_is_claimed_of_a_document_that_nobody_knows() {
        let mut world = World::new();
        world.publish(0, 2, 0);
        // Another mesh's, or one of a leader before.
        assert_eq!(world.observe(500, &[2, 99], &[]), ["shop/cart"]);
        assert_eq!(world.arrivals(), [Behind("main"), Unknown]);
        assert_eq!(world.proxies.counts(), Counts { current: 3, earlier: 0, unknown: 3 });
        assert_eq!(world.observe(510, &[], &[]), ["shop/cart"], "it knows no proxy");
        assert_eq!(world.arrivals(), [Unknown, Unknown]);
    }

    #[test]
    fn a_document_that_comes_again_is_in_force_again() {
        let mut world = World::new();
        world.publish(0, 2, 0);
        world.publish(1, 1, 0);
        world.observe(2, &[1], &[]);
        assert_eq!(world.arrivals(), [Everywhere("main"), Everywhere("main")]);
        assert_eq!(world.proxies.counts(), Counts { current: 3, earlier: 0, unknown: 0 });
    }

    #[test]
    fn a_source_that_falls_silent_tells_nothing_and_all_sources_count() {
        let mut world = World::new();
        world.publish(0, 2, 0);
        world.observe(1, &[2], &[]);
        let other = Observed { documents: BTreeMap::from([(1, 1)]), ..Observed::default() };
        world.proxies.observe("other", Some(other), [].into_iter(), world.start + GRACE);
        assert_eq!(world.arrivals(), [Behind("other"), Everywhere("other")]);
        world.proxies.observe("other", None, [].into_iter(), world.start + GRACE);
        assert_eq!(world.arrivals(), [Everywhere("main"), Everywhere("main")]);
    }

    #[test]
    fn callers_without_a_proxy_concern_the_release_that_they_call() {
        let mut world = World::new();
        world.observe(0, &[1], &[]);
        assert_eq!(world.observe(1, &[1], &["pay"]), ["shop/pay"]);
        assert!(world.observe(2, &[1], &["pay"]).is_empty());
        let hosts = ["x".to_owned(), "pay".to_owned()];
        assert_eq!(world.proxies.seen(&world.ids[1], &hosts).called_without_proxy, Some(("main", "pay")));
        assert_eq!(world.observe(3, &[1], &[]), ["shop/pay"]);
    }
}
