//! From the words of a curl command to its request.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::pasted::command::{Word, Words, Wrong};
use crate::pasted::options::{Meaning, long, short};
use crate::pasted::request::{Pasted, is_token};
use crate::pasted::url::{Url, base64};

/// All but what RFC 3986, 2.3, calls unreserved.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Reads the words of a curl command; the first is curl.
///
/// # Errors
/// It has no URL or two, an option without its value, or something that only the user's files hold.
pub fn read(words: &Words) -> Result<Pasted, Wrong> {
    let mut command = Command { more: words.more, ..Command::default() };
    let mut rest = words.words.iter().skip(1);
    while let Some(word) = rest.next() {
        if let Some(name) = word.text.strip_prefix("--").filter(|name| !name.is_empty()) {
            command.long(name, word, &mut rest)?;
        } else if let Some(letters) = word.text.strip_prefix('-').filter(|letters| !letters.is_empty()) {
            command.short(letters, word, &mut rest)?;
        } else if word.text != "--" {
            command.url(word)?;
        }
        if command.ended {
            break;
        }
    }
    let end = words.words.last().map_or(0, |word| word.at + word.text.chars().count());
    command.pasted(end)
}

#[derive(Default)]
struct Command {
    url: Option<Word>,
    /// What is asked for in place of the URL's path.
    target: Option<String>,
    method: Option<Word>,
    headers: Vec<Word>,
    /// Headers that options make: a header by `-H` replaces them.
    made: Vec<(&'static str, String)>,
    cookies: Vec<String>,
    data: Vec<String>,
    query: Vec<String>,
    /// The methods that options imply, the strongest first: `-I`, `-T`, a body.
    head: bool,
    upload: bool,
    body: bool,
    get: bool,
    /// A body from a file, which would be the query with `-G`.
    file: Option<usize>,
    /// Whether `--next` was read.
    ended: bool,
    more: bool,
}

impl Command {
    fn long<'a>(&mut self, name: &str, word: &Word, rest: &mut impl Iterator<Item = &'a Word>) -> Result<(), Wrong> {
        let (name, joined) = name.split_once('=').map_or((name, None), |(name, value)| (name, Some(value)));
        let meaning = long(name);
        if !meaning.has_value() {
            self.flag(meaning);
            return Ok(());
        }
        let value = match joined {
            Some(value) => Word { text: value.to_owned(), at: word.at },
            None => rest.next().cloned().ok_or_else(|| no_value(word))?,
        };
        self.value(meaning, value)
    }

    /// Letters behind one `-`: flags, and at most one with a value, which is the rest or the next word.
    fn short<'a>(&mut self, letters: &str, word: &Word, rest: &mut impl Iterator<Item = &'a Word>) -> Result<(), Wrong> {
        let mut letters = letters.chars();
        while let Some(letter) = letters.next() {
            let meaning = short(letter);
            if !meaning.has_value() {
                self.flag(meaning);
                continue;
            }
            let value = match letters.as_str() {
                "" => rest.next().cloned().ok_or_else(|| no_value(word))?,
                value => Word { text: value.to_owned(), at: word.at },
            };
            return self.value(meaning, value);
        }
        Ok(())
    }

    fn flag(&mut self, meaning: Meaning) {
        match meaning {
            Meaning::Get => self.get = true,
            Meaning::Head => self.head = true,
            Meaning::Next => (self.ended, self.more) = (true, true),
            _ => {}
        }
    }

    fn value(&mut self, meaning: Meaning, value: Word) -> Result<(), Wrong> {
        let text = value.text.clone();
        match meaning {
            Meaning::Header => self.headers.push(value),
            Meaning::Method => self.method = Some(value),
            Meaning::Url => self.url(&value)?,
            Meaning::Target => self.target = Some(text),
            Meaning::Cookie if text.contains('=') => self.cookies.push(text),
            Meaning::Cookie => {
                let message = format!("`-b {text}` reads cookies from a file; write them as `-b 'NAME=VALUE'`");
                return Err((value.at, message));
            }
            Meaning::Config => {
                return Err((value.at, format!("`-K {text}` reads options from a file; write them into the command")));
            }
            Meaning::Agent => self.made.push(("user-agent", text)),
            // `;auto` says what becomes of it when curl is redirected.
            Meaning::Referer => self.made.push(("referer", text.trim_end_matches(";auto").to_owned())),
            Meaning::User => self.made.push(("authorization", basic(&text))),
            Meaning::Bearer => self.made.push(("authorization", format!("Bearer {text}"))),
            Meaning::Range => self.made.push(("range", format!("bytes={text}"))),
            Meaning::Data | Meaning::RawData | Meaning::EncodedData | Meaning::Json => self.data(meaning, &value),
            Meaning::UrlQuery => match text.strip_prefix('+') {
                Some(raw) => self.query.push(raw.to_owned()),
                None => self.query.push(encoded(&text)),
            },
            Meaning::Form => self.body = true,
            Meaning::Upload => self.upload = true,
            Meaning::Get | Meaning::Head | Meaning::Next | Meaning::Value | Meaning::Flag => {}
        }
        Ok(())
    }

    fn data(&mut self, meaning: Meaning, value: &Word) {
        self.body = true;
        if meaning == Meaning::Json {
            self.made.extend([("content-type", "application/json".to_owned()), ("accept", "application/json".to_owned())]);
        }
        let is_file = match meaning {
            Meaning::RawData => false,
            Meaning::EncodedData => value.text.split('=').next().is_some_and(|name| name.contains('@')),
            _ => value.text.starts_with('@'),
        };
        if is_file {
            self.file = Some(value.at);
        } else {
            self.data.push(if meaning == Meaning::EncodedData { encoded(&value.text) } else { value.text.clone() });
        }
    }

    fn url(&mut self, word: &Word) -> Result<(), Wrong> {
        if self.url.is_some() {
            return Err((
                word.at,
                format!("`{}` is a second URL; keep one, and put values with spaces in quotes", word.text),
            ));
        }
        self.url = Some(word.clone());
        Ok(())
    }

    fn pasted(mut self, end: usize) -> Result<Pasted, Wrong> {
        let word = self.url.take().ok_or_else(|| (end, "the command has no URL; copy the whole command".to_owned()))?;
        let mut url = Url::read(&word.text).map_err(|message| (word.at, message))?;
        if self.get {
            if let Some(at) = self.file {
                return Err((at, "with `-G` this file is the query; write what it holds".to_owned()));
            }
            // It takes the place of `--url-query`.
            self.query = std::mem::take(&mut self.data);
        }
        for query in &self.query {
            url.add_query(query);
        }
        if let Some(target) = self.target.take() {
            url.target = target;
        }
        if let Some(credentials) = url.credentials.take() {
            self.made.push(("authorization", basic(&credentials)));
        }
        let body = self.body && !self.get;
        let implied = match () {
            () if self.head => "HEAD",
            () if self.upload => "PUT",
            () if body => "POST",
            () => "GET",
        };
        let mut pasted = Pasted::new(implied, url);
        if let Some(method) = &self.method {
            if !is_token(&method.text) {
                return Err((method.at, format!("`{}` is not a method; write `GET` for example", method.text)));
            }
            pasted.method.clone_from(&method.text);
        }
        if body && !self.data.is_empty() {
            self.made.push(("content-type", "application/x-www-form-urlencoded".to_owned()));
        }
        if !self.cookies.is_empty() {
            self.made.push(("cookie", self.cookies.join(";")));
        }
        self.add_headers(&mut pasted)?;
        if self.more {
            pasted.notes.push("only the first request was read".to_owned());
        }
        Ok(pasted)
    }

    /// Headers by `-H`; then those that options make, the first of a name, where `-H` neither sets nor removes them.
    fn add_headers(&self, pasted: &mut Pasted) -> Result<(), Wrong> {
        let mut removed = Vec::new();
        for Word { text, at } in &self.headers {
            let wrong = |message: String| (*at, format!("{message}; write it as `-H 'NAME: VALUE'`"));
            match text.split_once(':') {
                Some((name, value)) if value.trim().is_empty() => removed.push(name.to_ascii_lowercase()),
                Some((name, value)) => pasted.add(name, value).map_err(wrong)?,
                None if text.starts_with('@') => return Err(wrong(format!("`{text}` reads headers from a file"))),
                None => match text.strip_suffix(';') {
                    // `NAME;` sends an empty one.
                    Some(name) => pasted.add(name, "").map_err(wrong)?,
                    None => return Err(wrong(format!("`{text}` is not a header"))),
                },
            }
        }
        for (name, value) in &self.made {
            if !pasted.has(name) && !removed.iter().any(|other| other == name) && !value.is_empty() {
                pasted.add(name, value).map_err(|message| (0, format!("{message}; remove the option that makes it")))?;
            }
        }
        Ok(())
    }
}

fn no_value(word: &Word) -> Wrong {
    (word.at, format!("`{}` has no value; copy the whole command", word.text))
}

/// Credentials as a header. curl asks for a password that is not there; here it is empty.
fn basic(user: &str) -> String {
    let user = if user.contains(':') { user.to_owned() } else { format!("{user}:") };
    format!("Basic {}", base64(user.as_bytes()))
}

/// `NAME=VALUE` with the value encoded, or all of it where there is no name; a space is `+`.
fn encoded(text: &str) -> String {
    let encode = |text: &str| utf8_percent_encode(text, ENCODED).to_string().replace("%20", "+");
    match text.split_once('=') {
        Some(("", value)) => encode(value),
        Some((name, value)) => format!("{name}={}", encode(value)),
        None => encode(text),
    }
}
