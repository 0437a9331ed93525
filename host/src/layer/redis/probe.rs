//! Probes: messages that go through each partition and each inbox, as work does.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::{Shared, inbox::Put, wire::Parcel};
use crate::{layer::LayerError, message::CorrelationId};

/// The time that all probes have together.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

impl Shared {
    pub(super) async fn probe(&self) -> Result<(), LayerError> {
        match timeout_at(Instant::now() + PROBE_TIMEOUT, self.probe_all()).await {
            Ok(probed) => probed,
            Err(_) => Err(self.trouble().unwrap_or_else(|| {
                LayerError::TimedOut(format!("a probe did not come back within {PROBE_TIMEOUT:?}"))
            })),
        }
    }

    /// Returns an error that is known already, if there is one.
    fn trouble(&self) -> Option<LayerError> {
        self.links
            .iter()
            .find_map(|link| link.trouble().map(Into::into))
            .or_else(|| self.receivers.trouble())
    }

    async fn probe_all(&self) -> Result<(), LayerError> {
        let id = CorrelationId::random().to_string();
        for (link, registrations) in self.links.iter().zip(&self.registrations) {
            let mut call = self.scripts.probe.key(&link.keys.base);
            call.arg(format!("tidegate.probe.{id}")).arg(&id);
            let same: u8 = link.call(&call).await?;
            if same == 0 {
                return Err(LayerError::Defect(
                    "a probe did not come back as it was sent".to_owned(),
                ));
            }
            self.metrics.messages_sent.inc();
            self.metrics.messages_received.inc();
            if !registrations.are_whole(link) {
                return Err(LayerError::NotRegistered(
                    "groups are being registered again".to_owned(),
                ));
            }
        }
        for node in self.nodes() {
            let number = node.probe();
            match self.put(&node.name, &Parcel::Probe { number }).await? {
                Put::Taken => node.hears(number).await,
                Put::Full => return Err(LayerError::InboxFull(node.name.clone())),
                Put::Gone => {
                    return Err(LayerError::NotRegistered(
                        "Redis does not know this node yet or any more".to_owned(),
                    ));
                }
            }
        }
        self.receivers.trouble().map_or(Ok(()), Err)
    }
}
