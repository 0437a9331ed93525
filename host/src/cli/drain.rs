//! `tidegate drain`

use std::io::Write as _;

use anyhow::Result;

use super::host::Host;

/// Asks a process that serves to stop.
pub(super) fn run(host: Host) -> Result<()> {
    host.ask(async |client| {
        client.drain().await?;
        writeln!(std::io::stdout(), "the process at {} stops", client.address())?;
        Ok(())
    })
}
