//! Events that need a later activation than this worker has, since another worker adopted a deployment
//! earlier.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, timeout_at};

use crate::{
    engine::Fault,
    layer::ChannelLayer,
    message::{ChannelName, Message, ModuleName, Payload},
    registry::{Modules, Registry},
};

/// How long a worker waits to hear of an activation that has served a connection already.
const CATCH_UP_TIMEOUT: Duration = Duration::from_secs(2);

/// This worker does not have the activation that an event needs.
#[derive(Debug)]
pub(super) struct Behind {
    /// The fault of the event if no other worker takes it.
    pub(super) fault: Fault,
    /// The time that events may wait in their channel. None if no other worker is known to have the activation.
    pub(super) event_expiry: Option<Duration>,
}

/// Returns the active modules once they are as new as the activation that served the connection. The first
/// event of a connection waits for its consumer, which only a later activation may have.
pub(super) async fn modules(
    registry: &Registry,
    module: &ModuleName,
    message: &Message,
) -> Result<Arc<Modules>, Behind> {
    let (seen, first) = match &message.payload {
        Payload::Event(event) => {
            let is_first = event.order == 0 && event.state.is_none();
            (event.activation, is_first.then_some(&*event.consumer))
        }
        Payload::Custom(_) => (0, None),
    };
    let mut changes = registry.changes();
    let until = Instant::now() + CATCH_UP_TIMEOUT;
    loop {
        let modules = registry.snapshot();
        let Some(version) = modules.version(module) else { return Ok(modules) };
        let here = version.activation;
        let can_begin = first.is_some_and(|consumer| version.consumer(consumer).is_some());
        if here >= seen || can_begin {
            return Ok(modules);
        }
        let is_left = registry.is_withheld(module);
        registry.hurry();
        if is_left || timeout_at(until, changes.changed()).await.is_err() {
            if first.is_some() && !is_left {
                // It is the connection's first event: no later activation has served it.
                return Ok(modules);
            }
            let fault = Fault::Host(format!(
                "this worker is behind: activation {here} of the module is active here, and the \
                 connection was served by {seen}"
            ));
            return Err(Behind {
                fault,
                event_expiry: is_left.then_some(version.settings.event_expiry),
            });
        }
    }
}

/// Sends an event back to its channel for another worker, unless it has expired. Returns whether the channel
/// took it.
pub(super) async fn send_back(
    layer: &dyn ChannelLayer,
    channel: &ChannelName,
    message: &Message,
    left: Duration,
) -> bool {
    if left.is_zero() {
        return false;
    }
    let message = Message { expires_after: Some(left), ..message.clone() };
    let sent = layer.send(channel, message).await;
    if let Err(error) = &sent {
        tracing::debug!(%error, %channel, "an event cannot be sent back for other workers");
    }
    sent.is_ok()
}
