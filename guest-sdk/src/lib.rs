#![doc = include_str!("docs/manual.md")]

// So that the macros' paths mean this crate in its own tests.
extern crate self as tidegate_sdk;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod bindings;
mod consumers;
mod context;
mod demultiplexer;
mod error;
mod export;
mod frame;
mod group;
mod host;
#[cfg(any(feature = "log", feature = "tracing"))]
mod logging;
mod payload;
mod refused;
mod request;
mod response;
mod scope;
pub mod sse;
mod state;
#[cfg(not(target_family = "wasm"))]
pub mod testing;
mod websocket;

pub use consumers::Consumers;
pub use context::{Context, Level};
pub use demultiplexer::{Demultiplexer, StreamConsumer, StreamSocket, StreamStates, Streams};
pub use error::{Error, Result};
pub use frame::{Close, Frame, FromFrame};
pub use group::Group;
pub use refused::{FlushError, FlushReason, ReplyError, SendError};
pub use request::Request;
pub use response::{IntoReply, Json, Reply, Response};
pub use scope::Scope;
pub use state::{OldState, State};
pub use websocket::{Handshake, Socket, Websocket};

#[doc = include_str!("docs/channel.md")]
pub use tidegate_sdk_macros::channel;
#[doc = include_str!("docs/http.md")]
pub use tidegate_sdk_macros::http;
#[doc = include_str!("docs/websocket.md")]
pub use tidegate_sdk_macros::websocket;
