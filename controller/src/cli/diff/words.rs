//! The answer for people.

use std::fmt;

use serin_config::BUCKETS;
use serin_release::difference::Rules;

use super::Answer;
use super::people::Requests;

/// A share as wide as the widest.
fn share(buckets: u32) -> String {
    let whole = buckets / 1000;
    format!("{whole:>2}.{:03}%", buckets % 1000)
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { release, from, new, begins, difference, users, requests } = self;
        match new {
            true => writeln!(f, "{release}  is not in {from}: everybody is stable's now")?,
            false => writeln!(f, "{release}  as it is in {from}")?,
        }
        if *begins {
            writeln!(f, "  steps begin again from the first: another version, workload or step makes another run")?;
        }
        if let Some(why) = &difference.reshuffled {
            writeln!(f, "  everybody may move: {why}")?;
        }
        for one in &difference.moves {
            writeln!(f, "  {} of people  {} → {}", share(one.buckets), one.from, one.to)?;
        }
        match difference.stay {
            BUCKETS if difference.is_nothing() => writeln!(f, "  nobody moves")?,
            0 => {}
            stay => writeln!(f, "  {} stay", share(stay))?,
        }
        rules(f, &difference.rules)?;
        for user in users {
            let moves =
                if user.from == user.to { format!("{} stays", user.to) } else { format!("{} → {}", user.from, user.to) };
            writeln!(f, "user       {}  {moves}  {}", user.user, user.reason)?;
        }
        requests.as_ref().map_or(Ok(()), |requests| changed(f, requests))
    }
}

fn rules(f: &mut fmt::Formatter<'_>, rules: &Rules) -> fmt::Result {
    for name in &rules.added {
        writeln!(f, "rule       {name}  is new: who matches it is not decided by weight any more")?;
    }
    for name in &rules.changed {
        writeln!(f, "rule       {name}  is another one: who is in it depends on the request")?;
    }
    for name in &rules.removed {
        writeln!(f, "rule       {name}  is gone: its requests are decided by what comes after it")?;
    }
    if rules.reordered {
        writeln!(f, "rules      come in another order, and the first that matches decides")?;
    }
    Ok(())
}

fn changed(f: &mut fmt::Formatter<'_>, requests: &Requests) -> fmt::Result {
    let Requests { changed, of, lines } = requests;
    writeln!(f, "requests   {changed} of {of} change")?;
    for line in lines {
        writeln!(f, "  line {}  {} → {}  {}", line.line, line.from, line.to, line.reason)?;
    }
    let more = changed.saturating_sub(u64::try_from(lines.len()).unwrap_or(u64::MAX));
    if more > 0 { writeln!(f, "  and {more} more") } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_stand_below_each_other() {
        let all: Vec<String> = [BUCKETS, 25_000, 1].map(share).into();
        assert_eq!(all, ["100.000%", "25.000%", " 0.001%"]);
    }
}
