//! What every consumer can do: send, join groups, log, and facts of the invocation.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::host::{connection, history, invocation, layer, log, machine, reply, types};
use crate::response::Answer;
use crate::{
    Fetch, FetchError, FlushError, Group, History, HistoryError, Position, Reply, ReplyError,
    Response, Scope, SendError, Session, Sessions, Since, Store, Stored, Timer, TimerError, User,
    UserConnections,
};
use crate::{payload, timer};

/// What a consumer does besides returning: send messages, join groups, write lines for the record.
///
/// Nothing here waits. What is sent, joined or left is kept in the invocation's *outbox*, which the
/// host sends in order when the consumer has returned without fault; after a fault only what
/// [`flush`](Self::flush) sent has been sent.
///
/// ```
/// use std::time::Duration;
/// use serde::{Deserialize, Serialize};
/// use tidegate_sdk::{Context, Result, channel, export, http, testing::TestHost};
///
/// #[derive(Serialize, Deserialize)]
/// struct Reminder {
///     text: String,
/// }
///
/// #[http("POST /remind/{text}")]
/// fn remind(cx: &mut Context, text: String) -> Result<(u16, &'static str)> {
///     cx.send_later("reminders.due", &Reminder { text }, Duration::from_secs(60))?;
///     Ok((202, "in a minute\n"))
/// }
///
/// #[channel("reminders.due")]
/// fn due(cx: &mut Context, reminder: Reminder) {
///     cx.info(reminder.text);
/// }
///
/// export! { remind, due }
///
/// let host = TestHost::new(consumers());
/// assert_eq!(host.request("POST", "/remind/tea").send().status(), 202);
/// assert!(host.logs().is_empty());
/// host.advance(Duration::from_secs(60));
/// assert_eq!(host.logs()[0].text, "tea");
/// ```
#[derive(Debug)]
pub struct Context {
    invocation: types::Invocation,
    prefix: &'static str,
    /// None where the scope has it, or where there is no connection.
    reply_channel: Option<String>,
    scope: OnceCell<Option<Rc<Scope>>>,
    user: OnceCell<Option<User>>,
}

impl Context {
    pub(crate) fn new(invocation: types::Invocation, prefix: &'static str) -> Self {
        Self {
            invocation,
            prefix,
            reply_channel: None,
            scope: OnceCell::new(),
            user: OnceCell::new(),
        }
    }

    pub(crate) fn set_scope(&mut self, scope: types::Scope) -> Rc<Scope> {
        let scope = Rc::new(Scope::new(scope));
        self.scope = OnceCell::from(Some(Rc::clone(&scope)));
        scope
    }

    pub(crate) fn set_reply_channel(&mut self, channel: String) {
        self.reply_channel = Some(channel);
    }

    /// The name under which the module is deployed.
    #[must_use]
    pub fn module(&self) -> &str {
        &self.invocation.module
    }

    /// What [`export!`](crate::export) puts before the consumer's path, for links to its neighbours.
    /// Empty without a prefix. Where the application is mounted stands before it:
    /// [`Scope::root_path`].
    #[must_use]
    pub fn prefix(&self) -> &'static str {
        self.prefix
    }

    /// 32 hexadecimal digits that follow one event through the access log, records, replies and
    /// background sends.
    #[must_use]
    pub fn correlation_id(&self) -> &str {
        &self.invocation.correlation_id
    }

    /// The id of the message that the consumer runs for: 32 hexadecimal digits, the same however often it is
    /// delivered. With it another service knows that a request repeats one that it has had.
    ///
    /// None for an event of a connection, and where the sender of the message gave it none, as a program in
    /// another language may.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tidegate_sdk::testing::TestHost;
    /// use tidegate_sdk::{Context, Error, Result, channel, export, http};
    ///
    /// #[http("POST /charge")]
    /// fn order(cx: &mut Context) -> Result<&'static str> {
    ///     cx.send("shop.charge", &std::collections::BTreeMap::from([("cents", 250)]))?;
    ///     Ok("soon\n")
    /// }
    ///
    /// #[channel("shop.charge", retries = 5)]
    /// fn charge(cx: &mut Context) -> Result<()> {
    ///     let key = cx.message_id().unwrap_or_default();
    ///     cx.info(format!("attempt {} with the key {key}", cx.attempt()));
    ///     if cx.attempt() < 2 { Err(Error::failed("busy")) } else { Ok(()) }
    /// }
    ///
    /// export! { order, charge }
    ///
    /// let host = TestHost::new(consumers());
    /// assert_eq!(host.request("POST", "/charge").send().text(), "soon\n");
    /// host.advance(Duration::from_secs(1));
    /// let lines: Vec<_> = host.logs().into_iter().map(|line| line.text).collect();
    /// let (first, key) = lines[0].split_once(" with the key ").unwrap();
    /// assert_eq!((first, key.len()), ("attempt 1", 32));
    /// assert_eq!(lines[1], format!("attempt 2 with the key {key}"));
    /// ```
    #[must_use]
    pub fn message_id(&self) -> Option<String> {
        invocation::message_id()
    }

    /// Which delivery of the message this is: 1 for the first, and 1 for an event of a connection. On a
    /// channel with `retries` it counts up with each delivery after a fault or the loss of a worker. A run
    /// that is done again since data has changed is the same delivery.
    ///
    /// The channel keeps the count. So it begins again in the channel for what cannot be done, and where a
    /// single process was started again.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        invocation::attempt()
    }

    /// The connection's own channel. None for a message on a channel of the application.
    #[must_use]
    pub fn reply_channel(&self) -> Option<&str> {
        match (&self.reply_channel, self.scope.get()) {
            (Some(channel), _) => Some(channel),
            (None, Some(Some(scope))) => Some(scope.reply_channel()),
            (None, _) => None,
        }
    }

    /// The facts of the connection. None for a message on a channel of the application.
    #[must_use]
    pub fn scope(&self) -> Option<&Scope> {
        self.scope
            .get_or_init(|| connection::get_scope().map(|scope| Rc::new(Scope::new(scope))))
            .as_deref()
    }

    /// The user of the connection, as of its request or handshake. None: nobody is signed in, or the
    /// consumer asks for no user; see [`User`].
    #[must_use]
    pub fn user(&self) -> Option<&User> {
        self.user.get_or_init(User::current).as_ref()
    }

    /// Sends a message to a channel: one that this module declares, or a reply channel whose name it
    /// was handed. `payload` is a struct with named fields, a map, or one of [`Frame`](crate::Frame),
    /// [`Response`] and [`Close`](crate::Close) for a reply channel.
    ///
    /// # Errors
    /// When the host refuses it, which [`SendError`] tells.
    pub fn send(&mut self, channel: &str, payload: &impl Serialize) -> Result<(), SendError> {
        Ok(layer::send(channel, &payload::encode(payload)?)?)
    }

    /// Sends a message to a channel, not before `delay` has passed. At most 24 hours.
    ///
    /// # Errors
    /// As [`Context::send`].
    pub fn send_later(
        &mut self,
        channel: &str,
        payload: &impl Serialize,
        delay: Duration,
    ) -> Result<(), SendError> {
        Ok(layer::send_later(channel, &payload::encode(payload)?, milliseconds(delay))?)
    }

    /// Sends a message to a channel of the application at a moment, at most a year ahead; at once if the
    /// moment has passed. It waits as a [`Timer`] does, and nothing replaces or cancels it.
    ///
    /// # Errors
    /// When the host refuses the call, or serde cannot write the payload.
    pub fn send_at(
        &mut self,
        channel: &str,
        payload: &impl Serialize,
        moment: SystemTime,
    ) -> Result<(), TimerError> {
        timer::send_at(channel, payload, moment)
    }

    /// The timer of a key, a text of 1 to 512 bytes. The keys of timers are their own: they do not meet
    /// those of the store.
    #[must_use]
    pub fn timer(&self, key: impl Into<String>) -> Timer {
        Timer::new(key.into())
    }

    /// Has a request made to a server elsewhere when the run has committed. See [`Fetch`].
    ///
    /// # Errors
    /// When the host refuses it: it breaks a rule, the server is not granted to the module, or the channel of its
    /// result is not the module's.
    pub fn fetch(&mut self, fetch: Fetch) -> Result<(), FetchError> {
        fetch.ask()
    }

    /// Makes a request to a server elsewhere and waits for its answer, whatever its status. The wait counts against
    /// the run's deadline and holds its slot. A run that has made a request fails if its data has changed meanwhile; a
    /// channel with retries delivers its message again, and then the request is made again. Prefer [`fetch`](Self::fetch) for what can come later. Of the [`Fetch`] method, URL, header
    /// fields, body and timeout count; the timeout ends with the header of the answer. Redirects are not followed, and a compressed body comes as it is.
    ///
    /// ```
    /// use tidegate_sdk::{Context, Error, Fetch, Result, export, http, testing::TestHost};
    ///
    /// #[http("GET /rate/{currency}")]
    /// fn rate(cx: &mut Context, currency: &str) -> Result<String> {
    ///     let url = format!("https://rates.example.com/{currency}");
    ///     let answer = cx.fetch_now(Fetch::get(url)).map_err(|error| Error::failed(error.to_string()))?;
    ///     Ok(answer.text())
    /// }
    ///
    /// export! { rate }
    ///
    /// let host = TestHost::new(consumers()).reaching("rates.example.com");
    /// host.answers("GET https://rates.example.com/eur", 200, "1.08");
    /// assert_eq!(host.get("/rate/eur").text(), "1.08");
    /// ```
    ///
    /// # Errors
    /// When there is no answer.
    #[cfg(feature = "outgoing")]
    pub fn fetch_now(&mut self, fetch: Fetch) -> Result<crate::Answer, crate::FetchFailure> {
        fetch.send()
    }

    /// Makes this connection a member of a group, until it leaves or ends.
    ///
    /// # Errors
    /// When the event has no connection, or the host refuses the name.
    pub fn group_add<'a>(&mut self, group: impl Into<Group<'a>>) -> Result<(), SendError> {
        let channel = self.reply_channel().ok_or(SendError::NoConnection)?;
        Ok(layer::group_add(&group.into().full_name(self.module()), channel)?)
    }

    /// Makes this connection a member of a group that is remembered, from a place on: the host sends it all that it
    /// has missed, in order and once, or tells it that messages are gone. What it gets from the group carries
    /// positions; see [`#[history]`](macro@crate::history). One that has joined so already stays as it is.
    ///
    /// # Errors
    /// When the event has no connection, the group is not remembered, or the host refuses the name.
    pub fn group_join<'a>(
        &mut self,
        group: impl Into<Group<'a>>,
        since: Since,
    ) -> Result<(), HistoryError> {
        let Since { position, latest } = since;
        let group = group.into().full_name(self.module());
        Ok(history::join(&group, position.as_ref().map(Position::as_str), latest)?)
    }

    /// The last position in a group that the client says it has: the part behind the colon of
    /// `after=GROUP:POSITION` in its query, else a lone `after=POSITION`, else the header field `last-event-id`,
    /// which browsers send for a stream of events. The JavaScript client sends it. It may be any text; the host
    /// checks it.
    #[must_use]
    pub fn last_position<'a>(&self, group: impl Into<Group<'a>>) -> Option<Position> {
        let group = group.into().full_name(self.module());
        crate::history::said(self.scope()?, &group)
    }

    /// The history of a group that is remembered.
    #[must_use]
    pub fn history<'a>(&self, group: impl Into<Group<'a>>) -> History {
        History::new(group.into().full_name(self.module()).into_owned())
    }

    /// Makes any channel a member of a group.
    ///
    /// # Errors
    /// When the host refuses a name.
    pub fn group_add_channel<'a>(
        &mut self,
        group: impl Into<Group<'a>>,
        channel: &str,
    ) -> Result<(), SendError> {
        Ok(layer::group_add(&group.into().full_name(self.module()), channel)?)
    }

    /// Ends this connection's membership in a group. Without one, it does nothing.
    ///
    /// # Errors
    /// As [`Context::group_add`].
    pub fn group_discard<'a>(&mut self, group: impl Into<Group<'a>>) -> Result<(), SendError> {
        let channel = self.reply_channel().ok_or(SendError::NoConnection)?;
        Ok(layer::group_discard(&group.into().full_name(self.module()), channel)?)
    }

    /// Ends any channel's membership in a group.
    ///
    /// # Errors
    /// When the host refuses a name.
    pub fn group_discard_channel<'a>(
        &mut self,
        group: impl Into<Group<'a>>,
        channel: &str,
    ) -> Result<(), SendError> {
        Ok(layer::group_discard(&group.into().full_name(self.module()), channel)?)
    }

    /// Sends a message to every member of a group. `payload` is as in [`Context::send`]; for members
    /// that are connections a [`Frame`](crate::Frame), [`Response`] or [`Close`](crate::Close).
    ///
    /// # Errors
    /// As [`Context::send`].
    pub fn group_send<'a>(
        &mut self,
        group: impl Into<Group<'a>>,
        payload: &impl Serialize,
    ) -> Result<(), SendError> {
        let content = payload::encode(payload)?;
        Ok(layer::group_send(&group.into().full_name(self.module()), &content)?)
    }

    /// The connections of a user to this module, by the id of the user: to send to them, to close and to count them.
    #[must_use]
    pub const fn connections_of<'a>(&self, user: &'a str) -> UserConnections<'a> {
        UserConnections::new(user)
    }

    /// The data of the module, which this run reads and writes as one transaction.
    #[must_use]
    pub fn store(&self) -> Store {
        Store::new()
    }

    /// The sessions of the host: signing in and out.
    #[must_use]
    pub const fn sessions(&self) -> Sessions {
        Sessions::new()
    }

    /// What the module keeps for the session of the connection. A consumer of HTTP can take it as a parameter.
    #[must_use]
    pub const fn session<T: Stored + Default>(&self) -> Session<T> {
        Session::new()
    }

    /// Commits the writes to the [`Store`], then sends the outbox now, replies included.
    /// After that the consumer is not run again if data that it read changes: such a change is then a fault.
    ///
    /// # Errors
    /// When an entry cannot be sent. What stood before it is sent, the entry is removed, the rest
    /// stays. Data that was committed stays, too.
    pub fn flush(&mut self) -> Result<(), FlushError> {
        Ok(layer::flush()?)
    }

    /// Keeps the HTTP request open after the consumer has returned, until somebody sends a
    /// [`Response`] to its reply channel. After `timeout`, at most 1 hour, the host answers with
    /// status 504, or with the response of [`Reply::or`].
    ///
    /// ```
    /// use std::time::Duration;
    /// use tidegate_sdk::{Context, Reply, Response, Result, http};
    ///
    /// #[http("GET /news")]
    /// fn news(cx: &mut Context) -> Result<Reply> {
    ///     cx.group_add("waiting")?;
    ///     Ok(cx.hold(Duration::from_secs(30)).or(Response::new(204)))
    /// }
    ///
    /// #[http("POST /news")]
    /// fn publish(cx: &mut Context) -> Result<&'static str> {
    ///     cx.group_send("waiting", &Response::text("it rains\n"))?;
    ///     Ok("published\n")
    /// }
    /// ```
    pub fn hold(&mut self, timeout: Duration) -> Reply {
        Reply(Answer::Hold { timeout, fallback: None })
    }

    /// Starts a response whose body follows in parts. The body of `head`, if there is one, is the
    /// first part.
    ///
    /// To let a part go out before the consumer returns, call [`flush`](Self::flush).
    ///
    /// ```
    /// use tidegate_sdk::{Context, Reply, Response, Result, http};
    ///
    /// #[http("GET /numbers")]
    /// fn numbers(cx: &mut Context) -> Result<Reply> {
    ///     cx.start_stream(Response::new(200).header("content-type", "text/plain"))?;
    ///     for number in 1..=3 {
    ///         cx.write(format!("{number}\n"))?;
    ///         cx.flush()?;
    ///     }
    ///     Ok(cx.end_stream()?)
    /// }
    /// ```
    ///
    /// # Errors
    /// When the event is no HTTP request, it is answered already, or the head may not be sent.
    pub fn start_stream(&mut self, head: Response) -> Result<(), ReplyError> {
        let types::Response { status, headers, body } = head.0;
        reply::stream(&types::StreamPart::Start(types::ResponseHead { status, headers }))?;
        if !body.is_empty() {
            self.write(body)?;
        }
        Ok(())
    }

    /// Writes a part of the body of a streamed response.
    ///
    /// # Errors
    /// When no stream is open.
    pub fn write(&mut self, chunk: impl Into<Vec<u8>>) -> Result<(), ReplyError> {
        Ok(reply::stream(&types::StreamPart::Chunk(chunk.into()))?)
    }

    /// Ends a streamed response. An HTTP consumer returns what this returns. To go on later from the
    /// reply channel, return [`Context::hold`] in its place; there a [`Chunk`](crate::Chunk) is a part
    /// or the end.
    ///
    /// # Errors
    /// When no stream is open.
    pub fn end_stream(&mut self) -> Result<Reply, ReplyError> {
        reply::stream(&types::StreamPart::End)?;
        Ok(Reply(Answer::Streamed))
    }
}

/// What the module is granted of the machine. A test host has its own, so code that is tested asks here
/// and not in `std`.
impl Context {
    /// The time. In a module it is that of the machine, as `SystemTime::now` tells it; in a test
    /// [`TestHost::advance`](crate::testing::TestHost::advance) moves it.
    ///
    /// ```
    /// use std::time::{Duration, UNIX_EPOCH};
    /// use tidegate_sdk::{Context, export, http, testing::TestHost};
    ///
    /// #[http("GET /seconds")]
    /// fn seconds(cx: &mut Context) -> String {
    ///     cx.now().duration_since(UNIX_EPOCH).map_or(0, |it| it.as_secs()).to_string()
    /// }
    ///
    /// export! { seconds }
    ///
    /// let host = TestHost::new(consumers()).at(UNIX_EPOCH);
    /// host.advance(Duration::from_secs(90));
    /// assert_eq!(host.get("/seconds").text(), "90");
    /// ```
    #[must_use]
    pub fn now(&self) -> SystemTime {
        machine::now()
    }

    /// A variable of the environment that the module is granted, secrets among them: `environment` and
    /// `secrets` of its grants. None if it is not granted, or not UTF-8.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<String> {
        machine::variable(name)
    }

    /// Where a file of a granted directory is: in a module the same path, in a test below the directory
    /// that [`TestHost::directory`](crate::testing::TestHost::directory) names. What is not granted is
    /// not there.
    #[must_use]
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        machine::path(path.as_ref())
    }
}

/// Lines for the record.
impl Context {
    /// Adds a line to the invocation's record.
    pub fn log(&self, level: Level, text: impl AsRef<str>) {
        let level = match level {
            Level::Trace => log::Level::Trace,
            Level::Debug => log::Level::Debug,
            Level::Info => log::Level::Info,
            Level::Warn => log::Level::Warn,
            Level::Error => log::Level::Error,
        };
        log::log(level, text.as_ref());
    }

    /// Adds a line for whoever looks for a defect.
    pub fn debug(&self, text: impl AsRef<str>) {
        self.log(Level::Debug, text);
    }

    /// Adds a line that an operator may want to know.
    pub fn info(&self, text: impl AsRef<str>) {
        self.log(Level::Info, text);
    }

    /// Adds a line about something that looks wrong.
    pub fn warn(&self, text: impl AsRef<str>) {
        self.log(Level::Warn, text);
    }

    /// Adds a line about something that failed.
    pub fn error(&self, text: impl AsRef<str>) {
        self.log(Level::Error, text);
    }
}

/// How much a line of the record matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Every step.
    Trace,
    /// For whoever looks for a defect.
    Debug,
    /// What an operator may want to know.
    Info,
    /// Something looks wrong, and work goes on.
    Warn,
    /// Something failed.
    Error,
}

pub(crate) fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
