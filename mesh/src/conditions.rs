//! The conditions of a release: every type and every reason, once.
//!
//! Statuses, events, metrics and `docs/reference/conditions.md` speak of nothing else. A reason is compared as what it is and
//! never as text; one that another version of Serin wrote parses to nothing.

use std::fmt::Write;

use serin_release::api::v1alpha1::StatusCondition;

use Event::{Normal, Quiet, Return, Warning};

/// The type of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConditionType {
    /// The spec may be routed.
    Accepted,
    /// The versions have endpoints.
    Ready,
    /// Routes and filter are as the spec wants them.
    Programmed,
    /// A canary gets everything.
    TakenOver,
    /// A person's word acts instead of the spec.
    Overridden,
    /// Canaries are shown to be no worse than stable.
    Healthy,
    /// Nothing goes on before somebody changes the spec.
    Stalled,
}

/// Whether a release that comes to a reason has an event for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Never.
    Quiet,
    /// When another reason was there before.
    Return,
    /// Always.
    Normal,
    /// Always, as a warning.
    Warning,
}

/// What there is to say of a reason.
struct Facts {
    kind: ConditionType,
    name: &'static str,
    holds: bool,
    event: Event,
    help: &'static str,
}

/// Makes the reasons of a table: type, then reason, name, whether the condition holds, event, meaning.
macro_rules! reasons {
    ($($kind:ident { $($reason:ident $name:literal $holds:literal $event:ident $help:literal)* })*) => {
        /// Why a condition is as it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {
            $($(#[doc = $help] $reason,)*)*
        }

        impl Reason {
            /// All reasons, by their types.
            pub const ALL: &'static [Self] = &[$($(Self::$reason,)*)*];

            const fn facts(self) -> Facts {
                match self {
                    $($(Self::$reason => {
                        Facts { kind: ConditionType::$kind, name: $name, holds: $holds, event: $event, help: $help }
                    })*)*
                }
            }
        }
    };
}

reasons! {
    Accepted {
        Accepted "Accepted" true Return
            "The spec is valid and its hosts are free."
        Invalid "Invalid" false Warning
            "The spec has a mistake. The message names the field and says what to write."
        HostTaken "HostTaken" false Warning
            "Another release has one of the hosts: it routes it already, or it is older and is accepted. Delete one of the two releases."
        OtherNamespace "OtherNamespace" false Warning
            "The host is a Service of another namespace. Create the release in the namespace of the Service."
        ServiceNotFound "ServiceNotFound" false Warning
            "The namespace has neither a Service nor a ServiceEntry for the host. Create one, or correct `spec.service`."
        PortNotFound "PortNotFound" false Warning
            "The Service does not have a port that `spec.ports` lists."
        NotHttp "NotHttp" false Warning
            "The Service does not have a port for HTTP, one that is listed is for something else, or it is of type ExternalName. Name a port `http`, or set its `appProtocol`."
        StableNotFound "StableNotFound" false Warning
            "No ready pod has the label `version` of stable. No route is written, and a running release keeps its last stable version, until there is one. The message says which versions there are."
        ForeignVirtualService "ForeignVirtualService" false Warning
            "A VirtualService that Serin did not create routes one of the hosts, and Istio would use only one of the two. Delete it, or choose another `spec.routing.mode`."
        GatewayNotFound "GatewayNotFound" false Warning
            "There is no Gateway of a name that `spec.routing.gateways` lists."
        HostNotServed "HostNotServed" false Warning
            "None of the Gateways serves the host to routes of the namespace: `servers[].hosts` of a Gateway say so. Let its owner add the host, or correct it."
        HostNotAllowed "HostNotAllowed" false Warning
            "An administrator has listed which hosts each namespace may have at gateways (`--gateway-hosts`), and this one is not among them. Ask for it, or correct the host."
        NameTaken "NameTaken" false Warning
            "An object that Serin did not create has the name that Serin would use. Rename or delete it."
        SubsetTaken "SubsetTaken" false Warning
            "A DestinationRule of the owner's has a subset by the name of a version's that selects other pods, and it is older, so that Istio would use it. Add the label `version` there, or rename the subset."
        StableDeployment "StableDeployment" false Warning
            "A canary with a `workload` is a clone of stable's Deployment, and which one that is cannot be derived. Set `spec.stable.deployment`."
        WorkloadsOff "WorkloadsOff" false Warning
            "A canary has a `workload`, and the administrator runs the controller with `--workloads false`, so that it may not write Deployments. Leave `workload` out and create the canary's Deployment yourself. Clones that exist are left alone."
        DeploymentTaken "DeploymentTaken" false Warning
            "A Deployment that Serin did not create has the name that the clone would get. Leave `workload` out to use it."
    }
    Ready {
        AllReady "AllReady" true Return
            "Every version has a ready endpoint."
        CanaryNotReady "CanaryNotReady" false Warning
            "A canary does not have a ready endpoint. Stable gets its requests until it has one. Then the same people come back to it."
        PodsMissing "PodsMissing" false Normal
            "A canary has fewer ready pods than `minReady` asks for, or, with `replicas: share`, than its weight needs. It gets what they can carry, and more with each pod that becomes ready."
        StableNotReady "StableNotReady" false Warning
            "Stable does not have a ready endpoint. Serin never promotes a canary by itself. Set `spec.takeover` to send everything to one."
        StableRelabelled "StableRelabelled" false Warning
            "Stable does not have a ready endpoint, and pods with a label that the release does not list are ready, as after an upgrade that changes the label. What would go to stable goes to any pod of the Service until `spec.stable.version` names a version that is there."
    }
    Programmed {
        Programmed "Programmed" true Quiet
            "Routes and filter are up to date."
        Pending "Pending" false Quiet
            "A change is on its way to the proxies. This passes by itself within seconds."
        NotDelegated "NotDelegated" false Warning
            "`spec.routing.mode` is `delegate`, and no VirtualService delegates to the release."
        NotRouted "NotRouted" false Warning
            "A VirtualService of somebody else sends requests to the whole Service past the release, or `spec.routing.mode` is `external` and the owner's VirtualService lacks a route for a version."
        WaypointNotAllowed "WaypointNotAllowed" false Warning
            "The Service uses a waypoint of another namespace, and the administrator does not list that namespace in `--waypoint-namespaces`."
        SubsetsHidden "SubsetsHidden" false Warning
            "A DestinationRule of another namespace hides the versions from clients there: Istio looks in a client's own namespace first, at wildcards too. Requests of these clients go to any pod of the Service. Add the subsets to the rule, or move it to the namespace of the Service."
        CallersWithoutProxy "CallersWithoutProxy" false Warning
            "A metric source (`--metrics`) knows of requests in the last hour from callers that have no proxy. They go to any pod of the Service, canaries too, whatever the release says. Give these callers a sidecar, or let them call through a gateway of the mesh."
        ProxiesBehind "ProxiesBehind" false Warning
            "The split is published, and a metric source (`--metrics`) knows of proxies that still do not have it after `--proxy-grace-seconds`. `istioctl proxy-status` shows which ones istiod does not reach. A proxy that refuses the document says so in its log."
        DocumentFull "DocumentFull" false Warning
            "The document that proxies read has no room for this change, so the release keeps its last state. Shorten rules, or delete releases that are done."
        QuotaExceeded "QuotaExceeded" false Warning
            "The releases of the namespace have as much of the document as one namespace may have (`--namespace-quota`), so the release keeps its last state. Shorten rules, delete releases that are done, or ask an administrator for more."
        FilterUnreachable "FilterUnreachable" false Warning
            "The controller does not get the filter at the url from which proxies load it. Proxies that have it keep it. Others send every request to stable. Correct `--serve-url` or `--filter-url`, the Service or a NetworkPolicy."
        DocumentUnreadable "DocumentUnreadable" false Warning
            "The WasmPlugin holds a document that this version of Serin cannot read, and the last good split of a release is nowhere else. Proxies keep it, and nothing is published until each release could be rebuilt. Correct the releases that the message names, or delete the WasmPlugin to go on without their last good splits."
        Overwritten "Overwritten" false Warning
            "Something else changes an object of Serin's again and again. Serin changes it back, less often each time. Take the object out of what that tool applies. The message names both."
        WriteFailed "WriteFailed" false Warning
            "The API server refused a write, or did not answer. Serin tries again by itself. The message has the API server's words."
    }
    TakenOver {
        NoTakeover "NoTakeover" false Return
            "Rules and weights decide."
        TakenOver "TakenOver" true Normal
            "A canary gets every request."
        RolledBack "RolledBack" false Normal
            "Stable gets every request, since `spec.takeover` names it."
        TakeoverNotReady "CanaryNotReady" false Warning
            "The version that shall take over cannot take requests yet. Until it can, rules and weights decide, and stable gets its share."
        TakeoverPending "Pending" false Quiet
            "The takeover is not published yet. The condition `Programmed` says why."
    }
    Overridden {
        NotOverridden "NotOverridden" false Quiet
            "The release has no CanaryControl that acts: its spec does."
        Overridden "Overridden" true Quiet
            "A CanaryControl of the same name acts instead of the spec, until it is taken back (`serin resume`). The message says what it does and what the spec would."
        ControlVoid "Void" false Warning
            "The CanaryControl of the same name speaks of a version that the release does not have, so nothing of its hold acts."
        ControlInvalid "Invalid" false Warning
            "The CanaryControl of the same name cannot be read, so nothing of it acts."
    }
    Healthy {
        Good "Good" true Return
            "Each canary is shown to be no worse than stable in each metric. Steps go on."
        Undecided "Undecided" false Quiet
            "Neither good nor bad is shown yet. Steps wait, and the message says how far it is."
        NoData "NoData" false Warning
            "A canary had no request lately, or the metric source does not answer. Steps wait, and nobody is rolled back for it."
        NoSource "NoSource" false Warning
            "There is no metric source to ask for counts, so that steps wait. Correct `spec.analysis.source`, or ask the administrator for one (`--metrics`)."
        Failing "Failing" false Warning
            "A canary is shown to be worse than stable, or above its limit. It gets nobody any more, unless `spec.analysis.onFail` is `hold`. Another version begins again; `serin resume --retry` tries the same one again."
    }
    Stalled {
        Stalled "Refused" true Quiet
            "The spec is refused, and nothing goes on before it is changed. The condition `Accepted` says why."
    }
}

impl ConditionType {
    /// All types, in the order of a status.
    pub const ALL: [Self; 7] =
        [Self::Accepted, Self::Ready, Self::Programmed, Self::TakenOver, Self::Overridden, Self::Healthy, Self::Stalled];

    /// Its name, as in a status.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "Accepted",
            Self::Ready => "Ready",
            Self::Programmed => "Programmed",
            Self::TakenOver => "TakenOver",
            Self::Overridden => "Overridden",
            Self::Healthy => "Healthy",
            Self::Stalled => "Stalled",
        }
    }

    /// What it answers.
    #[must_use]
    pub const fn help(self) -> &'static str {
        match self {
            Self::Accepted => {
                "Whether the spec is valid and may be routed. While it is `False` the last good split stays in effect."
            }
            Self::Ready => "Whether each version that requests may be sent to has a ready endpoint.",
            Self::Programmed => "Whether routes and filter are as the spec wants them.",
            Self::TakenOver => "Whether one canary gets every request, as `spec.takeover` or a CanaryControl asks.",
            Self::Overridden => "Whether a person's word, in the CanaryControl of the same name, acts instead of the spec.",
            Self::Stalled => {
                "Whether the spec is refused, for tools that read conditions as kstatus does; only where it is."
            }
            Self::Healthy => {
                "Whether canaries are shown to be no worse than stable; only where the release has an analysis. While that is not known it is `Unknown`."
            }
        }
    }

    /// The type of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl Reason {
    /// The type of the condition that it is a reason of.
    #[must_use]
    pub const fn kind(self) -> ConditionType {
        self.facts().kind
    }

    /// Its name, as in a status, an event and a metric; unique within its type.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.facts().name
    }

    /// Whether the condition holds.
    #[must_use]
    pub const fn holds(self) -> bool {
        self.facts().holds
    }

    /// The status of the condition: `True`, `False` or `Unknown`.
    #[must_use]
    pub const fn status(self) -> &'static str {
        match self {
            Self::Undecided | Self::NoData | Self::NoSource => "Unknown",
            known if known.holds() => "True",
            _ => "False",
        }
    }

    /// Whether it has an event.
    #[must_use]
    pub const fn event(self) -> Event {
        self.facts().event
    }

    /// What it means, and what to do.
    #[must_use]
    pub const fn help(self) -> &'static str {
        self.facts().help
    }

    /// The reason of a condition; `None` for one that this version of Serin does not know.
    #[must_use]
    pub fn of(condition: &StatusCondition) -> Option<Self> {
        let mut all = Self::ALL.iter().copied();
        all.find(|reason| reason.kind().name() == condition.kind && reason.name() == condition.reason)
    }

    /// The reason of a type among conditions.
    #[must_use]
    pub fn among(conditions: &[StatusCondition], kind: ConditionType) -> Option<Self> {
        Self::of(conditions.iter().find(|condition| condition.kind == kind.name())?)
    }
}

/// A condition without its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Why it is as it is.
    pub reason: Reason,
    /// Why, and what to do, in a sentence for people.
    pub message: String,
}

impl Condition {
    /// A condition that has this reason.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }

    /// With its time: that of the condition before, unless the status changed.
    #[must_use]
    pub fn at(&self, before: &[StatusCondition], generation: i64, now: &str) -> StatusCondition {
        let (kind, status) = (self.reason.kind().name(), self.reason.status());
        let unchanged = before.iter().find(|condition| condition.kind == kind && condition.status == status);
        StatusCondition {
            kind: kind.to_owned(),
            status: status.to_owned(),
            reason: self.reason.name().to_owned(),
            message: self.message.clone(),
            last_transition_time: unchanged
                .map_or_else(|| now.to_owned(), |condition| condition.last_transition_time.clone()),
            observed_generation: Some(generation),
        }
    }
}

/// The page of the reference: all types and reasons, in Markdown.
#[must_use]
pub fn reference() -> String {
    let mut page = String::from(
        "# Conditions of a CanaryRelease\n\n\
         `kubectl get crel NAME -o yaml` shows them under `status.conditions`. Each has a message that says what to do. A reason marked\n\
         *warning* or *event* also becomes an event when a release comes to it; *event after another* only when it had another reason\n\
         before. This page is generated from the controller.\n",
    );
    for kind in ConditionType::ALL {
        // Writing to a String does not fail.
        let _ = write!(page, "\n## {}\n\n{}\n\n", kind.name(), kind.help());
        page.push_str("| reason | status | event | meaning |\n|---|---|---|---|\n");
        for reason in Reason::ALL.iter().filter(|reason| reason.kind() == kind) {
            let event = match reason.event() {
                Quiet => "",
                Return => "event after another",
                Normal => "event",
                Warning => "warning",
            };
            let _ = writeln!(page, "| `{}` | `{}` | {event} | {} |", reason.name(), reason.status(), reason.help());
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_reason_is_found_by_its_name_and_type() {
        let names: BTreeSet<_> = Reason::ALL.iter().map(|reason| (reason.kind(), reason.name())).collect();
        assert_eq!(names.len(), Reason::ALL.len());
        for reason in Reason::ALL {
            assert_eq!(Reason::of(&Condition::new(*reason, "").at(&[], 1, "now")), Some(*reason));
        }
        let mut unknown = Condition::new(Reason::Pending, "").at(&[], 1, "now");
        unknown.reason = "NotAsked".to_owned();
        assert_eq!(Reason::of(&unknown), None);
    }

    #[test]
    fn each_type_has_one_reason_to_hold() {
        for kind in ConditionType::ALL {
            let holds = Reason::ALL.iter().filter(|reason| reason.kind() == kind && reason.holds()).count();
            assert_eq!(holds, 1, "{kind:?}");
        }
    }

    #[test]
    fn the_time_of_a_condition_is_that_of_its_status() {
        let first = Condition::new(Reason::Pending, "a").at(&[], 1, "first");
        let before = [first];
        let same = Condition::new(Reason::WriteFailed, "b").at(&before, 2, "second");
        assert_eq!((same.last_transition_time.as_str(), same.observed_generation), ("first", Some(2)));
        assert_eq!(Condition::new(Reason::Programmed, "c").at(&before, 2, "second").last_transition_time, "second");
    }

    #[test]
    fn help_is_plain_sentences() {
        for reason in Reason::ALL {
            assert!(reason.help().ends_with('.') && !reason.help().contains("told"), "{}", reason.help());
        }
    }
}
