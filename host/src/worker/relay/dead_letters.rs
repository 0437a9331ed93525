//! Dead letters of a single process: the store keeps them as messages to `NAME.dead`, until they are run again,
//! dropped, read or over. Over Redis the layer keeps them itself.

use std::time::{Duration, SystemTime};

use super::{Relay, State};
use crate::{
    capability::store::{Commit, Committed, Parcel, Place, Quota, RunId, commit_surely},
    layer::KEPT,
    message::{ChannelName, Content, CorrelationId, MessageId, seal_relayed_as},
};

/// Returns how long a dead letter goes on that was stored then. None: no longer.
pub(super) fn rest_of_life(stored: SystemTime) -> Option<Duration> {
    let age = SystemTime::now().duration_since(stored).unwrap_or_default();
    KEPT.checked_sub(age).filter(|rest| !rest.is_zero())
}

impl State {
    /// Notes that a message need not be stored any more. Returns whether this process has stored it.
    pub(super) fn settle(&mut self, id: MessageId) -> bool {
        self.dead.remove(&id);
        let Some((module, place)) = self.unsettled.remove(&id) else { return false };
        self.settled.entry(module).or_default().push(place);
        true
    }
}

impl Relay {
    /// Stores a message of a channel as a dead letter, in place of what stands in the store. Does nothing for one that
    /// the layer keeps itself, or that is stored as one already. The worker calls it before the message is settled.
    pub(in crate::worker) async fn buried(
        &self,
        id: MessageId,
        channel: &ChannelName,
        correlation: CorrelationId,
        content: &Content,
    ) {
        let known = {
            let mut state = self.state();
            let known = state.unsettled.get(&id).cloned();
            known.filter(|_| state.dead.insert(id))
        };
        let (Some((module, before)), Ok(dead)) = (known, channel.dead()) else { return };
        let payload = seal_relayed_as(id, Some(self.process), correlation, content);
        let mut commit = Commit::new(RunId::random(), Quota::NONE);
        commit.relayed.push(Parcel { target: dead.to_string(), payload });
        match commit_surely(&*self.store, &module, commit).await {
            Ok(Committed { number }) => {
                let mut state = self.state();
                let place = number.map(|number| Place { number, at: 0 });
                if let (Some(place), Some(known)) = (place, state.unsettled.get_mut(&id)) {
                    known.1 = place;
                    state.settled.entry(module).or_default().push(before);
                }
                drop(state);
                self.woken.notify_one();
            }
            // What stands in the store is run again by the next process.
            Err(error) => self.warn(&error),
        }
    }

    /// Forgets dead letters that the layer has no more: they were dropped, read, or are over.
    pub(super) fn forget_gone(&self) {
        let mut gone = self.state().dead.clone();
        if gone.is_empty() {
            return;
        }
        self.layer.retain_forgotten(&mut gone);
        let mut state = self.state();
        for id in gone {
            state.settle(id);
        }
    }
}
