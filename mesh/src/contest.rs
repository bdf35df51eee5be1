//! Objects of Serin's that somebody else changes again and again: noticed, written less and less often, and named. No client required.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::desired::{APPLIED, Desired};
use crate::{Kind, Name, Object};

/// Changes that are undone at once: a person who tries something, or a tool that comes once.
const FREE: u32 = 3;
/// The longest time between two writes.
const LONGEST: Duration = Duration::from_secs(30);
/// An object that nobody else has changed for so long is at peace; tools of GitOps look every three minutes.
const PEACE: Duration = Duration::from_secs(300);

/// Objects that were written, and how often somebody else has changed them since.
#[derive(Clone, Debug, Default)]
pub struct Contests(BTreeMap<(Kind, Name), Contest>);

/// An object that was written.
#[derive(Clone, Debug)]
struct Contest {
    /// What it was to hold: another digest is a change of ours.
    digest: String,
    /// As it was when that was looked at last.
    revision: Option<String>,
    changes: u32,
    changed_at: Instant,
    by: Option<String>,
}

/// Why an object is not written now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contested {
    /// Who changes what, and what to do.
    pub cause: String,
    /// When it is written again, or when it is at peace if nobody changes it any more.
    pub until: Instant,
}

impl Contest {
    /// How long a change of somebody else's stays.
    fn delay(&self) -> Duration {
        match self.changes.checked_sub(FREE + 1) {
            None => Duration::ZERO,
            Some(doublings) => Duration::from_secs(1).saturating_mul(1 << doublings.min(8)).min(LONGEST),
        }
    }
}

impl Contests {
    /// Whether an object that is not as it shall be may be written now. What Serin itself wants to change waits for nothing.
    ///
    /// # Errors
    /// Somebody else has changed it again too soon.
    pub fn admit(&mut self, wanted: &Desired, found: Option<&Object>, now: Instant) -> Result<(), Contested> {
        let digest = wanted.body.pointer("/metadata/annotations").and_then(|all| all.get(APPLIED)?.as_str());
        let digest = digest.unwrap_or_default().to_owned();
        let revision = found.and_then(|found| found.metadata.resource_version.clone());
        let key = (wanted.kind, Name::new(&*wanted.namespace, &*wanted.name));
        let new = Contest { digest: digest.clone(), revision: revision.clone(), changes: 0, changed_at: now, by: None };
        let contest = self.0.entry(key.clone()).or_insert_with(|| new);
        if contest.digest != digest {
            (contest.digest, contest.revision) = (digest, revision);
            return Ok(());
        }
        // What else comes while it waits does not make it wait longer.
        if contest.revision != revision && now >= contest.changed_at + contest.delay() {
            contest.changes = if now < contest.changed_at + PEACE { contest.changes + 1 } else { 1 };
            contest.changed_at = now;
            contest.by = found.and_then(|found| found.metadata.changed_by.clone());
        }
        contest.revision = revision;
        let until = contest.changed_at + contest.delay();
        if now < until { Err(Contested { cause: cause(&key, contest.by.as_deref()), until }) } else { Ok(()) }
    }

    /// Forgets an object that Serin removes: whoever makes one of its name later does not change it.
    pub fn forget(&mut self, kind: Kind, name: &Name) {
        self.0.remove(&(kind, name.clone()));
    }

    /// An object that is written less often than somebody else changes it.
    #[must_use]
    pub fn standing(&self, now: Instant) -> Option<Contested> {
        let is_fought = |contest: &&Contest| contest.changes > FREE && now < contest.changed_at + PEACE;
        let (key, contest) =
            self.0.iter().filter(|(_, contest)| is_fought(contest)).max_by_key(|(_, contest)| contest.changed_at)?;
        Some(Contested { cause: cause(key, contest.by.as_deref()), until: contest.changed_at + PEACE })
    }
}

fn cause((kind, name): &(Kind, Name), by: Option<&str>) -> String {
    let by = by.map_or_else(|| "somebody".to_owned(), |by| format!("`{by}`"));
    format!(
        "{by} changes {} {name} again and again, and Serin changes it back, less often each time; take the object out of what that tool applies",
        kind.name()
    )
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    fn wanted(hosts: &str) -> Desired {
        let content = Map::from_iter([("spec".to_owned(), json!({"hosts": [hosts]}))]);
        Desired::new(Kind::VirtualService, "shop", "reviews-serin", "reviews", content)
    }

    fn found(revision: u32) -> Object {
        let metadata = json!({"namespace": "shop", "name": "reviews-serin", "resourceVersion": revision.to_string()});
        let object = Object::from_json(json!({"metadata": metadata, "spec": {"hosts": ["theirs"]}}));
        let changed_by = Some("argocd-controller".to_owned());
        Object::new(crate::Metadata { changed_by, ..object.metadata.clone() }, object.data.clone())
    }

    #[test]
    fn changes_of_others_are_undone_less_and_less_often_and_ours_at_once() {
        let (mut contests, start) = (Contests::default(), Instant::now());
        let after = |seconds: u64| start + Duration::from_secs(seconds);
        let admit = |contests: &mut Contests, host: &str, revision: u32, seconds: u64| {
            contests.admit(&wanted(host), Some(&found(revision)), after(seconds)).map_err(|contested| contested.until)
        };
        assert_eq!(contests.admit(&wanted("a"), None, start), Ok(()));
        for revision in 1..=FREE {
            assert_eq!(admit(&mut contests, "a", revision, 0), Ok(()));
            assert_eq!(contests.standing(start), None);
        }
        // Looked at again, it is the same change.
        assert_eq!((admit(&mut contests, "a", 4, 0), admit(&mut contests, "a", 4, 0)), (Err(after(1)), Err(after(1))));
        assert_eq!(admit(&mut contests, "a", 4, 1), Ok(()));
        assert_eq!(admit(&mut contests, "a", 5, 1), Err(after(3)));
        let cause = "`argocd-controller` changes VirtualService shop/reviews-serin again and again, and Serin changes it back, less often each \
                     time; take the object out of what that tool applies";
        assert_eq!(contests.standing(after(3)), Some(Contested { cause: cause.to_owned(), until: after(301) }));
        // What Serin itself wants waits for nothing.
        assert_eq!(admit(&mut contests, "b", 5, 1), Ok(()));
        // What comes while it waits is the same change; the longest wait is 30 s.
        assert_eq!((admit(&mut contests, "b", 6, 2), admit(&mut contests, "b", 7, 3)), (Err(after(3)), Err(after(7))));
        let mut now = 7;
        for revision in 8..16 {
            now = admit(&mut contests, "b", revision, now).map_or_else(|until| (until - start).as_secs(), |()| now);
        }
        assert_eq!(admit(&mut contests, "b", 16, now), Err(after(now + 30)));
        assert_eq!((contests.standing(after(now + 301)), admit(&mut contests, "b", 17, now + 301)), (None, Ok(())));
        // One that Serin removed in between is a new one.
        contests.forget(Kind::VirtualService, &Name::new("shop", "reviews-serin"));
        assert_eq!(admit(&mut contests, "b", 18, now + 302), Ok(()));
    }
}
