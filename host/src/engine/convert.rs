//! Events and replies between the host's types and those of the contract.

use bytes::Bytes;

use super::{
    Job, Task,
    bindings::{
        exports::tidegate::channels::consumer::{Event as GuestEvent, Invocation},
        tidegate::channels::types as wit,
    },
};
use crate::message::{
    Event, EventKind, Frame, Handshake, Header, PathParam, Response, ResponseHead, Scope,
    check_headers,
};

/// What the guest's entry point is called with.
pub(super) fn to_guest(job: &Job) -> (GuestEvent, Invocation) {
    let invocation = Invocation {
        module: job.lent.module.as_str().to_owned(),
        consumer: job.consumer.as_ref().to_owned(),
        correlation_id: job.correlation.to_string(),
    };
    let event = match &job.task {
        Task::Event(event) => connection_event(event),
        Task::Message { channel, content } => GuestEvent::ChannelMessage(wit::ChannelMessage {
            channel: channel.as_str().to_owned(),
            content: content.as_bytes().to_vec(),
        }),
    };
    (event, invocation)
}

fn connection_event(event: &Event) -> GuestEvent {
    let of = &*event.scope;
    let reply_channel = of.reply_channel.as_str().to_owned();
    let path = of.path.clone();
    let path_params = params(&of.path_params);
    match &event.kind {
        EventKind::HttpRequest(body) => {
            GuestEvent::HttpRequest(wit::HttpRequest { scope: scope(of), body: body.to_vec() })
        }
        EventKind::HttpDisconnect => {
            GuestEvent::HttpDisconnect(wit::HttpDisconnect { reply_channel, path, path_params })
        }
        EventKind::WebsocketConnect => {
            GuestEvent::WebsocketConnect(wit::WebsocketConnect { scope: scope(of) })
        }
        EventKind::WebsocketReceive(frame) => GuestEvent::WebsocketReceive(wit::WebsocketReceive {
            reply_channel,
            path,
            path_params,
            order: event.order,
            frame: match frame {
                Frame::Text(text) => wit::Frame::Text(text.clone()),
                Frame::Binary(bytes) => wit::Frame::Binary(bytes.to_vec()),
            },
        }),
        EventKind::WebsocketDisconnect(close) => {
            GuestEvent::WebsocketDisconnect(wit::WebsocketDisconnect {
                reply_channel,
                path,
                path_params,
                order: event.order,
                code: close.code,
                reason: close.reason.clone(),
            })
        }
    }
}

/// The facts of a connection.
pub(super) fn scope(scope: &Scope) -> wit::Scope {
    let address =
        |of: std::net::SocketAddr| wit::Address { host: of.ip().to_string(), port: of.port() };
    wit::Scope {
        reply_channel: scope.reply_channel.as_str().to_owned(),
        scheme: scope.scheme().to_owned(),
        method: scope.method.clone(),
        http_version: scope.http_version.to_owned(),
        path: scope.path.clone(),
        raw_path: scope.raw_path.clone(),
        query_string: scope.query_string.clone(),
        path_params: params(&scope.path_params),
        headers: scope
            .headers
            .iter()
            .map(|(name, value)| wit::Header {
                name: name.as_str().to_owned(),
                value: value.as_bytes().to_vec(),
            })
            .collect(),
        client: address(scope.client),
        server: address(scope.server),
        root_path: scope.root_path.clone(),
        subprotocols: scope.subprotocols.clone(),
    }
}

fn params(params: &[PathParam]) -> Vec<wit::PathParam> {
    let param =
        |param: &PathParam| wit::PathParam { name: param.name.clone(), value: param.value.clone() };
    params.iter().map(param).collect()
}

/// Checks a response's status and header fields. The error says which rule was broken.
pub(super) fn response_head(head: wit::ResponseHead) -> Result<ResponseHead, String> {
    let status = ResponseHead::status_from(head.status)
        .ok_or_else(|| format!("status {} is not from 200 to 599", head.status))?;
    Ok(ResponseHead { status, headers: headers(head.headers)? })
}

/// Checks a response.
pub(super) fn response(response: wit::Response) -> Result<Response, String> {
    let head = wit::ResponseHead { status: response.status, headers: response.headers };
    Ok(Response { head: response_head(head)?, body: response.body.into() })
}

/// Checks how a handshake is accepted, given what the client offered.
pub(super) fn handshake(
    handshake: wit::Handshake,
    offered: &[String],
) -> Result<Handshake, String> {
    if let Some(chosen) = &handshake.subprotocol
        && !offered.contains(chosen)
    {
        return Err(format!("the client did not offer the subprotocol {chosen:?}"));
    }
    Ok(Handshake { subprotocol: handshake.subprotocol, headers: headers(handshake.headers)? })
}

fn headers(headers: Vec<wit::Header>) -> Result<Vec<Header>, String> {
    let fields = headers.into_iter().map(|header| (header.name, Bytes::from(header.value)));
    check_headers(fields).map_err(|error| error.to_string())
}

/// A WebSocket message of the guest.
pub(super) fn frame(frame: wit::Frame) -> Frame {
    match frame {
        wit::Frame::Text(text) => Frame::Text(text),
        wit::Frame::Binary(bytes) => Frame::Binary(bytes.into()),
    }
}
