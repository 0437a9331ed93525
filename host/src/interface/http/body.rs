//! Reads the body of a request, within a size and a time.

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::{HeaderMap, body::Incoming, header};
use tokio::time::timeout;

use crate::interface::InterfaceConfig;

/// Why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BodyError {
    /// It is too large.
    #[error("the body is larger than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// It took too long.
    #[error("the body did not come in time")]
    TooSlow,
    /// The client broke off.
    #[error("the body is incomplete")]
    Broken,
}

/// The whole body.
pub(super) async fn read(
    body: Incoming,
    headers: &HeaderMap,
    config: &InterfaceConfig,
) -> Result<Bytes, BodyError> {
    let limit = config.body_bytes;
    // Told before the client sends it all.
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    if announced.and_then(|length| length.parse().ok()).is_some_and(|length: usize| length > limit)
    {
        return Err(BodyError::TooLarge { limit });
    }
    match timeout(config.timeouts.body, Limited::new(body, limit).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(BodyError::TooLarge { limit }),
        Ok(Err(_)) => Err(BodyError::Broken),
        Err(_) => Err(BodyError::TooSlow),
    }
}
