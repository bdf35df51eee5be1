//! Why a request gets its version.

use serde::Serialize;

use super::word::Fields;
use crate::pasted::Pasted;

/// A request as a form says it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// What a person pasted; empty where the fields below say it.
    pub pasted: String,
    /// `HOST:PORT`; empty for the authority of the request, or the only release.
    pub destination: String,
    /// Its method.
    pub method: String,
    /// Its path and query.
    pub path: String,
    /// Its headers, one on each line.
    pub headers: String,
    /// The address of the client.
    pub source: String,
}

/// What a request gets, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Explained {
    /// The version; empty where no release has the destination.
    pub version: String,
    /// The release.
    pub release: String,
    /// The reason in one line, as logs have it.
    pub reason: String,
    /// The steps of the decision.
    pub steps: Vec<String>,
}

/// The page.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Explain {
    /// The release that it is about, as `NAMESPACE/NAME`; empty for any.
    pub release: String,
    /// What was asked.
    pub asked: Asked,
    /// The answer; `None` where nothing was asked, or it could not be.
    pub answer: Option<Explained>,
    /// Why it could not; empty where it could.
    pub problem: String,
    /// What was pasted may lack.
    pub notes: Vec<String>,
    /// The command that answers the same.
    pub command: String,
}

impl Explain {
    /// The path of the page.
    #[must_use]
    pub fn path(&self, base: &str) -> String {
        match self.release.as_str() {
            "" => format!("{base}/explain"),
            release => format!("{base}/releases/{release}/explain"),
        }
    }
}

impl Asked {
    /// What a form says.
    #[must_use]
    pub fn read(fields: &Fields) -> Self {
        let field = |name: &str| fields.get(name).map(|value| value.trim().to_owned()).unwrap_or_default();
        Self {
            pasted: field("pasted"),
            destination: field("destination"),
            method: field("method"),
            path: field("path"),
            headers: field("headers"),
            source: field("source"),
        }
    }

    /// Whether it asks anything.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self { destination: self.destination.clone(), ..Self::default() }
    }

    /// The request that was pasted, from the client of the form. A destination of the form stays.
    #[must_use]
    pub fn with(&self, pasted: &Pasted) -> Self {
        let headers = pasted.headers.iter().map(|(name, value)| format!("{name}: {value}"));
        let destination = match self.destination.as_str() {
            "" => pasted.url.authority.clone(),
            destination => destination.to_owned(),
        };
        Self {
            pasted: String::new(),
            method: pasted.method.clone(),
            path: pasted.url.target.clone(),
            headers: headers.collect::<Vec<_>>().join("\n"),
            source: self.source.clone(),
            destination,
        }
    }

    /// Its headers, pseudo-headers among them.
    ///
    /// # Errors
    /// A line that is none, in a sentence.
    pub fn all_headers(&self) -> Result<Vec<(String, String)>, String> {
        let pseudo = [(":method", &self.method), (":path", &self.path)];
        let pseudo = pseudo.into_iter().filter(|(_, value)| !value.is_empty());
        let mut all: Vec<_> = pseudo.map(|(name, value)| (name.to_owned(), value.clone())).collect();
        for line in self.headers.lines().map(str::trim).filter(|line| !line.is_empty()) {
            match line.split_once(':') {
                Some((name, value)) if !name.is_empty() => all.push((name.trim().to_owned(), value.trim().to_owned())),
                _ => return Err(format!("`{line}` is not a header; write `NAME: VALUE`, such as `cookie: user=ann`")),
            }
        }
        if !self.path.is_empty() && !self.path.starts_with('/') {
            return Err(format!("a path begins with `/`; write `/{}`", self.path));
        }
        Ok(all)
    }

    /// The arguments of the command that asks the same.
    #[must_use]
    pub fn arguments(&self) -> String {
        let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
        let fields = [
            ("--destination", &self.destination),
            ("--method", &self.method),
            ("--path", &self.path),
            ("--source", &self.source),
        ];
        let fields = fields.into_iter().filter(|(_, value)| !value.is_empty());
        let fields = fields.map(|(name, value)| format!("{name} {}", quoted(value)));
        let headers = self.headers.lines().map(str::trim).filter(|line| !line.is_empty());
        fields.chain(headers.map(|line| format!("--header {}", quoted(line)))).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_a_request_and_a_command() {
        let text = [("path", "/a?b=c"), ("headers", "cookie: user=it's\n\nX-Team: qa "), ("destination", "reviews:9080")];
        let asked = Asked::read(&text.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        let headers = asked.all_headers().unwrap();
        let expected = [(":path", "/a?b=c"), ("cookie", "user=it's"), ("X-Team", "qa")];
        assert_eq!(headers, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(
            asked.arguments(),
            r"--destination 'reviews:9080' --path '/a?b=c' --header 'cookie: user=it'\''s' --header 'X-Team: qa'"
        );
        let problem = |asked: Asked| asked.all_headers().unwrap_err();
        assert_eq!(
            problem(Asked { headers: "nonsense".to_owned(), ..Asked::default() }),
            "`nonsense` is not a header; write `NAME: VALUE`, such as `cookie: user=ann`"
        );
        assert_eq!(problem(Asked { path: "a".to_owned(), ..Asked::default() }), "a path begins with `/`; write `/a`");
    }
}
