//! Finds out who sends a request, and refuses those whom its route does not let in. Nothing runs before that.

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    header::{self, HeaderName, HeaderValue},
};

use tokio::time::{Duration, timeout};

use super::{
    Hub,
    http::{Arrival, ResponseBody, plain},
    tokens::{Place, token},
    users::Refused,
};
use crate::{
    auth::TokenError,
    message::{Protocol, User},
    routing::{AccessDenied, Route},
};

/// Answers a handshake that offers a token, where its consumer chooses nothing: browsers close a WebSocket
/// whose entries are all left aside.
pub(super) const SUBPROTOCOL: &str = "tidegate";
/// How long a request waits for the keys of its token to be fetched.
const KEYS_PATIENCE: Duration = Duration::from_secs(3);
/// Says which page of a site asked (Fetch Metadata, section 2.2).
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Returns the user of a request as far as its route asks for one, or the response in its place.
pub(super) async fn admit<B>(
    hub: &Hub,
    arrival: &Arrival,
    request: &Request<B>,
    (route, protocol): (&Route, Protocol),
) -> Result<Option<Arc<User>>, Box<Response<ResponseBody>>> {
    let Some(access) = &route.access else { return Ok(None) };
    let mut identified = identify(hub, arrival, request, protocol);
    let has_unknown_key =
        matches!(identified, Err((_, Refused::Token(TokenError::Key | TokenError::KeysAway))));
    if has_unknown_key && let Some(auth) = &hub.users.auth {
        // The issuer may have a new key. Not waited for again if it has not.
        drop(timeout(KEYS_PATIENCE, auth.ask_for_keys()).await);
        identified = identify(hub, arrival, request, protocol);
    }
    let (user, why) = match identified {
        Ok(Some(user)) => (Some(user), None),
        Ok(None) => (None, Some(Refused::Missing)),
        // Nobody knows whether it counts, so that this is neither "signed out" nor a wrong token.
        Err((_, why @ Refused::Token(TokenError::KeysAway))) => {
            return Err(refuse(hub, arrival, route, why));
        }
        Err((Place::Cookie, why)) => (None, Some(why)),
        // Who gives a token expects it to count.
        Err((Place::Given, why)) => return Err(refuse(hub, arrival, route, why)),
    };
    match (access.check(user.as_deref()), why) {
        (Ok(()), why) => {
            if let Some(why) = why.filter(|why| *why != Refused::Missing) {
                note(hub, arrival, route, why);
            }
            Ok(user)
        }
        (Err(AccessDenied::Claims), _) => Err(refuse(hub, arrival, route, Refused::Claims)),
        (Err(AccessDenied::NoUser), why) => {
            Err(refuse(hub, arrival, route, why.unwrap_or(Refused::Missing)))
        }
    }
}

fn refuse(
    hub: &Hub,
    arrival: &Arrival,
    route: &Route,
    why: Refused,
) -> Box<Response<ResponseBody>> {
    note(hub, arrival, route, why);
    let id = arrival.correlation;
    if matches!(why, Refused::Claims | Refused::CrossSite) {
        return Box::new(plain(StatusCode::FORBIDDEN, "this user may not do that", id));
    }
    if why == Refused::Token(TokenError::KeysAway) {
        let text = "the token cannot be checked now";
        let mut response = plain(StatusCode::SERVICE_UNAVAILABLE, text, id);
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        return Box::new(response);
    }
    let mut response = plain(StatusCode::UNAUTHORIZED, "sign in first", id);
    let bearer = HeaderValue::from_static("Bearer");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, bearer);
    Box::new(response)
}

/// Counts a refusal, and logs each reason at a bounded rate.
fn note(hub: &Hub, arrival: &Arrival, route: &Route, why: Refused) {
    if let Some(held_back) = hub.users.count(why, &hub.metrics) {
        tracing::warn!(
            reason = why.word(), rule = %why.rule(), client = %arrival.client.ip(),
            module = %route.module, consumer = %route.consumer,
            correlation = %arrival.correlation, held_back,
            "a token is refused; said at most every 10 s"
        );
    }
}

fn identify<B>(
    hub: &Hub,
    arrival: &Arrival,
    request: &Request<B>,
    protocol: Protocol,
) -> Result<Option<Arc<User>>, (Place, Refused)> {
    let Some(auth) = &hub.users.auth else { return Ok(None) };
    let found = token(request, auth.places(), protocol);
    let Some((place, token)) = found.map_err(|(place, _)| (place, Refused::Several))? else {
        return Ok(None);
    };
    let is_safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    // The origin of a WebSocket was looked at before.
    if place == Place::Cookie
        && protocol == Protocol::Http
        && !is_safe
        && !is_of_own_page(hub, arrival, request.headers())
    {
        return Err((place, Refused::CrossSite));
    }
    let begun = Instant::now();
    let checked = auth.user(token, SystemTime::now());
    hub.metrics.auth_time.observe(begun.elapsed().as_secs_f64());
    checked.map(Some).map_err(|error| (place, Refused::Token(error)))
}

/// Whether no page of another site sent a request, as far as the browser says.
fn is_of_own_page(hub: &Hub, arrival: &Arrival, headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let site = headers.get(SEC_FETCH_SITE);
    if site.is_some_and(|site| site == "same-origin" || site == "none") {
        return true;
    }
    match headers.get(header::ORIGIN) {
        Some(origin) => {
            hub.config.origins.allows(origin.as_bytes(), text(header::HOST), arrival.secure)
        }
        // Only a browser has cookies that its user did not mean, and each one says one of both.
        None => site.is_none(),
    }
}
