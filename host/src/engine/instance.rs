//! One invocation: an instance of a program, its meters, one call, what came of it.
//!
//! An instance ends after its one run, unless its module asks for reuse: then after so many runs,
//! after a fault, or when its version is not active any more.

use std::{fmt, mem, sync::Arc, time::Duration};

use bytes::Bytes;
use wasmtime::{CallHook, Store, UpdateDeadline, component::ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::{
    Entry, Fault, Limits, LogLines, Outlet, Program,
    bindings::{self, exports::tidegate::channels::consumer::Failure},
    convert, host_calls,
    limits::{CallMeter, HANDLES, MemoryMeter},
    log::{self, LogSink},
    outbox::{Outbox, has_messages_to_store, store_messages},
};
use crate::{
    capability::{
        Grants, Lent,
        outside::{Clients, RefusalCounts},
        sessions::Changes,
        store::{CommitError, Transaction},
    },
    message::{Cause, ChannelName, Content, CorrelationId, Event, MessageId, TraceContext},
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
    /// The span of the run, if it has one.
    pub trace: Option<TraceContext>,
    /// What the consumer is run for.
    pub task: Task,
    /// The id of its message, if that has one.
    pub message: Option<MessageId>,
    /// Which delivery of the message it is. Counts from 1.
    pub attempt: u32,
    /// What the run may use.
    pub limits: Arc<Limits>,
    /// The module and its capabilities.
    pub lent: Lent,
    /// Where flushed messages go.
    pub outlet: Arc<dyn Outlet>,
    /// Called once, on the thread that runs the guest, when it has computed for [`LONG`].
    pub on_long: fn(),
}

impl Job {
    /// The cause of what the run sends.
    pub fn cause(&self) -> Cause {
        Cause { correlation: self.correlation, trace: self.trace }
    }

    /// The event that it is run for, if it is one.
    pub fn event(&self) -> Option<&Event> {
        match &self.task {
            Task::Event(event) => Some(event),
            Task::Message { .. } => None,
        }
    }
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
    /// Those among them that the guard of requests to servers outside refused.
    pub outside_refusals: RefusalCounts,
    /// Keys that it read in the store.
    pub keys_read: usize,
    /// Keys that it wrote there.
    pub keys_written: usize,
}

impl Usage {
    /// Adds what an attempt used that was thrown away.
    pub(crate) fn add_attempt(&mut self, thrown_away: &Self) {
        self.fuel += thrown_away.fuel;
        self.wall += thrown_away.wall;
        self.memory_peak = self.memory_peak.max(thrown_away.memory_peak);
        self.host_calls += thrown_away.host_calls;
        self.sends_refused += thrown_away.sends_refused;
        self.outside_refusals.add_all(&thrown_away.outside_refusals);
    }
}

/// What came of a run.
#[derive(Debug)]
pub struct Finished {
    /// The job, for another run. None: it has not begun, or the host panicked.
    pub job: Option<Job>,
    /// Why it failed, if it did. Then there is no outbox and no state.
    pub fault: Option<Fault>,
    /// What is to be sent.
    pub outbox: Vec<Entry>,
    /// The connection's state, if it was set.
    pub state: Option<Bytes>,
    /// What it has read and written in the store, if it used it.
    pub transaction: Option<Transaction>,
    /// What it asks for of sessions; none if it asks for nothing. Boxed: few runs do.
    pub sessions: Option<Box<Changes>>,
    /// What it used.
    pub usage: Usage,
    /// What it logged.
    pub log: LogLines,
    /// Whether the job may be run again: this run neither flushed anything nor changed a granted directory.
    pub repeatable: bool,
}

impl Finished {
    /// What is known of a run in which the host panicked.
    pub fn panicked() -> Self {
        let fault = Fault::Host("the host panicked; its log says where".into());
        Self {
            job: None,
            fault: Some(fault),
            outbox: Vec::new(),
            state: None,
            transaction: None,
            sessions: None,
            usage: Usage::default(),
            log: LogLines::default(),
            // It may have changed something before.
            repeatable: false,
        }
    }

    /// Makes it a run that failed.
    pub fn fail(&mut self, fault: Fault) {
        self.fault = Some(fault);
        self.outbox = Vec::new();
        self.state = None;
        self.sessions = None;
    }
}

/// What the host keeps for a run, lent to host calls part by part.
pub(super) struct Run {
    /// Made for the first call that needs it: few runs make one.
    wasi: Option<WasiCtx>,
    grants: Arc<Grants>,
    /// None for a program that makes no requests.
    pub(super) clients: Option<Arc<Clients>>,
    /// Made for the first call of `wasi:http`.
    pub(super) http: Option<Box<host_calls::HttpCalls>>,
    pub(super) table: ResourceTable,
    memory: MemoryMeter,
    calls: CallMeter,
    pub(super) log: LogSink,
    pub(super) outbox: Outbox,
    pub(super) state: Option<Bytes>,
    /// What it runs for; none while an instance is made ahead of need or asked for its routes.
    pub(super) job: Option<Job>,
    pub(super) effects: Effects,
    pub(super) limits: Arc<Limits>,
    /// Whether the job was told that the run is long.
    told_long: bool,
}

impl Effects {
    /// Commits what the run has read and written so far, with its messages to channels with retries. Returns
    /// where each entry that is left stood; none: all are left.
    pub(super) async fn commit(
        &mut self,
        job: &Job,
        entries: &mut Vec<Entry>,
    ) -> Result<Vec<usize>, Fault> {
        if self.transaction.is_none() && has_messages_to_store(entries, &job.lent) {
            self.transaction = Some(job.lent.transaction());
        }
        let Some(transaction) = &mut self.transaction else { return Ok(Vec::new()) };
        let places = store_messages(entries, transaction, (&job.lent, job.correlation));
        let was_final = self.is_final;
        // Before it is done: the deadline may cut it.
        self.is_final |= transaction.changes_something();
        match transaction.commit(job.lent.grants.store.quota).await {
            Ok(_) => {
                job.outlet.stored();
                Ok(places)
            }
            Err(error) => {
                if !matches!(error, CommitError::Unknown { .. }) {
                    self.is_final = was_final;
                }
                Err(Fault::of_commit(error))
            }
        }
    }
}

/// What a run has done besides its outbox.
#[derive(Default)]
pub(super) struct Effects {
    /// What it has read and written in the store; none before its first call there.
    pub(super) transaction: Option<Transaction>,
    /// What it asks for of sessions.
    pub(super) sessions: Changes,
    /// Sends that the host refused.
    pub(super) sends_refused: u64,
    /// Those among them that the guard of requests to servers outside refused.
    pub(super) outside_refusals: RefusalCounts,
    /// Whether it has flushed.
    pub(super) has_flushed: bool,
    /// Parts of lists of members that it has read.
    pub(super) members_reads: u32,
    /// Whether it has changed something that a second run would change again.
    pub(super) is_final: bool,
}

impl WasiView for Run {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let Self { wasi, table, grants, log, .. } = self;
        let ctx = wasi.get_or_insert_with(|| host_calls::wasi::context(grants, log).build());
        WasiCtxView { ctx, table }
    }
}

impl bindings::tidegate::channels::types::Host for Run {}
impl bindings::additions::tidegate::channels::declared::Host for Run {}

impl Run {
    fn new(limits: &Arc<Limits>, grants: &Arc<Grants>, clients: Option<Arc<Clients>>) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES);
        Self {
            wasi: None,
            grants: Arc::clone(grants),
            clients,
            http: None,
            table,
            memory: MemoryMeter::new(limits.memory),
            calls: CallMeter::new(limits),
            log: LogSink::new(limits.log_bytes),
            outbox: Outbox::default(),
            state: None,
            job: None,
            effects: Effects::default(),
            limits: Arc::clone(limits),
            told_long: false,
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
        self.effects = Effects::default();
        self.http = None;
        self.told_long = false;
    }
}

/// An instance of a program: one that has run before, one that was made ahead of need, or what is left
/// of one that failed.
pub struct Instance {
    store: Store<Run>,
    /// None before it is instantiated and after a fault, when the guest's memory may be half-changed.
    module: Option<bindings::Module>,
    program: Arc<Program>,
    /// Fuel that a start ahead of need took: the first run counts it.
    start_fuel: u64,
    runs: u32,
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance").field("runs", &self.runs).finish_non_exhaustive()
    }
}

impl Instance {
    fn new(program: &Arc<Program>, limits: &Arc<Limits>, grants: &Arc<Grants>) -> Self {
        let (store, program) = (new_store(program, limits, grants), Arc::clone(program));
        Self { store, module: None, program, start_fuel: 0, runs: 0 }
    }

    /// Whether this is an instance of a program.
    pub fn is_of(&self, program: &Arc<Program>) -> bool {
        Arc::ptr_eq(&self.program, program)
    }

    /// The program.
    pub const fn program(&self) -> &Arc<Program> {
        &self.program
    }

    /// How often it ran. After a fault as often as it can: it never runs again.
    pub const fn runs(&self) -> u32 {
        if self.module.is_some() { self.runs } else { u32::MAX }
    }

    /// Whether a job may run on it. What it was made with must be what the job has.
    fn fits(&self, program: &Arc<Program>, job: &Job) -> bool {
        let run = self.store.data();
        let same_grants = Arc::ptr_eq(&run.grants, &job.lent.grants);
        let usable = self.module.is_some() && self.is_of(program);
        usable && same_grants && run.memory.fits(job.limits.memory)
    }

    async fn instantiate(&mut self) -> wasmtime::Result<bindings::Module> {
        let module = self.program.pre.instantiate_async(&mut self.store).await?;
        self.program.note_start(self.store.data().calls.calls == 0);
        Ok(module)
    }

    /// This stays with the caller, also when the deadline drops the future.
    async fn call(&mut self, job: Job) -> wasmtime::Result<Option<Fault>> {
        let fuel = job.limits.fuel.saturating_sub(mem::take(&mut self.start_fuel));
        self.store.set_fuel(fuel)?;
        self.store.set_epoch_deadline(1);
        let (event, invocation) = convert::to_guest(&job);
        let run = self.store.data_mut();
        run.open_directories()?;
        run.job = Some(job);
        let module = match self.module.take() {
            Some(module) => module,
            None => self.instantiate().await?,
        };
        let consumer = module.tidegate_channels_consumer();
        let answer = consumer.call_handle(&mut self.store, &invocation, &event).await?;
        let fault = answer.err().map(|failure| match failure {
            Failure::StateUnreadable(text) => Fault::StateUnreadable(log::one_line(&text)),
            Failure::Failed(text) => Fault::Failed(log::one_line(&text)),
        });
        self.module = fault.is_none().then_some(module);
        Ok(fault)
    }
}

/// Runs a job on an instance, or on a fresh one. Gives the instance back: dropping it clears its memory, which
/// takes time.
pub(super) async fn run(
    program: &Arc<Program>,
    job: Job,
    instance: Option<Instance>,
) -> (Finished, Option<Instance>) {
    let _running = program.engine.clock.run();
    let limits = Arc::clone(&job.limits);
    let mut instance = match instance.filter(|instance| instance.fits(program, &job)) {
        Some(mut instance) => {
            instance.store.data_mut().begin(&limits);
            instance
        }
        None => Instance::new(program, &limits, &job.lent.grants),
    };
    let deadline = tokio::time::Instant::now() + limits.deadline;
    let fault = match tokio::time::timeout_at(deadline, instance.call(job)).await {
        Ok(Ok(failure)) => failure,
        Ok(Err(error)) => Some(Fault::from_engine(&error)),
        Err(_) => {
            let used = instance.store.data().calls.started.elapsed();
            Some(Fault::Deadline { used, limit: limits.deadline })
        }
    };
    let finished = finish(&mut instance.store, fault, &limits);
    instance.runs += 1;
    (finished, Some(instance))
}

/// Makes an instance ahead of need. Returns none where the start fails: the next run will say why.
pub(super) async fn prepare(
    program: &Arc<Program>,
    limits: &Arc<Limits>,
    grants: &Arc<Grants>,
) -> Option<Instance> {
    let _running = program.engine.clock.run();
    let mut instance = Instance::new(program, limits, grants);
    instance.store.set_fuel(limits.fuel).ok()?;
    instance.store.set_epoch_deadline(1);
    let module = tokio::time::timeout(limits.deadline, instance.instantiate()).await.ok()?.ok()?;
    instance.module = Some(module);
    instance.start_fuel = limits.fuel.saturating_sub(instance.store.get_fuel().ok()?);
    program.starts_alone().then_some(instance)
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
    let run = Run::new(limits, grants, program.clients());
    let mut store = Store::new(&program.engine.wasmtime, run);
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
        if let (Some(job), false) = (&run.job, run.told_long)
            && run.calls.computed() >= LONG
        {
            run.told_long = true;
            (job.on_long)();
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
    let Effects { transaction, sessions, sends_refused, outside_refusals, is_final, .. } =
        mem::take(&mut run.effects);
    let sessions = (fault.is_none() && !sessions.is_empty()).then(|| Box::new(sessions));
    let is_final = is_final || run.http.take().is_some_and(|calls| calls.has_sent());
    let usage = Usage {
        fuel,
        wall: run.calls.started.elapsed(),
        memory_peak: run.memory.peak,
        messages: run.outbox.total,
        host_calls: run.calls.calls,
        sends_refused,
        outside_refusals,
        keys_read: transaction.as_ref().map_or(0, Transaction::keys_read),
        keys_written: transaction.as_ref().map_or(0, Transaction::keys_written),
    };
    let (outbox, state) = if fault.is_none() { (entries, state) } else { (Vec::new(), None) };
    let repeatable = !is_final;
    Finished { job, fault, outbox, state, transaction, sessions, usage, log, repeatable }
}
