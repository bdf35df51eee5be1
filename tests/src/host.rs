//! A Proxy-Wasm host in this process, for the built filter: strict, deterministic, metered.
//!
//! It follows ABI 0.2.1 as Envoy implements it: a header map can be had only in its own phase, a missing one is
//! `BadArgument`, headers are bytes. A host call that the filter is not expected to make fails the test by name.
//! Fuel is the same on every machine: wasmi counts the instructions of each block that is entered, up to its loops.

mod calls;

use std::collections::BTreeMap;
use std::fmt;

use serin_config::Split;
use serin_module::{FILTER, REQUEST_FILTER};
use wasmi::{Config, Engine, Extern, Instance, Linker, Module, Store, TypedFunc, WasmParams, WasmResults};

/// More than any test needs: an endless loop ends as an error.
const FUEL: u64 = 10_000_000_000;

/// A header map: names are lower-case, values any bytes.
pub type Headers = Vec<(Vec<u8>, Vec<u8>)>;

/// The filter in its VM.
pub struct Host {
    store: Store<World>,
    instance: Instance,
    /// The plugin that is called, and the root context of each one that was configured.
    plugin: String,
    roots: BTreeMap<String, i32>,
    next: i32,
    configuration_fuel: u64,
}

/// What the filter can see and do.
#[derive(Default)]
pub(crate) struct World {
    plugin: String,
    configuration: Vec<u8>,
    request: Option<Headers>,
    response: Option<Headers>,
    properties: BTreeMap<String, Vec<u8>>,
    set: BTreeMap<String, Vec<u8>>,
    metrics: BTreeMap<String, i64>,
    metric_names: Vec<String>,
    logs: Vec<String>,
    calls: BTreeMap<&'static str, u32>,
    entries: BTreeMap<String, u32>,
    copied: Copied,
    tick_milliseconds: u32,
}

/// Bytes that crossed the border of the VM.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// What the host handed over.
    pub into: usize,
    /// What the filter showed the host.
    pub out: usize,
}

/// A request as the proxy would show it.
#[derive(Clone, Debug, Default)]
pub struct Input {
    /// Its headers, pseudo-headers included.
    pub headers: Headers,
    /// Properties by their path, joined by dots, such as `xds.cluster_name`.
    pub properties: BTreeMap<String, Vec<u8>>,
}

/// What the filter made of a request and its response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exchange {
    /// The request's headers as they go upstream.
    pub request: Headers,
    /// The response's headers as they go downstream.
    pub response: Headers,
    /// Filter state that was set, by name.
    pub filter_state: BTreeMap<String, Vec<u8>>,
    /// Fuel of the request phase.
    pub fuel: u64,
    /// Host calls of the request phase, by name.
    pub calls: BTreeMap<&'static str, u32>,
    /// Host calls of the response phase, by name.
    pub response_calls: BTreeMap<&'static str, u32>,
    /// Calls into the VM for the whole exchange, by name; memory that the host asks for is among them.
    pub entries: BTreeMap<String, u32>,
    /// Bytes that crossed the border in the request phase.
    pub copied: Copied,
}

/// Why the filter did not answer: a trap or an unexpected host call, with the filter's last log lines.
#[derive(Debug)]
pub struct HostError(String);

impl std::error::Error for HostError {}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<wasmi::Error> for HostError {
    fn from(error: wasmi::Error) -> Self {
        Self(error.to_string())
    }
}

impl Host {
    /// Starts a VM with a module.
    ///
    /// # Errors
    /// The bytes are not a module, or its start traps.
    pub fn load(wasm: &[u8]) -> Result<Self, HostError> {
        let mut config = Config::default();
        config.consume_fuel(true);
        let engine = Engine::new(&config);
        let module = Module::new(&engine, wasm)?;
        let mut store = Store::new(&engine, World::default());
        store.set_fuel(FUEL)?;
        let mut linker = Linker::new(&engine);
        calls::link(&mut linker, &module)?;
        let instance = linker.instantiate_and_start(&mut store, &module)?;
        let mut host =
            Self { store, instance, plugin: "serin".to_owned(), roots: BTreeMap::new(), next: 1, configuration_fuel: 0 };
        // As Envoy does: a module without this export needs no start.
        host.call::<(), ()>("_initialize", ())?;
        Ok(host)
    }

    /// Turns to the plugin of this name, which shares the VM with the others.
    pub fn plugin(&mut self, name: &str) {
        self.plugin = name.to_owned();
    }

    fn root(&self) -> i32 {
        self.roots.get(&self.plugin).copied().unwrap_or_default()
    }

    /// Configures the plugin as Envoy does: a new root context in the same memory, then the old one goes.
    ///
    /// # Errors
    /// The filter traps or makes an unexpected host call.
    pub fn configure(&mut self, configuration: &[u8]) -> Result<bool, HostError> {
        let root = self.next;
        let (first, old) = (self.roots.is_empty(), self.roots.insert(self.plugin.clone(), root));
        self.next += 1;
        self.store.data_mut().plugin = self.plugin.clone();
        self.store.set_fuel(FUEL)?;
        self.store.data_mut().configuration = configuration.to_vec();
        self.call::<_, ()>("proxy_on_context_create", (root, 0))?;
        if first {
            self.call::<_, i32>("proxy_on_vm_start", (root, 0))?;
        }
        let size = i32::try_from(configuration.len()).map_err(|error| HostError(error.to_string()))?;
        let before = self.store.get_fuel()?;
        let accepted: Option<i32> = self.call("proxy_on_configure", (root, size))?;
        self.configuration_fuel = before - self.store.get_fuel()?;
        if let Some(old) = old {
            self.call::<_, i32>("proxy_on_done", old)?;
            self.call::<_, ()>("proxy_on_delete", old)?;
        }
        Ok(accepted == Some(1))
    }

    /// Passes a request and an empty response through the filter.
    ///
    /// # Errors
    /// The filter traps, pauses or makes an unexpected host call.
    pub fn request(&mut self, input: Input) -> Result<Exchange, HostError> {
        self.exchange(input, Headers::new())
    }

    /// Passes a request and a response with these headers through the filter.
    ///
    /// # Errors
    /// As [`Host::request`].
    pub fn exchange(&mut self, input: Input, response: Headers) -> Result<Exchange, HostError> {
        let (id, fuel) = self.request_phase(input)?;
        let world = self.store.data_mut();
        let request = world.request.take().unwrap_or_default();
        let (calls, copied) = (std::mem::take(&mut world.calls), world.copied);
        world.response = Some(response);
        self.call::<_, i32>("proxy_on_response_headers", (id, 0, 1))?;
        let response = self.store.data_mut().response.take().unwrap_or_default();
        self.call::<_, i32>("proxy_on_done", id)?;
        self.call::<_, ()>("proxy_on_log", id)?;
        self.call::<_, ()>("proxy_on_delete", id)?;
        self.store.set_fuel(FUEL)?;
        let world = self.store.data_mut();
        let (filter_state, entries) = (std::mem::take(&mut world.set), std::mem::take(&mut world.entries));
        let response_calls = std::mem::take(&mut world.calls);
        Ok(Exchange { request, response, filter_state, fuel, calls, response_calls, entries, copied })
    }

    /// Passes a request through the filter whose stream then ends without a word.
    ///
    /// # Errors
    /// As [`Host::request`].
    pub fn abandoned(&mut self, input: Input) -> Result<(), HostError> {
        self.request_phase(input)?;
        Ok(self.store.set_fuel(FUEL)?)
    }

    /// The number of the stream, and the fuel of its request phase.
    fn request_phase(&mut self, input: Input) -> Result<(i32, u64), HostError> {
        let (id, count) = (self.next, i32::try_from(input.headers.len()).unwrap_or(i32::MAX));
        self.next += 1;
        let plugin = self.plugin.clone();
        let world = self.store.data_mut();
        world.plugin = plugin;
        (world.properties, world.request) = (input.properties, Some(input.headers));
        world.calls.clear();
        world.entries.clear();
        world.set.clear();
        world.copied = Copied::default();
        let before = self.store.get_fuel()?;
        self.call::<_, ()>("proxy_on_context_create", (id, self.root()))?;
        let action: Option<i32> = self.call("proxy_on_request_headers", (id, count, 1))?;
        let fuel = before - self.store.get_fuel()?;
        if action != Some(0) {
            return Err(HostError(format!("the filter answers {action:?} to request headers, not Continue (0)")));
        }
        Ok((id, fuel))
    }

    /// Lets time pass up to the next tick.
    ///
    /// # Errors
    /// The filter traps or makes an unexpected host call.
    pub fn tick(&mut self) -> Result<(), HostError> {
        self.store.set_fuel(FUEL)?;
        self.call::<_, ()>("proxy_on_tick", self.root())?;
        self.configuration_fuel = FUEL - self.store.get_fuel()?;
        Ok(())
    }

    /// Fuel of the last configuration or tick.
    #[must_use]
    pub fn configuration_fuel(&self) -> u64 {
        self.configuration_fuel
    }

    /// The period of ticks that the filter asked for.
    #[must_use]
    pub fn tick_milliseconds(&self) -> u32 {
        self.store.data().tick_milliseconds
    }

    /// Counters by name.
    #[must_use]
    pub fn metrics(&self) -> &BTreeMap<String, i64> {
        &self.store.data().metrics
    }

    /// How many metrics were defined; the host keeps each definition for ever.
    #[must_use]
    pub fn metric_definitions(&self) -> usize {
        self.store.data().metric_names.len()
    }

    /// What the filter logged.
    #[must_use]
    pub fn logs(&self) -> &[String] {
        &self.store.data().logs
    }

    /// Size of the VM's memory.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.instance.get_memory(&self.store, "memory").map_or(0, |memory| memory.data_size(&self.store))
    }

    /// Calls an export where there is one.
    fn call<P: WasmParams, R: WasmResults>(&mut self, name: &str, parameters: P) -> Result<Option<R>, HostError> {
        let Some(function) = self.instance.get_export(&self.store, name).and_then(Extern::into_func) else {
            return Ok(None);
        };
        *self.store.data_mut().entries.entry(name.to_owned()).or_default() += 1;
        let function: TypedFunc<P, R> = function.typed(&self.store)?;
        function.call(&mut self.store, parameters).map(Some).map_err(|error| {
            let logs = self.store.data().logs.join("\n  ");
            HostError(format!("{name}: {error}\n  {logs}"))
        })
    }
}

/// The filter that proxies have for a document.
#[must_use]
pub fn filter_for(split: &Split) -> &'static [u8] {
    if split.issues_cookies() { FILTER } else { REQUEST_FILTER }
}

/// The names that a module imports and exports, sorted.
///
/// # Errors
/// The bytes are not a module.
pub fn interface(wasm: &[u8]) -> Result<(Vec<String>, Vec<String>), HostError> {
    let module = Module::new(&Engine::default(), wasm)?;
    let mut imports: Vec<_> = module.imports().map(|import| format!("{}.{}", import.module(), import.name())).collect();
    let mut exports: Vec<_> = module.exports().map(|export| export.name().to_owned()).collect();
    imports.sort();
    exports.sort();
    Ok((imports, exports))
}
