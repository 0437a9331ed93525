//! Why the routes of modules cannot stand side by side.

use std::sync::Arc;

use super::{Guards, Pattern, Prefix};
use crate::message::{ChannelName, ModuleName};

/// Why routes cannot stand side by side.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RouteError {
    /// Two consumers of a module have one name.
    #[error("module {module} has two consumers named {consumer}; give each its own name")]
    DuplicateConsumer {
        /// The module.
        module: ModuleName,
        /// The name.
        consumer: Arc<str>,
    },
    /// A path is taken.
    #[error(
        "{kind} {path} of module {module} ({consumer}) is taken by {holder}; \
         change one of the paths or serve one of the modules"
    )]
    PathTaken {
        /// `HTTP` with a method, or `WebSocket`.
        kind: String,
        /// The path.
        path: Pattern,
        /// The module that comes second.
        module: ModuleName,
        /// Its consumer.
        consumer: Arc<str>,
        /// Module and consumer that have the path, or a path that cannot stand beside it.
        holder: String,
    },
    /// The guards of two routes could both hold, and neither has the better claim.
    #[error(
        "{kind} {path}{guards} of module {module} ({consumer}) and {holder} could both take a request; \
         give one of them the guards of both, or another path"
    )]
    GuardsOverlap {
        /// `HTTP` with a method, or `WebSocket`.
        kind: String,
        /// The path.
        path: Pattern,
        /// The guards.
        guards: Box<Guards>,
        /// The module that comes second.
        module: ModuleName,
        /// Its consumer.
        consumer: Arc<str>,
        /// Guards, module and consumer of the other route.
        holder: String,
    },
    /// There is no name for the channel that takes what cannot be done.
    #[error(
        "messages of channel {channel} of module {module} are run again, so its name has at most \
         94 bytes: what cannot be done goes to the channel with `.dead` behind it"
    )]
    NoDeadName {
        /// The channel.
        channel: ChannelName,
        /// Its module.
        module: ModuleName,
    },
    /// A prefix of files is taken.
    #[error(
        "files under {prefix} of module {module} are served by module {holder} already; \
         give one of them another prefix"
    )]
    FilesTaken {
        /// The prefix.
        prefix: Prefix,
        /// The module that comes second.
        module: ModuleName,
        /// The module that has it.
        holder: ModuleName,
    },
    /// A channel has another owner.
    #[error(
        "channel {channel} of module {module} is declared by module {holder} already; \
         a channel has one owner, rename one of them"
    )]
    ChannelTaken {
        /// The channel.
        channel: ChannelName,
        /// The module that comes second.
        module: ModuleName,
        /// The module that has it.
        holder: ModuleName,
    },
}
