//! `tidegate token`: makes, lists and revokes tokens of the admin API.

use anyhow::Result;
use clap::{Args, Subcommand};

use super::{
    host::{Author, Host},
    output::{json, plain, say, table},
};
use crate::{
    admin::{
        Role, TokenName,
        client::{NewToken, TokenOf},
    },
    message::ModuleName,
};

/// The commands on tokens.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a token and print it, once.
    Create(CreateArguments),
    /// List tokens.
    List(ListArguments),
    /// Revoke a token.
    Revoke(RevokeArguments),
}

/// The arguments of `token create`.
#[derive(Debug, Args)]
pub(super) struct CreateArguments {
    /// The name of the token
    #[arg(value_name = "NAME", value_parser = TokenName::parse)]
    name: TokenName,
    /// The rights of its holder: look, send, deploy or admin; each may do all that those before it may
    #[arg(long, value_name = "ROLE")]
    role: Role,
    /// A module that it is limited to; may be given several times [default: all]
    #[arg(long = "module", value_name = "NAME", value_parser = ModuleName::parse)]
    modules: Vec<ModuleName>,
    /// How long it lives, such as 12h or 30days [default: until it is revoked]
    #[arg(long, value_name = "SPAN")]
    ttl: Option<String>,
    #[command(flatten)]
    author: Author,
    #[command(flatten)]
    host: Host,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

/// The arguments of `token list`.
#[derive(Debug, Args)]
pub(super) struct ListArguments {
    #[command(flatten)]
    host: Host,
    /// Print them as JSON
    #[arg(long)]
    json: bool,
}

/// The arguments of `token revoke`.
#[derive(Debug, Args)]
pub(super) struct RevokeArguments {
    /// The name of the token
    #[arg(value_name = "NAME", value_parser = TokenName::parse)]
    name: TokenName,
    #[command(flatten)]
    author: Author,
    #[command(flatten)]
    host: Host,
}

/// Runs one of the commands.
pub(super) fn run(command: Command) -> Result<()> {
    match command {
        Command::Create(arguments) => create(arguments),
        Command::List(ListArguments { host, json: as_json }) => host.ask(async |client| {
            let tokens = client.tokens().await?;
            if as_json { json(&tokens) } else { list(&tokens) }
        }),
        Command::Revoke(RevokeArguments { name, author, host }) => {
            host.ask_by(author, async |client| Ok(client.revoke_token(&name).await?))?;
            say(&format!("{name} is revoked"))
        }
    }
}

fn create(arguments: CreateArguments) -> Result<()> {
    let CreateArguments { name, role, modules, ttl, author, host, json: as_json } = arguments;
    let modules: Vec<_> = modules.iter().map(ToString::to_string).collect();
    let modules = (!modules.is_empty()).then_some(modules);
    let new = NewToken { name: name.to_string(), role, modules, ttl };
    let made = host.ask_by(author, async |client| Ok(client.create_token(&new).await?))?;
    if as_json { json(&made) } else { say(&plain(&made.secret)) }
}

fn list(tokens: &[TokenOf]) -> Result<()> {
    let head = ["TOKEN", "ROLE", "MODULES", "MADE", "BY", "LAST USED", "ENDS"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(tokens.iter().map(|token| {
        let text = |text: &Option<String>| plain(text.as_deref().unwrap_or("-"));
        vec![
            text(&token.name),
            plain(&token.role),
            plain(&token.modules.as_ref().map_or_else(|| "all".to_owned(), |it| it.join(","))),
            text(&token.created_at),
            text(&token.created_by),
            text(&token.used_at),
            text(&token.expires_at),
        ]
    }));
    table(&rows)
}
