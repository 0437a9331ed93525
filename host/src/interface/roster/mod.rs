//! Answers questions of operators about the connections of this node, and closes connections for them.
//!
//! Names of connections are ordered, and pages go by them. A look goes from shard to shard, so that it keeps no
//! connection from its mail for longer than one shard takes.

mod question;

#[cfg(test)]
mod tests;

use std::{
    collections::HashSet,
    sync::{Arc, Weak},
    time::SystemTime,
};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::task::yield_now;

pub use self::question::{
    Answer, ClientClose, ConnectionFacts, QUESTIONS, Question, QuestionError, Selection,
};
use super::{
    Hub,
    connections::Entry,
    drain,
    mailbox::{Mail, Mailbox},
};
use crate::{
    layer::Respondent,
    message::{ChannelName, Close, GroupName, LocalName, Protocol},
    routing::Route,
};

/// The facts of a connection that a route was found for.
#[derive(Clone, Debug)]
pub(super) struct About {
    pub(super) route: Arc<Route>,
    pub(super) scope: Arc<crate::message::Scope>,
    pub(super) since: SystemTime,
}

/// Lends the hub to a layer that brings questions.
pub(super) fn respondent(hub: &Arc<Hub>) -> Weak<dyn Respondent> {
    let hub: Arc<dyn Respondent> = Arc::<Hub>::clone(hub);
    Arc::downgrade(&hub)
}

#[async_trait]
impl Respondent for Hub {
    async fn respond(&self, question: Bytes) -> Bytes {
        let answer = match Question::open(&question) {
            Ok(Question::Count { of }) => Answer::Count { total: self.count(&of).await },
            Ok(Question::List { of, after, limit }) => {
                let connections = self.list(&of, after.as_deref(), limit).await;
                Answer::List { connections }
            }
            Ok(Question::Show { of, connection }) => {
                Answer::Show { connection: self.show(&of, &connection).map(Box::new) }
            }
            Ok(Question::Close { of, connection, close }) => {
                Answer::Closing { connections: self.close(&of, connection, close).await }
            }
            // A filter that this release does not know must not be passed over.
            Err(error) => Answer::NotUnderstood { reason: error.to_string() },
        };
        answer.seal()
    }
}

/// What is taken of the connections that are selected.
enum Taken {
    Nothing,
    Facts,
}

impl Hub {
    /// The names that a group selects, none where no group is asked for.
    fn members(&self, of: &Selection) -> Option<HashSet<LocalName>> {
        let group = of.group.as_deref()?;
        let group = GroupName::parse(group).ok();
        let members = group.map(|group| self.layer.members_on(&self.node, &group));
        Some(members.unwrap_or_default().into_iter().collect())
    }

    async fn count(&self, of: &Selection) -> u64 {
        let members = self.members(of);
        let mut total = 0;
        for shard in 0..self.connections.shards() {
            let found = self.look(shard, of, members.as_ref(), None, &Taken::Nothing);
            total += found.count;
            yield_now().await;
        }
        total
    }

    async fn list(
        &self,
        of: &Selection,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<ConnectionFacts> {
        let members = self.members(of);
        let mut found = Vec::new();
        let first = after.map_or(0, |after| self.connections.shard_of(after));
        for shard in first..self.connections.shards() {
            let mut here = self.look(shard, of, members.as_ref(), after, &Taken::Facts);
            here.facts.sort_by(|a, b| a.connection.cmp(&b.connection));
            here.facts.truncate(limit - found.len());
            found.append(&mut here.facts);
            if found.len() >= limit {
                break;
            }
            yield_now().await;
        }
        found
    }

    fn show(&self, of: &Selection, connection: &str) -> Option<ConnectionFacts> {
        let (local, entry) = self.named(of, connection)?;
        let mut facts = self.facts(&local, &entry)?;
        let channel = ChannelName::of_connection(&self.node, &local);
        // That of its user is the host's: `user` says whose it is.
        let groups = self.layer.groups_of(&channel).into_iter().filter(|it| !it.is_reserved());
        facts.groups = Some(groups.map(|group| group.to_string()).collect());
        Some(facts)
    }

    /// A connection by its reply channel, if the selection has it.
    fn named(&self, of: &Selection, connection: &str) -> Option<(LocalName, Entry)> {
        let (node, local) = ChannelName::parse(connection).ok()?.connection()?;
        let entry = self.connections.entry(&local).filter(|_| node == self.node)?;
        let members = self.members(of);
        is_selected(&entry, &local, of, members.as_ref()).then_some((local, entry))
    }

    async fn close(&self, of: &Selection, connection: Option<String>, close: ClientClose) -> u64 {
        let mailboxes: Vec<Arc<Mailbox>> = match connection {
            Some(connection) => {
                let named = self.named(of, &connection);
                named.map(|(_, entry)| entry.mailbox).into_iter().collect()
            }
            None => {
                let (members, mut mailboxes) = (self.members(of), Vec::new());
                for shard in 0..self.connections.shards() {
                    self.connections.for_each(shard, |local, entry| {
                        if is_selected(entry, local, of, members.as_ref()) {
                            mailboxes.push(Arc::clone(&entry.mailbox));
                        }
                    });
                    yield_now().await;
                }
                mailboxes
            }
        };
        let count = mailboxes.len() as u64;
        let (config, mail) = (self.config.drain.clone(), Mail::Closed(close.into()));
        // At the pace of a drain: clients that come back must not do so in waves.
        self.drain.spawn_until_stopped("closed connections", async move {
            drain::tell(mailboxes, &config, &mail).await;
        });
        count
    }

    fn look(
        &self,
        shard: usize,
        of: &Selection,
        members: Option<&HashSet<LocalName>>,
        after: Option<&str>,
        taken: &Taken,
    ) -> Found {
        let mut found = Found::default();
        self.connections.for_each(shard, |local, entry| {
            let is_behind = after.is_none_or(|after| local.as_str() > after);
            if is_behind && is_selected(entry, local, of, members) {
                found.count += 1;
                if matches!(taken, Taken::Facts) {
                    found.facts.extend(self.facts(local, entry));
                }
            }
        });
        found
    }

    fn facts(&self, local: &LocalName, entry: &Entry) -> Option<ConnectionFacts> {
        let About { route, scope, since } = entry.about.as_ref()?;
        Some(ConnectionFacts {
            connection: ChannelName::of_connection(&self.node, local).to_string(),
            module: route.module.to_string(),
            consumer: route.consumer.to_string(),
            protocol: word(entry.protocol).to_owned(),
            path: scope.path.clone(),
            client: scope.client.to_string(),
            user: scope.user.as_ref().map(|user| user.id().to_owned()),
            correlation_id: scope.correlation.to_string(),
            since_ms: since
                .duration_since(SystemTime::UNIX_EPOCH)
                .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX)),
            unsent_bytes: entry.mailbox.unsent() as u64,
            groups: None,
        })
    }
}

/// What a look at a shard has found.
#[derive(Default)]
struct Found {
    count: u64,
    facts: Vec<ConnectionFacts>,
}

const fn word(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Http => "http",
        Protocol::Websocket => "websocket",
    }
}

fn is_selected(
    entry: &Entry,
    local: &LocalName,
    of: &Selection,
    members: Option<&HashSet<LocalName>>,
) -> bool {
    // One without a route yet is nobody's.
    let Some(About { route, scope, .. }) = &entry.about else { return false };
    let Selection { module, group: _, user, protocol, covered } = of;
    let has_user =
        |wanted: &String| scope.user.as_ref().is_some_and(|user| user.id() == wanted.as_str());
    protocol.as_ref().is_none_or(|wanted| wanted == word(entry.protocol))
        && module.as_ref().is_none_or(|wanted| wanted == route.module.as_str())
        && covered.as_ref().is_none_or(|all| all.iter().any(|it| it == route.module.as_str()))
        && user.as_ref().is_none_or(has_user)
        && members.is_none_or(|members| members.contains(local))
}

impl From<ClientClose> for Close {
    fn from(close: ClientClose) -> Self {
        Self::new(close.code, close.reason)
    }
}
