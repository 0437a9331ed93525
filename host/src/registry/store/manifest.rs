//! The description of a stored module: everything but the files of its versions.

use std::time::SystemTime;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::registry::{KeyId, Written};

/// The description of a stored module.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The id of the module: another one after it was deleted and made again.
    #[serde(default)]
    pub id: String,
    /// Counts the changes of the manifest from 1.
    pub revision: u64,
    /// Counts the activations of the module from 1.
    pub activation: u64,
    /// The active version.
    pub active: u64,
    /// The time of its activation; unknown if an earlier release activated it.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "to_optional_text",
        deserialize_with = "from_optional_text"
    )]
    pub active_since: Option<SystemTime>,
    /// The version that was active before, for a rollback without a number.
    pub previous: Option<u64>,
    /// Whether the active version is on probation.
    pub probation: bool,
    /// The last rollback that the host did by itself, until the next activation.
    pub rolled_back: Option<RolledBack>,
    /// The number of the last version that was deployed, deleted or not.
    pub last: u64,
    /// The versions there are, by number.
    pub versions: Vec<Kept>,
    /// Settings over those of `tidegate.toml`.
    #[serde(default)]
    pub settings: Written,
}

/// A version that is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Counts the versions of the module from 1.
    pub version: u64,
    /// SHA-256 of the file, in hexadecimal.
    pub digest: String,
    /// Size of the file.
    pub bytes: u64,
    /// When it was deployed.
    #[serde(serialize_with = "to_text", deserialize_with = "from_text")]
    pub deployed_at: SystemTime,
    /// The user who deployed it, by their own account.
    pub deployed_by: String,
    /// The note of the deployment.
    #[serde(default)]
    pub note: Option<String>,
    /// The registry that its file came from, by the deployer's own account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The key that signed the file, where the host asked for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<KeyId>,
}

/// A rollback that the host did by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolledBack {
    /// The version that failed.
    pub version: u64,
    /// The failure.
    pub reason: String,
}

impl Manifest {
    /// A version that is kept.
    pub fn version(&self, number: u64) -> Option<&Kept> {
        self.versions.iter().find(|kept| kept.version == number)
    }

    /// Whether a file is that of a version.
    pub fn has_file(&self, digest: &str) -> bool {
        self.versions.iter().any(|kept| kept.digest == digest)
    }
}

pub(super) fn to_text<S: Serializer>(time: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&humantime::format_rfc3339(*time))
}

pub(super) fn from_text<'de, D: Deserializer<'de>>(from: D) -> Result<SystemTime, D::Error> {
    let text = String::deserialize(from)?;
    humantime::parse_rfc3339(&text).map_err(de::Error::custom)
}

#[expect(clippy::ref_option, reason = "serde calls it with a reference to the field")]
pub(super) fn to_optional_text<S: Serializer>(
    time: &Option<SystemTime>,
    to: S,
) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => to_text(time, to),
        None => to.serialize_none(),
    }
}

pub(super) fn from_optional_text<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<SystemTime>, D::Error> {
    let Some(text) = Option::<String>::deserialize(from)? else { return Ok(None) };
    humantime::parse_rfc3339(&text).map(Some).map_err(de::Error::custom)
}
