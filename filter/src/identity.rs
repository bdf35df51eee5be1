//! Which responses may carry an identity: those that nobody keeps but the visitor whose it is.

use crate::pairs::Pairs;

/// Whether a response may set the cookie of one visitor.
///
/// - A `304` renews what a cache has stored, for whoever asks for it next (RFC 9111, section 4.3.4).
/// - A `5xx` is not a reason to bind the visitor to the version that failed.
/// - What is `public` or has `s-maxage` may be stored, with the cookie, for others (sections 5.2.2.9 and 5.2.2.10), unless
///   it is `private` or `no-store`, or says so of the cookie alone: `private="set-cookie"`, `no-cache="set-cookie"`.
///   A bare `no-cache` lets a cache store the cookie all the same (section 5.2.2.4).
pub(crate) fn may_be_set(response: &Pairs<'_>) -> bool {
    let status = response.values(":status").next().unwrap_or_default();
    if status == b"304" || status.first() == Some(&b'5') {
        return false;
    }
    let (mut stored, mut kept_back) = (false, false);
    for line in response.values("cache-control") {
        let mut rest = line;
        while !rest.is_empty() {
            let (directive, behind) = first_directive(rest);
            rest = behind;
            let (name, fields) = halves(directive, b'=');
            stored |= is_one_of(name, &["public", "s-maxage"]);
            kept_back |= match fields {
                [] => is_one_of(name, &["private", "no-store"]),
                fields => is_one_of(name, &["private", "no-cache"]) && names_the_cookie(fields),
            };
        }
    }
    kept_back || !stored
}

/// The first directive of a line, and what follows. A comma inside of quotes separates nothing.
fn first_directive(line: &[u8]) -> (&[u8], &[u8]) {
    let mut quoted = false;
    let end = line.iter().position(|byte| {
        quoted ^= *byte == b'"';
        *byte == b',' && !quoted
    });
    parts(line, end)
}

/// What stands before a byte, and what behind it.
#[inline(never)]
fn halves(text: &[u8], mark: u8) -> (&[u8], &[u8]) {
    parts(text, text.iter().position(|byte| *byte == mark))
}

fn parts(text: &[u8], at: Option<usize>) -> (&[u8], &[u8]) {
    let (before, behind) = at.and_then(|at| text.split_at_checked(at)).unwrap_or((text, &[]));
    (before, behind.get(1..).unwrap_or_default())
}

#[inline(never)]
fn is_one_of(word: &[u8], names: &[&str]) -> bool {
    let word = word.trim_ascii();
    names.iter().any(|name| word.eq_ignore_ascii_case(name.as_bytes()))
}

/// Whether a list of fields, quoted or not, has `set-cookie`.
fn names_the_cookie(mut fields: &[u8]) -> bool {
    while !fields.is_empty() {
        let (field, behind) = halves(fields, b',');
        let field = field.trim_ascii();
        let field = field.strip_prefix(b"\"").unwrap_or(field);
        if is_one_of(field.strip_suffix(b"\"").unwrap_or(field), &["set-cookie"]) {
            return true;
        }
        fields = behind;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pairs::serialised;

    fn may(status: &str, lines: &[&[u8]]) -> bool {
        let status: (&[u8], &[u8]) = (b":status", status.as_bytes());
        let lines = lines.iter().map(|line| (&b"cache-control"[..], *line));
        let map = serialised(&[&[status, (b"content-type", b"text/html")][..], &lines.collect::<Vec<_>>()].concat());
        may_be_set(&Pairs::new(&map))
    }

    #[test]
    fn a_status_decides_first() {
        for status in ["200", "204", "206", "302", "404", "418", ""] {
            assert!(may(status, &[]), "{status}");
        }
        for status in ["304", "500", "502", "503", "504", "599"] {
            assert!(!may(status, &[]) && !may(status, &[b"private"]), "{status}");
        }
        assert!(may_be_set(&Pairs::default()));
    }

    #[test]
    fn what_others_may_store_carries_no_identity() {
        let own: [&[&[u8]]; 13] = [
            &[b""],
            &[b"max-age=60"],
            &[b"no-cache"],
            &[b"private"],
            &[b"private, max-age=60"],
            &[b"public, no-store"],
            &[b"Public", b"PRIVATE"],
            &[b"public, max-age=60, no-cache=\"Set-Cookie\""],
            &[b"public, private=\"x-user, set-cookie\""],
            &[b"s-maxage=1 , no-cache=set-cookie"],
            &[b"x=\"public\", y=\"a, public, b\""],
            &[b"publicity, s-maxages=1, =public"],
            &[b"\xff\xfe, public\x00"],
        ];
        let others: [&[&[u8]]; 11] = [
            &[b"public"],
            &[b"max-age=60,public"],
            &[b"PUBLIC"],
            &[b"s-maxage=600"],
            &[b"max-age=0, S-MaxAge = 5"],
            &[b"max-age=60", b"public"],
            &[b"public, no-cache"],
            &[b"public, private=\"x-user\""],
            &[b"public, no-cache=\"x-set-cookie\""],
            &[b"x=\"private\", public"],
            &[b"\xff, public, \"private"],
        ];
        for lines in own {
            assert!(may("200", lines), "{lines:?}");
        }
        for lines in others {
            assert!(!may("200", lines), "{lines:?}");
        }
    }
}
