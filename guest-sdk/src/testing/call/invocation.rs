//! The facts of one invocation.

use super::SharedCall;
use crate::host::InvocationHost;

impl InvocationHost for SharedCall {
    fn message_id(&self) -> Option<String> {
        self.0.borrow().facts.delivery.as_ref().map(|delivery| delivery.id.clone())
    }

    fn attempt(&self) -> u32 {
        self.0.borrow().facts.delivery.as_ref().map_or(1, |delivery| delivery.attempt)
    }
}
