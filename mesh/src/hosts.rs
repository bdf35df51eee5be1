//! Who has which host: a claim counts while it is accepted, and who routes a host keeps it.

use std::collections::{BTreeMap, BTreeSet};

use serin_release::ReleaseId;

use crate::few::Few;
use crate::resource::Resource;

/// The hosts that releases have, and the releases whose claims do not count.
#[derive(Clone, Debug, Default)]
pub struct Hosts {
    holders: BTreeMap<String, Few<ReleaseId>>,
    held: BTreeMap<ReleaseId, Box<[String]>>,
    refused: BTreeSet<ReleaseId>,
}

impl Hosts {
    /// Says which hosts a release has: those of its entries that are or will be published. The answer are those that changed hands.
    pub fn hold(&mut self, id: &ReleaseId, hosts: BTreeSet<String>) -> BTreeSet<String> {
        let before: BTreeSet<String> = self.held.remove(id).unwrap_or_default().into_iter().collect();
        for gone in before.difference(&hosts) {
            if let Some(holders) = self.holders.get_mut(gone) {
                holders.remove(id);
                if holders.is_empty() {
                    self.holders.remove(gone);
                }
            }
        }
        for new in hosts.difference(&before) {
            self.holders.entry(new.clone()).or_default().insert(id.clone());
        }
        let changed = before.symmetric_difference(&hosts).cloned().collect();
        if !hosts.is_empty() {
            self.held.insert(id.clone(), hosts.into_iter().collect());
        }
        changed
    }

    /// Says whether a release is refused, so that it has no claim beyond what is published of it; whether that is new.
    pub fn refuse(&mut self, id: &ReleaseId, refused: bool) -> bool {
        if refused { self.refused.insert(id.clone()) } else { self.refused.remove(id) }
    }

    /// The release that stands in another one's way at a host: the one that has it, else the oldest whose claim counts.
    pub fn rival<'a>(&self, id: &ReleaseId, host: &str, claimants: impl Iterator<Item = &'a Resource>) -> Option<ReleaseId> {
        if let Some(holders) = self.holders.get(host) {
            return holders.iter().all(|holder| holder != id).then(|| holders.iter().next().cloned()).flatten();
        }
        let counts = |claimant: &&Resource| claimant.id == *id || !self.refused.contains(&claimant.id) && !claimant.leaves();
        let first = claimants.filter(counts).min_by_key(|claimant| claimant.age())?;
        (first.id != *id).then(|| first.id.clone())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Object;

    fn release(name: &str, created: &str) -> Resource {
        let metadata = json!({"namespace": "shop", "name": name, "creationTimestamp": created});
        Resource::read(&Object::from_json(json!({"metadata": metadata, "spec": {}})))
    }

    #[test]
    fn who_routes_a_host_keeps_it_and_else_the_oldest_that_is_accepted_has_it() {
        let (older, younger) = (release("older", "2026-01-01T00:00:00Z"), release("younger", "2026-02-01T00:00:00Z"));
        let mut hosts = Hosts::default();
        let rival =
            |hosts: &Hosts, of: &Resource| hosts.rival(&of.id, "h", [&older, &younger].into_iter()).map(|id| id.name);
        let both = |hosts: &Hosts| (rival(hosts, &older), rival(hosts, &younger));
        let (taken_by_older, taken_by_younger) = ((None, Some("older".to_owned())), (Some("younger".to_owned()), None));
        assert_eq!(both(&hosts), taken_by_older);
        // A claim that is refused blocks nobody.
        assert!(hosts.refuse(&older.id, true) && !hosts.refuse(&older.id, true));
        assert_eq!(both(&hosts), (None, None));
        let h = || BTreeSet::from(["h".to_owned()]);
        assert_eq!((hosts.hold(&younger.id, h()), hosts.hold(&younger.id, h())), (h(), BTreeSet::new()));
        // Who has it keeps it, also from an older one that is accepted again.
        assert!(hosts.refuse(&older.id, false));
        assert_eq!(both(&hosts), taken_by_younger);
        assert_eq!((hosts.hold(&younger.id, BTreeSet::new()), both(&hosts)), (h(), taken_by_older));
    }
}
