//! The life of the process: its end, its Envoy's end, versions and services that come and go.

use super::*;

/// An upstream that answers only once it is released.
struct Slow {
    address: std::net::SocketAddr,
    release: std::sync::mpsc::Sender<()>,
    asked: std::sync::mpsc::Receiver<()>,
}

fn slow() -> Slow {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (release, released) = std::sync::mpsc::channel();
    let (seen, asked) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        assert!(stream.read(&mut request).unwrap() > 0);
        seen.send(()).unwrap();
        released.recv().unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nslow").unwrap();
    });
    Slow { address, release, asked }
}

pub(crate) fn sigterm_lets_a_request_end_and_takes_no_new_one() {
    let mut standalone = Standalone::start(&["v1"], &spec(&[]), 2).unwrap();
    let Slow { address, release, asked } = slow();
    let text = standalone.manifest(&spec(&[]));
    let (before, after) = text.split_once("\"versions\":{\"v1\":[\"").unwrap();
    let after = after.split_once('"').unwrap().1;
    standalone.replace(&format!("{before}\"versions\":{{\"v1\":[\"{address}\"{after}")).unwrap();
    let listen = standalone.listen;
    let client = std::thread::spawn(move || {
        loop {
            // The change may still be on its way.
            let answer = Connection::open(listen).unwrap().send(&user_request(1, "")).unwrap();
            if answer.body == b"slow" {
                return answer.status;
            }
            assert_eq!(answer.status, 200, "{answer:?}");
        }
    });
    asked.recv_timeout(serin_tests::envoy::CAP).unwrap();
    assert!(std::process::Command::new("kill").arg(standalone.id().to_string()).status().unwrap().success());
    eventually("no new connection is taken", || Connection::open(listen).is_err()).unwrap();
    release.send(()).unwrap();
    assert_eq!(client.join().unwrap(), 200);
    assert!(standalone.wait().unwrap().success());
    assert!(standalone.log().contains("draining"), "{}", standalone.log());
    assert!(!standalone.log().contains("did not end"), "{}", standalone.log());
}

pub(crate) fn an_envoy_that_dies_is_started_again_as_it_was() {
    let standalone = Standalone::start(&["v1", "v2", "v3"], &spec(&[("v2", "10%"), ("v3", "20%")]), 2).unwrap();
    standalone.apply(&spec(&[("v2", "40%"), ("v3", "20%")])).unwrap();
    let users: Vec<usize> = (0..500).collect();
    let before = versions(&standalone, &users);
    let old = standalone.envoy_id().unwrap();
    assert!(std::process::Command::new("kill").args(["-9", &old.to_string()]).status().unwrap().success());
    eventually("another Envoy serves", || {
        standalone.envoy_id().is_ok_and(|id| id != old) && standalone.get("1", &[]).is_ok_and(|answer| answer.status == 200)
    })
    .unwrap();
    assert_eq!(versions(&standalone, &users), before);
    assert!(standalone.log().contains("starting it again"), "{}", standalone.log());
}

pub(crate) fn a_version_comes_and_goes_under_load_without_a_failed_request() {
    let standalone = Standalone::start(&["v1", "v2", "v3"], &spec(&[("v2", "50%"), ("v3", "50%")]), 2).unwrap();
    let with = standalone.manifest(&spec(&[("v2", "50%"), ("v3", "50%")]));
    let without = standalone.manifest(&spec(&[("v2", "50%")]));
    let address = without.split_once("\"v3\":[").unwrap().1.split_once(']').unwrap().0;
    let without = without.replace(&format!(",\"v3\":[{address}]"), "");
    assert!(!without.contains("v3"));
    let (done, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let _done = Done(&done);
        for client in 0..2 {
            let (done, asked, standalone) = (&done, &asked, &standalone);
            scope.spawn(move || {
                let mut connection = Connection::open(standalone.listen).unwrap();
                let mut user = client;
                while !done.load(Ordering::Relaxed) {
                    let version = body(&connection.send(&user_request(user, "")).unwrap());
                    assert_eq!(version == "v2", bucket(user) < 50_000, "{user}: {version}");
                    asked.fetch_add(1, Ordering::Relaxed);
                    user = (user + 2) % 10_000;
                }
            });
        }
        let clusters = || stats(standalone.admin, "cluster_manager.active_clusters").unwrap().values().sum::<u64>();
        for _ in 0..10 {
            standalone.replace(&without).unwrap();
            eventually("the version is gone", || clusters() == 2)
                .unwrap_or_else(|error| panic!("{error}\n{}", standalone.log()));
            standalone.replace(&with).unwrap();
            eventually("the version is back", || clusters() == 3).unwrap();
        }
    });
    assert!(asked.load(Ordering::Relaxed) > 100);
}

/// A server that answers with its version, and 503 to probes while it is not ready.
pub(crate) fn probed(version: &'static str, ready: std::sync::Arc<AtomicBool>) -> std::net::SocketAddr {
    use std::io::{BufRead, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, ready) = (stream.unwrap(), std::sync::Arc::clone(&ready));
            std::thread::spawn(move || {
                let mut lines = std::io::BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
                while let Some(first) = lines.next() {
                    if lines.by_ref().find(|line| line.is_empty()).is_none() {
                        return;
                    }
                    let up = ready.load(Ordering::Relaxed);
                    let status = if first.contains("/healthz") && !up { "503 Service Unavailable" } else { "200 OK" };
                    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{version}", version.len());
                    if stream.write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// A text with the value behind a key replaced.
fn with(text: &str, key: &str, value: &str) -> String {
    let (before, rest) = text.split_once(&format!("\"{key}\":")).unwrap();
    let end = match rest.as_bytes()[0] {
        b'{' => rest.find('}').unwrap() + 1,
        _ => rest.find([',', '}']).unwrap(),
    };
    format!("{before}\"{key}\":{value}{}", rest.get(end..).unwrap())
}

pub(crate) fn all_settings_work_and_a_canary_that_is_not_ready_gets_no_traffic() {
    let (up, down) = (std::sync::Arc::new(AtomicBool::new(true)), std::sync::Arc::new(AtomicBool::new(true)));
    let (v1, v2) = (probed("v1", up), probed("v2", std::sync::Arc::clone(&down)));
    let standalone = Standalone::start(&["v1", "v2"], &spec(&[("v2", "50%")]), 2).unwrap();
    let log = tempfile::NamedTempFile::new().unwrap();
    let settings = format!(
        "{{\"v1\":[\"{v1}\"],\"v2\":[\"{v2}\"]}},\"timeout\":\"5s\",\"connectTimeout\":\"500ms\",\
         \"retries\":{{\"attempts\":2,\"perTryTimeout\":\"2s\",\"on\":\"connect-failure\"}},\
         \"healthCheck\":{{\"path\":\"/healthz\",\"interval\":\"100ms\",\"timeout\":\"2s\",\"unhealthyThreshold\":1,\"healthyThreshold\":1}}"
    );
    let text = with(&standalone.manifest(&spec(&[("v2", "50%")])), "versions", &settings);
    let text = with(&text, "accessLog", &format!("{:?},\"drainTimeout\":\"1s\",\"routingHeader\":\"x-lane\"", log.path()));
    let before = standalone.adopted().unwrap();
    standalone.replace(&text).unwrap();
    let users: Vec<usize> = (0..200).collect();
    let split: Vec<&str> = users.iter().map(|&user| if bucket(user) < 50_000 { "v2" } else { "v1" }).collect();
    eventually("the canary gets its share", || {
        versions(&standalone, &users) == split && !std::fs::read_to_string(log.path()).unwrap().is_empty()
    })
    .unwrap_or_else(|error| panic!("{error}\n{}", standalone.log()));
    standalone.adopts_after(before).unwrap();
    down.store(false, Ordering::Relaxed);
    eventually("stable gets the share of a canary that is not ready", || {
        versions(&standalone, &users).iter().all(|version| version == "v1")
    })
    .unwrap();
    down.store(true, Ordering::Relaxed);
    eventually("the canary is back", || versions(&standalone, &users) == split).unwrap();
    // Each line says which version was chosen, and why; within the change the log named the new header and the document the old one.
    // A round of its own is exact, over so many connections that each worker has some.
    let round = |user: &usize| {
        format!("GET /settled/{user} HTTP/1.1\r\nhost: {HOST}\r\ncookie: user=user-{user}\r\n\r\n").into_bytes()
    };
    standalone.ask(&users, 40, round).unwrap();
    let lines = || -> Vec<Value> {
        // Envoy may be in the middle of the last line.
        let text = std::fs::read_to_string(log.path()).unwrap();
        let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        whole.map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let settled = || -> BTreeMap<String, Vec<Value>> {
        let mut settled: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for line in lines() {
            if let Some(user) = line["path"].as_str().and_then(|path| path.strip_prefix("/settled/")) {
                settled.entry(user.to_owned()).or_default().push(json!([line["status"], line["version"], line["reason"]]));
            }
        }
        settled
    };
    let expected = |(&user, version): (&usize, &&str)| {
        (user.to_string(), vec![json!([200, version, format!("weight(cookie:user,{})", bucket(user))])])
    };
    eventually("the round is logged", || settled().len() == users.len()).unwrap();
    assert_eq!(settled(), users.iter().zip(&split).map(expected).collect());
    for line in lines() {
        assert_eq!(line["status"], 200, "{line}");
    }
    let metrics = Connection::open(standalone.admin).unwrap().get("admin", "/stats/prometheus", &[]).unwrap();
    let metrics = String::from_utf8(metrics.body).unwrap();
    let counted = |line: &str| {
        line.starts_with("serin_decisions_total{")
            && line.contains("release=\"bookinfo/reviews\"")
            && line.contains("version=\"v2\"")
    };
    assert!(metrics.lines().any(counted), "{metrics}");
    assert!(metrics.contains("serin_documents_total{result=\"accepted\"}"), "{metrics}");
}

pub(crate) fn services_are_told_apart_by_host_and_nobody_else_answers() {
    let standalone = Standalone::start(&["v1", "v2"], &spec(&[("v2", "100%")]), 2).unwrap();
    let text = standalone.manifest(&spec(&[("v2", "100%")]));
    let (before, after) = text.split_once("\"services\":[").unwrap();
    let versions = after.split_once("\"versions\":").unwrap().1.split_once('}').unwrap().0;
    let other = format!(
        "{{\"host\":\"other.example.com\",\"port\":80,\"aliases\":[\"*.shop.example.com\"],\"versions\":{versions}}}}}"
    );
    standalone.replace(&format!("{before}\"services\":[{other},{after}")).unwrap();
    let ask = |host: &str| {
        let headers: [(&str, &[u8]); 2] = [("cookie", b"user=ann"), ("x-serin-version", b"v2")];
        let answer = Connection::open(standalone.listen).unwrap().get(host, "/", &headers).unwrap();
        (answer.status, String::from_utf8(answer.body).unwrap())
    };
    eventually("the other service answers", || ask("other.example.com").0 == 200).unwrap();
    for host in [HOST, "reviews", "reviews:9080", &format!("{HOST}:9080").to_uppercase()] {
        assert_eq!(ask(host), (200, "v2".to_owned()), "{host}");
    }
    // It has no release, so its first version answers, whatever a client asks for.
    for host in ["other.example.com", "other.example.com:80", "a.shop.example.com"] {
        assert_eq!(ask(host), (200, "v1".to_owned()), "{host}");
    }
    for host in ["nobody", "example.com", "reviews:80", "shop.example.com"] {
        let (status, body) = ask(host);
        assert_eq!(
            (
                status,
                body.starts_with("no service of this name; there are *.shop.example.com, other.example.com, reviews, ")
            ),
            (404, true),
            "{host}: {body}"
        );
    }
    // It is said once Envoy has taken the change, which requests may see before.
    eventually("the missing release is reported", || standalone.log().contains("has versions v1, v2 and no release"))
        .unwrap();
}
