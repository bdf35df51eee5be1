//! Memory for what the host hands over, used again and again so that a request allocates nothing.

use std::cell::{Cell, RefCell};
use std::ops::Deref;

/// Larger buffers go back to the allocator: documents, and headers that no usual client sends.
const KEPT_BYTES: usize = 64 * 1024;

/// The smallest buffer, so that the first few requests make the buffers for all others.
const LEAST_BYTES: usize = 4 * 1024;

/// A request has two at a time, its headers and a property.
const KEPT: usize = 4;

thread_local! {
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
    /// What the host call that is running has asked for; there is one call at a time, and it asks once.
    static LENT: Cell<Option<Vec<u8>>> = const { Cell::new(None) };
}

/// Bytes from the host; with their end the memory is free for others.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    memory: Vec<u8>,
    size: usize,
}

/// Memory for so many bytes that the host is about to write.
pub(crate) fn lend(size: usize) -> *mut u8 {
    let spare = SPARE.with(|spare| {
        let mut spare = spare.try_borrow_mut().ok()?;
        let at = spare.iter().position(|memory| memory.len() >= size)?;
        Some(spare.swap_remove(at))
    });
    let mut memory = spare.unwrap_or_else(|| vec![0; size.max(LEAST_BYTES)]);
    let address = memory.as_mut_ptr();
    LENT.set(Some(memory));
    address
}

/// Takes over what the host has written: so many bytes at the address that was lent. Without an address it wrote nothing.
pub(crate) fn receive(address: *const u8, size: usize) -> Option<Buffer> {
    if address.is_null() {
        return Some(Buffer::default());
    }
    let memory = LENT.take().filter(|memory| memory.as_ptr() == address)?;
    Some(Buffer { size: size.min(memory.len()), memory })
}

impl Buffer {
    /// The bytes as a list of their own.
    pub(crate) fn into_vec(mut self) -> Vec<u8> {
        let mut memory = std::mem::take(&mut self.memory);
        memory.truncate(self.size);
        memory
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.memory.get(..self.size).unwrap_or_default()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let memory = std::mem::take(&mut self.memory);
        if memory.is_empty() || memory.len() > KEPT_BYTES {
            return;
        }
        SPARE.with(|spare| {
            if let Some(mut spare) = spare.try_borrow_mut().ok().filter(|spare| spare.len() < KEPT) {
                spare.push(memory);
            }
        });
    }
}

#[cfg(test)]
impl From<Vec<u8>> for Buffer {
    fn from(memory: Vec<u8>) -> Self {
        Self { size: memory.len(), memory }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a host does, written through the buffer.
    fn hand_over(bytes: &[u8]) -> Buffer {
        let address = lend(bytes.len());
        let mut buffer = receive(address, bytes.len()).unwrap();
        buffer.memory[..bytes.len()].copy_from_slice(bytes);
        buffer
    }

    #[test]
    fn memory_is_used_again() {
        let (first, second) = (hand_over(b"first"), hand_over(b"second"));
        assert_eq!((&*first, &*second), (&b"first"[..], &b"second"[..]));
        let addresses = [first.memory.as_ptr(), second.memory.as_ptr()];
        drop((first, second));
        let third = hand_over(&[7; 4000]);
        assert!(addresses.contains(&third.memory.as_ptr()));
        assert_eq!(third.into_vec(), [7; 4000]);
    }

    #[test]
    fn large_memory_goes_back() {
        drop(hand_over(&vec![1; KEPT_BYTES + 1]));
        SPARE.with(|spare| assert!(spare.borrow().is_empty()));
    }

    #[test]
    fn what_was_not_lent_is_not_received() {
        let elsewhere = [1_u8; 4];
        lend(4);
        assert!(receive(elsewhere.as_ptr(), 4).is_none());
        assert!(receive(elsewhere.as_ptr(), 4).is_none());
        assert_eq!(&*receive(std::ptr::null(), 9).unwrap(), b"");
    }
}
