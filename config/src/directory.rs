//! Which release has a name, and which one routes a host and port: one probe of a table, however many there are.

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use crate::error::{Cause, CompileError};
use crate::request::Destination;
use crate::split::Release;

/// Releases by name and by host. Each has a number for its life, so that a copy with a few changes is cheap.
#[derive(Clone, Debug, Default)]
pub(crate) struct Directory {
    releases: Vec<Option<Arc<Release>>>,
    free: Vec<u32>,
    names: HashTable<Entry>,
    /// Under each host all releases on it; few, since they differ by port.
    hosts: HashTable<Entry>,
}

/// The number of a release, and which of its hosts.
type Entry = (u32, u32);

/// Hosts are looked up by what clients send, but only releases are entered: no client can make a crowded place.
fn hash(text: &str) -> u64 {
    FixedState::default().hash_one(text)
}

fn at(releases: &[Option<Arc<Release>>], number: u32) -> Option<&Arc<Release>> {
    releases.get(usize::try_from(number).ok()?)?.as_ref()
}

fn host(releases: &[Option<Arc<Release>>], (number, index): Entry) -> Option<&str> {
    at(releases, number)?.hosts.get(usize::try_from(index).ok()?).map(String::as_str)
}

impl Directory {
    pub(crate) fn get(&self, number: u32) -> Option<&Arc<Release>> {
        at(&self.releases, number)
    }

    /// How many numbers there are, those of releases that left included.
    pub(crate) fn len(&self) -> usize {
        self.releases.len()
    }

    /// The release of a name.
    pub(crate) fn named(&self, name: &str) -> Option<u32> {
        let is = |&(number, _): &Entry| self.get(number).is_some_and(|release| release.name == name);
        self.names.find(hash(name), is).map(|&(number, _)| number)
    }

    /// The release that routes a destination.
    pub(crate) fn routing(&self, destination: &Destination<'_>) -> Option<&Release> {
        let routes = |&(number, index): &Entry| {
            let host =
                |release: &Release| release.hosts.get(usize::try_from(index).ok()?).map(|host| *host == destination.host);
            self.get(number).is_some_and(|release| host(release) == Some(true) && release.routes(destination.port))
        };
        let &(number, _) = self.hosts.find(hash(&destination.host), routes)?;
        self.get(number).map(|release| &**release)
    }

    /// Enters a release that shares neither its name nor a host and port with another one, and says its number. An error names
    /// its hosts as they are written.
    pub(crate) fn enter(&mut self, release: Arc<Release>, written: &[String]) -> Result<u32, CompileError> {
        if self.named(&release.name).is_some() {
            return Err(Cause::Release(release.name.clone()).at("release"));
        }
        for (index, (name, written)) in release.hosts.iter().zip(written).enumerate() {
            let clashes = |&entry: &Entry| {
                host(&self.releases, entry).is_some_and(|host| host == name)
                    && self.get(entry.0).is_some_and(|other| other.overlaps(&release))
            };
            if let Some(other) = self.hosts.find(hash(name), clashes).and_then(|&(number, _)| self.get(number)) {
                let taken = Cause::Taken { host: written.clone(), other: other.name.clone() };
                return Err(taken.at(format!("hosts[{index}]")));
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
        let Self { releases, names, hosts, .. } = self;
        let rehash = |&(number, _): &Entry| at(releases, number).map_or(0, |release| hash(&release.name));
        names.insert_unique(hash(&release.name), (number, 0), rehash);
        let rehash = |&entry: &Entry| host(releases, entry).map_or(0, hash);
        for (index, name) in (0..).zip(&release.hosts) {
            hosts.insert_unique(hash(name), (number, index), rehash);
        }
        Ok(number)
    }

    /// Forgets a release.
    pub(crate) fn leave(&mut self, number: u32) {
        let Some(release) = usize::try_from(number).ok().and_then(|number| self.releases.get_mut(number)?.take()) else {
            return;
        };
        if let Ok(entry) = self.names.find_entry(hash(&release.name), |entry| entry.0 == number) {
            entry.remove();
        }
        for (index, name) in (0..).zip(&release.hosts) {
            if let Ok(entry) = self.hosts.find_entry(hash(name), |entry| *entry == (number, index)) {
                entry.remove();
            }
        }
        self.free.push(number);
    }
}
