//! The scripts that Redis runs for us, and the keys of a partition.

use deadpool_redis::redis::Script;

/// A part of all keys, on one server. Channels, groups and nodes belong to the one that the CRC-32 of
/// their name says.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    /// The start of all its keys; the braces keep them in one slot of a Cluster.
    pub(super) base: String,
}

impl Keys {
    pub(super) fn new(prefix: &str, partition: usize) -> Self {
        Self { base: format!("{prefix}:{{{partition}}}:") }
    }

    pub(super) fn wake(&self, reader: &str) -> String {
        format!("{}wake:{reader}", self.base)
    }

    pub(super) fn inbox(&self, node: &str) -> String {
        format!("{}inbox:{node}", self.base)
    }
}

/// Which of so many partitions a name belongs to.
pub(super) fn partition_of(name: &str, partitions: usize) -> usize {
    crc32fast::hash(name.as_bytes()) as usize % partitions.max(1)
}

macro_rules! scripts {
    ($($name:ident)*) => {
        /// All scripts. Each has the prelude before it.
        #[derive(Debug)]
        pub(super) struct Scripts {
            $(pub(super) $name: Script,)*
        }

        impl Scripts {
            /// `clock` goes between prelude and script: tests move the time with it.
            pub(super) fn new(clock: &str) -> Self {
                let prelude = include_str!("scripts/prelude.lua");
                Self {
                    $($name: Script::new(&format!(
                        "{prelude}\n{clock}\n{}",
                        include_str!(concat!("scripts/", stringify!($name), ".lua"))
                    )),)*
                }
            }

            /// Each of them, to be loaded before they are called.
            pub(super) fn all(&self) -> impl Iterator<Item = &Script> {
                [$(&self.$name),*].into_iter()
            }
        }
    };
}

scripts! {
    send receive read_by settle
    deliver taken
    later promote
    join leave join_named leave_named members
    upkeep close statistics probe
}

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
