//! Messages that are redelivered: the channels with retries of the test host.

use std::time::Duration;

use crate::consumers::Trigger;
use crate::host::types::Event;

use super::world::{Job, Later, World};

/// The pause before the second delivery. It doubles each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Which message, and which delivery of it.
#[derive(Debug, Clone)]
pub(super) struct Delivery {
    /// 32 hexadecimal digits.
    pub(super) id: String,
    /// Counts from 1.
    pub(super) attempt: u32,
}

impl Delivery {
    /// The first one of a message.
    pub(super) const fn first(id: String) -> Self {
        Self { id, attempt: 1 }
    }
}

impl World {
    /// Its consumer has failed: a message of a channel with retries is redelivered, or goes to the channel for what
    /// cannot be done.
    pub(super) fn deliver_again(&mut self, job: &Job) {
        let (Some(delivery), Event::ChannelMessage(message)) = (&job.delivery, &job.event) else {
            return;
        };
        let Trigger::Channel { retries: Some(retries), .. } = job.entry.trigger else { return };
        let (channel, content) = (message.channel.clone(), message.content.clone());
        let Delivery { id, attempt } = delivery.clone();
        if attempt > retries {
            let first = Delivery::first(id);
            self.send_as(format!("{channel}.dead"), content, &job.correlation, first);
            return;
        }
        let pause = FIRST_PAUSE.saturating_mul(1 << (attempt - 1).min(16)).min(PAUSE_MAX);
        let again = Delivery { id, attempt: attempt + 1 };
        let correlation = job.correlation.clone();
        let later = Later { timer: None, channel, content, correlation, again: Some(again) };
        self.wait(self.now + pause, later);
    }
}
