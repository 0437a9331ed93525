//! The slots of a worker, over a layer without anything else.

use std::sync::Arc;

use tidegate::layer::{ChannelLayer, Dispatch, LastingChannels, Owners, Received};

/// Slots that take messages and run nothing. They end when this is dropped.
#[derive(Debug)]
pub struct Slots {
    layer: Arc<dyn ChannelLayer>,
    dispatch: Arc<Dispatch>,
}

impl Slots {
    /// Reads channels with so many slots.
    pub fn read(
        layer: &Arc<dyn ChannelLayer>,
        owners: &Arc<Owners>,
        lasting: &Arc<LastingChannels>,
        slots: usize,
    ) -> Self {
        let dispatch = Dispatch::new(slots, slots);
        dispatch.read(Arc::clone(owners), Arc::clone(lasting));
        layer.attach(&dispatch);
        Self { layer: Arc::clone(layer), dispatch }
    }

    /// The next message. It keeps a slot.
    pub async fn take(&self) -> Received {
        self.dispatch.next(&*self.layer).await.unwrap()
    }

    /// The next message. Its slot is free again.
    pub async fn next(&self) -> Received {
        let received = self.take().await;
        self.dispatch.release(&received.module);
        received
    }

    /// Takes no more. Returns the messages that were handed over already.
    pub async fn stop(self) -> Vec<Received> {
        self.dispatch.close();
        let mut rest = Vec::new();
        while let Some(received) = self.dispatch.next(&*self.layer).await {
            rest.push(received);
        }
        rest
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        self.dispatch.close();
    }
}
