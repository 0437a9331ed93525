//! The host of Tidegate: interface server, channel layer and sandboxed workers in one library.
//!
//! ```text
//! socket ── interface ──▶ layer ──▶ worker ── engine ──▶ consumer (wasm)
//!               ▲           │  ▲       │
//!               └── inbox ──┘  └───────┘  replies, sends, groups
//! ```
//!
//! Floors, each of which knows only those above it in this list:
//!
//! | floor | modules |
//! |---|---|
//! | 0 | [`message`], [`redis`], [`shutdown`], [`telemetry`], `outage`, `setting` |
//! | 1 | [`auth`], [`capability`], [`layer`], [`routing`] |
//! | 2 | [`engine`] |
//! | 3 | [`registry`] |
//! | 4 | [`interface`] and [`worker`], which do not know each other |
//! | 5 | [`admin`] |
//! | 6 | [`config`] |
//! | 7 | [`app`] |
//! | 8 | [`cli`] |

pub mod admin;
pub mod app;
pub mod auth;
pub mod capability;
pub mod cli;
pub mod config;
pub mod engine;
pub mod interface;
pub mod layer;
pub mod message;
mod outage;
pub mod redis;
pub mod registry;
pub mod routing;
mod setting;
pub mod shutdown;
pub mod telemetry;
mod whole_file;
pub mod worker;

pub use app::{App, RunningApp};
pub use config::Config;
