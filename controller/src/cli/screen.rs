//! A text that is shown again as it changes.

mod terminal;

use std::io::Write;
use std::time::Duration;

use super::cluster::Connection;
use super::{Failure, Output, print};
use terminal::Terminal;

/// Between two looks.
const APART: Duration = Duration::from_secs(1);
/// The same for a screen.
const REDRAW: Duration = Duration::from_millis(500);

/// How much a screen has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) lines: usize,
}

/// Shows a text until it says that it is the last one: on a terminal on a screen of its own, in its size and until `q`; elsewhere one after
/// the other.
pub(super) fn follow(
    connection: &Connection,
    output: Output,
    mut draw: impl FnMut(Option<Size>) -> Result<(String, bool), Failure>,
) -> Result<(), Failure> {
    let terminal = if output == Output::Text { Terminal::open() } else { None };
    let apart = if terminal.is_some() { REDRAW } else { APART };
    let mut last = None;
    loop {
        let size = terminal.as_ref().map(Terminal::size);
        let (text, is_last) = draw(size)?;
        if is_last && let Some(terminal) = terminal {
            drop(terminal);
            // What it came to stays.
            return print(&text);
        }
        let now = Some((text, size));
        if now != last {
            let text = now.as_ref().map_or("", |(text, _)| text);
            match &terminal {
                Some(terminal) => terminal.show(text)?,
                None => {
                    print(text)?;
                    let _ = std::io::stdout().flush();
                }
            }
            last = now;
        }
        if is_last {
            return Ok(());
        }
        connection.pause(apart);
    }
}

/// A text in no more columns: `…` stands for what is left out.
pub(super) fn cut(line: &str, columns: usize) -> String {
    if line.chars().count() <= columns {
        return line.to_owned();
    }
    let kept: String = line.chars().take(columns.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// A text in lines of no more columns, broken between words; all but the first one begin with some spaces.
pub(super) fn wrapped(text: &str, columns: usize, indent: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) => lines.push(format!("{:indent$}{word}", "")),
            None => lines.push(word.to_owned()),
        }
    }
    lines.into_iter().map(|line| cut(line.trim_end(), columns)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_no_more_columns_than_the_screen() {
        assert_eq!(cut("v2 ✓", 4), "v2 ✓");
        assert_eq!(cut("v2 ✓ ready", 6), "v2 ✓…");
        assert_eq!(wrapped("one two three", 7, 2), ["one two", "  three"]);
        assert_eq!(wrapped("a-long-word b", 6, 0), ["a-lon…", "b"]);
    }
}
