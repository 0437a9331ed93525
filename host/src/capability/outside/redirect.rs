//! Redirects, as RFC 9110, section 15.4, has them: which request follows, and what of it goes to another server.

use http::{HeaderName, Method, StatusCode, header};

use super::{FailureReason, Fetch, Target};

/// How many redirects a request follows.
const REDIRECTS_MAX: usize = 10;
/// Fields that are no secret of the server that they were meant for. Only these go along to another one.
const FIELDS_FOR_ALL: [HeaderName; 7] = [
    header::ACCEPT,
    header::ACCEPT_LANGUAGE,
    header::CONTENT_TYPE,
    header::CONTENT_LANGUAGE,
    header::USER_AGENT,
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("traceparent"),
];
/// Fields about a body.
const FIELDS_OF_BODIES: [HeaderName; 3] =
    [header::CONTENT_TYPE, header::CONTENT_LANGUAGE, header::CONTENT_ENCODING];

/// Why a redirect is not followed.
#[derive(Debug, thiserror::Error)]
pub(super) enum RedirectError {
    #[error("a redirect leads to a place that is not a URL")]
    Place,
    #[error("a redirect leads from https to http")]
    Downgrade,
    #[error("there are more than {REDIRECTS_MAX} redirects")]
    TooMany,
}

impl RedirectError {
    /// The word that stands for it.
    pub(super) const fn reason(&self) -> FailureReason {
        match self {
            Self::Place => FailureReason::Broken,
            Self::Downgrade => FailureReason::Refused,
            Self::TooMany => FailureReason::Redirects,
        }
    }
}

/// Where a response leads, if it is a redirect.
pub(super) fn location(response: &reqwest::Response) -> Option<(StatusCode, Vec<u8>)> {
    let status = response.status();
    let leads = matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308);
    let place = response.headers().get(header::LOCATION).filter(|_| leads)?;
    Some((status, place.as_bytes().to_owned()))
}

/// Returns the request that follows a redirect of a target, after so many of them.
pub(super) fn next(
    mut fetch: Fetch,
    target: &Target,
    (status, place): (StatusCode, Vec<u8>),
    hops: usize,
) -> Result<Fetch, RedirectError> {
    if hops > REDIRECTS_MAX {
        return Err(RedirectError::TooMany);
    }
    let place = String::from_utf8(place).map_err(|_| RedirectError::Place)?;
    let url = target.url().join(&place).map_err(|_| RedirectError::Place)?;
    if target.url().scheme() == "https" && url.scheme() == "http" {
        return Err(RedirectError::Downgrade);
    }
    let asks_to_get = match status {
        StatusCode::SEE_OTHER => fetch.method != Method::HEAD,
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => fetch.method == Method::POST,
        _ => false,
    };
    if asks_to_get {
        fetch.method = Method::GET;
        fetch.body.clear();
        for field in FIELDS_OF_BODIES {
            fetch.headers.remove(field);
        }
    }
    if url.origin() != target.url().origin() {
        let names: Vec<_> = fetch.headers.keys().cloned().collect();
        for name in names.into_iter().filter(|name| !FIELDS_FOR_ALL.contains(name)) {
            fetch.headers.remove(name);
        }
    }
    fetch.url = url.into();
    Ok(fetch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capability::outside::Destinations;

    fn target(url: &str) -> Target {
        let grants = ["a.example", "b.example"].map(str::to_owned).to_vec();
        Destinations::try_from(grants).unwrap().check(url).unwrap()
    }

    fn fetch(method: &str, url: &str) -> Fetch {
        let headers = [("authorization", &b"secret"[..]), ("x-key", b"secret"), ("accept", b"a/b")];
        let headers = headers.into_iter().chain([("content-type", &b"a/b"[..])]);
        let mut fetch = Fetch::new(method, url.to_owned(), headers, "shop.done").unwrap();
        fetch.body = "body".into();
        fetch
    }

    fn after(method: &str, status: u16, place: &str) -> Result<Fetch, RedirectError> {
        let url = "https://a.example/x/y?q";
        let status = StatusCode::from_u16(status).unwrap();
        next(fetch(method, url), &target(url), (status, place.as_bytes().to_vec()), 1)
    }

    #[test]
    fn method_and_body_follow_the_status() {
        for (method, status, then) in [
            ("POST", 301, "GET"),
            ("POST", 302, "GET"),
            ("POST", 303, "GET"),
            ("PUT", 303, "GET"),
            ("HEAD", 303, "HEAD"),
            ("PUT", 301, "PUT"),
            ("PATCH", 302, "PATCH"),
            ("POST", 307, "POST"),
            ("POST", 308, "POST"),
        ] {
            let next = after(method, status, "/z").unwrap();
            assert_eq!(next.method.as_str(), then, "{method} {status}");
            let has_body = then != "GET" && then != "HEAD" || method == "HEAD";
            assert_eq!(!next.body.is_empty(), has_body, "{method} {status}");
            assert_eq!(next.headers.contains_key("content-type"), has_body, "{method} {status}");
        }
    }

    #[test]
    fn secrets_stay_with_their_server() {
        let next = after("GET", 302, "../z").unwrap();
        assert_eq!(next.url, "https://a.example/z");
        assert!(next.headers.contains_key("authorization") && next.headers.contains_key("x-key"));
        for place in ["https://b.example/", "//b.example/", "https://a.example:444/"] {
            let next = after("GET", 302, place).unwrap();
            let mut names: Vec<_> = next.headers.keys().map(HeaderName::as_str).collect();
            names.sort_unstable();
            assert_eq!(names, ["accept", "content-type"], "{place}");
        }
    }

    #[test]
    fn a_redirect_that_leads_nowhere_is_told() {
        let reason = |place: &str| after("GET", 302, place).unwrap_err().reason();
        assert_eq!(reason("http://a.example/"), FailureReason::Refused);
        assert_eq!(reason("https://[/"), FailureReason::Broken);
        let url = "https://a.example/";
        let eleventh =
            next(fetch("GET", url), &target(url), (StatusCode::FOUND, b"/".to_vec()), 11);
        assert_eq!(eleventh.unwrap_err().reason(), FailureReason::Redirects);
    }
}
