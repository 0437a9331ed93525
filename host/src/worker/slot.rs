//! One slot: a thread that runs one consumer at a time.

use std::{
    io,
    panic::AssertUnwindSafe,
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
    breaker::Verdict,
    delivery::{Delivery, Origin},
    priority,
};
use crate::{
    engine::{Fault, Finished, Instance, Job, LogLines, Outlet, Task, Usage},
    layer::Received,
    message::{ChannelName, Done, EventKind, Message, ModuleName, Outcome, Payload},
    registry::Version,
    telemetry::{ByModule, ByOutcome},
};

/// Warm instances that a slot keeps.
const WARM: usize = crate::engine::WARM_PER_SLOT;

/// How soon a thread that could not be started is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Starts a slot's thread. It has the priority of the caller's thread to begin with.
pub(super) fn start(number: usize, shared: Arc<Shared>, token: TaskTrackerToken) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let run = move || {
        priority::lower();
        let drain = shared.drain.clone();
        let mut slot = Slot { shared: Arc::clone(&shared), warm: Vec::new() };
        runtime.block_on(slot.run());
        drop(slot);
        if priority::is_demoted() && !drain.is_stopping() {
            drain.spawn("slot", replace(number, shared, token));
        }
    };
    std::thread::Builder::new().name(format!("tidegate-slot-{number}")).spawn(run).map(drop)
}

/// Starts another thread in the place of one that gave up its priority.
async fn replace(number: usize, shared: Arc<Shared>, token: TaskTrackerToken) {
    while let Err(error) = start(number, Arc::clone(&shared), token.clone()) {
        tracing::error!(%error, number, "a slot has no thread; trying again");
        sleep_until(Instant::now() + RETRY).await;
        if shared.drain.is_stopping() {
            return;
        }
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
                received = shared.intake.next(&shared) => received,
            };
            let module = received.module.clone();
            shared.metrics.slots_busy.inc();
            shared.metrics.queue_wait.observe(received.waited.as_secs_f64());
            self.serve(received).await;
            shared.metrics.slots_busy.dec();
            shared.intake.release(&module);
            if priority::is_demoted() {
                return;
            }
        }
        for _ in 0..shared.intake.leftover().await {
            shared.metrics.dropped("unread");
        }
    }

    fn forget_inactive(&mut self) {
        let modules = self.shared.registry.snapshot();
        self.warm.retain(|instance| modules.runs(instance.program()));
    }

    async fn serve(&mut self, received: Received) {
        let Received { channel, module, message, .. } = received;
        let modules = self.shared.registry.snapshot();
        // Taken once: a change while this runs does not touch it.
        let version = modules.version(&module).cloned();
        let correlation = message.correlation;
        let delivery = self.delivery(&message);
        let consumer = version.as_ref().and_then(|version| match &message.payload {
            Payload::Event(event) => version.consumer(&event.consumer),
            Payload::Custom(_) => version.consumer_of(&channel),
        });
        let (Some(version), Some(consumer)) = (&version, consumer) else {
            let number = version.as_ref().map_or(0, |version| version.number);
            let done = done(Outcome::Gone, version.as_ref(), None);
            self.shared.records.add(Arc::new(gone(module, number, channel, &message)));
            return self.conclude_without_run(&delivery, done).await;
        };
        if !is_end(&message) && !self.shared.breakers.admits(&module, version.number) {
            let by = ByModule { module: module.as_str().to_owned() };
            self.shared.metrics.breaker_refusals.get_or_create(&by).inc();
            let done = done(Outcome::Refused, Some(version), None);
            return self.conclude_without_run(&delivery, done).await;
        }
        let (started, began) = (SystemTime::now(), Instant::now());
        let outlet: Arc<dyn Outlet> = Arc::new(delivery.clone());
        let job = Job {
            module: module.clone(),
            consumer: Arc::clone(consumer),
            correlation,
            task: match message.payload {
                Payload::Event(event) => Task::Event(event),
                Payload::Custom(content) => Task::Message { channel: channel.clone(), content },
            },
            limits: Arc::clone(&version.limits),
            owners: Arc::clone(&modules.owners),
            outlet,
            on_long: priority::demote,
        };
        let mut finished = self.invoke(version, job).await;
        let record = Record {
            started,
            correlation,
            module,
            version: version.number,
            consumer: Arc::clone(consumer),
            channel,
            outcome: finished.fault.clone().map_or(RecordOutcome::Ok, RecordOutcome::Fault),
            usage: finished.usage,
            log: std::mem::take(&mut finished.log),
            messages_dropped: AtomicUsize::new(0),
        };
        self.conclude(delivery, version, finished, record, began).await;
    }

    fn delivery(&self, message: &Message) -> Delivery {
        let origin = match &message.payload {
            Payload::Event(event) => event
                .scope
                .reply_channel
                .connection()
                .map(|(node, local)| Origin { node, local, order: event.order }),
            Payload::Custom(_) => None,
        };
        Delivery {
            layer: Arc::clone(&self.shared.layer),
            metrics: Arc::clone(&self.shared.metrics),
            correlation: message.correlation,
            origin,
        }
    }

    async fn conclude_without_run(&self, delivery: &Delivery, done: Done) {
        if delivery.origin.is_none() {
            self.shared.metrics.dropped("not_run");
        }
        // No entries, so no channel can be full.
        drop(delivery.conclude(Vec::new(), Some(done)).await);
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
        version: &Arc<Version>,
        finished: Finished,
        record: Record,
        began: Instant,
    ) {
        let shared = Arc::clone(&self.shared);
        let Finished { fault, outbox, state, .. } = finished;
        let record = Arc::new(record);
        report(&shared, &record, began);
        // Whoever gets the id must find the record.
        shared.records.add(Arc::clone(&record));
        let outcome = match &fault {
            None => Outcome::Ok,
            Some(Fault::StateUnreadable(_)) => Outcome::StateUnreadable(record.correlation),
            Some(_) => Outcome::Fault(record.correlation),
        };
        let done = delivery.origin.is_some().then(|| done(outcome, Some(version), state));
        if let Err((halted, done)) = delivery.conclude(outbox, done).await {
            // The slot is free for others meanwhile.
            shared.drain.spawn("outbox", async move {
                let dropped = delivery.conclude_patiently(halted, done).await;
                record.messages_dropped.store(dropped, Ordering::Relaxed);
            });
        }
    }
}

fn done(outcome: Outcome, version: Option<&Arc<Version>>, state: Option<bytes::Bytes>) -> Done {
    Done { outcome, state, version: version.map_or(0, |version| version.number) }
}

/// Who was told that a connection began is told that it is over, whatever happened between.
fn is_end(message: &Message) -> bool {
    let Payload::Event(event) = &message.payload else { return false };
    matches!(event.kind, EventKind::WebsocketDisconnect(_) | EventKind::HttpDisconnect)
}

/// The record of a message whose consumer is not there any more.
fn gone(module: ModuleName, version: u64, channel: ChannelName, message: &Message) -> Record {
    let consumer = match &message.payload {
        Payload::Event(event) => Arc::clone(&event.consumer),
        Payload::Custom(_) => channel.as_str().into(),
    };
    Record {
        started: SystemTime::now(),
        correlation: message.correlation,
        module,
        version,
        consumer,
        channel,
        outcome: RecordOutcome::Gone,
        usage: Usage::default(),
        log: LogLines::default(),
        messages_dropped: AtomicUsize::new(0),
    }
}

/// Counts a run and says what went wrong in it.
fn report(shared: &Shared, record: &Record, began: Instant) {
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
    // Line by line: what a guest prints must not pass for a line of the host.
    for line in record.log.text.lines() {
        tracing::info!(
            target: "tidegate::guest",
            module = %record.module, consumer = %record.consumer, correlation = %record.correlation,
            "{line}"
        );
    }
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
    let note = shared.breakers.note(&record.module, record.version, began, verdict);
    if let Some(pause) = note {
        tracing::error!(
            module = %record.module, ?pause,
            "too many faults: events of this module are answered without running it"
        );
    }
}
