//! The handshake of RFC 6455, section 4.2, answered when the consumer has decided.

use std::sync::Arc;

use hyper::{
    HeaderMap, Method, Request, Response, StatusCode, Version, body::Incoming, ext, header,
    upgrade::OnUpgrade,
};
use tokio::{
    sync::oneshot,
    time::{Duration, timeout},
};
use tokio_tungstenite::tungstenite::{
    self, error::ProtocolError, handshake::server::create_response_with_body,
};

use super::{
    line::{Held, Line},
    offer::{Claim, Offer},
    returns::{Arrived, NotResumed, Return, Visitor},
    session,
    socket::Socket,
};
use crate::{
    interface::{
        Hub,
        connection::SocketPlace,
        conversation::{Conversation, Happening},
        entry,
        http::{Arrival, ResponseBody, empty, last, plain},
        limits_log::Reason,
        online::{self, NotEntered},
        registration::Registration,
        spans::Began,
        strictness,
    },
    layer::SendError,
    message::{
        Close, CorrelationId, EventKind, Handshake, HostAnswer, Outcome, Protocol, Reply, Scope,
    },
    routing::{Found, Head, Resolution, Route},
    telemetry::{ByResult, DropReason},
};

/// Whether a request asks for a WebSocket: by `upgrade`, or over HTTP/2 by the extended `CONNECT` of
/// RFC 8441.
pub(in crate::interface) fn is_asked_for(request: &Request<Incoming>) -> bool {
    if request.version() == Version::HTTP_2 {
        let protocol = request.extensions().get::<ext::Protocol>();
        return *request.method() == Method::CONNECT
            && protocol.is_some_and(|protocol| protocol.as_str() == "websocket");
    }
    let upgrade = request.headers().get(header::UPGRADE);
    upgrade.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// A handshake for a consumer to decide.
#[derive(Debug)]
pub(in crate::interface) struct Asked {
    route: Arc<Route>,
    pub(in crate::interface) scope: Scope,
    registration: Registration,
    /// What an accepted one is answered with.
    accepting: Response<()>,
    upgrade: OnUpgrade,
    /// What a client offers that may come back.
    offer: Option<Offer>,
}

/// How long a handshake waits for the connection that its client has come back for.
const RETURN_PATIENCE: Duration = Duration::from_secs(2);

/// Answers a handshake; an accepted one goes on as a task of its own.
pub(in crate::interface) async fn open(
    hub: &Arc<Hub>,
    mut arrival: Arrival,
    request: Request<Incoming>,
) -> Response<ResponseBody> {
    let id = arrival.correlation;
    let place = match enter(hub, &mut arrival, request.version()) {
        Ok(place) => place,
        Err(response) => return *response,
    };
    let asked = match ask(hub, &mut arrival, request).await {
        Ok(asked) => asked,
        Err(response) => return *response,
    };
    let mut asked = asked;
    let comes_back = asked.offer.is_some();
    if let Some(Offer::Again(claim)) = asked.offer.take()
        && let Some((chosen, line)) = ask_for(hub, &asked, claim).await
    {
        let held = Held::new(arrival.connection.begin(), place, arrival.pace);
        return go_on(hub, asked, held, chosen, line);
    }
    let Asked { route, scope, registration, accepting, upgrade, .. } = asked;
    let (own, channel) = (session::of(&scope).cloned(), registration.channel.clone());
    let trace = arrival.trace.as_ref().map(|trace| Began::new(trace.context()));
    let conversation = Conversation::new(route, scope, registration).traced(trace);
    if let Some(own) = own
        && let Err(response) = session::follow(hub, &channel, &own, id).await
    {
        conversation.leave().await;
        return *response;
    }
    let mut pending = Pending { conversation: Some(conversation), early: Vec::new() };
    match pending.begin(id).await {
        Decision::Refuse(status, text) => {
            pending.refuse().await;
            plain(status, text, id)
        }
        Decision::Accept(handshake) => {
            let held = Held::new(arrival.connection.begin(), place, arrival.pace);
            pending.accept(accepting, handshake, upgrade, (held, comes_back))
        }
    }
}

/// Counts a WebSocket where one connection has several, apart from its requests.
fn enter(
    hub: &Arc<Hub>,
    arrival: &mut Arrival,
    version: Version,
) -> Result<SocketPlace, Box<Response<ResponseBody>>> {
    let (place, client) = (arrival.connection.enter_socket(), arrival.client.ip());
    let refused =
        |text| Err(Box::new(plain(StatusCode::TOO_MANY_REQUESTS, text, arrival.correlation)));
    if place.number > hub.config.limits.sockets as usize && hub.refuse(Reason::Sockets, client) {
        return refused("too many WebSockets on one connection");
    }
    if version == Version::HTTP_2 && arrival.share.is_none() {
        let (share, beyond) = hub.admission.share(client);
        if beyond.is_some_and(|reason| hub.refuse(reason, client)) {
            return refused("too many at once from one address");
        }
        arrival.share = Some(share);
    }
    Ok(place)
}

/// The event of a handshake, or the response in its place.
pub(in crate::interface) async fn ask(
    hub: &Arc<Hub>,
    arrival: &mut Arrival,
    mut request: Request<Incoming>,
) -> Result<Asked, Box<Response<ResponseBody>>> {
    let id = arrival.correlation;
    let refused = |status, text| Box::new(plain(status, text, id));
    let Found { route, params } =
        find(hub, arrival, &request).map_err(|(status, text)| refused(status, text))?;
    strictness::check_handshake(&mut request)
        .map_err(|refusal| Box::new(last(refusal, request.version(), id)))?;
    if let Some(trace) = &arrival.trace {
        trace.served_by(&route);
    }
    let admitted = entry::admit(hub, arrival, &request, (&route, Protocol::Websocket)).await?;
    let upgrade = hyper::upgrade::on(&mut request);
    let request = request.map(drop);
    let accepting = respond(&request).map_err(|error| Box::new(refuse(&error, id)))?;
    let registration = Registration::of_socket(hub, arrival.share.take());
    let scope = arrival.scope(Protocol::Websocket, &request, params, &registration);
    let mut scope =
        scope.ok_or_else(|| refused(StatusCode::BAD_REQUEST, "the path is not UTF-8"))?;
    scope.subprotocols = subprotocols(request.headers());
    (scope.user, scope.session) = (admitted.user, admitted.session);
    let offer = Offer::of(&scope.subprotocols);
    hub.users.hide_tokens(&mut scope);
    Ok(Asked { route, scope, registration, accepting, upgrade, offer })
}

/// Asks a connection whether it goes on with a client that has come back. It returns its subprotocol, and where it waits
/// for the line.
async fn ask_for(
    hub: &Hub,
    asked: &Asked,
    claim: Claim,
) -> Option<(Option<String>, oneshot::Sender<Arrived>)> {
    let (answer, answered) = oneshot::channel();
    let (line, arriving) = oneshot::channel();
    let visitor = Visitor { route: Arc::clone(&asked.route), scope: asked.scope.clone() };
    let asking = async {
        hub.returns.bring(Return { claim, visitor, answer, arriving }).await;
        answered.await
    };
    let resumed = match timeout(RETURN_PATIENCE, asking).await {
        Ok(Ok(resumed)) => resumed,
        _ => Err(NotResumed::Gone),
    };
    let result = resumed.as_ref().map_or_else(|why| why.word(), |_| "resumed");
    hub.metrics.resumes.get_or_create(&ByResult { result }).inc();
    Some((resumed.ok()?, line))
}

/// Answers a client whose connection goes on, and brings it the line.
fn go_on(
    hub: &Arc<Hub>,
    asked: Asked,
    held: Held,
    chosen: Option<String>,
    line: oneshot::Sender<Arrived>,
) -> Response<ResponseBody> {
    let Asked { scope, mut registration, accepting, upgrade, .. } = asked;
    let mut response = accepting.map(|()| empty());
    if let Some(chosen) = chosen.filter(|chosen| scope.subprotocols.contains(chosen)) {
        choose(&mut response, &chosen);
    }
    let (share, of, client) = (registration.take_share(), Arc::clone(hub), scope.client.ip());
    hub.drain.spawn("websocket of a client that has come back", async move {
        if let Ok(io) = upgrade.await {
            // Dropped, it ends: the connection is over meanwhile.
            drop(line.send((Line::new(&of, client, io, held), share)));
        }
    });
    response
}

fn choose(response: &mut Response<ResponseBody>, subprotocol: &str) {
    if let Ok(value) = header::HeaderValue::from_str(subprotocol) {
        response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, value);
    }
}

/// The route of a handshake, or the status in its place.
fn find(
    hub: &Hub,
    arrival: &Arrival,
    request: &Request<Incoming>,
) -> Result<Found, (StatusCode, &'static str)> {
    let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    if let Some(origin) = request.headers().get(header::ORIGIN)
        && !hub.config.origins.allows(origin.as_bytes(), text(header::HOST), arrival.secure)
        && hub.refuse(Reason::Origin, arrival.client.ip())
    {
        return Err((StatusCode::FORBIDDEN, "pages of this origin may not open a WebSocket here"));
    }
    let outside = (StatusCode::FORBIDDEN, "no consumer serves this path");
    let path = arrival.route_path(hub, request.uri().path()).ok_or(outside)?;
    match hub.routes.snapshot().websocket(path, &Head::of(request.headers())) {
        Resolution::Found(found) => Ok(found),
        Resolution::NotFound | Resolution::WrongMethod(_) => Err(outside),
        Resolution::BadPath => Err((StatusCode::BAD_REQUEST, "the path is not UTF-8")),
    }
}

/// What the handshake is answered with when it is accepted.
fn respond(request: &Request<()>) -> Result<Response<()>, tungstenite::Error> {
    if request.version() != Version::HTTP_2 {
        return create_response_with_body(request, || ());
    }
    // RFC 8441, section 5: no key, and nothing to prove with it.
    match request.headers().get(header::SEC_WEBSOCKET_VERSION) {
        Some(version) if version == "13" => Ok(Response::new(())),
        _ => Err(ProtocolError::MissingSecWebSocketVersionHeader.into()),
    }
}

fn refuse(error: &tungstenite::Error, id: CorrelationId) -> Response<ResponseBody> {
    if let tungstenite::Error::Protocol(ProtocolError::MissingSecWebSocketVersionHeader) = error {
        // RFC 6455, section 4.4: say which version is spoken.
        let mut response = plain(StatusCode::UPGRADE_REQUIRED, "version 13 is spoken", id);
        let version = header::HeaderValue::from_static("13");
        response.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, version);
        return response;
    }
    plain(StatusCode::BAD_REQUEST, &format!("no valid handshake: {error}"), id)
}

fn subprotocols(headers: &HeaderMap) -> Vec<String> {
    headers
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .collect()
}

enum Decision {
    Accept(Handshake),
    Refuse(StatusCode, &'static str),
}

/// A handshake that the consumer has not decided. Dropped, the client has left.
struct Pending {
    conversation: Option<Conversation>,
    /// What came for the client before it was let in: messages, and the end.
    early: Vec<Happening>,
}

impl Pending {
    /// Notes whose connection it is, sends the event, and waits for the decision.
    async fn begin(&mut self, id: CorrelationId) -> Decision {
        let busy = |text| Decision::Refuse(StatusCode::SERVICE_UNAVAILABLE, text);
        let Some(conversation) = &mut self.conversation else {
            return busy("the handshake is over");
        };
        match online::enter(conversation).await {
            Ok(()) => {}
            Err(NotEntered::Full) => {
                let text = "this user has too many connections";
                return Decision::Refuse(StatusCode::TOO_MANY_REQUESTS, text);
            }
            Err(NotEntered::Unavailable) => return busy("the handshake cannot be served now"),
        }
        match conversation.send(EventKind::WebsocketConnect).await {
            Ok(None) => self.decide().await,
            Ok(Some(_)) => {
                conversation.hub.metrics.dropped(DropReason::ChannelFull);
                busy("too many handshakes wait already")
            }
            Err(error) => {
                if !matches!(error, SendError::TooLarge { .. }) {
                    tracing::warn!(%error, correlation = %id, "a handshake is refused");
                }
                busy("the handshake cannot be served now")
            }
        }
    }

    async fn decide(&mut self) -> Decision {
        use StatusCode as S;
        let Some(conversation) = &mut self.conversation else {
            return Decision::Refuse(S::INTERNAL_SERVER_ERROR, "the handshake is over");
        };
        loop {
            return match conversation.next().await {
                Happening::Reply(Reply::Accept(handshake)) => Decision::Accept(handshake),
                close @ Happening::Reply(Reply::Close(_)) if conversation.from_group => {
                    self.early.push(close);
                    continue;
                }
                Happening::Reply(Reply::Deny | Reply::Close(_)) => {
                    Decision::Refuse(S::FORBIDDEN, "the consumer denied the handshake")
                }
                frame @ Happening::Frame(_) => {
                    self.early.push(frame);
                    continue;
                }
                Happening::Reply(other) | Happening::Numbered(_, other) => {
                    conversation.misfit(other.cost());
                    continue;
                }
                Happening::From(standing) => {
                    conversation.misfit(standing.cost);
                    continue;
                }
                Happening::Done(outcome) => undecided(outcome),
                Happening::Lost => {
                    Decision::Refuse(S::SERVICE_UNAVAILABLE, "no worker took the handshake")
                }
                Happening::Closed(_) => {
                    Decision::Refuse(S::FORBIDDEN, "an operator closed the connection")
                }
                Happening::Overflow | Happening::Missed | Happening::Drain => {
                    Decision::Refuse(S::SERVICE_UNAVAILABLE, "the handshake came at a bad time")
                }
            };
        }
    }

    fn accept(
        mut self,
        accepting: Response<()>,
        handshake: Handshake,
        upgrade: OnUpgrade,
        open: (Held, bool),
    ) -> Response<ResponseBody> {
        let mut response = accepting.map(|()| empty());
        for (name, value) in handshake.headers {
            response.headers_mut().append(name, value);
        }
        if let Some(mut conversation) = self.conversation.take() {
            let chosen = handshake.subprotocol.unwrap_or_else(|| entry::SUBPROTOCOL.to_owned());
            if conversation.scope.subprotocols.contains(&chosen) {
                choose(&mut response, &chosen);
                conversation.subprotocol = Some(chosen);
            }
            let early = std::mem::take(&mut self.early);
            let hub = Arc::clone(&conversation.hub);
            hub.drain.spawn("websocket", upgraded(upgrade, conversation, early, open));
        }
        response
    }

    /// The connection is over before it began.
    async fn refuse(&mut self) {
        let Some(conversation) = self.conversation.take() else { return };
        if conversation.is_busy() {
            let hub = Arc::clone(&conversation.hub);
            let end = conversation.end_handshake(Close::new(1001, ""));
            hub.drain.spawn("refused handshake", end);
        } else {
            conversation.leave().await;
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let Some(conversation) = self.conversation.take() else { return };
        let hub = Arc::clone(&conversation.hub);
        let end = conversation.end_handshake(Close::new(1006, ""));
        hub.drain.spawn("abandoned handshake", end);
    }
}

fn undecided(outcome: Outcome) -> Decision {
    let answer = outcome.failure().unwrap_or(HostAnswer::NOT_ACCEPTED);
    Decision::Refuse(answer.status, answer.text)
}

async fn upgraded(
    upgrade: OnUpgrade,
    conversation: Conversation,
    early: Vec<Happening>,
    (held, comes_back): (Held, bool),
) {
    let Ok(io) = upgrade.await else {
        let gone = EventKind::WebsocketDisconnect(Close::new(1006, ""));
        return conversation.end(Some(gone)).await;
    };
    let line = Line::new(&conversation.hub, conversation.scope.client.ip(), io, held);
    // On the heap once, and not in each state of the task.
    Box::new(Socket::new(conversation, early, comes_back)).run(line).await;
}
