//! Lua scripts that Redis runs for this process, and the keys of a partition.
//!
//! The layer and the module store each declare their own, beside the code that calls them. A server that
//! does not know a script yet is given it at the first call.

use std::time::Duration;

/// A part of all keys, on one server. Channels, groups and nodes belong to the one that the CRC-32 of
/// their name says.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    /// The start of all its keys; the braces keep them in one slot of a Cluster.
    pub(crate) base: String,
}

impl Keys {
    pub(super) fn new(prefix: &str, partition: usize) -> Self {
        Self { base: format!("{prefix}:{{{partition}}}:") }
    }

    pub(crate) fn wake(&self, reader: &str) -> String {
        format!("{}wake:{reader}", self.base)
    }

    pub(crate) fn inbox(&self, node: &str) -> String {
        format!("{}inbox:{node}", self.base)
    }
}

/// Which of so many partitions a name belongs to.
pub(crate) fn partition_of(name: &str, partitions: usize) -> usize {
    crc32fast::hash(name.as_bytes()) as usize % partitions.max(1)
}

/// A span as scripts take it.
pub(crate) fn micros(span: Duration) -> u64 {
    // 2^53 is what Lua counts exactly; it is 285 years.
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX).min(1 << 53)
}

/// Declares `Scripts` with a field for each file of the folder `scripts` beside the caller. Each script has
/// the folder's `prelude.lua` before it.
macro_rules! declare_scripts {
    ($($name:ident)*) => {
        /// The scripts, each with the prelude before it.
        #[derive(Debug)]
        pub(super) struct Scripts {
            $(pub(super) $name: $crate::redis::Script,)*
        }

        impl Scripts {
            /// `clock` goes between prelude and script: tests move the time with it.
            pub(super) fn new(clock: &str) -> Self {
                let prelude = include_str!("scripts/prelude.lua");
                Self {
                    $($name: $crate::redis::Script::new(&format!(
                        "{prelude}\n{clock}\n{}",
                        include_str!(concat!("scripts/", stringify!($name), ".lua"))
                    )),)*
                }
            }
        }
    };
}
pub(crate) use declare_scripts;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_found_by_crc_32() {
        // As zlib has it, so that other languages find the same.
        assert_eq!(crc32fast::hash(b"123456789"), 0xcbf4_3926);
        assert_eq!(partition_of("123456789", 8), 0xcbf4_3926 % 8);
        assert_eq!(partition_of("any", 1), 0);
    }
}
