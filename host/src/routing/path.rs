//! Paths of requests, so that each has one form to compare.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// What a segment of a path may hold unescaped: `pchar` of RFC 3986, section 3.3.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

/// The path is no text once its escapes are decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the path is not UTF-8 after percent-decoding")]
pub struct PathError;

/// Decodes the escapes of a path or of a part of one.
pub fn decode(raw: &str) -> Result<Cow<'_, str>, PathError> {
    percent_decode_str(raw).decode_utf8().map_err(|_| PathError)
}

/// The part of a path that routes know: what follows the root path. None if it is not beneath it.
pub fn strip_root<'a>(root_path: &str, path: &'a str) -> Option<&'a str> {
    match path.strip_prefix(root_path)? {
        "" if !root_path.is_empty() => Some("/"),
        rest => rest.starts_with('/').then_some(rest),
    }
}

/// The path with exactly those bytes escaped that must be. A slash within a segment stays `%2F`.
pub fn canonical(raw: &str) -> Result<Cow<'_, str>, PathError> {
    if raw.bytes().all(|byte| byte == b'/' || byte.is_ascii_alphanumeric() || byte == b'-') {
        return Ok(Cow::Borrowed(raw));
    }
    let segments = raw
        .split('/')
        .map(|segment| Ok(utf8_percent_encode(&decode(segment)?, PATH).to_string()))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Cow::Owned(segments.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_spellings_of_a_path_are_one() {
        assert_eq!(canonical("/%68ello/a%20b").unwrap(), "/hello/a%20b");
        assert_eq!(canonical("/caf%c3%a9").unwrap(), canonical("/café").unwrap());
    }

    #[test]
    fn an_escaped_slash_does_not_split_a_segment() {
        assert_eq!(canonical("/a%2fb/c").unwrap(), "/a%2Fb/c");
        assert_eq!(decode("a%2Fb").unwrap(), "a/b");
    }

    #[test]
    fn bytes_that_are_no_text_are_an_error() {
        assert_eq!(canonical("/a%ff"), Err(PathError));
    }
}
