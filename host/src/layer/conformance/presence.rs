//! Presence: the members of a group, and the announcements of them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};
use tokio::{
    runtime::Handle,
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};

use super::{Reader, Subject, channel, connection, group};
use crate::{
    layer::{ChannelLayer, SendError},
    message::{
        ChannelName, Content, Facts, GroupName, InboxEntry, Member, MemberKey, NodeName, Payload,
        PresenceRule, Present,
    },
    shutdown::Drain,
    telemetry::DropReason,
};

/// How long a member without connections stays in these cases.
const LEAVE_AFTER: Duration = Duration::from_secs(100);
/// The time between two announcements, where a case has it.
const INTERVAL: Duration = Duration::from_secs(60);
/// Longer than anything takes that comes.
const PATIENCE: Duration = Duration::from_secs(30);

fn rule() -> PresenceRule {
    PresenceRule { leave_after: LEAVE_AFTER, listed_max: 10, ..PresenceRule::default() }
}

fn for_clients() -> PresenceRule {
    PresenceRule { clients: true, ..rule() }
}

fn present(key: &str, facts: &Value, rule: &PresenceRule) -> Present {
    let facts = Facts::parse(rmp_serde::to_vec_named(facts).unwrap().into()).unwrap();
    Present { member: Member { key: MemberKey::parse(key).unwrap(), facts }, rule: rule.clone() }
}

/// A node whose inbox is read, as an interface server does.
struct Node {
    name: NodeName,
    layer: Arc<dyn ChannelLayer>,
    told: mpsc::Receiver<(Vec<String>, Value)>,
    /// Stops the reading.
    drain: Drain,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.drain.stop();
    }
}

fn presence_of(content: &Content) -> Option<Value> {
    let (_, text) = content.entries().find(|(key, _)| *key == "text")?;
    serde_json::from_str(&rmp_serde::from_slice::<String>(text).ok()?).ok()
}

impl Node {
    async fn open(subject: &Subject) -> Self {
        let (name, layer) = (NodeName::random(), Arc::clone(&subject.layer));
        layer.open_inbox(&name).await.unwrap();
        let (sender, told) = mpsc::channel(1_000);
        let (of, node) = (Arc::clone(&layer), name.clone());
        let drain = Drain::new(Handle::current());
        drain.spawn_until_stopped("inbox", async move {
            loop {
                let Ok(entries) = of.read_inbox(&node).await else {
                    a_moment().await;
                    continue;
                };
                for entry in entries {
                    if let InboxEntry::Message { to, content, .. } = entry
                        && let Some(told) = presence_of(&content)
                    {
                        let to = to.iter().map(ToString::to_string).collect();
                        drop(sender.send((to, told)).await);
                    }
                }
            }
        });
        Self { name, layer, told, drain }
    }

    /// A connection that is present in group `g`.
    async fn join(&self, key: &str, facts: &Value, rule: &PresenceRule) -> ChannelName {
        let (channel, _) = connection(&self.name);
        self.change(&channel, key, facts, rule).await;
        channel
    }

    async fn change(&self, channel: &ChannelName, key: &str, facts: &Value, rule: &PresenceRule) {
        let (present, until) = (present(key, facts, rule), Instant::now() + PATIENCE);
        // Room that was read comes back a little later.
        while let Err(error) = self.layer.present(&group("g"), channel, &present).await {
            assert!(matches!(&error, SendError::Layer(it) if it.is_transient()), "{error}");
            assert!(Instant::now() < until, "{error}");
            a_moment().await;
        }
    }

    async fn leave(&self, channel: &ChannelName) {
        self.layer.leave_all(channel).await.unwrap();
    }

    /// The next message to clients, and how many get it.
    async fn told(&mut self) -> (usize, Value) {
        let (to, told) = timeout(PATIENCE, self.told.recv()).await.unwrap().unwrap();
        (to.len(), told)
    }

    /// The next message of a change. Lists for connections that join are left out.
    async fn told_change(&mut self) -> Value {
        loop {
            let (_, told) = self.told().await;
            if told.get("from").is_some() {
                return told;
            }
        }
    }
}

async fn members(layer: &dyn ChannelLayer, name: &GroupName) -> BTreeMap<String, Value> {
    let (mut all, mut after) = (BTreeMap::new(), None);
    loop {
        let page = layer.members(name, after.as_ref(), 4).await.unwrap();
        after = page.members.last().map(|it| it.key.clone());
        all.extend(page.members.iter().map(|it| (it.key.to_string(), it.facts.to_json())));
        if !page.has_more || after.is_none() {
            return all;
        }
    }
}

/// Lets others run. On the paused clock nothing else passes.
async fn a_moment() {
    sleep_until(Instant::now() + Duration::from_millis(5)).await;
}

/// Waits until these are the members of group `g`.
async fn expect(layer: &dyn ChannelLayer, expected: &Value) {
    let mut found = Value::Null;
    let until = Instant::now() + PATIENCE;
    while found != *expected {
        assert!(Instant::now() < until, "{found} are not {expected}");
        a_moment().await;
        found = json!(members(layer, &group("g")).await);
    }
}

pub(in super::super) async fn a_member_with_three_connections_is_one_and_leaves_with_its_last(
    subject: Subject,
) {
    let node = Node::open(&subject).await;
    let layer = &*subject.layer;
    let mut connections = Vec::new();
    for number in 1..=3 {
        connections.push(node.join("ada", &json!({ "n": number }), &rule()).await);
        expect(layer, &json!({ "ada": { "n": number } })).await;
    }
    let page = layer.members(&group("g"), None, 0).await.unwrap();
    assert_eq!((page.count, page.members.len()), (1, 0));
    node.change(&connections[0], "ada", &json!({ "n": 4 }), &rule()).await;
    expect(layer, &json!({ "ada": { "n": 4 } })).await;
    node.leave(&connections[0]).await;
    expect(layer, &json!({ "ada": { "n": 3 } })).await;
    layer.group_discard(&group("g"), &connections[2]).await.unwrap();
    expect(layer, &json!({ "ada": { "n": 2 } })).await;
    node.leave(&connections[1]).await;
    subject.clock.advance(LEAVE_AFTER / 2).await;
    expect(layer, &json!({ "ada": { "n": 2 } })).await;
    subject.clock.advance(LEAVE_AFTER / 2 + subject.clock.grain()).await;
    expect(layer, &json!({})).await;
}

pub(in super::super) async fn a_connection_may_become_another_member(subject: Subject) {
    let node = Node::open(&subject).await;
    let at_once = PresenceRule { leave_after: Duration::ZERO, ..rule() };
    let channel = node.join("ada", &json!({}), &at_once).await;
    expect(&*subject.layer, &json!({ "ada": {} })).await;
    node.change(&channel, "bob", &json!({}), &at_once).await;
    expect(&*subject.layer, &json!({ "bob": {} })).await;
    node.leave(&channel).await;
    expect(&*subject.layer, &json!({})).await;
}

pub(in super::super) async fn clients_get_a_list_and_then_what_changes(subject: Subject) {
    let mut node = Node::open(&subject).await;
    let (rule, span) = (for_clients(), Duration::from_secs(10));
    let ada = node.join("ada", &json!({ "n": 1 }), &rule).await;
    let (to, list) = node.told().await;
    let version = list["version"].as_u64().unwrap();
    let expected =
        json!({ "group": "g", "version": version, "count": 1, "members": { "ada": { "n": 1 } } });
    assert_eq!((to, list), (1, expected));
    let joined = node.told_change().await;
    assert_eq!(joined["joined"], json!({ "ada": { "n": 1 } }));
    assert_eq!(joined["version"], version, "the list has it");
    subject.clock.advance(span).await;
    let bob = node.join("bob", &json!({}), &rule).await;
    let (to, list) = node.told().await;
    assert_eq!((to, &list["members"]), (1, &json!({ "ada": { "n": 1 }, "bob": {} })));
    let (to, joined) = node.told().await;
    let expected = json!({ "group": "g", "from": version, "version": list["version"], "count": 2, "joined": { "bob": {} } });
    assert_eq!((to, &joined), (2, &expected));
    subject.clock.advance(span).await;
    node.change(&ada, "ada", &json!({ "n": 2 }), &rule).await;
    let (_, updated) = node.told().await;
    assert_eq!(updated["from"], joined["version"]);
    assert_eq!(updated["updated"], json!({ "ada": { "n": 2 } }));
    node.leave(&bob).await;
    subject.clock.advance(LEAVE_AFTER + subject.clock.grain()).await;
    let (to, left) = node.told().await;
    assert_eq!((to, &left["from"], &left["count"]), (1, &updated["version"], &json!(1)));
    assert_eq!(left["left"], json!(["bob"]));
}

pub(in super::super) async fn who_comes_back_in_time_causes_nothing(subject: Subject) {
    let mut node = Node::open(&subject).await;
    let rule = for_clients();
    let _ada = node.join("ada", &json!({}), &rule).await;
    let bob = node.join("bob", &json!({ "n": 1 }), &rule).await;
    expect(&*subject.layer, &json!({ "ada": {}, "bob": { "n": 1 } })).await;
    subject.clock.advance(Duration::from_secs(10)).await;
    let mut version = node.told_change().await["version"].as_u64().unwrap();
    let page = subject.layer.members(&group("g"), None, 0).await.unwrap();
    while version < page.version {
        version = node.told_change().await["version"].as_u64().unwrap();
    }
    node.leave(&bob).await;
    subject.clock.advance(LEAVE_AFTER / 2).await;
    node.join("bob", &json!({ "n": 1 }), &rule).await;
    let (to, list) = node.told().await;
    assert_eq!((to, &list["version"]), (1, &json!(version)), "{list}");
    subject.clock.advance(LEAVE_AFTER * 2).await;
    node.join("eve", &json!({}), &rule).await;
    let change = node.told_change().await;
    assert_eq!((&change["from"], &change["joined"]), (&json!(version), &json!({ "eve": {} })));
}

pub(in super::super) async fn a_channel_is_told_who_comes_and_goes(subject: Subject) {
    let node = Node::open(&subject).await;
    let rule = PresenceRule { channels: vec![channel("changes")], ..rule() };
    let reader = Reader::of(&["changes"]);
    let next = async || {
        let received = timeout(PATIENCE, reader.take(&subject.layer)).await.unwrap();
        let Payload::Custom(content) = received.message.payload else { panic!() };
        rmp_serde::from_slice::<Value>(content.as_bytes()).unwrap()
    };
    let ada = node.join("ada", &json!({ "n": 1 }), &rule).await;
    let joined = next().await;
    assert_eq!((&joined["group"], &joined["count"]), (&json!("g"), &json!(1)));
    assert_eq!(joined["joined"], json!({ "ada": { "n": 1 } }));
    assert_eq!((&joined["updated"], &joined["left"]), (&json!({}), &json!([])));
    node.leave(&ada).await;
    subject.clock.advance(LEAVE_AFTER + subject.clock.grain()).await;
    let left = next().await;
    assert_eq!((&left["from"], &left["left"]), (&joined["version"], &json!(["ada"])));
    assert_eq!(left["count"], 0);
    // A group that comes back goes on with a higher version.
    node.join("bob", &json!({}), &rule).await;
    let again = next().await;
    assert!(again["version"].as_u64() > left["version"].as_u64(), "{again}");
}

pub(in super::super) async fn beyond_the_list_clients_get_the_count_and_later_a_list_again(
    subject: Subject,
) {
    let mut node = Node::open(&subject).await;
    let rule = PresenceRule { listed_max: 2, leave_after: Duration::ZERO, ..for_clients() };
    let mut connections = Vec::new();
    for key in ["a", "b", "c", "d"] {
        connections.push(node.join(key, &json!({}), &rule).await);
        subject.clock.advance(Duration::from_secs(10)).await;
        expect_count(&subject, connections.len()).await;
    }
    let counted = loop {
        let (to, told) = node.told().await;
        if to == 4 && told["count"] == 4 {
            break told;
        }
    };
    assert!(counted.get("members").is_none() && counted.get("joined").is_none(), "{counted}");
    for channel in connections.split_off(2) {
        node.leave(&channel).await;
    }
    expect_count(&subject, 2).await;
    subject.clock.advance(Duration::from_secs(10)).await;
    let list = loop {
        let (_, told) = node.told().await;
        if told.get("members").is_some()
            && told["count"] == 2
            && told["version"].as_u64() > counted["version"].as_u64()
        {
            break told;
        }
    };
    assert_eq!(list["members"], json!({ "a": {}, "b": {} }));
}

pub(in super::super) async fn who_came_and_left_between_two_announcements_stays_with_nobody(
    subject: Subject,
) {
    let mut node = Node::open(&subject).await;
    let rule = PresenceRule { interval: INTERVAL, leave_after: Duration::ZERO, ..for_clients() };
    let _ada = node.join("ada", &json!({}), &rule).await;
    node.told_change().await;
    let bob = node.join("bob", &json!({}), &rule).await;
    expect(&*subject.layer, &json!({ "ada": {}, "bob": {} })).await;
    // Her list has bob.
    let _eve = node.join("eve", &json!({}), &rule).await;
    expect(&*subject.layer, &json!({ "ada": {}, "bob": {}, "eve": {} })).await;
    node.leave(&bob).await;
    expect(&*subject.layer, &json!({ "ada": {}, "eve": {} })).await;
    subject.clock.advance(INTERVAL + subject.clock.grain()).await;
    let change = node.told_change().await;
    assert_eq!(
        (&change["joined"], &change["left"], &change["count"]),
        (&json!({ "eve": {} }), &json!(["bob"]), &json!(2))
    );
}

pub(in super::super) async fn who_got_a_count_gets_a_list_once_there_may_be_one(subject: Subject) {
    let mut node = Node::open(&subject).await;
    let rule = PresenceRule {
        interval: INTERVAL,
        leave_after: Duration::ZERO,
        listed_max: 2,
        ..for_clients()
    };
    let _ada = node.join("ada", &json!({}), &rule).await;
    node.told_change().await;
    let bob = node.join("bob", &json!({}), &rule).await;
    expect_count(&subject, 2).await;
    let _eve = node.join("eve", &json!({}), &rule).await;
    expect_count(&subject, 3).await;
    // They are too many for a moment, which no announcement sees.
    node.leave(&bob).await;
    expect_count(&subject, 2).await;
    subject.clock.advance(INTERVAL + subject.clock.grain()).await;
    let list = loop {
        let (to, told) = node.told().await;
        if to == 2 {
            break told;
        }
    };
    assert_eq!(list["members"], json!({ "ada": {}, "eve": {} }), "{list}");
}

pub(in super::super) async fn a_module_in_a_group_of_another_leaves_its_rule_as_it_is(
    subject: Subject,
) {
    let mut node = Node::open(&subject).await;
    let _ada = node.join("ada", &json!({}), &for_clients()).await;
    node.told_change().await;
    subject.clock.advance(Duration::from_secs(10)).await;
    let guest = PresenceRule { is_stand_in: true, ..PresenceRule::default() };
    let _bob = node.join("bob", &json!({}), &guest).await;
    let (to, list) = node.told().await;
    assert_eq!((to, &list["members"]), (1, &json!({ "ada": {}, "bob": {} })));
    let (to, joined) = node.told().await;
    assert_eq!((to, &joined["joined"]), (2, &json!({ "bob": {} })));
}

async fn expect_count(subject: &Subject, count: usize) {
    let counted = async {
        while subject.layer.members(&group("g"), None, 0).await.unwrap().count != count as u64 {
            a_moment().await;
        }
    };
    timeout(PATIENCE, counted).await.unwrap();
}

pub(in super::super) async fn members_come_in_parts_and_in_order(subject: Subject) {
    let node = Node::open(&subject).await;
    let mut expected = BTreeMap::new();
    for number in 0..15_u32 {
        let key = format!("m{}", number * 7 % 15);
        node.join(&key, &json!({ "n": number }), &rule()).await;
        expected.insert(key, json!({ "n": number }));
    }
    expect(&*subject.layer, &json!(expected)).await;
    let first = subject.layer.members(&group("g"), None, 15).await.unwrap();
    let keys: Vec<_> = first.members.iter().map(|it| it.key.to_string()).collect();
    assert_eq!(keys, expected.into_keys().collect::<Vec<_>>());
    let after = first.members.last().map(|it| &it.key);
    let rest = subject.layer.members(&group("g"), after, 15).await.unwrap();
    assert_eq!((rest.members.len(), rest.has_more, rest.count), (0, false, 15));
    let nobody = subject.layer.members(&group("other"), None, 15).await.unwrap();
    assert_eq!((nobody.count, nobody.has_more), (0, false));
}

pub(in super::super) async fn a_group_holds_so_many_members_and_a_member_so_many_connections(
    subject: Subject,
) {
    let node = Node::open(&subject).await;
    for number in 0..21 {
        node.join(&format!("m{number}"), &json!({}), &rule()).await;
    }
    let refused = async |count| {
        while subject.metrics.dropped_count(DropReason::PresenceFull) < count {
            a_moment().await;
        }
    };
    timeout(PATIENCE, refused(1)).await.unwrap();
    assert_eq!(subject.layer.members(&group("g"), None, 0).await.unwrap().count, 20);
    // It is in the group all the same.
    for _ in 0..100 {
        node.join("m0", &json!({}), &rule()).await;
    }
    timeout(PATIENCE, refused(2)).await.unwrap();
    assert_eq!(subject.layer.members(&group("g"), None, 0).await.unwrap().count, 20);
}

pub(in super::super) async fn a_closed_inbox_takes_its_members_along(subject: Subject) {
    let (one, other) = (Node::open(&subject).await, Node::open(&subject).await);
    one.join("ada", &json!({}), &rule()).await;
    one.join("bob", &json!({ "n": 1 }), &rule()).await;
    expect(&*subject.layer, &json!({ "ada": {}, "bob": { "n": 1 } })).await;
    other.join("bob", &json!({ "n": 2 }), &rule()).await;
    expect(&*subject.layer, &json!({ "ada": {}, "bob": { "n": 2 } })).await;
    one.layer.close_inbox(&one.name).await;
    subject.clock.advance(LEAVE_AFTER / 2).await;
    expect(&*subject.layer, &json!({ "ada": {}, "bob": { "n": 2 } })).await;
    subject.clock.advance(LEAVE_AFTER).await;
    expect(&*subject.layer, &json!({ "bob": { "n": 2 } })).await;
}

/// A member as it should be: its connections with their facts, the newest last.
type Model = BTreeMap<String, Vec<(ChannelName, Value)>>;

pub(in super::super) async fn random_joins_and_leaves_are_those_of_a_model(subject: Subject) {
    let seed: u64 = rand::random();
    tracing::info!(seed, "random joins and leaves");
    let mut random = StdRng::seed_from_u64(seed);
    let at_once = PresenceRule { leave_after: Duration::ZERO, ..for_clients() };
    let nodes = [Node::open(&subject).await, Node::open(&subject).await];
    let mut model = Model::new();
    for step in 0..60 {
        let key = format!("m{}", random.random_range(0..4));
        let held: Vec<_> = model
            .iter()
            .flat_map(|(key, of)| of.iter().map(move |it| (key.clone(), it.0.clone())))
            .collect();
        match random.random_range(0..5) {
            0 | 1 => {
                let facts = json!({ "n": step });
                let node = &nodes[random.random_range(0..2)];
                let channel = node.join(&key, &facts, &at_once).await;
                model.entry(key).or_default().push((channel, facts));
            }
            // Its facts change, or it becomes another member.
            2 if !held.is_empty() => {
                let (before, channel) = held[random.random_range(0..held.len())].clone();
                let facts = json!({ "n": step });
                nodes[0].change(&channel, &key, &facts, &at_once).await;
                model.get_mut(&before).unwrap().retain(|(other, _)| *other != channel);
                model.entry(key).or_default().push((channel, facts));
            }
            _ if !held.is_empty() => {
                let (of, channel) = held[random.random_range(0..held.len())].clone();
                if random.random() {
                    nodes[0].leave(&channel).await;
                } else {
                    subject.layer.group_discard(&group("g"), &channel).await.unwrap();
                }
                model.get_mut(&of).unwrap().retain(|(other, _)| *other != channel);
            }
            _ => {}
        }
        model.retain(|_, connections| !connections.is_empty());
        let newest = |of: &Vec<(ChannelName, Value)>| of.last().unwrap().1.clone();
        let expected: BTreeMap<_, _> =
            model.iter().map(|(key, of)| (key.clone(), newest(of))).collect();
        expect(&*subject.layer, &json!(expected)).await;
    }
}
