//! Which release has a name, and which one routes a host and port: one probe of a table, however many there are.

use std::sync::Arc;

use crate::error::{Cause, CompileError};
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
        let found = self.on_host(&destination.host, destination.port);
        found.or_else(|| self.on_host(&destination.canonical()?, destination.port))
    }

    fn on_host(&self, host: &[u8], port: Option<u16>) -> Option<&Release> {
        let routes = |(number, index): Entry| {
            let named =
                |release: &Release| release.hosts.get(usize::try_from(index).ok()?).map(|name| name.as_bytes() == host);
            self.get(number).is_some_and(|release| named(release) == Some(true) && release.routes(port))
        };
        let (number, _) = self.hosts.find(hash(host), routes)?;
        self.get(number).map(|release| &**release)
    }

    /// Enters a release that shares neither its name nor a host and port with another one, and says its number. An error names
    /// its hosts as they are written.
    pub(crate) fn enter(&mut self, release: Arc<Release>, written: &[String]) -> Result<u32, CompileError> {
        if self.named(&release.name).is_some() {
            return Err(Cause::Release(release.name.clone()).at("release"));
        }
        for (index, (name, written)) in release.hosts.iter().zip(written).enumerate() {
            let clashes = |entry: Entry| {
                host(&self.releases, entry).is_some_and(|host| host == name)
                    && self.get(entry.0).is_some_and(|other| other.overlaps(&release))
            };
            if let Some(other) = self.hosts.find(hash(name.as_bytes()), clashes).and_then(|(number, _)| self.get(number)) {
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
