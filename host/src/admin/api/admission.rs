//! Lets requests in: by their token, its role, and the modules that it covers.

use std::{
    net::{IpAddr, Ipv4Addr},
    num::NonZeroU32,
    time::Duration,
};

use futures_util::stream;
use governor::{
    Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
    state::keyed::HashMapStateStore,
};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::{HeaderMap, StatusCode, header};

use super::{
    Answer, Call,
    operations::{Reach, Row},
    problem::Problem,
};
use crate::{
    admin::{
        State,
        access::{Holder, Role},
        store::AdminStoreError,
    },
    capability::store::StoreError,
    interface::network_of,
};

/// Wrong tokens a minute from one address that get a 401. Beyond, they get a 429.
const WRONG_TOKENS_PER_MINUTE: NonZeroU32 = NonZeroU32::new(60).expect("60 is not 0");
/// Addresses with wrong tokens that are told apart. Beyond, they share what one may.
const ADDRESSES_MAX: usize = 10_000;
/// Stands for all addresses that are too many to be told apart.
const ALL_OTHERS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// Counts wrong tokens by address.
#[derive(Debug)]
pub(super) struct Failures(RateLimiter<IpAddr, HashMapStateStore<IpAddr>, DefaultClock>);

impl Default for Failures {
    fn default() -> Self {
        Self(RateLimiter::hashmap(Quota::per_minute(WRONG_TOKENS_PER_MINUTE)))
    }
}

impl Failures {
    /// Counts a wrong token. Returns how long the address has to wait, if there were too many.
    fn count(&self, address: IpAddr) -> Option<Duration> {
        if self.0.len() >= ADDRESSES_MAX {
            self.0.retain_recent();
        }
        let is_crowded = self.0.len() >= ADDRESSES_MAX;
        let counted = if is_crowded { ALL_OTHERS } else { network_of(address) };
        let until = self.0.check_key(&counted).err()?;
        Some(until.wait_time_from(DefaultClock::default().now()))
    }
}

/// Returns the holder of the token of a request, or refuses it.
pub(super) async fn admit(
    state: &State,
    headers: &HeaderMap,
    address: IpAddr,
) -> Result<Holder, Box<Problem>> {
    if state.tokens.is_first(headers) {
        return Ok(Holder::FIRST);
    }
    let refused = |code, what: &str| {
        let text = format!(
            "{what}; the header field authorization must be \"Bearer\" and a token: the one in the file \
             admin-token of the data directory, or one that `tidegate token create` has made"
        );
        Err(Problem::new(StatusCode::UNAUTHORIZED, code, text))
    };
    // A request without a token is not a guess.
    if !headers.contains_key(header::AUTHORIZATION) {
        return refused("no-token", "there is no token");
    }
    if let Some(holder) = state.tokens.holder(headers).await? {
        return Ok(holder);
    }
    if let Some(pause) = state.api.failures.count(address) {
        let text = "too many requests with a wrong token; look at what sends them";
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-failures", text);
        return Err(problem.after(pause));
    }
    refused("token", "it is not a token of this host, or it is revoked or over")
}

/// Refuses an operation that the role of a token does not allow, or that reaches beyond the modules of the
/// token.
pub(super) fn allow(holder: &Holder, row: &Row) -> Result<(), Box<Problem>> {
    let role: Role = holder.role();
    if role < row.role {
        let text = format!(
            "the token has the role {role}, and this asks for {}; ask with another token",
            row.role
        );
        return Err(Problem::new(StatusCode::FORBIDDEN, "role", text));
    }
    if row.reach == Reach::Process && holder.modules().is_some() {
        let text = "the token is limited to modules, and this is about the whole process; ask with \
                    another token";
        return Err(Problem::new(StatusCode::FORBIDDEN, "module", text));
    }
    Ok(())
}

/// Breaks an answer off that goes on when its token is revoked.
pub(super) fn until_revoked(answer: Answer, call: &Call) -> Answer {
    if call.holder.token().is_none() {
        return answer;
    }
    let (state, holder) = (std::sync::Arc::clone(&call.state), call.holder.clone());
    let revoked = Box::pin(async move { state.tokens.revoked(&holder).await });
    answer.map(|body| {
        let frames = stream::unfold(Some((body, revoked)), async |parts| {
            let (mut body, mut revoked) = parts?;
            tokio::select! {
                frame = body.frame() => frame.map(|frame| (frame, Some((body, revoked)))),
                () = revoked.as_mut() => {
                    let reason = "the token of the request is revoked".to_owned();
                    Some((Err(StoreError::Stopped { reason }), None))
                }
            }
        });
        StreamBody::new(frames).boxed_unsync()
    })
}

impl From<AdminStoreError> for Box<Problem> {
    fn from(error: AdminStoreError) -> Self {
        let (status, code) = match &error {
            AdminStoreError::Away(_) => (StatusCode::SERVICE_UNAVAILABLE, "store-away"),
            AdminStoreError::TooManyKeys { .. } => {
                (StatusCode::SERVICE_UNAVAILABLE, "too-many-keys")
            }
            AdminStoreError::NoMemory(_) => (StatusCode::INSUFFICIENT_STORAGE, "memory"),
            AdminStoreError::Io { .. }
            | AdminStoreError::Damaged { .. }
            | AdminStoreError::Refused(_) => (StatusCode::INTERNAL_SERVER_ERROR, "store"),
        };
        Problem::new(status, code, error.to_string())
    }
}
