//! Who may do what: the admission policy, the roles for users, a controller without rights to Deployments, and metrics.

use serde_json::{Value, json};
use serin_controller::cluster::rbac;
use serin_tests::mesh::{
    CONTROLLER, Client, Controller, agree, apply, await_reason, counts, eventually, get, kubeconfig_of, kubectl, patch,
    release, reviews, token, users,
};

use crate::{Outcome, Tests};

pub(crate) const TESTS: Tests = &[
    ("rights::who_sets_workload_hosts_or_mirrors_has_the_rights_that_these_stand_for", the_policy),
    ("rights::the_roles_of_kubernetes_include_releases", the_roles_of_users),
    ("rights::without_workloads_the_controller_needs_no_right_to_deployments", without_workloads),
    ("rights::metrics_are_shown_to_who_may_read_them", metrics),
];

const METRICS: &str = "127.0.0.1:18087";

fn role(kind: &str, namespace: Option<&str>, name: &str, rules: Vec<Value>) -> Value {
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": {"name": name, "namespace": namespace}, "rules": rules})
}

/// A binding of a role to a user, or to an account of `serin-system`.
fn binding(namespace: Option<&str>, role: (&str, &str), subject: &Value) -> Value {
    let kind = if namespace.is_some() { "RoleBinding" } else { "ClusterRoleBinding" };
    let name = format!("{}-{}", role.1, subject["name"].as_str().unwrap_or_default());
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": {"name": name, "namespace": namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role.0, "name": role.1}, "subjects": [subject]})
}

fn user(name: &str) -> Value {
    json!({"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": name})
}

fn account(name: &str) -> Value {
    json!({"kind": "ServiceAccount", "name": name, "namespace": "serin-system"})
}

/// What the API server says to a user who writes this spec; `None` where it takes it.
fn refused(space: &str, user: &str, spec: &Value) -> Option<String> {
    let whole = release(space, spec.clone()).to_string();
    kubectl(&["apply", "-f", "-", "--as", user], &whole).err().map(|error| error.to_string())
}

const PODS: &str = "`workload` runs pods, as a clone of another Deployment, and NAME may not create deployments.apps in namespace granted; \
                    leave `workload` and what it clones as they were, or ask who grants roles in this namespace for that right";
const ROUTES: &str = "hosts, gateways and mirrors act as a VirtualService does, and NAME may not create \
                      virtualservices.networking.istio.io in namespace granted; leave them as they were, or ask who grants roles in this \
                      namespace for that right";

/// Users of the namespace `granted`: releases alone, with Deployments, with VirtualServices, with both.
fn people(space: &str) -> Outcome {
    let may = |name: &str, group: &str, resource: &str| {
        role("Role", Some(space), name, vec![json!({"apiGroups": [group], "resources": [resource], "verbs": ["create"]})])
    };
    let role = |name: &str, user_name: &str| binding(Some(space), ("Role", name), &user(user_name));
    let mut objects = vec![may("runs", "apps", "deployments"), may("routes", "networking.istio.io", "virtualservices")];
    objects.extend([role("runs", "runner"), role("runs", "both"), role("routes", "router"), role("routes", "both")]);
    objects.extend(
        ["tenant", "runner", "router", "both"].map(|name| binding(Some(space), ("ClusterRole", "serin-edit"), &user(name))),
    );
    apply(&objects)
}

fn the_policy() -> Outcome {
    let space = "granted";
    kubectl(&["create", "namespace", space], "")?;
    people(space)?;
    let canaries =
        |weight: &str, image: &str| json!([{"version": "v2", "weight": weight, "workload": {"images": {"reviews": image}}}]);
    let plain = json!({"canaries": [{"version": "v2", "weight": "1%"}]});
    let clone = json!({"canaries": canaries("1%", "reviews:2")});
    let routed = |routing: Value| json!({"canaries": [{"version": "v2", "weight": "1%"}], "routing": routing});
    let mirror = routed(json!({"http": {"timeout": "5s", "mirror": {"host": "ratings"}}}));
    let mirrors = routed(json!({"http": {"mirrors": [{"destination": {"host": "ratings"}}]}}));
    let hosts = routed(json!({"gateways": ["front"], "hosts": ["a.example.com"]}));
    // A policy acts some time after it was made.
    eventually("the policy acts", || {
        let answer = refused(space, "tenant", &clone).unwrap_or_default();
        Ok(if answer.contains("ValidatingAdmissionPolicy") { Ok(()) } else { Err(answer) })
    })?;
    kubectl(&["delete", "crel", "-n", space, "--all"], "")?;

    let says = |answer: Option<String>, user: &str, sentence: &str| {
        let answer = answer.unwrap_or_default();
        assert!(answer.contains(&sentence.replace("NAME", user)), "{user}: {answer}");
        assert!(answer.contains("forbidden"), "{user}: {answer}");
    };
    // Who may create what.
    for (spec, sentence, allowed) in [
        (&plain, "", ["tenant", "runner", "router", "both"].as_slice()),
        (&clone, PODS, &["runner", "both"]),
        (&mirror, ROUTES, &["router", "both"]),
        (&mirrors, ROUTES, &["router", "both"]),
        (&hosts, ROUTES, &["router", "both"]),
        (&json!({"service": "api.example.com"}), ROUTES, &["router", "both"]),
        (&json!({"service": "reviews.granted.svc.cluster.local"}), "", &["tenant", "runner", "router", "both"]),
    ] {
        for user in ["tenant", "runner", "router", "both"] {
            match allowed.contains(&user) {
                true => assert_eq!(refused(space, user, spec), None, "{user}: {spec}"),
                false => says(refused(space, user, spec), user, sentence),
            }
            kubectl(&["delete", "crel", "-n", space, "--all"], "")?;
        }
    }
    changes(space)?;
    a_deletion_is_told_what_it_does(space)?;
    // Another namespace is another matter.
    kubectl(&["create", "namespace", "ungranted"], "")?;
    apply(&[binding(Some("ungranted"), ("ClusterRole", "serin-edit"), &user("both"))])?;
    let answer = refused("ungranted", "both", &clone).unwrap_or_default();
    assert!(answer.contains("both may not create deployments.apps in namespace ungranted"), "{answer}");
    Ok(())
}

/// Who deletes a release whose canary has everything is warned; any other one is not.
fn a_deletion_is_told_what_it_does(space: &str) -> Outcome {
    let warning = "everybody goes from v2 back to stable v1, and pods that Serin made for v2 go; to keep it, make it stable first: set \
                   spec.stable.version to v2, and leave out takeover and its canary";
    for (takeover, warned) in [(json!("v2"), true), (json!("v1"), false), (Value::Null, false)] {
        let mut spec = json!({"canaries": [{"version": "v2", "weight": "1%"}]});
        if !takeover.is_null() {
            spec["takeover"] = takeover.clone();
        }
        apply(&[release(space, spec)])?;
        let program = std::env::var_os("KUBECTL").ok_or("KUBECTL is not set")?;
        let output = std::process::Command::new(program).args(["delete", "crel", "-n", space, "reviews"]).output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        assert_eq!(said.contains(warning), warned, "{takeover}: {said}");
    }
    Ok(())
}

/// A change of a spec.
type Change = fn(&mut Value);

/// What a tenant may change of a release that somebody else has made with all of it.
fn changes(space: &str) -> Outcome {
    let workload = json!({"images": {"reviews": "reviews:2"}});
    let routing = json!({"gateways": ["front"], "hosts": ["a.example.com", "b.example.com"],
        "http": {"timeout": "5s", "mirror": {"host": "ratings"}}});
    let whole = |change: Change| {
        let canaries = json!([{"version": "v2", "weight": "1%", "workload": workload}, {"version": "v3"}]);
        let mut spec = json!({"canaries": canaries, "routing": routing});
        change(&mut spec);
        spec
    };
    assert_eq!(refused(space, "both", &whole(|_| ())), None);
    kubectl(&["annotate", "crel", "-n", space, "reviews", "note=1", "--as", "tenant"], "")?;
    let free: [(&str, Change); 6] = [
        ("weight", |spec| spec["canaries"][0]["weight"] = json!("50%")),
        ("rollback", |spec| spec["takeover"] = json!("v1")),
        ("rules", |spec| spec["rules"] = json!([{"name": "r", "when": [{"path": {"exact": "/"}}], "version": "v3"}])),
        ("order", |spec| spec["canaries"].as_array_mut().into_iter().for_each(|canaries| canaries.reverse())),
        ("timeout", |spec| spec["routing"]["http"]["timeout"] = json!("6s")),
        ("a host less", |spec| spec["routing"]["hosts"] = json!(["a.example.com"])),
    ];
    for (what, change) in free {
        assert_eq!(refused(space, "tenant", &whole(change)), None, "{what}");
        assert_eq!(refused(space, "both", &whole(|_| ())), None, "{what}");
    }
    let asked: [(&str, &str, Change); 10] = [
        ("image", "deployments.apps", |spec| spec["canaries"][0]["workload"]["images"]["reviews"] = json!("shell:1")),
        ("replicas", "deployments.apps", |spec| spec["canaries"][0]["workload"]["replicas"] = json!(9)),
        ("another canary", "deployments.apps", |spec| {
            spec["canaries"][1]["workload"] = json!({"images": {"reviews": "r:3"}})
        }),
        ("another version", "deployments.apps", |spec| spec["canaries"][0]["version"] = json!("v4")),
        ("what is cloned", "deployments.apps", |spec| spec["stable"] = json!({"version": "v1", "deployment": "powerful"})),
        ("host", "virtualservices", |spec| spec["routing"]["hosts"] = json!(["a.example.com", "c.example.com"])),
        ("service", "virtualservices", |spec| {
            spec["service"] = json!("api.example.com");
            spec["canaries"] = json!([{"version": "v2", "weight": "1%"}]);
        }),
        ("gateway", "virtualservices", |spec| spec["routing"]["gateways"] = json!(["front", "istio-system/public"])),
        ("mirror", "virtualservices", |spec| spec["routing"]["http"]["mirror"]["host"] = json!("evil.example.com")),
        ("more mirrors", "virtualservices", |spec| {
            spec["routing"]["http"]["mirrors"] = json!([{"destination": {"host": "x"}}])
        }),
    ];
    for (what, right, change) in asked {
        let answer = refused(space, "tenant", &whole(change)).unwrap_or_default();
        assert!(answer.contains(&format!("tenant may not create {right}")), "{what}: {answer}");
        assert_eq!(refused(space, "both", &whole(change)), None, "{what}");
        assert_eq!(refused(space, "both", &whole(|_| ())), None, "{what}");
    }
    // To give up what one could not have got needs nothing.
    let left = release(space, json!({"canaries": [{"version": "v2"}]})).to_string();
    kubectl(&["replace", "-f", "-", "--as", "tenant"], &left)?;
    kubectl(&["delete", "crel", "-n", space, "reviews", "--as", "tenant"], "").map(|_| ())
}

fn the_roles_of_users() -> Outcome {
    let space = "roles";
    kubectl(&["create", "namespace", space], "")?;
    let roles = ["view", "edit", "admin"];
    apply(&roles.map(|role| binding(Some(space), ("ClusterRole", role), &user(role))))?;
    let can = |user: &str, verb: &str, resource: &str| {
        kubectl(&["auth", "can-i", verb, resource, "-n", space, "--as", user], "").is_ok()
    };
    eventually("the roles are aggregated", || {
        Ok(if can("view", "list", "canaryreleases.serin.dev") { Ok(()) } else { Err("not yet".to_owned()) })
    })?;
    for (user, verb, expected) in [
        ("view", "get", true),
        ("view", "watch", true),
        ("view", "patch", false),
        ("edit", "create", true),
        ("edit", "patch", true),
        ("edit", "delete", true),
        ("admin", "update", true),
    ] {
        assert_eq!(can(user, verb, "canaryreleases.serin.dev"), expected, "{user} {verb}");
    }
    // The status is the controller's.
    let of_status =
        ["auth", "can-i", "patch", "canaryreleases.serin.dev", "--subresource=status", "-n", space, "--as", "admin"];
    assert!(kubectl(&of_status, "").is_err());
    Ok(())
}

/// The account `serin-narrow`, with the rights of a controller that writes no Deployments.
fn narrow() -> Outcome {
    let name = "serin-narrow";
    let service_account =
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": "serin-system"}});
    let role: Value = serde_saphyr::from_str(&rbac::without_workloads())?;
    let rules = role["rules"].as_array().cloned().unwrap_or_default();
    apply(&[
        service_account,
        self::role("ClusterRole", None, name, rules),
        binding(None, ("ClusterRole", name), &account(name)),
        binding(Some("serin-system"), ("Role", "serin"), &account(name)),
    ])?;
    let can = kubectl(
        &["auth", "can-i", "create", "deployments.apps", "--as", "system:serviceaccount:serin-system:serin-narrow"],
        "",
    );
    assert!(can.is_err(), "it must not have the right that it shall do without");
    Ok(())
}

fn without_workloads() -> Outcome {
    let space = "narrow";
    reviews(space, &[("v1", 1)])?;
    narrow()?;
    let canaries =
        |weight: &str, image: &str| json!([{"version": "v2", "weight": weight, "workload": {"images": {"reviews": image}}}]);
    let image = "examples-bookinfo-reviews-v2:1.16.2";
    let sticky = json!({"by": [{"cookie": "user"}]});
    let controller = Controller::start("workloads-on", CONTROLLER, &[])?;
    let mut client = Client::of(space)?;
    apply(&[release(space, json!({"canaries": canaries("50%", image), "sticky": sticky}))])?;
    await_reason(space, "reviews", "Ready", "AllReady")?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    agree(space, &mut client)?;
    let before = counts(&mut client, &users())?;
    let clone = get("deployment", space, "reviews-v2")?;
    assert_eq!(controller.terminate()?, Some(0));

    let more = ["--workloads", "false"];
    let controller = Controller::start_as("workloads-off", CONTROLLER, &kubeconfig_of("serin-narrow")?, &more)?;
    patch("crel", space, "reviews", &json!({"spec": {"canaries": canaries("90%", "other:2")}}))?;
    let message = await_reason(space, "reviews", "Accepted", "WorkloadsOff")?;
    assert!(message.starts_with("spec.canaries[0].workload: "), "{message}");
    assert_eq!(counts(&mut client, &users())?, before, "the last good split stays");
    // A rollback asks for nothing.
    patch("crel", space, "reviews", &json!({"spec": {"takeover": "v1"}}))?;
    eventually("everybody is on stable", || {
        let seen = counts(&mut client, &users())?;
        Ok(if seen.iter().all(|version| version == "v1") { Ok(()) } else { Err("not yet".to_owned()) })
    })?;
    // Without its workload the release is like one whose pods somebody else runs.
    patch("crel", space, "reviews", &json!({"spec": {"takeover": null, "canaries": [{"version": "v2", "weight": "50%"}]}}))?;
    await_reason(space, "reviews", "Accepted", "Accepted")?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    agree(space, &mut client)?;
    // Nor is it deleted with its version, or with the release.
    patch("crel", space, "reviews", &json!({"spec": {"canaries": null}}))?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    let left = get("deployment", space, "reviews-v2")?;
    assert_eq!((&left["metadata"]["uid"], &left["spec"]), (&clone["metadata"]["uid"], &clone["spec"]));
    assert_eq!(controller.metric("serin_writes_total", "kind=\"Deployment\"")?, 0.0);
    assert!(!controller.log().contains("is forbidden"), "{}", controller.log());
    kubectl(&["delete", "deployment", "-n", space, "reviews-v2"], "")?;
    drop(controller);
    Ok(())
}

fn metrics() -> Outcome {
    let accounts = ["scraper", "stranger"].map(|name| {
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": "serin-system"}})
    });
    apply(&accounts)?;
    apply(&[binding(None, ("ClusterRole", "serin-metrics-reader"), &account("scraper"))])?;
    let controller = Controller::start("metrics-auth", CONTROLLER, &["--metrics-listen", METRICS])?;
    assert_eq!(controller.http("/metrics")?.0, 404);
    assert_eq!(Controller::scrape(METRICS, "/healthz", None)?, (200, "ok\n".to_owned()));
    let with = |authorization: Option<&str>| Controller::scrape(METRICS, "/metrics", authorization);
    let bearer = |account: &str| token(account).map(|token| format!("Bearer {token}"));

    let sentence = "metrics need a token; send `Authorization: Bearer TOKEN` of an account that has the ClusterRole serin-metrics-reader\n";
    assert_eq!(with(None)?, (401, sentence.to_owned()));
    assert_eq!(with(Some("Basic c2VyaW46c2VyaW4="))?, (401, sentence.to_owned()));
    let sentence = "the API server does not know this token; send one that is valid\n";
    assert_eq!(with(Some("Bearer nonsense"))?, (401, sentence.to_owned()));
    let sentence = "the account of this token may not get /metrics; bind it to the ClusterRole serin-metrics-reader\n";
    assert_eq!(with(Some(&bearer("stranger")?))?, (403, sentence.to_owned()));
    let scraper = bearer("scraper")?;
    let (status, text) = with(Some(&scraper))?;
    assert_eq!((status, text.contains("serin_leader ")), (200, true), "{text}");
    // An answer is used again, and the API server is asked only where there is a token.
    let asked = reviews_asked()?;
    for authorization in [None, Some(scraper.as_str()), Some("Bearer nonsense"), Some("Basic x")].repeat(5) {
        with(authorization)?;
    }
    assert_eq!(reviews_asked()?, asked);
    with(Some("Bearer other"))?;
    assert_eq!(reviews_asked()?, asked + 1);
    assert_eq!(controller.terminate()?, Some(0));

    let open = Controller::start("metrics-open", CONTROLLER, &["--metrics-listen", METRICS, "--metrics-auth", "false"])?;
    assert_eq!((open.http("/metrics")?.0, with(None)?.0), (404, 200));
    assert_eq!(open.terminate()?, Some(0));
    let usual = Controller::start("metrics-usual", CONTROLLER, &[])?;
    assert_eq!(usual.http("/metrics")?.0, 200);
    drop(usual);
    Ok(())
}

/// How often the API server was asked whose a token is, by its audit log.
fn reviews_asked() -> Result<usize, Box<dyn std::error::Error>> {
    let log = std::path::PathBuf::from(std::env::var_os("RUN").ok_or("RUN is not set")?).join("log/audit");
    let text = std::fs::read_to_string(log)?;
    Ok(text.lines().filter(|line| line.contains("\"resource\":\"tokenreviews\"")).count())
}
