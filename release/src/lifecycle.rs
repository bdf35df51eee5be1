//! The life cycle of a release: what its canaries show, and what follows from it.

pub mod evidence;
pub mod verdict;
