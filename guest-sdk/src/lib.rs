#![doc = include_str!("docs/manual.md")]

/// The chapter on users is compiled and run as it stands.
#[cfg(doctest)]
#[doc = include_str!("docs/users.md")]
struct Users;

// So that the macros' paths mean this crate in its own tests.
extern crate self as tidegate_sdk;

#[doc(hidden)]
pub mod __private;
#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod bindings;
mod chunk;
mod consumers;
mod context;
mod demultiplexer;
mod error;
mod export;
mod extract;
mod frame;
mod group;
mod history;
mod host;
#[cfg(any(feature = "log", feature = "tracing"))]
mod logging;
mod online;
mod outside;
mod payload;
mod presence;
mod problem;
mod request;
mod response;
mod schedule;
mod scope;
mod send_error;
mod session;
pub mod sse;
mod state;
mod store;
#[cfg(not(target_family = "wasm"))]
pub mod testing;
mod timer;
mod user;
mod websocket;

pub use chunk::Chunk;
pub use consumers::Consumers;
pub use context::{Context, Level};
pub use demultiplexer::{Demultiplexer, StreamConsumer, StreamSocket, StreamStates, Streams};
pub use error::{Error, Result};
#[cfg(feature = "cookies")]
pub use extract::Cookies;
pub use extract::FromRequest;
#[cfg(feature = "headers")]
pub use extract::Header;
#[cfg(feature = "form")]
pub use extract::{Form, Query};
#[cfg(feature = "multipart")]
pub use extract::{Multipart, Part};
#[cfg(feature = "webhook")]
pub use extract::{SignatureScheme, Signed, Webhook};
pub use frame::{Close, Frame, FromFrame};
pub use group::Group;
pub use history::{History, HistoryError, Page, Position, Remembered, Since};
pub use online::{OnlineError, UserConnections};
pub use outside::{Answer, Fetch, FetchError, FetchFailure, Fetched};
pub use presence::{Member, Members, PresenceChange, PresenceError};
pub use problem::Problem;
pub use request::Request;
pub use response::{IntoReply, Json, Reply, Response};
pub use schedule::Tick;
pub use scope::Scope;
pub use send_error::{FlushError, FlushReason, ReplyError, SendError};
pub use session::{Session, SessionError, Sessions, SignedIn, Throttle};
pub use state::{OldState, State};
pub use store::{OldValue, Store, StoreError, StoreView, Stored};
pub use timer::{Timer, TimerError};
pub use user::User;
pub use websocket::{Handshake, Socket, Websocket};

/// Cookies with their attributes, for [`Response::cookie`].
#[cfg(feature = "cookies")]
pub use cookie;
/// Header fields as types, for [`Header`] and [`Response::typed_header`].
#[cfg(feature = "headers")]
pub use headers;

#[doc = include_str!("docs/channel.md")]
pub use tidegate_sdk_macros::channel;
#[doc = include_str!("docs/claims.md")]
pub use tidegate_sdk_macros::claims;
#[doc = include_str!("docs/export.md")]
pub use tidegate_sdk_macros::export;
#[doc = include_str!("docs/history.md")]
pub use tidegate_sdk_macros::history;
#[doc = include_str!("docs/http.md")]
pub use tidegate_sdk_macros::http;
#[doc = include_str!("docs/presence.md")]
pub use tidegate_sdk_macros::presence;
#[doc = include_str!("docs/resume.md")]
pub use tidegate_sdk_macros::resume;
#[doc = include_str!("docs/schedule.md")]
pub use tidegate_sdk_macros::schedule;
#[doc = include_str!("docs/user.md")]
pub use tidegate_sdk_macros::user;
#[doc = include_str!("docs/websocket.md")]
pub use tidegate_sdk_macros::websocket;
