//! One slot: a thread that runs one consumer at a time.

use std::{
    collections::HashMap,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use futures_util::FutureExt;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::{
    Record, RecordOutcome, Shared,
    breaker::{Pass, Verdict},
    catch_up::{self, Behind},
    delivery::{Delivery, Origin},
    fallback_reply::FallbackReply,
    host_log, priority, unrouted, unrun,
};
use crate::{
    capability::Lent,
    engine::{Entry, Fault, Finished, Instance, Job, Limits, LogLines, Outlet, Task, Usage},
    layer::Received,
    message::{
        ChannelName, CorrelationId, Done, EventKind, Message, ModuleName, Outcome, Payload, Receipt,
    },
    registry::{Rest, Version},
    telemetry::{ByModule, ByOutcome, DropReason},
};

/// Warm instances that a slot keeps.
const WARM: usize = crate::engine::WARM_PER_SLOT;

/// How soon a thread that could not be started is tried again.
const THREAD_RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Starts a slot's thread. It has the priority of the caller's thread to begin with.
pub(super) fn start(number: usize, shared: Arc<Shared>, token: TaskTrackerToken) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let run = move || {
        priority::lower();
        let drain = shared.drain.clone();
        let mut slot = Slot { shared: Arc::clone(&shared), warm: Vec::new() };
        // The panic is in the log already. Nothing of this slot is used again.
        let ended = catch_unwind(AssertUnwindSafe(|| runtime.block_on(slot.run())));
        drop(catch_unwind(AssertUnwindSafe(|| drop(slot))));
        if ended.is_err() {
            shared.metrics.slot_panics.inc();
        }
        // After a panic also while stopping: messages that were taken are still run.
        if ended.is_err() || (priority::is_demoted() && !drain.is_stopping()) {
            drain.spawn("slot", replace(number, shared, token));
        }
    };
    std::thread::Builder::new().name(format!("tidegate-slot-{number}")).spawn(run).map(drop)
}

/// Starts another thread in the place of one that gave up its priority or ended by a panic.
async fn replace(number: usize, shared: Arc<Shared>, token: TaskTrackerToken) {
    while let Err(error) = start(number, Arc::clone(&shared), token.clone()) {
        tracing::error!(%error, number, "a slot has no thread; trying again");
        sleep_until(Instant::now() + THREAD_RETRY_PAUSE).await;
        if shared.drain.is_stopping() {
            return;
        }
    }
}

/// A slot that is busy with a message of a module. Dropping it, also in a panic, frees the slot and the
/// module's place.
struct Held {
    shared: Arc<Shared>,
    module: ModuleName,
}

impl Held {
    fn new(shared: &Arc<Shared>, module: ModuleName) -> Self {
        shared.metrics.slots_busy.inc();
        Self { shared: Arc::clone(shared), module }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shared.metrics.slots_busy.dec();
        self.shared.intake.release(&self.module);
    }
}

struct Slot {
    shared: Arc<Shared>,
    /// Instances of modules that ask for reuse, the one that ran last at the end.
    warm: Vec<Instance>,
}

impl Slot {
    async fn run(&mut self) {
        let shared = Arc::clone(&self.shared);
        let mut changes = shared.registry.changes();
        loop {
            let received = tokio::select! {
                biased;
                () = shared.drain.stopping() => break,
                _ = changes.changed() => {
                    // Old code must not live on in a slot.
                    self.forget_inactive();
                    continue;
                }
                received = shared.intake.next() => received,
            };
            self.hold(received).await;
            if priority::is_demoted() {
                return;
            }
        }
        while let Some(received) = shared.intake.rest(&shared).await {
            self.hold(received).await;
        }
    }

    /// Is busy with a message.
    async fn hold(&mut self, received: Received) {
        self.shared.metrics.queue_wait.observe(received.waited.as_secs_f64());
        let _held = Held::new(&self.shared, received.module.clone());
        self.serve(received).await;
    }

    fn forget_inactive(&mut self) {
        let modules = self.shared.registry.snapshot();
        self.warm.retain(|instance| modules.runs(instance.program()));
    }

    async fn serve(&mut self, received: Received) {
        let receipt = received.receipt.clone().map(|receipt| (received.channel.clone(), receipt));
        let delivery = self.delivery(&received.message, receipt);
        if received.module.is_unrouted() {
            return unrouted::send_on(
                &self.shared.registry,
                &self.shared.drain,
                delivery,
                received,
            )
            .await;
        }
        let Received { channel, module, message, waited, .. } = received;
        // Taken once: a change while this runs does not touch it.
        let modules = match catch_up::modules(&self.shared.registry, &module, &message).await {
            Ok(modules) => modules,
            Err(behind) => {
                return self
                    .fall_behind(&delivery, behind, (module, channel), message, waited)
                    .await;
            }
        };
        let version = modules.version(&module).cloned();
        let consumer = version.as_ref().and_then(|it| consumer(it, &channel, &message));
        let (Some(version), Some(consumer)) = (version, consumer) else {
            let version = modules.version(&module);
            let number = version.map_or(0, |version| version.number);
            let done = done(Outcome::Gone, version.map_or(0, |it| it.activation), None);
            unrun::note(&self.shared, (module, number), channel, &message, RecordOutcome::Gone);
            return self.conclude_without_run(&delivery, done).await;
        };
        let pass = match is_end(&message) {
            true => Some(Pass::default()),
            false => self.shared.breakers.admit(&module, version.activation),
        };
        let Some(pass) = pass else {
            let by = ByModule { module: module.as_str().to_owned() };
            self.shared.metrics.breaker_refusals.get_or_create(&by).inc();
            let done = done(Outcome::Refused, version.activation, None);
            return self.conclude_without_run(&delivery, done).await;
        };
        let correlation = message.correlation;
        let work = Work {
            correlation,
            task: match message.payload {
                Payload::Event(event) => Task::Event(event),
                Payload::Custom(content) => Task::Message { channel: channel.clone(), content },
            },
            channel,
            owners: Arc::clone(&modules.owners),
            pass,
            in_place_of: None,
        };
        drop(modules);
        self.run_and_conclude(delivery, version, consumer, work).await;
    }

    /// Leaves an event to another worker, or fails it because this one is behind.
    async fn fall_behind(
        &self,
        delivery: &Delivery,
        Behind { fault, event_expiry }: Behind,
        (module, channel): (ModuleName, ChannelName),
        message: Message,
        waited: Duration,
    ) {
        let correlation = message.correlation;
        let left = event_expiry.map(|expiry| expiry.saturating_sub(waited));
        if let Some(left) = left
            && catch_up::send_back(&*self.shared.layer, &channel, &message, left).await
        {
            return;
        }
        unrun::note(&self.shared, (module, 0), channel, &message, RecordOutcome::Fault(fault));
        let done = done(Outcome::Fault(correlation), 0, None);
        self.conclude_without_run(delivery, done).await;
    }

    /// Runs the consumer. If a version on probation fails, its fallback runs the task again, unless the run is
    /// not repeatable or its time is over.
    async fn run_and_conclude(
        &mut self,
        delivery: Delivery,
        version: Arc<Version>,
        consumer: Arc<str>,
        work: Work,
    ) {
        let began = Instant::now();
        let fallback = version.probation.fallback();
        let in_place_of = Some(version.number);
        let again = fallback.as_ref().map(|_| Work { in_place_of, ..work.clone() });
        let limits = Arc::clone(&version.limits);
        let (mut finished, mut record) =
            self.attempt(&delivery, &version, (consumer, limits), work).await;
        let fault = finished.fault.as_ref().map(ToString::to_string);
        if self.shared.registry.note(&version, fault.as_deref()).await {
            let by = ByModule { module: version.name.as_str().to_owned() };
            self.shared.metrics.rollbacks.get_or_create(&by).inc();
        }
        let left = version.limits.deadline.saturating_sub(began.elapsed());
        let may_repeat = finished.repeatable && !left.is_zero();
        if let (true, true, Some(fallback), Some(work)) =
            (fault.is_some(), may_repeat, fallback, again)
            && let Some(consumer) = fallback.consumer(&record.consumer).cloned()
        {
            let deadline = left.min(fallback.limits.deadline);
            let limits = Arc::new(Limits { deadline, ..(*fallback.limits).clone() });
            let second = self.attempt(&delivery, &fallback, (consumer, limits), work).await;
            if second.0.fault.is_none() {
                (finished, record) = second;
            }
        }
        self.conclude(delivery, version.activation, finished, record).await;
    }

    async fn attempt(
        &mut self,
        delivery: &Delivery,
        version: &Arc<Version>,
        (consumer, limits): (Arc<str>, Arc<Limits>),
        work: Work,
    ) -> (Finished, Arc<Record>) {
        let started = SystemTime::now();
        let outlet: Arc<dyn Outlet> = Arc::new(delivery.clone());
        let job = Job {
            consumer: Arc::clone(&consumer),
            correlation: work.correlation,
            task: work.task,
            limits,
            lent: Lent {
                module: version.name.clone(),
                grants: Arc::clone(&version.grants),
                owners: work.owners,
            },
            outlet,
            on_long: priority::demote,
        };
        let mut finished = self.invoke(version, job).await;
        let record = Arc::new(Record {
            id: self.shared.records.next_id(),
            started,
            correlation: work.correlation,
            module: version.name.clone(),
            version: version.number,
            in_place_of: work.in_place_of,
            consumer,
            channel: work.channel,
            outcome: finished.fault.clone().map_or(RecordOutcome::Ok, RecordOutcome::Fault),
            usage: finished.usage,
            log: std::mem::take(&mut finished.log),
            messages_dropped: AtomicUsize::new(0),
        });
        report(&self.shared, &record, version.activation, work.pass);
        // Whoever gets the id must find the record.
        self.shared.records.add(Arc::clone(&record));
        (finished, record)
    }

    fn delivery(&self, message: &Message, receipt: Option<(ChannelName, Receipt)>) -> Delivery {
        let origin = match &message.payload {
            Payload::Event(event) => {
                let words = (!event.wants_done).then(|| FallbackReply::about(&event.kind));
                event.scope.reply_channel.connection().map(|(node, local)| {
                    let order = event.order;
                    Origin { node, local, order, words }
                })
            }
            Payload::Custom(_) => None,
        };
        Delivery {
            layer: Arc::clone(&self.shared.layer),
            metrics: Arc::clone(&self.shared.metrics),
            warnings: Arc::clone(&self.shared.warnings),
            correlation: message.correlation,
            origin,
            receipt,
            answered: Arc::default(),
        }
    }

    async fn conclude_without_run(&self, delivery: &Delivery, done: Done) {
        if delivery.origin.is_none() && delivery.receipt.is_none() {
            self.shared.metrics.dropped(DropReason::NotRun);
        }
        // No entries, so no channel can be full.
        drop(delivery.conclude(Vec::new(), Some(done)).await);
        delivery.settle(false, self.shared.retry_pause).await;
    }

    async fn invoke(&mut self, version: &Arc<Version>, job: Job) -> Finished {
        let warm = self
            .warm
            .iter()
            .position(|instance| instance.is_of(&version.program))
            .map(|at| self.warm.remove(at));
        // A defect of the host in one run must not take the slot with it.
        let run = AssertUnwindSafe(version.program.run(job, warm)).catch_unwind().await;
        let (finished, instance) = run.unwrap_or_else(|_| {
            let fault = Fault::Host("the host panicked; its log says where".into());
            (
                Finished {
                    fault: Some(fault),
                    outbox: Vec::new(),
                    state: None,
                    usage: Usage::default(),
                    log: LogLines::default(),
                    // It may have changed something before.
                    repeatable: false,
                },
                None,
            )
        });
        if let Some(instance) = instance.filter(|it| it.runs() < version.settings.reuse) {
            if self.warm.len() >= WARM {
                self.warm.remove(0);
            }
            self.warm.push(instance);
        }
        finished
    }

    async fn conclude(
        &self,
        delivery: Delivery,
        activation: u64,
        finished: Finished,
        record: Arc<Record>,
    ) {
        let shared = Arc::clone(&self.shared);
        let Finished { fault, outbox, state, .. } = finished;
        let outcome = match &fault {
            None => Outcome::Ok,
            Some(Fault::StateUnreadable(_)) => Outcome::StateUnreadable(record.correlation),
            Some(_) => Outcome::Fault(record.correlation),
        };
        let done = delivery.origin.is_some().then(|| done(outcome, activation, state));
        if delivery.receipt.is_none() && outbox.iter().all(|it| matches!(it, Entry::Reply(_))) {
            return self.answer(delivery, outbox, done).await;
        }
        let (is_done, pause) = (fault.is_none(), shared.retry_pause);
        match delivery.conclude(outbox, done).await {
            Ok(()) => delivery.settle(is_done, pause).await,
            // The slot is free for others meanwhile.
            Err((halted, done)) => drop(shared.drain.spawn("outbox", async move {
                let dropped = delivery.conclude_patiently(halted, done).await;
                record.messages_dropped.store(dropped, Ordering::Relaxed);
                delivery.settle(is_done, pause).await;
            })),
        }
    }
}

impl Slot {
    /// Sends replies and nothing else. Where that takes its time the slot is free meanwhile: the next
    /// event of the connection comes after the mark, and nobody else is concerned.
    async fn answer(&self, delivery: Delivery, replies: Vec<Entry>, done: Option<Done>) {
        let Ok(permit) = Arc::clone(&self.shared.answering).try_acquire_owned() else {
            // No entry for a channel, so none can be full.
            drop(delivery.conclude(replies, done).await);
            return;
        };
        let mut answering = Box::pin(async move {
            drop(delivery.conclude(replies, done).await);
            drop(permit);
        });
        let drain = &self.shared.drain;
        if drain.enter(|| answering.as_mut().now_or_never()).is_none() {
            drop(drain.spawn("answer", answering));
        }
    }
}

/// What a consumer is run for, to be run once more if need be.
#[derive(Clone)]
struct Work {
    correlation: CorrelationId,
    channel: ChannelName,
    task: Task,
    owners: Arc<HashMap<ChannelName, ModuleName>>,
    pass: Pass,
    /// The version that failed at it before.
    in_place_of: Option<u64>,
}

fn consumer(version: &Version, channel: &ChannelName, message: &Message) -> Option<Arc<str>> {
    let found = match &message.payload {
        Payload::Event(event) => version.consumer(&event.consumer),
        Payload::Custom(_) => version.consumer_of(channel),
    };
    found.cloned()
}

fn done(outcome: Outcome, activation: u64, state: Option<bytes::Bytes>) -> Done {
    Done { outcome, state, activation }
}

/// Who was told that a connection began is told that it is over, whatever happened between.
fn is_end(message: &Message) -> bool {
    let Payload::Event(event) = &message.payload else { return false };
    matches!(event.kind, EventKind::WebsocketDisconnect(_) | EventKind::HttpDisconnect)
}

/// Counts a run and says what went wrong in it.
fn report(shared: &Shared, record: &Record, activation: u64, pass: Pass) {
    let fault = record.fault();
    let module = record.module.as_str().to_owned();
    let outcome = fault.map_or("ok", Fault::kind);
    let metrics = &shared.metrics;
    metrics.run_time.observe(record.usage.wall.as_secs_f64());
    if record.usage.sends_refused > 0 {
        let by = ByModule { module: module.clone() };
        metrics.sends_refused.get_or_create(&by).inc_by(record.usage.sends_refused);
    }
    metrics.invocations.get_or_create(&ByOutcome { module, outcome }).inc();
    host_log::write(record);
    if let Some(fault) = fault {
        tracing::warn!(
            module = %record.module, version = record.version, consumer = %record.consumer,
            channel = %record.channel, correlation = %record.correlation, kind = fault.kind(),
            "{fault}"
        );
    }
    let verdict = match fault {
        None => Verdict::Good,
        // Neither state of another version nor the host says anything about the code.
        Some(Fault::StateUnreadable(_) | Fault::Host(_)) => Verdict::None,
        Some(_) => Verdict::Bad,
    };
    let note = shared.breakers.note(&record.module, activation, pass, verdict);
    if let Some(pause) = note {
        let rest = Rest {
            until: SystemTime::now() + pause,
            fault: fault.map(ToString::to_string).unwrap_or_default(),
        };
        shared.registry.note_rest(&record.module, activation, rest);
        tracing::error!(
            module = %record.module, ?pause,
            "too many faults: events of this module are answered without running it"
        );
    }
}
