//! A set that is small nearly always: most keys find one object and are read for one release, and there are many keys.

use std::borrow::Borrow;

/// A sorted set. One element takes one word; a change costs a move of those behind it.
#[derive(Clone, Debug)]
pub(crate) struct Few<T>(Vec<T>);

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Ord> Few<T> {
    /// Adds an element, unless it is there.
    pub(crate) fn insert(&mut self, element: T) {
        if let Err(at) = self.0.binary_search(&element) {
            self.0.reserve_exact(if self.0.len() < 4 { 1 } else { self.0.len() / 2 });
            self.0.insert(at, element);
        }
    }

    /// Removes an element, if it is there.
    pub(crate) fn remove<Q: Ord + ?Sized>(&mut self, element: &Q)
    where
        T: Borrow<Q>,
    {
        if let Ok(at) = self.0.binary_search_by(|known| known.borrow().cmp(element)) {
            self.0.remove(at);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, T> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_set(steps in prop::collection::vec((any::<bool>(), 0..20_u8), 0..200)) {
            let (mut few, mut set) = (Few::default(), BTreeSet::new());
            for (adds, element) in steps {
                if adds {
                    few.insert(element);
                    set.insert(element);
                } else {
                    few.remove(&element);
                    set.remove(&element);
                }
                prop_assert!(few.iter().eq(&set) && few.is_empty() == set.is_empty());
            }
        }
    }

    #[test]
    fn one_element_takes_one_word() {
        let mut few = Few::default();
        few.insert(1_usize);
        assert_eq!(few.0.capacity(), 1);
    }
}
