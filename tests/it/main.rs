//! All integration tests: one binary, over real sockets.

#![expect(
    clippy::unwrap_used,
    clippy::string_slice,
    reason = "a test that meets what it does not expect panics, with the place"
)]

mod abuse;
mod account;
mod api;
mod attacks;
mod attempts;
mod auction;
mod auth;
mod autobahn;
mod backpressure;
mod breaker;
mod browser;
mod certificates;
mod cli;
mod client_js;
mod commands;
mod contract;
mod deflate;
mod deploys;
mod desk;
mod dev;
mod doctor;
mod drain;
mod durable_streams;
mod examples;
mod fetches;
mod files;
mod floors;
mod grants;
mod guests;
mod history;
mod holds;
mod http;
mod http1;
mod http2;
mod http2_attacks;
mod http2_stalls;
mod idle;
mod instances;
mod issuers;
mod keys;
mod lagging_worker;
mod limits;
mod lingering;
mod log;
mod logging;
mod longpoll;
mod many_sockets;
mod metrics;
mod misbehaviour;
mod monitoring;
mod new;
mod notify;
mod once;
mod online;
mod order;
mod outgoing;
mod packaging;
mod presence;
mod probation;
mod prose;
mod proxies;
mod published;
mod readme;
mod recipes;
mod redis;
mod registries;
mod reload;
mod remembered;
mod resume;
mod retries;
mod routes;
mod schedules;
mod service;
mod sessions;
mod shutdown;
mod signatures;
mod slow_clients;
mod stalls;
mod starts;
mod state;
mod store;
mod telemetry;
mod ticker;
mod timers;
mod unrouted;
mod way;
mod websocket;
mod wit;
mod wrong_protocol;

/// The `tidegate` binary.
const TIDEGATE: &str = env!("CARGO_BIN_EXE_tidegate-under-test");
