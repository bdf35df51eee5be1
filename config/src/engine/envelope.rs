//! What a document travels in: itself, or an object that holds it as one text, `{"document": TEXT}`.
//!
//! Whoever hands a configuration on has one value to hand on then, and need not turn thousands over for each proxy. TEXT is the
//! document's JSON or, where that is long, gzip of it (RFC 1952) in base64 (RFC 4648): `base64 -d | gunzip` shows it.

use std::mem;

use crate::engine::inflate::{Inflate, Stop};
use crate::error::{Cause, CompileError};
use crate::json::bytes::position;
use crate::json::lexer::{self, Lexer};
use crate::request::base64;

/// The member that holds the text.
pub(crate) const MEMBER: &str = "document";

/// The most bytes that a document may have once it is inflated: whoever packs one must not be able to exhaust a proxy.
pub(crate) const MOST_BYTES: usize = 16 * 1024 * 1024;

/// So much of a packed text is decoded at once; whole groups of four.
const CHUNK: usize = 4096;

/// How gzip begins where it has no name and no comment: its mark, `deflate`, no flags (RFC 1952, section 2.3).
const MARK: &[u8] = &[0x1f, 0x8b, 8, 0];
const HEADER_BYTES: usize = 10;
const TRAILER_BYTES: usize = 8;

/// The most bytes of a text that stays readable; what is longer is packed.
pub(crate) const PLAIN_BYTES: usize = 16 * 1024;

/// The way from an envelope to the document.
#[derive(Debug, Default)]
pub(crate) struct Envelope {
    state: State,
    /// The checksum of the document in it.
    pub(crate) checksum: Option<u32>,
}

#[derive(Debug, Default)]
enum State {
    /// Nobody has looked yet.
    #[default]
    Sealed,
    /// It is being inflated.
    Packed(Box<Unpacking>),
    /// What is at hand is the document.
    Open,
}

impl Envelope {
    /// Goes on for so many bytes of the document, and says whether `text` is the document now.
    pub(crate) fn open(&mut self, text: &mut Vec<u8>, mut bytes: usize) -> Result<bool, CompileError> {
        if let State::Sealed = self.state {
            let content = content(text)?;
            self.checksum = content.as_ref().and_then(Content::checksum);
            self.state = match content {
                None => State::Open,
                Some(Content::Plain(document)) => {
                    *text = document;
                    State::Open
                }
                Some(Content::Packed(packed)) => {
                    // It was looked through.
                    bytes = bytes.saturating_sub(text.len());
                    text.clear();
                    State::Packed(Box::new(Unpacking::new(packed)?))
                }
            };
        }
        if let State::Packed(unpacking) = &mut self.state {
            let Some(document) = unpacking.step(bytes)? else {
                return Ok(false);
            };
            *text = document;
            self.state = State::Open;
        }
        Ok(true)
    }
}

/// The checksum by which a proxy tells which document it has: CRC-32 (RFC 1952, section 8) of the document that a configuration
/// carries. `None` for a configuration that is no envelope, or carries a text that is longer than Serin leaves it.
#[must_use]
pub fn checksum(configuration: &[u8]) -> Option<u32> {
    content(configuration).ok()??.checksum()
}

enum Content {
    Plain(Vec<u8>),
    Packed(Vec<u8>),
}

impl Content {
    /// The checksum of the document; a packed one brings it along.
    fn checksum(&self) -> Option<u32> {
        match self {
            Self::Plain(text) => (text.len() <= PLAIN_BYTES).then(|| crc32(text)),
            Self::Packed(base64) => trailer(base64).map(|[checksum, _]| checksum),
        }
    }
}

/// What ends gzip: the checksum and the size of what was packed, modulo 2^32 (RFC 1952, section 2.3.1).
fn trailer(base64: &[u8]) -> Option<[u32; 2]> {
    let tail = base64.get(base64.len().checked_sub(16).filter(|at| at % 4 == 0)?..)?;
    let tail = base64::decode(tail, *b"+/")?;
    let (rest, size) = tail.split_last_chunk()?;
    Some([u32::from_le_bytes(*rest.last_chunk()?), u32::from_le_bytes(*size)])
}

/// CRC-32 as in RFC 1952, section 8, bit by bit: texts are short.
fn crc32(text: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in text {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ 0xedb8_8320 & (crc & 1).wrapping_neg();
        }
    }
    !crc
}

/// What an envelope holds; `None` for what is not one. It is known by its first member; what else somebody wrote beside that is not
/// Serin's.
#[inline(never)]
fn content(text: &[u8]) -> Result<Option<Content>, CompileError> {
    let mut lexer = Lexer(text);
    let begins = lexer.expect(b"{").and_then(|_| lexer.value()).and_then(lexer::text).is_some_and(|name| name == MEMBER);
    if begins && let Some(packed) = packed(text, lexer) {
        return Ok(Some(Content::Packed(packed.to_vec())));
    }
    let Some(content) = begins.then(|| lexer::member(text, MEMBER)).flatten() else {
        return Ok(None);
    };
    let content = lexer::text(content).ok_or_else(|| fault("not a text", "write the document there as one text"))?;
    let bytes = content.into_owned().into_bytes();
    Ok(Some(if bytes.starts_with(b"{") { Content::Plain(bytes) } else { Content::Packed(bytes) }))
}

/// A packed text that is the first member of an envelope, found without reading it as JSON: it is long.
#[inline(never)]
fn packed<'t>(text: &'t [u8], mut behind_name: Lexer<'t>) -> Option<&'t [u8]> {
    behind_name.expect(b":")?;
    behind_name.expect(b"\"")?;
    let packed = behind_name.0.get(..position(behind_name.0, b'"')?)?;
    // What is around it shall be what it would be around an empty one.
    let (before, rest) = text.split_at_checked(text.len() - behind_name.0.len())?;
    let around = [before, rest.get(packed.len()..)?].concat();
    let is_plain = packed.starts_with(b"H4sI") && position(packed, b'\\').is_none();
    (is_plain && lexer::member(&around, MEMBER)? == b"\"\"").then_some(packed)
}

#[inline(never)]
fn fault(problem: &str, fix: &str) -> CompileError {
    Cause::shape(&[problem], &[fix]).at(MEMBER.to_owned())
}

/// A packed document that is being inflated, in memory that has room for all of it from the start.
#[derive(Debug)]
pub(crate) struct Unpacking(Inflate<Packed>);

/// Bytes in base64, decoded when they are read.
#[derive(Debug)]
struct Packed {
    base64: Vec<u8>,
    /// How much is decoded.
    decoded: usize,
    /// What is decoded, and how much of it is read.
    chunk: Vec<u8>,
    read: usize,
}

impl Unpacking {
    fn new(base64: Vec<u8>) -> Result<Self, CompileError> {
        let [_, size] = trailer(&base64).ok_or_else(damaged)?;
        let size = usize::try_from(size).map_err(|_| too_large())?;
        if size > MOST_BYTES {
            return Err(too_large());
        }
        let mut packed = Packed { base64, decoded: 0, chunk: Vec::new(), read: 0 };
        for at in 0..HEADER_BYTES {
            let byte = packed.next().ok_or_else(damaged)?;
            if MARK.get(at).is_some_and(|mark| byte != *mark) {
                return Err(damaged());
            }
        }
        let mut text = Vec::new();
        text.try_reserve_exact(size).map_err(|_| fault("there is no memory for it", "make it smaller"))?;
        Ok(Self(Inflate::new(packed, text, size)))
    }

    /// Goes on for about so many bytes; hands out the document once it is whole. The check sum is not checked: it is for media that
    /// damage what they carry, and a text that is not the one that was packed is no document.
    fn step(&mut self, bytes: usize) -> Result<Option<Vec<u8>>, CompileError> {
        let Self(inflate) = self;
        match inflate.step(inflate.text.len().saturating_add(bytes)) {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(Stop::Full) => return Err(too_large()),
            Err(Stop::Damaged) => return Err(damaged()),
        }
        let left = inflate.source.by_ref().count();
        let whole = left == TRAILER_BYTES && inflate.source.ends() && inflate.is_full();
        whole.then(|| Some(mem::take(&mut inflate.text))).ok_or_else(damaged)
    }
}

impl Packed {
    /// Whether everything could be decoded.
    fn ends(&self) -> bool {
        self.decoded == self.base64.len()
    }
}

impl Iterator for Packed {
    type Item = u8;

    /// The next byte; none where what follows is not base64.
    fn next(&mut self) -> Option<u8> {
        if self.read == self.chunk.len() {
            let rest = self.base64.get(self.decoded..)?;
            let chunk = rest.get(..CHUNK).unwrap_or(rest);
            let decoded = base64::decode(chunk, *b"+/")?;
            // Padding ends it.
            if chunk.len() < rest.len() && decoded.len() != chunk.len() / 4 * 3 {
                return None;
            }
            self.decoded += chunk.len();
            (self.chunk, self.read) = (decoded, 0);
        }
        let byte = self.chunk.get(self.read).copied()?;
        self.read += 1;
        Some(byte)
    }
}

#[cold]
#[inline(never)]
fn damaged() -> CompileError {
    fault("neither JSON nor gzip in base64", "write JSON, or what `gzip -n | base64 -w0` makes of it")
}

#[cold]
#[inline(never)]
fn too_large() -> CompileError {
    fault("it inflates to more than it says, or to more than 16 MiB", "make a smaller one")
}
