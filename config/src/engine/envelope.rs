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

/// The way from an envelope to the document.
#[derive(Debug, Default)]
pub(crate) enum Envelope {
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
        if let Self::Sealed = self {
            *self = match content(text)? {
                None => Self::Open,
                Some(Content::Plain(document)) => {
                    *text = document;
                    Self::Open
                }
                Some(Content::Packed(packed)) => {
                    // It was looked through.
                    bytes = bytes.saturating_sub(text.len());
                    text.clear();
                    Self::Packed(Box::new(Unpacking::new(packed)?))
                }
            };
        }
        if let Self::Packed(unpacking) = self {
            let Some(document) = unpacking.step(bytes)? else {
                return Ok(false);
            };
            *text = document;
            *self = Self::Open;
        }
        Ok(true)
    }
}

enum Content {
    Plain(Vec<u8>),
    Packed(Vec<u8>),
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
        // The size is the last of all (RFC 1952, section 2.3.1), modulo 2^32.
        let tail = base64.len().checked_sub(12).filter(|at| at % 4 == 0).and_then(|at| base64.get(at..));
        let tail = tail.and_then(|tail| base64::decode(tail, *b"+/")).ok_or_else(damaged)?;
        let size = tail.last_chunk().map(|size| u32::from_le_bytes(*size)).and_then(|size| usize::try_from(size).ok());
        let size = size.ok_or_else(damaged)?;
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
