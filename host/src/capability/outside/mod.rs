//! Requests to servers elsewhere: what a module may reach, what it asks for, and the client that asks.
//!
//! A run asks for a [`Fetch`], which commits with it and then is a message on a channel of the host's. A process
//! that makes requests takes it from there, and its [`Client`] sends it to a server that the [`Destinations`]
//! of the module name.

mod client;
mod counted;
mod document;
mod fetch;
mod fetched;
mod grant;
mod guard;
mod redirect;
mod resolver;

/// The body of an answer, as it comes.
pub use reqwest::Body as AnswerBody;

pub use client::{Client, ClientError, Clients, ForwardError, RootsError};
pub use document::{Document, DocumentError, DocumentUrl, DocumentUrlError};
pub use fetch::{Fetch, FetchError, RETRIES_MAX};
pub use fetched::{Failure, FailureReason, Fetched};
pub use grant::{Admitted, OutsideGrant};
pub use guard::{
    AddressRange, Destination, DestinationError, DestinationProblem, Destinations, Host, Origin,
    Refusal, RefusalCounts, RefusalReason, Scheme, Target, UrlProblem,
};
