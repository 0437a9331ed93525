//! One invocation: an instance of a program, its meters, one call, what came of it.
//!
//! An instance ends after its one run, unless its module asks for reuse: then after so many runs,
//! after a fault, or when its version is not active any more.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use wasmtime::{CallHook, Store, UpdateDeadline, component::ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::{
    Entry, Fault, Limits, LogLines, Outlet, Program,
    bindings::{self, exports::tidegate::channels::consumer::Failure},
    convert, host_calls,
    limits::{CallMeter, HANDLES, MemoryMeter},
    log::{self, LogSink},
    outbox::Outbox,
};
use crate::{
    capability::{Grants, Lent},
    message::{ChannelName, Content, CorrelationId, Event},
};

/// What a call into the host may copy besides a full outbox.
const HOSTCALL_EXTRA: usize = 1024 * 1024;
/// Processor time after which a run counts as background work. It is measured from the first tick of the
/// epoch, so a run that ends before it costs no look at the thread's clock.
pub const LONG: Duration = Duration::from_millis(3);

/// What a consumer is run for.
#[derive(Clone, Debug)]
pub enum Task {
    /// Something happened on a connection.
    Event(Box<Event>),
    /// A message came on a channel of the application.
    Message {
        /// The channel.
        channel: ChannelName,
        /// The message.
        content: Content,
    },
}

/// One invocation to be.
pub struct Job {
    /// The consumer's name.
    pub consumer: Arc<str>,
    /// Follows the event.
    pub correlation: CorrelationId,
    /// What the consumer is run for.
    pub task: Task,
    /// What the run may use.
    pub limits: Arc<Limits>,
    /// The module and its capabilities.
    pub lent: Lent,
    /// Where flushed messages go.
    pub outlet: Arc<dyn Outlet>,
    /// Called once, on the thread that runs the guest, when it has computed for [`LONG`].
    pub on_long: fn(),
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("module", &self.lent.module)
            .field("consumer", &self.consumer)
            .finish_non_exhaustive()
    }
}

/// What a run used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Fuel.
    pub fuel: u64,
    /// Time by the clock.
    pub wall: Duration,
    /// The most linear memory, in bytes.
    pub memory_peak: usize,
    /// Entries put into the outbox.
    pub messages: usize,
    /// Calls into the host.
    pub host_calls: u64,
    /// Sends that the host refused.
    pub sends_refused: u64,
}

/// What came of a run.
#[derive(Debug)]
pub struct Finished {
    /// Why it failed, if it did. Then there is no outbox and no state.
    pub fault: Option<Fault>,
    /// What is to be sent.
    pub outbox: Vec<Entry>,
    /// The connection's state, if it was set.
    pub state: Option<Bytes>,
    /// What it used.
    pub usage: Usage,
    /// What it logged.
    pub log: LogLines,
    /// Whether another version may run the task again: this run neither flushed messages nor changed a
    /// granted directory.
    pub repeatable: bool,
}

/// What the host keeps for a run, lent to host calls part by part.
pub(super) struct Run {
    /// Made for the first call that needs it: few runs make one.
    wasi: Option<WasiCtx>,
    grants: Arc<Grants>,
    table: ResourceTable,
    memory: MemoryMeter,
    calls: CallMeter,
    pub(super) log: LogSink,
    pub(super) outbox: Outbox,
    pub(super) state: Option<Bytes>,
    pub(super) job: Option<JobView>,
    pub(super) limits: Arc<Limits>,
}

/// The parts of a job that host calls look at.
pub(super) struct JobView {
    pub(super) lent: Lent,
    pub(super) event: Option<Box<Event>>,
    pub(super) outlet: Arc<dyn Outlet>,
    /// Sends that the host refused.
    pub(super) refused: u64,
    /// Whether the run has not changed anything outside so far.
    repeatable: bool,
    /// Called when the run is long; none when it was.
    on_long: Option<fn()>,
}

impl JobView {
    /// Marks the run as not repeatable: a second run would change the same thing again.
    pub(super) const fn changes_something(&mut self) {
        self.repeatable = false;
    }
}

impl WasiView for Run {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let Self { wasi, table, grants, log, .. } = self;
        let ctx = wasi.get_or_insert_with(|| host_calls::wasi::context(grants, log).build());
        WasiCtxView { ctx, table }
    }
}

impl bindings::tidegate::channels::types::Host for Run {}

impl Run {
    fn new(limits: &Arc<Limits>, grants: &Arc<Grants>) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES);
        Self {
            wasi: None,
            grants: Arc::clone(grants),
            table,
            memory: MemoryMeter::new(limits.memory),
            calls: CallMeter::new(limits),
            log: LogSink::new(limits.log_bytes),
            outbox: Outbox::default(),
            state: None,
            job: None,
            limits: Arc::clone(limits),
        }
    }

    /// Opens the granted directories. One that is gone is an error, whether the guest looks at it or not.
    fn open_directories(&mut self) -> wasmtime::Result<()> {
        if self.wasi.is_none() && !self.grants.directories.is_empty() {
            let mut wasi = host_calls::wasi::context(&self.grants, &self.log);
            host_calls::wasi::open(&self.grants.directories, &mut wasi)?;
            self.wasi = Some(wasi.build());
        }
        Ok(())
    }

    fn begin(&mut self, limits: &Arc<Limits>) {
        self.limits = Arc::clone(limits);
        self.memory.restart(limits.memory);
        self.calls = CallMeter::new(limits);
        self.outbox = Outbox::default();
        self.state = None;
    }
}

/// An instance of a program.
pub struct Instance {
    store: Store<Run>,
    module: bindings::Module,
    program: Arc<Program>,
    runs: u32,
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance").field("runs", &self.runs).finish_non_exhaustive()
    }
}

impl Instance {
    /// Whether this is an instance of a program.
    pub fn is_of(&self, program: &Arc<Program>) -> bool {
        Arc::ptr_eq(&self.program, program)
    }

    /// The program.
    pub const fn program(&self) -> &Arc<Program> {
        &self.program
    }

    /// How often it ran.
    pub const fn runs(&self) -> u32 {
        self.runs
    }
}

/// Runs a job on a warm instance, or on a fresh one. Gives the instance back if it may run again.
pub(super) async fn run(
    program: &Arc<Program>,
    job: Job,
    warm: Option<Instance>,
) -> (Finished, Option<Instance>) {
    let _running = program.engine.clock.run();
    let limits = Arc::clone(&job.limits);
    let mut store = None;
    let deadline = tokio::time::Instant::now() + limits.deadline;
    let work = call(program, job, warm, &mut store);
    let result = tokio::time::timeout_at(deadline, work).await;
    let (result, instance) = match result {
        Ok(Ok((failure, module, runs))) => (failure, Some((module, runs))),
        Ok(Err(error)) => (Some(Fault::from_engine(&error)), None),
        Err(_) => {
            let used = store.as_ref().map_or(limits.deadline, elapsed);
            (Some(Fault::Deadline { used, limit: limits.deadline }), None)
        }
    };
    let Some(mut store) = store else {
        let fault = result.unwrap_or_else(|| Fault::Host("no store was made".into()));
        return (Finished::failed(fault), None);
    };
    let finished = finish(&mut store, result, &limits);
    let instance = match (&finished.fault, instance) {
        (None, Some((module, runs))) => {
            Some(Instance { store, module, program: Arc::clone(program), runs })
        }
        // Whatever went wrong may have left the guest's memory half-changed.
        _ => None,
    };
    (finished, instance)
}

fn elapsed(store: &Store<Run>) -> Duration {
    store.data().calls.started.elapsed()
}

type Called = (Option<Fault>, bindings::Module, u32);

/// The store stays with the caller, also when the deadline drops this future.
async fn call(
    program: &Arc<Program>,
    job: Job,
    warm: Option<Instance>,
    slot: &mut Option<Store<Run>>,
) -> wasmtime::Result<Called> {
    let (store, warm) = match warm {
        Some(Instance { mut store, module, runs, .. }) => {
            store.data_mut().begin(&job.limits);
            (slot.insert(store), Some((module, runs)))
        }
        None => (slot.insert(new_store(program, &job.limits, &job.lent.grants)), None),
    };
    store.data_mut().open_directories()?;
    store.set_fuel(job.limits.fuel)?;
    store.set_epoch_deadline(1);
    let (event, invocation) = convert::to_guest(&job);
    store.data_mut().job = Some(JobView {
        lent: job.lent,
        outlet: job.outlet,
        event: match job.task {
            Task::Event(event) => Some(event),
            Task::Message { .. } => None,
        },
        refused: 0,
        repeatable: true,
        on_long: Some(job.on_long),
    });
    let (module, runs) = match warm {
        Some(warm) => warm,
        None => (program.pre.instantiate_async(&mut *store).await?, 0),
    };
    let answer =
        module.tidegate_channels_consumer().call_handle(&mut *store, &invocation, &event).await?;
    let fault = answer.err().map(|failure| match failure {
        Failure::StateUnreadable(text) => Fault::StateUnreadable(log::one_line(&text)),
        Failure::Failed(text) => Fault::Failed(log::one_line(&text)),
    });
    Ok((fault, module, runs + 1))
}

/// What one call may copy out of the guest.
const fn call_bytes(limits: &Limits) -> usize {
    limits.outbox_bytes.saturating_add(HOSTCALL_EXTRA)
}

pub(super) fn new_store(
    program: &Program,
    limits: &Arc<Limits>,
    grants: &Arc<Grants>,
) -> Store<Run> {
    let mut store = Store::new(&program.engine.wasmtime, Run::new(limits, grants));
    store.limiter(|run| &mut run.memory);
    // What one call copies out of the guest before any limit is looked at.
    store.set_hostcall_fuel(call_bytes(limits));
    store.call_hook(|mut context, hook| {
        if let CallHook::CallingHost = hook {
            context.data_mut().calls.call()?;
        }
        Ok(())
    });
    store.epoch_deadline_callback(|mut context| {
        let run = context.data_mut();
        run.calls.check_deadline()?;
        if let Some(job) = &mut run.job
            && run.calls.computed() >= LONG
            && let Some(on_long) = job.on_long.take()
        {
            on_long();
        }
        Ok(UpdateDeadline::Continue(1))
    });
    store
}

pub(super) fn finish(
    store: &mut Store<Run>,
    mut fault: Option<Fault>,
    limits: &Limits,
) -> Finished {
    let fuel = limits.fuel.saturating_sub(store.get_fuel().unwrap_or(0));
    let run = store.data_mut();
    fault = match fault {
        Some(Fault::Fuel { .. }) => Some(Fault::Fuel { used: fuel, limit: limits.fuel }),
        Some(Fault::CallBytes { .. }) => Some(Fault::CallBytes { limit: call_bytes(limits) }),
        // What a guest does when it gets no memory is up to its allocator.
        Some(Fault::Trap(_) | Fault::Host(_) | Fault::Exit(_)) => run.memory.fault().or(fault),
        other => other,
    };
    let panic = run.log.panic();
    let mut log = run.log.take();
    if fault.as_ref().is_some_and(Fault::may_be_panic)
        && let Some(panic) = panic
    {
        log.leave_out_backtrace_note();
        fault = Some(Fault::Panic(panic));
    }
    let entries = run.outbox.take();
    let state = run.state.take();
    let job = run.job.take();
    let repeatable = job.as_ref().is_none_or(|job| job.repeatable);
    let usage = Usage {
        fuel,
        wall: run.calls.started.elapsed(),
        memory_peak: run.memory.peak,
        messages: run.outbox.total,
        host_calls: run.calls.calls,
        sends_refused: job.map_or(0, |job| job.refused),
    };
    let (outbox, state) = if fault.is_none() { (entries, state) } else { (Vec::new(), None) };
    Finished { fault, outbox, state, usage, log, repeatable }
}

impl Finished {
    fn failed(fault: Fault) -> Self {
        Self {
            fault: Some(fault),
            outbox: Vec::new(),
            state: None,
            usage: Usage::default(),
            log: LogLines::default(),
            repeatable: true,
        }
    }
}
