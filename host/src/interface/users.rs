//! Checks tokens for all connections, and counts those that are refused.

use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use hyper::header::{self, HeaderValue};
use tokio::time::Instant;

use super::tokens::SUBPROTOCOL_PREFIX;
use crate::{
    auth::{Auth, TokenError},
    message::{Scope, User},
    telemetry::{ByReason, Metrics, WarnLimit},
};

/// Why a request is refused, or its token left aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// There is no token.
    Missing,
    /// There are two where one is expected.
    Several,
    /// A page of another site sent the cookie.
    CrossSite,
    /// The claims are not those that the route asks for.
    Claims,
    /// The token is not valid.
    Token(TokenError),
}

/// The number of reasons.
const REASONS: usize = TokenError::ClaimsSize as usize + 1 + 4;

impl Refused {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Several => "several",
            Self::CrossSite => "cross_site",
            Self::Claims => "claims",
            Self::Token(error) => error.word(),
        }
    }

    const fn place(self) -> usize {
        match self {
            Self::Missing => 0,
            Self::Several => 1,
            Self::CrossSite => 2,
            Self::Claims => 3,
            Self::Token(error) => 4 + error as usize,
        }
    }

    pub(super) fn rule(self) -> Cow<'static, str> {
        match self {
            Self::Missing => "there is no token".into(),
            Self::Several => "there are two tokens in one place".into(),
            Self::CrossSite => {
                "a page of another site sent the cookie; interface.origins allows pages".into()
            }
            Self::Claims => "the claims are not those that the route asks for".into(),
            Self::Token(error) => error.to_string().into(),
        }
    }
}

/// Checks tokens for all connections.
#[derive(Debug)]
pub(super) struct Users {
    pub(super) auth: Option<Arc<Auth>>,
    warnings: [WarnLimit; REASONS],
}

impl Users {
    pub(super) fn new(auth: Option<Arc<Auth>>) -> Self {
        Self { auth, warnings: std::array::from_fn(|_| WarnLimit::default()) }
    }

    /// Takes tokens out of what consumers see of a request.
    pub(super) fn hide_tokens(&self, scope: &mut Scope) {
        let query = self.auth.as_ref().and_then(|auth| auth.places().query.as_deref());
        if let Some(name) = query {
            let kept: Vec<&str> = scope
                .query_string
                .split('&')
                .filter(|pair| pair.split_once('=').map_or(*pair, |(name, _)| name) != name)
                .collect();
            scope.query_string = kept.join("&");
        }
        if scope.subprotocols.iter().all(|name| !name.starts_with(SUBPROTOCOL_PREFIX)) {
            return;
        }
        scope.subprotocols.retain(|name| !name.starts_with(SUBPROTOCOL_PREFIX));
        scope.headers.retain(|(name, _)| *name != header::SEC_WEBSOCKET_PROTOCOL);
        if let Ok(rest) = HeaderValue::try_from(scope.subprotocols.join(", "))
            && !rest.is_empty()
        {
            scope.headers.push((header::SEC_WEBSOCKET_PROTOCOL, rest));
        }
    }

    /// Returns a moment at which a WebSocket of a user is to be closed: before its token no longer counts, and not the
    /// same for all whose tokens end together. None: the user does not expire.
    pub(super) fn end_of(&self, user: &User) -> Option<Instant> {
        let leeway = self.auth.as_ref().map_or(Duration::ZERO, |auth| auth.leeway());
        let end = Duration::from_secs(user.expires()?).checked_add(leeway)?;
        let end = UNIX_EPOCH.checked_add(end)?;
        // One that is over is due at once.
        let left = end.duration_since(SystemTime::now()).unwrap_or_default();
        Instant::now().checked_add(close_after(left, leeway, rand::random()))
    }

    /// Counts a refusal. Returns how many warnings of the reason were held back since the last one, if there is to
    /// be one now. That nobody is signed in is no news.
    pub(super) fn count(&self, why: Refused, metrics: &Metrics) -> Option<u64> {
        metrics.auth_refusals.get_or_create(&ByReason { reason: why.word() }).inc();
        match why {
            Refused::Missing => None,
            why => self.warnings.get(why.place()).and_then(WarnLimit::admit),
        }
    }
}

/// The part of what is left of a token in which its WebSocket is closed, where the leeway is shorter.
const SPREAD_SHARE: u32 = 10;
/// The longest such part.
const SPREAD_MAX: Duration = Duration::from_secs(30);

/// Draws when to close a WebSocket whose token counts for so long: many tokens end at one moment, as those of all who
/// came back after a deploy, and their clients all come back with another one. The leeway is time after the token's
/// own end. `drawn` is from 0 to below 1.
fn close_after(left: Duration, leeway: Duration, drawn: f64) -> Duration {
    let spread = leeway.max((left / SPREAD_SHARE).min(SPREAD_MAX)).min(left);
    left - spread.mul_f64(drawn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_whose_tokens_end_together_are_closed_one_by_one_and_none_too_late() {
        let seconds = Duration::from_secs;
        for (left, leeway, span) in
            [(3_630, 30, 30), (3_600, 0, 30), (60, 0, 6), (20, 30, 20), (0, 30, 0), (400, 300, 300)]
        {
            let draws = (0..5_000).map(|draw| f64::from(draw) / 5_000.0);
            let closes: Vec<_> =
                draws.map(|drawn| close_after(seconds(left), seconds(leeway), drawn)).collect();
            assert!(closes.iter().all(|at| *at <= seconds(left)), "none after the token's end");
            let first = closes.iter().min().unwrap();
            assert!(*first >= seconds(left - span), "{first:?} {left} {leeway}");
            // In each of ten parts of the span there is a tenth.
            for part in 0..10_u64 {
                let from = seconds(left - span) + seconds(span) * u32::try_from(part).unwrap() / 10;
                let within = |at: &&Duration| **at > from && **at <= from + seconds(span) / 10;
                let count = closes.iter().filter(within).count();
                assert!(span == 0 || (499..=501).contains(&count), "{count} of {left} {leeway}");
            }
        }
    }

    #[test]
    fn each_reason_has_a_place_of_its_own() {
        let last = Refused::Token(TokenError::ClaimsSize);
        assert_eq!(last.place(), REASONS - 1);
        assert_eq!(Refused::Token(TokenError::Size).place(), Refused::Claims.place() + 1);
    }
}
