//! Which functions the module exports, and how it comes to export nothing else.
//!
//! The crate proxy-wasm exports every callback of the ABI under its final name, and a proxy calls whatever is exported: each
//! costs an entry into the VM on each stream. No linker flag takes such a name back, and no second function can have it. So
//! the filter is built as a static library, its own callbacks bear the names on the left, the linker keeps those alone, and
//! then they get the names on the right. Included by the build script.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A name in the static library, and in the module.
type Export = (&'static str, &'static str);

/// What every module exports.
const COMMON: [Export; 5] = [
    ("proxy_abi_version_0_2_1", "proxy_abi_version_0_2_1"),
    ("serin_on_memory_allocate", "proxy_on_memory_allocate"),
    ("serin_on_vm_start", "proxy_on_vm_start"),
    ("serin_on_tick", "proxy_on_tick"),
    ("serin_on_request_headers", "proxy_on_request_headers"),
];

/// What the module for any document exports beside.
pub(crate) const ANY: &[Export] =
    &[("serin_on_configure", "proxy_on_configure"), ("serin_on_response_headers", "proxy_on_response_headers")];

/// What the module for documents that issue no cookies exports beside: a proxy never calls it for a response.
pub(crate) const REQUESTS: &[Export] = &[("serin_on_configure_requests", "proxy_on_configure")];

/// Bytes of the stack: the deepest call is a document's, whose nesting is bounded.
const STACK: u32 = 128 * 1024;

const EXPORT_SECTION: u8 = 7;

/// Links a static library for wasm32 to a module with the common exports and some beside.
pub(crate) fn link(library: &Path, module: &Path, rustc: &Path, beside: &[Export]) -> Result<(), String> {
    let linker = linker(rustc)?;
    let wanted = [&COMMON, beside].concat();
    let kept = wanted.iter().map(|(name, _)| format!("--export={name}"));
    let status = Command::new(&linker)
        .args(["-flavor", "wasm", "--no-entry", "--gc-sections", "--strip-all", "--allow-undefined", "--stack-first", "-O2"])
        .args(["-z".to_owned(), format!("stack-size={STACK}")])
        .args(kept)
        .arg("-o")
        .args([module, library])
        .status()
        .map_err(|error| format!("cannot run {}: {error}", linker.display()))?;
    if !status.success() {
        return Err(format!("{} fails on {}", linker.display(), library.display()));
    }
    let at = |error| format!("{}: {error}", module.display());
    let bytes = std::fs::read(module).map_err(at)?;
    let renamed =
        rename(&bytes, &wanted).ok_or_else(|| format!("{} is not a module with an export section", module.display()))?;
    std::fs::write(module, renamed).map_err(at)
}

/// The linker that comes with Rust.
fn linker(rustc: &Path) -> Result<PathBuf, String> {
    let say = |what: &str| {
        let output = Command::new(rustc).args(["--print", what]).output();
        let output = output.map_err(|error| format!("cannot run {}: {error}", rustc.display()))?;
        Ok::<_, String>(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    Ok(Path::new(&say("sysroot")?).join("lib/rustlib").join(say("host-tuple")?).join("bin/rust-lld"))
}

/// Gives each export of a module its final name.
fn rename(module: &[u8], wanted: &[Export]) -> Option<Vec<u8>> {
    let (header, mut rest) = module.split_at_checked(8)?;
    let mut renamed = header.to_vec();
    while let Some((&kind, body)) = rest.split_first() {
        let (size, body) = number(body)?;
        let (body, after) = body.split_at_checked(size)?;
        let body = if kind == EXPORT_SECTION { exports(body, wanted)? } else { body.to_vec() };
        renamed.push(kind);
        put(body.len(), &mut renamed);
        renamed.extend(body);
        rest = after;
    }
    Some(renamed)
}

/// The body of the export section (WebAssembly 1.0, section 5.5.10) with other names.
fn exports(body: &[u8], wanted: &[Export]) -> Option<Vec<u8>> {
    let (count, mut rest) = number(body)?;
    let mut renamed = Vec::new();
    put(count, &mut renamed);
    for _ in 0..count {
        let (size, after) = number(rest)?;
        let (name, after) = after.split_at_checked(size)?;
        let (_, behind) = number(after.get(1..)?)?;
        let target = after.get(..after.len() - behind.len())?;
        let known = wanted.iter().find(|(from, _)| from.as_bytes() == name);
        let name = known.map_or(name, |(_, to)| to.as_bytes());
        put(name.len(), &mut renamed);
        renamed.extend(name);
        renamed.extend(target);
        rest = behind;
    }
    Some(renamed)
}

/// Reads a number in LEB128.
fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0;
    for (index, &byte) in bytes.iter().enumerate().take(5) {
        value |= usize::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            return Some((value, bytes.get(index + 1..)?));
        }
    }
    None
}

/// Writes a number in LEB128.
fn put(mut value: usize, bytes: &mut Vec<u8>) {
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}
