//! A stretch of time as people write it.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A stretch of time in whole seconds, from one second to 30 days: `90s`, `30m`, `1h30m`, `3d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(u32);

/// Why a text is not a stretch of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpanError {
    /// It is not a row of numbers with units.
    #[error(
        "`{0}` is not a time; write whole numbers with units from large to small, such as `90s`, `30m`, `1h30m` or `3d`"
    )]
    Syntax(String),
    /// It is shorter or longer than allowed.
    #[error("`{0}` is not between 1s and 30d")]
    Range(String),
}

/// Units with their seconds, from large to small.
const UNITS: [(char, u32); 4] = [('d', 86_400), ('h', 3600), ('m', 60), ('s', 1)];

impl Span {
    /// The longest.
    pub const MOST: Self = Self(30 * 86_400);

    /// A stretch of so many seconds; `None` if that is not between one second and 30 days.
    #[must_use]
    pub fn from_seconds(seconds: u32) -> Option<Self> {
        (1..=Self::MOST.0).contains(&seconds).then_some(Self(seconds))
    }

    /// Its seconds.
    #[must_use]
    pub const fn seconds(self) -> u32 {
        self.0
    }

    /// The same for a clock.
    #[must_use]
    pub const fn duration(self) -> Duration {
        Duration::from_secs(self.0 as u64)
    }
}

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let syntax = || SpanError::Syntax(text.to_owned());
        let (mut rest, mut units, mut seconds) = (text, UNITS.iter(), 0_u32);
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, behind) =
                rest.split_at_checked(digits).filter(|(number, _)| !number.is_empty()).ok_or_else(syntax)?;
            let unit = behind.chars().next().ok_or_else(syntax)?;
            // Each unit once, from large to small.
            let (_, size) = units.find(|(name, _)| *name == unit).ok_or_else(syntax)?;
            let part = number.parse::<u32>().ok().and_then(|number| number.checked_mul(*size));
            seconds = part.and_then(|part| seconds.checked_add(part)).ok_or_else(|| SpanError::Range(text.to_owned()))?;
            rest = behind.get(unit.len_utf8()..).unwrap_or_default();
        }
        match text.is_empty() {
            true => Err(syntax()),
            false => Self::from_seconds(seconds).ok_or_else(|| SpanError::Range(text.to_owned())),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        for (unit, size) in UNITS {
            if rest >= size {
                write!(f, "{}{unit}", rest / size)?;
                rest %= size;
            }
        }
        Ok(())
    }
}

impl TryFrom<String> for Span {
    type Error = SpanError;

    fn try_from(text: String) -> Result<Self, SpanError> {
        text.parse()
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        span.to_string()
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Span".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "maxLength": 32, "pattern": "^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_and_written() {
        for (text, seconds, written) in [
            ("90s", 90, "1m30s"),
            ("30m", 1800, "30m"),
            ("1h30m", 5400, "1h30m"),
            ("3d", 259_200, "3d"),
            ("1s", 1, "1s"),
            ("30d", 2_592_000, "30d"),
            ("0d1s", 1, "1s"),
        ] {
            let span: Span = text.parse().unwrap();
            assert_eq!((span.seconds(), span.to_string()), (seconds, written.to_owned()));
            assert_eq!(written.parse::<Span>().unwrap(), span);
        }
    }

    #[test]
    fn what_is_not_a_time_is_told() {
        for text in ["", "5", "m", "5 m", "1m1h", "1m2m", "1.5h", "-5m", "5min", "5µ", "٣m"] {
            assert_eq!(text.parse::<Span>(), Err(SpanError::Syntax(text.to_owned())), "{text}");
        }
        for text in ["0s", "31d", "30d1s", "99999999999s", "4294967295d"] {
            assert_eq!(text.parse::<Span>(), Err(SpanError::Range(text.to_owned())), "{text}");
        }
    }
}
