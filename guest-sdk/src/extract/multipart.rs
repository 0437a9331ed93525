//! Bodies of several parts: forms with files.

use std::convert::Infallible;
use std::future::ready;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::stream;
use multer::{Constraints, SizeLimit};

use super::{FromRequest, check_type};
use crate::{Context, Error, Request, Response, Result};

/// A body of several parts: what an HTML form with files sends, `multipart/form-data`.
///
/// The limits are in the type: at most `PARTS` parts, of at most `PART_BYTES` bytes each. They are
/// below the limit that the host has for the whole body (1 MiB by default, at most 8). More is
/// answered with status 413, another content type with 415, and a malformed body with 400.
///
/// ```
/// use tidegate_sdk::{Multipart, Result, export, http, testing::TestHost};
///
/// #[http("POST /picture")]
/// fn picture(form: Multipart<2, 65_536>) -> Result<String> {
///     let title = form.get("title").map(|title| title.text()).transpose()?.unwrap_or("untitled");
///     let sizes = form.parts().filter(|part| part.file_name().is_some()).map(|part| part.bytes().len());
///     Ok(format!("{title}: {} bytes", sizes.sum::<usize>()))
/// }
///
/// export! { picture }
///
/// let body = "--xx\r\ncontent-disposition: form-data; name=\"title\"\r\n\r\nWhale\r\n\
///     --xx\r\ncontent-disposition: form-data; name=\"file\"; filename=\"w.png\"\r\n\
///     content-type: image/png\r\n\r\n12345\r\n--xx--\r\n";
/// let host = TestHost::new(consumers());
/// let request = host.request("POST", "/picture").header("content-type", "multipart/form-data; boundary=xx");
/// assert_eq!(request.body(body).send().text(), "Whale: 5 bytes");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Multipart<const PARTS: usize = 100, const PART_BYTES: usize = { 8 * 1024 * 1024 }>(
    Vec<Part>,
);

impl<const PARTS: usize, const PART_BYTES: usize> Multipart<PARTS, PART_BYTES> {
    /// The first part of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Part> {
        self.parts().find(|part| part.name == name)
    }

    /// All parts, in the order sent.
    pub fn parts(&self) -> impl Iterator<Item = &Part> {
        self.0.iter()
    }

    /// All parts, for keeps.
    #[must_use]
    pub fn into_parts(self) -> Vec<Part> {
        self.0
    }

    async fn read(boundary: String, body: Bytes) -> Result<Vec<Part>> {
        let whole = stream::once(ready(Ok::<_, Infallible>(body)));
        let limit = SizeLimit::new().per_field(PART_BYTES as u64);
        let constraints = Constraints::new().size_limit(limit);
        let mut form = multer::Multipart::with_constraints(whole, boundary, constraints);
        let mut parts = Vec::new();
        while let Some(field) = form.next_field().await.map_err(refused)? {
            if parts.len() == PARTS {
                return Err(too_large(&format!("more than {PARTS} parts")));
            }
            let Some(name) = field.name().map(str::to_owned) else {
                return Err(malformed(&format!("part {} has no name", parts.len() + 1)));
            };
            parts.push(Part {
                name,
                file_name: field.file_name().map(str::to_owned),
                content_type: field.content_type().map(ToString::to_string),
                bytes: field.bytes().await.map_err(refused)?,
            });
        }
        Ok(parts)
    }
}

/// One part of a [`Multipart`] body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    name: String,
    file_name: Option<String>,
    content_type: Option<String>,
    bytes: Bytes,
}

impl Part {
    /// The name of the form's field.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name of the file, as the client has it: not to be trusted as a path.
    #[must_use]
    pub fn file_name(&self) -> Option<&str> {
        self.file_name.as_deref()
    }

    /// What the client takes the content for.
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// The content.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The content, for keeps.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes.into()
    }

    /// The content as text. The error answers with status 400.
    ///
    /// # Errors
    /// When the content is not UTF-8.
    pub fn text(&self) -> Result<&str> {
        std::str::from_utf8(&self.bytes)
            .map_err(|error| malformed(&format!("part `{}`: {error}", self.name)))
    }
}

impl<const PARTS: usize, const PART_BYTES: usize> FromRequest for Multipart<PARTS, PART_BYTES> {
    fn from_request(request: &Request, _: &mut Context) -> Result<Self> {
        const TYPE: &str = "multipart/form-data";
        check_type(request, TYPE, |essence| essence == TYPE)?;
        let content_type = request.header("content-type").unwrap_or_default();
        let boundary = multer::parse_boundary(content_type)
            .map_err(|error| malformed(&format!("header `content-type`: {error}")))?;
        let body = Bytes::copy_from_slice(request.body());
        // The whole body is here, so nothing has to wait for more of it.
        match Self::read(boundary, body).now_or_never() {
            Some(parts) => parts.map(Self),
            None => Err(malformed("the body ends early")),
        }
    }
}

fn refused(error: multer::Error) -> Error {
    match error {
        multer::Error::FieldSizeExceeded { limit, field_name } => {
            let name = field_name.unwrap_or_default();
            too_large(&format!("part `{name}` is over {limit} bytes"))
        }
        other => malformed(&other.to_string()),
    }
}

fn malformed(what: &str) -> Error {
    Error::bad_request(format!("body: {what}\n"))
}

fn too_large(what: &str) -> Error {
    Error::response(Response::text(format!("body: {what}\n")).status(413))
}
