//! `tidegate:channels/invocation`: which message a run is for, and which delivery of it.

use wasmtime::component::HasData;

use crate::{
    engine::{
        bindings::telling::tidegate::channels::invocation::Host,
        instance::{Job, Run},
    },
    message::MessageId,
};

/// Sees what is known of the message.
pub(in crate::engine) struct InvocationCalls {
    message: Option<MessageId>,
    attempt: u32,
}

impl HasData for InvocationCalls {
    type Data<'a> = Self;
}

impl Run {
    pub(in crate::engine) fn invocation_calls(&mut self) -> InvocationCalls {
        let job = self.job.as_ref();
        InvocationCalls {
            message: job.and_then(|job| job.message),
            attempt: job.map_or(1, |job: &Job| job.attempt),
        }
    }
}

impl Host for InvocationCalls {
    fn message_id(&mut self) -> wasmtime::Result<Option<String>> {
        Ok(self.message.map(|id| id.to_string()))
    }

    fn attempt(&mut self) -> wasmtime::Result<u32> {
        Ok(self.attempt)
    }
}
