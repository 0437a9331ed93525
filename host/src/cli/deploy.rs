//! `tidegate deploy` and `tidegate rollback`

use std::{
    future::Future,
    io::{IsTerminal as _, Write as _},
    path::PathBuf,
    time::Duration,
};

use anyhow::Result;
use clap::Args;
use tokio::time::{Instant, interval_at};

use super::{
    host::{Author, Host, one_line},
    oci::{self, Place, Pulled},
    output::{json, plain, short, waiting},
    signature,
};
use crate::{
    admin::client::{AdminClient, AskError, DeployOptions, Deployed, Node, NodeFile},
    message::ModuleName,
};

/// The arguments of `deploy`.
#[derive(Debug, Args)]
pub(super) struct DeployArguments {
    /// The name of the module
    #[arg(value_name = "NAME", value_parser = ModuleName::parse)]
    name: ModuleName,
    /// Its .wasm file, or its place in a registry, such as oci://ghcr.io/ada/chat:1.2
    #[arg(value_name = "FILE", value_parser = Origin::parse)]
    file: Origin,
    /// The signature of the file [default: FILE.minisig if there is one, or the one in the registry]
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
    /// A note for the history, such as why
    #[arg(long, value_name = "TEXT", value_parser = one_line)]
    note: Option<String>,
    #[command(flatten)]
    author: Author,
    #[command(flatten)]
    host: Host,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// The arguments of `rollback`.
#[derive(Debug, Args)]
pub(super) struct RollbackArguments {
    /// The name of the module
    #[arg(value_name = "NAME", value_parser = ModuleName::parse)]
    name: ModuleName,
    /// The version to activate [default: the one that was before]
    #[arg(value_name = "VERSION")]
    version: Option<u64>,
    #[command(flatten)]
    author: Author,
    #[command(flatten)]
    host: Host,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// A module is not activated.
#[derive(Debug, thiserror::Error)]
pub(super) enum DeployError {
    /// Its file cannot be read.
    #[error("module {name}: cannot read {file}: {source}")]
    File {
        /// The module.
        name: ModuleName,
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The host refuses it.
    #[error(
        "module {name}: {source}{}",
        if source.is_of_module() { "; the active version stays active" } else { "" }
    )]
    Host {
        /// The module.
        name: ModuleName,
        /// Why.
        source: AskError,
    },
}

/// Where a file comes from.
#[derive(Clone, Debug)]
enum Origin {
    File(PathBuf),
    Registry(Place),
}

impl Origin {
    fn parse(text: &str) -> Result<Self, String> {
        if Place::is_meant(text) {
            return text.parse().map(Self::Registry);
        }
        Ok(Self::File(text.into()))
    }
}

/// Activates a file.
pub(super) fn deploy(arguments: DeployArguments) -> Result<()> {
    let DeployArguments { name, file: origin, signature, note, author, host, json } = arguments;
    let most = host.settings()?.files.bytes;
    host.ask_by(author, async |client| {
        let (wasm, signature, source) = match origin {
            Origin::File(file) => {
                let signature = signature::of(&file, signature)?;
                let wasm = std::fs::read(&file).map_err(|source| DeployError::File {
                    name: name.clone(),
                    file,
                    source,
                })?;
                (wasm, signature, None)
            }
            Origin::Registry(place) => {
                let Pulled { wasm, signature: beside, place } =
                    waiting(&format!("pulling {name}"), oci::pull(&place, most)).await?;
                let signature = signature.map(signature::read).transpose()?.or(beside);
                (wasm, signature, Some(place.to_string()))
            }
        };
        let options = DeployOptions { note, source, signature, ..DeployOptions::default() };
        let what = format!("deploying {name}");
        let asked = waiting(&what, client.deploy(&name, wasm, &options));
        let deployed = with_progress(&client, &name, asked)
            .await
            .map_err(|source| DeployError::Host { name: name.clone(), source })?;
        print(&deployed, json)
    })
}

/// Activates an earlier version.
pub(super) fn roll_back(arguments: RollbackArguments) -> Result<()> {
    let RollbackArguments { name, version, author, host, json } = arguments;
    host.ask_by(author, async |client| {
        let what = format!("rolling {name} back");
        let asked = waiting(&what, client.roll_back(&name, version));
        let deployed = with_progress(&client, &name, asked)
            .await
            .map_err(|source| DeployError::Host { name: name.clone(), source })?;
        print(&deployed, json)
    })
}

/// The time between two looks at the progress of the other nodes.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// Awaits a deployment, and prints the nodes that it waits for meanwhile.
async fn with_progress<T>(
    client: &AdminClient,
    module: &ModuleName,
    deploying: impl Future<Output = T>,
) -> T {
    tokio::pin!(deploying);
    let mut ticks = interval_at(Instant::now() + PROGRESS_INTERVAL, PROGRESS_INTERVAL);
    let mut said = String::new();
    loop {
        let look = async {
            ticks.tick().await;
            client.nodes().await
        };
        tokio::select! {
            biased;
            deployed = deploying.as_mut() => return deployed,
            nodes = look => {
                // A failed request is left to the next tick.
                let progress = nodes.ok().and_then(|nodes| progress(module, &nodes));
                if let Some(progress) = progress.filter(|progress| *progress != said) {
                    // A terminal that is gone shows nothing.
                    let mut err = std::io::stderr();
                    // The line that counts seconds stands there on a terminal.
                    let clear = if err.is_terminal() { "\r\x1b[K" } else { "" };
                    drop(writeln!(err, "{clear}{}", plain(&progress)));
                    said = progress;
                }
            }
        }
    }
}

/// Returns the progress of the other nodes with a version, or none if all have its code.
fn progress(module: &ModuleName, nodes: &[Node]) -> Option<String> {
    let is_asked = |it: &&NodeFile| it.module == module.as_str() && !it.digest.is_empty();
    let asked = |node: &Node| node.preparing.iter().find(is_asked).cloned();
    let (asking, NodeFile { digest, .. }) =
        nodes.iter().find_map(|node| Some((node, asked(node)?)))?;
    let others = nodes.iter().filter(|node| node.node != asking.node && node.prepared.is_some());
    let has = |node: &&Node| {
        node.prepared.iter().flatten().any(|it| it.digest == digest)
            || node.modules.iter().any(|it| it.name == module.as_str() && it.digest == digest)
    };
    let (ready, waiting): (Vec<_>, Vec<_>) = others.partition(has);
    let names: Vec<_> = waiting.iter().map(|node| node.node.as_str()).collect();
    let all = ready.len() + waiting.len();
    (!names.is_empty()).then(|| {
        format!(
            "{module} is compiled on {} of {all} other nodes; waiting for {}",
            ready.len(),
            names.join(", ")
        )
    })
}

fn print(deployed: &Deployed, as_json: bool) -> Result<()> {
    if as_json {
        return json(deployed);
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", summary(deployed))?;
    for warning in &deployed.warnings {
        writeln!(out, "  warning: {}", plain(warning))?;
    }
    // One node is the one that was asked.
    if deployed.nodes.len() > 1 {
        for node in &deployed.nodes {
            let version = node.version.map_or_else(|| "none".to_owned(), |it| it.to_string());
            write!(out, "  node {}: {version} ({})", plain(&node.node), short(&node.digest))?;
            match &node.fault {
                _ if node.digest == deployed.digest => writeln!(out)?,
                Some(fault) => writeln!(out, ", not this version: {}", plain(fault))?,
                None => writeln!(out, ", not this version yet")?,
            }
        }
    }
    Ok(())
}

/// Returns the result in a line.
pub(super) fn summary(deployed: &Deployed) -> String {
    let Deployed { module, version, digest, changed, previous, .. } = deployed;
    let digest = short(digest);
    match (changed, previous) {
        (false, _) => format!("{module} {version} ({digest}) is up to date"),
        (true, Some(previous)) => format!("{module} {previous} → {version} ({digest})"),
        (true, None) => format!("{module} {version} ({digest})"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn progress_names_the_nodes_that_have_not_compiled_the_file_and_could() {
        let module = ModuleName::parse("tide").unwrap();
        let nodes = |second: serde_json::Value| -> Vec<Node> {
            serde_json::from_value(json!([
                {"node": "a", "preparing": [{"module": "tide", "digest": "d"}], "prepared": []},
                {"node": "b", "modules": [{"name": "tide", "version": 1, "digest": "d"}], "prepared": []},
                {"node": "c", "prepared": second},
                {"node": "d", "prepared": null},
            ]))
            .unwrap()
        };
        let waiting = nodes(json!([{"digest": "other", "fault": null}]));
        let said = "tide is compiled on 1 of 2 other nodes; waiting for c";
        assert_eq!(progress(&module, &waiting).as_deref(), Some(said));
        let failed = nodes(json!([{"digest": "d", "fault": "no memory"}]));
        assert_eq!(progress(&module, &failed), None, "a node that failed is not waited for");
        let other = ModuleName::parse("other").unwrap();
        assert_eq!(progress(&other, &waiting), None, "it is not deployed");
    }
}
