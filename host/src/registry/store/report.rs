//! What a process says of itself to those that share a store with it.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::manifest::{from_text, to_text};

/// What a process has in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeReport {
    /// The process.
    pub node: String,
    /// Of the host.
    pub version: String,
    /// When the process began.
    #[serde(serialize_with = "to_text", deserialize_with = "from_text")]
    pub started_at: SystemTime,
    /// Connections that are open there.
    pub connections: i64,
    /// The modules in force there, by name.
    pub modules: Vec<ModuleReport>,
}

/// What a process has in force of a module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleReport {
    /// The module.
    pub name: String,
    /// The version.
    pub version: u64,
    /// SHA-256 of its file, in hexadecimal.
    pub digest: String,
    /// Why it is not the version that the store has.
    pub fault: Option<String>,
}

/// What a process hears when it reports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Met {
    /// Another one after the store was emptied.
    pub store: String,
    /// Counts the changes in the store.
    pub changes: u64,
    /// All live processes, by name.
    pub nodes: Vec<NodeReport>,
}
