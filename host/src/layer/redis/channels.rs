//! Channels: sending to one, now or later, and settling what was taken of one that delivers at least
//! once. `receive` takes messages.

use std::time::Duration;

use super::{
    Shared, content_for, error_of_item, no_partition,
    wire::{self, Parcel},
};
use crate::{
    layer::{LayerError, SendError, Statistics},
    message::{ChannelName, CorrelationId, Message, Receipt, Settled},
    redis::micros,
    telemetry::DropReason,
};

impl Shared {
    pub(super) async fn send(
        &self,
        channel: &ChannelName,
        message: Message,
    ) -> Result<(), SendError> {
        self.check_size(message.len())?;
        if let Some((node, local)) = channel.connection() {
            let parcel = Parcel::Message {
                to: local,
                content: content_for(channel, message.payload)?,
                correlation: message.correlation,
            };
            self.deliver(&node, &parcel).await?;
            self.metrics.messages_sent.inc();
            return Ok(());
        }
        let partition = self.partition_of(channel.as_str());
        let sending = self.sending.get(partition).ok_or_else(no_partition)?;
        let life = message.expires_after.unwrap_or(self.config.expiry);
        let (capacity, life) = (self.config.capacities.of(channel), micros(life));
        let (outcome, expired) = sending
            .call(vec![
                channel.as_str().into(),
                capacity.to_string().into(),
                life.to_string().into(),
                wire::seal(&message),
            ])
            .await?;
        self.metrics.dropped_many(DropReason::Expired, expired);
        match outcome.as_str() {
            "ok" => {
                self.metrics.messages_sent.inc();
                Ok(())
            }
            "full" => Err(SendError::ChannelFull(channel.clone())),
            _ => Err(error_of_item(&format!("channel {channel}"), &outcome).into()),
        }
    }

    pub(super) async fn send_later(
        &self,
        channel: &ChannelName,
        message: Message,
        delay: Duration,
    ) -> Result<(), SendError> {
        self.check_size(message.len())?;
        let life = message.expires_after.unwrap_or(self.config.expiry);
        let (target, name, limit, payload) = match channel.connection() {
            Some((node, to)) => {
                let correlation = message.correlation;
                let content = content_for(channel, message.payload)?;
                let parcel = Parcel::Message { to, content, correlation };
                ("node", node.to_string(), self.config.inbox_bytes, parcel.seal())
            }
            None => {
                let capacity = self.config.capacities.of(channel);
                ("channel", channel.to_string(), capacity, wire::seal(&message))
            }
        };
        let link = self.link(&name)?;
        let mut call = self.scripts.later.key(&link.keys.base);
        call.arg(CorrelationId::random().to_string())
            .arg(micros(delay))
            .arg(self.config.delayed_messages)
            .arg(target)
            .arg(name)
            .arg(limit)
            .arg(micros(life))
            .arg(payload);
        let taken: u8 = link.call(&call).await?;
        if taken == 0 {
            return Err(SendError::TooManyDelayed { limit: self.config.delayed_messages });
        }
        self.due.notify_waiters();
        Ok(())
    }

    pub(super) async fn settle(
        &self,
        channel: &ChannelName,
        receipt: &Receipt,
        settled: Settled,
    ) -> Result<(), LayerError> {
        let link = self.link(channel.as_str())?;
        let (how, pause) = match settled {
            Settled::Done => ("done", Duration::ZERO),
            Settled::Again(pause) => ("again", pause),
            Settled::Dead => ("dead", Duration::ZERO),
        };
        let mut call = self.scripts.settle.key(&link.keys.base);
        call.arg(receipt.id).arg(how).arg(micros(pause));
        let outcome: String = link.call(&call).await?;
        match (settled, outcome.as_str()) {
            (Settled::Dead, "ok") => drop(self.metrics.messages_dead_lettered.inc()),
            (Settled::Dead, "full") => self.metrics.dropped(DropReason::DeadLetterFull),
            (Settled::Again(_), _) => self.due.notify_waiters(),
            _ => {}
        }
        Ok(())
    }

    pub(super) async fn statistics(&self) -> Result<Statistics, LayerError> {
        let mut statistics = Statistics::default();
        for link in &*self.links {
            let call = self.scripts.statistics.key(&link.keys.base);
            let (groups, delayed, channels): (usize, usize, Vec<String>) = link.call(&call).await?;
            statistics.groups += groups;
            statistics.delayed += delayed;
            for channel in channels.chunks_exact(3) {
                if let [name, messages, age] = channel
                    && let (Ok(name), Ok(messages), Ok(age)) =
                        (ChannelName::parse(name), messages.parse::<usize>(), age.parse())
                {
                    // Dead letters may be in two partitions.
                    let found = statistics.channels.entry(name).or_default();
                    found.0 += messages;
                    found.1 = found.1.max(Duration::from_micros(age));
                }
            }
        }
        Ok(statistics)
    }
}
