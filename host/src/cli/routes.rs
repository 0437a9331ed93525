//! `tidegate routes`

use std::{io::Write as _, time::SystemTime};

use anyhow::Result;

use super::{check::load, settings::Settings};

/// Prints a line for each route.
pub(super) fn run(settings: Settings) -> Result<()> {
    let registry = load(&settings.read()?)?;
    let table = registry.routes().snapshot();
    let mut lines: Vec<[String; 4]> = table
        .listing()
        .iter()
        .map(|(kind, route)| {
            let consumer = route.consumer.as_ref().to_owned();
            let access = route.access.as_ref().map(ToString::to_string).unwrap_or_default();
            let path = format!("{}{}{access}", route.pattern, route.guards);
            [kind.clone(), path, route.module.to_string(), consumer]
        })
        .collect();
    lines.sort();
    let width = |at: usize| lines.iter().filter_map(|line| line.get(at)).map(String::len).max();
    let (kind, path, module) = (width(0), width(1), width(2));
    let mut out = std::io::stdout().lock();
    for [a, b, c, d] in &lines {
        let (kind, path, module) = (kind.unwrap_or(0), path.unwrap_or(0), module.unwrap_or(0));
        writeln!(out, "{a:kind$}  {b:path$}  {c:module$}  {d}")?;
    }
    let modules = registry.snapshot();
    for channel in modules.custom_channels() {
        write!(out, "{:width$}  {channel}", "CHANNEL", width = kind.unwrap_or(0))?;
        let version = modules.owners.get(channel).and_then(|owner| modules.version(owner));
        let schedule = version.and_then(|it| it.schedules().find(|(of, _)| *of == channel));
        if let Some((_, schedule)) = schedule {
            let next = schedule.next_after(SystemTime::now()).map(|next| schedule.shown(next));
            write!(out, "  {schedule}, next {}", next.as_deref().unwrap_or("never"))?;
        }
        writeln!(out)?;
    }
    Ok(())
}
