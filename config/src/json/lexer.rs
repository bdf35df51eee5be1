//! JSON as RFC 8259 has it: where values end, and what texts mean.
//!
//! A lexer of our own, since the filter runs in every sidecar: the readers of `serde_json` were a sixth of it. A walk stops and
//! resumes at releases, and nothing is built that nobody asks for. Values may lie in one another as deep as they like: going over
//! them takes no stack, and the shape of a document is a few levels.

use std::borrow::Cow;

/// What lies ahead in a text.
#[derive(Clone, Copy)]
pub(crate) struct Lexer<'t>(pub(crate) &'t [u8]);

impl<'t> Lexer<'t> {
    /// Goes over blanks.
    pub(crate) fn blanks(&mut self) {
        while let Some((b' ' | b'\t' | b'\n' | b'\r', rest)) = self.0.split_first() {
            self.0 = rest;
        }
    }

    /// Goes over blanks and one of these bytes, and says which.
    pub(crate) fn expect(&mut self, one_of: &[u8]) -> Option<u8> {
        self.blanks();
        self.take(one_of)
    }

    /// Goes over blanks and a value, and hands out its text. Where there is none it stops at the fault.
    #[inline(never)]
    pub(crate) fn value(&mut self) -> Option<&'t [u8]> {
        self.blanks();
        let whole = self.0;
        // What will close the lists and objects that are open.
        let mut open = Vec::new();
        loop {
            let closing = match self.take(b"{[\"-0123456789tfn")? {
                b'{' => b'}',
                b'[' => b']',
                scalar => {
                    self.scalar(scalar)?;
                    0
                }
            };
            if closing != 0 && self.expect(&[closing]).is_none() {
                open.push(closing);
                self.begin(closing)?;
                continue;
            }
            loop {
                let Some(&closing) = open.last() else {
                    return whole.get(..whole.len() - self.0.len());
                };
                if self.expect(&[b',', closing])? == b',' {
                    self.begin(closing)?;
                    break;
                }
                open.pop();
            }
        }
    }

    /// Goes to the value of a member, or of a list.
    fn begin(&mut self, closing: u8) -> Option<()> {
        if closing == b'}' {
            self.expect(b"\"")?;
            self.string()?;
            self.expect(b":")?;
        }
        self.blanks();
        Some(())
    }

    /// Goes over the rest of what begins with a byte.
    fn scalar(&mut self, first: u8) -> Option<()> {
        let word: &[u8] = match first {
            b'"' => return self.string(),
            b't' => b"rue",
            b'f' => b"alse",
            b'n' => b"ull",
            _ => return self.number(first),
        };
        self.0 = self.0.strip_prefix(word)?;
        Some(())
    }

    fn number(&mut self, first: u8) -> Option<()> {
        let first = if first == b'-' { self.take(DIGITS)? } else { first };
        if first != b'0' {
            self.digits();
        }
        if self.take(b".").is_some() {
            self.take(DIGITS)?;
            self.digits();
        }
        if self.take(b"eE").is_some() {
            self.take(b"+-");
            self.take(DIGITS)?;
            self.digits();
        }
        Some(())
    }

    fn digits(&mut self) {
        while let Some((b'0'..=b'9', rest)) = self.0.split_first() {
            self.0 = rest;
        }
    }

    fn string(&mut self) -> Option<()> {
        let whole = self.0;
        loop {
            let at = self.0.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..b' '));
            self.0 = self.0.get(at.unwrap_or(self.0.len())..)?;
            match self.next()? {
                b'"' => break,
                b'\\' => drop(self.escape()?),
                _ => return None,
            }
        }
        std::str::from_utf8(whole.get(..whole.len() - self.0.len())?).ok().map(|_| ())
    }

    /// Goes over what follows a `\`, and says which character it stands for.
    fn escape(&mut self) -> Option<char> {
        Some(match self.next()? {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let unit = self.unit()?;
                // The first half of a surrogate pair; a half alone is not a character.
                if unit >> 10 != 0xd800 >> 10 {
                    return char::from_u32(unit);
                }
                self.0 = self.0.strip_prefix(b"\\u")?;
                let second = self.unit()?.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
                return char::from_u32(0x1_0000 + ((unit & 0x3ff) << 10) + second);
            }
            byte @ (b'"' | b'\\' | b'/') => char::from(byte),
            _ => return None,
        })
    }

    fn unit(&mut self) -> Option<u32> {
        let mut unit = 0;
        for _ in 0..4 {
            unit = unit << 4 | char::from(self.next()?).to_digit(16)?;
        }
        Some(unit)
    }

    fn next(&mut self) -> Option<u8> {
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(byte)
    }

    /// Goes over one of these bytes.
    fn take(&mut self, one_of: &[u8]) -> Option<u8> {
        let (&byte, rest) = self.0.split_first().filter(|(byte, _)| one_of.contains(byte))?;
        self.0 = rest;
        Some(byte)
    }
}

const DIGITS: &[u8] = b"0123456789";

/// The values of a list, or the names and values of an object in turn.
///
/// Only of what [`Lexer::value`] went over; of anything else there are none.
pub(crate) struct Items<'t>(Lexer<'t>);

impl<'t> Items<'t> {
    pub(crate) fn of(value: &'t [u8]) -> Self {
        Self(Lexer(if let Some(b'[' | b'{') = value.first() { value } else { &[] }))
    }
}

impl<'t> Iterator for Items<'t> {
    type Item = &'t [u8];

    fn next(&mut self) -> Option<&'t [u8]> {
        // Behind what closes it no value begins.
        self.0.expect(b"[{,:]}")?;
        self.0.value()
    }
}

/// The text that a value is.
pub(crate) fn text(value: &[u8]) -> Option<Cow<'_, str>> {
    let inner = value.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let (mut lexer, mut text) = (Lexer(inner), String::new());
    while let Some(at) = lexer.0.iter().position(|byte| *byte == b'\\') {
        text.push_str(std::str::from_utf8(lexer.0.get(..at)?).ok()?);
        lexer.0 = lexer.0.get(at + 1..)?;
        text.push(lexer.escape()?);
    }
    let rest = std::str::from_utf8(lexer.0).ok()?;
    if text.is_empty() { Some(Cow::Borrowed(rest)) } else { Some(Cow::Owned(text + rest)) }
}

/// The number that a value is, if it is a whole one from 0.
pub(crate) fn whole(value: &[u8]) -> Option<u64> {
    let digit = |byte: &u8| byte.checked_sub(b'0').filter(|digit| *digit < 10);
    value.first().and_then(digit)?;
    value.iter().try_fold(0_u64, |whole, byte| whole.checked_mul(10)?.checked_add(u64::from(digit(byte)?)))
}

/// The last member of this name in an object that is the whole text (RFC 7519, section 4). `None` for what is not an object.
pub(crate) fn member<'t>(object: &'t [u8], name: &str) -> Option<&'t [u8]> {
    let mut lexer = Lexer(object);
    let object = lexer.value().filter(|value| value.starts_with(b"{"))?;
    lexer.blanks();
    if !lexer.0.is_empty() {
        return None;
    }
    let (mut items, mut found) = (Items::of(object), None);
    while let (Some(key), Some(value)) = (items.next(), items.next()) {
        if text(key).is_some_and(|key| key == name) {
            found = Some(value);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Option<&str> {
        Lexer(text.as_bytes()).value().map(|value| std::str::from_utf8(value).unwrap())
    }

    #[test]
    fn a_value_ends_where_it_ends() {
        for (text, expected) in [
            (" [ ] ]", "[ ]"),
            (r#"{"a":[1,{"b":null}],"c":"}"} ,"#, r#"{"a":[1,{"b":null}],"c":"}"}"#),
            ("01", "0"),
            ("-0.5e+7,", "-0.5e+7"),
            ("truest", "true"),
            (r#""\"\u00e9\\"x"#, r#""\"\u00e9\\""#),
        ] {
            assert_eq!(value(text), Some(expected), "{text}");
        }
        for text in
            ["", " ", "[1,]", "[,1]", "{1:2}", r#"{"a"}"#, r#"{"a":}"#, "[1}", "-", "1.", "1e", "nul", "\"\t\"", "\"\\x\""]
        {
            assert_eq!(value(text), None, "{text}");
        }
    }

    #[test]
    fn items_are_handed_out_in_turn() {
        let of = |text: &'static str| {
            Items::of(text.as_bytes()).map(|item| std::str::from_utf8(item).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(of(r#"[1, [2,3] ,"x"]"#), ["1", "[2,3]", "\"x\""]);
        assert_eq!(of(r#"{"a" : 1,"b":{"c":[]}}"#), ["\"a\"", "1", "\"b\"", r#"{"c":[]}"#]);
        for text in ["[]", "{ }", "1", "\"[1]\""] {
            assert_eq!(of(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn the_last_member_of_a_name_counts() {
        assert_eq!(member(br#" {"a":1,"\u0061":[2]} "#, "a"), Some(&b"[2]"[..]));
        assert_eq!(member(br#"{"a":1}}"#, "a"), None);
        assert_eq!(member(br#"["a",1]"#, "a"), None);
    }
}
