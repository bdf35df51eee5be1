//! The compact text that keeps a state: bytes in base64, numbers in as few bytes as they need (LEB128).

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// Bytes to which a state is written.
#[derive(Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn number(&mut self, mut number: u64) {
        while number > 0x7f {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    /// A real number, rounded to 24 bits: 7 digits.
    pub(crate) fn rounded(&mut self, number: f64) {
        self.0.extend((number as f32).to_le_bytes());
    }

    /// Real numbers, each rounded.
    pub(crate) fn all_rounded(&mut self, numbers: &[f64]) {
        numbers.iter().for_each(|number| self.rounded(*number));
    }

    /// A real number as it is.
    pub(crate) fn exact(&mut self, number: f64) {
        self.0.extend(number.to_le_bytes());
    }

    pub(crate) fn text(&self) -> String {
        STANDARD_NO_PAD.encode(&self.0)
    }
}

/// The bytes of a text.
pub(crate) fn bytes(text: &str) -> Option<Vec<u8>> {
    STANDARD_NO_PAD.decode(text).ok()
}

/// What is left to read of the bytes.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(crate) fn number(&mut self) -> Option<u64> {
        let mut number = 0u64;
        for shift in (0..u64::BITS).step_by(7) {
            let [byte] = self.take()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return None;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    pub(crate) fn rounded(&mut self) -> Option<f64> {
        let number = f32::from_le_bytes(self.take()?);
        number.is_finite().then_some(f64::from(number))
    }

    pub(crate) fn all_rounded<const N: usize>(&mut self) -> Option<[f64; N]> {
        let mut numbers = [0.0; N];
        for number in &mut numbers {
            *number = self.rounded()?;
        }
        Some(numbers)
    }

    pub(crate) fn exact(&mut self) -> Option<f64> {
        let number = f64::from_le_bytes(self.take()?);
        number.is_finite().then_some(number)
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }
}
