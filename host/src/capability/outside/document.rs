//! Documents that the host itself fetches, by URLs of its settings.

use std::time::Duration;

use http::{StatusCode, header};
use tokio::time::Instant;

use super::{
    Client, Destination, DestinationError, Destinations, Fetch, Fetched, OutsideGrant, Refusal,
    Scheme, Target,
};
use crate::message::CorrelationId;

/// Nobody waits on it: the host reads the answer itself.
const NO_CHANNEL: &str = "tidegate.document";

/// Why a document cannot be named so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentUrlError {
    /// The URL cannot be called.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The connection is not encrypted.
    #[error(
        "what comes by http can be anybody's; write https. Only a server of this machine, as 127.0.0.1 or localhost, may \
         have http"
    )]
    Insecure,
    /// A grant cannot be read.
    #[error(transparent)]
    Grant(#[from] DestinationError),
}

/// Why there is no document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// The server did not answer as it should.
    #[error("{reason}: {message}")]
    Failed {
        /// Why, as a word.
        reason: &'static str,
        /// Why, for people, without path and query.
        message: String,
    },
    /// The answer is none.
    #[error("the server answers with {0}, and not with 200")]
    Status(StatusCode),
}

/// What may be fetched, and from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentUrl {
    url: String,
    destinations: Destinations,
}

impl DocumentUrl {
    /// Checks a URL. Its own server is granted, with scheme and port; `grants` are others that it may lead to, and
    /// addresses of its name that are not public.
    pub fn new(url: &str, grants: &[String]) -> Result<Self, DocumentUrlError> {
        let target = Target::parse(url)?;
        if target.scheme() == Scheme::Http && !target.origin().host.is_of_this_machine() {
            return Err(DocumentUrlError::Insecure);
        }
        let mut destinations = Destinations::default();
        destinations.grant(target.origin().to_string().parse::<Destination>()?);
        for grant in grants {
            destinations.grant(grant.parse()?);
        }
        // An address that is not public needs a grant, too, and has one: its own.
        destinations.check(url)?;
        Ok(Self { url: url.to_owned(), destinations })
    }

    /// What its client may do.
    pub fn grant(&self, timeout: Duration, bytes: usize) -> OutsideGrant {
        let destinations = self.destinations.clone();
        OutsideGrant { destinations, timeout, response_bytes: bytes, is_dry_run: false }
    }
}

/// A document, and for how long it counts as new, as its answer says.
#[derive(Clone, Debug)]
pub struct Document {
    /// The contents.
    pub body: bytes::Bytes,
    /// `max-age` of `cache-control`, if there is one.
    pub max_age: Option<Duration>,
}

impl Client {
    /// Fetches a document. Dropping the future ends the request.
    pub async fn document(&self, of: &DocumentUrl) -> Result<Document, DocumentError> {
        let fields = [("accept", &b"application/json"[..])];
        let fetch = Fetch::new("GET", of.url.clone(), fields, NO_CHANNEL)
            .expect("method, header field and channel are constants that keep the rules");
        let until = Instant::now() + self.timeout();
        match self.send(&fetch, CorrelationId::random().into(), until).await {
            Fetched::Answered { status: StatusCode::OK, headers, body } => {
                let control = headers.get(header::CACHE_CONTROL);
                let control = control.and_then(|value| value.to_str().ok());
                Ok(Document { body, max_age: control.and_then(max_age) })
            }
            Fetched::Answered { status, .. } => Err(DocumentError::Status(status)),
            Fetched::Failed(failure) => Err(DocumentError::Failed {
                reason: failure.reason.as_str(),
                message: failure.message,
            }),
            Fetched::Unknown => Err(DocumentError::Failed {
                reason: "broken",
                message: "no answer came".to_owned(),
            }),
        }
    }
}

/// RFC 9111, section 5.2.2.1. The crate `headers` knows names of directives in lower case only, and takes a field with one
/// bad directive as a whole for none.
fn max_age(control: &str) -> Option<Duration> {
    let directives = control.split(',').filter_map(|directive| directive.trim().split_once('='));
    let mut ages = directives.filter(|(name, _)| name.eq_ignore_ascii_case("max-age"));
    let (_, seconds) = ages.next()?;
    Some(Duration::from_secs(seconds.trim_matches('"').parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_comes_by_https_or_from_this_machine_and_from_its_server_alone() {
        for (url, is_valid) in [
            ("https://login.example.com/keys", true),
            ("https://login.example.com:8443/keys?x=1", true),
            ("http://127.0.0.1:9000/keys", true),
            ("http://[::1]:9000/keys", true),
            ("http://localhost:9000/keys", true),
            ("http://login.example.com/keys", false),
            ("http://10.0.0.5/keys", false),
            ("https://10.0.0.5/keys", true),
            ("https://user:password@login.example.com/keys", false),
            ("ftp://login.example.com/keys", false),
            ("/keys", false),
        ] {
            assert_eq!(DocumentUrl::new(url, &[]).is_ok(), is_valid, "{url}");
        }
        let of = DocumentUrl::new("https://login.example.com/keys", &[]).unwrap();
        for url in ["https://login.example.com/other", "https://login.example.com:443/"] {
            assert!(of.destinations.check(url).is_ok(), "{url}");
        }
        for url in [
            "http://login.example.com/keys",
            "https://login.example.com:8443/keys",
            "https://example.com/keys",
            "https://169.254.169.254/",
        ] {
            assert!(of.destinations.check(url).is_err(), "{url}");
        }
        let more = ["https://cdn.example.com".to_owned()];
        let of = DocumentUrl::new("https://login.example.com/keys", &more).unwrap();
        assert!(of.destinations.check("https://cdn.example.com/keys").is_ok());
    }

    #[test]
    fn an_age_is_read_from_among_other_directives() {
        for (control, seconds) in [
            ("max-age=300", Some(300)),
            ("public, Max-Age=\"60\", must-revalidate", Some(60)),
            ("no-store", None),
            ("s-maxage=10", None),
            ("max-age=-1", None),
            ("max-age", None),
        ] {
            assert_eq!(max_age(control), seconds.map(Duration::from_secs), "{control}");
        }
    }
}
