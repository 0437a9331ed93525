//! What was done to a channel layer and what came of it, and whether that keeps what a layer
//! promises.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// What every message carries: who made it, and its number among those of the same maker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    /// The producer.
    pub producer: u32,
    /// Counted by each producer.
    pub sequence: u64,
}

/// Something that was done or happened, noted in the order of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A send to a channel begins.
    Sending(String, Stamp),
    /// It was taken.
    Sent(String, Stamp),
    /// It was not, so nobody may get it.
    Refused(Stamp),
    /// It was not, and nobody knows whether somebody gets it: the answer is lost.
    Unknown(Stamp),
    /// A reader of a channel has a message.
    Received {
        /// The reader.
        reader: u32,
        /// The channel.
        channel: String,
        /// The message.
        stamp: Stamp,
    },
    /// A connection begins to join a group.
    Joining(String, String),
    /// A connection is a member of a group.
    Joined(String, String),
    /// It begins to leave.
    Leaving(String, String),
    /// It has left.
    Left(String, String),
    /// A message to a group begins.
    Publishing(String, Stamp),
    /// It has been sent.
    Published(String, Stamp),
    /// A connection has a message.
    Delivered(String, Stamp),
}

/// How a channel is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// Nothing comes twice, and as much is lost as was counted, if that can be known.
    AtMostOnce {
        /// Messages that were counted as lost. None: a fault lost more than anybody could count.
        dropped: Option<usize>,
    },
    /// Everything comes, perhaps twice.
    AtLeastOnce,
}

/// A promise that was not kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Violation {
    /// A message came to a reader or connection twice.
    Twice(Stamp),
    /// A message came that was refused or never sent.
    Invented(Stamp),
    /// So many are missing, and so many were counted.
    Lost {
        /// The messages that did not come.
        missing: usize,
        /// Those that were counted.
        counted: usize,
    },
    /// It came after one that was sent later by the same producer.
    Overtaken(Stamp),
    /// A group message came to a connection that had left, or never joined.
    NoMember(String, Stamp),
    /// A group message did not come to a member.
    Missed(String, Stamp),
}

/// A history that grows. Shared by all who take part.
#[derive(Debug, Default)]
pub struct History(Mutex<Vec<Step>>);

impl History {
    fn steps(&self) -> MutexGuard<'_, Vec<Step>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what was done or happened just now.
    pub fn note(&self, step: Step) {
        self.steps().push(step);
    }

    /// How many messages of a producer readers and connections have.
    pub fn arrived_from(&self, producer: u32) -> usize {
        arrived(&self.steps()).filter(|stamp| stamp.producer == producer).count()
    }

    /// How many different ones that is.
    pub fn distinct_from(&self, producer: u32) -> usize {
        let steps = self.steps();
        let of_producer = arrived(&steps).filter(|stamp| stamp.producer == producer);
        of_producer.collect::<BTreeSet<_>>().len()
    }

    /// What was not kept, once all that was sent has had its time. Of messages to groups only what
    /// members got is known: a fault may have kept some from them where `faultless` is not said.
    pub fn check(&self, promise: Promise, faultless: bool) -> Vec<Violation> {
        let steps = self.steps();
        let mut found = BTreeSet::new();
        check_channels(&steps, promise, &mut found);
        check_order(&steps, promise, &mut found);
        check_groups(&steps, faultless, &mut found);
        found.into_iter().collect()
    }
}

fn arrived(steps: &[Step]) -> impl Iterator<Item = &Stamp> {
    steps.iter().filter_map(|step| match step {
        Step::Received { stamp, .. } | Step::Delivered(_, stamp) => Some(stamp),
        _ => None,
    })
}

/// Nothing twice, nothing that was not sent, nothing lost without being counted.
fn check_channels(steps: &[Step], promise: Promise, found: &mut BTreeSet<Violation>) {
    let (mut possible, mut sent) = (BTreeSet::new(), BTreeSet::new());
    let mut received: BTreeMap<Stamp, usize> = BTreeMap::new();
    for step in steps {
        match step {
            Step::Sending(_, stamp) => {
                possible.insert(*stamp);
            }
            Step::Sent(_, stamp) => {
                sent.insert(*stamp);
            }
            Step::Refused(stamp) => {
                possible.remove(stamp);
            }
            Step::Received { stamp, .. } => *received.entry(*stamp).or_default() += 1,
            // To a connection itself, and not through a group.
            Step::Delivered(_, stamp) if possible.contains(stamp) => {
                *received.entry(*stamp).or_default() += 1;
            }
            _ => {}
        }
    }
    for (stamp, times) in &received {
        if !possible.contains(stamp) {
            found.insert(Violation::Invented(*stamp));
        }
        if *times > 1 && promise != Promise::AtLeastOnce {
            found.insert(Violation::Twice(*stamp));
        }
    }
    let missing = sent.iter().filter(|stamp| !received.contains_key(stamp)).count();
    let counted = match promise {
        Promise::AtMostOnce { dropped: Some(counted) } => counted,
        Promise::AtMostOnce { dropped: None } => return,
        Promise::AtLeastOnce => 0,
    };
    if missing != counted {
        found.insert(Violation::Lost { missing, counted });
    }
}

/// First in, first out: at each reader of a channel, and at each connection.
fn check_order(steps: &[Step], promise: Promise, found: &mut BTreeSet<Violation>) {
    let mut last: HashMap<(String, u32), Stamp> = HashMap::new();
    for step in steps {
        let (at, stamp) = match step {
            Step::Received { reader, channel, stamp } => (format!("{reader} {channel}"), *stamp),
            Step::Delivered(connection, stamp) => (connection.clone(), *stamp),
            _ => continue,
        };
        let is_delivery = matches!(step, Step::Delivered(..));
        match last.insert((at, stamp.producer), stamp) {
            Some(before) if before == stamp && is_delivery => {
                found.insert(Violation::Twice(stamp));
            }
            // What is sent again comes when it comes.
            Some(before) if before > stamp && (is_delivery || promise != Promise::AtLeastOnce) => {
                found.insert(Violation::Overtaken(stamp));
            }
            _ => {}
        }
    }
}

/// Where a connection is with a group.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Membership {
    Outside,
    Member,
    /// Between begin and end of a join or leave it may get a message or not.
    Changing,
}

/// What was sent to a group, and who had to get it and who could.
struct Publication {
    must: BTreeSet<String>,
    may: BTreeSet<String>,
}

/// Members get each message to their group, and nobody else does.
fn check_groups(steps: &[Step], faultless: bool, found: &mut BTreeSet<Violation>) {
    let mut states: HashMap<(&str, &str), Membership> = HashMap::new();
    let mut open: HashMap<Stamp, (&str, Publication)> = HashMap::new();
    let mut over: HashMap<Stamp, Publication> = HashMap::new();
    let mut to_connections = BTreeSet::new();
    for step in steps {
        let (group, member, state) = match step {
            Step::Joining(group, member) | Step::Leaving(group, member) => {
                (group, member, Membership::Changing)
            }
            Step::Joined(group, member) => (group, member, Membership::Member),
            Step::Left(group, member) => (group, member, Membership::Outside),
            Step::Publishing(group, stamp) => {
                let of = |wanted: &[Membership]| {
                    let states = states
                        .iter()
                        .filter(|((of, _), state)| of == group && wanted.contains(state));
                    states.map(|((_, member), _)| (*member).to_owned()).collect()
                };
                let publication = Publication {
                    must: of(&[Membership::Member]),
                    may: of(&[Membership::Member, Membership::Changing]),
                };
                open.insert(*stamp, (group, publication));
                continue;
            }
            Step::Published(_, stamp) => {
                if let Some((_, publication)) = open.remove(stamp) {
                    over.insert(*stamp, publication);
                }
                continue;
            }
            Step::Sending(_, stamp) => {
                to_connections.insert(*stamp);
                continue;
            }
            _ => continue,
        };
        let before = states.insert((group, member), state);
        for (_, publication) in open.values_mut().filter(|(of, _)| of == group) {
            publication.may.insert(member.clone());
            if before == Some(Membership::Member) && state != Membership::Member {
                publication.must.remove(member);
            }
        }
    }
    over.extend(open.into_iter().map(|(stamp, (_, publication))| {
        (stamp, Publication { must: BTreeSet::new(), ..publication })
    }));
    let mut delivered: BTreeSet<(Stamp, &String)> = BTreeSet::new();
    for step in steps {
        let Step::Delivered(member, stamp) = step else { continue };
        delivered.insert((*stamp, member));
        match over.get(stamp) {
            Some(publication) if !publication.may.contains(member) => {
                found.insert(Violation::NoMember(member.clone(), *stamp));
            }
            None if !to_connections.contains(stamp) => {
                found.insert(Violation::Invented(*stamp));
            }
            _ => {}
        }
    }
    for (stamp, publication) in over.iter().filter(|_| faultless) {
        for member in &publication.must {
            if !delivered.contains(&(*stamp, member)) {
                found.insert(Violation::Missed(member.clone(), *stamp));
            }
        }
    }
}
