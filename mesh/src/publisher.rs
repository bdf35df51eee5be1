//! Step 6, publish: what documents shall hold, what they hold, and when they are written. No client required; the time comes in.
//!
//! ```text
//!              a change              written                 another module of the filter was written
//!  Idle ───────────────► Due ───────────────────► Idle          Due ─────────► Held ──── settle ────► Due
//!                         ▲  └── not written ──► Failing ── backoff, or a change ──► Due
//! ```

mod batch;
mod taken_up;
mod trouble;
mod written;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use serin_config::SplitDocument;
use serin_release::ReleaseId;

use crate::Object;
use crate::conditions::{Condition, Reason};
use crate::documents::{Filter, documents};
use crate::entry::{Entries, Entry, Scope};
use crate::home::Home;
use crate::hosts::Hosts;
use crate::names::{CONTROLLER, is_foreign};
use crate::order::Served;
use crate::proxies::{Observed, Proxies, Seen};
use crate::publication::{Bounds, Failing, Lost, Publication, Reachability, Write};
use crate::resource::Resource;
use crate::store::Store;
use batch::Batch;

/// Publishes entries of releases in documents.
#[derive(Debug)]
pub struct Publisher {
    /// A document without splits.
    settings: SplitDocument,
    filter: Filter,
    bounds: Bounds,
    wanted: Entries,
    published: Entries,
    /// Releases of which documents shall hold something else than they do.
    changed: BTreeSet<ReleaseId>,
    /// Those of them whose change only moves people to stable.
    retreating: BTreeSet<ReleaseId>,
    batch: Batch,
    /// What the last documents had no room for.
    left_out: BTreeSet<ReleaseId>,
    over_quota: BTreeSet<ReleaseId>,
    shortened: BTreeSet<ReleaseId>,
    clashes: BTreeMap<ReleaseId, ReleaseId>,
    /// Scopes that could not be written: the trouble of the releases in them alone.
    failing: BTreeMap<Scope, Failing>,
    scope_failures: BTreeMap<Scope, u32>,
    /// Releases that were told of a trouble, and hear when it is over.
    told: BTreeSet<ReleaseId>,
    lost: Option<Lost>,
    filter_reach: Reachability,
    /// Since when proxies shall ask for the filter again.
    fetch: Option<String>,
    proxies: Proxies,
    hosts: Hosts,
    /// Hosts that changed hands, whose claimants are to be looked at.
    moved: BTreeSet<String>,
    state: State,
    last_failure: Option<Condition>,
    failures: u32,
}

/// When documents are written.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// They are as they shall be, or a change is in `changed`.
    Idle,
    /// They have to be looked at.
    Due,
    /// Proxies may still be fetching another module: an agent that is slow to must not bring its document after a newer one
    /// (istio/istio#59911).
    Held { until: Instant },
    /// They could not be made.
    Failing { retry_at: Instant, condition: Condition },
}

impl Publisher {
    /// A publisher that knows of no document; `settings` is one without splits.
    #[must_use]
    pub fn new(settings: SplitDocument, filter: Filter, bounds: Bounds) -> Self {
        Self {
            settings,
            filter,
            proxies: Proxies::new(bounds.grace),
            wanted: Entries::new(),
            published: Entries::new(),
            changed: BTreeSet::new(),
            retreating: BTreeSet::new(),
            batch: Batch::new(bounds.batch),
            left_out: BTreeSet::new(),
            over_quota: BTreeSet::new(),
            shortened: BTreeSet::new(),
            clashes: BTreeMap::new(),
            failing: BTreeMap::new(),
            scope_failures: BTreeMap::new(),
            told: BTreeSet::new(),
            lost: None,
            filter_reach: Reachability::Unknown,
            fetch: None,
            hosts: Hosts::default(),
            moved: BTreeSet::new(),
            state: State::Due,
            last_failure: None,
            failures: 0,
            bounds,
        }
    }

    /// The controller's own namespace.
    #[must_use]
    pub fn controller(&self) -> &str {
        &self.bounds.controller
    }

    /// What is or will be published of a release.
    #[must_use]
    pub fn entry(&self, id: &ReleaseId) -> Option<&Entry> {
        self.wanted.get(id).map(|entry| &**entry)
    }

    /// What proxies may be sending the requests of a release to.
    #[must_use]
    pub fn served(&self, id: &ReleaseId) -> Served<'_> {
        let published = self.published.get(id).map(|entry| &entry.served);
        let lost =
            self.lost.as_ref().is_some_and(|lost| lost.releases.as_ref().is_none_or(|releases| releases.contains(id)));
        match published {
            None if lost => Served::Unknown,
            published => Served::Entry(published),
        }
    }

    /// The document of an earlier leader that cannot be read.
    #[must_use]
    pub const fn lost(&self) -> Option<&Lost> {
        self.lost.as_ref()
    }

    /// The number of releases in the documents.
    #[must_use]
    pub fn published_releases(&self) -> usize {
        self.published.len()
    }

    /// Publishes an entry with the next document.
    pub fn set(&mut self, id: &ReleaseId, entry: Arc<Entry>) {
        self.put(id, entry, false);
    }

    /// Publishes an entry with the next document, which may wait for changes of other releases.
    pub fn set_in_time(&mut self, id: &ReleaseId, entry: Arc<Entry>) {
        self.put(id, entry, true);
    }

    fn put(&mut self, id: &ReleaseId, entry: Arc<Entry>, may_wait: bool) {
        let is_known = self.wanted.get(id).is_some_and(|known| known.same_for_proxies(&entry));
        self.wanted.insert(id.clone(), entry);
        // Who says nothing new takes nothing back.
        if !is_known {
            self.batch.note(id, may_wait);
        }
        self.note(id);
    }

    /// Whether documents hold something else of a release than they shall.
    #[must_use]
    pub fn is_pending(&self, id: &ReleaseId) -> bool {
        self.changed.contains(id)
    }

    /// Publishes nothing of a release with the next document.
    pub fn remove(&mut self, id: &ReleaseId) {
        if self.wanted.remove(id).is_some() {
            self.batch.note(id, false);
            self.note(id);
        }
    }

    /// Publishes what only moves people to stable, an entry or none: that waits for nothing.
    pub fn retreat(&mut self, id: &ReleaseId, entry: Option<Arc<Entry>>) {
        match entry {
            Some(entry) => self.set(id, entry),
            None => self.remove(id),
        }
        if self.changed.contains(id) {
            self.batch.note(id, false);
            self.retreating.insert(id.clone());
        }
    }

    fn differs(&self, id: &ReleaseId) -> bool {
        match (self.wanted.get(id), self.published.get(id)) {
            (Some(wanted), Some(published)) => !wanted.same_for_proxies(published),
            (None, None) => false,
            _ => true,
        }
    }

    /// Who has which host.
    #[must_use]
    pub const fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    /// Says whether a release is refused, so that hosts which it claims are free for others.
    pub fn refuse(&mut self, release: &Resource, refused: bool) {
        if self.hosts.refuse(&release.id, refused) {
            self.moved.extend(release.claims());
        }
    }

    /// Hosts that changed hands since this was asked last.
    pub fn moved_hosts(&mut self) -> BTreeSet<String> {
        std::mem::take(&mut self.moved)
    }

    fn hold(&mut self, id: &ReleaseId) {
        let entries = [self.wanted.get(id), self.published.get(id)];
        let hosts = entries.into_iter().flatten().flat_map(|entry| entry.served.hosts.iter().cloned()).collect();
        self.moved.append(&mut self.hosts.hold(id, hosts));
    }

    fn note(&mut self, id: &ReleaseId) {
        self.hold(id);
        let differs = self.differs(id);
        let differed = if differs { !self.changed.insert(id.clone()) } else { self.changed.remove(id) };
        if !differs {
            self.retreating.remove(id);
        }
        if differs || differed {
            self.left_out.remove(id);
            self.over_quota.remove(id);
            self.shortened.remove(id);
            self.clashes.remove(id);
            // A change does not wait for the next attempt.
            if matches!(self.state, State::Failing { .. }) {
                self.state = State::Due;
            }
        }
    }

    /// Makes proxies ask for the filter again: nobody served it for a while, and those that came meanwhile gave up.
    pub fn fetch_again(&mut self, since: String) {
        self.fetch = Some(since);
        self.carrier_changed();
    }

    /// Takes in whether proxies can get the filter.
    pub fn filter_is(&mut self, reach: Reachability) {
        self.filter_reach = reach;
        if matches!(self.state, State::Idle | State::Failing { .. }) {
            self.state = State::Due;
        }
    }

    /// Takes in that a carrier was changed by somebody.
    pub fn carrier_changed(&mut self) {
        if self.state == State::Idle {
            self.state = State::Due;
        }
    }

    /// Whether there is something to write now.
    pub fn is_due(&mut self, now: Instant) -> bool {
        match &self.state {
            State::Held { until: at } | State::Failing { retry_at: at, .. } if *at > now => false,
            State::Held { .. } | State::Failing { .. } | State::Due => {
                self.state = State::Due;
                true
            }
            State::Idle => {
                self.failing.values().any(|failing| failing.retry_at <= now)
                    || self.changed.iter().any(|id| !self.waits(id) && !self.batch.holds(id, now))
            }
        }
    }

    /// Whether a change has no place in the documents until another one makes it.
    fn waits(&self, id: &ReleaseId) -> bool {
        let fails = || self.scopes_of(id).any(|scope| self.failing.contains_key(scope));
        self.left_out.contains(id) || self.shortened.contains(id) || self.clashes.contains_key(id) || fails()
    }

    /// The scopes that an entry is in, or shall be in.
    fn scopes_of(&self, id: &ReleaseId) -> impl Iterator<Item = &Scope> {
        let entries = [self.wanted.get(id), self.published.get(id)];
        entries.into_iter().flatten().flat_map(|entry| &entry.scopes)
    }

    /// When to look again, whatever else happens.
    #[must_use]
    pub fn requeue_at(&self) -> Option<Instant> {
        let scopes = self.failing.values().map(|failing| failing.retry_at).min();
        match self.state {
            State::Held { until: at } | State::Failing { retry_at: at, .. } => Some(at),
            State::Idle | State::Due => scopes.into_iter().chain(self.batch.due()).min(),
        }
    }

    /// The documents as they shall be, and what is missing for that.
    ///
    /// # Errors
    /// They cannot be made; the condition says why, and what to do.
    pub fn publication(&self, store: &Store, home: &dyn Home) -> Result<Publication, Condition> {
        if let Some(lost) = &self.lost {
            let missing = self.missing(lost, store);
            if !missing.is_empty() {
                return Err(Condition::new(Reason::DocumentUnreadable, lost.message(&missing)));
            }
        }
        let documents = documents(&self.wanted, &self.published, &self.settings, self.bounds.quota).map_err(|cause| {
            Condition::new(Reason::WriteFailed, format!("the document of all releases does not compile: {cause}"))
        })?;
        let (mut writes, mut blocked, mut kept) = (Vec::new(), BTreeMap::new(), BTreeSet::new());
        for (scope, document) in &documents.scopes {
            let name = home.carrier_name(scope);
            let found = store.get(home.carrier(), &name).cloned();
            kept.insert(name);
            let url = found.as_ref().and_then(|found| home.module_url(found));
            let module = self.filter.module(document.issues_cookies, url);
            let other_module = found.is_some() && url != Some(&module.url);
            let fetch = self.fetch.as_deref().or_else(|| home.fetch(found.as_ref()?));
            let desired = home.carry(scope, &document.text, module, fetch).annotated(CONTROLLER, &self.bounds.controller);
            if found.as_ref().is_some_and(|found| desired.is(found)) {
                continue;
            }
            match found.as_ref().filter(|found| is_foreign(found)) {
                Some(theirs) => {
                    let cause =
                        format!("{} exists already and was not created by Serin; delete it", full_name(home, theirs));
                    blocked.insert(scope.clone(), cause);
                }
                None => writes.push(Write { scope: scope.clone(), desired, found, other_module }),
            }
        }
        // Who loses the filter goes to stable too.
        if self.retreating.is_empty() && writes.iter().any(|write: &Write| write.other_module) {
            self.check_filter()?;
        }
        let ours = store.all(home.carrier()).filter(|carrier| home.scope_of(carrier).is_some());
        let removals = ours.filter(|carrier| !kept.contains(&carrier.name())).cloned().collect();
        let bytes = documents.scopes.get(&Scope::Mesh).map_or(0, |document| document.bytes);
        Ok(Publication { documents, writes, removals, blocked, bytes })
    }

    /// The releases whose last good split is lost with a document, and which could not be built again yet.
    fn missing(&self, lost: &Lost, store: &Store) -> Vec<ReleaseId> {
        let concerned = |id: &ReleaseId| lost.releases.as_ref().is_none_or(|releases| releases.contains(id));
        let live = store.releases().filter(|release| !release.leaves()).map(|release| &release.id);
        live.filter(|id| concerned(id) && !self.wanted.contains_key(*id)).cloned().collect()
    }

    /// Takes in what a metric source tells, or that it tells nothing; answers with the releases for which that makes a difference.
    pub fn observe(&mut self, source: &str, observed: Option<Observed>, now: Instant) -> BTreeSet<ReleaseId> {
        let releases = self.published.iter().map(|(id, entry)| (id, entry.served.hosts.as_slice()));
        self.proxies.observe(source, observed, releases, now)
    }

    /// What metric sources tell of a release.
    #[must_use]
    pub fn seen(&self, id: &ReleaseId) -> Seen<'_> {
        let hosts = self.published.get(id).map(|entry| entry.served.hosts.as_slice()).unwrap_or_default();
        self.proxies.seen(id, hosts)
    }

    /// What proxies have.
    #[must_use]
    pub const fn proxies(&self) -> &Proxies {
        &self.proxies
    }
}

fn full_name(home: &dyn Home, carrier: &Object) -> String {
    format!("{} {}", home.carrier().name(), carrier.full_name())
}
