//! The options of `serin create`, and the spec that they come to. Pure.

use clap::Args;
use serde_json::{Map, Value, json};
use serin_config::Weight;
use serin_release::lifecycle::span::Span;

/// What a release shall be like.
#[derive(Args, Debug)]
pub(super) struct Options {
    /// Name of the release [default: that of the Service].
    #[arg(long)]
    pub(super) name: Option<String>,
    /// Stable's version [default: that of the Service's pods].
    #[arg(long, value_name = "VERSION")]
    pub(super) stable: Option<String>,
    /// The canary's version, the label of its pods [default: the tag of the image].
    #[arg(long)]
    pub(super) version: Option<String>,
    /// An image that the canary runs instead, by its container: Serin runs the pods then. Repeat the option for more containers.
    #[arg(long, value_name = "CONTAINER=IMAGE", value_parser = pair)]
    image: Vec<(String, String)>,
    /// Number of the canary's pods that Serin runs.
    #[arg(long, value_name = "N", requires = "image")]
    replicas: Option<u32>,
    /// The canary's share [default: 0%].
    #[arg(long, conflicts_with = "steps")]
    weight: Option<Weight>,
    /// What recognises a user, as cookie:NAME, header:NAME or query:NAME. Repeat the option for what counts where the one before is missing.
    #[arg(long, value_name = "KIND:NAME", value_parser = key)]
    by: Vec<(String, String)>,
    /// Requests with this header go to the canary.
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    header: Vec<(String, String)>,
    /// Requests with this cookie go to the canary.
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    cookie: Vec<(String, String)>,
    /// Requests below this path go to the canary.
    #[arg(long, value_name = "PATH")]
    path: Vec<String>,
    /// Weights of steps, such as `1%,5%,25%,100%`.
    #[arg(long, value_delimiter = ',', value_name = "WEIGHTS")]
    steps: Vec<Weight>,
    /// How long each step but the last stays.
    #[arg(long, value_name = "TIME", requires = "steps")]
    hold: Option<Span>,
    /// The last step waits for a person.
    #[arg(long, requires = "steps")]
    approve_last: bool,
    /// Compare failures with stable: a bad canary is rolled back, and steps wait until it is shown to be good.
    #[arg(long)]
    analysis: bool,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let found = text.split_once('=').filter(|(name, value)| !name.is_empty() && !value.is_empty());
    let (name, value) = found.ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn key(text: &str) -> Result<(String, String), String> {
    let found = text.split_once(':').filter(|(_, name)| !name.is_empty());
    match found {
        Some((kind @ ("cookie" | "header" | "query"), name)) => Ok((kind.to_owned(), name.to_owned())),
        _ => Err("write cookie:NAME, header:NAME or query:NAME".to_owned()),
    }
}

/// The tag of an image, behind the last colon of its last part.
fn tag(image: &str) -> Option<&str> {
    let last = image.rsplit('/').next()?;
    let (_, tag) = last.split('@').next()?.split_once(':')?;
    Some(tag)
}

impl Options {
    /// The spec of a release of this Service.
    pub(super) fn spec(&self, service: &str, stable: &str) -> Result<Value, String> {
        let from_tag = || self.image.first().and_then(|(_, image)| tag(image)).map(str::to_owned);
        let version = self.version.clone().or_else(from_tag);
        let version = version.ok_or("say the canary's version with --version, or an image with a tag")?;
        let mut canary = Map::from_iter([("version".to_owned(), json!(version))]);
        if let Some(weight) = self.weight {
            canary.insert("weight".to_owned(), json!(weight));
        }
        if !self.image.is_empty() {
            let images: Map<String, Value> =
                self.image.iter().map(|(container, image)| (container.clone(), json!(image))).collect();
            let mut workload = json!({ "images": images });
            if let (Some(replicas), Some(fields)) = (self.replicas, workload.as_object_mut()) {
                fields.insert("replicas".to_owned(), json!(replicas));
            }
            canary.insert("workload".to_owned(), workload);
        }
        let mut spec = Map::from_iter([
            ("service".to_owned(), json!(service)),
            ("stable".to_owned(), json!({ "version": stable })),
            ("canaries".to_owned(), json!([canary])),
        ]);
        if !self.by.is_empty() {
            let by: Vec<Value> = self.by.iter().map(|(kind, name)| json!({ kind.as_str(): name })).collect();
            spec.insert("sticky".to_owned(), json!({ "by": by }));
        }
        let rules = self.rules(&version);
        if !rules.is_empty() {
            spec.insert("rules".to_owned(), json!(rules));
        }
        if !self.steps.is_empty() {
            spec.insert("steps".to_owned(), json!(self.steps_of()));
        }
        if self.analysis {
            spec.insert("analysis".to_owned(), json!({"metrics": [{"failures": {}}]}));
        }
        Ok(Value::Object(spec))
    }

    /// A rule for each thing that sends a request to the canary.
    fn rules(&self, version: &str) -> Vec<Value> {
        let headers = self.header.iter().map(|(name, value)| json!({"header": {"name": name, "exact": value}}));
        let cookies = self.cookie.iter().map(|(name, value)| json!({"cookie": {"name": name, "exact": value}}));
        let paths = self.path.iter().map(|path| json!({"path": {"pathPrefix": path}}));
        let all = headers.chain(cookies).chain(paths);
        let rule = |(number, condition): (usize, Value)| json!({"name": format!("rule-{number}"), "when": [condition], "version": version});
        (1..).zip(all).map(rule).collect()
    }

    /// Each step but the last holds; a step waits for a person before the next one, so that the last but one asks.
    fn steps_of(&self) -> Vec<Value> {
        let last = self.steps.len().saturating_sub(1);
        let step = |(index, weight): (usize, &Weight)| {
            let mut step = Map::from_iter([("weight".to_owned(), json!(weight))]);
            if let Some(hold) = self.hold.filter(|_| index < last) {
                step.insert("hold".to_owned(), json!(hold));
            }
            if self.approve_last && index + 1 == last {
                step.insert("approve".to_owned(), json!(true));
            }
            Value::Object(step)
        };
        self.steps.iter().enumerate().map(step).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn spec(arguments: &[&str]) -> Result<Value, String> {
        let line = Line::try_parse_from([&["serin"], arguments].concat()).unwrap();
        line.options.spec("reviews", "v1")
    }

    #[test]
    fn options_come_to_a_spec() {
        let image = "reviews=registry.example:5000/reviews:2.0";
        let arguments = [
            "--image",
            image,
            "--weight",
            "5%",
            "--by",
            "cookie:user",
            "--by",
            "header:x-id",
            "--header",
            "x-team=qa",
            "--path",
            "/x",
        ];
        assert_eq!(
            spec(&arguments).unwrap(),
            json!({
                "service": "reviews", "stable": {"version": "v1"},
                "canaries": [{"version": "2.0", "weight": "5%", "workload": {"images": {"reviews": "registry.example:5000/reviews:2.0"}}}],
                "sticky": {"by": [{"cookie": "user"}, {"header": "x-id"}]},
                "rules": [
                    {"name": "rule-1", "when": [{"header": {"name": "x-team", "exact": "qa"}}], "version": "2.0"},
                    {"name": "rule-2", "when": [{"path": {"pathPrefix": "/x"}}], "version": "2.0"},
                ],
            })
        );
        let stepped =
            spec(&["--version", "v2", "--steps", "1%,25%,100%", "--hold", "30m", "--approve-last", "--analysis"]).unwrap();
        let steps =
            json!([{"weight": "1%", "hold": "30m"}, {"weight": "25%", "hold": "30m", "approve": true}, {"weight": "100%"}]);
        assert_eq!(stepped["steps"], steps);
        assert_eq!(stepped["analysis"], json!({"metrics": [{"failures": {}}]}));
    }

    #[test]
    fn the_version_is_said_or_the_tag_of_the_image() {
        assert_eq!(tag("registry.example:5000/a/b:2.0@sha256:1"), Some("2.0"));
        assert_eq!(tag("registry.example:5000/a/b"), None);
        let image = "reviews=registry.example:5000/reviews";
        assert_eq!(
            spec(&["--image", image]).unwrap_err(),
            "say the canary's version with --version, or an image with a tag"
        );
        assert_eq!(spec(&[]).unwrap_err(), "say the canary's version with --version, or an image with a tag");
    }
}
