//! Lists that a host gives in pages: what the commands that show them have in common.

use anyhow::Result;
use clap::Args;

use super::host::Host;
use crate::{admin::client::AdminClient, config::ConfigError};

/// Entries that a host gives at once.
const PAGE: usize = 1_000;

/// The flags of a command that lists.
#[derive(Debug, Args)]
pub(super) struct Listing {
    /// How many
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    #[command(flatten)]
    pub(super) host: Host,
    /// Print each as a line of JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// A part of a list.
pub(super) struct Page<T> {
    pub(super) entries: Vec<T>,
    /// Where the next part begins; none: this is the last one.
    pub(super) next: Option<String>,
}

impl Listing {
    /// Reads a list from a place on, as far as the limit goes. Returns where the rest of it begins, too.
    ///
    /// `page` asks for a part with so many entries at most.
    pub(super) fn read<T>(
        self,
        from: Option<String>,
        mut page: impl AsyncFnMut(&AdminClient, Option<&str>, usize) -> Result<Page<T>>,
    ) -> Result<(Vec<T>, Option<String>)> {
        let Self { limit, host, .. } = self;
        if limit == 0 {
            return Err(ConfigError::new("--limit", "it is 0; give at least 1").into());
        }
        host.ask(async |client| {
            let (mut entries, mut next) = (Vec::new(), from);
            loop {
                let room = limit.saturating_sub(entries.len()).min(PAGE);
                let part = page(&client, next.as_deref(), room).await?;
                entries.extend(part.entries);
                next = part.next;
                if next.is_none() || entries.len() >= limit {
                    return Ok((entries, next));
                }
            }
        })
    }
}
