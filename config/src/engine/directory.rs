//! Which release has a name, and which one routes a host and port: one probe of a table, however many there are.

use std::sync::Arc;

use crate::engine::release::Release;
use crate::engine::table::{Entry, Table, at, hash};
use crate::request::Destination;

/// Releases by name and by host. Each has a number for its life, so that a copy with a few changes is cheap.
#[derive(Clone, Debug, Default)]
pub(crate) struct Directory {
    releases: Vec<Option<Arc<Release>>>,
    free: Vec<u32>,
    names: Table,
    /// Under each host all releases on it; few, since they differ by port.
    hosts: Table,
    /// Where each number stands in the document.
    places: Vec<u32>,
    /// How many releases may issue cookies.
    issuing: usize,
}

/// What a release shares with another one.
pub(crate) struct Clash {
    /// The index of a host; else it is the name.
    pub(crate) host: Option<usize>,
    /// The name of the other one.
    pub(crate) other: String,
}

impl Directory {
    pub(crate) fn get(&self, number: u32) -> Option<&Arc<Release>> {
        at(&self.releases, number)?.as_ref()
    }

    /// How many numbers there are, those of releases that left included.
    pub(crate) fn len(&self) -> usize {
        self.releases.len()
    }

    /// Whether any release may issue cookies.
    pub(crate) fn issues_cookies(&self) -> bool {
        self.issuing > 0
    }

    /// The release of a name.
    pub(crate) fn named(&self, name: &str) -> Option<u32> {
        let mut is = |(number, _)| self.get(number).is_some_and(|release| release.name == name);
        self.names.find(hash(name.as_bytes()), &mut is).map(|(number, _)| number)
    }

    /// The release that routes a destination.
    pub(crate) fn routing(&self, destination: &Destination<'_>) -> Option<&Release> {
        let found = self.on_host(&destination.host, destination.port);
        found.or_else(|| self.on_host(&destination.canonical()?, destination.port))
    }

    fn on_host(&self, host: &[u8], port: Option<u16>) -> Option<&Release> {
        let hashed = hash(host);
        let Some(port) = port else {
            return self.first_on_host(host, hashed);
        };
        let routes =
            |(number, index)| self.get(number).is_some_and(|release| release.is_on(host, index) && release.routes(port));
        let (number, _) = self.hosts.probe(hashed, routes)?;
        self.get(number).map(|release| &**release)
    }

    /// Of those that share a host the first one in the document, since nobody says which port it is.
    #[inline(never)]
    fn first_on_host(&self, host: &[u8], hashed: u64) -> Option<&Release> {
        let is_on = |&(number, index): &Entry| self.get(number).is_some_and(|release| release.is_on(host, index));
        let place = |(number, _): &Entry| at(&self.places, *number).copied();
        let (number, _) = self.hosts.all(hashed).filter(is_on).min_by_key(place)?;
        self.get(number).map(|release| &**release)
    }

    /// Takes note of the document's order.
    pub(crate) fn arrange(&mut self, order: &[u32]) {
        self.places = vec![0; self.releases.len()];
        for (place, number) in (0..).zip(order) {
            if let Some(at) = usize::try_from(*number).ok().and_then(|number| self.places.get_mut(number)) {
                *at = place;
            }
        }
    }

    /// Enters a release that shares neither its name nor a host and port with another one, and says its number.
    pub(crate) fn enter(&mut self, release: Arc<Release>) -> Result<u32, Clash> {
        if self.named(&release.name).is_some() {
            return Err(Clash { host: None, other: release.name.clone() });
        }
        for (index, name) in release.hosts.iter().enumerate() {
            let mut clashes = |(number, index)| {
                self.get(number).is_some_and(|other| other.is_on(name.as_bytes(), index) && other.overlaps(&release))
            };
            if let Some(other) =
                self.hosts.find(hash(name.as_bytes()), &mut clashes).and_then(|(number, _)| self.get(number))
            {
                return Err(Clash { host: Some(index), other: other.name.clone() });
            }
        }
        let number = match self.free.pop() {
            Some(number) => number,
            None => {
                self.releases.push(None);
                u32::try_from(self.releases.len() - 1).unwrap_or(u32::MAX)
            }
        };
        if let Some(place) = usize::try_from(number).ok().and_then(|number| self.releases.get_mut(number)) {
            *place = Some(Arc::clone(&release));
        }
        self.issuing += usize::from(release.issues_cookies());
        self.names.insert(hash(release.name.as_bytes()), (number, 0));
        for (index, name) in (0..).zip(&release.hosts) {
            self.hosts.insert(hash(name.as_bytes()), (number, index));
        }
        Ok(number)
    }

    /// Forgets a release.
    pub(crate) fn leave(&mut self, number: u32) {
        let Some(release) = usize::try_from(number).ok().and_then(|number| self.releases.get_mut(number)?.take()) else {
            return;
        };
        self.issuing -= usize::from(release.issues_cookies());
        self.names.remove(hash(release.name.as_bytes()), (number, 0));
        for (index, name) in (0..).zip(&release.hosts) {
            self.hosts.remove(hash(name.as_bytes()), (number, index));
        }
        self.free.push(number);
    }
}
