//! From a sticky key to one of 100 000 buckets, with integers only.

use std::io::Cursor;

use serde::{Deserialize, Serialize};

/// How many buckets a split has: one for each 0.001 % of the keys.
pub const BUCKETS: u32 = 100_000;

/// How a salt and a key become a bucket.
///
/// All three start from `MurmurHash3_x86_32` with seed 0 (Austin Appleby, SMHasher).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Algorithm {
    /// `(hash(salt + ":" + key) * 100000) >> 32`: a multiplication instead of a remainder (Lemire, "Fast random integer
    /// generation in an interval", 2019).
    #[default]
    Serin,
    /// `(hash(salt + key) * 100000) >> 32`: with the canary first, the cohort of an `OpenFeature` flag in flagd (its
    /// fractional evaluation version 2, since flagd 0.15).
    Flagd,
    /// `hash(salt + ":" + key) % 100 + 1`: the cohort of an Unleash rollout whose groupId is the salt. It has 100 buckets,
    /// so weights are whole percents.
    Unleash,
}

impl Algorithm {
    /// The bucket of a key as the algorithm numbers it: 0 to 99 999, for [`Algorithm::Unleash`] 1 to 100.
    ///
    /// ```
    /// use serin_config::Algorithm;
    ///
    /// assert_eq!(Algorithm::Serin.bucket(b"bookinfo/reviews", b"ann"), 83_458);
    /// assert_eq!(Algorithm::Unleash.bucket(b"gr1", b"123"), 73);
    /// ```
    #[must_use]
    pub fn bucket(self, salt: &[u8], key: &[u8]) -> u32 {
        self.bucket_behind(self.prefix(salt), key)
    }

    /// What is hashed before each key.
    pub(crate) fn prefix(self, salt: &[u8]) -> Murmur3 {
        let salt = Murmur3::default().then(salt);
        match self {
            Self::Serin | Self::Unleash => salt.then(b":"),
            Self::Flagd => salt,
        }
    }

    /// The bucket of a key behind a prefix that was hashed.
    #[inline]
    pub(crate) fn bucket_behind(self, prefix: Murmur3, key: &[u8]) -> u32 {
        let hash = prefix.then(key).finish();
        match self {
            Self::Serin | Self::Flagd => scale(hash),
            Self::Unleash => hash % 100 + 1,
        }
    }

    /// Where a bucket of this algorithm begins on the map of 100 000.
    #[must_use]
    pub(crate) fn position(self, bucket: u32) -> u32 {
        match self {
            Self::Serin | Self::Flagd => bucket,
            Self::Unleash => bucket.saturating_sub(1).saturating_mul(self.granularity()),
        }
    }

    /// The smallest step of a weight, in buckets of 100 000.
    #[must_use]
    pub fn granularity(self) -> u32 {
        match self {
            Self::Serin | Self::Flagd => 1,
            Self::Unleash => BUCKETS / 100,
        }
    }
}

/// `MurmurHash3_x86_32` with seed 0 (Austin Appleby, SMHasher), so far: a salt is hashed once for all of its keys, which no
/// crate does.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Murmur3 {
    hash: u32,
    /// The bytes behind the last whole block, little-endian.
    tail: u32,
    length: u32,
}

impl Murmur3 {
    /// With these bytes behind those so far.
    #[must_use]
    #[inline]
    pub(crate) fn then(mut self, bytes: &[u8]) -> Self {
        let (words, rest) = bytes.as_chunks();
        for word in words {
            let both = u64::from(u32::from_le_bytes(*word)) << self.shift() | u64::from(self.tail);
            self.block(both as u32);
            self.tail = (both >> 32) as u32;
            self.length = self.length.wrapping_add(4);
        }
        for byte in rest {
            self.tail |= u32::from(*byte) << self.shift();
            self.length = self.length.wrapping_add(1);
            if self.shift() == 0 {
                self.block(self.tail);
                self.tail = 0;
            }
        }
        self
    }

    /// The hash of all bytes.
    #[inline]
    pub(crate) fn finish(self) -> u32 {
        let mut hash = self.hash ^ Self::mixed(self.tail) ^ self.length;
        hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
        hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
        hash ^ hash >> 16
    }

    fn shift(self) -> u32 {
        self.length % 4 * 8
    }

    fn block(&mut self, block: u32) {
        self.hash = (self.hash ^ Self::mixed(block)).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    }

    fn mixed(block: u32) -> u32 {
        block.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593)
    }
}

fn scale(hash: u32) -> u32 {
    let bucket = (u64::from(hash) * u64::from(BUCKETS)) >> 32;
    u32::try_from(bucket).unwrap_or_default()
}

/// An identity for a visitor who has none, made from the request's id: 32 hexadecimal digits.
///
/// A hash, so that nothing which a client sends gets into a response header, and the id of a trace into no cookie.
#[inline(never)]
pub(crate) fn identity(request_id: &[u8]) -> String {
    // Reading from memory cannot fail.
    format!("{:032x}", murmur3::murmur3_x64_128(&mut Cursor::new(request_id), 0).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_hashed_as_the_whole() {
        let bytes: Vec<u8> = (0..40_u8).map(|n| n.wrapping_mul(89)).collect();
        for length in 0..=bytes.len() {
            for at in 0..=length {
                let (prefix, key) = (&bytes[..at], &bytes[at..length]);
                let whole = murmur3::murmur3_32(&mut &bytes[..length], 0).unwrap();
                assert_eq!(Murmur3::default().then(prefix).then(key).finish(), whole, "{at} of {length}");
            }
        }
    }
}
