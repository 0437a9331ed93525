//! State of a connection, also across versions of a module.

use serde::{Deserialize, Serialize};
use tidegate_sdk::testing::TestHost;
use tidegate_sdk::{Handshake, OldState, Result, Socket, State, Websocket, websocket};

/// Consumers of one version: a state, and what `receive` makes of it.
macro_rules! version {
    ($name:ident, $state:item, $initial:expr, $field:ident) => {
        mod $name {
            use super::*;

            $state

            pub(super) struct Counter;

            #[websocket("/counter")]
            impl Websocket for Counter {
                type State = Data;
                type Incoming = String;

                fn connect(&self, socket: &mut Socket<Data>) -> Result<Handshake> {
                    assert!(socket.state().is_none());
                    socket.set_state($initial)?;
                    Ok(Handshake::accept())
                }

                fn receive(&self, socket: &mut Socket<Data>, text: String) -> Result<()> {
                    let shown = socket.state().map(|data| format!("{:?}", data.$field));
                    socket.send(shown.unwrap_or_default())?;
                    if text == "reset" || text == "reset and fail" {
                        socket.set_state($initial)?;
                    }
                    if text == "reset and fail" {
                        return Err(tidegate_sdk::Error::failed("on purpose"));
                    }
                    Ok(())
                }
            }

            tidegate_sdk::export! { Counter }
        }
    };
}

version! { first,
    #[derive(Serialize, Deserialize)]
    pub(super) struct Data { name: String, score: u32 },
    Data { name: "Ada".into(), score: 7 },
    score
}
version! { with_a_new_field,
    #[derive(Serialize, Deserialize)]
    pub(super) struct Data { name: String, score: u32, #[serde(default)] tags: Vec<String> },
    Data { name: "Ada".into(), score: 8, tags: vec!["new".into()] },
    tags
}
version! { with_a_field_that_has_no_default,
    #[derive(Serialize, Deserialize)]
    pub(super) struct Data { name: String, level: u32 },
    Data { name: "Ada".into(), level: 1 },
    level
}
version! { migrating,
    #[derive(Serialize, Deserialize)]
    pub(super) struct Data { pub(super) level: u32 },
    Data { level: 1 },
    level
}
version! { newer_without_migration,
    #[derive(Serialize, Deserialize)]
    pub(super) struct Data { score: u32 },
    Data { score: 1 },
    score
}

impl State for first::Data {}
impl State for with_a_new_field::Data {}
impl State for with_a_field_that_has_no_default::Data {}

impl State for migrating::Data {
    const SCHEMA: u32 = 2;

    fn migrate(schema: u32, old: OldState<'_>) -> Result<Self> {
        #[derive(Deserialize)]
        struct First {
            score: u32,
        }
        assert_eq!(schema, 1);
        let First { score } = old.read()?;
        Ok(Self::at(score * 100))
    }
}

impl migrating::Data {
    fn at(level: u32) -> Self {
        Self { level }
    }
}

impl State for newer_without_migration::Data {
    const SCHEMA: u32 = 3;
}

#[test]
fn state_lives_from_event_to_event() {
    let host = TestHost::new(first::consumers());
    let socket = host.websocket("/counter").connect().unwrap();
    socket.send("show");
    socket.expect_text("7");
}

#[test]
fn a_fault_leaves_the_state_alone() {
    let host = TestHost::new(with_a_new_field::consumers());
    let socket = host.websocket("/counter").connect().unwrap();
    host.replace(first::consumers());
    socket.send("reset and fail");
    socket.expect_close(1011);
    let other = host.websocket("/counter").connect().unwrap();
    other.send("reset");
    other.expect_text("7");
}

#[test]
fn a_new_field_with_a_default_just_loads_and_so_does_a_rollback() {
    let host = TestHost::new(first::consumers());
    let socket = host.websocket("/counter").connect().unwrap();
    host.replace(with_a_new_field::consumers());
    socket.send("reset");
    socket.expect_text("[]");
    socket.send("show");
    socket.expect_text("[\"new\"]");
    host.replace(first::consumers());
    socket.send("show");
    socket.expect_text("8");
}

#[test]
fn an_older_number_is_migrated() {
    let host = TestHost::new(first::consumers());
    let socket = host.websocket("/counter").connect().unwrap();
    host.replace(migrating::consumers());
    socket.send("reset");
    socket.expect_text("700");
    socket.send("show");
    socket.expect_text("1");
}

#[test]
fn state_that_cannot_be_read_closes_with_1012_and_is_never_reset() {
    let unreadable = [
        (newer_without_migration::consumers(), "schema 1, this version reads schema 3"),
        (with_a_field_that_has_no_default::consumers(), "missing field `level`"),
    ];
    for (consumers, text) in unreadable {
        let host = TestHost::new(first::consumers());
        let socket = host.websocket("/counter").connect().unwrap();
        host.replace(consumers);
        socket.send("show");
        socket.expect_close(1012);
        // The message, and the end of the connection, which cannot read it either.
        assert_eq!(host.faults().len(), 2);
        for fault in host.faults() {
            assert!(fault.text.contains(text), "{}", fault.text);
        }
    }
}

#[test]
fn a_rollback_meets_newer_state() {
    let host = TestHost::new(newer_without_migration::consumers());
    let socket = host.websocket("/counter").connect().unwrap();
    host.replace(first::consumers());
    socket.send("show");
    socket.expect_close(1012);
    assert!(host.faults()[0].text.contains("schema 3, this version reads schema 1"));
}

#[test]
fn a_consumer_that_is_gone_closes_with_1012() {
    let host = TestHost::new(first::consumers());
    let socket = host.websocket("/counter").connect().unwrap();
    host.replace(no_counter::consumers());
    socket.expect_close(1012);
}

mod old_path {
    use super::*;

    struct Room {
        name: String,
    }

    #[websocket("/{name}")]
    impl Websocket for Room {
        type State = ();
        type Incoming = String;

        fn receive(&self, socket: &mut Socket<()>, _: String) -> Result<()> {
            Ok(socket.send(self.name.as_str())?)
        }
    }

    tidegate_sdk::export! { Room }
}

mod new_path {
    use super::*;

    struct Room {
        number: String,
    }

    #[websocket("/{number}")]
    impl Websocket for Room {
        type State = ();
        type Incoming = String;

        fn receive(&self, socket: &mut Socket<()>, _: String) -> Result<()> {
            Ok(socket.send(self.number.as_str())?)
        }
    }

    tidegate_sdk::export! { Room }
}

#[test]
fn a_path_parameter_that_another_version_named_is_not_read_as_empty() {
    let host = TestHost::new(old_path::consumers());
    let socket = host.websocket("/blue").connect().unwrap();
    socket.send("where?");
    socket.expect_text("blue");
    host.replace(new_path::consumers());
    socket.send("where?");
    socket.expect_close(1012);
    assert_eq!(host.faults()[0].text, "path parameter `number` is not there");
}

mod no_counter {
    #[tidegate_sdk::http("GET /")]
    fn root() -> &'static str {
        "nothing else\n"
    }

    tidegate_sdk::export! { root }
}

mod large {
    use super::*;

    #[derive(Serialize, Deserialize)]
    pub(super) struct Text(String);

    impl State for Text {}

    struct Large;

    #[websocket("/large")]
    impl Websocket for Large {
        type State = Text;
        type Incoming = String;

        fn receive(&self, socket: &mut Socket<Text>, text: String) -> Result<()> {
            let bytes: usize = text.parse()?;
            let outcome = socket.set_state(Text("x".repeat(bytes)));
            socket.send(outcome.map_or_else(|error| error.to_string(), |()| "ok".to_owned()))?;
            Ok(())
        }
    }

    tidegate_sdk::export! { Large }
}

#[test]
fn state_has_16_kib_and_its_envelope_counts() {
    let host = TestHost::new(large::consumers());
    let socket = host.websocket("/large").connect().unwrap();
    let envelope = b"\x82\xa6schema\xce\x00\x00\x00\x01\xa5state\xda\x00\x00".len();
    socket.send((16 * 1024 - envelope).to_string());
    socket.expect_text("ok");
    socket.send((16 * 1024 - envelope + 1).to_string());
    socket.expect_text("state of 16385 bytes, and the limit is 16384");
}
