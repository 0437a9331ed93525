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
    tokens::{cookie_of, token},
    users::Refused,
};
use crate::{
    auth::{Auth, Known, Place, SESSIONS, TokenError},
    capability::sessions::{Open, Sessions},
    message::{Protocol, SessionLookup, User},
    routing::{AccessDenied, Route},
};

/// Answers a handshake that offers a token, where its consumer chooses nothing: browsers close a WebSocket
/// whose entries are all left aside.
pub(super) const SUBPROTOCOL: &str = "tidegate";
/// How long a request waits for the keys of its token to be fetched.
const KEYS_PATIENCE: Duration = Duration::from_secs(3);
/// Says which page of a site asked (Fetch Metadata, section 2.2).
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Who sends a request, as far as its route asks.
#[derive(Debug, Default)]
pub(super) struct Admitted {
    pub(super) user: Option<Arc<User>>,
    /// None: no session was looked for.
    pub(super) session: Option<SessionLookup>,
}

/// Why nobody is known to have sent a request.
enum Unknown {
    /// There is nothing valid in a place.
    Refused(Place, Refused),
    /// Nobody can say.
    Away(Box<Response<ResponseBody>>),
}

/// Returns who sends a request as far as its route asks for it, or the response in its place.
pub(super) async fn admit<B>(
    hub: &Arc<Hub>,
    arrival: &Arrival,
    request: &Request<B>,
    (route, protocol): (&Route, Protocol),
) -> Result<Admitted, Box<Response<ResponseBody>>> {
    let Some(access) = &route.access else { return Ok(Admitted::default()) };
    let mut identified = identify(hub, arrival, request, (route, protocol)).await;
    let has_unknown_key = matches!(
        identified,
        Err(Unknown::Refused(_, Refused::Token(TokenError::Key | TokenError::KeysAway)))
    );
    if has_unknown_key
        && let Some(auth) = &hub.users.auth
        && let Ok(Some((_, token))) = token(request, auth.places(), protocol)
    {
        // The issuer may have a new key. Not waited for again if it has not.
        drop(timeout(KEYS_PATIENCE, auth.ask_for_keys(token)).await);
        identified = identify(hub, arrival, request, (route, protocol)).await;
    }
    let (admitted, why) = match identified {
        Ok(admitted) if admitted.user.is_some() => (admitted, None),
        Ok(admitted) => (admitted, Some(Refused::Missing)),
        Err(Unknown::Away(response)) => return Err(response),
        // Nobody knows whether it counts, so that this is neither "signed out" nor a wrong token.
        Err(Unknown::Refused(_, why @ Refused::Token(TokenError::KeysAway))) => {
            return Err(refuse(hub, arrival, route, why));
        }
        Err(Unknown::Refused(Place::Cookie, Refused::CrossSite)) => {
            (Admitted::default(), Some(Refused::CrossSite))
        }
        // Who brings a cookie that does not count is like who brings none.
        Err(Unknown::Refused(Place::Cookie, why)) => {
            let session = hub.users.sessions.as_ref().map(|_| SessionLookup::None);
            (Admitted { user: None, session }, Some(why))
        }
        // Who gives a token expects it to count.
        Err(Unknown::Refused(_, why)) => return Err(refuse(hub, arrival, route, why)),
    };
    match (access.check(admitted.user.as_deref()), why) {
        (Ok(()), why) => {
            if let Some(why) = why.filter(|why| *why != Refused::Missing) {
                note(hub, arrival, route, why);
            }
            Ok(admitted)
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
            "a token or a session is refused; said at most every 10 s"
        );
    }
}

async fn identify<B>(
    hub: &Arc<Hub>,
    arrival: &Arrival,
    request: &Request<B>,
    (route, protocol): (&Route, Protocol),
) -> Result<Admitted, Unknown> {
    let is_safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    // The origin of a WebSocket was looked at before.
    let is_forged = || {
        protocol == Protocol::Http && !is_safe && !is_of_own_page(hub, arrival, request.headers())
    };
    if let Some(auth) = &hub.users.auth
        && let Some((place, token)) = token(request, auth.places(), protocol)
            .map_err(|(place, _)| Unknown::Refused(place, Refused::Several))?
    {
        if place == Place::Cookie && is_forged() {
            return Err(Unknown::Refused(place, Refused::CrossSite));
        }
        let checked = timed(hub, || auth.user(token, place, SystemTime::now()));
        let known = checked.map_err(|error| Unknown::Refused(place, Refused::Token(error)))?;
        return let_in(route, known).map_err(|why| Unknown::Refused(place, why));
    }
    let refused = |why| Unknown::Refused(Place::Cookie, why);
    // One that does not count bars no session of the host.
    let aside = match of_django(hub, request.headers(), route, &is_forged) {
        Ok(Some(admitted)) => return Ok(admitted),
        Ok(None) => None,
        Err(Refused::CrossSite) => return Err(refused(Refused::CrossSite)),
        Err(why) => Some(why),
    };
    let Some(sessions) = &hub.users.sessions else {
        return aside.map_or_else(|| Ok(Admitted::default()), |why| Err(refused(why)));
    };
    let cookie = cookie_of(request.headers(), sessions.cookie_name());
    if is_forged() {
        // Nor does it begin a session: it could be that of somebody else.
        return match cookie {
            Ok(None) => Ok(Admitted::default()),
            _ => Err(refused(Refused::CrossSite)),
        };
    }
    let Some(cookie) = cookie.map_err(|_| refused(Refused::Several))? else {
        let nobody = Admitted { user: None, session: Some(SessionLookup::None) };
        return aside.map_or(Ok(nobody), |why| Err(refused(why)));
    };
    let now = SystemTime::now();
    let key = sessions.open_cookie(cookie, now).map_err(|error| refused(Refused::Cookie(error)))?;
    match sessions.find(key, now).await {
        Ok(Some(open)) => {
            let (user, session) = (open.user.clone(), open.session.clone());
            touch(hub, sessions, open, now);
            let user = user.filter(|user| {
                let why = not_let_in(hub, route, user);
                why.inspect(|why| note(hub, arrival, route, *why)).is_none()
            });
            Ok(Admitted { user, session: Some(SessionLookup::Found(session)) })
        }
        Ok(None) => Err(refused(Refused::Ended)),
        Err(error) => {
            hub.users.warn_away(&error, arrival.correlation, &hub.metrics);
            let (status, text) = (StatusCode::SERVICE_UNAVAILABLE, "sessions cannot be read now");
            Err(Unknown::Away(Box::new(plain(status, text, arrival.correlation))))
        }
    }
}

/// The user of a session of Django, if a request has one.
fn of_django(
    hub: &Hub,
    headers: &HeaderMap,
    route: &Route,
    is_forged: &impl Fn() -> bool,
) -> Result<Option<Admitted>, Refused> {
    let auth = hub.users.auth.as_ref();
    let Some((auth, django)) = auth.and_then(|auth| Some((auth, auth.django()?))) else {
        return Ok(None);
    };
    let Some(cookie) = cookie_of(headers, &django.cookie).transpose() else { return Ok(None) };
    if is_forged() {
        return Err(Refused::CrossSite);
    }
    let cookie = cookie.map_err(|_| Refused::Several)?;
    let checked = timed(hub, || auth.django_user(cookie, SystemTime::now()));
    checked.map_err(Refused::Token)?.map(|known| let_in(route, known)).transpose()
}

/// Why the user of a session of the host is not one for a route.
fn not_let_in(hub: &Hub, route: &Route, user: &User) -> Option<Refused> {
    let is_like = |auth: &Arc<Auth>| auth.has_ids_like(user.id());
    if hub.users.auth.as_ref().is_some_and(is_like) {
        return Some(Refused::Token(TokenError::ForeignId));
    }
    (!route.policy.takes_users_of(SESSIONS)).then_some(Refused::Module)
}

/// Checks a token, and measures how long that takes.
fn timed<T>(hub: &Hub, check: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let checked = check();
    hub.metrics.auth_time.observe(begun.elapsed().as_secs_f64());
    checked
}

/// Lets a user in, if the module takes those of its section.
fn let_in(route: &Route, known: Known<'_>) -> Result<Admitted, Refused> {
    if !route.policy.takes_users_of(known.section) {
        return Err(Refused::Module);
    }
    Ok(Admitted { user: Some(known.user), session: None })
}

/// Notes once a minute that a session is used. Nobody waits for it.
fn touch(hub: &Arc<Hub>, sessions: &Arc<Sessions>, open: Open, now: SystemTime) {
    if !open.is_stale(now) {
        return;
    }
    let Ok(permit) = Arc::clone(&hub.users.touching).try_acquire_owned() else { return };
    let (of, sessions) = (Arc::clone(hub), Arc::clone(sessions));
    drop(hub.drain.spawn("use of a session", async move {
        if let Err(error) = sessions.touch(&open, now).await {
            of.users.warn_untouched(&error);
        }
        drop(permit);
    }));
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
