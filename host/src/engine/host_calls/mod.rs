//! What guests may call. Each view of a run sees only the parts that its interface needs.

mod channel;
mod connection;
mod filesystem;
mod history;
mod http;
mod invocation;
mod layer;
mod log;
mod online;
mod outside;
mod presence;
mod reply;
mod sessions;
mod store;
mod timers;
mod users;
pub(super) mod wasi;

pub(super) use connection::ConnectionCalls;
pub(super) use filesystem::watch_changes;
pub(super) use history::HistoryCalls;
pub(super) use http::HttpCalls;
pub(super) use invocation::InvocationCalls;
pub(super) use layer::LayerCalls;
pub(super) use log::LogCalls;
pub(super) use online::OnlineCalls;
pub(super) use outside::OutsideCalls;
pub(super) use presence::PresenceCalls;
pub(super) use reply::ReplyCalls;
pub(super) use sessions::SessionCalls;
pub(super) use store::StoreCalls;
pub(super) use timers::TimerCalls;
pub(super) use users::UserCalls;
