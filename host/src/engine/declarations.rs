//! Declarations of a module about its consumers, besides routes: read once for each version, and
//! checked key by key.

mod history;

use std::{collections::BTreeMap, ops::RangeInclusive, sync::Arc, time::Duration};

use bytes::Bytes;
use serde::Deserialize;

use super::log;
use crate::{
    capability::{
        presence::{Audience, PresenceDeclaration, PresenceRules},
        schedule::{Missed, Overlap, Schedule},
    },
    message::{Content, ContentError, GroupPattern, HistoryRule},
    routing::{Access, ClaimRule, ClaimValue, RouteSpec, Trigger},
};

/// The declarations about one consumer. Each key that the host knows has a field here and a row in
/// `KEYS`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerDeclarations {
    /// When the consumer is run by the clock.
    pub schedule: Option<Schedule>,
    /// Its demands on the user.
    pub access: Option<Arc<Access>>,
    /// How groups announce to it, or to its clients, who comes and goes.
    pub presence: Option<PresenceDeclaration>,
    /// Groups of its module that are remembered.
    pub histories: Vec<(GroupPattern, HistoryRule)>,
    /// For how long its connections are kept for clients that were lost.
    pub resume: Option<Duration>,
}

/// Checks the value of a key, as MessagePack, and keeps it for a consumer with a trigger. The error is the
/// rule that it breaks.
type Keep<T> = fn(&mut T, &Trigger, &[u8]) -> Result<(), String>;

/// The keys that the host knows. A key that is not among them is refused: if it was a guard, the
/// consumer would be open without it.
const KEYS: &[(&str, Keep<ConsumerDeclarations>)] = &[
    ("schedule", |kept, trigger, value| {
        kept.schedule = Some(schedule(trigger, value)?);
        Ok(())
    }),
    ("user", |kept, trigger, value| {
        let is_required = user(trigger, value)?;
        access(kept).is_required |= is_required;
        Ok(())
    }),
    ("claims", |kept, trigger, value| {
        let claims = claims(trigger, value)?;
        let access = access(kept);
        // Nobody has claims but a user.
        access.is_required = true;
        access.claims = claims;
        Ok(())
    }),
    ("presence", |kept, trigger, value| {
        kept.presence = Some(presence(trigger, value)?);
        Ok(())
    }),
    ("history", |kept, _, value| {
        kept.histories = history::read(value)?;
        Ok(())
    }),
    ("resume", |kept, trigger, value| {
        kept.resume = Some(resume(trigger, value)?);
        Ok(())
    }),
];

/// The most claims that a consumer may ask for, and values of one.
const CLAIM_RULES_MAX: usize = 32;
/// For how long a consumer may ask to keep a connection whose client was lost.
const RESUME_WINDOW: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_mins(10);

fn access(kept: &mut ConsumerDeclarations) -> &mut Access {
    let access = kept
        .access
        .get_or_insert_with(|| Arc::new(Access { is_required: false, claims: Vec::new() }));
    Arc::make_mut(access)
}

fn of_connection(trigger: &Trigger) -> Result<(), String> {
    if matches!(trigger, Trigger::Channel { .. }) {
        return Err(
            "a consumer of HTTP or of WebSockets has a user, and this one has a channel".to_owned()
        );
    }
    Ok(())
}

/// Whether a user is required.
fn user(trigger: &Trigger, value: &[u8]) -> Result<bool, String> {
    of_connection(trigger)?;
    match rmp_serde::from_slice(value) {
        Ok("required") => Ok(true),
        Ok("optional") => Ok(false),
        _ => Err("give \"required\" or \"optional\"".to_owned()),
    }
}

/// A value of a claim as it is declared.
#[derive(Deserialize)]
#[serde(untagged)]
enum DeclaredValue {
    Text(String),
    Integer(i64),
    Bool(bool),
}

/// A value, or several of which one is enough.
#[derive(Deserialize)]
#[serde(untagged)]
enum DeclaredValues {
    One(DeclaredValue),
    Several(Vec<DeclaredValue>),
}

fn claims(trigger: &Trigger, value: &[u8]) -> Result<Vec<ClaimRule>, String> {
    of_connection(trigger)?;
    let rule = "give a map of 1 to 32 claims, each with a text, an integer or a bool, or a list of 1 to 32 of \
                these";
    let declared: BTreeMap<String, DeclaredValues> =
        rmp_serde::from_slice(value).map_err(|_| rule.to_owned())?;
    let kept = |value| match value {
        DeclaredValue::Text(text) => ClaimValue::Text(text),
        DeclaredValue::Integer(number) => ClaimValue::Integer(number),
        DeclaredValue::Bool(value) => ClaimValue::Bool(value),
    };
    let claims: Vec<_> = (declared.into_iter())
        .map(|(name, values)| {
            let values = match values {
                DeclaredValues::One(value) => vec![kept(value)],
                DeclaredValues::Several(values) => values.into_iter().map(kept).collect(),
            };
            ClaimRule { name, values }
        })
        .collect();
    let sizes = (claims.iter().map(|rule| rule.values.len())).chain([claims.len()]);
    if sizes.into_iter().any(|size| size == 0 || size > CLAIM_RULES_MAX) {
        return Err(rule.to_owned());
    }
    Ok(claims)
}

/// A schedule as it is declared.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scheduled {
    expression: String,
    /// UTC if it is left out.
    zone: Option<String>,
    /// `once` if it is left out.
    missed: Option<String>,
    /// None: runs may overlap.
    overlap: Option<String>,
}

fn schedule(trigger: &Trigger, value: &[u8]) -> Result<Schedule, String> {
    let Trigger::Channel { retries, .. } = trigger else {
        return Err("a consumer of a channel has one, and this is not such a consumer".to_owned());
    };
    let Scheduled { expression, zone, missed, overlap } =
        rmp_serde::from_slice(value).map_err(|error| {
            format!("{error}; give a map with `expression`, `zone`, `missed` and `overlap`, which are texts")
        })?;
    let missed = match missed.as_deref() {
        None | Some("once") => Missed::Once,
        Some("skip") => Missed::Skip,
        Some(other) => return Err(format!("`missed` is \"once\" or \"skip\", not {other:?}")),
    };
    let overlap = match overlap.as_deref() {
        None => None,
        Some(_) if retries.is_none_or(|retries| retries == 0) => {
            return Err("`overlap` needs to know when a run is over, which is known of channels with retries alone: \
                        give the channel `retries`"
                .to_owned());
        }
        Some("skip") => Some(Overlap::Skip),
        Some("queue") => Some(Overlap::Queue),
        Some(other) => return Err(format!("`overlap` is \"skip\" or \"queue\", not {other:?}")),
    };
    let zone = zone.as_deref().unwrap_or("UTC");
    let schedule = Schedule::parse(&expression, zone, missed).map_err(|error| error.to_string())?;
    Ok(schedule.overlapping(overlap))
}

/// A declaration of presence. Times are in milliseconds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Announced {
    groups: Groups,
    leave_after: Option<u64>,
    interval: Option<u64>,
    list: Option<usize>,
}

/// A name, or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum Groups {
    One(String),
    Several(Vec<String>),
}

fn presence(trigger: &Trigger, value: &[u8]) -> Result<PresenceDeclaration, String> {
    let Announced { groups, leave_after, interval, list } =
        rmp_serde::from_slice(value).map_err(|error| {
            format!(
                "{error}; give a map with `groups`, a text or a list of them, and perhaps the numbers \
                 `leave_after`, `interval` and `list`"
            )
        })?;
    let groups = match groups {
        Groups::One(name) => vec![name],
        Groups::Several(names) => names,
    };
    let audience = match trigger {
        Trigger::Channel { channel, .. } => Audience::Channel(channel.clone()),
        Trigger::Http { .. } | Trigger::Websocket { .. } => Audience::Clients,
    };
    let times = (leave_after.map(Duration::from_millis), interval.map(Duration::from_millis));
    PresenceDeclaration::new(&groups, audience, times, list).map_err(|error| error.to_string())
}

/// For how long connections are kept.
fn resume(trigger: &Trigger, value: &[u8]) -> Result<Duration, String> {
    if !matches!(trigger, Trigger::Websocket { .. }) {
        return Err("a consumer of WebSockets has it, and this is not such a consumer".to_owned());
    }
    let window = rmp_serde::from_slice(value).ok().map(Duration::from_millis);
    window
        .filter(|window| RESUME_WINDOW.contains(window))
        .ok_or_else(|| "give a number of milliseconds, from 1,000 to 600,000".to_owned())
}

/// The declarations of a module, by consumer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declarations {
    by_consumer: BTreeMap<Arc<str>, ConsumerDeclarations>,
    presence: Option<Arc<PresenceRules>>,
}

impl Declarations {
    /// Checks the bytes that `declare` returned.
    pub(super) fn check(bytes: Bytes, routes: &[RouteSpec]) -> Result<Self, DeclarationError> {
        let by_consumer = decode(bytes, routes, KEYS)?;
        history::check_once(&by_consumer)?;
        let declared = |it: &ConsumerDeclarations| it.presence.clone();
        let presence = PresenceRules::of(by_consumer.values().filter_map(declared)).map(Arc::new);
        Ok(Self { by_consumer, presence })
    }

    /// Returns the groups that are remembered.
    pub fn histories(&self) -> impl Iterator<Item = &(GroupPattern, HistoryRule)> {
        self.by_consumer.values().flat_map(|declared| &declared.histories)
    }

    /// Returns the declarations about a consumer.
    pub fn consumer(&self, name: &str) -> Option<&ConsumerDeclarations> {
        self.by_consumer.get(name)
    }

    /// Returns what consumers ask of users.
    pub fn access(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<Access>)> {
        let of = self.by_consumer.iter();
        of.filter_map(|(name, declared)| Some((name, declared.access.as_ref()?)))
    }

    /// Returns for how long consumers keep connections whose clients were lost.
    pub fn resumes(&self) -> impl Iterator<Item = (&Arc<str>, Duration)> {
        let of = self.by_consumer.iter();
        of.filter_map(|(name, declared)| Some((name, declared.resume?)))
    }

    /// Returns the consumers that are run by the clock.
    pub fn schedules(&self) -> impl Iterator<Item = (&Arc<str>, &Schedule)> {
        let of = self.by_consumer.iter();
        of.filter_map(|(name, declared)| Some((name, declared.schedule.as_ref()?)))
    }

    /// Returns how groups announce who comes and goes, if anything is declared of that.
    pub const fn presence(&self) -> Option<&Arc<PresenceRules>> {
        self.presence.as_ref()
    }
}

/// Which rule a module's declarations break.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeclarationError {
    /// They are too large together.
    #[error("its declarations have more than {limit} bytes together; declare less")]
    TooLarge {
        /// The bytes allowed.
        limit: usize,
    },
    /// They are not a map by consumer.
    #[error(
        "its declarations are malformed: {reason}; `declare` returns a MessagePack map of consumers, and each value is a map of keys"
    )]
    Malformed {
        /// The rule.
        reason: String,
    },
    /// They name a consumer that the module does not have.
    #[error(
        "it declares something of consumer {consumer}, which its routes do not have; they have {known}"
    )]
    Consumer {
        /// The consumer.
        consumer: String,
        /// The consumers that it has.
        known: String,
    },
    /// The declarations about a consumer are not a map.
    #[error("what it declares of consumer {consumer} is malformed: {reason}; give a map of keys")]
    ConsumerMalformed {
        /// The consumer.
        consumer: String,
        /// The rule.
        reason: String,
    },
    /// A key is one that the host does not know.
    #[error(
        "it declares {key} of consumer {consumer}, and this host knows {known}; leave the key out, or deploy it to a host that knows it"
    )]
    Key {
        /// The consumer.
        consumer: String,
        /// The key.
        key: String,
        /// The keys that the host knows, in words.
        known: String,
    },
    /// The value of a key breaks a rule.
    #[error("{key} of consumer {consumer} is not valid: {reason}")]
    Value {
        /// The consumer.
        consumer: String,
        /// The key.
        key: &'static str,
        /// The rule.
        reason: String,
    },
}

fn decode<T: Default>(
    bytes: Bytes,
    routes: &[RouteSpec],
    keys: &[(&'static str, Keep<T>)],
) -> Result<BTreeMap<Arc<str>, T>, DeclarationError> {
    let reason = |error: ContentError| log::one_line(&error.to_string());
    let content = Content::parse(bytes)
        .map_err(|error| DeclarationError::Malformed { reason: reason(error) })?;
    let mut declared = BTreeMap::new();
    for (name, value) in content.entries() {
        let consumer = log::one_line(&format!("{name:?}"));
        let Some(route) = routes.iter().find(|route| &*route.consumer == name) else {
            let known: Vec<_> = routes.iter().map(|route| &*route.consumer).collect();
            let known = log::one_line(&known.join(", "));
            return Err(DeclarationError::Consumer { consumer, known });
        };
        let of_consumer = match Content::parse(Bytes::copy_from_slice(value)) {
            Ok(content) => content,
            Err(error) => {
                let reason = reason(error);
                return Err(DeclarationError::ConsumerMalformed { consumer, reason });
            }
        };
        let mut kept = T::default();
        for (key, value) in of_consumer.entries() {
            let Some((key, keep)) = keys.iter().find(|(known, _)| *known == key) else {
                let (key, known) = (log::one_line(&format!("{key:?}")), in_words(keys));
                return Err(DeclarationError::Key { consumer, key, known });
            };
            keep(&mut kept, &route.trigger, value).map_err(|reason| {
                let (consumer, reason) = (consumer.clone(), log::one_line(&reason));
                DeclarationError::Value { consumer, key, reason }
            })?;
        }
        declared.insert(Arc::clone(&route.consumer), kept);
    }
    Ok(declared)
}

fn in_words<T>(keys: &[(&'static str, Keep<T>)]) -> String {
    match keys {
        [] => "no keys yet".to_owned(),
        keys => keys.iter().map(|(key, _)| *key).collect::<Vec<_>>().join(", "),
    }
}

#[cfg(test)]
mod tests;
