//! Regular expressions as automata that travel in the document: compiled once, searched in linear time.
//!
//! A matcher for patterns would be several times the rest of the filter; the search of a finished automaton is a loop. Its bytes
//! are one that says their form, then the states, the first of which is where a text begins: one byte (1 where a text may end),
//! the number of ranges, and for each range its last byte and the number of the state behind it. A range begins where the one
//! before ends; what is behind the last one leads nowhere, and neither does [`NOWHERE`]. Numbers are 16 bits, little-endian.

use std::sync::Arc;

use crate::error::Cause;
use crate::request::base64;

/// The form of the bytes, so that another version of Serin can tell them from its own.
const FORM: u8 = 1;

/// The number of no state.
pub(crate) const NOWHERE: u16 = u16::MAX;

/// A compiled pattern, which matches whole values.
#[derive(Clone, Debug)]
pub(crate) struct Automaton(Arc<[State]>);

/// A state of an automaton.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// Whether a text may end here.
    pub(crate) end: bool,
    /// Last bytes, increasing, and the states behind.
    pub(crate) ranges: Vec<(u8, u16)>,
}

impl Automaton {
    /// An automaton of these states, the first of which is where a text begins; `None` for more than numbers can tell apart.
    #[cfg(feature = "authoring")]
    pub(crate) fn new(states: Vec<State>) -> Option<Self> {
        (states.len() <= usize::from(NOWHERE)).then(|| Self(states.into()))
    }

    /// Reads an automaton as it stands in a document.
    #[inline(never)]
    pub(crate) fn load(text: &str) -> Result<Self, Cause> {
        let read = base64::decode(text.as_bytes(), *b"+/").and_then(|bytes| Self::from_bytes(&bytes));
        read.ok_or_else(|| Cause::Automaton("it is not of this version".to_owned()))
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (form, mut rest) = bytes.split_first()?;
        let (mut states, mut highest) = (Vec::new(), 0);
        while let Some(([end @ (0 | 1), low, high], after)) = rest.split_first_chunk() {
            let (ranges, after) = after.split_at_checked(3 * usize::from(u16::from_le_bytes([*low, *high])))?;
            let ranges: Vec<_> =
                ranges.as_chunks().0.iter().map(|[last, low, high]| (*last, u16::from_le_bytes([*low, *high]))).collect();
            if !ranges.is_sorted_by(|(one, _), (next, _)| one < next) {
                return None;
            }
            let behind = ranges.iter().map(|(_, state)| *state).filter(|state| *state != NOWHERE);
            highest = behind.fold(highest, u16::max);
            states.push(State { end: *end == 1, ranges });
            rest = after;
        }
        (*form == FORM && rest.is_empty() && usize::from(highest) < states.len()).then(|| Self(states.into()))
    }

    /// The automaton as it stands in a document.
    #[cfg(feature = "authoring")]
    pub(crate) fn to_text(&self) -> String {
        use ::base64::Engine;
        ::base64::engine::general_purpose::STANDARD.encode(self.to_bytes())
    }

    #[cfg(feature = "authoring")]
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![FORM];
        for State { end, ranges } in &*self.0 {
            bytes.push(u8::from(*end));
            bytes.extend(u16::try_from(ranges.len()).unwrap_or_default().to_le_bytes());
            for (last, state) in ranges {
                bytes.push(*last);
                bytes.extend(state.to_le_bytes());
            }
        }
        bytes
    }

    /// Whether the whole text matches.
    #[inline(never)]
    pub(crate) fn matches(&self, text: &str) -> bool {
        let mut here = self.0.first();
        for byte in text.bytes() {
            let Some(State { ranges, .. }) = here else {
                return false;
            };
            let at = ranges.partition_point(|(last, _)| *last < byte);
            // There is no state behind `NOWHERE`.
            here = ranges.get(at).and_then(|(_, state)| self.0.get(usize::from(*state)));
        }
        here.is_some_and(|state| state.end)
    }
}

/// The pattern under which an automaton stands in the document.
pub(crate) fn effective(pattern: &str, ignore_case: bool) -> String {
    if ignore_case { format!("(?i:{pattern})") } else { pattern.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `(a|b)*c[0-9]?`
    fn automaton() -> Automaton {
        let state = |end, ranges: &[(u8, u16)]| State { end, ranges: ranges.to_vec() };
        let digit = state(true, &[(b'/', NOWHERE), (b'9', 2)]);
        Automaton::new(vec![state(false, &[(b'`', NOWHERE), (b'b', 0), (b'c', 1)]), digit, state(true, &[])]).unwrap()
    }

    #[test]
    fn ranges_lead_from_state_to_state() {
        for (text, matches) in [("c", true), ("abbac7", true), ("", false), ("ab", false), ("c77", false), ("dc", false)] {
            assert_eq!(automaton().matches(text), matches, "{text}");
        }
    }

    #[test]
    fn bytes_that_are_not_an_automaton_are_refused() {
        let bytes = automaton().to_bytes();
        assert_eq!(Automaton::from_bytes(&bytes).unwrap().to_bytes(), bytes);
        for length in 0..bytes.len() {
            if let Some(shorter) = Automaton::from_bytes(&bytes[..length]) {
                assert_eq!(shorter.to_bytes(), bytes[..length]);
            }
        }
        for at in 0..bytes.len() {
            for value in 0..=u8::MAX {
                let mut other = bytes.clone();
                other[at] = value;
                if let Some(other) = Automaton::from_bytes(&other) {
                    for State { ranges, .. } in &*other.0 {
                        assert!(ranges.iter().all(|(_, state)| *state == NOWHERE || usize::from(*state) < other.0.len()));
                    }
                    other.matches("abc123");
                }
            }
        }
        assert!(Automaton::from_bytes(&[]).is_none());
        assert!(Automaton::from_bytes(&[FORM]).is_none());
    }
}
