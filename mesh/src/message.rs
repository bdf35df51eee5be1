//! What somebody is told of a release, as JSON: plain, or as Slack takes it. Pure.

use serde_json::{Value, json};
use serin_release::api::v1alpha1::HistoryEntry;
use serin_release::lifecycle::run::What;

/// Something that happened, to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The cluster, as the administrator calls it; may be empty.
    pub cluster: String,
    /// The release, as `NAMESPACE/NAME`.
    pub release: String,
    /// What tells the release from one of the same name that was there before.
    pub uid: String,
    /// What happened.
    pub entry: HistoryEntry,
    /// What comes next; may be empty.
    pub next: String,
}

impl Message {
    /// The same for each try of one message, and for no other one: who gets it twice may drop one.
    #[must_use]
    pub fn key(&self) -> String {
        let HistoryEntry { at, what, to, .. } = &self.entry;
        // Two steps may fall into one second.
        let to: String = to.chars().filter(char::is_ascii_alphanumeric).collect();
        format!("{}-{at}-{to}-{what:?}", self.uid)
    }

    /// The command that a person may want to type now.
    fn command(&self) -> String {
        let release = &self.release;
        match self.entry.what {
            What::ApprovalNeeded => format!("serin approve {release}"),
            What::Completed => format!("serin finish {release}"),
            What::RolledBack if self.entry.by.starts_with("control") => format!("serin resume {release}"),
            What::RolledBack => format!("serin resume {release} --retry"),
            What::TakenOver | What::WeightsSet | What::Paused => format!("serin resume {release}"),
            _ => format!("serin show {release}"),
        }
    }

    /// The message, version 1. Fields are only added.
    #[must_use]
    pub fn json(&self) -> Value {
        let HistoryEntry { at, what, from, to, by, because } = &self.entry;
        json!({
            "version": 1,
            "id": self.key(),
            "cluster": self.cluster,
            "release": self.release,
            "at": at,
            "what": what,
            "from": from,
            "to": to,
            "by": by,
            "because": because,
            "next": self.next,
            "command": self.command(),
        })
    }

    /// The same as an incoming webhook of Slack takes it.
    #[must_use]
    pub fn slack(&self) -> Value {
        let HistoryEntry { what, from, to, by, because, .. } = &self.entry;
        let shares = |shares: &str| if shares.is_empty() { "nobody".to_owned() } else { shares.to_owned() };
        let cluster = if self.cluster.is_empty() { String::new() } else { format!("{}: ", self.cluster) };
        let text = format!("{cluster}*{}* {what:?}: {} → {} by {by}", self.release, shares(from), shares(to));
        let field = |title: &str, value: &str, short: bool| {
            (!value.is_empty()).then(|| json!({"title": title, "value": value, "short": short}))
        };
        let command = format!("`{}`", self.command());
        let fields: Vec<Value> =
            [field("Why", because, false), field("Next", &self.next, false), field("Command", &command, false)]
                .into_iter()
                .flatten()
                .collect();
        let color = match what {
            What::RolledBack | What::Failing | What::Late => "danger",
            What::ApprovalNeeded | What::Undecided => "warning",
            _ => "good",
        };
        json!({"text": text, "attachments": [{"color": color, "fields": fields}]})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(what: What, by: &str) -> Message {
        let (from, to) = ("v2=5%".to_owned(), String::new());
        let entry =
            HistoryEntry { at: "2026-11-28T10:00:00Z".into(), what, from, to, by: by.into(), because: "22 of 41".into() };
        Message { cluster: "east".into(), release: "shop/cart".into(), uid: "u1".into(), entry, next: String::new() }
    }

    #[test]
    fn a_message_says_what_why_and_what_to_type() {
        let message = message(What::RolledBack, "analysis");
        assert_eq!(
            message.json(),
            json!({"version": 1, "id": "u1-2026-11-28T10:00:00Z--RolledBack", "cluster": "east", "release": "shop/cart",
                "at": "2026-11-28T10:00:00Z", "what": "RolledBack", "from": "v2=5%", "to": "", "by": "analysis", "because": "22 of 41",
                "next": "", "command": "serin resume shop/cart --retry"})
        );
        assert_eq!(
            message.slack(),
            json!({"text": "east: *shop/cart* RolledBack: v2=5% → nobody by analysis", "attachments": [{"color": "danger", "fields": [
                {"title": "Why", "value": "22 of 41", "short": false},
                {"title": "Command", "value": "`serin resume shop/cart --retry`", "short": false}]}]})
        );
    }

    #[test]
    fn the_command_is_that_of_the_occasion() {
        let command = |what, by| message(what, by).command();
        assert_eq!(command(What::RolledBack, "control bob"), "serin resume shop/cart");
        assert_eq!(command(What::ApprovalNeeded, "steps"), "serin approve shop/cart");
        assert_eq!(command(What::Completed, "steps"), "serin finish shop/cart");
        assert_eq!(command(What::Stepped, "steps"), "serin show shop/cart");
    }
}
