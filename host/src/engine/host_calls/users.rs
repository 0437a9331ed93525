//! `tidegate:channels/users`: the user of the event's connection.

use wasmtime::component::HasData;

use crate::{
    engine::{
        bindings::knowing::tidegate::channels::users::{Host, User as GuestUser},
        instance::{Job, Run},
    },
    message::User,
};

/// Sees the user.
pub(in crate::engine) struct UserCalls<'a>(Option<&'a User>);

impl HasData for UserCalls<'static> {
    type Data<'a> = UserCalls<'a>;
}

impl Run {
    pub(in crate::engine) fn user_calls(&mut self) -> UserCalls<'_> {
        let event = self.job.as_ref().and_then(Job::event);
        UserCalls(event.and_then(|event| event.scope.user.as_deref()))
    }
}

impl Host for UserCalls<'_> {
    fn current(&mut self) -> wasmtime::Result<Option<GuestUser>> {
        Ok(self.0.map(|user| GuestUser {
            id: user.id().to_owned(),
            claims: user.claims().as_bytes().to_vec(),
            expires: user.expires(),
        }))
    }
}
