//! Which release has a name, and which one routes a host and port: one probe of a table, however many there are.

use std::sync::Arc;

use crate::request::Destination;
use crate::split::Release;
use crate::table::{Entry, Table, hash};

/// Releases by name and by host. Each has a number for its life, so that a copy with a few changes is cheap.
#[derive(Clone, Debug, Default)]
pub(crate) struct Directory {
    releases: Vec<Option<Arc<Release>>>,
    free: Vec<u32>,
    names: Table,
    /// Under each host all releases on it; few, since they differ by port.
    hosts: Table,
}

/// What a release shares with another one.
pub(crate) struct Clash {
    /// The index of a host; else it is the name.
    pub(crate) host: Option<usize>,
    /// The name of the other one.
    pub(crate) other: String,
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
        let is = |(number, _)| self.get(number).is_some_and(|release| release.name == name);
        self.names.find(hash(name.as_bytes()), is).map(|(number, _)| number)
    }

    /// The release that routes a destination.
    pub(crate) fn routing(&self, destination: &Destination<'_>) -> Option<&Release> {
        let routes = |(number, index): Entry| {
            let host =
                |release: &Release| release.hosts.get(usize::try_from(index).ok()?).map(|host| *host == destination.host);
            self.get(number).is_some_and(|release| host(release) == Some(true) && release.routes(destination.port))
        };
        let (number, _) = self.hosts.find(hash(destination.host.as_bytes()), routes)?;
        self.get(number).map(|release| &**release)
    }

    /// Enters a release that shares neither its name nor a host and port with another one, and says its number.
    pub(crate) fn enter(&mut self, release: Arc<Release>) -> Result<u32, Clash> {
        if self.named(&release.name).is_some() {
            return Err(Clash { host: None, other: release.name.clone() });
        }
        for (index, name) in release.hosts.iter().enumerate() {
            let clashes = |entry: Entry| {
                host(&self.releases, entry).is_some_and(|host| host == name)
                    && self.get(entry.0).is_some_and(|other| other.overlaps(&release))
            };
            if let Some(other) = self.hosts.find(hash(name.as_bytes()), clashes).and_then(|(number, _)| self.get(number)) {
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
        self.names.remove(hash(release.name.as_bytes()), (number, 0));
        for (index, name) in (0..).zip(&release.hosts) {
            self.hosts.remove(hash(name.as_bytes()), (number, index));
        }
        self.free.push(number);
    }
}
