//! What is refused to clients, counted by reason, and said with the setting that decides it.

use std::net::IpAddr;

use super::Hub;
use crate::telemetry::{ByRefusal, WarnLimit};

/// Why something was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    Connections,
    ConnectionsPerAddress,
    ConnectionsPerSecond,
    FramesPerSecond,
    Holds,
    UriBytes,
    RequestHead,
    Streams,
    Sockets,
    HandshakeTime,
    HeaderTime,
    BodyTime,
    BodyBytes,
    FrameBytes,
    PingTime,
    WriteTime,
    Unsent,
    Origin,
    ProxyHeader,
    Tls,
    ForwardedHeader,
}

/// How many there are.
const REASONS: usize = Reason::ForwardedHeader as usize + 1;

impl Reason {
    /// The value of the label, and the setting.
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Connections => ("connections", "interface.connections"),
            Self::ConnectionsPerAddress => {
                ("connections_per_address", "interface.connections_per_address")
            }
            Self::ConnectionsPerSecond => {
                ("connections_per_second", "interface.connections_per_second")
            }
            Self::FramesPerSecond => ("frames_per_second", "interface.frames_per_second"),
            Self::Holds => ("holds", "interface.holds"),
            Self::UriBytes => ("uri_bytes", "interface.uri_bytes"),
            Self::RequestHead => {
                ("request_head", "interface.header_count and interface.header_bytes")
            }
            Self::Streams => ("streams", "interface.streams"),
            Self::Sockets => ("sockets", "interface.sockets"),
            Self::HandshakeTime => ("handshake_time", "interface.handshake_timeout"),
            Self::HeaderTime => ("header_time", "interface.header_timeout"),
            Self::BodyTime => ("body_time", "interface.body_timeout"),
            Self::BodyBytes => ("body_bytes", "interface.body_bytes"),
            Self::FrameBytes => ("frame_bytes", "interface.frame_bytes"),
            Self::PingTime => ("ping_time", "interface.ping_timeout"),
            Self::WriteTime => ("write_time", "interface.write_timeout"),
            Self::Unsent => ("unsent", "interface.websocket_unsent and interface.http_unsent"),
            Self::Origin => ("origin", "interface.origins"),
            Self::ProxyHeader => ("proxy_header", "interface.proxy_protocol"),
            Self::Tls => ("tls", "tls"),
            Self::ForwardedHeader => ("forwarded_header", "interface.trusted_proxies"),
        }
    }

    /// Whether a dry run lets it pass.
    const fn is_limit(self) -> bool {
        matches!(
            self,
            Self::Connections
                | Self::ConnectionsPerAddress
                | Self::ConnectionsPerSecond
                | Self::FramesPerSecond
                | Self::Holds
                | Self::UriBytes
                | Self::RequestHead
                | Self::Streams
                | Self::Sockets
        )
    }
}

/// How often each reason is told: an attack must not flood the log as well.
#[derive(Debug)]
pub(super) struct Told([WarnLimit; REASONS]);

impl Default for Told {
    fn default() -> Self {
        Self(std::array::from_fn(|_| WarnLimit::default()))
    }
}

impl Told {
    fn admit(&self, reason: Reason) -> Option<u64> {
        self.0.get(reason as usize).and_then(WarnLimit::admit)
    }
}

impl Hub {
    /// Counts it, and says whether it is to be refused: a dry run lets limits pass.
    pub(super) fn refuse(&self, reason: Reason, client: IpAddr) -> bool {
        let passes = reason.is_limit() && self.config.limits.dry_run;
        let action = match reason {
            Reason::ForwardedHeader => "ignored",
            _ if passes => "allowed",
            _ => "refused",
        };
        let (word, setting) = reason.words();
        self.metrics.refusals.get_or_create(&ByRefusal { reason: word, action }).inc();
        if let Some(held_back) = self.told.admit(reason) {
            tracing::warn!(
                reason = word, action, %client, setting, held_back,
                "a client is beyond a limit or breaks a rule; said at most every 10 s"
            );
        }
        !passes
    }
}
