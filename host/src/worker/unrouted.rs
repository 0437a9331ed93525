//! Routes events that arrive without a module. Interface servers in other languages send them to
//! `http.request` and the like; they go on to the channel of the module that has their route.

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use tokio::time::{Instant, timeout_at};

use super::{access, delivery::Delivery, fallback_reply};
use crate::{
    engine::Entry,
    layer::{ChannelLayer, Received, SendError},
    message::{
        ChannelName, CorrelationId, Done, Event, EventKind, Message, Outcome, Payload, Protocol,
        Reply,
    },
    registry::Registry,
    routing::{FULL_CHANNEL_TIMEOUT, Found, Head, Resolution, RouteTable, strip_root},
    shutdown::Drain,
    telemetry::DropReason,
};

/// Sends an event on, or answers it.
pub(super) async fn send_on(
    registry: &Registry,
    drain: &Drain,
    delivery: Arc<Delivery>,
    received: Received,
) {
    let Received { message, waited, .. } = received;
    let Payload::Event(mut event) = message.payload else {
        return delivery.means.metrics.dropped(DropReason::NotRun);
    };
    let routes = registry.routes().snapshot();
    let Found { route, params } = match look_up(&routes, &event, message.correlation) {
        Ok(found) => found,
        Err((reply, outcome)) => return conclude(&delivery, reply, outcome).await,
    };
    if let Err(denied) = access::check(route.access.as_deref(), &event) {
        return access::refuse(&delivery, (denied, 0), (&route.module, &route.consumer), &event)
            .await;
    }
    let Some(left) = route.policy.event_expiry.checked_sub(waited).filter(|left| !left.is_zero())
    else {
        // As in any channel: the sender times out.
        return delivery.means.metrics.dropped(DropReason::Expired);
    };
    Arc::make_mut(&mut event.scope).path_params = params;
    event.consumer = Arc::clone(&route.consumer);
    let channel = route.channels.carrying(&event.kind).clone();
    let may_wait = !matches!(event.kind, EventKind::HttpRequest(_) | EventKind::WebsocketConnect);
    let message = Message {
        payload: Payload::Event(event),
        correlation: message.correlation,
        id: None,
        trace: message.trace,
        expires_after: Some(left),
    };
    match delivery.means.layer.send(&channel, message.clone()).await {
        Ok(()) => {}
        Err(SendError::ChannelFull(_)) if may_wait => {
            // The slot is free for others meanwhile.
            drain.spawn("routing", async move {
                if let Err(error) =
                    send_patiently(&*delivery.means.layer, &channel, message, left).await
                {
                    refuse(&delivery, &error).await;
                }
            });
        }
        Err(error) => refuse(&delivery, &error).await,
    }
}

/// Tries a full channel again for a while.
async fn send_patiently(
    layer: &dyn ChannelLayer,
    channel: &ChannelName,
    message: Message,
    left: Duration,
) -> Result<(), SendError> {
    let until = Instant::now() + FULL_CHANNEL_TIMEOUT.min(left);
    loop {
        let is_over = timeout_at(until, layer.room(channel)).await.is_err();
        match layer.send(channel, message.clone()).await {
            Err(SendError::ChannelFull(_)) if !is_over => {}
            sent => return sent,
        }
    }
}

async fn refuse(delivery: &Delivery, error: &SendError) {
    delivery.means.metrics.dropped(error.drop_reason());
    tracing::warn!(%error, correlation = %delivery.correlation, "an event is not sent on");
    conclude(delivery, None, Outcome::Refused).await;
}

async fn conclude(delivery: &Delivery, reply: Option<Reply>, outcome: Outcome) {
    let entries = reply.map(Entry::Reply).into_iter().collect();
    let done = Done { outcome, state: None, activation: 0 };
    // Replies only, so no channel can be full.
    drop(delivery.conclude(entries, Some(done)).await);
}

/// Returns the route of an event, or the reply and outcome where there is none.
fn look_up(
    routes: &RouteTable,
    event: &Event,
    id: CorrelationId,
) -> Result<Found, (Option<Reply>, Outcome)> {
    let scope = &event.scope;
    let mut headers = HeaderMap::new();
    for (name, value) in &scope.headers {
        // Fields beyond the capacity of the map are ignored: they decide nothing.
        if headers.try_append(name, value.clone()).is_err() {
            break;
        }
    }
    let head = Head::of(&headers);
    let resolution = match (strip_root(&scope.root_path, &scope.raw_path), scope.protocol) {
        (None, _) => Resolution::NotFound,
        (Some(path), Protocol::Http) => routes.http(&scope.method, path, &head),
        (Some(path), Protocol::Websocket) => routes.websocket(path, &head),
    };
    match (resolution, &event.kind) {
        // Only a consumer that asks for disconnects gets them.
        (Resolution::Found(found), EventKind::HttpDisconnect) if !found.route.disconnect => {
            Err((None, Outcome::Ok))
        }
        (Resolution::Found(found), _) => Ok(found),
        (resolution, EventKind::HttpRequest(_)) => {
            Err((Some(response(&resolution, id)), Outcome::Ok))
        }
        (_, EventKind::WebsocketConnect) => Err((Some(Reply::Deny), Outcome::Ok)),
        (_, EventKind::HttpDisconnect) => Err((None, Outcome::Ok)),
        (_, EventKind::WebsocketReceive(_) | EventKind::WebsocketDisconnect(_)) => {
            Err((None, Outcome::Gone))
        }
    }
}

fn response(resolution: &Resolution, id: CorrelationId) -> Reply {
    let allow = |methods: &[String]| -> Option<(HeaderName, HeaderValue)> {
        HeaderValue::from_str(&methods.join(", ")).ok().map(|value| (header::ALLOW, value))
    };
    match resolution {
        Resolution::WrongMethod(methods) => {
            let headers = allow(methods).into_iter().collect();
            fallback_reply::plain(
                StatusCode::METHOD_NOT_ALLOWED,
                "not with this method",
                headers,
                id,
            )
        }
        Resolution::BadPath => {
            fallback_reply::plain(StatusCode::BAD_REQUEST, "the path is not UTF-8", Vec::new(), id)
        }
        Resolution::NotFound | Resolution::Found(_) => fallback_reply::plain(
            StatusCode::NOT_FOUND,
            "no consumer serves this path",
            Vec::new(),
            id,
        ),
    }
}

#[cfg(test)]
mod tests;
