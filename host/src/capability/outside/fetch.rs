//! A request that a run asks for, as it waits in the store and in its channel.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use rmp::encode;

use crate::message::{ChannelName, Content, ContentError, NameError};

/// How often a request is made again at most.
pub const RETRIES_MAX: u32 = 10;
/// Says to a server which requests are repeats of another.
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Fields that say how a message goes over a connection, which the host decides.
const FIELDS_OF_THE_HOST: [HeaderName; 9] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("keep-alive"),
];

/// Which rule a request breaks.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The method is not one, or opens a tunnel.
    #[error(
        "{0:?} is not a method of a request; use GET, POST, PUT, PATCH, DELETE, HEAD or OPTIONS"
    )]
    Method(String),
    /// A header field is not one.
    #[error("the header field {0:?} has a name or a value that HTTP does not allow")]
    Header(String),
    /// A header field belongs to the host.
    #[error("the header field {0} is written by the host; leave it out")]
    FieldOfTheHost(HeaderName),
    /// The channel's name is not one.
    #[error("channel {name:?}: {error}")]
    Channel {
        /// The name.
        name: String,
        /// The rule.
        error: NameError,
    },
    /// It would be made again although that may do something twice.
    #[error(
        "a {method} is not idempotent, so that a server may do it twice if it is made again; give the header field \
         {IDEMPOTENCY_KEY} with a value by which the server knows repeats, or no retries"
    )]
    NotIdempotent {
        /// Its method.
        method: Method,
    },
    /// Too many retries.
    #[error("a request is made again {RETRIES_MAX} times at most, not {0}")]
    Retries(u32),
    /// The timeout is zero.
    #[error("a timeout is at least 1 ms")]
    Timeout,
    /// The value is not MessagePack as messages have it.
    #[error("the value that comes back with the result: {0}")]
    Value(ContentError),
    /// A stored request that this host cannot read.
    #[error("a stored request has no {0} that this host reads")]
    Stored(&'static str),
}

/// A request, and where its result goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// The method.
    pub method: Method,
    /// The URL, as it was given.
    pub url: String,
    /// Header fields, without those that the host writes.
    pub headers: HeaderMap,
    /// The body; empty for none.
    pub body: Bytes,
    /// The channel of the result.
    pub then: ChannelName,
    /// MessagePack that comes back with the result.
    pub value: Bytes,
    /// How long an attempt may take; none for as long as its module may.
    pub timeout: Option<Duration>,
    /// How often it is made again.
    pub retries: u32,
}

impl Fetch {
    /// Checks the method, the header fields and the channel of a request without a body.
    pub fn new<'a>(
        method: &str,
        url: String,
        headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
        then: &str,
    ) -> Result<Self, FetchError> {
        let no_method = || FetchError::Method(method.to_owned());
        let parsed = Method::from_bytes(method.as_bytes()).map_err(|_| no_method())?;
        if matches!(parsed, Method::CONNECT | Method::TRACE) {
            return Err(no_method());
        }
        let then = ChannelName::parse(then)
            .map_err(|error| FetchError::Channel { name: then.to_owned(), error })?;
        Ok(Self {
            method: parsed,
            url,
            headers: fields(headers)?,
            body: Bytes::new(),
            then,
            // Nil.
            value: Bytes::from_static(b"\xc0"),
            timeout: None,
            retries: 0,
        })
    }

    /// Has the request made again so often.
    pub fn with_retries(mut self, retries: u32) -> Result<Self, FetchError> {
        if retries > RETRIES_MAX {
            return Err(FetchError::Retries(retries));
        }
        let is_safe = self.method.is_idempotent() || self.headers.contains_key(IDEMPOTENCY_KEY);
        if retries > 0 && !is_safe {
            return Err(FetchError::NotIdempotent { method: self.method });
        }
        self.retries = retries;
        Ok(self)
    }

    /// Has an attempt end after so many milliseconds.
    pub fn with_timeout(mut self, millis: u32) -> Result<Self, FetchError> {
        if millis == 0 {
            return Err(FetchError::Timeout);
        }
        self.timeout = Some(Duration::from_millis(millis.into()));
        Ok(self)
    }

    /// Writes it as the content of a message.
    pub fn content(&self) -> Result<Content, FetchError> {
        let mut map = Map::new(if self.timeout.is_some() { 8 } else { 7 });
        map.text("method", self.method.as_str());
        map.text("url", &self.url);
        map.fields("headers", &self.headers);
        map.bytes("body", &self.body);
        map.text("then", self.then.as_str());
        map.packed("value", &self.value);
        map.number("retries", self.retries.into());
        if let Some(timeout) = self.timeout {
            map.number("timeout", u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
        }
        map.finish().map_err(FetchError::Value)
    }

    /// Reads the content of a message.
    pub fn read(content: &Content) -> Result<Self, FetchError> {
        let entries: Vec<_> = content.entries().collect();
        let packed = |key: &'static str| {
            let found = entries.iter().find(|(name, _)| *name == key);
            found.map(|(_, packed)| *packed).ok_or(FetchError::Stored(key))
        };
        let text = |key| read_text(packed(key)?).ok_or(FetchError::Stored(key));
        let number = |key| read_number(packed(key)?).ok_or(FetchError::Stored(key));
        let pairs = read_fields(packed("headers")?).ok_or(FetchError::Stored("headers"))?;
        let pairs = pairs.iter().map(|(name, value)| (name.as_str(), &**value));
        let mut fetch = Self::new(&text("method")?, text("url")?, pairs, &text("then")?)?;
        fetch.body = read_bytes(packed("body")?).ok_or(FetchError::Stored("body"))?;
        fetch.value = Bytes::copy_from_slice(packed("value")?);
        if packed("timeout").is_ok() {
            fetch = fetch.with_timeout(number("timeout")?)?;
        }
        let retries = number("retries")?;
        fetch.with_retries(retries)
    }
}

fn fields<'a>(
    pairs: impl IntoIterator<Item = (&'a str, &'a [u8])>,
) -> Result<HeaderMap, FetchError> {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let wrong = || FetchError::Header(name.to_owned());
        let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong())?;
        if FIELDS_OF_THE_HOST.contains(&parsed) {
            return Err(FetchError::FieldOfTheHost(parsed));
        }
        let value = HeaderValue::from_bytes(value).map_err(|_| wrong())?;
        headers.try_append(parsed, value).map_err(|_| wrong())?;
    }
    Ok(headers)
}

/// Writes a map of MessagePack.
pub(super) struct Map(Vec<u8>);

/// Writing into memory cannot fail.
const INTO_MEMORY: &str = "memory takes every write";

impl Map {
    pub(super) fn new(entries: u32) -> Self {
        let mut written = Vec::new();
        encode::write_map_len(&mut written, entries).expect(INTO_MEMORY);
        Self(written)
    }

    fn key(&mut self, key: &str) {
        encode::write_str(&mut self.0, key).expect(INTO_MEMORY);
    }

    pub(super) fn text(&mut self, key: &str, text: &str) {
        self.key(key);
        encode::write_str(&mut self.0, text).expect(INTO_MEMORY);
    }

    pub(super) fn number(&mut self, key: &str, number: u64) {
        self.key(key);
        encode::write_uint(&mut self.0, number).expect(INTO_MEMORY);
    }

    pub(super) fn bytes(&mut self, key: &str, bytes: &[u8]) {
        self.key(key);
        encode::write_bin(&mut self.0, bytes).expect(INTO_MEMORY);
    }

    pub(super) fn packed(&mut self, key: &str, packed: &[u8]) {
        self.key(key);
        self.0.extend_from_slice(packed);
    }

    /// A list of pairs: a name as text and a value as bytes.
    pub(super) fn fields(&mut self, key: &str, fields: &HeaderMap) {
        self.key(key);
        let count = u32::try_from(fields.len()).unwrap_or(u32::MAX);
        encode::write_array_len(&mut self.0, count).expect(INTO_MEMORY);
        for (name, value) in fields {
            encode::write_array_len(&mut self.0, 2).expect(INTO_MEMORY);
            encode::write_str(&mut self.0, name.as_str()).expect(INTO_MEMORY);
            encode::write_bin(&mut self.0, value.as_bytes()).expect(INTO_MEMORY);
        }
    }

    pub(super) fn finish(self) -> Result<Content, ContentError> {
        Content::parse(self.0.into())
    }
}

fn read_text(packed: &[u8]) -> Option<String> {
    rmp_serde::from_slice(packed).ok()
}

fn read_number(packed: &[u8]) -> Option<u32> {
    rmp_serde::from_slice(packed).ok()
}

fn value(packed: &[u8]) -> Option<rmpv::Value> {
    let mut rest = packed;
    rmpv::decode::read_value(&mut rest).ok()
}

fn read_bytes(packed: &[u8]) -> Option<Bytes> {
    match value(packed)? {
        rmpv::Value::Binary(bytes) => Some(bytes.into()),
        _ => None,
    }
}

fn read_fields(packed: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    let rmpv::Value::Array(pairs) = value(packed)? else { return None };
    let pair = |pair: rmpv::Value| {
        let rmpv::Value::Array(pair) = pair else { return None };
        let [name, rmpv::Value::Binary(value)] = <[_; 2]>::try_from(pair).ok()? else {
            return None;
        };
        Some((name.as_str()?.to_owned(), value))
    };
    pairs.into_iter().map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fetch(method: &str, headers: &[(&str, &[u8])]) -> Result<Fetch, FetchError> {
        let headers = headers.iter().map(|(name, value)| (*name, *value));
        Fetch::new(method, "https://api.example/a?b=c".to_owned(), headers, "shop.paid")
    }

    #[test]
    fn a_request_reads_back_from_its_message() {
        let mut fetch =
            fetch("POST", &[("x-a", b"1"), ("x-a", b"\xff"), ("idempotency-key", b"k")])
                .and_then(|fetch| fetch.with_timeout(1_500))
                .and_then(|fetch| fetch.with_retries(3))
                .unwrap();
        fetch.body = Bytes::from_static(b"{}");
        fetch.value = Bytes::from_static(b"\x81\xa2id\x07");
        assert_eq!(Fetch::read(&fetch.content().unwrap()).unwrap(), fetch);
        let plain = self::fetch("GET", &[]).unwrap();
        assert_eq!(Fetch::read(&plain.content().unwrap()).unwrap(), plain);
    }

    #[test]
    fn what_http_does_not_allow_is_refused_by_name() {
        for (method, headers, text) in [
            ("CONNECT", &[][..], "\"CONNECT\" is not a method"),
            ("TRACE", &[], "\"TRACE\" is not a method"),
            ("GE T", &[], "\"GE T\" is not a method"),
            ("", &[], "\"\" is not a method"),
            ("GET", &[("a b", &b""[..])], "the header field \"a b\""),
            ("GET", &[("a", b"1\r\nb: 2")], "the header field \"a\""),
            ("GET", &[("Host", b"else.example")], "the header field host is written by the host"),
            ("GET", &[("Transfer-Encoding", b"chunked")], "transfer-encoding is written by"),
        ] {
            let error = fetch(method, headers).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
    }

    #[test]
    fn a_request_is_made_again_only_where_that_does_nothing_twice() {
        for method in ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"] {
            assert!(fetch(method, &[]).unwrap().with_retries(1).is_ok(), "{method}");
        }
        for method in ["POST", "PATCH"] {
            assert!(fetch(method, &[]).unwrap().with_retries(0).is_ok());
            let error = fetch(method, &[]).unwrap().with_retries(1).unwrap_err().to_string();
            assert!(error.contains("give the header field idempotency-key"), "{error}");
            let keyed = fetch(method, &[("Idempotency-Key", b"k")]).unwrap();
            assert!(keyed.with_retries(1).is_ok());
        }
        let many = fetch("GET", &[]).unwrap().with_retries(RETRIES_MAX + 1);
        assert_eq!(
            many.unwrap_err().to_string(),
            "a request is made again 10 times at most, not 11"
        );
    }

    #[test]
    fn a_value_that_messages_do_not_have_is_refused() {
        let mut fetch = fetch("GET", &[]).unwrap();
        for value in [&b""[..], b"\x81", b"\xc0\xc0", b"\xd4\x01\x02", b"\xa1\xff"] {
            fetch.value = Bytes::copy_from_slice(value);
            assert!(fetch.content().is_err(), "{value:?}");
        }
    }
}
