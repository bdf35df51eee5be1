//! The text of an HTTP/1 request (RFC 9112), or the header fields of an HTTP/2 one as tools print them.

use crate::pasted::request::{Pasted, PastedError, is_token};
use crate::pasted::url::Url;

/// Whether a line is the first one of such a text: `GET /path HTTP/1.1`, `GET /path`, or `:method: GET`.
#[must_use]
pub fn is_first(line: &str) -> bool {
    let mut words = line.split_ascii_whitespace();
    let (method, target, version, more) = (words.next(), words.next(), words.next(), words.next());
    let is_method =
        method.is_some_and(|method| is_token(method) && method.chars().all(|char| char.is_ascii_uppercase() || char == '-'));
    let is_target = target.is_some_and(|target| target.starts_with('/') || target.contains("://") || target == "*");
    let is_version = version.is_none_or(|version| version.starts_with("HTTP/"));
    (is_method && is_target && is_version && more.is_none()) || is_pseudo(line)
}

fn is_pseudo(line: &str) -> bool {
    [":method:", ":authority:", ":path:", ":scheme:"].iter().any(|name| line.starts_with(name))
}

/// Reads such a text up to the first empty line.
///
/// # Errors
/// A line is not a header, or nothing says for which host it is.
pub fn read(text: &str) -> Result<Pasted, PastedError> {
    let lines: Vec<(usize, &str)> = text
        .lines()
        .enumerate()
        .skip_while(|(_, line)| line.trim().is_empty())
        .take_while(|(_, line)| !line.trim().is_empty())
        .collect();
    let wrong = |line: usize, message: String| PastedError { line: line + 1, column: 1, message };
    let (first, start) = lines.first().copied().unwrap_or((0, ""));
    let mut pasted = if is_pseudo(start.trim_start()) {
        pseudo(&lines).map_err(|message| wrong(first, message))?
    } else {
        request_line(start).map_err(|message| wrong(first, message))?
    };
    let skipped = usize::from(!is_pseudo(start.trim_start()));
    for (number, line) in lines.iter().skip(skipped) {
        if line.starts_with([' ', '\t']) && *number > first {
            return Err(wrong(*number, "the line begins with a space; join it with the header before it".to_owned()));
        }
        let (name, value) = split(line)
            .ok_or_else(|| wrong(*number, format!("`{}` is not a header; write it as `NAME: VALUE`", line.trim())))?;
        pasted.add(name, value).map_err(|message| wrong(*number, format!("{message}; write the line as `NAME: VALUE`")))?;
    }
    if pasted.url.authority.is_empty() {
        return Err(wrong(first, "nothing says for which host the request is; add a line `Host: NAME`".to_owned()));
    }
    Ok(pasted)
}

/// The name and the value; the name of a pseudo header begins with a colon.
fn split(line: &str) -> Option<(&str, &str)> {
    let at = line.char_indices().skip(1).find(|(_, char)| *char == ':')?.0;
    let (name, value) = line.split_at_checked(at)?;
    Some((name, value.strip_prefix(':')?))
}

fn request_line(line: &str) -> Result<Pasted, String> {
    let mut words = line.split_ascii_whitespace();
    let (method, target, version) =
        (words.next().unwrap_or_default(), words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if method == "CONNECT" {
        return Err("`CONNECT` opens a tunnel and is sent to no version; paste the request within it".to_owned());
    }
    if target.contains("://") && !target.starts_with('/') {
        return Ok(Pasted::new(method, Url::read(target)?));
    }
    let scheme = if version.starts_with("HTTP/2") || version.starts_with("HTTP/3") { "https" } else { "http" };
    Ok(Pasted::new(method, of(scheme, target)))
}

fn pseudo(lines: &[(usize, &str)]) -> Result<Pasted, String> {
    let value = |name: &str| lines.iter().find_map(|(_, line)| line.trim_start().strip_prefix(name)).map(str::trim);
    let path = value(":path:").unwrap_or("/");
    let (method, scheme) = (value(":method:").unwrap_or("GET"), value(":scheme:").unwrap_or("https"));
    if !path.starts_with('/') {
        return Err(format!("`:path: {path}` is not a path; it begins with `/`"));
    }
    if !is_token(method) {
        return Err(format!("`:method: {method}` is not a method; write `:method: GET` for example"));
    }
    Ok(Pasted::new(method, of(scheme, path)))
}

fn of(scheme: &str, target: &str) -> Url {
    Url { scheme: scheme.to_owned(), authority: String::new(), target: target.to_owned(), credentials: None }
}
