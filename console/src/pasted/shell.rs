//! Words as bash splits them (POSIX.1-2024, Shell Command Language, 2.2 and 2.3, with bash's `$'..'`). Nothing is expanded: what would be is an error.

use crate::pasted::command::{Word, Words, Wrong};

/// Splits the first command of a text into its words.
///
/// # Errors
/// A quote is not closed, or something would be expanded.
pub fn split(text: &str) -> Result<Words, Wrong> {
    let mut shell = Shell { chars: text.chars().collect(), at: 0, word: None, words: Words::default() };
    shell.run()?;
    Ok(shell.words)
}

struct Shell {
    chars: Vec<char>,
    at: usize,
    /// The bytes of the word that is being read, with its start.
    word: Option<(Vec<u8>, usize)>,
    words: Words,
}

impl Shell {
    fn run(&mut self) -> Result<(), Wrong> {
        while let Some(char) = self.next() {
            let start = self.at - 1;
            match char {
                '\\' => match self.next() {
                    Some('\n') | None => {}
                    Some('\r') if self.peek() == Some('\n') => self.at += 1,
                    Some(char) => self.push(char, start),
                },
                '\'' => self.single(start)?,
                '"' => self.double(start)?,
                '$' if self.peek() == Some('\'') => {
                    self.at += 1;
                    self.ansi(start)?;
                }
                '$' if self.peek() == Some('"') => {}
                '$' | '`' => self.dollar(char, start)?,
                '#' if self.word.is_none() => {
                    while self.peek().is_some_and(|char| char != '\n') {
                        self.at += 1;
                    }
                }
                ' ' | '\t' | '\r' => self.end()?,
                '\n' if self.words.words.is_empty() && self.word.is_none() => {}
                '\n' | ';' | '|' | '<' | '>' | '(' | ')' => break,
                '&' if self.is_within_address() => {
                    let message =
                        "the `&` is not within quotes, so the shell ends the command here; put the URL in single quotes";
                    return Err((start, message.to_owned()));
                }
                '&' => break,
                char => self.push(char, start),
            }
        }
        self.end()?;
        let rest = self.chars.iter().skip(self.at);
        self.words.more =
            rest.collect::<String>().split_whitespace().any(|word| word.ends_with("curl") || word.ends_with("curl.exe"));
        Ok(())
    }

    fn next(&mut self) -> Option<char> {
        let char = self.peek()?;
        self.at += 1;
        Some(char)
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn bytes(&mut self, start: usize) -> &mut Vec<u8> {
        &mut self.word.get_or_insert_with(|| (Vec::new(), start)).0
    }

    fn push(&mut self, char: char, start: usize) {
        let mut buffer = [0; 4];
        self.bytes(start).extend_from_slice(char.encode_utf8(&mut buffer).as_bytes());
    }

    fn end(&mut self) -> Result<(), Wrong> {
        if let Some((bytes, at)) = self.word.take() {
            let not = |_| (at, "this word is not UTF-8 once its escapes are read; remove what is not text".to_owned());
            self.words.words.push(Word { text: String::from_utf8(bytes).map_err(not)?, at });
        }
        Ok(())
    }

    /// An `&` between two letters of an address, and not the end of a command.
    fn is_within_address(&self) -> bool {
        let in_query = self.word.as_ref().is_some_and(|(bytes, _)| bytes.contains(&b'?'));
        in_query && self.peek().is_some_and(|char| !char.is_whitespace() && char != '&')
    }

    fn single(&mut self, start: usize) -> Result<(), Wrong> {
        self.bytes(start);
        loop {
            match self.next() {
                Some('\'') => return Ok(()),
                Some(char) => self.push(char, start),
                None => return Err(open('\'', start)),
            }
        }
    }

    fn double(&mut self, start: usize) -> Result<(), Wrong> {
        self.bytes(start);
        loop {
            let at = self.at;
            match self.next() {
                Some('"') => return Ok(()),
                Some('\\') => match self.next() {
                    Some('\n') => {}
                    Some(char @ ('"' | '\\' | '$' | '`')) => self.push(char, start),
                    Some(char) => {
                        self.push('\\', start);
                        self.push(char, start);
                    }
                    None => return Err(open('"', start)),
                },
                Some(char @ ('$' | '`')) => self.dollar(char, at)?,
                Some(char) => self.push(char, start),
                None => return Err(open('"', start)),
            }
        }
    }

    /// A `$` that a shell leaves alone is itself; all else stands for something that only the user's shell knows.
    fn dollar(&mut self, char: char, start: usize) -> Result<(), Wrong> {
        let next = self.peek();
        let expands = char == '`' || next.is_some_and(|next| next.is_ascii_alphanumeric() || "_{(@*#?!$-".contains(next));
        if !expands {
            self.push(char, start);
            return Ok(());
        }
        let name: String =
            self.chars.iter().skip(self.at).take_while(|char| char.is_ascii_alphanumeric() || **char == '_').collect();
        let what = if name.is_empty() { format!("{char}{}", next.unwrap_or_default()) } else { format!("{char}{name}") };
        Err((start, format!("`{what}` stands for something that only your shell knows; write its value in its place")))
    }

    /// `$'..'`, bash's manual, 3.1.2.4.
    fn ansi(&mut self, start: usize) -> Result<(), Wrong> {
        self.bytes(start);
        loop {
            match self.next() {
                Some('\'') => return Ok(()),
                Some('\\') => self.escape(start)?,
                Some(char) => self.push(char, start),
                None => return Err(open('\'', start)),
            }
        }
    }

    fn escape(&mut self, start: usize) -> Result<(), Wrong> {
        let Some(char) = self.next() else { return Err(open('\'', start)) };
        let byte = match char {
            'a' => 7,
            'b' => 8,
            'e' | 'E' => 27,
            'f' => 12,
            'n' => b'\n',
            'r' => b'\r',
            't' => b'\t',
            'v' => 11,
            'x' => match self.digits(16, 2) {
                Some(code) => code as u8,
                None => {
                    self.push('\\', start);
                    b'x'
                }
            },
            'u' | 'U' => {
                let code = self.digits(16, if char == 'u' { 4 } else { 8 });
                match code.map(char::from_u32) {
                    Some(Some(char)) => self.push(char, start),
                    Some(None) => return Err((self.at, "this escape is not a character; remove it".to_owned())),
                    None => {
                        self.push('\\', start);
                        self.push(char, start);
                    }
                }
                return Ok(());
            }
            '0'..='7' => {
                self.at -= 1;
                self.digits(8, 3).unwrap_or(0) as u8
            }
            '\\' | '\'' | '"' | '?' => char as u8,
            _ => {
                self.push('\\', start);
                self.push(char, start);
                return Ok(());
            }
        };
        self.bytes(start).push(byte);
        Ok(())
    }

    fn digits(&mut self, radix: u32, most: usize) -> Option<u32> {
        let mut found = None;
        for _ in 0..most {
            let Some(digit) = self.peek().and_then(|char| char.to_digit(radix)) else { break };
            found = Some(found.unwrap_or(0_u32).wrapping_mul(radix).wrapping_add(digit));
            self.at += 1;
        }
        found
    }
}

fn open(quote: char, start: usize) -> Wrong {
    (start, format!("the quote `{quote}` that begins here is not closed; copy the whole command"))
}
