//! The parts of presence that layers have in common: a change of a group, and the messages that tell of it.

use rmpv::Value;
use serde_json::{Map, Value as Json, json};

use crate::message::{Content, GroupName, Member, MemberKey, MembersPage, PresenceRule};

/// Bytes of JSON in one message about members, about. A longer one comes in parts.
const PART_BYTES: usize = 64 * 1024;
/// Entries in one message to a channel: a consumer's run gets no more at once.
const CHANNEL_ENTRIES: usize = 250;

/// The changes of a group since its last announcement.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Change {
    pub(super) group: GroupName,
    /// The version that the announcement before led to.
    pub(super) from: u64,
    /// The version that this one leads to.
    pub(super) version: u64,
    /// All members.
    pub(super) count: u64,
    pub(super) rule: PresenceRule,
    pub(super) joined: Vec<Member>,
    pub(super) updated: Vec<Member>,
    pub(super) left: Vec<MemberKey>,
    /// Members that came and left since the last announcement. Whoever got a list meanwhile may have them.
    pub(super) passed: Vec<MemberKey>,
    pub(super) told: Told,
}

/// The part of a change that clients of the group get.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Told {
    /// Nothing.
    Nothing,
    /// The members that have changed.
    Difference,
    /// How many members there are, since they are too many to list.
    Count,
    /// All members, as of a version.
    List(u64, Vec<Member>),
}

impl Change {
    /// The messages for the clients of the group.
    pub(super) fn client_messages(&self) -> Vec<Content> {
        match &self.told {
            Told::Nothing => Vec::new(),
            Told::Count => count_message(&self.group, self.version, self.count),
            Told::List(version, members) => {
                list_messages(&self.group, *version, self.count, members)
            }
            Told::Difference => {
                let mut parts = Parts::new();
                for member in &self.joined {
                    parts.member("joined", member);
                }
                for member in &self.updated {
                    parts.member("updated", member);
                }
                for key in self.left.iter().chain(&self.passed) {
                    parts.left(key);
                }
                let head = json!({ "group": self.group.as_str(), "from": self.from, "version": self.version, "count": self.count });
                parts.messages(&head)
            }
        }
    }

    /// The messages for channels.
    pub(super) fn channel_messages(&self) -> Vec<Content> {
        let member = |word: &'static str| {
            move |member: &Member| {
                let facts = rmpv::decode::read_value(&mut &member.facts.as_bytes()[..]);
                (word, Value::from(member.key.as_str()), facts.unwrap_or(Value::Nil))
            }
        };
        let left = |key: &MemberKey| ("left", Value::from(key.as_str()), Value::Nil);
        let entries: Vec<_> = (self.joined.iter().map(member("joined")))
            .chain(self.updated.iter().map(member("updated")))
            .chain(self.left.iter().map(left))
            .collect();
        let of = |part: &[(&'static str, Value, Value)]| {
            let maps = ["joined", "updated"].map(|word| {
                let entries = part.iter().filter(|(of, ..)| *of == word);
                let entries = entries.map(|(_, key, facts)| (key.clone(), facts.clone()));
                (Value::from(word), Value::Map(entries.collect()))
            });
            let left = part.iter().filter(|(of, ..)| *of == "left");
            let left = Value::Array(left.map(|(_, key, _)| key.clone()).collect());
            let mut map = vec![
                (Value::from("group"), Value::from(self.group.as_str())),
                (Value::from("from"), Value::from(self.from)),
                (Value::from("version"), Value::from(self.version)),
                (Value::from("count"), Value::from(self.count)),
            ];
            map.extend(maps);
            map.push((Value::from("left"), left));
            packed(&Value::Map(map))
        };
        entries.chunks(CHANNEL_ENTRIES).filter_map(of).collect()
    }
}

/// The messages that tell a connection that joins who is there: the list, or the count where a page does not have
/// all.
pub(super) fn listing(group: &GroupName, page: &MembersPage) -> Vec<Content> {
    if page.members.len() as u64 == page.count {
        list_messages(group, page.version, page.count, &page.members)
    } else {
        count_message(group, page.version, page.count)
    }
}

/// The messages that list the members of a group to a client.
fn list_messages(group: &GroupName, version: u64, count: u64, members: &[Member]) -> Vec<Content> {
    let mut parts = Parts::new();
    for member in members {
        parts.member("members", member);
    }
    if members.is_empty() {
        parts.none("members");
    }
    parts.messages(&json!({ "group": group.as_str(), "version": version, "count": count }))
}

/// The message that says how many members a group has.
fn count_message(group: &GroupName, version: u64, count: u64) -> Vec<Content> {
    let text = json!({ "group": group.as_str(), "version": version, "count": count }).to_string();
    client_message(&text).into_iter().collect()
}

/// Parts of a message to clients, each an object.
struct Parts {
    full: Vec<Map<String, Json>>,
    last: Map<String, Json>,
    bytes: usize,
}

impl Parts {
    fn new() -> Self {
        Self { full: Vec::new(), last: Map::new(), bytes: 0 }
    }

    /// The part that has room for so many bytes.
    fn part(&mut self, bytes: usize) -> &mut Map<String, Json> {
        self.bytes += bytes;
        if self.bytes > PART_BYTES && !self.last.is_empty() {
            self.full.push(std::mem::take(&mut self.last));
            self.bytes = bytes;
        }
        &mut self.last
    }

    fn member(&mut self, word: &str, member: &Member) {
        let (key, facts) = (member.key.as_str(), member.facts.to_json());
        let bytes = key.len() + facts.to_string().len() + 6;
        if let Some(Json::Object(members)) = into(self.part(bytes), word, || Map::new().into()) {
            members.insert(key.to_owned(), facts);
        }
    }

    fn left(&mut self, key: &MemberKey) {
        let part = self.part(key.as_str().len() + 3);
        if let Some(Json::Array(left)) = into(part, "left", || Json::Array(Vec::new())) {
            left.push(key.as_str().into());
        }
    }

    fn none(&mut self, word: &str) {
        self.part(0).insert(word.to_owned(), Map::new().into());
    }

    fn messages(self, head: &Json) -> Vec<Content> {
        let mut parts = self.full;
        parts.push(self.last);
        let count = parts.len();
        let whole = |(number, part): (usize, Map<String, Json>)| {
            let mut object = head.as_object().cloned().unwrap_or_default();
            if count > 1 {
                object.insert("part".into(), (number + 1).into());
                object.insert("parts".into(), count.into());
            }
            object.extend(part);
            client_message(&Json::Object(object).to_string())
        };
        parts.into_iter().enumerate().filter_map(whole).collect()
    }
}

fn into<'a>(
    part: &'a mut Map<String, Json>,
    word: &str,
    empty: impl FnOnce() -> Json,
) -> Option<&'a mut Json> {
    if !part.contains_key(word) {
        part.insert(word.to_owned(), empty());
    }
    part.get_mut(word)
}

/// A message about presence. Each connection gets it in the form of its protocol.
fn client_message(json: &str) -> Option<Content> {
    packed(&Value::Map(vec![("type".into(), "presence".into()), ("text".into(), json.into())]))
}

fn packed(value: &Value) -> Option<Content> {
    let mut bytes = Vec::new();
    rmpv::encode::write_value(&mut bytes, value).ok()?;
    // Facts are content, and everything else is text and numbers.
    Content::parse(bytes.into()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Facts;

    fn member(key: &str, facts: &Json) -> Member {
        let packed = rmp_serde::to_vec_named(facts).unwrap();
        Member { key: MemberKey::parse(key).unwrap(), facts: Facts::parse(packed.into()).unwrap() }
    }

    fn objects(messages: &[Content]) -> Vec<Json> {
        let text = |message: &Content| {
            let (_, value) = message.entries().find(|(key, _)| *key == "text").unwrap();
            rmp_serde::from_slice::<String>(value).unwrap()
        };
        messages.iter().map(|message| serde_json::from_str(&text(message)).unwrap()).collect()
    }

    fn change() -> Change {
        Change {
            group: GroupName::parse("m.g").unwrap(),
            from: 3,
            version: 6,
            count: 2,
            rule: PresenceRule::default(),
            joined: vec![member("ada", &json!({ "at": 1 }))],
            updated: vec![member("bob", &json!({}))],
            left: vec![MemberKey::parse("eve").unwrap()],
            passed: Vec::new(),
            told: Told::Difference,
        }
    }

    #[test]
    fn clients_are_told_what_has_changed() {
        let expected = json!({
            "group": "m.g", "from": 3, "version": 6, "count": 2,
            "joined": { "ada": { "at": 1 } }, "updated": { "bob": {} }, "left": ["eve"],
        });
        assert_eq!(objects(&change().client_messages()), [expected]);
        let count = Change { told: Told::Count, ..change() };
        let expected = json!({ "group": "m.g", "version": 6, "count": 2 });
        assert_eq!(objects(&count.client_messages()), [expected]);
        assert!(Change { told: Told::Nothing, ..change() }.client_messages().is_empty());
        let passed = Change { passed: vec![MemberKey::parse("zoe").unwrap()], ..change() };
        assert_eq!(objects(&passed.client_messages())[0]["left"], json!(["eve", "zoe"]));
        assert_eq!(passed.channel_messages(), change().channel_messages(), "nobody else saw it");
    }

    #[test]
    fn a_long_list_comes_in_parts_that_have_each_member_once() {
        let facts = json!({ "text": "x".repeat(1_000) });
        let members: Vec<_> = (0..200).map(|at| member(&format!("m{at}"), &facts)).collect();
        let list = list_messages(&change().group, 7, 200, &members);
        assert!(list.iter().all(|part| part.as_bytes().len() < PART_BYTES + 2_000));
        let parts = objects(&list);
        assert!(parts.len() > 3);
        let mut keys = Vec::new();
        for (at, part) in parts.iter().enumerate() {
            assert_eq!((&part["part"], &part["parts"]), (&json!(at + 1), &json!(parts.len())));
            assert_eq!((&part["version"], &part["count"]), (&json!(7), &json!(200)));
            keys.extend(part["members"].as_object().unwrap().keys().cloned());
        }
        let expected: Vec<_> = members.iter().map(|it| it.key.to_string()).collect();
        keys.sort_by_key(|key| key.trim_start_matches('m').parse::<u32>().unwrap());
        assert_eq!(keys, expected);
    }

    #[test]
    fn an_empty_list_is_a_list() {
        let expected = json!({ "group": "m.g", "version": 1, "count": 0, "members": {} });
        assert_eq!(objects(&list_messages(&change().group, 1, 0, &[])), [expected]);
    }

    #[test]
    fn a_channel_gets_maps_of_members() {
        let [message] = &change().channel_messages()[..] else { panic!() };
        let map: Json = rmp_serde::from_slice(message.as_bytes()).unwrap();
        let expected = json!({
            "group": "m.g", "from": 3, "version": 6, "count": 2,
            "joined": { "ada": { "at": 1 } }, "updated": { "bob": {} }, "left": ["eve"],
        });
        assert_eq!(map, expected);
    }
}
