#![doc = include_str!("../docs/testing.md")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use serde::{Serialize, de::DeserializeOwned};

use crate::consumers::{Entry, Trigger};
use crate::{Consumers, Group, Level, SendError, Tick, payload};

mod call;
pub mod cases;
mod connection;
mod data;
mod delivery;
mod driver;
mod forms;
mod history;
mod http;
mod outside;
mod panics;
mod presence;
mod routes;
mod rules;
mod sessions;
mod users;
mod value;
mod websocket;
mod world;

pub use data::TestData;
pub use http::{TestRequest, TestResponse};
pub use outside::TestFetch;
/// Writes JSON in place: `json!({ "name": "Ada" })`.
pub use serde_json::json;
pub use websocket::{Denied, TestHandshake, TestSocket};
use world::World;

type SharedWorld = Rc<RefCell<World>>;

/// Runs the consumers of a module natively; see [the module](self).
///
/// Everything happens on this thread and at once: when a call returns, the event and all that
/// followed from it have run.
#[derive(Debug)]
pub struct TestHost {
    world: SharedWorld,
    /// The connections of cases, by name.
    sockets: BTreeMap<String, TestSocket>,
}

impl TestHost {
    /// A host with one module, named `test`.
    #[must_use]
    pub fn new(consumers: Consumers) -> Self {
        panics::watch();
        let world = Rc::new(RefCell::new(World::new(consumers)));
        Self { world, sockets: BTreeMap::new() }
    }

    /// Deploys the module under another name.
    ///
    /// # Panics
    /// When the name is not 1 to 63 bytes of `a-z 0-9 -`.
    #[must_use]
    pub fn named(self, module: &str) -> Self {
        assert!(rules::is_module(module), "{module:?} is not 1 to 63 bytes of a-z 0-9 -");
        module.clone_into(&mut self.world.borrow_mut().module);
        self
    }

    /// Allows the module a channel or a group that is not its own, as an operator may.
    #[must_use]
    pub fn granted(self, name: &str) -> Self {
        self.world.borrow_mut().granted.insert(name.to_owned());
        self
    }

    /// Lets the module sign users in and out, as `grants.sessions` does.
    #[must_use]
    pub fn granted_sessions(self) -> Self {
        self.world.borrow_mut().signs_in = true;
        self
    }

    /// Sets a variable of the module's environment, as `grants.environment` does. Consumers read it with
    /// [`Context::variable`](crate::Context::variable); `std::env::var` reads that of the test's process.
    #[must_use]
    pub fn environment(self, name: &str, value: &str) -> Self {
        self.world.borrow_mut().environment.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Gives the module a secret, as `grants.secrets` does: a variable like the others.
    #[must_use]
    pub fn secret(self, name: &str, value: &str) -> Self {
        self.environment(name, value)
    }

    /// Grants a directory of this machine under the name that the module has for it, such as `/data`.
    /// Consumers find it with [`Context::path`](crate::Context::path). Here it may be written in any
    /// case.
    ///
    /// # Panics
    /// When the module's name for it is not an absolute path.
    #[must_use]
    pub fn directory(self, guest: &str, directory: impl Into<PathBuf>) -> Self {
        assert!(guest.starts_with('/'), "{guest:?} is not an absolute path, such as \"/data\"");
        self.world.borrow_mut().directories.insert(guest.into(), directory.into());
        self
    }

    /// Sets the time that [`Context::now`](crate::Context::now) tells, until [`TestHost::advance`] moves
    /// it. At first it is that of the machine.
    #[must_use]
    pub fn at(self, time: SystemTime) -> Self {
        {
            let mut world = self.world.borrow_mut();
            world.epoch = time - world.now;
        }
        self
    }

    /// Deploys another version of the module: open connections stay, with their state, and the next
    /// event meets the new consumers. A connection whose consumer is gone closes with code 1012.
    ///
    /// ```
    /// use tidegate_sdk::testing::TestHost;
    ///
    /// mod one {
    ///     #[tidegate_sdk::http("GET /version")]
    ///     fn version() -> &'static str {
    ///         "one"
    ///     }
    ///     tidegate_sdk::export! { version }
    /// }
    ///
    /// mod two {
    ///     #[tidegate_sdk::http("GET /version")]
    ///     fn version() -> &'static str {
    ///         "two"
    ///     }
    ///     tidegate_sdk::export! { version }
    /// }
    ///
    /// let host = TestHost::new(one::consumers());
    /// host.replace(two::consumers());
    /// assert_eq!(host.get("/version").text(), "two");
    /// ```
    pub fn replace(&self, consumers: Consumers) {
        self.world.borrow_mut().replace(consumers);
    }

    /// Sends a GET request.
    #[must_use]
    pub fn get(&self, path: &str) -> TestResponse {
        self.request("GET", path).send()
    }

    /// Makes an HTTP request. The path may have a query.
    pub fn request(&self, method: &str, path: &str) -> TestRequest {
        TestRequest::new(Rc::clone(&self.world), method, path)
    }

    /// Asks for a WebSocket. The path may have a query.
    pub fn websocket(&self, path: &str) -> TestHandshake {
        TestHandshake::new(Rc::clone(&self.world), path)
    }

    /// Sends a message to a channel, as another program may.
    ///
    /// # Errors
    /// When the name or the content breaks a rule.
    pub fn send(&self, channel: &str, payload: &impl Serialize) -> Result<(), SendError> {
        rules::channel(channel)?;
        let content = payload::encode(payload)?;
        rules::content(&content)?;
        {
            let mut world = self.world.borrow_mut();
            let correlation = world.next_id();
            world.send(channel.to_owned(), content, &correlation);
        }
        call::settle(&self.world);
        Ok(())
    }

    /// Moves the clock, that of [`Context::now`](crate::Context::now) too. Runs what is due on the way, in the order of time.
    pub fn advance(&self, span: Duration) {
        let end = self.world.borrow().now + span;
        loop {
            let more = self.world.borrow_mut().next_due(end);
            call::settle(&self.world);
            if !more {
                return;
            }
        }
    }

    /// Sends a [`Tick`] of this moment to a consumer that has a [`schedule`](macro@crate::schedule).
    ///
    /// # Panics
    /// When the module has no such consumer, or it has no schedule.
    #[track_caller]
    pub fn fire(&self, consumer: &str) {
        let (entries, now) = {
            let world = self.world.borrow();
            (world.consumers.entries(), world.clock())
        };
        let scheduled = entries.iter().find(|it| it.name == consumer && it.schedule.is_some());
        let Some(Entry { trigger: Trigger::Channel { name, .. }, .. }) = scheduled else {
            panic!(
                "{consumer:?} has no schedule: write #[schedule(..)] before its name in export!"
            );
        };
        self.send(name, &Tick::at(now))
            .expect("a tick is a message, and the channel is the module's");
    }

    /// The keys of the timers that wait, in their order. See [`Timer`](crate::Timer).
    #[must_use]
    pub fn timers(&self) -> Vec<String> {
        self.world.borrow().timers.keys().cloned().collect()
    }

    /// What was sent to a channel so far, also by way of a delay that has passed.
    #[must_use]
    pub fn messages(&self, channel: &str) -> Vec<Sent> {
        pick(&self.world.borrow().sent, channel)
    }

    /// The channels in a group.
    #[must_use]
    pub fn group<'a>(&self, group: impl Into<Group<'a>>) -> Vec<String> {
        let world = self.world.borrow();
        let members = world.groups.get(&*group.into().full_name(&world.module));
        members.into_iter().flatten().cloned().collect()
    }

    /// The keys of the members that are present in a group, in their order. See
    /// [`Context::present`](crate::Context::present).
    #[must_use]
    pub fn members<'a>(&self, group: impl Into<Group<'a>>) -> Vec<String> {
        let world = self.world.borrow();
        let group = group.into().full_name(&world.module);
        let page = world.presence.page(&group, None, usize::MAX);
        page.members.into_iter().map(|member| member.key).collect()
    }

    /// What was sent to a group so far.
    #[must_use]
    pub fn group_messages<'a>(&self, group: impl Into<Group<'a>>) -> Vec<Sent> {
        let world = self.world.borrow();
        pick(&world.group_sent, &group.into().full_name(&world.module))
    }

    /// The lines that consumers logged. A fault does not take them back.
    #[must_use]
    pub fn logs(&self) -> Vec<LogLine> {
        self.world.borrow().logs.clone()
    }

    /// The invocations that failed.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        self.world.borrow().faults.clone()
    }

    /// Why messages reached nobody: the connection is gone, or its kind takes no such message.
    #[must_use]
    pub fn drops(&self) -> Vec<String> {
        self.world.borrow().drops.clone()
    }
}

fn pick(sent: &[(String, Sent)], name: &str) -> Vec<Sent> {
    sent.iter().filter(|(to, _)| to == name).map(|(_, message)| message.clone()).collect()
}

/// A message that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent(pub(crate) Vec<u8>);

impl Sent {
    /// Reads the content.
    ///
    /// # Panics
    /// When the content does not read as `T`.
    #[must_use]
    #[track_caller]
    pub fn read<T: DeserializeOwned>(&self) -> T {
        match payload::decode(&self.0) {
            Ok(content) => content,
            Err(error) => {
                panic!("the message does not read as `{}`: {error}", std::any::type_name::<T>())
            }
        }
    }
}

/// A line that a consumer logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// The consumer.
    pub consumer: String,
    /// How much it matters.
    pub level: Level,
    /// The line.
    pub text: String,
}

/// An invocation that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The consumer.
    pub consumer: String,
    /// Why, for the record. Of a panic it has the place and the message, as in
    /// `panicked at src/lib.rs:7:5: the tide is out`.
    pub text: String,
}
