//! Requests that the libraries let pass although RFC 9110, 9112, 9113 or 6455 do not, or that
//! another reader of the same bytes could take for something else.

use hyper::{
    Method, Request, StatusCode, Version,
    body::Body,
    header::{self, Entry, HeaderMap, HeaderValue},
    http::uri::{Authority, Scheme},
};

/// The status of a refusal, and what it says.
pub(super) type Refusal = (StatusCode, &'static str);

const fn bad(text: &'static str) -> Refusal {
    (StatusCode::BAD_REQUEST, text)
}

/// Checks what goes for any request. Afterwards `Host` is what the target says, where it says it.
pub(super) fn check<B>(request: &mut Request<B>) -> Result<(), Refusal> {
    check_target(request)?;
    check_coding(request.headers())?;
    if request.headers().get_all(header::ORIGIN).iter().count() > 1 {
        // A consumer that checks one of them must not act on the other.
        return Err(bad("the request has two Origins"));
    }
    drop_dividing_cookies(request.headers_mut());
    if request.headers().values().any(|value| divides_lines(value.as_bytes())) {
        return Err(bad("a header field has a line separator in its value"));
    }
    settle_host(request)
}

/// Checks what goes for a handshake besides, and joins the lines of its `Connection`.
pub(super) fn check_handshake<B: Body>(request: &mut Request<B>) -> Result<(), Refusal> {
    // Over HTTP/2 the body is the WebSocket.
    if request.version() != Version::HTTP_2 && !request.body().is_end_stream() {
        return Err(bad("a handshake has no body"));
    }
    let headers = request.headers_mut();
    for name in [header::SEC_WEBSOCKET_KEY, header::SEC_WEBSOCKET_VERSION] {
        if headers.get_all(name).iter().count() > 1 {
            return Err(bad("the handshake has a key or version twice"));
        }
    }
    let names = tokens(headers, &header::SEC_WEBSOCKET_PROTOCOL);
    let names = names.ok_or(bad("the subprotocols are no list of names"))?;
    let twice = |(at, name): (usize, &String)| names.iter().take(at).any(|other| other == name);
    if names.iter().enumerate().any(twice) {
        return Err(bad("a subprotocol is offered twice"));
    }
    if headers.get_all(header::CONNECTION).iter().count() > 1
        && let Some(all) = tokens(headers, &header::CONNECTION)
        && let Ok(joined) = HeaderValue::from_str(&all.join(", "))
    {
        // The library that answers reads the first line only.
        headers.insert(header::CONNECTION, joined);
    }
    Ok(())
}

/// RFC 9112, section 3.2.
fn check_target<B>(request: &Request<B>) -> Result<(), Refusal> {
    let (method, target) = (request.method(), request.uri());
    let is_http2 = request.version() == Version::HTTP_2;
    if *method == Method::CONNECT {
        // The library would take any answer with 2xx for the start of a tunnel.
        let refusal = (StatusCode::NOT_IMPLEMENTED, "this server is not a proxy");
        return if is_http2 { Ok(()) } else { Err(refusal) };
    }
    let known = [Scheme::HTTP, Scheme::HTTPS];
    if target.scheme().is_some_and(|scheme| !known.contains(scheme)) {
        return Err(bad("the target has a scheme that is not served"));
    }
    let path = target.path();
    let is_whole_server = path == "*" && *method == Method::OPTIONS;
    if !(path.starts_with('/') || is_whole_server) {
        return Err(bad("the target is not a path"));
    }
    if path.contains("%00") {
        return Err(bad("the path has a NUL"));
    }
    Ok(())
}

/// RFC 9112, section 6.1: a body is only what all readers find the same end of.
fn check_coding(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let is_chunked = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"chunked");
    match (codings.next(), codings.next()) {
        (None, _) => Ok(()),
        (Some(coding), None) if is_chunked(coding) => Ok(()),
        _ => Err((StatusCode::NOT_IMPLEMENTED, "no transfer coding is known but chunked, once")),
    }
}

/// Whether `str.splitlines` of Python would divide a value, read as Latin-1 or as UTF-8. Other
/// control characters do not come through the library.
fn divides_lines(bytes: &[u8]) -> bool {
    bytes.contains(&0x85)
        || bytes.windows(3).any(|three| matches!(three, [0xe2, 0x80, 0xa8 | 0xa9]))
}

/// Removes cookies that divide lines. Another application of the domain may have set them, and the
/// client would be refused until it forgets them.
fn drop_dividing_cookies(headers: &mut HeaderMap) {
    let mut fields = headers.get_all(header::COOKIE).iter();
    if !fields.any(|field| divides_lines(field.as_bytes())) {
        return;
    }
    let Entry::Occupied(mut fields) = headers.entry(header::COOKIE) else { return };
    for field in fields.iter_mut().filter(|field| divides_lines(field.as_bytes())) {
        let cookies = field.as_bytes().split(|byte| *byte == b';');
        let left: Vec<&[u8]> =
            cookies.filter(|cookie| !divides_lines(cookie)).map(<[u8]>::trim_ascii).collect();
        let left = HeaderValue::from_bytes(&left.join(&b"; "[..]));
        *field = left.unwrap_or(HeaderValue::from_static(""));
    }
}

/// RFC 9112, section 3.2 and 3.2.2; RFC 9113, section 8.3.1.
fn settle_host<B>(request: &mut Request<B>) -> Result<(), Refusal> {
    let version = request.version();
    let of_target = request.uri().authority().map(Authority::as_str);
    let of_target = of_target.and_then(|authority| HeaderValue::from_str(authority).ok());
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (host, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return Err(bad("the request has two Hosts"));
    }
    if host.is_none() && version == Version::HTTP_11 {
        return Err(bad("the request has no Host"));
    }
    if [host, of_target.as_ref()].into_iter().flatten().any(|host| !is_host(host)) {
        return Err(bad("the Host is not a valid host with a port"));
    }
    if let Some(of_target) = of_target {
        if version == Version::HTTP_2 && host.is_some_and(|host| *host != of_target) {
            return Err(bad("the request has two Hosts"));
        }
        request.headers_mut().insert(header::HOST, of_target);
    }
    Ok(())
}

fn is_host(value: &HeaderValue) -> bool {
    // None is sent where a URI has none.
    if value.is_empty() {
        return true;
    }
    let Ok(authority) = Authority::try_from(value.as_bytes()) else { return false };
    let port = authority.as_str().strip_prefix(authority.host());
    matches!(port, Some("" | ":")) || port.is_some() && authority.port_u16().is_some()
}

/// The members of a list field, over all its lines. None if one is no token.
fn tokens(headers: &HeaderMap, name: &header::HeaderName) -> Option<Vec<String>> {
    let mut found = Vec::new();
    for line in headers.get_all(name) {
        for member in line.to_str().ok()?.split(',').map(str::trim) {
            // What a header may be named is a token, but for the case of its letters.
            header::HeaderName::from_bytes(member.as_bytes()).ok()?;
            found.push(member.to_owned());
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(version: Version, target: &str, hosts: &[&str]) -> Request<()> {
        let mut request = Request::builder().version(version).uri(target);
        for host in hosts {
            request = request.header(header::HOST, *host);
        }
        request.body(()).unwrap()
    }

    #[test]
    fn the_host_of_the_target_is_what_a_consumer_sees() {
        for (version, target, hosts, seen) in [
            (Version::HTTP_11, "/", &["a"][..], Some("a")),
            (Version::HTTP_11, "http://b:8/", &["a"], Some("b:8")),
            (Version::HTTP_10, "/", &[], None),
            (Version::HTTP_2, "https://b/", &[], Some("b")),
            (Version::HTTP_2, "https://b/", &["b"], Some("b")),
            (Version::HTTP_2, "/", &["a"], Some("a")),
        ] {
            let mut request = request(version, target, hosts);
            assert_eq!(check(&mut request), Ok(()), "{version:?} {target}");
            let host = request.headers().get(header::HOST);
            assert_eq!(host.map(|host| host.to_str().unwrap()), seen, "{version:?} {target}");
        }
    }

    #[test]
    fn a_host_that_is_none_or_two_is_refused() {
        for (version, target, hosts) in [
            (Version::HTTP_11, "/", &[][..]),
            (Version::HTTP_11, "http://b/", &[]),
            (Version::HTTP_11, "/", &["a", "a"]),
            (Version::HTTP_10, "/", &["a", "b"]),
            (Version::HTTP_2, "https://b/", &["a"]),
            (Version::HTTP_2, "/", &["a", "a"]),
            (Version::HTTP_11, "/", &["u@a"]),
            (Version::HTTP_11, "/", &["a:b"]),
            (Version::HTTP_11, "/", &["a:70000"]),
            (Version::HTTP_11, "http://u@b/", &["b"]),
        ] {
            let mut request = request(version, target, hosts);
            assert!(check(&mut request).is_err(), "{version:?} {target} {hosts:?}");
        }
    }

    #[test]
    fn two_origins_are_refused_even_if_they_are_alike() {
        for (origins, passes) in [(&["http://a"][..], true), (&["http://a", "http://a"], false)] {
            let mut request = request(Version::HTTP_11, "/", &["a"]);
            for origin in origins {
                request.headers_mut().append(header::ORIGIN, HeaderValue::from_static(origin));
            }
            assert_eq!(check(&mut request).is_ok(), passes, "{origins:?}");
        }
    }

    #[test]
    fn a_cookie_that_divides_lines_is_dropped_and_any_other_field_is_refused() {
        let checked = |name: &'static str, value: &str| {
            let mut request = request(Version::HTTP_11, "/", &["a"]);
            request.headers_mut().insert(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
            let left = |request: Request<()>| request.headers()[name].as_bytes().to_vec();
            check(&mut request).map(|()| String::from_utf8(left(request)).unwrap())
        };
        for (cookies, left) in [
            ("session=abc; other=Å; c=3", "session=abc; c=3"),
            ("other=Å", ""),
            ("a=\u{2028};session=ü", "session=ü"),
            ("session=abc;c=3", "session=abc;c=3"),
        ] {
            assert_eq!(checked("cookie", cookies).as_deref(), Ok(left));
        }
        assert!(checked("x-other", "Å").is_err());
    }

    #[test]
    fn hosts_as_browsers_send_them_pass() {
        for host in
            ["", "a", "a:80", "a:", "127.0.0.1:8000", "[::1]", "[::1]:80", "xn--bcher-kva.x"]
        {
            assert!(is_host(&HeaderValue::from_static(host)), "{host}");
        }
    }

    #[test]
    fn a_handshake_over_http_2_may_have_a_body() {
        let body = http_body_util::Full::new(bytes::Bytes::from_static(b"a"));
        for (version, passes) in [(Version::HTTP_11, false), (Version::HTTP_2, true)] {
            let mut request = Request::builder().version(version).body(body.clone()).unwrap();
            assert_eq!(check_handshake(&mut request).is_ok(), passes, "{version:?}");
        }
    }
}
