//! Documents as one text, to be carried as `{"document": TEXT}`.

use std::io::Write as _;

use ::base64::Engine as _;
use ::base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::document::SplitDocument;
use crate::engine::envelope::PLAIN_BYTES;

impl SplitDocument {
    /// The document as one text: JSON while that has at most 16 KiB, else gzip of it in base64.
    #[must_use]
    pub fn to_text(&self) -> String {
        let json = self.to_json();
        if json.len() <= PLAIN_BYTES { json } else { packed(json.as_bytes()) }
    }
}

fn packed(text: &[u8]) -> String {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    // Writing to memory cannot fail.
    let _ = gzip.write_all(text);
    encoded(&gzip.finish().unwrap_or_default())
}

fn encoded(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::envelope::{Envelope, MEMBER, MOST_BYTES, checksum};
    use crate::request::base64;

    fn opened(text: &str, piece: usize) -> Result<(String, usize), String> {
        let (mut envelope, mut text, mut steps) = (Envelope::default(), text.as_bytes().to_vec(), 1);
        while !envelope.open(&mut text, piece).map_err(|error| error.to_string())? {
            steps += 1;
        }
        Ok((String::from_utf8(text).unwrap(), steps))
    }

    fn sealed(content: &str) -> String {
        serde_json::json!({ MEMBER: content }).to_string()
    }

    fn packed(text: &[u8]) -> String {
        let base = super::packed(text);
        assert!(base.starts_with("H4sI"), "{base}");
        base
    }

    #[test]
    fn what_is_sealed_is_opened() {
        let text = SplitDocument::new(Vec::new()).to_json();
        assert_eq!(opened(&text, 1).unwrap(), (text.clone(), 1));
        assert_eq!(opened(&sealed(&text), 1).unwrap(), (text.clone(), 1));
        assert_eq!(opened(&sealed(&packed(text.as_bytes())), usize::MAX).unwrap(), (text.clone(), 1));
        // As some writers of JSON have it.
        let escaped = sealed(&packed(text.as_bytes())).replace('/', "\\/");
        assert_eq!(opened(&escaped, usize::MAX).unwrap(), (text, 1));
        // What is no envelope goes on as it is, to those who know what is wrong with it.
        for other in ["", "{", "[]", "{}", "7", r#"{"version":1,"document":"x"}"#, r#"{"document":"{}"} x"#] {
            assert_eq!(opened(other, 1).unwrap(), (other.to_owned(), 1));
        }
    }

    #[test]
    fn a_large_one_is_inflated_in_pieces() {
        // Texts of all kinds of length, about the sizes of chunks and pieces too.
        for size in [0_usize, 1, 2, 3, 100, 4095, 4096, 4097, 32_768, 100_000, 700_001] {
            let mut random = 1_u32;
            let noise = |random: &mut u32| {
                *random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                char::from(b' ' + u8::try_from(*random >> 26).unwrap())
            };
            for spread in [1, 7] {
                let text: String =
                    (0..size).map(|at| if at / 50 % spread == 0 { noise(&mut random) } else { 'a' }).collect();
                for piece in [1000, 4096, usize::MAX] {
                    let (all, steps) = opened(&sealed(&packed(text.as_bytes())), piece).unwrap();
                    assert!(all == text, "{size} {spread} {piece}");
                    // A step may go on to the end of a copy; the first one looks through what is packed.
                    assert!(
                        (size / piece.saturating_add(258)..=size / piece + 2).contains(&steps) || steps == 1,
                        "{size} {spread} {piece}"
                    );
                }
            }
        }
    }

    #[test]
    fn what_is_damaged_is_refused() {
        let text = "0123456789".repeat(2000);
        let whole = packed(text.as_bytes());
        let neither = "document: neither JSON nor gzip in base64; write JSON, or what `gzip -n | base64 -w0` makes of it";
        let more = "document: it inflates to more than it says, or to more than 16 MiB; make a smaller one";
        for cut in 0..whole.len() {
            let message = opened(&sealed(whole.get(..cut).unwrap()), usize::MAX).unwrap_err();
            assert!([neither, more].contains(&&*message), "{cut}: {message}");
        }
        for (content, message) in [
            ("", neither),
            ("x", neither),
            (&*format!("{whole}AAAA"), neither),
            (&format!("AAAA{whole}"), neither),
            (&packed(&[b'a'; MOST_BYTES + 1]), more),
        ] {
            assert_eq!(opened(&sealed(content), usize::MAX).unwrap_err(), message);
        }
        let with = |size: u32| {
            let mut bytes = base64::decode(whole.as_bytes(), *b"+/").unwrap();
            let at = bytes.len() - 4;
            bytes[at..].copy_from_slice(&size.to_le_bytes());
            sealed(&encoded(&bytes))
        };
        // A size that is too small never makes it go on, one that is too large is found at the end.
        assert_eq!(opened(&with(19_999), usize::MAX).unwrap_err(), more);
        assert_eq!(opened(&with(20_001), usize::MAX).unwrap_err(), neither);
        assert_eq!(opened(&with(20_000), usize::MAX).unwrap().0, text);
        let message = "document: not a text; write the document there as one text";
        assert_eq!(opened(r#"{"document":7}"#, usize::MAX).unwrap_err(), message);
        assert_eq!(opened(r#"{"document":"{}","somebody":{"else":1}}"#, usize::MAX).unwrap().0, "{}");
    }

    #[test]
    fn the_checksum_is_that_of_the_document_however_it_is_carried() {
        let crc = |text: &str| {
            let mut crc = flate2::Crc::new();
            crc.update(text.as_bytes());
            crc.sum()
        };
        for text in [SplitDocument::new(Vec::new()).to_json(), format!("{{{}}}", " 0123456789".repeat(1000))] {
            assert_eq!(checksum(sealed(&text).as_bytes()), Some(crc(&text)));
            assert_eq!(checksum(sealed(&packed(text.as_bytes())).as_bytes()), Some(crc(&text)));
            let mut envelope = Envelope::default();
            let mut carried = sealed(&packed(text.as_bytes())).into_bytes();
            while !envelope.open(&mut carried, 1000).unwrap() {}
            assert_eq!(envelope.checksum, Some(crc(&text)));
            // What is not an envelope has none.
            assert_eq!(checksum(text.as_bytes()), None);
        }
        // It would take as long as it is.
        assert_eq!(checksum(sealed(&format!("{{{}}}", " ".repeat(PLAIN_BYTES))).as_bytes()), None);
        for other in ["", "{", r#"{"document":7}"#, r#"{"document":"H4sI"}"#] {
            assert_eq!(checksum(other.as_bytes()), None);
        }
    }

    #[test]
    fn what_is_around_a_packed_text_counts() {
        let text = "0123456789".repeat(2000);
        let whole = packed(text.as_bytes());
        assert!(whole.contains('/'));
        for (envelope, opens) in [
            (format!(r#" {{ "document" : "{whole}" , "fetch":["x"]}} "#), &*text),
            (format!(r#"{{"document":"{}"}}"#, whole.replace('/', "\\/")), &text),
            (format!(r#"{{"document":"{{}}","document":"{whole}"}}"#), &text),
            // The last one of a name counts.
            (format!(r#"{{"document":"{whole}","document":"{{}}"}}"#), "{}"),
        ] {
            assert_eq!(opened(&envelope, usize::MAX).unwrap().0, opens);
        }
        for envelope in [format!(r#"{{"document":"{whole}"}}}}"#), format!(r#"{{"document":"{whole}",}}"#)] {
            // It is not an envelope then, and not a document either.
            assert_eq!(opened(&envelope, usize::MAX).unwrap().0, envelope);
        }
    }

    #[test]
    fn a_damaged_byte_never_panics() {
        let whole = packed("the quick brown fox jumps over the lazy dog, and again: 0123456789".repeat(9).as_bytes());
        for at in 0..whole.len() {
            for byte in [b'A', b'/', b'=', b'-'] {
                let mut text = whole.clone().into_bytes();
                text[at] = byte;
                let _ = opened(&sealed(std::str::from_utf8(&text).unwrap()), 7);
            }
        }
    }
}
