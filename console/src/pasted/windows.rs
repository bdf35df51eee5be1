//! Words as Windows has them: the command line of `cmd`, whose escape is `^`, then the arguments as the C runtime splits them ("Parsing C
//! command-line arguments", learn.microsoft.com).

use crate::pasted::command::{Word, Words, Wrong};

/// Whether a curl command is written for `cmd`: it has a word that begins with `^"`, or a line that ends with `^`.
#[must_use]
pub fn is_cmd(text: &str) -> bool {
    let continued = |line: &str| line.trim_end_matches('\r').ends_with('^');
    let lines = || text.lines();
    let first_quote = text.chars().find(|char| "'\"".contains(*char));
    let starts = text.split_ascii_whitespace().any(|word| word.starts_with("^\"") || word.starts_with("\"^"));
    let bash = first_quote == Some('\'') || lines().any(|line| line.trim_end().ends_with('\\'));
    !bash && (starts || lines().any(continued))
}

/// Splits the first command of a text into its words.
///
/// # Errors
/// A quote is not closed.
pub fn split(text: &str) -> Result<Words, Wrong> {
    let (chars, more) = unescape(text);
    let mut words = Words { words: Vec::new(), more };
    let mut word: Option<Word> = None;
    let mut quoted = None;
    let mut at = 0;
    while let Some((char, place)) = chars.get(at).copied() {
        at += 1;
        if quoted.is_none() && char.is_whitespace() {
            words.words.extend(word.take());
            continue;
        }
        let word = word.get_or_insert_with(|| Word { text: String::new(), at: place });
        match char {
            '\\' => {
                let mut count = 1;
                while chars.get(at).is_some_and(|(char, _)| *char == '\\') {
                    (at, count) = (at + 1, count + 1);
                }
                // Before a quote two stand for one, and one more is the quote's.
                let is_quote = chars.get(at).is_some_and(|(char, _)| *char == '"');
                word.text.extend(std::iter::repeat_n('\\', if is_quote { count / 2 } else { count }));
                if is_quote && count % 2 == 1 {
                    word.text.push('"');
                    at += 1;
                }
            }
            // Two quotes within quotes are one.
            '"' if quoted.is_some() && chars.get(at).is_some_and(|(char, _)| *char == '"') => {
                word.text.push('"');
                at += 1;
            }
            '"' => quoted = if quoted.is_some() { None } else { Some(place) },
            char => word.text.push(char),
        }
    }
    if let Some(place) = quoted {
        return Err((place, "the quote `\"` that begins here is not closed; copy the whole command".to_owned()));
    }
    words.words.extend(word);
    Ok(words)
}

/// What `cmd` hands on, each character with its place, and whether another command follows. Within quotes `^` is itself.
fn unescape(text: &str) -> (Vec<(char, usize)>, bool) {
    let chars: Vec<char> = text.chars().filter(|char| *char != '\r').collect();
    let (mut out, mut quoted, mut at) = (Vec::new(), false, 0);
    while let Some(char) = chars.get(at).copied() {
        let place = at;
        at += 1;
        match char {
            '^' if !quoted => match chars.get(at).copied() {
                // The line goes on; what follows its end is taken by its letter, an empty line as a line's end.
                Some('\n') => {
                    at += 1;
                    if chars.get(at) == Some(&'\n') {
                        out.push(('\n', at));
                        at += 1;
                    }
                }
                Some(next) => {
                    out.push((next, at));
                    at += 1;
                }
                None => {}
            },
            '"' => {
                quoted = !quoted;
                out.push((char, place));
            }
            '\n' | '&' | '|' | '<' | '>' if !quoted => {
                let rest: String = chars.iter().skip(at).collect();
                return (out, rest.contains("curl"));
            }
            char => out.push((char, place)),
        }
    }
    (out, false)
}
