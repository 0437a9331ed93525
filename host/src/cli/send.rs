//! `tidegate send` and `tidegate group-send`: over Redis, or through the admin listener of a host.

use std::{io::Write as _, sync::Arc};

use anyhow::{Context as _, Error, Result};
use clap::Args;

use super::{host::Host, settings::Settings};
use crate::{
    admin::client::{AdminClient, AskError},
    config::{Backend, Config, ConfigError},
    layer::ChannelLayer,
    message::{ChannelName, Content, CorrelationId, GroupName, Message},
    telemetry::Metrics,
};

/// The arguments of `send`.
#[derive(Debug, Args)]
pub(super) struct ChannelArguments {
    /// The channel; a reply channel, too
    #[arg(value_name = "CHANNEL")]
    channel: String,
    #[command(flatten)]
    message: MessageArguments,
}

/// The arguments of `group-send`.
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
    /// Send over Redis, redis://HOST:PORT/DB, without asking a host [default: the setting
    /// `layer.url`; where it is memory, a host is asked]
    #[arg(long, value_name = "URL", conflicts_with = "admin")]
    layer: Option<String>,
    /// Ask a host to send it once: a repeated command with the same key within 10 minutes sends nothing
    #[arg(long, value_name = "KEY", value_parser = key, conflicts_with = "layer")]
    idempotency_key: Option<String>,
    #[command(flatten)]
    host: Host,
}

/// The way of a message into the layer.
enum Way {
    /// This process is one more on Redis.
    Layer(Box<Config>),
    /// A host sends it.
    Host(Host),
}

/// A message, and its way.
struct Sending {
    key: Option<String>,
    json: String,
    content: Content,
    way: Way,
}

impl MessageArguments {
    fn read(self) -> Result<Sending> {
        let Self { json, layer, idempotency_key: key, host } = self;
        let content = content(&json)?;
        if host.admin.is_some() || key.is_some() {
            return Ok(Sending { key, json, content, way: Way::Host(host) });
        }
        let given = layer.is_some();
        let config = Settings::of_layer(host.config.clone(), layer).read()?;
        let way = match config.backend {
            Backend::Redis(_) => Way::Layer(Box::new(config)),
            Backend::Memory if given => {
                let problem = "memory is that of one process; leave --layer out to ask the host, or \
                               give redis://HOST:PORT/DB";
                return Err(ConfigError::new("--layer", problem).into());
            }
            Backend::Memory => Way::Host(host),
        };
        Ok(Sending { key, json, content, way })
    }
}

/// Checks an idempotency key: a host takes what a header field can have.
fn key(text: &str) -> Result<String, String> {
    let is_key = (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    match is_key {
        true => Ok(text.to_owned()),
        false => Err("it has 1 to 255 visible characters of ASCII, such as a UUID".to_owned()),
    }
}

fn content(json: &str) -> Result<Content> {
    let wrong = |reason: String| ConfigError::new("JSON", &reason);
    let value = serde_json::from_str(json).map_err(|error| {
        wrong(format!("the message is an object, such as {{\"n\": 1}}: {error}"))
    })?;
    Ok(Content::from_json(&value).map_err(|error| wrong(error.to_string()))?)
}

impl Sending {
    /// Sends with the layer, which is there for this alone, or with a client of the host.
    fn send<T>(
        self,
        with_layer: impl AsyncFnOnce(Arc<dyn ChannelLayer>, Content) -> Result<T>,
        with_host: impl AsyncFnOnce(AdminClient, String, Option<String>) -> Result<T, AskError>,
    ) -> Result<T> {
        let Self { key, json, content, way } = self;
        match way {
            Way::Host(host) => {
                host.ask(async |client| with_host(client, json, key).await.map_err(refusal))
            }
            Way::Layer(config) => {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(async {
                    let layer = config.connect(&Arc::new(Metrics::new())).await?;
                    with_layer(layer, content).await
                })
            }
        }
    }
}

/// Turns a host's refusal of the message itself into a usage error, as without a host.
fn refusal(error: AskError) -> Error {
    match &error {
        AskError::Refused { problem, .. }
            if matches!(
                &*problem.code,
                "too-large" | "message" | "reserved" | "idempotency-key"
            ) =>
        {
            ConfigError::new("the message", &error.to_string()).into()
        }
        _ => error.into(),
    }
}

/// Sends to a channel.
pub(super) fn to_channel(arguments: ChannelArguments) -> Result<()> {
    let channel = ChannelName::parse(&arguments.channel)
        .map_err(|error| ConfigError::new("CHANNEL", &error.to_string()))?;
    arguments.message.read()?.send(
        async |layer, content| {
            let message = Message::custom(content, CorrelationId::random());
            Ok(layer.send(&channel, message).await?)
        },
        async |client, json, key| client.send_message(&channel, json, key.as_deref()).await,
    )?;
    writeln!(std::io::stdout(), "sent to {channel}").context("standard output is closed")
}

/// Sends to a group.
pub(super) fn to_group(arguments: GroupArguments) -> Result<()> {
    let group = GroupName::parse(&arguments.group)
        .map_err(|error| ConfigError::new("GROUP", &error.to_string()))?;
    if group.is_reserved() {
        let problem = format!("{group} is one of the host's own groups; send to another group");
        return Err(ConfigError::new("GROUP", &problem).into());
    }
    let (reached, missed) = arguments.message.read()?.send(
        async |layer, content| {
            let sent = layer.group_send(&group, content, CorrelationId::random()).await?;
            Ok((sent.reached as u64, sent.missed as u64))
        },
        async |client, json, key| {
            let sent = client.group_send(&group, json, key.as_deref()).await?;
            Ok((sent.reached, sent.missed))
        },
    )?;
    let mut out = std::io::stdout();
    writeln!(out, "sent to {reached} nodes and channels of {group}; {missed} were full")
        .context("standard output is closed")
}
