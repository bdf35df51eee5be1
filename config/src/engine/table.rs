//! A hash table of numbers; what a number stands for is kept elsewhere.

use std::hash::Hasher;

use hashbrown::HashTable;
use rustc_hash::FxHasher;

/// Numbers by the hash of what they stand for. The hash is kept too: one table serves all, and growing it needs to look nowhere.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table(HashTable<(u64, Entry)>);

/// The number of a thing, and which of its names.
pub(crate) type Entry = (u32, u32);

/// What has a number in a list.
pub(crate) fn at<T>(list: &[T], number: u32) -> Option<&T> {
    list.get(usize::try_from(number).ok()?)
}

/// The hash of a name. It has no secret: names are looked up by what clients send, but no client enters one.
pub(crate) fn hash(name: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(name);
    hasher.finish()
}

impl Table {
    /// The entry of this hash that is meant, for each request.
    #[inline]
    pub(crate) fn probe(&self, hash: u64, mut is: impl FnMut(Entry) -> bool) -> Option<Entry> {
        self.0.find(hash, |&(_, entry)| is(entry)).map(|&(_, entry)| entry)
    }

    /// The entry of this hash that is meant, where a document is read: one piece of code for all who ask.
    #[inline(never)]
    pub(crate) fn find(&self, hash: u64, is: &mut dyn FnMut(Entry) -> bool) -> Option<Entry> {
        self.probe(hash, is)
    }

    /// All entries of this hash.
    pub(crate) fn all(&self, hash: u64) -> impl Iterator<Item = Entry> {
        self.0.iter_hash(hash).filter(move |(other, _)| *other == hash).map(|(_, entry)| *entry)
    }

    /// Adds an entry.
    pub(crate) fn insert(&mut self, hash: u64, entry: Entry) {
        self.0.insert_unique(hash, (hash, entry), |&(hash, _)| hash);
    }

    /// Takes an entry out.
    pub(crate) fn remove(&mut self, hash: u64, entry: Entry) {
        if let Ok(found) = self.0.find_entry(hash, |&(_, other)| other == entry) {
            found.remove();
        }
    }
}
