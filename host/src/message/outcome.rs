//! How an event ended, and what its client is told where the consumer said nothing.

use http::StatusCode;

use super::CorrelationId;

/// How an event ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The consumer returned.
    Ok,
    /// The consumer failed or broke a limit. The record has this id.
    Fault(CorrelationId),
    /// The module has no such consumer any more.
    Gone,
    /// The consumer cannot read the connection's state.
    StateUnreadable(CorrelationId),
    /// The consumer was not run, since the module's circuit breaker is open or its channel is full, or the
    /// connection could not join a group.
    Refused,
    /// The consumer returned, and its answer found no room in the node's inbox.
    AnswerLost,
}

/// The host's own answer to a client. `docs/redis.md` has the same table for other interface servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostAnswer {
    /// The status, where a response or a handshake is awaited.
    pub status: StatusCode,
    /// The close code, where the WebSocket is open.
    pub close_code: u16,
    /// What went wrong, in words that tell nothing of the consumer's insides.
    pub text: &'static str,
    /// The id that finds the record.
    pub record: Option<CorrelationId>,
}

impl HostAnswer {
    /// The consumer of a request returned and did not answer.
    pub const NO_RESPONSE: Self = Self {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        close_code: 1011,
        text: "the consumer returned without an answer",
        record: None,
    };
    /// The consumer of a handshake returned and did not accept.
    pub const NOT_ACCEPTED: Self = Self {
        status: StatusCode::FORBIDDEN,
        close_code: 1008,
        text: "the consumer did not accept",
        record: None,
    };
}

impl Outcome {
    /// What a client is told whose event ended so without an answer. None where the consumer returned:
    /// then it depends on what the client waits for.
    pub const fn failure(self) -> Option<HostAnswer> {
        use StatusCode as S;
        let (status, close_code, text, record) = match self {
            Self::Ok => return None,
            Self::Fault(id) => (S::INTERNAL_SERVER_ERROR, 1011, "the consumer failed", Some(id)),
            Self::StateUnreadable(id) => {
                let text = "the consumer cannot read the state of this connection";
                (S::INTERNAL_SERVER_ERROR, 1012, text, Some(id))
            }
            Self::AnswerLost => {
                let text = "the answer was lost: too many messages wait";
                (S::INTERNAL_SERVER_ERROR, 1011, text, None)
            }
            Self::Gone => {
                (S::SERVICE_UNAVAILABLE, 1012, "the consumer is not there any more", None)
            }
            Self::Refused => {
                let text = "not served now: the module is paused, its channel is full, or a group cannot be joined";
                (S::SERVICE_UNAVAILABLE, 1013, text, None)
            }
        };
        Some(HostAnswer { status, close_code, text, record })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_has_a_status_and_a_close_code() {
        let id = CorrelationId::random();
        for (outcome, status, code, record) in [
            (Outcome::Fault(id), 500, 1011, Some(id)),
            (Outcome::StateUnreadable(id), 500, 1012, Some(id)),
            (Outcome::AnswerLost, 500, 1011, None),
            (Outcome::Gone, 503, 1012, None),
            (Outcome::Refused, 503, 1013, None),
        ] {
            let answer = outcome.failure().unwrap();
            let found = (answer.status.as_u16(), answer.close_code, answer.record);
            assert_eq!(found, (status, code, record), "{outcome:?}");
            // Close reasons hold 123 bytes, the id included.
            assert!(answer.text.len() + ", id ".len() + id.to_string().len() <= 123);
        }
        assert_eq!(Outcome::Ok.failure(), None);
    }
}
