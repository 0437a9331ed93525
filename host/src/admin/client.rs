//! Asks another process over its admin listener.

use std::{io, net::SocketAddr};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::{Request, StatusCode, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::{AdminToken, DRAIN};

/// Why a process did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// There is no such process.
    #[error("nobody answers on the admin address {address} ({reason}); give --admin")]
    Unreachable {
        /// The address.
        address: SocketAddr,
        /// Why.
        reason: io::Error,
    },
    /// It broke off.
    #[error("the admin address {address} does not answer as a host does: {reason}")]
    Broken {
        /// The address.
        address: SocketAddr,
        /// Why.
        reason: hyper::Error,
    },
    /// It does not do it.
    #[error("the process at {address} answers {status}: {text}")]
    Refused {
        /// The address.
        address: SocketAddr,
        /// The status.
        status: StatusCode,
        /// What it says.
        text: String,
    },
}

/// Asks a process to stop as SIGTERM does.
pub async fn ask_to_drain(address: SocketAddr, token: &AdminToken) -> Result<(), AskError> {
    let socket = TcpStream::connect(address)
        .await
        .map_err(|reason| AskError::Unreachable { address, reason })?;
    let request = Request::post(DRAIN)
        .header(header::HOST, address.to_string())
        .header(header::AUTHORIZATION, token.as_header())
        .body(Empty::<Bytes>::new());
    let Ok(request) = request else {
        let text = "the token has a character that a header field cannot have".to_owned();
        return Err(AskError::Refused { address, status: StatusCode::UNAUTHORIZED, text });
    };
    let exchange = async {
        let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
        let answer = async {
            let response = sender.send_request(request).await?;
            let status = response.status();
            let body = response.into_body().collect().await?.to_bytes();
            Ok((status, String::from_utf8_lossy(&body).trim().to_owned()))
        };
        tokio::pin!(answer);
        tokio::select! {
            answer = answer.as_mut() => answer,
            // The connection may end before its answer was looked at.
            _ = connection => answer.await,
        }
    };
    let (status, text) = exchange.await.map_err(|reason| AskError::Broken { address, reason })?;
    if status.is_success() { Ok(()) } else { Err(AskError::Refused { address, status, text }) }
}
