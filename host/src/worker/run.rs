//! Runs the consumer of a message, and the fallback where a version on probation fails.

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::{Arc, atomic::AtomicUsize},
    time::{Duration, Instant, SystemTime},
};

use futures_util::FutureExt;

use super::{
    Record, RecordOutcome, Shared, answer,
    breaker::Pass,
    catch_up::{self, Behind},
    delivery::Delivery,
    instances::Instances,
    priority, unrouted, unrun, verdict,
};
use crate::{
    capability::Lent,
    engine::{Fault, Finished, Job, Limits, LogLines, Outlet, Task, Usage},
    layer::Received,
    message::{ChannelName, CorrelationId, EventKind, Message, ModuleName, Outcome, Payload},
    registry::Version,
    telemetry::ByModule,
};

/// Runs the consumers of one slot.
pub(super) struct Runner {
    shared: Arc<Shared>,
    instances: Instances,
}

/// The work of a message, for one attempt or more.
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

impl Runner {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        let instances = Instances::new(Arc::clone(&shared.metrics));
        Self { shared: Arc::clone(shared), instances }
    }

    /// Drops instances of versions that are not active any more.
    pub(super) fn forget_inactive(&mut self) {
        self.instances.forget_inactive(&self.shared.registry.snapshot());
    }

    /// Makes ready what the next message is likely to need.
    pub(super) async fn prepare(&mut self) {
        self.instances.prepare().await;
    }

    /// Serves a message, from its receipt to its done mark.
    pub(super) async fn serve(&mut self, received: Received) {
        let receipt = received.receipt.clone().map(|receipt| (received.channel.clone(), receipt));
        let delivery = answer::delivery(&self.shared, &received.message, receipt);
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
            let done = answer::done(Outcome::Gone, version.map_or(0, |it| it.activation), None);
            unrun::note(&self.shared, (module, number), channel, &message, RecordOutcome::Gone);
            return answer::conclude_without_run(&self.shared, &delivery, done).await;
        };
        let pass = match is_end(&message) {
            true => Some(Pass::default()),
            false => self.shared.breakers.admit(&module, version.activation),
        };
        let Some(pass) = pass else {
            let by = ByModule { module: module.as_str().to_owned() };
            self.shared.metrics.breaker_refusals.get_or_create(&by).inc();
            let done = answer::done(Outcome::Refused, version.activation, None);
            return answer::conclude_without_run(&self.shared, &delivery, done).await;
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
        let done = answer::done(Outcome::Fault(correlation), 0, None);
        answer::conclude_without_run(&self.shared, delivery, done).await;
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
            // The pool has room for one instance that runs.
            self.instances.drop_spent();
            let second = self.attempt(&delivery, &fallback, (consumer, limits), work).await;
            if second.0.fault.is_none() {
                (finished, record) = second;
            }
        }
        answer::conclude(&self.shared, delivery, version.activation, finished, record).await;
        self.instances.drop_spent();
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
        verdict::report(&self.shared, &record, version.activation, work.pass);
        // Whoever gets the id must find the record.
        self.shared.records.add(Arc::clone(&record));
        (finished, record)
    }

    async fn invoke(&mut self, version: &Arc<Version>, job: Job) -> Finished {
        let waiting = self.instances.take(&version.program);
        // A defect of the host in one run must not take the slot with it.
        let run = AssertUnwindSafe(version.program.run(job, waiting)).catch_unwind().await;
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
        self.instances.put_back(version, instance);
        finished
    }
}

fn consumer(version: &Version, channel: &ChannelName, message: &Message) -> Option<Arc<str>> {
    let found = match &message.payload {
        Payload::Event(event) => version.consumer(&event.consumer),
        Payload::Custom(_) => version.consumer_of(channel),
    };
    found.cloned()
}

/// Whether it is the end of a connection. A consumer hears of each end, whatever happened before.
fn is_end(message: &Message) -> bool {
    let Payload::Event(event) = &message.payload else { return false };
    matches!(event.kind, EventKind::WebsocketDisconnect(_) | EventKind::HttpDisconnect)
}
