//! The host within `dev`: its settings, and its answers while there is no version.

use std::{
    collections::BTreeSet,
    fs,
    path::{self, Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Result;

use crate::{
    RunningApp,
    cli::settings::Settings,
    config::Config,
    message::ModuleName,
    registry::{Deployments, ModuleSettings},
};

/// A host of this process, as the cycle of builds knows it.
pub(super) struct OwnHost {
    settings: PathBuf,
    /// The content of the settings file when it was last read.
    read: Mutex<Option<Vec<u8>>>,
    /// Directories that are written, granted or served as `tidegate.toml` says.
    configured: BTreeSet<PathBuf>,
    deployments: Option<Arc<Deployments>>,
    base: Option<String>,
}

impl OwnHost {
    /// Of settings that were read just now from a file, if there is one.
    pub(super) fn new(config: &Config, settings: PathBuf) -> Result<Self> {
        let mut configured = BTreeSet::from([path::absolute(&config.data_dir)?]);
        configured.insert(path::absolute(&config.compiled_dir)?);
        let of_modules = config.modules.iter().map(|module| &module.settings);
        configured.extend(of_modules.flat_map(directories));
        let read = Mutex::new(fs::read(&settings).ok());
        Ok(Self { settings, read, configured, deployments: None, base: None })
    }

    /// Notes what the host has when it has started.
    pub(super) fn serve(&mut self, app: &RunningApp) {
        self.deployments = Some(Arc::clone(app.deployments()));
        self.base = app.endpoints().first().map(ToString::to_string);
    }

    /// Where its pages are.
    pub(super) fn base(&self) -> Option<&str> {
        self.base.as_deref()
    }

    /// Tells clients what a module does while no version of it is there.
    pub(super) fn announce(&self, module: &ModuleName, state: &str) {
        let Some(deployments) = &self.deployments else { return };
        let registry = deployments.registry();
        let is_there = registry.snapshot().version(module).is_some();
        registry.routes().announce((!is_there).then(|| format!("{module} {state}")));
    }

    /// Directories that the host and its modules write or serve.
    pub(super) fn directories(&self) -> BTreeSet<PathBuf> {
        let mut all = self.configured.clone();
        if let Some(deployments) = &self.deployments {
            let modules = deployments.registry().snapshot();
            all.extend(modules.versions().flat_map(|version| directories(&version.settings)));
        }
        all
    }

    /// The directory of the settings file.
    pub(super) fn settings_directory(&self) -> Option<&Path> {
        self.settings.parent().map(|parent| match parent.as_os_str().is_empty() {
            true => Path::new("."),
            false => parent,
        })
    }

    /// Returns a notice if the settings file has changed since the last call.
    pub(super) fn settings_change(&self) -> Option<String> {
        let now = fs::read(&self.settings).ok();
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if *read == now {
            return None;
        }
        let before = std::mem::replace(&mut *read, now.clone());
        drop(read);
        let changed = changed_settings(before.as_deref(), now.as_deref());
        let name = self.settings.display();
        Some(match Settings::at(Some(self.settings.clone()), None).read() {
            Err(error) if self.settings.exists() => {
                format!("error: {error:#}; the settings that were read at the start hold on")
            }
            _ if changed.is_empty() => format!("{name} has changed, and no setting in it"),
            _ => format!(
                "{name} has changed: {}. Settings are read at the start; end this command and start it \
                 again to apply them",
                changed.join(", ")
            ),
        })
    }
}

/// The settings that differ between two contents of a settings file, as dotted keys.
fn changed_settings(before: Option<&[u8]>, now: Option<&[u8]>) -> Vec<String> {
    let table = |content: Option<&[u8]>| {
        let text = content.and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default();
        text.parse::<toml::Table>().unwrap_or_default()
    };
    let mut changed = Vec::new();
    compare("", &table(before), &table(now), &mut changed);
    changed
}

fn compare(prefix: &str, before: &toml::Table, now: &toml::Table, changed: &mut Vec<String>) {
    let keys: BTreeSet<_> = before.keys().chain(now.keys()).collect();
    for key in keys {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match (before.get(key), now.get(key)) {
            (Some(toml::Value::Table(before)), Some(toml::Value::Table(now))) => {
                compare(&path, before, now, changed);
            }
            (before, now) if before == now => {}
            _ => changed.push(path),
        }
    }
}

fn directories(settings: &ModuleSettings) -> Vec<PathBuf> {
    let served = settings.files.iter().map(|files| &files.directory);
    let granted = settings.grants.directories.iter().map(|directory| &directory.host);
    // One that has no absolute path is nowhere.
    served.chain(granted).filter_map(|directory| path::absolute(directory).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_that_changed_are_named_and_their_values_are_not() {
        let before = "admin = 'a'\n[limits]\nfuel = 1\n[modules.a.grants.secrets]\nKEY = 'x'\n";
        let now = "# a comment\nadmin = 'a'\n[limits]\nfuel = 2\n[modules.a.grants.secrets]\nKEY = 'y'\n\
                   [layer]\nurl = 'memory'\n";
        let changed = |before: &str, now: &str| {
            changed_settings(Some(before.as_bytes()), Some(now.as_bytes()))
        };
        assert_eq!(changed(before, now), ["layer", "limits.fuel", "modules.a.grants.secrets.KEY"]);
        assert!(changed("a = 1", "a   = 1 # the same").is_empty());
        assert_eq!(changed_settings(None, Some(b"a = 1")), ["a"]);
    }
}
