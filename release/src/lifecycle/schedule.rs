//! When steps may go on: windows of the week, and times in which nothing grows. The time comes in.

use std::str::FromStr;

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::span::Span;

/// When steps may go on. Rollbacks and what people do by hand wait for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Schedule {
    /// Time zone of the windows, by its name in the IANA database such as `Europe/Berlin`. Defaults to `UTC`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Times of the week in which steps go on. Without a window they always do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<Window>,
    /// Times in which no step goes on, whatever the windows say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freeze: Vec<Freeze>,
    /// Time after which the release is late. Only time that counts is counted: not that of a pause, outside of a window, or in a freeze.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Span>,
    /// What happens to a release that is late: `hold`, it stays where it is; `rollBack`, its canaries get nobody. Defaults to `hold`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub on_deadline: OnDeadline,
}

fn is_default(on_deadline: &OnDeadline) -> bool {
    *on_deadline == OnDeadline::default()
}

/// A time of the week.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Window {
    /// Its days. Defaults to every day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<Day>,
    /// When it opens, such as `09:00`.
    pub from: Clock,
    /// When it closes, such as `16:00`; after `from`.
    pub to: Clock,
}

/// A time in which nothing grows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Freeze {
    /// When it begins, with its offset from UTC, such as `2026-12-18T00:00:00+01:00`.
    #[schemars(with = "String")]
    pub from: Timestamp,
    /// When it ends.
    #[schemars(with = "String")]
    pub to: Timestamp,
    /// Why, for those who wait.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub because: String,
}

/// What happens to a release that is late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum OnDeadline {
    /// It stays where it is.
    #[default]
    Hold,
    /// Its canaries get nobody.
    RollBack,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "the days have their names")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl Day {
    const fn weekday(self) -> Weekday {
        match self {
            Self::Mon => Weekday::Monday,
            Self::Tue => Weekday::Tuesday,
            Self::Wed => Weekday::Wednesday,
            Self::Thu => Weekday::Thursday,
            Self::Fri => Weekday::Friday,
            Self::Sat => Weekday::Saturday,
            Self::Sun => Weekday::Sunday,
        }
    }
}

/// A time of the day in minutes, `HH:MM`; `24:00` is its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("pattern" = "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"))]
pub struct Clock(i32);

/// Why a text is not a time of the day.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time of the day; write hours and minutes, such as `09:00`")]
pub struct ClockError(String);

impl FromStr for Clock {
    type Err = ClockError;

    fn from_str(text: &str) -> Result<Self, ClockError> {
        let digits = |part: &str| {
            let are_digits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
            part.parse().ok().filter(|_: &i32| are_digits)
        };
        let minutes = text.split_once(':').and_then(|(hours, minutes)| Some((digits(hours)?, digits(minutes)?)));
        match minutes {
            Some((hours, minutes)) if hours < 24 && minutes < 60 || (hours, minutes) == (24, 0) => {
                Ok(Self(hours * 60 + minutes))
            }
            _ => Err(ClockError(text.to_owned())),
        }
    }
}

impl TryFrom<String> for Clock {
    type Error = ClockError;

    fn try_from(text: String) -> Result<Self, ClockError> {
        text.parse()
    }
}

impl From<Clock> for String {
    fn from(Clock(minutes): Clock) -> Self {
        format!("{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

/// Whether steps may go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gate {
    /// They may, until then if that ends.
    Open(Option<Timestamp>),
    /// No window is open; the next one opens then, if one does within the next weeks.
    OutsideWindow(Option<Timestamp>),
    /// Nothing grows until then, and why.
    Frozen(Option<Timestamp>, String),
}

/// So far ahead a window is looked for: one that opens on a day which the clock leaves out comes a week later.
const DAYS_AHEAD: i32 = 15;

/// What the annotation `serin.dev/freeze` of a Namespace says now: until when it is frozen, and why. `until 2027-01-04T00:00:00Z: holidays`
/// ends by itself, any other text ends when it is taken away; a time that nobody can read is such a text too.
#[must_use]
pub fn frozen(text: &str, now: Timestamp) -> Option<(Option<Timestamp>, String)> {
    let until = text.trim().strip_prefix("until ").map(|rest| rest.split_once(": ").unwrap_or((rest, "")));
    match until.and_then(|(time, because)| Some((time.trim().parse::<Timestamp>().ok()?, because))) {
        Some((until, because)) => (until > now).then(|| (Some(until), because.trim().to_owned())),
        None => Some((None, text.trim().to_owned())),
    }
}

impl Schedule {
    /// Whether steps may go on at a time.
    ///
    /// A time of the day that the clock leaves out when summer begins is taken as the next one there is, and of one that comes twice when
    /// summer ends the first one counts.
    ///
    /// # Errors
    /// There is no time zone of this name.
    pub fn gate(&self, now: Timestamp) -> Result<Gate, String> {
        if let Some(freeze) =
            self.freeze.iter().filter(|freeze| freeze.from <= now && now < freeze.to).max_by_key(|freeze| freeze.to)
        {
            return Ok(Gate::Frozen(Some(freeze.to), freeze.because.clone()));
        }
        let next_freeze = self.freeze.iter().map(|freeze| freeze.from).filter(|from| *from > now).min();
        if self.windows.is_empty() {
            return Ok(Gate::Open(next_freeze));
        }
        let spans = self.spans(now)?;
        // Windows that overlap or meet are one.
        let mut closes = None;
        for (from, to) in &spans {
            let reached = closes.unwrap_or(now);
            if *from <= reached && *to > reached {
                closes = Some(*to);
            }
        }
        if let Some(closes) = closes {
            return Ok(Gate::Open(Some(next_freeze.map_or(closes, |freeze| freeze.min(closes)))));
        }
        Ok(Gate::OutsideWindow(spans.iter().map(|(from, _)| *from).filter(|from| *from > now).min()))
    }

    /// The zone of the windows.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn zone(&self) -> Result<TimeZone, String> {
        let name = self.time_zone.as_deref().unwrap_or("UTC");
        TimeZone::get(name)
            .map_err(|_| format!("`{name}` is not a time zone; write a name of the IANA database, such as `Europe/Berlin`"))
    }

    /// When windows open and close around now, in the order in which they open.
    fn spans(&self, now: Timestamp) -> Result<Vec<(Timestamp, Timestamp)>, String> {
        let zone = self.zone()?;
        let today = now.to_zoned(zone.clone()).date();
        let mut spans = Vec::new();
        for ahead in -1..=DAYS_AHEAD {
            let Ok(date) = today.checked_add(ahead.days()) else { continue };
            for window in &self.windows {
                if !window.days.is_empty() && !window.days.iter().any(|day| day.weekday() == date.weekday()) {
                    continue;
                }
                let at = |Clock(minutes): Clock| {
                    let midnight = date.to_datetime(Time::midnight());
                    let time = midnight.checked_add(SignedDuration::from_mins(minutes.into())).ok()?;
                    zone.to_ambiguous_timestamp(time).compatible().ok()
                };
                spans.extend(at(window.from).zip(at(window.to)).filter(|(from, to)| from < to));
            }
        }
        spans.sort_unstable();
        Ok(spans)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schedule(value: serde_json::Value) -> Schedule {
        serde_json::from_value(value).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn windows_open_and_close_by_the_clock_of_their_zone() {
        let days = ["Mon", "Tue", "Wed", "Thu"];
        let office =
            schedule(json!({"timeZone": "Europe/Berlin", "windows": [{"days": days, "from": "09:00", "to": "16:00"}]}));
        let gate = |text: &str| office.gate(at(text)).unwrap();
        // A Thursday in winter, UTC+1.
        assert_eq!(gate("2026-11-26T07:59:59Z"), Gate::OutsideWindow(Some(at("2026-11-26T08:00:00Z"))));
        assert_eq!(gate("2026-11-26T08:00:00Z"), Gate::Open(Some(at("2026-11-26T15:00:00Z"))));
        assert_eq!(gate("2026-11-26T14:59:59Z"), Gate::Open(Some(at("2026-11-26T15:00:00Z"))));
        assert_eq!(gate("2026-11-26T15:00:00Z"), Gate::OutsideWindow(Some(at("2026-11-30T08:00:00Z"))));
        // In summer, UTC+2.
        assert_eq!(gate("2026-07-01T07:00:00Z"), Gate::Open(Some(at("2026-07-01T14:00:00Z"))));
    }

    #[test]
    fn windows_that_meet_are_one_and_midnight_ends_a_day() {
        let night = schedule(json!({"windows": [
            {"days": ["Sat"], "from": "22:00", "to": "24:00"}, {"days": ["Sun"], "from": "00:00", "to": "02:00"},
            {"days": ["Sun"], "from": "01:00", "to": "03:00"},
        ]}));
        assert_eq!(night.gate(at("2026-11-28T23:00:00Z")).unwrap(), Gate::Open(Some(at("2026-11-29T03:00:00Z"))));
        assert_eq!(night.gate(at("2026-11-29T03:00:00Z")).unwrap(), Gate::OutsideWindow(Some(at("2026-12-05T22:00:00Z"))));
    }

    #[test]
    fn an_hour_that_the_clock_leaves_out_or_repeats_is_a_time_all_the_same() {
        let early = schedule(json!({"timeZone": "Europe/Berlin", "windows": [{"from": "02:30", "to": "04:00"}]}));
        // At 02:00 the clock goes to 03:00: 02:30 is 03:30.
        assert_eq!(early.gate(at("2026-03-29T01:00:00Z")).unwrap(), Gate::OutsideWindow(Some(at("2026-03-29T01:30:00Z"))));
        assert_eq!(early.gate(at("2026-03-29T01:30:00Z")).unwrap(), Gate::Open(Some(at("2026-03-29T02:00:00Z"))));
        // At 03:00 it goes back to 02:00: the first 02:30 counts.
        assert_eq!(early.gate(at("2026-10-25T00:30:00Z")).unwrap(), Gate::Open(Some(at("2026-10-25T03:00:00Z"))));
    }

    #[test]
    fn a_freeze_is_above_windows_and_cuts_them_short() {
        let holidays = schedule(json!({
            "windows": [{"from": "00:00", "to": "24:00"}],
            "freeze": [
                {"from": "2026-12-18T00:00:00+01:00", "to": "2027-01-04T00:00:00+01:00", "because": "holidays"},
                {"from": "2026-12-20T00:00:00Z", "to": "2026-12-21T00:00:00Z"},
            ],
        }));
        let until = Some(at("2027-01-03T23:00:00Z"));
        assert_eq!(holidays.gate(at("2026-12-20T12:00:00Z")).unwrap(), Gate::Frozen(until, "holidays".to_owned()));
        assert_eq!(holidays.gate(at("2026-12-17T22:00:00Z")).unwrap(), Gate::Open(Some(at("2026-12-17T23:00:00Z"))));
        let Gate::Open(Some(_)) = holidays.gate(at("2027-01-03T23:00:00Z")).unwrap() else { panic!("it is over") };
    }

    #[test]
    fn without_windows_it_is_always_open_and_a_zone_that_is_none_is_told() {
        assert_eq!(Schedule::default().gate(at("2026-11-28T00:00:00Z")).unwrap(), Gate::Open(None));
        let nowhere = schedule(json!({"timeZone": "Mars/Olympus", "windows": [{"from": "09:00", "to": "16:00"}]}));
        assert_eq!(
            nowhere.gate(at("2026-11-28T00:00:00Z")).unwrap_err(),
            "`Mars/Olympus` is not a time zone; write a name of the IANA database, such as `Europe/Berlin`"
        );
        let never = schedule(json!({"windows": [{"from": "16:00", "to": "09:00"}]}));
        assert_eq!(never.gate(at("2026-11-28T10:00:00Z")).unwrap(), Gate::OutsideWindow(None));
    }

    #[test]
    fn a_time_of_the_day_has_hours_and_minutes() {
        for text in ["00:00", "09:05", "23:59", "24:00"] {
            assert_eq!(String::from(text.parse::<Clock>().unwrap()), text);
        }
        for text in ["", "9:00", "24:01", "12:60", "12", "12:00:00", "+1:00", "ab:cd"] {
            assert!(text.parse::<Clock>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_annotation_freezes_until_it_says_so_or_goes() {
        let now: Timestamp = "2026-12-24T00:00:00Z".parse().unwrap();
        let until: Timestamp = "2027-01-04T00:00:00Z".parse().unwrap();
        assert_eq!(frozen("until 2027-01-04T00:00:00Z: holidays", now), Some((Some(until), "holidays".to_owned())));
        assert_eq!(frozen("until 2027-01-04T01:00:00+01:00", now), Some((Some(until), String::new())));
        assert_eq!(frozen("until 2026-12-24T00:00:00Z: holidays", now), None);
        for text in ["incident 17", "until monday: holidays", ""] {
            assert_eq!(frozen(text, now), Some((None, text.to_owned())));
        }
    }
}
