//! What one change costs istiod with many sidecars: a weight in a VirtualService, and the same in Serin's document.

use serde_json::json;
use serin_config::SplitDocument;
use serin_mesh::documents::enveloped;
use serin_tests::mesh::{Controller, process};
use serin_tests::names::{Name, document, names};

use crate::Result;
use crate::api::{Api, network, releases};
use crate::mesh::{weighted, weights};
use crate::push::Pushes;
use crate::sidecars::Sidecars;

const SIDECARS: usize = 60;
const CARRIER: &str = "/apis/extensions.istio.io/v1alpha1/namespaces/istio-system/wasmplugins/serin";
/// The name by which istiod serves what it carries.
const FILTER: &str = "extensions.istio.io/trafficextension/istio-system.serin~istio-translated-wasmplugin";

/// What a change costs.
pub(crate) struct Costs {
    /// A weight in a VirtualService, among as many as there are releases.
    pub(crate) virtual_service: Pushes,
    /// A weight of a release, by the controller.
    pub(crate) serin: Pushes,
    /// The same among 10 000 releases.
    pub(crate) large: Pushes,
}

/// Measures all three; of the controller nothing is left but its objects afterwards, and of these not the routes.
pub(crate) fn costs(api: &mut Api, controller: Controller, names: &[Name]) -> Result<Costs> {
    // Two Envoys among the sidecars would be in the figures.
    for name in ["client", "client-agent", "gateway", "gateway-agent"] {
        process("stop", name)?;
    }
    let one = names.get(names.len() / 2).ok_or("there are no releases")?;
    let serin = Pushes::measure(&filters()?, |round| {
        let path = format!("{}/{}", releases(&one.namespace), one.service);
        let canaries = json!([{"version": "v2", "weight": format!("{}%", 10 + round)}]);
        api.patch(&path, &json!({"spec": {"canaries": canaries}}))
    })?;
    drop(controller);
    crate::progress("the same with 10 000 releases");
    let large = large(api)?;
    crate::progress("the same as a weight in one of 1 000 VirtualServices");
    api.delete(CARRIER)?;
    weights(api, names)?;
    let routes = Sidecars::start(SIDECARS, "route.v3.RouteConfiguration", "9080")?;
    let virtual_service = Pushes::measure(&routes, |round| {
        let path = format!("{}/{}", network(&one.namespace, "virtualservices"), one.service);
        api.patch(&path, &weighted(one, 10 + round))
    })?;
    Ok(Costs { virtual_service, serin, large })
}

fn filters() -> Result<Sidecars> {
    Sidecars::start(SIDECARS, "core.v3.TypedExtensionConfig", FILTER)
}

/// 10 000 releases are more than this machine runs; their document is packed as the controller would.
fn large(api: &mut Api) -> Result<Pushes> {
    let names = names(200, 50);
    let texts = (0..2).map(|buckets| {
        let document = document(&names, names.len() / 2, 50_000 + buckets);
        Ok(SplitDocument::parse(document.to_string().as_bytes())?.to_text())
    });
    let texts: Vec<String> = texts.collect::<Result<_>>()?;
    let mut put = |round: usize| {
        let text = texts.get(round % 2).ok_or("there are two documents")?;
        api.patch(CARRIER, &json!({"spec": {"pluginConfig": enveloped(text, None)}}))
    };
    put(1)?;
    Pushes::measure(&filters()?, put)
}
