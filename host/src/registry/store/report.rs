//! The report of a process to the others that share a store with it.
//!
//! Reports of earlier releases lack the optional fields.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::manifest::{from_text, to_text};

/// The report of a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeReport {
    /// The process.
    pub node: String,
    /// The version of the host.
    pub version: String,
    /// When the process began.
    #[serde(serialize_with = "to_text", deserialize_with = "from_text")]
    pub started_at: SystemTime,
    /// Connections that are open there.
    pub connections: i64,
    /// Which questions about its connections it answers: 1 are those of 0.1.1. None of earlier releases, and of
    /// processes without connections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub questions: Option<u32>,
    /// Slots that run consumers there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slots: Option<u64>,
    /// The active modules there, by name.
    pub modules: Vec<ModuleReport>,
    /// Files that all processes are to prepare, since this one is about to activate them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub preparing: Vec<Preparing>,
    /// Results of the files that it was asked to prepare. None in reports of earlier releases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prepared: Option<Vec<Prepared>>,
}

/// The state of a module in a process.
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
    /// Its pause while its circuit breaker is open there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resting: Option<Resting>,
}

/// A module is not run, since it failed too often.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resting {
    /// The end of the pause.
    #[serde(serialize_with = "to_text", deserialize_with = "from_text")]
    pub until: SystemTime,
    /// The last failure.
    pub fault: String,
}

/// A file that is about to become active.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preparing {
    /// A new id for each request.
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

/// The answer to a report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Met {
    /// The id of the store: another one after the store was emptied.
    pub store: String,
    /// Counts the changes in the store.
    pub changes: u64,
    /// All live processes, by name.
    pub nodes: Vec<NodeReport>,
}
