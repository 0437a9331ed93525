//! Checks tokens for all connections, and counts those that are refused.

use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use hyper::header::{self, HeaderName, HeaderValue};
use tokio::{sync::Semaphore, time::Instant};

use super::{
    tokens::{SUBPROTOCOL_PREFIX, value_of},
    websocket::is_offer,
};
use crate::{
    auth::{Auth, TokenError},
    capability::{
        sessions::{CookieError, Sessions},
        store::StoreError,
    },
    message::{CorrelationId, Scope, User},
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
    /// The cookie of a session is not valid.
    Cookie(CookieError),
    /// The session has ended.
    Ended,
    /// The module does not take users of the token's section.
    Module,
    /// The token is not valid.
    Token(TokenError),
}

/// Sessions that are noted as used at the same time. Beyond, the next request of the session does it.
const TOUCHING_MAX: usize = 64;
/// The number of reasons.
const REASONS: usize = TokenError::ClaimsSize as usize + 1 + BEFORE_TOKENS;
/// The number of reasons that are no errors of tokens.
const BEFORE_TOKENS: usize = 9;

impl Refused {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Several => "several",
            Self::CrossSite => "cross_site",
            Self::Claims => "claims",
            Self::Cookie(CookieError::Form) => "session_form",
            Self::Cookie(CookieError::Signature) => "session_signature",
            Self::Cookie(_) => "session_expired",
            Self::Ended => "session_ended",
            Self::Module => "module",
            Self::Token(error) => error.word(),
        }
    }

    const fn place(self) -> usize {
        match self {
            Self::Missing => 0,
            Self::Several => 1,
            Self::CrossSite => 2,
            Self::Claims => 3,
            Self::Cookie(CookieError::Form) => 4,
            Self::Cookie(CookieError::Signature) => 5,
            Self::Cookie(_) => 6,
            Self::Ended => 7,
            Self::Module => 8,
            Self::Token(error) => BEFORE_TOKENS + error as usize,
        }
    }

    pub(super) fn rule(self) -> Cow<'static, str> {
        match self {
            Self::Missing => "there is neither token nor session".into(),
            Self::Several => "there are two tokens or session cookies in one place".into(),
            Self::CrossSite => {
                "a page of another site sent the cookie; interface.origins allows pages".into()
            }
            Self::Claims => "the claims are not those that the route asks for".into(),
            Self::Cookie(error) => error.to_string().into(),
            Self::Ended => "the session has ended, or was not used for `sessions.idle`".into(),
            Self::Module => "`auth` of the module does not have the section of the token".into(),
            Self::Token(error) => error.to_string().into(),
        }
    }
}

/// Checks tokens and sessions for all connections.
#[derive(Debug)]
pub(super) struct Users {
    pub(super) auth: Option<Arc<Auth>>,
    pub(super) sessions: Option<Arc<Sessions>>,
    /// Sessions that are being noted as used.
    pub(super) touching: Arc<Semaphore>,
    warnings: [WarnLimit; REASONS],
    away: WarnLimit,
    untouched: WarnLimit,
}

impl Users {
    pub(super) fn new(auth: Option<Arc<Auth>>, sessions: Option<Arc<Sessions>>) -> Self {
        let touching = Arc::new(Semaphore::new(TOUCHING_MAX));
        let warnings = std::array::from_fn(|_| WarnLimit::default());
        let (away, untouched) = (WarnLimit::default(), WarnLimit::default());
        Self { auth, sessions, touching, warnings, away, untouched }
    }

    /// Takes tokens and session cookies out of what consumers see of a request.
    pub(super) fn hide_tokens(&self, scope: &mut Scope) {
        if let Some(sessions) = &self.sessions {
            hide_cookie(scope, sessions.cookie_name());
        }
        let query = self.auth.as_ref().and_then(|auth| auth.places().query.as_deref());
        if let Some(name) = query {
            let kept: Vec<&str> = scope
                .query_string
                .split('&')
                .filter(|pair| pair.split_once('=').map_or(*pair, |(name, _)| name) != name)
                .collect();
            scope.query_string = kept.join("&");
        }
        let is_secret = |name: &str| name.starts_with(SUBPROTOCOL_PREFIX) || is_offer(name);
        if !scope.subprotocols.iter().any(|name| is_secret(name)) {
            return;
        }
        scope.subprotocols.retain(|name| !is_secret(name));
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
        Self::end_at(user.expires()?, leeway)
    }

    /// Returns the moment that is so long behind one in seconds since 1970. None: it is beyond all time.
    pub(super) fn end_at(seconds: u64, leeway: Duration) -> Option<Instant> {
        let end = Duration::from_secs(seconds).checked_add(leeway)?;
        let end = UNIX_EPOCH.checked_add(end)?;
        // One that is over is due at once.
        let left = end.duration_since(SystemTime::now()).unwrap_or_default();
        Instant::now().checked_add(close_after(left, leeway, rand::random()))
    }

    /// Counts a request that is refused because nobody can say who sent it.
    pub(super) fn warn_away(
        &self,
        error: &StoreError,
        correlation: CorrelationId,
        metrics: &Metrics,
    ) {
        let reason = "session_store";
        metrics.auth_refusals.get_or_create(&ByReason { reason }).inc();
        if let Some(held_back) = self.away.admit() {
            tracing::warn!(
                %error, %correlation, held_back,
                "a session cannot be read, and the request is refused; said at most every 10 s"
            );
        }
    }

    /// Says that the use of a session is not noted.
    pub(super) fn warn_untouched(&self, error: &StoreError) {
        if let Some(held_back) = self.untouched.admit() {
            tracing::warn!(
                %error, held_back,
                "it is not noted that a session is used; said at most every 10 s"
            );
        }
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

/// Takes a cookie out of those that consumers see. Others stay as they came.
fn hide_cookie(scope: &mut Scope, name: &str) {
    let Some(at) = scope.headers.iter().position(|(field, _)| *field == header::COOKIE) else {
        return;
    };
    // There is one field for all of them.
    let Some((_, value)) = scope.headers.get(at) else { return };
    let is_kept = |pair: &&[u8]| {
        let pair = std::str::from_utf8(pair).ok().map(str::trim);
        pair.and_then(|pair| value_of(pair, name)).is_none()
    };
    let pairs: Vec<&[u8]> = value.as_bytes().split(|byte| *byte == b';').collect();
    let kept: Vec<&[u8]> = pairs.iter().copied().filter(is_kept).collect();
    if kept.len() == pairs.len() {
        return;
    }
    let rest = kept.join(&b';');
    let rest = rest.trim_ascii();
    let field: Option<(HeaderName, HeaderValue)> =
        HeaderValue::from_bytes(rest).ok().map(|value| (header::COOKIE, value));
    scope.headers.remove(at);
    if let Some(field) = field.filter(|_| !rest.is_empty()) {
        scope.headers.insert(at, field);
    }
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
        assert_eq!(Refused::Token(TokenError::Size).place(), Refused::Module.place() + 1);
    }
}
