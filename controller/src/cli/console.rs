//! `serin console`: pages about the releases of a cluster.

use std::net::SocketAddr;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::Failure;
use super::cluster::Place;
use crate::console::Settings;
use crate::console::cluster::Cluster;
use crate::console::{base_path, serve};

const EXAMPLES: &str = "\
Examples:
  serin console
  serin console --context production --read-only";

/// Serve pages about the releases of a cluster. What you see and do there, you see and do with the rights of your kubeconfig.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Console {
    #[command(flatten)]
    place: Place,
    /// Address to listen on.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9900")]
    listen: SocketAddr,
    /// Name by which browsers may ask for it, beside `localhost` and the addresses of this machine. Repeat the option for more.
    #[arg(long, value_name = "NAME")]
    host: Vec<String>,
    /// Path under which it is, such as `/serin`, where a proxy in front of it leads there.
    #[arg(long, value_name = "PATH", value_parser = base_path)]
    base_path: Option<String>,
    /// Only show: nothing is changed.
    #[arg(long)]
    read_only: bool,
    /// Root namespace of the mesh.
    #[arg(long, env = "SERIN_ROOT_NAMESPACE", default_value = "istio-system", value_name = "NAMESPACE")]
    root_namespace: String,
}

impl Console {
    pub(super) fn run(self) -> Result<(), Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(|error| Failure::running("cannot start", error))?;
        let Self { place, listen, host, base_path, read_only, root_namespace } = self;
        let settings = Settings { listen, hosts: host, base: base_path.unwrap_or_default(), read_only };
        let ended = runtime.block_on(async {
            let home = Cluster::watch(place, root_namespace).await?;
            serve(home, settings).await?;
            let receive = |kind| signal(kind).map_err(|error| Failure::running("signals cannot be received", error));
            let (mut terminate, mut interrupt) = (receive(SignalKind::terminate())?, receive(SignalKind::interrupt())?);
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            Ok(())
        });
        // Who waits for an API server may wait for long.
        runtime.shutdown_background();
        ended
    }
}
