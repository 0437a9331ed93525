//! Which consumer an HTTP request or a WebSocket is for: pure, over an immutable table.

mod access;
mod error;
mod files;
mod guards;
mod path;
mod pattern;
mod prefix;
mod table;

pub use access::{Access, AccessDenied, ClaimRule, ClaimValue};
pub use error::RouteError;
pub use files::Files;
pub use guards::{GuardError, Guards, Head};
pub use path::{PathError, canonical, decode, strip_root};
pub use pattern::{Pattern, PatternError};
pub use prefix::{Prefix, PrefixError};
pub use table::{Declared, Found, Resolution, Route, RouteTable};

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use arc_swap::{ArcSwap, ArcSwapOption};

use crate::message::{ChannelName, EventKind, Frame, ModuleName, UserLimit};

/// What a consumer is run for, as its module declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// HTTP requests.
    Http {
        /// Methods in upper case.
        methods: BTreeSet<String>,
        /// The path.
        path: Pattern,
        /// What else must hold of a request.
        guards: Guards,
        /// Whether the consumer wants to know that a client left early.
        disconnect: bool,
    },
    /// WebSocket connections.
    Websocket {
        /// The path.
        path: Pattern,
        /// What else must hold of a handshake.
        guards: Guards,
    },
    /// Messages on a channel of the application.
    Channel {
        /// The channel.
        channel: ChannelName,
        /// How often a message is run again; none if it is run at most once.
        retries: Option<u32>,
    },
}

/// One consumer of a module and what it is run for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteSpec {
    /// The consumer's name, unique in its module.
    pub consumer: Arc<str>,
    /// What it is run for.
    pub trigger: Trigger,
}

/// What a connection does when an event of it failed or was lost.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum OnFault {
    /// Close with code 1011.
    #[default]
    Close,
    /// Go on with the next event.
    Continue,
}

/// How long a worker tries to send to full channels after a consumer has returned.
pub const FULL_CHANNEL_TIMEOUT: Duration = Duration::from_secs(2);

/// What the interface server must know of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How long an event may wait for a worker.
    pub event_expiry: Duration,
    /// How long an invocation may take.
    pub deadline: Duration,
    /// What to do about a fault or a lost event.
    pub on_fault: OnFault,
    /// How many connections a user may have; none for any number.
    pub user_limit: Option<UserLimit>,
    /// The sections of `auth` whose users may come; none for all of them.
    pub sections: Option<Arc<BTreeSet<String>>>,
    /// The activation that its routes are of.
    pub activation: u64,
}

impl Policy {
    /// Whether users of a section of `auth` may come.
    pub fn takes_users_of(&self, section: &str) -> bool {
        self.sections.as_ref().is_none_or(|sections| sections.contains(section))
    }

    /// How long a worker has for a message that is run at least once: the run, what it sends to full
    /// channels, and a second more.
    pub fn lease(&self) -> Duration {
        self.deadline + FULL_CHANNEL_TIMEOUT + Duration::from_secs(1)
    }

    /// After this time an event that is not done will never be: it waited, ran, retried what it
    /// sends to full channels, and the mark was on its way.
    pub fn lost_after(&self) -> Duration {
        self.event_expiry + self.deadline + FULL_CHANNEL_TIMEOUT + Duration::from_secs(1)
    }
}

/// The channels that carry a module's events.
#[derive(Clone, Debug)]
pub struct EventChannels {
    /// `http.request.<module>`
    pub http_request: ChannelName,
    /// `http.disconnect.<module>`
    pub http_disconnect: ChannelName,
    /// `websocket.connect.<module>`
    pub websocket_connect: ChannelName,
    /// `websocket.receive.<module>`
    pub websocket_receive: ChannelName,
    /// `websocket.disconnect.<module>`
    pub websocket_disconnect: ChannelName,
}

impl EventChannels {
    /// The channels of a module.
    pub fn of(module: &ModuleName) -> Self {
        Self::each(|kind| ChannelName::of_events(&kind, module))
    }

    /// The channels of events that still have to be routed: `http.request`, ...
    pub fn unrouted() -> Self {
        Self::each(|kind| ChannelName::of_unrouted(&kind))
    }

    fn each(of: impl Fn(EventKind) -> ChannelName) -> Self {
        use crate::message::Close;
        Self {
            http_request: of(EventKind::HttpRequest(bytes::Bytes::new())),
            http_disconnect: of(EventKind::HttpDisconnect),
            websocket_connect: of(EventKind::WebsocketConnect),
            websocket_receive: of(EventKind::WebsocketReceive(Frame::Text(String::new()))),
            websocket_disconnect: of(EventKind::WebsocketDisconnect(Close::new(1000, ""))),
        }
    }

    /// All of them.
    pub fn all(&self) -> [&ChannelName; 5] {
        [
            &self.http_request,
            &self.http_disconnect,
            &self.websocket_connect,
            &self.websocket_receive,
            &self.websocket_disconnect,
        ]
    }

    /// The one that carries a kind of event.
    pub const fn carrying(&self, kind: &EventKind) -> &ChannelName {
        match kind {
            EventKind::HttpRequest(_) => &self.http_request,
            EventKind::HttpDisconnect => &self.http_disconnect,
            EventKind::WebsocketConnect => &self.websocket_connect,
            EventKind::WebsocketReceive(_) => &self.websocket_receive,
            EventKind::WebsocketDisconnect(_) => &self.websocket_disconnect,
        }
    }
}

/// The current table. Clones see the same table; it is swapped as a whole.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    table: Arc<ArcSwap<RouteTable>>,
    awaited: Arc<ArcSwapOption<String>>,
}

impl Routes {
    /// The table as it is now. It stays as it is for whoever holds it.
    pub fn snapshot(&self) -> Arc<RouteTable> {
        self.table.load_full()
    }

    /// Swaps the table.
    pub fn replace(&self, table: RouteTable) {
        self.table.store(Arc::new(table));
    }

    /// Announces a module that will have routes soon, with the text for clients that ask too early;
    /// none ends that.
    pub fn announce(&self, awaited: Option<String>) {
        self.awaited.store(awaited.map(Arc::new));
    }

    /// The text for clients whose path nobody serves yet.
    pub fn awaited(&self) -> Option<Arc<String>> {
        self.awaited.load_full()
    }
}
