//! Formats stay what they are, what is written is read back, and no bytes do harm.

use std::{fmt::Write as _, num::NonZeroU64, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};
use proptest::{collection::vec, option, prelude::*, sample::select};

use super::*;
use crate::message::{
    Answer, ChannelName, Close, Content, CorrelationId, Done, Event, EventKind, Facts, Frame,
    GroupName, Handshake, Header, LocalName, Member, MemberKey, Message, NodeName, Outcome,
    PathParam, Payload, Position, PresenceRule, Present, Protocol, Reply, Response, ResponseHead,
    Scope, Session, SessionData, SessionKey, SessionLookup, TraceContext, User,
};

/// The golden entries that `docs/redis.md` gives to writers of peers.
const GOLDEN: &str = include_str!("golden.txt");

fn content(bytes: &'static [u8]) -> Content {
    Content::parse(Bytes::from_static(bytes)).unwrap()
}

fn header(name: &str, value: &str) -> Header {
    (HeaderName::try_from(name).unwrap(), HeaderValue::try_from(value).unwrap())
}

fn id() -> CorrelationId {
    "0123456789abcdef0123456789abcdef".parse().unwrap()
}

fn node() -> NodeName {
    NodeName::parse("node-1").unwrap()
}

fn local(name: &str) -> LocalName {
    ChannelName::parse(&format!("{}!{name}", node())).unwrap().connection().unwrap().1
}

fn present() -> Present {
    let facts = Facts::parse(Bytes::from_static(b"\x81\xa1n\x02")).unwrap();
    let member = Member { key: MemberKey::parse("ada").unwrap(), facts };
    let rule = PresenceRule {
        leave_after: Duration::from_secs(10),
        interval: Duration::from_secs(1),
        listed_max: 100,
        clients: true,
        channels: vec![ChannelName::parse("chat.changes").unwrap()],
        is_stand_in: false,
    };
    Present { member, rule }
}

fn position() -> Position {
    "0123456789abcdef-41".parse().unwrap()
}

fn scope(protocol: Protocol) -> Scope {
    Scope {
        reply_channel: ChannelName::parse("node-1!one").unwrap(),
        correlation: id(),
        protocol,
        secure: true,
        method: "GET".to_owned(),
        http_version: "1.1",
        path: "/app/ä".to_owned(),
        raw_path: "/app/%C3%A4".to_owned(),
        query_string: "a=1".to_owned(),
        path_params: vec![PathParam { name: "name".to_owned(), value: "ä".to_owned() }],
        headers: vec![header("host", "example.org")],
        client: "192.0.2.1:5000".parse().unwrap(),
        server: "[2001:db8::1]:443".parse().unwrap(),
        root_path: "/app".to_owned(),
        subprotocols: vec!["v1".to_owned()],
        user: None,
        session: None,
    }
}

fn event(kind: EventKind) -> Message {
    let event = Event {
        scope: Arc::new(scope(kind.protocol())),
        consumer: "greet".into(),
        order: 3,
        kind,
        state: Some(Bytes::from_static(b"\x80")),
        activation: 2,
        wants_done: true,
    };
    Message {
        payload: Payload::Event(Box::new(event)),
        correlation: id(),
        id: None,
        trace: None,
        expires_after: None,
    }
}

fn answer(replies: Vec<Reply>, done: Option<Done>) -> Parcel {
    Parcel::Answer(Answer { to: local("one"), order: 3, replies, done })
}

fn messages() -> Vec<(&'static str, Message)> {
    let message_id = "fedcba9876543210fedcba9876543210".parse().unwrap();
    let custom =
        |message_id| Message { id: message_id, ..Message::custom(content(b"\x81\xa1n\x01"), id()) };
    let text = || Frame::Text("ä".to_owned());
    let span = NonZeroU64::new(0x00f0_67aa_0ba9_02b7);
    let trace = span.map(|span| TraceContext { span, sampled: true });
    let with_span = |message: Message| Message { trace, ..message };
    let of_user = |mut message: Message| {
        let Payload::Event(event) = &mut message.payload else { panic!("an event") };
        let user = User::new("ada", content(b"\x81\xa1n\x01"), Some(1_800_000_000)).unwrap();
        Arc::make_mut(&mut event.scope).user = Some(Arc::new(user));
        message
    };
    let of_session = |mut message: Message| {
        let Payload::Event(event) = &mut message.payload else { panic!("an event") };
        let (key, data) = (SessionKey([1; 32]), SessionData([2; 16]));
        let session = Session { key, data, expires: 1_800_000_000 };
        Arc::make_mut(&mut event.scope).session = Some(SessionLookup::Found(session));
        message
    };
    vec![
        ("channel http.request", event(EventKind::HttpRequest(Bytes::from_static(b"body")))),
        ("channel http.disconnect", event(EventKind::HttpDisconnect)),
        ("channel websocket.connect", event(EventKind::WebsocketConnect)),
        ("channel websocket.receive text", event(EventKind::WebsocketReceive(text()))),
        (
            "channel websocket.receive bytes",
            event(EventKind::WebsocketReceive(Frame::Binary(Bytes::from_static(b"\x00\xff")))),
        ),
        (
            "channel websocket.disconnect",
            event(EventKind::WebsocketDisconnect(Close::new(1001, "bye"))),
        ),
        ("channel http.disconnect of a user", of_user(event(EventKind::HttpDisconnect))),
        ("channel http.disconnect of a session", of_session(event(EventKind::HttpDisconnect))),
        ("channel content", custom(None)),
        ("channel content of one that is redelivered", custom(Some(message_id))),
        ("channel http.disconnect with a span", with_span(event(EventKind::HttpDisconnect))),
        ("channel content with a span", with_span(custom(None))),
    ]
}

/// Entries about groups, with and without what a remembered one has.
fn of_groups() -> Vec<(&'static str, Parcel)> {
    let (group, content) = (GroupName::parse("chat.lobby").unwrap(), content(b"\x81\xa1n\x01"));
    vec![
        (
            "inbox group",
            Parcel::Group {
                group: group.clone(),
                content: content.clone(),
                correlation: id(),
                position: None,
            },
        ),
        (
            "inbox group that is remembered",
            Parcel::Group {
                group: group.clone(),
                content: content.clone(),
                correlation: id(),
                position: Some(position()),
            },
        ),
        (
            "inbox join",
            Parcel::Join {
                local: local("one"),
                group: group.clone(),
                count: 7,
                present: None,
                since: None,
            },
        ),
        (
            "inbox join of a member",
            Parcel::Join {
                local: local("one"),
                group: group.clone(),
                count: 8,
                present: Some(present()),
                since: None,
            },
        ),
        (
            "inbox join from a position",
            Parcel::Join {
                local: local("one"),
                group,
                count: 7,
                present: None,
                since: Some(Since {
                    position: position(),
                    is_complete: true,
                    missed: vec![content],
                }),
            },
        ),
    ]
}

fn parcels() -> Vec<(&'static str, Parcel)> {
    let mut parcels = of_groups();
    parcels.extend(of_connections());
    parcels
}

fn of_connections() -> Vec<(&'static str, Parcel)> {
    let (group, content) = (GroupName::parse("chat.lobby").unwrap(), content(b"\x81\xa1n\x01"));
    let head = || ResponseHead { status: StatusCode::OK, headers: vec![header("x-a", "1")] };
    let response = || Response { head: head(), body: Bytes::from_static(b"body") };
    let done = |outcome| Done { outcome, state: Some(Bytes::from_static(b"\x80")), activation: 2 };
    let hold = Reply::Hold { timeout: Duration::from_secs(25), fallback: Some(response()) };
    vec![
        ("inbox message", Parcel::Message { to: local("one"), content, correlation: id() }),
        ("inbox leave", Parcel::Leave { local: local("one"), group }),
        ("inbox leave_all", Parcel::LeaveAll { local: local("one") }),
        ("inbox probe", Parcel::Probe { number: 9 }),
        ("inbox ask", Parcel::Ask { id: id(), question: Bytes::from_static(b"{}") }),
        ("inbox answer http.response", answer(vec![Reply::Respond(response())], None)),
        (
            "inbox answer http.response.start",
            answer(vec![Reply::StreamStart(head()), Reply::StreamChunk(response().body)], None),
        ),
        ("inbox answer http.response.body", answer(vec![Reply::StreamEnd], None)),
        ("inbox answer http.hold", answer(vec![hold], None)),
        (
            "inbox answer websocket.accept",
            answer(
                vec![Reply::Accept(Handshake {
                    subprotocol: Some("v1".to_owned()),
                    headers: vec![header("x-a", "1")],
                })],
                None,
            ),
        ),
        ("inbox answer websocket.deny", answer(vec![Reply::Deny], None)),
        (
            "inbox answer websocket.send",
            answer(
                vec![
                    Reply::Send(Frame::Text("ä".to_owned())),
                    Reply::Send(Frame::Binary(Bytes::from_static(b"\x00\xff"))),
                ],
                None,
            ),
        ),
        ("inbox answer websocket.close", answer(vec![Reply::Close(Close::new(4001, "bye"))], None)),
        ("inbox answer ok", answer(Vec::new(), Some(done(Outcome::Ok)))),
        ("inbox answer fault", answer(Vec::new(), Some(done(Outcome::Fault(id()))))),
        ("inbox answer gone", answer(Vec::new(), Some(done(Outcome::Gone)))),
        (
            "inbox answer state_unreadable",
            answer(Vec::new(), Some(done(Outcome::StateUnreadable(id())))),
        ),
        ("inbox answer refused", answer(Vec::new(), Some(done(Outcome::Refused)))),
        ("inbox answer answer_lost", answer(Vec::new(), Some(done(Outcome::AnswerLost)))),
    ]
}

/// An entry of a channel, as the scripts make it: sent at 1 s, over at 61 s.
fn entry(message: &Message) -> Vec<u8> {
    let mut entry = vec![VERSION, 0];
    entry.extend(61_000_000_u64.to_be_bytes());
    entry.extend(1_000_000_u64.to_be_bytes());
    entry.extend(seal(message));
    entry
}

fn line(name: &str, bytes: &[u8]) -> String {
    let mut line = format!("{name}: ");
    for byte in bytes {
        write!(line, "{byte:02x}").unwrap();
    }
    line + "\n"
}

#[test]
fn what_is_written_is_what_it_always_was() {
    let mut written = String::new();
    for (name, message) in messages() {
        written += &line(name, &entry(&message));
    }
    for (name, parcel) in parcels() {
        written += &line(name, &parcel.seal());
    }
    // Another format is another VERSION. Lines that begin with # are for readers.
    let golden = GOLDEN.lines().filter(|line| !line.starts_with('#'));
    let golden: String = golden.flat_map(|line| [line, "\n"]).collect();
    assert!(golden == written, "golden.txt is to be:\n{written}");
}

#[test]
fn one_of_each_kind_is_read_back() {
    for (name, message) in messages() {
        let read = open(&entry(&message), 3_000_000).unwrap();
        assert_eq!((read.message, read.waited), (message, Duration::from_secs(2)), "{name}");
    }
    for (name, parcel) in parcels() {
        let sealed = parcel.seal();
        let mut taken = Taken::default();
        assert_eq!(Parcel::open(&sealed, &node(), &mut taken).unwrap(), parcel, "{name}");
    }
}

#[test]
fn a_span_is_optional_and_one_that_does_not_count_loses_no_message() {
    let message =
        Message { trace: Some(TraceContext::random(true)), ..event(EventKind::HttpDisconnect) };
    let without = Message { trace: None, ..message.clone() };
    let with = |name: &str, value: &str| {
        let mut map = rmpv::decode::read_value(&mut &seal(&message)[..]).unwrap();
        let rmpv::Value::Map(fields) = &mut map else { panic!("a map") };
        let at = fields.iter().position(|(name, _)| name.as_str() == Some("traceparent")).unwrap();
        fields[at] = (name.into(), value.into());
        let mut entry = entry(&message)[..message::HEADER].to_vec();
        rmpv::encode::write_value(&mut entry, &map).unwrap();
        open(&entry, 0).unwrap().message
    };
    let parent = message.trace.unwrap().trace_parent(id());
    assert_eq!(with("traceparent", &parent), message);
    // As it is for a process that does not know the field.
    assert_eq!(with("what-comes", &parent), without);
    assert_eq!(with("traceparent", "00-nonsense"), without);
    let of_another = message.trace.unwrap().trace_parent(CorrelationId::random());
    assert_eq!(with("traceparent", &of_another), without);
}

#[test]
fn what_breaks_a_rule_is_refused_with_the_field() {
    let with = |field: &'static str, value: rmpv::Value| {
        let sealed = seal(&event(EventKind::HttpDisconnect));
        let mut map = rmpv::decode::read_value(&mut &sealed[..]).unwrap();
        let rmpv::Value::Map(fields) = &mut map else { panic!("a map") };
        let event = fields.iter_mut().find(|(name, _)| name.as_str() == Some("event")).unwrap();
        let rmpv::Value::Map(fields) = &mut event.1 else { panic!("a map") };
        fields.retain(|(name, _)| name.as_str() != Some(field));
        fields.push((field.into(), value));
        let mut entry = entry(&Message::custom(content(b"\x80"), id()));
        entry.truncate(18);
        rmpv::encode::write_value(&mut entry, &map).unwrap();
        open(&entry, 0).map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(with("order", 4.into()), Ok(()));
    let user = |id: &str, claims: &[u8]| {
        let claims = ("claims".into(), rmpv::Value::Binary(claims.to_vec()));
        rmpv::Value::Map(vec![("id".into(), id.into()), claims])
    };
    assert_eq!(with("user", user("ada", &[0x80])), Ok(()));
    assert_eq!(with("user", rmpv::Value::Nil), Ok(()));
    let session = |fields: &[(&str, rmpv::Value)]| {
        rmpv::Value::Map(fields.iter().map(|(name, it)| ((*name).into(), it.clone())).collect())
    };
    let bytes = |length| rmpv::Value::Binary(vec![1; length]);
    let (key, data) = (("key", bytes(32)), ("data", bytes(16)));
    assert_eq!(with("session", session(&[])), Ok(()));
    assert_eq!(
        with("session", session(&[key.clone(), data.clone(), ("expires", 1.into())])),
        Ok(())
    );
    for (field, value) in [
        ("type", "http.nothing".into()),
        ("type", "websocket.receive".into()),
        ("scheme", "ws".into()),
        ("scheme", "gopher".into()),
        ("http_version", "3".into()),
        ("reply_channel", "no-reply-channel".into()),
        ("reply_channel", "a b!c".into()),
        ("client", rmpv::Value::Array(vec!["nowhere".into(), 1.into()])),
        ("raw_path", rmpv::Value::Binary(vec![0xff])),
        // No event becomes one without a user because its user cannot be read.
        ("user", user("", &[0x80])),
        ("user", user("ada", &[0xc0])),
        ("user", user("ada", &[0xc4, 0, 0])),
        ("session", session(&[key.clone(), data.clone()])),
        ("session", session(&[("key", bytes(31)), data.clone(), ("expires", 1.into())])),
        ("session", session(&[key, ("data", bytes(17)), ("expires", 1.into())])),
        (
            "headers",
            rmpv::Value::Array(vec![rmpv::Value::Array(vec![
                rmpv::Value::Binary(b"a".to_vec()),
                rmpv::Value::Binary(b"b\r\nc: d".to_vec()),
            ])]),
        ),
    ] {
        let refused = with(field, value.clone()).unwrap_err();
        // A frame that is missing is said of `text`.
        assert!(refused.starts_with(field) || refused.starts_with("text"), "{field}: {refused}");
    }
    let mut other = entry(&event(EventKind::HttpDisconnect));
    other[0] = VERSION + 1;
    assert!(matches!(open(&other, 0), Err(WireError::Version(2))));
}

fn some_bytes() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..20).prop_map(Bytes::from)
}

fn some_headers() -> impl Strategy<Value = Vec<Header>> {
    vec(("x-[a-z]{1,5}", "[ -~]{0,8}"), 0..4)
        .prop_map(|fields| fields.iter().map(|(name, value)| header(name, value)).collect())
}

fn some_frame() -> impl Strategy<Value = Frame> {
    prop_oneof![".{0,8}".prop_map(Frame::Text), some_bytes().prop_map(Frame::Binary)]
}

fn some_close() -> impl Strategy<Value = Close> {
    (any::<u16>(), ".{0,8}").prop_map(|(code, reason)| Close { code, reason })
}

fn some_kind() -> impl Strategy<Value = EventKind> {
    prop_oneof![
        some_bytes().prop_map(EventKind::HttpRequest),
        Just(EventKind::HttpDisconnect),
        Just(EventKind::WebsocketConnect),
        some_frame().prop_map(EventKind::WebsocketReceive),
        some_close().prop_map(EventKind::WebsocketDisconnect),
    ]
}

fn some_id() -> impl Strategy<Value = CorrelationId> {
    any::<u128>().prop_map(|bits| format!("{bits:032x}").parse().unwrap())
}

fn some_user() -> impl Strategy<Value = Arc<User>> {
    ("[a-z]{1,8}", option::of(any::<u64>())).prop_map(|(id, expires)| {
        Arc::new(User::new(&id, content(b"\x81\xa1n\x01"), expires).unwrap())
    })
}

fn some_session() -> impl Strategy<Value = SessionLookup> {
    option::of(any::<([u8; 32], [u8; 16], u64)>()).prop_map(|session| match session {
        None => SessionLookup::None,
        Some((key, data, expires)) => {
            let (key, data) = (SessionKey(key), SessionData(data));
            SessionLookup::Found(Session { key, data, expires })
        }
    })
}

fn some_scope(protocol: Protocol) -> impl Strategy<Value = Scope> {
    let texts = vec(".{0,8}", 5);
    let params = proptest::collection::btree_map("[a-z]{1,4}", ".{0,8}", 0..3);
    let facts = (any::<bool>(), select(vec!["1.0", "1.1", "2"]), any::<(u128, u16, u32, u16)>());
    let rest = (vec("[a-z]{1,4}", 0..3), option::of(some_user()), option::of(some_session()));
    (texts, params, some_headers(), rest, facts, some_id()).prop_map(
        move |(texts, params, headers, (subprotocols, user, session), facts, correlation)| {
            let [method, path, raw_path, query_string, root_path] = texts.try_into().unwrap();
            let (secure, http_version, (v6, client, v4, server)) = facts;
            let params = params.into_iter().map(|(name, value)| PathParam { name, value });
            Scope {
                reply_channel: ChannelName::of_connection(&node(), &local("one")),
                correlation,
                protocol,
                secure,
                method,
                http_version,
                path,
                raw_path,
                query_string,
                path_params: params.collect(),
                headers,
                client: (std::net::Ipv6Addr::from(v6), client).into(),
                server: (std::net::Ipv4Addr::from(v4), server).into(),
                root_path,
                subprotocols,
                user,
                session,
            }
        },
    )
}

fn some_event() -> impl Strategy<Value = Message> {
    let kind = some_kind().prop_flat_map(|kind| (some_scope(kind.protocol()), Just(kind)));
    let rest = ("[a-z]{0,8}", any::<(u64, u64, bool)>(), option::of(some_bytes()));
    (kind, rest).prop_map(|((scope, kind), (consumer, numbers, state))| {
        let (order, activation, wants_done) = numbers;
        let correlation = scope.correlation;
        let (scope, consumer) = (Arc::new(scope), consumer.into());
        let event = Event { scope, consumer, order, kind, state, activation, wants_done };
        let payload = Payload::Event(Box::new(event));
        Message { payload, correlation, id: None, trace: None, expires_after: None }
    })
}

fn some_reply() -> impl Strategy<Value = Reply> {
    let head = || {
        (200_u16..600, some_headers()).prop_map(|(status, headers)| ResponseHead {
            status: StatusCode::from_u16(status).unwrap(),
            headers,
        })
    };
    let response = || (head(), some_bytes()).prop_map(|(head, body)| Response { head, body });
    prop_oneof![
        response().prop_map(Reply::Respond),
        head().prop_map(Reply::StreamStart),
        some_bytes().prop_map(Reply::StreamChunk),
        Just(Reply::StreamEnd),
        (any::<u32>(), option::of(response())).prop_map(|(millis, fallback)| Reply::Hold {
            timeout: Duration::from_millis(millis.into()),
            fallback,
        }),
        (option::of("[a-z]{1,4}"), some_headers())
            .prop_map(|(subprotocol, headers)| Reply::Accept(Handshake { subprotocol, headers })),
        Just(Reply::Deny),
        some_frame().prop_map(Reply::Send),
        some_close().prop_map(Reply::Close),
    ]
}

fn some_position() -> impl Strategy<Value = Position> {
    ("[0-9a-f]{16}", 0..1_u64 << 53)
        .prop_map(|(epoch, offset)| Position { epoch: epoch.parse().unwrap(), offset })
}

fn some_since() -> impl Strategy<Value = Since> {
    (some_position(), any::<bool>(), 0..3_usize).prop_map(|(position, is_complete, missed)| {
        let missed = vec![content(b"\x81\xa1n\x01"); missed];
        Since { position, is_complete, missed }
    })
}

fn some_parcel() -> impl Strategy<Value = Parcel> {
    let outcome = prop_oneof![
        Just(Outcome::Ok),
        some_id().prop_map(Outcome::Fault),
        Just(Outcome::Gone),
        some_id().prop_map(Outcome::StateUnreadable),
        Just(Outcome::Refused),
        Just(Outcome::AnswerLost),
    ];
    let done = (outcome, option::of(some_bytes()), any::<u64>())
        .prop_map(|(outcome, state, activation)| Done { outcome, state, activation });
    let locals = || "[a-z0-9]{1,8}".prop_map(|name| local(&name));
    let group = || "[a-z.]{1,8}".prop_map(|name| GroupName::parse(&name).unwrap());
    let content = || Just(content(b"\x81\xa1n\x01"));
    prop_oneof![
        (locals(), content(), some_id()).prop_map(|(to, content, correlation)| Parcel::Message {
            to,
            content,
            correlation
        }),
        (group(), content(), some_id(), option::of(some_position())).prop_map(
            |(group, content, correlation, position)| {
                Parcel::Group { group, content, correlation, position }
            }
        ),
        (locals(), any::<u64>(), vec(some_reply(), 0..4), option::of(done)).prop_map(
            |(to, order, replies, done)| Parcel::Answer(Answer { to, order, replies, done })
        ),
        (locals(), group(), any::<u64>(), option::of(some_since())).prop_map(
            |(local, group, count, since)| Parcel::Join {
                local,
                group,
                count,
                present: None,
                since
            }
        ),
        (locals(), group()).prop_map(|(local, group)| Parcel::Leave { local, group }),
        locals().prop_map(|local| Parcel::LeaveAll { local }),
        any::<u64>().prop_map(|number| Parcel::Probe { number }),
        any::<Vec<u8>>().prop_map(|question| Parcel::Ask { id: id(), question: question.into() }),
    ]
}

proptest! {
    #[test]
    fn an_event_is_read_as_it_was_written(message in some_event()) {
        prop_assert_eq!(open(&entry(&message), 0).unwrap().message, message);
    }

    #[test]
    fn what_is_for_a_node_is_read_as_it_was_written(parcel in some_parcel()) {
        let sealed = parcel.seal();
        let mut taken = Taken::default();
        prop_assert_eq!(Parcel::open(&sealed, &node(), &mut taken).unwrap(), parcel);
        let counted = if sealed[0] == b'c' { 0 } else { sealed.len() };
        prop_assert_eq!(taken.messages + taken.answers, counted);
    }

    #[test]
    fn no_bytes_panic(bytes in vec(any::<u8>(), 0..200)) {
        drop(open(&bytes, 0));
        drop(Parcel::open(&bytes, &node(), &mut Taken::default()));
        let map = [&entry(&messages()[0].1)[..18], &bytes].concat();
        drop(open(&map, 0));
    }

    #[test]
    fn no_damage_to_an_entry_panics(
        message in some_event(),
        parcel in some_parcel(),
        at in any::<proptest::sample::Index>(),
        byte in any::<u8>(),
        cut in any::<bool>(),
    ) {
        for mut bytes in [entry(&message), parcel.seal()] {
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if cut {
                bytes.truncate(at);
            }
            drop(open(&bytes, 0));
            drop(Parcel::open(&bytes, &node(), &mut Taken::default()));
        }
    }
}
