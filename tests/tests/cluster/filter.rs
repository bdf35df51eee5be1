//! The filter's way to the proxies.

use std::path::PathBuf;

use serde_json::json;
use serin_controller::cluster::modules::config_map;
use serin_controller::{FILTER, REQUEST_FILTER};
use serin_mesh::digest::digest;
use serin_tests::mesh::{
    CONTROLLER, Client, Controller, agree, all_answered, apply, await_reason, counts, eventually, get, half, kubectl, patch,
    process, release, reviews, running, users,
};

use crate::{Outcome, Tests};

pub(crate) const TESTS: Tests = &[
    ("filter::every_replica_serves_every_filter", every_replica_serves_every_filter),
    ("filter::a_new_version_of_the_filter_takes_over_without_a_gap", a_new_filter),
    ("filter::the_first_cookie_that_is_issued_changes_the_module_once", the_first_cookie),
    ("filter::the_filter_can_come_from_elsewhere", the_filter_from_elsewhere),
    ("filter::no_proxy_is_sent_to_a_filter_that_it_cannot_get", the_filter_out_of_reach),
    ("filter::a_proxy_that_came_meanwhile_gets_the_filter", a_proxy_that_came_meanwhile),
];

fn every_replica_serves_every_filter() -> Outcome {
    let leader = Controller::start("serves-first", CONTROLLER, &[])?;
    eventually("it leads", || Ok(if leader.metric("serin_leader", "")? == 1.0 { Ok(()) } else { Err("not yet".into()) }))?;
    let standby = Controller::start("serves-second", "127.0.0.1:18086", &[])?;
    // What a controller of another version has put there.
    let other = b"\0asm of another version".to_vec();
    let sha = digest(&other);
    let encoded = {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.encode(&other)
    };
    apply(&[
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": config_map(&sha), "namespace": "serin-system",
        "labels": {"serin.dev/filter": "true"}}, "binaryData": {"filter.wasm": encoded}}),
    ])?;
    for own in [FILTER, REQUEST_FILTER] {
        assert_eq!(get("configmap", "serin-system", &config_map(&digest(own)))?["immutable"], true);
    }
    for replica in [&leader, &standby] {
        for own in [FILTER, REQUEST_FILTER] {
            assert_eq!(replica.http(&format!("/filter/{}.wasm", digest(own)))?, (200, own.to_vec()));
        }
        assert_eq!(replica.http(&format!("/filter/{sha}.wasm"))?, (200, other.clone()));
        for path in ["/filter/none.wasm", "/filter/..%2fx.wasm", &format!("/filter/{sha}")] {
            assert_eq!(replica.http(path)?.0, 404, "{path}");
        }
        assert_eq!(replica.http("/readyz")?.0, 200);
    }
    // However many digests are asked for that nobody has, the API server is not asked for each.
    let reads = || -> Result<usize, Box<dyn std::error::Error>> {
        let log = PathBuf::from(std::env::var_os("RUN").ok_or("RUN is not set")?).join("log/audit");
        let of_maps = |line: &&str| line.contains("\"resource\":\"configmaps\"");
        Ok(std::fs::read_to_string(log)?.lines().filter(of_maps).count())
    };
    let before = reads()?;
    let ask = |number: u32| standby.http(&format!("/filter/ffff{number:060}.wasm")).map_or(0, |(status, _)| status);
    let answers: Vec<u16> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..50).map(|number| scope.spawn(move || ask(number))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or(0)).collect()
    });
    assert_eq!(answers, [404; 50]);
    // One list answers all who came before it.
    let after = reads()?;
    assert!(after - before <= 10, "{} requests", after - before);
    assert_eq!(standby.metric("serin_leader", "")?, 0.0);
    kubectl(&["delete", "configmap", "-n", "serin-system", &config_map(&sha)], "")?;
    Ok(())
}

fn a_new_filter() -> Outcome {
    let space = "upgrade";
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    // The earlier version of the filter: other bytes, the same behaviour (a custom section at the end).
    let mut earlier = REQUEST_FILTER.to_vec();
    earlier.extend([0, 8, 7, b'e', b'a', b'r', b'l', b'i', b'e', b'r']);
    let sha = digest(&earlier);
    let encoded = {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.encode(&earlier)
    };
    let kept = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": config_map(&sha),
        "namespace": "serin-system", "labels": {"serin.dev/filter": "true"}}, "binaryData": {"filter.wasm": encoded}});
    // Too large for what `kubectl apply` notes of it.
    kubectl(&["create", "-f", "-"], &kept.to_string())?;
    let url = format!("http://{CONTROLLER}/filter/{sha}.wasm");
    let before = Controller::start("upgrade-before", CONTROLLER, &[])?;
    apply(&[release(space, half())])?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    let mut client = Client::of(space)?;
    agree(space, &mut client)?;
    assert_eq!(before.terminate()?, Some(0));
    patch("wasmplugin", "istio-system", "serin", &json!({"spec": {"url": url, "sha256": sha}}))?;
    let watcher = serin_tests::mesh::Watcher::start(space)?;
    let after = Controller::start("upgrade-after", CONTROLLER, &[])?;
    let own = digest(REQUEST_FILTER);
    eventually("the url is the new one", || {
        let plugin = get("wasmplugin", "istio-system", "serin")?;
        Ok(if plugin["spec"]["sha256"] == own { Ok(()) } else { Err(plugin["spec"]["url"].to_string()) })
    })?;
    assert_eq!(after.http(&format!("/filter/{sha}.wasm"))?, (200, earlier));
    agree(space, &mut client)?;
    watcher.finish()?;
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    Ok(())
}

fn the_first_cookie() -> Outcome {
    let space = "cookies";
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    // Other tests have their own history.
    kubectl(&["delete", "wasmplugin", "-n", "istio-system", "serin", "--ignore-not-found"], "")?;
    // Time enough to change something meanwhile.
    let pace = ["--settle-ms", "3000", "--drain-ms", "600", "--lease-seconds", "3"];
    let controller = Controller::start("cookies", CONTROLLER, &pace)?;
    apply(&[release(space, half())])?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    let mut client = Client::of(space)?;
    agree(space, &mut client)?;
    let module =
        || Ok::<_, Box<dyn std::error::Error>>(get("wasmplugin", "istio-system", "serin")?["spec"]["sha256"].clone());
    assert_eq!((module()?, client.issued()?), (digest(REQUEST_FILTER).into(), None));
    let watcher = serin_tests::mesh::Watcher::start(space)?;
    let issue = json!({"sticky": {"otherwise": {"issueCookie": {"name": "serin"}}}});
    patch("crel", space, "reviews", &json!({"spec": issue}))?;
    eventually("the module is the one for cookies", || {
        Ok(if module()? == digest(FILTER) { Ok(()) } else { Err("not yet".to_owned()) })
    })?;
    // What follows waits until proxies have it, and is said to.
    patch("crel", space, "reviews", &json!({"spec": {"canaries": [{"version": "v2", "weight": "60%"}]}}))?;
    await_reason(space, "reviews", "Programmed", "Pending")?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    agree(space, &mut client)?;
    let cookie = client.issued()?;
    assert!(cookie.as_ref().is_some_and(|cookie| cookie.starts_with("serin=")), "{cookie:?}");
    // One change is enough: the module for any document stays.
    patch("crel", space, "reviews", &json!({"spec": {"sticky": {"otherwise": "stable"}}}))?;
    eventually("no cookie is issued", || {
        Ok(if client.issued()?.is_none() { Ok(()) } else { Err("it still is".to_owned()) })
    })?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    agree(space, &mut client)?;
    assert_eq!(module()?, digest(FILTER));
    watcher.finish()?;
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}

fn the_filter_from_elsewhere() -> Outcome {
    let space = "elsewhere";
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    let file = PathBuf::from(std::env::var_os("RUN").ok_or("RUN is not set")?).join("filter.wasm");
    std::fs::write(&file, FILTER)?;
    let url = format!("file://{}", file.display());
    let controller = Controller::start("elsewhere", CONTROLLER, &["--filter-url", &url])?;
    apply(&[release(space, half())])?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    let plugin = get("wasmplugin", "istio-system", "serin")?["spec"].clone();
    assert_eq!((plugin["url"].as_str(), plugin.get("sha256")), (Some(url.as_str()), None));
    agree(space, &mut Client::of(space)?)?;
    assert_eq!(controller.terminate()?, Some(0));
    // Back to the one that it serves itself.
    let controller = Controller::start("elsewhere", CONTROLLER, &[])?;
    let own = digest(REQUEST_FILTER);
    eventually("the digest is back", || {
        let plugin = get("wasmplugin", "istio-system", "serin")?;
        Ok(if plugin["spec"]["sha256"] == own { Ok(()) } else { Err(plugin["spec"].to_string()) })
    })?;
    agree(space, &mut Client::of(space)?)?;
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}

fn the_filter_out_of_reach() -> Outcome {
    let space = "unreachable";
    let (controller, mut client, shares) = running(space, half())?;
    assert_eq!(controller.terminate()?, Some(0));
    // A version whose filter proxies cannot get: they are not told of it, and keep what they have.
    let before = get("wasmplugin", "istio-system", "serin")?["spec"].clone();
    let controller = Controller::start("unreachable", CONTROLLER, &["--filter-url", "http://127.0.0.1:1/nowhere.wasm"])?;
    patch("crel", space, "reviews", &json!({"spec": {"canaries": [{"version": "v2", "weight": "70%"}]}}))?;
    let message = await_reason(space, "reviews", "Programmed", "FilterUnreachable")?;
    assert!(
        message.starts_with("proxies would not get the filter of this version, http://127.0.0.1:1/nowhere.wasm: "),
        "{message}"
    );
    assert_eq!(controller.metric("serin_filter_reachable", "")?, 0.0);
    assert_eq!(get("wasmplugin", "istio-system", "serin")?["spec"], before);
    let versions = counts(&mut client, &users())?;
    assert_eq!(versions.iter().filter(|version| *version == "v2").count(), shares["v2"]);
    // A rollback acts all the same.
    patch("crel", space, "reviews", &json!({"spec": {"takeover": "v1"}}))?;
    eventually("everybody is on stable", || {
        let versions = counts(&mut client, &users())?;
        let others = versions.iter().filter(|version| *version != "v1").count();
        Ok(if others == 0 { Ok(()) } else { Err(others.to_string()) })
    })?;
    assert_eq!(controller.terminate()?, Some(0));
    let controller = Controller::start("reachable-again", CONTROLLER, &[])?;
    patch("crel", space, "reviews", &json!({"spec": {"takeover": null}}))?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    agree(space, &mut client)?;
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}

fn a_proxy_that_came_meanwhile() -> Outcome {
    let space = "meanwhile";
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    let controller = Controller::start("meanwhile", CONTROLLER, &[])?;
    apply(&[release(space, half())])?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    agree(space, &mut Client::of(space)?)?;
    assert_eq!(controller.terminate()?, Some(0));
    let gone = std::time::Instant::now();
    // A proxy that starts now, with nothing in its cache, does not get the filter.
    let data = PathBuf::from(std::env::var_os("RUN").ok_or("RUN is not set")?).join("client/data");
    for name in ["client", "client-agent"] {
        process("stop", name)?;
    }
    for entry in std::fs::read_dir(&data)? {
        let path = entry?.path();
        if path.is_dir() { std::fs::remove_dir_all(path)? } else { std::fs::remove_file(path)? }
    }
    for name in ["client-agent", "client"] {
        process("start", name)?;
    }
    let requests = users();
    let mut client = Client::of(space)?;
    all_answered(&mut client, &requests)?;
    assert!(counts(&mut client, &requests)?.iter().all(|version| version == "v1"));
    eventually("nobody has led for twice the lease", || {
        Ok(if gone.elapsed().as_secs() > 7 { Ok(()) } else { Err("not yet".to_owned()) })
    })?;
    // Nobody changes anything.
    let controller = Controller::start("meanwhile", CONTROLLER, &[])?;
    agree(space, &mut client)?;
    assert!(controller.log().contains("proxies that came meanwhile ask for the filter again"), "{}", controller.log());
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}
