//! Files of a module's directory: with `etag`, ranges and compression, by a library.

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{HeaderMap, Method, Request, Response, StatusCode, Uri, header};
use tower_http::{compression::Compression, services::ServeDir};
use tower_service::Service as _;

use super::{
    answer::{Aborted, ResponseBody},
    directory::Directory,
};
use crate::routing::Files;

/// The one name with a dot first that is meant to be seen (RFC 8615).
const WELL_KNOWN: &str = ".well-known";

/// The response to a request for a file; none if there can be no such file.
pub(super) async fn serve(
    files: &Files,
    path: &str,
    method: &Method,
    headers: &HeaderMap,
) -> Option<Response<ResponseBody>> {
    if path.split('/').any(is_hidden) {
        return None;
    }
    let path = if path.is_empty() { "/" } else { path };
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.method_mut() = method.clone();
    *request.uri_mut() = path.parse::<Uri>().ok()?;
    *request.headers_mut() = headers.clone();
    let directory = ServeDir::with_backend("", Directory::new(&files.directory));
    let directory = directory.precompressed_gzip().precompressed_br();
    let response = Compression::new(directory).call(request).await;
    let mut response = response.unwrap_or_else(|never| match never {});
    // A browser must not take a text for a script.
    let nosniff = header::HeaderValue::from_static("nosniff");
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    let is_there = response.status() != StatusCode::NOT_FOUND;
    is_there.then(|| response.map(|body| body.map_err(|_| Aborted).boxed_unsync()))
}

/// Names that editors, version control and administrators keep out of sight.
fn is_hidden(name: &str) -> bool {
    let name = percent_encoding::percent_decode_str(name).decode_utf8_lossy();
    name.starts_with('.') && name != WELL_KNOWN
}
