//! The engine of the process: one wasmtime engine, its pool of instances, its clock.

use std::{fmt, sync::Arc};

use wasmtime::{
    Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig,
    component::{HasSelf, Linker},
};

use super::{
    LoadError, bindings,
    ceilings::{CORE_INSTANCES, MEMORIES, MEMORY_CEILING, TABLE_ELEMENTS, TABLES},
    clock::Clock,
    features, host_calls,
    instance::Run,
};
use crate::capability::outside::Clients;

/// Warm instances that a slot keeps, for modules that ask for reuse.
pub(crate) const WARM_PER_SLOT: usize = 4;

/// Compiles and runs components. Clones are the same engine; a process has one.
#[derive(Clone)]
pub struct Engine {
    pub(super) wasmtime: wasmtime::Engine,
    pub(super) linker: Arc<Linker<Run>>,
    pub(super) clock: Arc<Clock>,
    pub(super) clients: Arc<Clients>,
    pooled: bool,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("pooled", &self.pooled).finish_non_exhaustive()
    }
}

/// The engine could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the wasm engine could not be made: {0}")]
pub struct EngineError(pub(super) String);

impl Engine {
    /// An engine for a number of slots, whose runs make requests with these clients.
    pub fn new(slots: usize, clients: Arc<Clients>) -> Result<Self, EngineError> {
        let failed = |error: wasmtime::Error| EngineError(format!("{error:#}"));
        let mut config = config();
        let slots = u32::try_from(slots).unwrap_or(u32::MAX);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(slots)));
        let (wasmtime, pooled) = match wasmtime::Engine::new(&config) {
            Ok(engine) => (engine, true),
            Err(error) => {
                tracing::warn!(
                    reason = format!("{error:#}"),
                    "no pool of instances: each is allocated when needed, which is slower"
                );
                let engine = wasmtime::Engine::new(&self::config()).map_err(failed)?;
                (engine, false)
            }
        };
        let mut linker = Linker::new(&wasmtime);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).map_err(failed)?;
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker).map_err(failed)?;
        host_calls::watch_changes(&mut linker).map_err(failed)?;
        add_host_calls(&mut linker).map_err(failed)?;
        let clock = Clock::start(&wasmtime);
        let clock =
            clock.map_err(|error| EngineError(format!("no thread for the clock: {error}")))?;
        let clock = Arc::new(clock);
        Ok(Self { wasmtime, linker: Arc::new(linker), clock, clients, pooled })
    }

    /// The clients of modules that make requests.
    pub const fn clients(&self) -> &Arc<Clients> {
        &self.clients
    }

    /// Instances that are in the pool's hands out now; none without a pool.
    pub fn live_instances(&self) -> Option<u64> {
        self.wasmtime.pooling_allocator_metrics().map(|metrics| metrics.component_instances())
    }

    /// Whether instances come out of a pool, or each is allocated when it is needed.
    pub const fn is_pooled(&self) -> bool {
        self.pooled
    }
}

fn add_host_calls(linker: &mut Linker<Run>) -> wasmtime::Result<()> {
    use bindings::{
        additions, fetching, holding, knowing, meeting, reaching, remembering, storing, telling,
        tidegate::channels,
    };
    use host_calls::{
        ConnectionCalls, HistoryCalls, InvocationCalls, LayerCalls, LogCalls, OnlineCalls,
        OutsideCalls, PresenceCalls, ReplyCalls, SessionCalls, StoreCalls, TimerCalls, UserCalls,
    };
    channels::types::add_to_linker::<_, HasSelf<Run>>(linker, |run| run)?;
    channels::layer::add_to_linker::<_, LayerCalls<'static>>(linker, Run::layer_calls)?;
    channels::reply::add_to_linker::<_, ReplyCalls<'static>>(linker, Run::reply_calls)?;
    channels::connection::add_to_linker::<_, ConnectionCalls<'static>>(
        linker,
        Run::connection_calls,
    )?;
    channels::log::add_to_linker::<_, LogCalls<'static>>(linker, Run::log_calls)?;
    storing::tidegate::channels::store::add_to_linker::<_, StoreCalls<'static>>(
        linker,
        Run::store_calls,
    )?;
    storing::tidegate::channels::timers::add_to_linker::<_, TimerCalls<'static>>(
        linker,
        Run::timer_calls,
    )?;
    fetching::tidegate::channels::outside::add_to_linker::<_, OutsideCalls<'static>>(
        linker,
        Run::outside_calls,
    )?;
    knowing::tidegate::channels::users::add_to_linker::<_, UserCalls<'static>>(
        linker,
        Run::user_calls,
    )?;
    telling::tidegate::channels::invocation::add_to_linker::<_, InvocationCalls>(
        linker,
        Run::invocation_calls,
    )?;
    reaching::tidegate::channels::online::add_to_linker::<_, OnlineCalls<'static>>(
        linker,
        Run::online_calls,
    )?;
    holding::tidegate::channels::sessions::add_to_linker::<_, SessionCalls<'static>>(
        linker,
        Run::session_calls,
    )?;
    meeting::tidegate::channels::presence::add_to_linker::<_, PresenceCalls<'static>>(
        linker,
        Run::presence_calls,
    )?;
    remembering::tidegate::channels::history::add_to_linker::<_, HistoryCalls<'static>>(
        linker,
        Run::history_calls,
    )?;
    additions::tidegate::channels::declared::add_to_linker::<_, HasSelf<Run>>(linker, |run| run)
}

/// The one place that says how code is compiled; compiled code is cached under a hash of it.
fn config() -> Config {
    let mut config = Config::new();
    config
        .consume_fuel(true)
        .epoch_interruption(true)
        // All functions of the contract are synchronous to the guest.
        .concurrency_support(false)
        .max_wasm_stack(512 * 1024)
        .async_stack_size(1024 * 1024)
        .relaxed_simd_deterministic(true)
        .memory_init_cow(true);
    features::configure(&mut config);
    config
}

/// Compiles a component without an engine that could run it: the pool takes more address space than a
/// compiler needs.
pub(super) fn compile(component: &[u8]) -> Result<Vec<u8>, LoadError> {
    features::check(component)?;
    let invalid = |error: wasmtime::Error| LoadError::invalid(&format!("{error:#}"));
    let engine = wasmtime::Engine::new(&config()).map_err(invalid)?;
    engine.precompile_component(component).map_err(invalid)
}

fn pool(slots: u32) -> PoolingAllocationConfig {
    let warm = u32::try_from(WARM_PER_SLOT).unwrap_or(u32::MAX);
    // A few more for reading routes while every slot is busy.
    let components = slots.saturating_mul(warm + 1).saturating_add(8);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(components)
        .max_core_instances_per_component(CORE_INSTANCES)
        .total_core_instances(components.saturating_mul(CORE_INSTANCES))
        .max_memories_per_component(MEMORIES)
        .total_memories(components.saturating_mul(MEMORIES))
        .max_tables_per_component(TABLES)
        .total_tables(components.saturating_mul(TABLES))
        .total_stacks(components)
        .max_component_instance_size(4 * 1024 * 1024)
        .max_core_instance_size(4 * 1024 * 1024)
        .table_elements(TABLE_ELEMENTS)
        .max_memory_size(MEMORY_CEILING)
        .max_unused_warm_slots(slots.saturating_mul(2))
        // Cleaning the pages that were written is cheaper than giving them back to the kernel, where
        // the kernel can tell which they are.
        .pagemap_scan(Enabled::Auto)
        .linear_memory_keep_resident(if has_pagemap_scan() { 4 * 1024 * 1024 } else { 0 })
        .table_keep_resident(64 * 1024)
        .async_stack_keep_resident(32 * 1024);
    pool
}

/// Without it, what is kept resident is cleaned as a whole: a megabyte of stack for each run.
fn has_pagemap_scan() -> bool {
    PoolingAllocationConfig::is_pagemap_scan_available()
}
