//! From a sticky key to one of 100 000 buckets, with integers only.

use std::io::{Cursor, Read};

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
        self.bucket_behind(&self.prefix(salt), key)
    }

    /// What is hashed before each key.
    pub(crate) fn prefix(self, salt: &[u8]) -> Vec<u8> {
        match self {
            Self::Serin | Self::Unleash => [salt, b":"].concat(),
            Self::Flagd => salt.to_vec(),
        }
    }

    /// The salt in a prefix.
    pub(crate) fn salt(self, prefix: &[u8]) -> &[u8] {
        match self {
            Self::Serin | Self::Unleash => prefix.strip_suffix(b":").unwrap_or(prefix),
            Self::Flagd => prefix,
        }
    }

    /// The bucket of a key behind a prefix.
    pub(crate) fn bucket_behind(self, prefix: &[u8], key: &[u8]) -> u32 {
        let hash = hash(prefix, key);
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

/// A prefix and a key of usual length are hashed from one place: reading from two costs more than the hash.
const SHORT: usize = 128;

fn hash(prefix: &[u8], key: &[u8]) -> u32 {
    let mut memory = [0; SHORT];
    // Reading from memory cannot fail.
    match joined(&mut memory, prefix, key) {
        Some(bytes) => murmur3::murmur3_32(&mut Blocks(bytes), 0),
        None => murmur3::murmur3_32(&mut Cursor::new(prefix).chain(Cursor::new(key)), 0),
    }
    .unwrap_or_default()
}

/// Bytes that are read in blocks of four, as the hash asks for them: a copy of a size that is known costs no call.
struct Blocks<'b>(&'b [u8]);

impl Read for Blocks<'_> {
    #[inline]
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if let Some((block, rest)) = self.0.split_first_chunk::<4>()
            && let Some(into) = into.first_chunk_mut::<4>()
        {
            (*into, self.0) = (*block, rest);
            return Ok(4);
        }
        self.0.read(into)
    }
}

/// Both one behind the other; `None` when they do not fit.
fn joined<'m>(memory: &'m mut [u8; SHORT], prefix: &[u8], key: &[u8]) -> Option<&'m [u8]> {
    let (front, rest) = memory.split_at_mut_checked(prefix.len())?;
    front.copy_from_slice(prefix);
    rest.get_mut(..key.len())?.copy_from_slice(key);
    memory.get(..prefix.len() + key.len())
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
    fn long_and_short_keys_are_hashed_alike() {
        for length in 0..2 * SHORT {
            let (prefix, key) = (vec![b's'; length / 3], vec![b'k'; length - length / 3]);
            let whole = [prefix.as_slice(), &key].concat();
            assert_eq!(hash(&prefix, &key), murmur3::murmur3_32(&mut whole.as_slice(), 0).unwrap(), "{length}");
        }
    }
}
