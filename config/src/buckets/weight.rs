//! A share of the requests in steps of 0.001 %.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::buckets::algorithm::BUCKETS;

/// A share in thousandths of a percent, 0 to 100 000. Its text is a percentage with at most three decimals: `12.345%`.
///
/// ```
/// use serin_config::Weight;
///
/// assert_eq!("12.345%".parse::<Weight>()?.buckets(), 12_345);
/// assert_eq!("5%".parse::<Weight>()?.to_string(), "5%");
/// assert!("0.0001%".parse::<Weight>().unwrap_err().to_string().starts_with("`0.0001%` is not a percentage; write digits"));
/// # Ok::<(), serin_config::WeightError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Weight(u32);

/// Why a text is not a weight.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WeightError {
    /// The text is not digits with at most three decimals and a percent sign.
    #[error("`{0}` is not a percentage; write digits, at most three decimals and a percent sign, such as `12.345%`")]
    Syntax(String),
    /// The share is more than everything.
    #[error("`{0}` is more than 100%; lower it, since the canaries share 100% with stable")]
    TooLarge(String),
}

impl Weight {
    /// Everything.
    pub const ALL: Self = Self(BUCKETS);
    /// Nobody.
    pub const NONE: Self = Self(0);

    /// A weight of so many buckets of 100 000; `None` above that.
    #[must_use]
    pub fn from_buckets(buckets: u32) -> Option<Self> {
        (buckets <= BUCKETS).then_some(Self(buckets))
    }

    /// The number of buckets, 0 to 100 000.
    #[must_use]
    pub fn buckets(self) -> u32 {
        self.0
    }
}

impl TryFrom<String> for Weight {
    type Error = WeightError;

    fn try_from(text: String) -> Result<Self, WeightError> {
        text.parse()
    }
}

impl From<Weight> for String {
    fn from(weight: Weight) -> Self {
        weight.to_string()
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Weight {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Weight".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let pattern = r"^(100(\.0{1,3})?|[0-9]{1,2}(\.[0-9]{1,3})?)%$";
        schemars::json_schema!({"type": "string", "pattern": pattern, "description": "A percentage with at most three decimals."})
    }
}

impl FromStr for Weight {
    type Err = WeightError;

    fn from_str(text: &str) -> Result<Self, WeightError> {
        let syntax = || WeightError::Syntax(text.to_owned());
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let number = text.strip_suffix('%').ok_or_else(syntax)?;
        let (whole, decimals) = match number.split_once('.') {
            Some((whole, decimals)) if digits(decimals) && decimals.len() <= 3 => (whole, decimals),
            Some(_) => return Err(syntax()),
            None => (number, ""),
        };
        if !digits(whole) {
            return Err(syntax());
        }
        let large = || WeightError::TooLarge(text.to_owned());
        let thousandths: u32 = format!("{decimals:0<3}").parse().map_err(|_| syntax())?;
        let whole: u32 = whole.parse().map_err(|_| large())?;
        whole
            .checked_mul(1000)
            .and_then(|percent| percent.checked_add(thousandths))
            .and_then(Self::from_buckets)
            .ok_or_else(large)
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = format!("{:03}", self.0 % 1000);
        match decimals.trim_end_matches('0') {
            "" => write!(f, "{}%", self.0 / 1000),
            decimals => write!(f, "{}.{decimals}%", self.0 / 1000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_buckets_are_one_to_one() {
        for buckets in 0..=BUCKETS {
            let weight = Weight::from_buckets(buckets).unwrap();
            assert_eq!(weight.to_string().parse(), Ok(weight));
        }
    }

    #[test]
    fn what_is_not_a_percentage_is_refused() {
        for text in ["", "%", "5", "5 %", " 5%", "-1%", "+1%", "1.%", ".5%", "1.0000%", "1e1%", "5%%", "٥%", "1,5%"] {
            assert_eq!(text.parse::<Weight>(), Err(WeightError::Syntax(text.to_owned())), "{text}");
        }
        for text in ["100.001%", "101%", "99999999999999999999%"] {
            assert_eq!(text.parse::<Weight>(), Err(WeightError::TooLarge(text.to_owned())), "{text}");
        }
    }
}
