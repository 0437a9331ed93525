//! What an open WebSocket has of the connection below it. The socket may get another one when its client comes back.

use std::sync::Arc;

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, frame::coding::CloseCode};

use super::{
    end::{By, End},
    link::{Link, ReadAhead},
    metered::Metered,
    outbound::Outbound,
};
use crate::interface::{
    Hub,
    connection::{Busy, SocketPlace},
    limits_log::Reason,
    pace::StreamPace,
    read_out,
    transport::Paced,
};

/// The bytes of a WebSocket, read ahead and written at the pace of the client.
pub(super) type Wire = ReadAhead<Paced<TokioIo<Upgraded>>>;

/// A line to a client.
pub(super) struct Line {
    pub(super) link: Box<Link<Wire>>,
    pub(super) held: Held,
}

/// What a line keeps of the connection below.
pub(super) struct Held {
    /// The connection is in use as long as this is.
    _busy: Busy,
    _place: SocketPlace,
    /// Whether its stream waits for the client; none over HTTP/1.
    pace: Option<Arc<StreamPace>>,
}

impl Held {
    pub(super) const fn new(busy: Busy, place: SocketPlace, pace: Option<Arc<StreamPace>>) -> Self {
        Self { _busy: busy, _place: place, pace }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(pace) = &self.pace {
            // The task that writes for the stream may wait for a client that takes nothing.
            pace.finish();
        }
    }
}

impl Line {
    pub(super) fn new(
        hub: &Arc<Hub>,
        client: std::net::IpAddr,
        upgraded: Upgraded,
        held: Held,
    ) -> Self {
        let (counting, per_second) = (Arc::clone(hub), hub.config.limits.frames_per_second);
        let io = Paced::new(TokioIo::new(upgraded), hub.config.timeouts.write);
        let stops = move || counting.refuse(Reason::FramesPerSecond, client);
        let io = Metered::new(ReadAhead::new(io), per_second, stops);
        Self { link: Box::new(Link::new(io, hub.config.frame_bytes)), held }
    }
}

/// Ends a connection by the closing handshake: writes the frames that wait and the close frame, and waits for the
/// client's close frame. Other frames of the client are not served.
pub(super) async fn part(
    mut link: Box<Link<Wire>>,
    mut outbound: Outbound,
    end: &End,
    until: Instant,
) {
    if end.by == By::Client {
        // After its close frame a client takes no others.
        outbound.clear();
    } else {
        let (code, reason) = (CloseCode::from(end.close.code), end.close.reason.as_str().into());
        link.close(CloseFrame { code, reason }, &mut outbound);
    }
    // A client that takes no more must not keep the connection.
    drop(timeout_at(until, link.shake_hands(&mut outbound)).await);
    if end.is_violation() {
        // Otherwise it may never see the close frame.
        drop(timeout_at(until, read_out(link.io())).await);
    }
}
