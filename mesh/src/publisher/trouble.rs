//! What stands in the way of a release's publication, and what to do.

use serin_release::ReleaseId;

use super::{Publisher, State};
use crate::conditions::{Condition, Reason};
use crate::documents::CARRIED_LIMIT;
use crate::fit::DOCUMENT_LIMIT;
use crate::publication::Reachability;

impl Publisher {
    /// What keeps a release from being published as it shall be. It hears when that is over.
    pub fn trouble(&mut self, id: &ReleaseId) -> Option<Condition> {
        let failing = self.scopes_of(id).find_map(|scope| self.failing.get(scope));
        let condition = match (&self.state, failing) {
            (State::Failing { condition, .. }, _) => condition.clone(),
            (_, Some(failing)) => Condition::new(Reason::WriteFailed, failing.cause.clone()),
            (State::Held { .. }, _) if self.changed.contains(id) && !self.waits(id) => {
                let message = "proxies are loading another module of the filter, and this change follows";
                Condition::new(Reason::Pending, message)
            }
            _ => self.no_place(id).or_else(|| self.no_filter())?,
        };
        self.told.insert(id.clone());
        Some(condition)
    }

    /// Proxies that are told of a module which they cannot get lose the one that they have.
    pub(super) fn check_filter(&self) -> Result<(), Condition> {
        match &self.filter_reach {
            Reachability::Reachable => Ok(()),
            Reachability::Unknown => {
                Err(Condition::new(Reason::Pending, "the url of the filter is looked at before proxies are told of it"))
            }
            Reachability::Unreachable(cause) => {
                let message = format!(
                    "proxies would not get the filter of this version, {cause}; correct --serve-url or --filter-url, the Service or a NetworkPolicy. \
                     They keep the one that they have, and what is published, until then"
                );
                Err(Condition::new(Reason::FilterUnreachable, message))
            }
        }
    }

    /// Proxies are told of a filter that they cannot get: those that have it keep it, new ones do without.
    fn no_filter(&self) -> Option<Condition> {
        let Reachability::Unreachable(cause) = &self.filter_reach else { return None };
        let message = format!(
            "proxies that do not have the filter yet cannot get it, {cause}; they send every request to stable. Correct --serve-url or --filter-url, the \
             Service or a NetworkPolicy"
        );
        Some(Condition::new(Reason::FilterUnreachable, message))
    }

    /// Why documents have no place for the change of a release.
    fn no_place(&self, id: &ReleaseId) -> Option<Condition> {
        if let Some(other) = self.clashes.get(id) {
            let message = format!("proxies still send a host of this release by the split of {other}; this change follows");
            return Some(Condition::new(Reason::Pending, message));
        }
        let full = if self.over_quota.contains(id) {
            format!(
                "the releases of namespace {} take more than {} bytes of the document of the mesh",
                id.namespace, self.bounds.quota
            )
        } else {
            format!("the document of the mesh is full ({DOCUMENT_LIMIT} bytes, {CARRIED_LIMIT} packed)")
        };
        if self.shortened.contains(id) {
            let message =
                format!("stable gets every request; {full}, so rules and weights are left out of it until there is room");
            return Some(Condition::new(Reason::Programmed, message));
        }
        let reason = if self.over_quota.contains(id) { Reason::QuotaExceeded } else { Reason::DocumentFull };
        let fix = "shorten rules or delete releases that are done, its last state stays until then";
        self.left_out.contains(id).then(|| Condition::new(reason, format!("{full}; {fix}")))
    }
}
