//! `tidegate modules`

use anyhow::Result;
use clap::Args;

use super::{
    host::Host,
    output::{json, plain, short, table},
};
use crate::{
    admin::client::{Kept, ModuleDetails, ModuleSummary, RouteOf, ScheduleOf},
    message::ModuleName,
};

/// The arguments of `modules`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// One module, with its versions and routes
    #[arg(value_name = "NAME", value_parser = ModuleName::parse)]
    name: Option<ModuleName>,
    #[command(flatten)]
    host: Host,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

/// Lists modules, or one.
pub(super) fn run(arguments: Arguments) -> Result<()> {
    let Arguments { name, host, json: as_json } = arguments;
    host.ask(async |client| match name {
        None => {
            let modules = client.modules().await?;
            if as_json { json(&modules) } else { list(&modules) }
        }
        Some(name) => {
            let module = client.module(&name).await?;
            if as_json { json(&module) } else { show(&module) }
        }
    })
}

fn list(modules: &[ModuleSummary]) -> Result<()> {
    let head = ["MODULE", "VERSION", "STATE", "DIGEST", "VERSIONS", "ACTIVE SINCE", "BY"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(modules.iter().map(row));
    table(&rows)
}

fn row(module: &ModuleSummary) -> Vec<String> {
    let mut row = vec![
        plain(&module.name),
        number(module.active_version),
        plain(&module.state),
        short(module.digest.as_deref().unwrap_or("-")).to_owned(),
        module.versions.to_string(),
        text(module.active_since.as_deref().or(module.deployed_at.as_deref())),
        text(module.deployed_by.as_deref()),
    ];
    let until = module.resting_until.as_deref();
    row.extend(until.map(|until| plain(&format!("resting until {until}"))));
    row.extend(module.fault.as_deref().map(plain));
    row
}

fn show(module: &ModuleDetails) -> Result<()> {
    list(std::slice::from_ref(&module.summary))?;
    if !module.history.is_empty() {
        let head = ["", "VERSION", "DIGEST", "BYTES", "DEPLOYED", "BY", "NOTE"];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(module.history.iter().map(|kept| {
            let active = module.summary.active_version == Some(kept.version);
            vec![
                if active { "*" } else { "" }.to_owned(),
                kept.version.to_string(),
                short(&kept.digest).to_owned(),
                kept.bytes.to_string(),
                text(kept.deployed_at.as_deref()),
                text(kept.deployed_by.as_deref()),
                history_note(kept),
            ]
        }));
        table(&[Vec::new()])?;
        table(&rows)?;
    }
    if !module.routes.is_empty() {
        table(&[Vec::new()])?;
        table(&module.routes.iter().map(route).collect::<Vec<_>>())?;
    }
    Ok(())
}

/// The note of a version, its registry and its signer.
fn history_note(kept: &Kept) -> String {
    let signed_by = kept.signed_by.as_ref().map(|key| format!("signed by {key}"));
    let parts = [kept.note.clone(), kept.source.clone(), signed_by];
    parts.into_iter().flatten().map(|part| plain(&part)).collect::<Vec<_>>().join(" · ")
}

/// A route as `tidegate routes` prints it, without the module.
pub(super) fn route(of: &RouteOf) -> Vec<String> {
    let kind = match (&of.method, of.trigger.as_str()) {
        (Some(method), _) => method.clone(),
        (None, trigger) => trigger.to_uppercase(),
    };
    let place = of.pattern.as_ref().or(of.channel.as_ref()).map_or("", String::as_str);
    let guards = of.guards.iter().map(|guard| format!(" {guard}")).collect::<String>();
    let mut cells = vec![plain(&kind), plain(&format!("{place}{guards}")), plain(&of.consumer)];
    if let Some(ScheduleOf { expression, zone, next, .. }) = &of.schedule {
        let next = next.as_deref().unwrap_or("never");
        cells.push(plain(&format!("{expression} {zone}, next {next}")));
    }
    cells
}

fn number(number: Option<u64>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| number.to_string())
}

fn text(text: Option<&str>) -> String {
    plain(text.filter(|text| !text.is_empty()).unwrap_or("-"))
}
