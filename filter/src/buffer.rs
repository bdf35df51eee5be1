//! Memory for what the host hands over while it calls the module once: nothing is allocated, and nothing is freed one by one.
#![expect(unsafe_code, reason = "the host writes to memory that safe code reads afterwards")]

use std::cell::{Cell, RefCell, UnsafeCell};
use std::marker::PhantomData;
use std::ptr::{null, null_mut};

/// Headers and properties of nearly all requests fit; what does not is allocated.
const ROOM_BYTES: usize = 32 * 1024;

struct Memory {
    used: Cell<usize>,
    /// What did not fit, each in an allocation of its own.
    large: RefCell<Vec<Vec<u8>>>,
    /// What the host call that is running has asked for; there is one call at a time, and it asks once.
    lent: Cell<(*const u8, usize)>,
    entries: Cell<usize>,
}

thread_local! {
    /// Alone, since what is zero takes no bytes of the module.
    static ROOM: UnsafeCell<[u8; ROOM_BYTES]> = const { UnsafeCell::new([0; ROOM_BYTES]) };
    static MEMORY: Memory = const {
        Memory {
            used: Cell::new(0),
            large: RefCell::new(Vec::new()),
            lent: Cell::new((null(), 0)),
            entries: Cell::new(0),
        }
    };
}

/// One call of the host into the module: what it hands over lives as long.
pub(crate) struct Entry(PhantomData<*const u8>);

impl Entry {
    /// Begins with all memory free.
    pub(crate) fn begin() -> Self {
        MEMORY.with(|memory| {
            let entries = memory.entries.get();
            if entries == 0 {
                memory.used.set(0);
                if let Ok(mut large) = memory.large.try_borrow_mut() {
                    large.clear();
                }
            }
            memory.entries.set(entries + 1);
        });
        Self(PhantomData)
    }

    /// Takes over what the host has written: so many bytes at the address that was lent. Without an address it wrote nothing.
    pub(crate) fn receive(&self, address: *const u8, size: usize) -> Option<&[u8]> {
        if address.is_null() {
            return Some(&[]);
        }
        let (lent, most) = MEMORY.with(|memory| memory.lent.replace((null(), 0)));
        // SAFETY: these bytes were lent since this entry began, and go to nobody else before it ends; all were written, with
        // zero or by the host.
        (lent == address).then(|| unsafe { std::slice::from_raw_parts(address, size.min(most)) })
    }

    /// Puts bytes behind one another, in the memory of this entry.
    #[inline(never)]
    pub(crate) fn join(&self, parts: &[&[u8]]) -> &[u8] {
        let size = parts.iter().map(|part| part.len()).sum();
        let address = lend(size);
        if address.is_null() {
            return &[];
        }
        let mut end = address;
        for part in parts {
            // SAFETY: as many bytes were lent as all parts have, to nobody else before this entry ends.
            unsafe {
                std::ptr::copy_nonoverlapping(part.as_ptr(), end, part.len());
                end = end.add(part.len());
            }
        }
        // SAFETY: these bytes were written just now.
        unsafe { std::slice::from_raw_parts(address, size) }
    }

    /// Takes over what the host has written as a list, without a copy where it has an allocation of its own.
    pub(crate) fn receive_vec(&self, address: *const u8, size: usize) -> Option<Vec<u8>> {
        let own = MEMORY.with(|memory| {
            let mut large = memory.large.try_borrow_mut().ok()?;
            large.pop_if(|bytes| !address.is_null() && bytes.as_ptr() == address && memory.lent.get().0 == address)
        });
        match own {
            Some(mut bytes) => {
                bytes.truncate(size);
                Some(bytes)
            }
            None => self.receive(address, size).map(<[u8]>::to_vec),
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        MEMORY.with(|memory| memory.entries.set(memory.entries.get() - 1));
    }
}

/// Memory for so many bytes that the host is about to write.
pub(crate) fn lend(size: usize) -> *mut u8 {
    MEMORY.with(|memory| {
        let from = memory.used.get();
        let address = match from.checked_add(size) {
            Some(to) if to <= ROOM_BYTES => {
                memory.used.set(to);
                ROOM.with(|room| room.get().cast::<u8>().wrapping_add(from))
            }
            _ => allocate(memory, size),
        };
        memory.lent.set((address, size));
        address
    })
}

#[inline(never)]
fn allocate(memory: &Memory, size: usize) -> *mut u8 {
    let Ok(mut large) = memory.large.try_borrow_mut() else {
        return null_mut();
    };
    let mut bytes = vec![0; size];
    let address = bytes.as_mut_ptr();
    large.push(bytes);
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a host does.
    fn hand_over<'e>(entry: &'e Entry, bytes: &[u8]) -> &'e [u8] {
        let address = lend(bytes.len());
        // SAFETY: there are as many bytes, and nobody has seen them yet.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), address, bytes.len()) };
        entry.receive(address, bytes.len()).unwrap()
    }

    #[test]
    fn what_is_handed_over_lives_as_long_as_the_entry() {
        let large = vec![7; ROOM_BYTES + 1];
        for _ in 0..3 {
            let entry = Entry::begin();
            let all = [&b"first"[..], &large, b"", &large[..ROOM_BYTES - 100], b"last", &large[..200]];
            let handed = all.map(|bytes| hand_over(&entry, bytes));
            assert_eq!(handed, all);
            MEMORY.with(|memory| assert_eq!(memory.large.borrow().len(), 2));
        }
        drop(Entry::begin());
        MEMORY.with(|memory| assert!(memory.large.borrow().is_empty()));
    }

    #[test]
    fn a_large_document_is_not_copied() {
        let entry = Entry::begin();
        for size in [10, ROOM_BYTES + 1] {
            let address = lend(size);
            let bytes = entry.receive_vec(address, size).unwrap();
            assert_eq!((bytes.len(), bytes.as_ptr() == address), (size, size > ROOM_BYTES));
        }
        assert!(entry.receive_vec(null(), 9).unwrap().is_empty());
    }

    #[test]
    fn parts_are_joined_beside_what_was_handed_over() {
        let entry = Entry::begin();
        let handed = hand_over(&entry, b"v2");
        let large = [7; ROOM_BYTES];
        let all = [entry.join(&[handed, b".", b"key"]), entry.join(&[]), entry.join(&[&large, b"1"]), entry.join(&[b"end"])];
        assert_eq!(all.map(<[u8]>::len), [6, 0, ROOM_BYTES + 1, 3]);
        assert_eq!((all[0], all[2].last(), all[3], handed), (&b"v2.key"[..], Some(&b'1'), &b"end"[..], &b"v2"[..]));
    }

    #[test]
    fn memory_is_used_again() {
        let first = hand_over(&Entry::begin(), b"first").as_ptr();
        assert_eq!(hand_over(&Entry::begin(), b"second").as_ptr(), first);
    }

    #[test]
    fn what_was_not_lent_is_not_received() {
        let (entry, elsewhere) = (Entry::begin(), [1_u8; 4]);
        let address = lend(4);
        assert!(entry.receive(elsewhere.as_ptr(), 4).is_none());
        assert!(entry.receive(address, 4).is_none());
        assert_eq!(entry.receive(null(), 9).unwrap(), b"");
        let address = lend(2);
        assert_eq!(entry.receive(address, 9).unwrap().len(), 2);
    }
}
