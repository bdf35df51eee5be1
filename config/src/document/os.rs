//! The operating system that a `User-Agent` names.

use serde::{Deserialize, Serialize};

/// An operating system of browsers and apps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Os {
    /// Microsoft Windows, phones included.
    Windows,
    /// macOS; an iPad that asks for desktop sites says so too.
    Macos,
    /// Linux other than Android.
    Linux,
    /// Android.
    Android,
    /// iOS and iPadOS.
    Ios,
}

/// What browsers write, in the order in which it must be looked for: Windows Phone names Android and iPhone as well, iOS
/// says "like Mac OS X", and Android is a Linux.
const MARKS: [(&[u8], Os); 9] = [
    (b"Windows", Os::Windows),
    (b"iPhone", Os::Ios),
    (b"iPad", Os::Ios),
    (b"iPod", Os::Ios),
    (b"Android", Os::Android),
    (b"Macintosh", Os::Macos),
    (b"Mac OS X", Os::Macos),
    (b"Linux", Os::Linux),
    (b"X11", Os::Linux),
];

impl Os {
    /// Recognises the system of a `User-Agent` value; bytes that are not text do not matter.
    #[must_use]
    pub fn of_user_agent(value: &[u8]) -> Option<Self> {
        let has = |mark: &[u8]| value.windows(mark.len()).any(|part| part == mark);
        MARKS.iter().find(|(mark, _)| has(mark)).map(|&(_, os)| os)
    }
}
