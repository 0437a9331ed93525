//! `tidegate send` and `tidegate group-send`

use std::{io::Write as _, path::PathBuf, sync::Arc};

use anyhow::{Context as _, Result};
use clap::Args;

use super::settings::Settings;
use crate::{
    config::{Backend, Config, ConfigError},
    layer::ChannelLayer,
    message::{ChannelName, Content, CorrelationId, GroupName, Message},
    telemetry::Metrics,
};

/// What `send` is given.
#[derive(Debug, Args)]
pub(super) struct ChannelArguments {
    /// The channel; a reply channel, too
    #[arg(value_name = "CHANNEL")]
    channel: String,
    #[command(flatten)]
    message: MessageArguments,
}

/// What `group-send` is given.
#[derive(Debug, Args)]
pub(super) struct GroupArguments {
    /// The group
    #[arg(value_name = "GROUP")]
    group: String,
    #[command(flatten)]
    message: MessageArguments,
}

#[derive(Debug, Args)]
struct MessageArguments {
    /// The message, an object
    #[arg(value_name = "JSON")]
    json: String,
    /// Where messages are: redis://HOST:PORT/DB
    #[arg(long, value_name = "URL")]
    layer: Option<String>,
    /// Settings file [default: tidegate.toml, if there is one]
    #[arg(long, value_name = "FILE", env = "TIDEGATE_CONFIG")]
    config: Option<PathBuf>,
}

impl MessageArguments {
    fn read(self) -> Result<(Config, Content)> {
        let content = content(&self.json)?;
        let config = Settings::of_layer(self.config, self.layer).read()?;
        if matches!(config.backend, Backend::Memory) {
            let problem =
                "the memory layer reaches no other process; give --layer redis://HOST:PORT/DB";
            return Err(ConfigError::new("layer", problem).into());
        }
        Ok((config, content))
    }
}

fn content(json: &str) -> Result<Content> {
    let wrong = |reason: String| ConfigError::new("JSON", &reason);
    let value: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(json).map_err(|error| {
            wrong(format!("the message is an object, such as {{\"n\": 1}}: {error}"))
        })?;
    let packed = rmp_serde::to_vec_named(&value).map_err(|error| wrong(error.to_string()))?;
    Ok(Content::parse(packed.into()).map_err(|error| wrong(error.to_string()))?)
}

/// Runs with a layer that is there for this alone.
fn with_layer(
    config: &Config,
    work: impl AsyncFnOnce(Arc<dyn ChannelLayer>) -> Result<()>,
) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let layer = config.connect(&Arc::new(Metrics::new())).await?;
        work(layer).await
    })
}

/// Sends to a channel.
pub(super) fn to_channel(arguments: ChannelArguments) -> Result<()> {
    let channel = ChannelName::parse(&arguments.channel)
        .map_err(|error| ConfigError::new("CHANNEL", &error.to_string()))?;
    let (config, content) = arguments.message.read()?;
    with_layer(&config, async |layer| {
        let message = Message::custom(content, CorrelationId::random());
        layer.send(&channel, message).await?;
        writeln!(std::io::stdout(), "sent to {channel}").context("standard output is closed")
    })
}

/// Sends to a group.
pub(super) fn to_group(arguments: GroupArguments) -> Result<()> {
    let group = GroupName::parse(&arguments.group)
        .map_err(|error| ConfigError::new("GROUP", &error.to_string()))?;
    let (config, content) = arguments.message.read()?;
    with_layer(&config, async |layer| {
        let sent = layer.group_send(&group, content, CorrelationId::random()).await?;
        let (reached, missed) = (sent.reached, sent.missed);
        let mut out = std::io::stdout();
        writeln!(out, "sent to {reached} nodes and channels of {group}; {missed} were full")
            .context("standard output is closed")
    })
}
