//! Finds out what a text is.

use crate::pasted::command::Wrong;
use crate::pasted::request::{ACCEPTED, Pasted, PastedError};
use crate::pasted::{curl, fetch, har, raw, shell, windows};

/// Reads what was pasted: a curl command (bash, or Windows' cmd), the text of a request, a HAR, or a fetch that a browser copied.
///
/// # Errors
/// It is none of these, or not complete; the message names the place and what to do. PowerShell is refused.
pub fn read(text: &str) -> Result<Pasted, PastedError> {
    let text = text.replace("\r\n", "\n");
    let body = text.trim_start_matches(['\u{feff}', ' ', '\t', '\n']);
    let before = text.chars().count() - body.chars().count();
    let wrong = |message: &str| Err(PastedError::at(&text, before, message));
    let first = body.lines().next().unwrap_or_default().trim_end();
    if body.is_empty() {
        return wrong(&format!("there is nothing; {ACCEPTED}"));
    }
    if is_powershell(body) {
        return wrong("this is PowerShell, which is not read; copy the request as cURL (bash) or as cURL (cmd) instead");
    }
    if body.starts_with(['{', '[']) {
        return har::read(&text);
    }
    if let Some((rest, at)) = fetch::arguments(body) {
        return fetch::read(&text, rest, before + at);
    }
    let command = ["$ ", "# ", "% ", "> "].into_iter().find_map(|prompt| body.strip_prefix(prompt)).unwrap_or(body);
    if is_curl(command) {
        let before = text.chars().count() - command.chars().count();
        return self::command(command).map_err(|(at, message)| PastedError::at(&text, before + at, message));
    }
    if raw::is_first(first) {
        return raw::read(&text);
    }
    wrong(&format!("this is not a request that is known here; {ACCEPTED}"))
}

fn command(command: &str) -> Result<Pasted, Wrong> {
    let words = if windows::is_cmd(command) { windows::split(command) } else { shell::split(command) };
    curl::read(&words?)
}

/// Whether the program is curl, by whatever path.
fn is_curl(text: &str) -> bool {
    let program = text.split_whitespace().next().unwrap_or_default();
    let name = program.rsplit(['/', '\\']).next().unwrap_or_default();
    name == "curl" || name.eq_ignore_ascii_case("curl.exe")
}

/// PowerShell's own command, or a curl command whose lines are continued as in PowerShell.
fn is_powershell(text: &str) -> bool {
    let own =
        ["Invoke-WebRequest", "Invoke-RestMethod", "New-Object Microsoft.PowerShell"].iter().any(|name| text.contains(name));
    let first = text.lines().next().unwrap_or_default();
    (own && !is_curl(text)) || (is_curl(text) && first.trim_end().ends_with('`'))
}
