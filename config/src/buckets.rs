//! Buckets: how a key finds its own, and which version has which.

pub(crate) mod algorithm;
pub(crate) mod map;
pub(crate) mod weight;
