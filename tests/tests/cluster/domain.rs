//! A cluster of another domain, in a mesh of its own: found by the resolver of the pod, and used in every host.

use serde_json::json;
use serin_tests::mesh::{
    CONTROLLER, Client, Controller, agree, apply, await_reason, domain, get, half, patch, release, reviews,
};

use crate::{Outcome, Tests};

pub(crate) const TESTS: Tests = &[("domain::hosts_of_another_domain_are_found_and_routed", another_domain)];

fn another_domain() -> Outcome {
    let space = "elsewhere";
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    let controller = Controller::start("elsewhere", CONTROLLER, &[])?;
    apply(&[release(space, half())])?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    let mut client = Client::of(space)?;
    assert!(agree(space, &mut client)?["v2"] > 400);
    let host = format!("reviews.{space}.svc.{}", domain());
    assert_eq!(get("virtualservice", space, "reviews-serin")?["spec"]["hosts"], json!([host]));
    // The host in full is the Service too, and one of the usual domain is nobody's here.
    patch("crel", space, "reviews", &json!({"spec": {"service": host, "takeover": "v1"}}))?;
    await_reason(space, "reviews", "TakenOver", "RolledBack")?;
    assert_eq!(agree(space, &mut client)?.get("v2"), None);
    patch("crel", space, "reviews", &json!({"spec": {"service": format!("reviews.{space}.svc.cluster.local")}}))?;
    let message = await_reason(space, "reviews", "Accepted", "ServiceNotFound")?;
    assert!(message.contains(&format!("reviews.{space}.svc.cluster.local")), "{message}");
    drop(controller);
    Ok(())
}
