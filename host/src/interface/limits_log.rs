//! Counts refusals to clients by reason, and logs them with the setting that decides.

use std::net::IpAddr;

use crate::telemetry::{ByRefusal, Metrics, WarnLimit};

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
    UserConnections,
}

/// The number of reasons.
const REASONS: usize = Reason::UserConnections as usize + 1;

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
            Self::UserConnections => ("user_connections", "modules.NAME.connections_per_user"),
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
                | Self::UserConnections
        )
    }
}

/// Counts refusals, and logs each reason at a bounded rate: an attack must not flood the log as well.
#[derive(Debug)]
pub(super) struct LimitsLog {
    warnings: [WarnLimit; REASONS],
}

impl Default for LimitsLog {
    fn default() -> Self {
        Self { warnings: std::array::from_fn(|_| WarnLimit::default()) }
    }
}

impl LimitsLog {
    /// Counts a limit or rule that a client does not keep. Returns whether to refuse: a dry run lets limits
    /// pass.
    pub(super) fn refuse(
        &self,
        reason: Reason,
        client: IpAddr,
        is_dry_run: bool,
        metrics: &Metrics,
    ) -> bool {
        let passes = reason.is_limit() && is_dry_run;
        let action = match reason {
            Reason::ForwardedHeader => "ignored",
            _ if passes => "allowed",
            _ => "refused",
        };
        let (word, setting) = reason.words();
        metrics.refusals.get_or_create(&ByRefusal { reason: word, action }).inc();
        let admitted = self.warnings.get(reason as usize).and_then(WarnLimit::admit);
        if let Some(held_back) = admitted {
            tracing::warn!(
                reason = word, action, %client, setting, held_back,
                "a client is beyond a limit or breaks a rule; said at most every 10 s"
            );
        }
        !passes
    }
}
