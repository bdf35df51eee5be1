//! The console of a cluster: what is seen and done there is seen and done with the user's own rights.

use std::net::SocketAddr;

use serde_json::{Value, json};
use serin_tests::http::{Connection, Response};
use serin_tests::mesh::{
    Client, agree, all_answered, await_reason, counts, eventually, get, half, kubeconfig_of, kubectl, running, users,
};
use serin_tests::standalone::Serin;

use crate::control::everybody_gets;
use crate::{Outcome, Tests};

pub(crate) const TESTS: Tests = &[
    ("console::a_release_is_seen_and_led_from_its_page", a_release_is_led),
    ("console::who_may_only_look_is_told_why_each_button_is_off", who_may_only_look),
];

/// A running `serin console`.
struct Console {
    serin: Serin,
    address: SocketAddr,
}

impl Console {
    fn start(arguments: &[&str]) -> Result<Self, Box<dyn std::error::Error>> {
        let serin = Serin::start([&["console", "--listen", "127.0.0.1:0"], arguments].concat(), None)?;
        let address = eventually("the console serves", || {
            let log = serin.log();
            let told = log.lines().find_map(|line| line.split_once("console at http://")).map(|(_, rest)| rest);
            let address = told.and_then(|rest| rest.split('/').next()).and_then(|address| address.parse().ok());
            Ok(address.ok_or(log))
        })?;
        Ok(Self { serin, address })
    }

    fn get(&self, path: &str) -> Result<Response, Box<dyn std::error::Error>> {
        Ok(Connection::open(self.address)?.get("localhost", path, &[])?)
    }

    fn page(&self, path: &str) -> Result<String, Box<dyn std::error::Error>> {
        let response = self.get(path)?;
        match response.status {
            200 => Ok(String::from_utf8(response.body)?),
            status => {
                Err(format!("{path}: {status}: {}\n{}", String::from_utf8_lossy(&response.body), self.serin.log()).into())
            }
        }
    }

    fn twin(&self, release: &str) -> Result<Value, Box<dyn std::error::Error>> {
        Ok(serde_json::from_str(&self.page(&format!("/releases/{release}.json"))?)?)
    }

    fn post(&self, path: &str, fields: &[(&str, &str)]) -> Result<(u16, String), Box<dyn std::error::Error>> {
        let encoded = |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
        let fields = fields.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
        let body = fields.collect::<Vec<_>>().join("&");
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nsec-fetch-site: same-origin\r\ncontent-type: \
             application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let response = Connection::open(self.address)?.send(request.as_bytes())?;
        Ok((response.status, String::from_utf8(response.body)?))
    }
}

fn with_v2(client: &mut Client) -> Result<usize, Box<dyn std::error::Error>> {
    Ok(counts(client, &users())?.into_iter().filter(|version| version == "v2").count())
}

fn a_release_is_led() -> Outcome {
    let space = "console";
    let (controller, mut client, _) = running(space, half())?;
    let release = format!("{space}/reviews");
    let path = format!("/releases/{release}");
    let console = Console::start(&[])?;
    eventually("the release is seen", || {
        Ok(console
            .page("/releases")
            .and_then(|page| match page.contains(&release) {
                true => Ok(()),
                false => Err("not there".into()),
            })
            .map_err(|error| error.to_string()))
    })?;
    let seen = console.twin(&release)?;
    assert_eq!((&seen["phase"], &seen["versions"][1]["intended"]), (&json!("Active"), &json!("50%")), "{seen}");
    // Looked at, then done: exactly those move.
    let fields = [("action", "weight"), ("weight.v2", "60"), ("because", "good")];
    let (status, page) = console.post(&format!("{path}/preview"), &fields)?;
    assert_eq!(status, 200, "{page}");
    assert!(page.contains("<b>10%</b> of people move from v1 to v2"), "{page}");
    let (status, page) = console.post(&format!("{path}/weight"), &fields)?;
    assert_eq!(status, 303, "{page}");
    await_reason(space, "reviews", "Overridden", "Overridden")?;
    let told = agree(space, &mut client)?;
    assert_eq!(with_v2(&mut client)?, told["v2"]);
    assert_eq!(console.twin(&release)?["said"], "admin has set v2=60% (good)");
    // Why, as the proxies have it.
    let (status, page) =
        console.post(&format!("{path}/explain"), &[("path", "/reviews/0"), ("headers", "cookie: user=person-0001")])?;
    assert_eq!(status, 200, "{page}");
    let version = &counts(&mut client, &users()[1..2])?[0];
    assert!(page.contains(&format!("<h2>{version}</h2>")), "{version}: {page}");
    assert_eq!(console.post(&format!("{path}/rollback"), &[("version", "v2")])?.0, 303);
    everybody_gets(&mut client, "v1")?;
    assert_eq!(console.post(&format!("{path}/resume"), &[])?.0, 303);
    agree(space, &mut client)?;
    // What its owner wrote: tried by the API server, and saved unless somebody else was faster.
    let page = console.page(&format!("{path}/edit"))?;
    let text = page.split_once("<textarea name=\"text\"").and_then(|(_, rest)| rest.split_once('>')).map(|(_, rest)| rest);
    let text = text
        .and_then(|rest| rest.split("</textarea>").next())
        .ok_or("no text")?
        .replace("&#34;", "\"")
        .replace("&#39;", "'");
    assert!(text.contains("weight: 50%"), "{text}");
    let wrong = text.replace("weight: 50%", "weight: 150%");
    let (status, page) = console.post(&format!("{path}/edit"), &[("text", &wrong), ("before", &text)])?;
    assert!(status == 422 && page.contains("`150%` is more than 100%"), "{status}: {page}");
    let less = text.replace("weight: 50%", "weight: 20%");
    let (_, page) = console.post(&format!("{path}/edit/preview"), &[("text", &less), ("before", &text)])?;
    assert!(page.contains("<b>30%</b> of people move from v2 to v1"), "{page}");
    assert_eq!(console.post(&format!("{path}/edit"), &[("text", &less), ("before", &text)])?.0, 303);
    assert_eq!(get("crel", space, "reviews")?["spec"]["canaries"][0]["weight"], "20%");
    let (status, page) = console.post(&format!("{path}/edit"), &[("text", &text), ("before", &text)])?;
    assert!(status == 409 && page.contains("Somebody has changed it since you began"), "{status}: {page}");
    agree(space, &mut client)?;
    assert_eq!(console.post(&format!("{path}/delete"), &[("name", "reviews")])?.0, 303);
    eventually("it is gone", || {
        Ok(match console.get(&path)?.status {
            404 => Ok(()),
            status => Err(status.to_string()),
        })
    })?;
    // The Service leads to the pods of both versions again.
    all_answered(&mut client, &users())?;
    drop(controller);
    Ok(())
}

fn who_may_only_look() -> Outcome {
    let space = "looker";
    let (controller, mut client, _) = running(space, half())?;
    for (account, role) in [("looks", "serin-viewer"), ("oncall", "serin-operator")] {
        kubectl(&["create", "serviceaccount", "-n", "serin-system", account], "")?;
        let role = format!("--clusterrole={role}");
        let subject = format!("--serviceaccount=serin-system:{account}");
        kubectl(&["create", "rolebinding", "-n", space, account, &role, &subject], "")?;
    }
    let release = format!("{space}/reviews");
    let path = format!("/releases/{release}");
    let of = |account: &str, arguments: &[&str]| -> Result<Console, Box<dyn std::error::Error>> {
        let kubeconfig = kubeconfig_of(account)?.display().to_string();
        Console::start(&[&["--kubeconfig", &kubeconfig], arguments].concat())
    };
    let sees = |console: &Console| {
        eventually("the release is seen", || Ok(console.twin(&release).map_err(|error| error.to_string())))
    };
    let looks = of("looks", &["-n", space])?;
    let twin = sees(&looks)?;
    assert_eq!(twin["may"]["speak"], format!("you may not update canarycontrols.serin.dev in namespace {space}"), "{twin}");
    let page = looks.page(&path)?;
    assert!(page.contains("<fieldset disabled aria-describedby=\"why\">"), "{page}");
    let (status, page) = looks.post(&format!("{path}/rollback"), &[("version", "v2")])?;
    assert!(status == 403 && page.contains("you may not update canarycontrols.serin.dev"), "{status}: {page}");
    // Who is on call may roll back, and may not change the release.
    let oncall = of("oncall", &["-n", space])?;
    let twin = sees(&oncall)?;
    assert_eq!((&twin["may"]["speak"], twin["may"]["edit"].is_null()), (&Value::Null, false), "{twin}");
    assert_eq!(oncall.post(&format!("{path}/rollback"), &[("version", "v2")])?.0, 303);
    everybody_gets(&mut client, "v1")?;
    let said = oncall.twin(&release)?["said"].clone();
    assert!(
        said.as_str().is_some_and(|said| said.starts_with("system:serviceaccount:serin-system:oncall has rolled")),
        "{said}"
    );
    // Without a right to list everywhere the page says so, and how to see one namespace.
    let everywhere = of("looks", &[])?;
    eventually("the page says so", || {
        let page = everywhere.page("/releases")?;
        Ok(if page.contains("cannot watch CanaryRelease") && page.contains("forbidden") { Ok(()) } else { Err(page) })
    })?;
    kubectl(&["delete", "crel,cctl", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}
