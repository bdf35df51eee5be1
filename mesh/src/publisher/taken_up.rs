//! What a leader takes up of the documents of the leader before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serin_config::SplitDocument;
use serin_release::ReleaseId;

use super::{Publisher, State, full_name};
use crate::entry::{Entries, Entry, Scope};
use crate::home::Home;
use crate::names::{CONTROLLER, is_foreign};
use crate::publication::Lost;
use crate::store::Store;

impl Publisher {
    /// Takes up what the documents of an earlier leader hold; answers with their releases.
    pub fn take_up(&mut self, store: &Store, home: &dyn Home) -> BTreeSet<ReleaseId> {
        (self.published, self.lost, self.state) = (Entries::new(), None, State::Due);
        let mut scopes: BTreeMap<ReleaseId, BTreeSet<Scope>> = BTreeMap::new();
        let (mut of_mesh, mut checksums) = (None, BTreeMap::new());
        for carrier in store.all(home.carrier()) {
            let Some((scope, carried)) = home.scope_of(carrier).zip(home.carried(carrier)) else { continue };
            checksums.extend(home.checksum(carrier).map(|checksum| (scope.clone(), checksum)));
            match carried {
                Ok(document) => {
                    for id in document.splits.iter().filter_map(|split| split.release.parse().ok()) {
                        scopes.entry(id).or_default().insert(scope.clone());
                    }
                    of_mesh = Some((full_name(home, carrier), document)).filter(|_| scope == Scope::Mesh).or(of_mesh);
                }
                Err(cause) if scope == Scope::Mesh => {
                    self.lost = Some(Lost { carrier: full_name(home, carrier), cause, releases: None });
                }
                // The mesh's document has all that is in it.
                Err(_) => {}
            }
        }
        self.proxies.take_up(checksums);
        if let Some((carrier, document)) = of_mesh {
            self.read(&carrier, document, scopes, store);
        }
        for (id, entry) in &self.published {
            self.wanted.entry(id.clone()).or_insert_with(|| Arc::clone(entry));
        }
        let all: BTreeSet<ReleaseId> = self.wanted.keys().chain(self.published.keys()).cloned().collect();
        self.changed = all.iter().filter(|id| self.differs(id)).cloned().collect();
        all.iter().for_each(|id| self.hold(id));
        all
    }

    fn read(
        &mut self,
        carrier: &str,
        document: SplitDocument,
        mut scopes: BTreeMap<ReleaseId, BTreeSet<Scope>>,
        store: &Store,
    ) {
        for split in document.splits {
            let Ok(id) = split.release.parse::<ReleaseId>() else { continue };
            let mut alone = SplitDocument::new(vec![split.clone()]);
            alone.automata.clone_from(&document.automata);
            match alone.embed_missing_automata() {
                Ok(_) => {
                    let allocation = store.release(&id).map(|release| release.status.allocation.clone()).unwrap_or_default();
                    let scopes = scopes.remove(&id).unwrap_or_default();
                    let entry = Entry { allocation, wanted: split.clone(), served: split, automata: alone.automata, scopes };
                    self.published.insert(id, Arc::new(entry));
                }
                Err(error) => {
                    let new =
                        || Lost { carrier: carrier.to_owned(), cause: error.to_string(), releases: Some(BTreeSet::new()) };
                    self.lost.get_or_insert_with(new).releases.get_or_insert_default().insert(id);
                }
            }
        }
    }

    /// The carrier of the mesh's document where another controller writes it, and the namespace of that one.
    #[must_use]
    pub fn another_controller(&self, store: &Store, home: &dyn Home) -> Option<(String, String)> {
        let carrier = store.get(home.carrier(), &home.carrier_name(&Scope::Mesh)).filter(|carrier| !is_foreign(carrier))?;
        let theirs = carrier.metadata.annotations.get(CONTROLLER).filter(|theirs| **theirs != self.bounds.controller)?;
        Some((full_name(home, carrier), theirs.clone()))
    }
}
