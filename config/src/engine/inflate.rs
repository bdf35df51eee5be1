//! The inverse of deflate (RFC 1951), in pieces.
//!
//! A decoder of our own, since the filter runs in every sidecar: a library for it was an eighth of the module. A document is the
//! same few words again and again, so that nearly all of it comes from copies. Short words of the codes are looked up, the others read
//! bit by bit.

/// A code has at most so many bits.
const MOST_BITS: usize = 15;
/// Words of so many bits at most are looked up.
const SHORT_BITS: u32 = 9;
/// Literals, lengths and the end of a block.
const SYMBOLS: usize = 288;
/// In which order the lengths of the code for lengths come (section 3.2.7).
const ORDER: [u8; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// Why inflating stops.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// What comes is not deflate, or it ends early.
    Damaged,
    /// The text has no room for what comes.
    Full,
}

/// A stream on its way to a text of a size that is known.
#[derive(Debug)]
pub(crate) struct Inflate<S> {
    /// Where bytes come from.
    pub(crate) source: S,
    /// Bits that are read and not used yet, the next one lowest.
    bits: u32,
    count: u32,
    place: Place,
    is_last: bool,
    literals: Code,
    distances: Code,
    /// What is there of the text.
    pub(crate) text: Vec<u8>,
    /// How large it shall become.
    size: usize,
}

#[derive(Debug)]
enum Place {
    BlockStart,
    /// So many bytes follow as they are.
    Stored(u16),
    /// Literals and lengths, and distances.
    Coded,
}

impl<S: Iterator<Item = u8>> Inflate<S> {
    /// Begins a text of a size, for which `text` has room.
    pub(crate) fn new(source: S, text: Vec<u8>, size: usize) -> Self {
        let (place, literals, distances) = (Place::BlockStart, Code::default(), Code::default());
        Self { source, bits: 0, count: 0, place, is_last: false, literals, distances, text, size }
    }

    /// Whether the text has the size that it shall have.
    pub(crate) fn is_full(&self) -> bool {
        self.text.len() == self.size
    }

    /// Goes on up to about so many bytes of the text; says whether the stream has ended.
    pub(crate) fn step(&mut self, until: usize) -> Result<bool, Stop> {
        loop {
            match self.place {
                Place::BlockStart if self.is_last => return Ok(true),
                Place::BlockStart => {
                    self.begin()?;
                    continue;
                }
                Place::Stored(0) => self.place = Place::BlockStart,
                Place::Stored(left) => {
                    self.place = Place::Stored(left - 1);
                    let byte = self.take(8)?;
                    self.put(byte)?;
                }
                Place::Coded => self.symbol()?,
            }
            if self.text.len() >= until && self.text.len() < self.size {
                return Ok(false);
            }
        }
    }

    /// Reads the header of a block (section 3.2.3).
    fn begin(&mut self) -> Result<(), Stop> {
        self.is_last = self.take(1)? == 1;
        let mut lengths = [8; SYMBOLS + 32];
        let mut literals = SYMBOLS;
        match self.take(2)? {
            0 => {
                (self.bits, self.count) = (0, 0);
                let length = self.take(16)?;
                self.place = Place::Stored(length);
                return if self.take(16)? == !length { Ok(()) } else { Err(Stop::Damaged) };
            }
            1 => {
                for (symbol, length) in lengths.iter_mut().enumerate() {
                    match symbol {
                        144..256 => *length = 9,
                        256..280 => *length = 7,
                        SYMBOLS.. => *length = 5,
                        _ => {}
                    }
                }
            }
            2 => literals = self.lengths(&mut lengths)?,
            _ => return Err(Stop::Damaged),
        }
        let (of_literals, of_distances) = lengths.split_at_checked(literals).ok_or(Stop::Damaged)?;
        self.literals.set(of_literals)?;
        self.distances.set(of_distances)?;
        self.place = Place::Coded;
        Ok(())
    }

    /// Reads the lengths of the words of a block's codes (section 3.2.7), and how many are for literals.
    fn lengths(&mut self, all: &mut [u8]) -> Result<usize, Stop> {
        let literals = usize::from(self.take(5)? + 257);
        let end = literals + usize::from(self.take(5)? + 1);
        let known = usize::from(self.take(4)? + 4);
        all.fill(0);
        for at in ORDER.iter().take(known) {
            let length = self.take(3)?;
            *all.get_mut(usize::from(*at)).ok_or(Stop::Damaged)? = low(length);
        }
        self.literals.set(all.get(..ORDER.len()).unwrap_or_default())?;
        all.fill(0);
        let (mut at, mut last) = (0, 0);
        while at < end {
            let (length, times) = match self.decode(false)? {
                16 if at > 0 => (last, 3 + self.take(2)?),
                16 => return Err(Stop::Damaged),
                17 => (0, 3 + self.take(3)?),
                18 => (0, 11 + self.take(7)?),
                length => (low(length), 1),
            };
            last = length;
            let next = at + usize::from(times);
            all.get_mut(..end).and_then(|all| all.get_mut(at..next)).ok_or(Stop::Damaged)?.fill(length);
            at = next;
        }
        Ok(literals)
    }

    /// Reads a literal, or a length and a distance, or the end of a block (section 3.2.5).
    fn symbol(&mut self) -> Result<(), Stop> {
        let symbol = self.decode(false)?;
        let length = match symbol {
            0..256 => return self.put(symbol),
            256 => {
                self.place = Place::BlockStart;
                return Ok(());
            }
            285 => 258,
            257..285 => self.span(symbol - 257, 2)? + 3,
            _ => return Err(Stop::Damaged),
        };
        let symbol = self.decode(true)?;
        if symbol >= 30 {
            return Err(Stop::Damaged);
        }
        let distance = self.span(symbol, 1)? + 1;
        let from = self.text.len().checked_sub(distance).ok_or(Stop::Damaged)?;
        let end = self.text.len() + length;
        if end > self.size {
            return Err(Stop::Full);
        }
        // What is copied may reach into what it makes: then the same bytes come again.
        while self.text.len() < end {
            let part = (self.text.len() - from).min(end - self.text.len());
            self.text.extend_from_within(from..from + part);
        }
        Ok(())
    }

    /// Puts one byte behind the others.
    fn put(&mut self, byte: u16) -> Result<(), Stop> {
        if self.text.len() >= self.size {
            return Err(Stop::Full);
        }
        self.text.push(low(byte));
        Ok(())
    }

    /// The number that a symbol and the bits behind it stand for: each `2^steps` symbols have a bit more.
    fn span(&mut self, symbol: u16, steps: u32) -> Result<usize, Stop> {
        let (group, step) = (u32::from(symbol >> steps), 1 << steps);
        let within = symbol & (step - 1);
        let Some(extra) = group.checked_sub(1) else {
            return Ok(within.into());
        };
        Ok((usize::from(within + step) << extra) + usize::from(self.take(extra)?))
    }

    /// The next symbol.
    #[inline(never)]
    fn decode(&mut self, is_distance: bool) -> Result<u16, Stop> {
        loop {
            let code = if is_distance { &self.distances } else { &self.literals };
            let (symbol, bits) = code.short(self.bits);
            if bits > 0 && bits <= self.count {
                self.bits >>= bits;
                self.count -= bits;
                return Ok(symbol);
            }
            if self.count >= SHORT_BITS {
                return self.decode_long(is_distance);
            }
            // The word is longer than what is there: nothing is read that is not needed.
            self.more()?;
        }
    }

    /// The next symbol, bit by bit.
    #[inline(never)]
    fn decode_long(&mut self, is_distance: bool) -> Result<u16, Stop> {
        let (mut word, mut first, mut index) = (0, 0, 0);
        for length in 1..=MOST_BITS {
            word = word << 1 | self.take(1)?;
            first <<= 1;
            let code = if is_distance { &self.distances } else { &self.literals };
            let count = code.counts.get(length).copied().unwrap_or_default();
            // Words of one length follow one another, and those of the next begin behind them.
            if let Some(at) = word.checked_sub(first).filter(|at| *at < count) {
                return code.symbols.get(usize::from(index + at)).copied().ok_or(Stop::Damaged);
            }
            index += count;
            first += count;
        }
        Err(Stop::Damaged)
    }

    /// The next so many bits, 16 at most.
    #[inline(never)]
    fn take(&mut self, bits: u32) -> Result<u16, Stop> {
        while self.count < bits {
            self.more()?;
        }
        let [low, high, ..] = (self.bits & ((1 << bits) - 1)).to_le_bytes();
        self.bits >>= bits;
        self.count -= bits;
        Ok(u16::from_le_bytes([low, high]))
    }

    /// Reads a byte.
    fn more(&mut self) -> Result<(), Stop> {
        self.bits |= u32::from(self.source.next().ok_or(Stop::Damaged)?) << self.count;
        self.count += 8;
        Ok(())
    }
}

/// A number below 256.
const fn low(number: u16) -> u8 {
    number.to_le_bytes()[0]
}

/// A canonical Huffman code (section 3.2.2).
#[derive(Debug)]
struct Code {
    /// How many words have each length.
    counts: [u16; MOST_BITS + 1],
    /// Symbols by the order of their words.
    symbols: [u16; SYMBOLS],
    /// By the bits that come next, the first one lowest: the symbol of a short word, above the four bits of its length.
    short: [u16; 1 << SHORT_BITS],
}

impl Default for Code {
    fn default() -> Self {
        Self { counts: [0; MOST_BITS + 1], symbols: [0; SYMBOLS], short: [0; 1 << SHORT_BITS] }
    }
}

impl Code {
    /// Makes it the code whose words have these lengths.
    #[inline(never)]
    fn set(&mut self, lengths: &[u8]) -> Result<(), Stop> {
        let (mut left, mut word, mut symbols) = (1_u16, 0_u16, self.symbols.iter_mut());
        self.short.fill(0);
        for (bits, count) in (0_u8..).zip(&mut self.counts).skip(1) {
            *count = 0;
            for (symbol, _) in (0_u16..).zip(lengths).filter(|(_, length)| **length == bits) {
                *symbols.next().ok_or(Stop::Damaged)? = symbol;
                *count += 1;
                // Words come with their first bit lowest, and anything behind them.
                let mut at = usize::from(word.reverse_bits() >> (16 - bits));
                while let Some(entry) = self.short.get_mut(at).filter(|_| u32::from(bits) <= SHORT_BITS) {
                    *entry = symbol << 4 | u16::from(bits);
                    at += 1 << bits;
                }
                word += 1;
            }
            word <<= 1;
            // More words than there can be.
            left = (left * 2).checked_sub(*count).ok_or(Stop::Damaged)?;
        }
        Ok(())
    }

    /// The symbol whose word the next bits begin with, and how many bits that has; none for a long word.
    fn short(&self, bits: u32) -> (u16, u32) {
        let at = usize::try_from(bits % (1 << SHORT_BITS)).unwrap_or_default();
        let entry = self.short.get(at).copied().unwrap_or_default();
        (entry >> 4, u32::from(entry & 15))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::DeflateEncoder;

    use super::*;

    fn deflated(text: &[u8], level: u32) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(level));
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// What comes out, and how many bytes are left of what went in.
    fn inflated(deflated: &[u8], size: usize, piece: usize) -> Result<(Vec<u8>, usize), Stop> {
        let mut inflate = Inflate::new(deflated.iter().copied(), Vec::new(), size);
        loop {
            let until = inflate.text.len() + piece;
            if inflate.step(until)? {
                break;
            }
            assert!((until..until + 258).contains(&inflate.text.len()));
        }
        Ok((inflate.text, inflate.source.len()))
    }

    /// Texts from one letter to noise.
    fn texts() -> impl Iterator<Item = Vec<u8>> {
        let mut random = 1_u32;
        let mut next = move || {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            random >> 16
        };
        let sizes = [0, 1, 2, 3, 31, 257, 258, 259, 1000, 32_768, 32_769, 100_003];
        let shapes = [1, 2, 3, 17, 64, 256];
        sizes.into_iter().flat_map(move |size| shapes.map(|shape| (size, shape))).map(move |(size, shape)| {
            let mut text: Vec<u8> = Vec::with_capacity(size);
            while text.len() < size {
                let back = next() as usize % 40_000;
                if next() % 4 == 0 && text.len() > back {
                    let again =
                        text[text.len() - back - 1..].iter().take(next() as usize % 300).copied().collect::<Vec<_>>();
                    text.extend(again);
                } else {
                    text.push(u8::try_from(next() % shape).unwrap());
                }
            }
            text.truncate(size);
            text
        })
    }

    #[test]
    fn what_a_library_deflates_is_inflated() {
        for text in texts() {
            for level in [0, 1, 6, 9] {
                let mut deflated = deflated(&text, level);
                deflated.extend(b"behind");
                for piece in [1, 1000, usize::MAX / 2] {
                    assert!(inflated(&deflated, text.len(), piece) == Ok((text.clone(), 6)), "{} {level}", text.len());
                }
            }
        }
    }

    #[test]
    fn what_is_too_long_or_cut_is_told() {
        for text in texts().filter(|text| !text.is_empty()) {
            for level in [0, 9] {
                let deflated = deflated(&text, level);
                assert_eq!(inflated(&deflated, text.len() - 1, usize::MAX / 2), Err(Stop::Full));
                assert_eq!(inflated(&deflated[..deflated.len() - 1], text.len(), usize::MAX / 2), Err(Stop::Damaged));
            }
        }
    }

    #[test]
    fn noise_never_panics() {
        for text in texts() {
            let _ = inflated(&text, 10_000, 7);
            let mut deflated = deflated(&text, 9);
            for at in (0..deflated.len()).step_by(deflated.len() / 50 + 1) {
                deflated[at] ^= 1 << (at % 8);
                let _ = inflated(&deflated, text.len(), 1000);
            }
        }
    }
}
