//! `tidegate:channels/connection`: scope and state of the event's connection.

use bytes::Bytes;
use wasmtime::component::HasData;

use crate::{
    engine::{
        bindings::tidegate::channels::{
            connection::{Host, StateError},
            types::Scope,
        },
        convert,
        instance::{Job, Run},
    },
    message::{Event, Protocol},
};

/// Sees the event and the state.
pub(in crate::engine) struct ConnectionCalls<'a> {
    event: Option<&'a Event>,
    state: &'a mut Option<Bytes>,
    limit: usize,
}

impl HasData for ConnectionCalls<'static> {
    type Data<'a> = ConnectionCalls<'a>;
}

impl Run {
    pub(in crate::engine) fn connection_calls(&mut self) -> ConnectionCalls<'_> {
        ConnectionCalls {
            event: self.job.as_ref().and_then(Job::event),
            state: &mut self.state,
            limit: self.limits.state_bytes,
        }
    }
}

impl Host for ConnectionCalls<'_> {
    fn get_scope(&mut self) -> wasmtime::Result<Option<Scope>> {
        Ok(self.event.map(|event| convert::scope(&event.scope)))
    }

    fn get_state(&mut self) -> wasmtime::Result<Option<Vec<u8>>> {
        let before = self.event.and_then(|event| event.state.as_ref());
        Ok(self.state.as_ref().or(before).map(|state| state.to_vec()))
    }

    fn set_state(&mut self, state: Vec<u8>) -> wasmtime::Result<Result<(), StateError>> {
        let keeps = |event: &Event| event.scope.protocol == Protocol::Websocket;
        if !self.event.is_some_and(keeps) {
            return Ok(Err(StateError::NoConnection));
        }
        if state.len() > self.limit {
            return Ok(Err(StateError::TooLarge(self.limit as u64)));
        }
        *self.state = Some(state.into());
        Ok(Ok(()))
    }
}
