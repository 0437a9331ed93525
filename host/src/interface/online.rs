//! Connections of users: a connection is one of its user's from before its first event, or from its hold, to its end.

use super::{conversation::Conversation, limits_log::Reason};
use crate::message::{Close, Entered, GroupName, Message};

/// The close code of the oldest connection of a user who has too many: to RFC 6455 it is private.
const DISPLACED: u16 = 4429;

/// Why a connection does not become one of its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotEntered {
    /// The user has as many as there may be.
    Full,
    /// The layer does not answer.
    Unavailable,
}

/// Makes a connection one of its user, if it has one, and closes the oldest ones where the module asks for that. The
/// connection leaves as it leaves its groups, also after an error. Dropping the future is such an end.
pub(super) async fn enter(conversation: &Conversation) -> Result<(), NotEntered> {
    let Conversation { hub, route, scope, .. } = conversation;
    let Some(user) = &scope.user else { return Ok(()) };
    let (client, correlation) = (scope.client.ip(), scope.correlation);
    let group = GroupName::of_user(&route.module, user.id());
    let limit = route.policy.user_limit;
    let is_dry_run = hub.config.limits.dry_run;
    let entered = hub.layer.enter(&group, &scope.reply_channel, limit.filter(|_| !is_dry_run));
    match entered.await {
        Ok(Entered::Full) => {
            hub.refuse(Reason::UserConnections, client);
            Err(NotEntered::Full)
        }
        Ok(Entered::In { connections, displaced }) => {
            let is_beyond = |most: usize| is_dry_run && connections > most;
            if limit.is_some_and(|limit| is_beyond(limit.connections.get() as usize)) {
                hub.refuse(Reason::UserConnections, client);
            }
            for channel in displaced {
                hub.refuse(Reason::UserConnections, client);
                let close = Close::new(DISPLACED, "the user has opened another connection");
                let closing = Message::custom(close.content(), correlation);
                if let Err(error) = hub.layer.send(&channel, closing).await {
                    tracing::warn!(%error, %correlation, "an older connection of a user stays open");
                }
            }
            Ok(())
        }
        Err(error) => {
            tracing::warn!(%error, %correlation, "a connection of a user is refused");
            Err(NotEntered::Unavailable)
        }
    }
}
