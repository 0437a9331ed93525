//! Fallback replies for interface servers that do not ask for done marks: what our own interface server
//! tells a client when it gets the mark.

use http::{HeaderName, HeaderValue, StatusCode, header};

use crate::message::{
    Close, CorrelationId, EventKind, HostAnswer, Outcome, Reply, Response, ResponseHead,
};

/// The form of the reply, by what the client waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FallbackReply {
    Request,
    Handshake,
    Open,
    None,
}

impl FallbackReply {
    /// Returns the form for a kind of event.
    pub(super) const fn about(kind: &EventKind) -> Self {
        match kind {
            EventKind::HttpRequest(_) => Self::Request,
            EventKind::WebsocketConnect => Self::Handshake,
            EventKind::WebsocketReceive(_) => Self::Open,
            EventKind::HttpDisconnect | EventKind::WebsocketDisconnect(_) => Self::None,
        }
    }

    /// Returns the reply in place of a done mark, if the client needs one. `answered` says whether the
    /// connection has had a reply of the consumer.
    pub(super) fn instead_of(
        self,
        outcome: Outcome,
        answered: bool,
        id: CorrelationId,
    ) -> Option<Reply> {
        let failure = match outcome.failure() {
            Some(failure) => failure,
            None if answered => return None,
            None => HostAnswer::NO_RESPONSE,
        };
        match self {
            Self::None => None,
            Self::Request => Some(plain(failure.status, failure.text, Vec::new(), id)),
            Self::Handshake if outcome == Outcome::Ok => Some(Reply::Deny),
            Self::Open if outcome == Outcome::Ok => None,
            Self::Handshake | Self::Open => {
                Some(Reply::Close(Close::new(failure.close_code, failure.text)))
            }
        }
    }
}

/// A response of the host, as the interface server has them: what is wrong, and the id that finds more.
pub(super) fn plain(
    status: StatusCode,
    text: &str,
    mut headers: Vec<(HeaderName, HeaderValue)>,
    id: CorrelationId,
) -> Reply {
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    headers.push((header::CONTENT_TYPE, kind));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.push((header::RETRY_AFTER, HeaderValue::from_static("1")));
    }
    let body = format!("{status}: {text}\nid: {id}\n").into();
    Reply::Respond(Response { head: ResponseHead { status, headers }, body })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Frame;

    #[test]
    fn every_end_that_left_a_client_without_an_answer_gets_one() {
        let id = CorrelationId::random();
        let request = FallbackReply::about(&EventKind::HttpRequest(bytes::Bytes::new()));
        let handshake = FallbackReply::about(&EventKind::WebsocketConnect);
        let open = FallbackReply::about(&EventKind::WebsocketReceive(Frame::Text(String::new())));
        for (outcome, status, code) in [
            (Outcome::Fault(id), 500, 1011),
            (Outcome::StateUnreadable(id), 500, 1012),
            (Outcome::AnswerLost, 500, 1011),
            (Outcome::Gone, 503, 1012),
            (Outcome::Refused, 503, 1013),
        ] {
            let Some(Reply::Respond(response)) = request.instead_of(outcome, true, id) else {
                panic!("{outcome:?} is a response");
            };
            assert_eq!(response.head.status.as_u16(), status);
            assert!(String::from_utf8_lossy(&response.body).contains(&id.to_string()));
            for words in [handshake, open] {
                let Some(Reply::Close(close)) = words.instead_of(outcome, true, id) else {
                    panic!("{outcome:?} closes");
                };
                assert_eq!(close.code, code);
            }
            assert_eq!(FallbackReply::None.instead_of(outcome, false, id), None);
        }
        assert_eq!(handshake.instead_of(Outcome::Ok, false, id), Some(Reply::Deny));
        assert!(matches!(request.instead_of(Outcome::Ok, false, id), Some(Reply::Respond(_))));
        assert_eq!(open.instead_of(Outcome::Ok, false, id), None);
        for words in [request, handshake, open] {
            assert_eq!(words.instead_of(Outcome::Ok, true, id), None);
        }
    }
}
