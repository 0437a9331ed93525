//! Files of a module's directory: with `etag`, ranges and compression, by a library. What the library
//! leaves out is done here: `if-range`, `cache-control`, the charset of texts, `HEAD` as `GET`.

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode, Uri,
    header::{self, HeaderValue},
};
use tower_http::{compression::Compression, services::ServeDir};
use tower_service::Service as _;

use super::{
    answer::{Aborted, ResponseBody, empty},
    directory::Directory,
};
use crate::routing::Files;

/// The one name with a dot first that is meant to be seen (RFC 8615).
const WELL_KNOWN: &str = ".well-known";
/// Browsers ask again each time, and get 304 where nothing has changed.
const DEFAULT_CACHE_CONTROL: HeaderValue = HeaderValue::from_static("no-cache");
/// Capacity of the buffer that a file is read with.
const READ_BUFFER_BYTES: usize = 64 * 1024;

/// A request for a file below a directory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) method: &'a Method,
    pub(super) headers: &'a HeaderMap,
    /// The path as clients see it, up to the directory.
    pub(super) mount: &'a str,
    /// The path below the directory: empty, or with a slash first.
    pub(super) path: &'a str,
    pub(super) query: Option<&'a str>,
}

/// Returns the response to a request for a file; none if there is no such file.
pub(super) async fn serve(files: &Files, wanted: Wanted<'_>) -> Option<Response<ResponseBody>> {
    if wanted.path.split('/').any(is_hidden) {
        return None;
    }
    if wanted.path.is_empty() {
        return redirect(&wanted);
    }
    let mut headers = wanted.headers.clone();
    settle_range(wanted.method, &mut headers);
    let mut response = call(files, &wanted, &headers).await?;
    if let Some(condition) = headers.get(header::IF_RANGE)
        && is_ranged(response.status())
        && !is_current(condition, response.headers())
    {
        // The client has a part of another file. It gets this one from the start.
        headers.remove(header::RANGE);
        response = call(files, &wanted, &headers).await?;
    }
    if response.status() == StatusCode::NOT_FOUND {
        return None;
    }
    settle_etag(&mut response, wanted.headers);
    complete_head(&mut response, files);
    if wanted.method == Method::HEAD {
        return Some(response.map(|_| empty()));
    }
    Some(response)
}

/// Asks the library. `HEAD` is answered as `GET`, so that both have the same header fields.
async fn call(
    files: &Files,
    wanted: &Wanted<'_>,
    headers: &HeaderMap,
) -> Option<Response<ResponseBody>> {
    let target = match wanted.query {
        Some(query) => format!("{}?{query}", wanted.path),
        None => wanted.path.to_owned(),
    };
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.uri_mut() = target.parse::<Uri>().ok()?;
    *request.headers_mut() = headers.clone();
    if wanted.method != Method::HEAD {
        request.method_mut().clone_from(wanted.method);
    }
    let directory = ServeDir::with_backend("", Directory::new(&files.directory))
        .redirect_path_prefix(wanted.mount)
        .with_buf_chunk_size(READ_BUFFER_BYTES)
        .ignore_multi_range_requests(true)
        .precompressed_gzip()
        .precompressed_br();
    let response = Compression::new(directory).call(request).await;
    let response = response.unwrap_or_else(|never| match never {});
    Some(response.map(|body| body.map_err(|_| Aborted).boxed_unsync()))
}

/// Sends a client from the directory without a slash to the directory, where relative links work.
fn redirect(wanted: &Wanted<'_>) -> Option<Response<ResponseBody>> {
    let query = wanted.query.map(|query| format!("?{query}")).unwrap_or_default();
    let location = HeaderValue::try_from(format!("{}/{query}", wanted.mount)).ok()?;
    let mut response = Response::new(empty());
    *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    response.headers_mut().insert(header::LOCATION, location);
    Some(response)
}

/// Removes a `range` that must be ignored (RFC 9110, section 14.2): of another method than `GET`, in
/// a unit that is not known, or given twice.
fn settle_range(method: &Method, headers: &mut HeaderMap) {
    let mut ranges = headers.get_all(header::RANGE).iter();
    let only = ranges.next().filter(|_| ranges.next().is_none() && method == Method::GET);
    // The names of units have no case; the library knows lower case.
    let bytes =
        only.and_then(|range| range.to_str().ok()?.split_once('=')).and_then(|(unit, ranges)| {
            let is_bytes = unit.trim().eq_ignore_ascii_case("bytes");
            is_bytes.then(|| HeaderValue::try_from(format!("bytes={}", ranges.trim())).ok())?
        });
    match bytes {
        Some(range) => headers.insert(header::RANGE, range),
        None => headers.remove(header::RANGE),
    };
}

/// Whether the status says that the library has looked at a range.
const fn is_ranged(status: StatusCode) -> bool {
    matches!(status, StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE)
}

/// Whether the validator of an `if-range` is that of the file (RFC 9110, section 13.1.5). A weak one
/// never is: two files that are as good as equal do not fit together.
fn is_current(condition: &HeaderValue, of_file: &HeaderMap) -> bool {
    let name =
        if condition.as_bytes().starts_with(b"\"") { header::ETAG } else { header::LAST_MODIFIED };
    of_file.get(name).is_some_and(|validator| validator == condition)
}

/// Makes the `etag` of a text weak that is compressed on the way: its bytes are not those of the file.
fn settle_etag(response: &mut Response<ResponseBody>, asked: &HeaderMap) {
    let Some(etag) = response.headers().get(header::ETAG).and_then(|etag| etag.to_str().ok())
    else {
        return;
    };
    let weak = format!("W/{etag}");
    let is_weak = if response.status() == StatusCode::NOT_MODIFIED {
        // The client has the compressed one.
        let known = asked.get_all(header::IF_NONE_MATCH).iter();
        known.filter_map(|list| list.to_str().ok()).any(|list| list.contains(&weak))
    } else {
        // A file that was compressed before keeps its ranges.
        response.headers().contains_key(header::CONTENT_ENCODING)
            && !response.headers().contains_key(header::ACCEPT_RANGES)
    };
    if let (true, Ok(weak)) = (is_weak, HeaderValue::try_from(weak)) {
        response.headers_mut().insert(header::ETAG, weak);
    }
}

/// Adds the header fields that go with every file.
fn complete_head(response: &mut Response<ResponseBody>, files: &Files) {
    let is_file = response.status().is_success() || response.status() == StatusCode::NOT_MODIFIED;
    let headers = response.headers_mut();
    // A browser must not take a text for a script.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if is_file {
        let cache_control = files.cache_control.clone().unwrap_or(DEFAULT_CACHE_CONTROL);
        headers.insert(header::CACHE_CONTROL, cache_control);
    }
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if let Some(kind) = kind.filter(|kind| kind.starts_with("text/") && !kind.contains(';'))
        && let Ok(kind) = HeaderValue::try_from(format!("{kind}; charset=utf-8"))
    {
        headers.insert(header::CONTENT_TYPE, kind);
    }
}

/// Names that editors, version control and administrators keep out of sight.
fn is_hidden(name: &str) -> bool {
    let name = percent_encoding::percent_decode_str(name).decode_utf8_lossy();
    name.starts_with('.') && name != WELL_KNOWN
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(method: &Method, ranges: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for range in ranges {
            headers.append(header::RANGE, HeaderValue::try_from(*range).unwrap());
        }
        settle_range(method, &mut headers);
        headers.get(header::RANGE).map(|range| range.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_range_that_must_be_ignored_is_removed() {
        for (ranges, left) in [
            (&["bytes=0-1"][..], Some("bytes=0-1")),
            (&["Bytes = 0-1"], Some("bytes=0-1")),
            (&["bytes=0-1,5-6"], Some("bytes=0-1,5-6")),
            (&["lines=0-1"], None),
            (&["bytes"], None),
            (&["bytes=0-1", "bytes=5-6"], None),
            (&[], None),
        ] {
            assert_eq!(settled(&Method::GET, ranges).as_deref(), left, "{ranges:?}");
        }
        assert_eq!(settled(&Method::HEAD, &["bytes=0-1"]), None);
    }

    #[test]
    fn only_the_exact_strong_validator_is_current() {
        let mut file = HeaderMap::new();
        file.insert(header::ETAG, HeaderValue::from_static("\"a\""));
        let modified = "Sat, 28 Nov 2026 18:00:00 GMT";
        file.insert(header::LAST_MODIFIED, HeaderValue::from_static(modified));
        for (condition, current) in [
            ("\"a\"", true),
            ("\"b\"", false),
            ("W/\"a\"", false),
            (modified, true),
            ("Sat, 28 Nov 2026 18:00:01 GMT", false),
            ("Thu, 01 Jan 1970 00:00:00 GMT", false),
            ("", false),
        ] {
            assert_eq!(
                is_current(&HeaderValue::from_static(condition), &file),
                current,
                "{condition}"
            );
        }
    }
}
