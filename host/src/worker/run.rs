//! Finds the consumer of a message and runs it.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;

use super::{
    RecordOutcome, Shared, access, answer,
    attempt::Attempt,
    breaker::Pass,
    catch_up::{self, Behind},
    commit,
    delivery::Delivery,
    instances::Instances,
    priority, unrouted, unrun,
};
use crate::{
    capability::Lent,
    engine::{Finished, Job, Task},
    layer::Received,
    message::{ChannelName, EventKind, Message, ModuleName, Outcome, Payload},
    registry::Version,
    telemetry::ByModule,
};

/// Runs the consumers of one slot.
pub(super) struct Runner {
    shared: Arc<Shared>,
    instances: Instances,
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

    /// Clears the memory of the instance that ran last.
    pub(super) fn drop_spent(&mut self) {
        self.instances.drop_spent();
    }

    /// Serves a message, from its receipt to its done mark.
    pub(super) async fn serve(&mut self, received: Received) {
        let delivery = Arc::new(answer::delivery(&self.shared, &received));
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
        if let Payload::Event(event) = &message.payload
            && let Err(denied) = access::check(version.access(&consumer).map(|it| &**it), event)
        {
            let denied = (denied, version.activation);
            return access::refuse(&delivery, denied, (&module, &consumer), event).await;
        }
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
        let job = Job {
            consumer,
            correlation: message.correlation,
            trace: delivery.place.map(|place| place.context()),
            message: message.id.filter(|_| matches!(message.payload, Payload::Custom(_))),
            attempt: delivery.attempt(),
            task: match message.payload {
                Payload::Event(event) => Task::Event(event),
                Payload::Custom(content) => Task::Message { channel: channel.clone(), content },
            },
            limits: Arc::clone(&version.limits),
            lent: Lent {
                module,
                grants: Arc::clone(&version.grants),
                owners: Arc::clone(&modules.owners),
                lasting: Arc::clone(&modules.lasting),
                process: self.shared.means.relay.process(),
                store: Arc::clone(&self.shared.store),
                sessions: self.shared.sessions.clone(),
                presence: version.declarations.presence().cloned(),
            },
            outlet: Arc::<Delivery>::clone(&delivery),
            on_long: priority::demote,
        };
        drop(modules);
        self.attempt(Attempt::first(delivery, version, channel, pass, job)).await;
        self.instances.drop_spent();
    }

    /// Runs a consumer until its outcome is known, or until its commit is on its way: then the slot is free.
    pub(super) async fn attempt(&mut self, attempt: Attempt) {
        let mut next = Some(attempt);
        while let Some(mut attempt) = next {
            // The pool has room for one instance that runs.
            self.instances.drop_spent();
            let finished = self.invoke(&mut attempt).await;
            next = commit::conclude(&self.shared, attempt, finished).await;
        }
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

    async fn invoke(&mut self, attempt: &mut Attempt) -> Finished {
        let Some(job) = attempt.job.take() else { return Finished::panicked() };
        let version = &attempt.version;
        let waiting = self.instances.take(&version.program);
        // A defect of the host in one run must not take the slot with it.
        let run = AssertUnwindSafe(version.program.run(job, waiting)).catch_unwind().await;
        let (finished, instance) = run.unwrap_or_else(|_| (Finished::panicked(), None));
        // What is in its memory may be of a run that is thrown away.
        let is_settled = finished.transaction.is_none();
        self.instances.put_back(version, instance, is_settled);
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
