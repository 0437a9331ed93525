//! The rules of the contract, seen from a consumer: what is sent, what is dropped, and what a client
//! is told.

#[path = "consumers/cases.rs"]
mod cases;
#[path = "consumers/channels.rs"]
mod channels;
#[path = "consumers/demultiplexer.rs"]
mod demultiplexer;
#[path = "consumers/errors.rs"]
mod errors;
#[path = "consumers/extract.rs"]
mod extract;
#[path = "consumers/fetches.rs"]
mod fetches;
#[path = "consumers/groups.rs"]
mod groups;
#[path = "consumers/http.rs"]
mod http;
#[path = "consumers/logging.rs"]
mod logging;
#[path = "consumers/machine.rs"]
mod machine;
#[path = "consumers/outbox.rs"]
mod outbox;
#[path = "consumers/presence.rs"]
mod presence;
#[path = "consumers/routes.rs"]
mod routes;
#[path = "consumers/sse.rs"]
mod sse;
#[path = "consumers/state.rs"]
mod state;
#[path = "consumers/store.rs"]
mod store;
#[path = "consumers/timers.rs"]
mod timers;
#[path = "consumers/webhooks.rs"]
mod webhooks;
#[path = "consumers/websocket.rs"]
mod websocket;
