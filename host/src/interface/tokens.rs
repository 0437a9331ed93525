//! Where a request has its token.

use hyper::{
    HeaderMap, Request,
    header::{self, HeaderName},
};

use crate::{
    auth::{Place, Places},
    message::Protocol,
};

/// Begins the entry of `sec-websocket-protocol` that is a token: browsers can set no header field of a
/// WebSocket.
pub(super) const SUBPROTOCOL_PREFIX: &str = "tidegate.token.";

/// There are two tokens in one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Several;

/// The token of a request. The first place that has one counts.
pub(super) fn token<'a, B>(
    request: &'a Request<B>,
    places: &Places,
    protocol: Protocol,
) -> Result<Option<(Place, &'a str)>, (Place, Several)> {
    let headers = request.headers();
    let at = |place, found: Result<Option<&'a str>, Several>| match found {
        Ok(found) => Ok(found.map(|token| (place, token))),
        Err(several) => Err((place, several)),
    };
    if let Some(found) = at(Place::Field, one(bearer(headers)))? {
        return Ok(Some(found));
    }
    if protocol == Protocol::Websocket
        && let Some(found) = at(Place::Field, one(subprotocol(headers)))?
    {
        return Ok(Some(found));
    }
    let query = request.uri().query().unwrap_or_default();
    if let Some(name) = &places.query
        && let Some(found) = at(Place::Query, one(parameter(query, name)))?
    {
        return Ok(Some(found));
    }
    match &places.cookie {
        Some(name) => at(Place::Cookie, cookie_of(headers, name)),
        None => Ok(None),
    }
}

/// The value of a cookie; none of two with one name counts.
pub(super) fn cookie_of<'a>(
    headers: &'a HeaderMap,
    name: &str,
) -> Result<Option<&'a str>, Several> {
    one(cookie(headers, name))
}

/// Of two tokens none counts: others may read the other one.
fn one<'a>(mut found: impl Iterator<Item = &'a str>) -> Result<Option<&'a str>, Several> {
    let first = found.next();
    if found.next().is_some() { Err(Several) } else { Ok(first) }
}

/// Those of `authorization: Bearer TOKEN` (RFC 6750, section 2.1). Two fields are two, whatever they say.
fn bearer(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let fields = headers.get_all(header::AUTHORIZATION);
    let is_one = fields.iter().count() == 1;
    fields.iter().filter_map(move |value| {
        let text = value.to_str().unwrap_or_default();
        match text.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Some(token.trim()),
            _ if is_one => None,
            _ => Some(text),
        }
    })
}

fn lists(headers: &HeaderMap, name: HeaderName, separator: char) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(move |value| value.split(separator)).map(str::trim)
}

fn subprotocol(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    lists(headers, header::SEC_WEBSOCKET_PROTOCOL, ',')
        .filter_map(|entry| entry.strip_prefix(SUBPROTOCOL_PREFIX))
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    lists(headers, header::COOKIE, ';').filter_map(move |pair| value_of(pair, name))
}

fn parameter<'a>(query: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    query.split('&').filter_map(move |pair| value_of(pair, name))
}

/// The value of a pair `NAME=VALUE`, if it has this name.
pub(super) fn value_of<'a>(pair: &'a str, name: &str) -> Option<&'a str> {
    pair.split_once('=').filter(|(key, _)| *key == name).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(
        fields: &[(&'static str, &str)],
        target: &str,
    ) -> Result<Option<(Place, String)>, Several> {
        let mut request = Request::builder().uri(target);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let request = request.body(()).unwrap();
        let places = Places { cookie: Some("id".to_owned()), query: Some("token".to_owned()) };
        let found = token(&request, &places, Protocol::Websocket);
        found
            .map(|found| found.map(|(place, token)| (place, token.to_owned())))
            .map_err(|(_, why)| why)
    }

    #[test]
    fn the_first_place_with_a_token_counts_and_two_in_one_place_do_not() {
        use Place::{Cookie, Field, Query};
        let authorization = |value| ("authorization", value);
        let offered = |value| ("sec-websocket-protocol", value);
        let one = |place, token: &str| Ok(Some((place, token.to_owned())));
        for (fields, target, expected) in [
            (&[][..], "/", Ok(None)),
            (&[authorization("Bearer a.b.c")], "/", one(Field, "a.b.c")),
            (&[authorization("bEARER  a")], "/", one(Field, "a")),
            (&[authorization("Bearer")], "/", Ok(None)),
            (&[authorization("Basic YTpi")], "/", Ok(None)),
            (&[authorization("Bearer a"), authorization("Bearer a")], "/", Err(Several)),
            (&[authorization("Basic YTpi"), authorization("Bearer a")], "/", Err(Several)),
            (&[offered("chat, tidegate.token.a.b.c")], "/", one(Field, "a.b.c")),
            (&[offered("chat"), offered("tidegate.token.a")], "/", one(Field, "a")),
            (&[offered("tidegate.token.a, tidegate.token.b")], "/", Err(Several)),
            (&[offered("tidegate.token.a"), authorization("Bearer b")], "/", one(Field, "b")),
            (&[], "/?x=1&token=a", one(Query, "a")),
            (&[], "/?token=a&token=b", Err(Several)),
            (&[], "/?tokens=a", Ok(None)),
            (&[("cookie", "x=1; id=a")], "/", one(Cookie, "a")),
            (&[("cookie", "id=a"), ("cookie", "id=b")], "/", Err(Several)),
            (&[("cookie", "id=a; id=a")], "/", Err(Several)),
            (&[("cookie", "ID=a; xid=b; id")], "/", Ok(None)),
            (&[("cookie", "id=a"), authorization("Bearer b")], "/", one(Field, "b")),
            (&[("cookie", "id=a"), authorization("Basic YTpi")], "/", one(Cookie, "a")),
        ] {
            assert_eq!(found(fields, target), expected, "{fields:?} {target}");
        }
    }
}
