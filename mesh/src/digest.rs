//! Digests of what is written.

use sha2::{Digest, Sha256};

/// SHA-256 in hexadecimal.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// So many of its first digits, where people shall be able to read them.
#[must_use]
pub fn short_digest(bytes: &[u8], digits: usize) -> String {
    digest(bytes).chars().take(digits).collect()
}
