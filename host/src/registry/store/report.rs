//! What a process says of itself to those that share a store with it.
//!
//! Reports of earlier releases lack the optional fields.

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
    /// Slots that run consumers there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slots: Option<u64>,
    /// The modules in force there, by name.
    pub modules: Vec<ModuleReport>,
    /// Files that all processes are to prepare, since this one is about to activate them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub preparing: Vec<Preparing>,
    /// Results of the files that it was asked to prepare. None in reports of earlier releases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prepared: Option<Vec<Prepared>>,
}

/// What a process has in force of a module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleReport {
    /// The module.
    pub name: String,
    /// The version.
    pub version: u64,
    /// Counts the activations of the module.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation: Option<u64>,
    /// SHA-256 of its file, in hexadecimal.
    pub digest: String,
    /// Why it is not the version that the store has.
    pub fault: Option<String>,
    /// While its circuit breaker is open there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resting: Option<Resting>,
}

/// A module is not run, since it failed too often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resting {
    /// Until then.
    #[serde(serialize_with = "to_text", deserialize_with = "from_text")]
    pub until: SystemTime,
    /// How it failed the last time.
    pub fault: String,
}

/// A file that is about to become active.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preparing {
    /// Another one each time.
    pub id: String,
    /// The module.
    pub module: String,
    /// SHA-256 of the file, in hexadecimal; empty while that is not known yet.
    pub digest: String,
}

/// The result of preparing a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepared {
    /// The id of the request.
    pub id: String,
    /// SHA-256 of the file, in hexadecimal.
    pub digest: String,
    /// Why the process cannot run it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

impl NodeReport {
    /// Returns the report on a module.
    pub fn module(&self, name: &str) -> Option<&ModuleReport> {
        self.modules.iter().find(|it| it.name == name)
    }
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
