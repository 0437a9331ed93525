//! Declarations that are kept, and those that are refused with their rule.

use serde_json::json;

use super::*;
use crate::{
    message::ChannelName,
    routing::{Guards, Pattern},
};

/// Stands for what a later host may know.
#[derive(Debug, Default, PartialEq)]
struct Later {
    guard: Option<String>,
    most: Option<u32>,
}

const LATER: &[(&str, Keep<Later>)] = &[
    ("guard", |later, _, value| {
        later.guard = rmp_serde::from_slice(value).map_err(|_| "give a text".to_owned())?;
        Ok(())
    }),
    ("most", |later, _, value| match rmp_serde::from_slice(value) {
        Ok(most @ 1..=10) => {
            later.most = Some(most);
            Ok(())
        }
        _ => Err("give a number from 1 to 10".to_owned()),
    }),
];

fn routes() -> Vec<RouteSpec> {
    let route = |name: &str| {
        let channel = ChannelName::parse(name).unwrap();
        RouteSpec { consumer: name.into(), trigger: Trigger::Channel { channel, retries: None } }
    };
    vec![route("chat"), route("work")]
}

fn packed(value: &serde_json::Value) -> Bytes {
    rmp_serde::to_vec_named(value).unwrap().into()
}

fn refused(value: &serde_json::Value) -> String {
    decode(packed(value), &routes(), LATER).unwrap_err().to_string()
}

#[test]
fn what_is_declared_is_kept_by_consumer() {
    let value = json!({ "work": { "most": 3 }, "chat": { "guard": "user", "most": 10 } });
    let declared = decode(packed(&value), &routes(), LATER).unwrap();
    assert_eq!(declared["chat"], Later { guard: Some("user".into()), most: Some(10) });
    assert_eq!(declared["work"], Later { guard: None, most: Some(3) });
}

#[test]
fn each_broken_rule_is_named_with_the_consumer_the_key_and_the_fix() {
    for (value, message) in [
        (
            json!({ "chat": { "gaurd": "user" } }),
            "it declares \"gaurd\" of consumer \"chat\", and this host knows guard, most; leave the \
             key out, or deploy it to a host that knows it",
        ),
        (
            json!({ "chat": { "most": 11 } }),
            "most of consumer \"chat\" is not valid: give a number from 1 to 10",
        ),
        (
            json!({ "other": { "most": 1 } }),
            "it declares something of consumer \"other\", which its routes do not have; they have \
             chat, work",
        ),
        (
            json!({ "chat": ["guard"] }),
            "what it declares of consumer \"chat\" is malformed: the content is not a map; send a \
             map with text keys; give a map of keys",
        ),
        (
            json!(["chat"]),
            "its declarations are malformed: the content is not a map; send a map with text keys; \
             `declare` returns a MessagePack map of consumers, and each value is a map of keys",
        ),
    ] {
        assert_eq!(refused(&value), message);
    }
}

#[test]
fn names_of_a_files_making_stand_in_one_line() {
    for value in [json!({ "a\nb": {} }), json!({ "chat": { "a\nb": 1 } })] {
        let message = refused(&value);
        assert!(message.contains(r"a\nb") && !message.contains('\n'), "{message}");
    }
}

#[test]
fn a_schedule_is_kept_or_refused_with_the_rule() {
    let check = |value| Declarations::check(packed(&value), &routes());
    let value = json!({ "work": { "schedule": { "expression": "30 3 * * *" } } });
    let declared = check(value).unwrap();
    let expected = Schedule::parse("30 3 * * *", "UTC", Missed::Once).unwrap();
    let [(name, kept)] = declared.schedules().collect::<Vec<_>>()[..] else { panic!() };
    assert_eq!((&**name, kept), ("work", &expected));
    for (schedule, rule) in [
        (json!({ "expression": "30 3" }), "write minute, hour"),
        (json!({ "expression": "@daily", "zone": "Europe/Berln" }), "did you mean Europe/Berlin"),
        (json!({ "expression": "@daily", "missed": "twice" }), "\"once\" or \"skip\""),
        (json!({ "expression": "@daily", "zoned": "UTC" }), "unknown field `zoned`"),
        (json!({ "zone": "UTC" }), "missing field `expression`"),
        (json!("@daily"), "give a map"),
    ] {
        let error = check(json!({ "work": { "schedule": schedule } })).unwrap_err().to_string();
        let begin = "schedule of consumer \"work\" is not valid: ";
        assert!(error.starts_with(begin) && error.contains(rule), "{error}");
    }
}

#[test]
fn what_is_asked_of_a_user_is_kept_or_refused_with_the_rule() {
    let pattern = Pattern::parse("/").unwrap();
    let trigger = Trigger::Websocket { path: pattern, guards: Guards::default() };
    let mut routes = routes();
    routes.push(RouteSpec { consumer: "room".into(), trigger });
    let check = |value| Declarations::check(packed(&value), &routes);
    let text = |text: &str| ClaimValue::Text(text.to_owned());
    let rule = |name: &str, values| ClaimRule { name: name.to_owned(), values };
    for (declared, is_required, claims) in [
        (json!({ "user": "required" }), true, vec![]),
        (json!({ "user": "optional" }), false, vec![]),
        (json!({ "claims": { "role": "admin" } }), true, vec![rule("role", vec![text("admin")])]),
        (
            json!({ "claims": { "a": [1, "b", true] }, "user": "optional" }),
            true,
            vec![rule("a", vec![ClaimValue::Integer(1), text("b"), ClaimValue::Bool(true)])],
        ),
    ] {
        let kept = check(json!({ "room": declared })).unwrap();
        let expected = Arc::new(Access { is_required, claims });
        assert_eq!(kept.consumer("room").unwrap().access, Some(expected), "{declared}");
    }
    for (consumer, declared, rule) in [
        ("work", json!({ "user": "required" }), "this one has a channel"),
        ("work", json!({ "claims": { "a": 1 } }), "this one has a channel"),
        ("room", json!({ "user": true }), "\"required\" or \"optional\""),
        ("room", json!({ "user": "needed" }), "\"required\" or \"optional\""),
        ("room", json!({ "claims": {} }), "1 to 32"),
        ("room", json!({ "claims": { "a": [] } }), "1 to 32"),
        ("room", json!({ "claims": { "a": null } }), "1 to 32"),
        ("room", json!({ "claims": { "a": 1.5 } }), "1 to 32"),
        ("room", json!({ "claims": ["a"] }), "1 to 32"),
    ] {
        let error = check(json!({ consumer: declared })).unwrap_err().to_string();
        assert!(error.contains("is not valid: ") && error.contains(rule), "{error}");
    }
}

#[test]
fn what_is_declared_of_presence_is_kept_or_refused_with_the_rule() {
    let check = |value| Declarations::check(packed(&json!({ "work": value })), &routes());
    let declared = check(json!({ "presence": { "groups": "room.*", "leave_after": 0 } }));
    let rules = Arc::clone(declared.unwrap().presence().unwrap());
    let module = crate::message::ModuleName::parse("m").unwrap();
    let group = crate::message::GroupName::parse("m.room.a").unwrap();
    let rule = rules.rule(&module, &group);
    let channel = ChannelName::parse("work").unwrap();
    assert_eq!((rule.clients, rule.channels), (false, vec![channel]));
    assert_eq!(check(json!({})).unwrap().presence(), None);
    for (presence, rule) in [
        (json!("room"), "give a map with `groups`"),
        (json!({}), "missing field `groups`"),
        (json!({ "groups": [] }), "1 to 32"),
        (json!({ "groups": ["a b"] }), "pattern \"a b\": ' ' at byte 1"),
        (json!({ "groups": "a", "leave_after": 3_600_001 }), "`leave_after` is"),
        (json!({ "groups": "a", "interval": 1 }), "`interval` is"),
        (json!({ "groups": "a", "list": 1_001 }), "`list` is"),
        (json!({ "groups": "a", "lists": 1 }), "unknown field `lists`"),
    ] {
        let error = check(json!({ "presence": presence })).unwrap_err().to_string();
        let begin = "presence of consumer \"work\" is not valid: ";
        assert!(error.starts_with(begin) && error.contains(rule), "{error}");
    }
}

#[test]
fn groups_that_are_remembered_are_kept_and_a_pattern_stands_once() {
    let check = |value| Declarations::check(packed(&value), &routes());
    let rooms = json!({ "room.*": { "messages": 5 } });
    let declared = check(json!({ "chat": { "history": rooms }, "work": {} })).unwrap();
    let [(pattern, rule)] = declared.histories().collect::<Vec<_>>()[..] else { panic!() };
    assert_eq!((pattern.to_string().as_str(), rule.messages), ("room.*", 5));
    let twice = json!({ "chat": { "history": rooms }, "work": { "history": rooms } });
    let error = check(twice).unwrap_err().to_string();
    assert!(
        error.contains("history of consumer \"work\" is not valid: pattern \"room.*\""),
        "{error}"
    );
}

#[test]
fn runs_of_a_schedule_do_not_overlap_where_the_host_knows_when_they_are_over() {
    let check = |retries, overlap: &str| {
        let channel = ChannelName::parse("work").unwrap();
        let trigger = Trigger::Channel { channel, retries };
        let routes = [RouteSpec { consumer: "work".into(), trigger }];
        let schedule = json!({ "expression": "@daily", "overlap": overlap });
        Declarations::check(packed(&json!({ "work": { "schedule": schedule } })), &routes)
    };
    for (text, overlap) in [("skip", Overlap::Skip), ("queue", Overlap::Queue)] {
        let declared = check(Some(3), text).unwrap();
        let overlaps = declared.schedules().map(|(_, schedule)| schedule.overlap());
        assert_eq!(overlaps.collect::<Vec<_>>(), [Some(overlap)]);
    }
    for (retries, overlap, rule) in [
        (None, "skip", "give the channel `retries`"),
        (Some(3), "wait", "`overlap` is \"skip\" or \"queue\", not \"wait\""),
    ] {
        let error = check(retries, overlap).unwrap_err().to_string();
        assert!(error.contains("schedule of consumer") && error.contains(rule), "{error}");
    }
}

#[test]
fn connections_of_websockets_are_kept_for_a_second_to_ten_minutes() {
    let trigger =
        Trigger::Websocket { path: Pattern::parse("/").unwrap(), guards: Guards::default() };
    let mut routes = routes();
    routes.push(RouteSpec { consumer: "room".into(), trigger });
    let check = |consumer: &str, value: serde_json::Value| {
        Declarations::check(packed(&json!({ consumer: { "resume": value } })), &routes)
    };
    for window in [1_000, 600_000] {
        let declared = check("room", window.into()).unwrap();
        let resumes: Vec<_> = declared.resumes().collect();
        assert_eq!(resumes, [(&Arc::from("room"), Duration::from_millis(window))]);
    }
    for (consumer, window, rule) in [
        ("room", json!(999), "from 1,000 to 600,000"),
        ("room", json!(600_001), "from 1,000 to 600,000"),
        ("room", json!(-1), "from 1,000 to 600,000"),
        ("room", json!("2m"), "from 1,000 to 600,000"),
        ("work", json!(1_000), "a consumer of WebSockets has it"),
    ] {
        let error = check(consumer, window).unwrap_err().to_string();
        assert!(error.contains("resume of consumer") && error.contains(rule), "{error}");
    }
}

#[test]
fn the_host_names_the_keys_that_it_knows_and_takes_maps_without_any() {
    let value = json!({ "chat": { "guard": "user" } });
    let error = Declarations::check(packed(&value), &routes()).unwrap_err().to_string();
    assert!(
        error.contains("this host knows schedule, user, claims, presence, history, resume;"),
        "{error}"
    );
    let declared = Declarations::check(packed(&json!({ "chat": {} })), &routes()).unwrap();
    assert_eq!(declared.consumer("chat"), Some(&ConsumerDeclarations::default()));
    assert_eq!(declared.consumer("work"), None);
    assert_eq!(Declarations::check(packed(&json!({})), &routes()), Ok(Declarations::default()));
}
