//! One round after the other: find the project, build, deploy, wait for a change.

use std::{
    collections::BTreeSet,
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Instant, SystemTime},
};

use anyhow::Result;

use super::{
    changes::Changes,
    inputs::{Inputs, Snapshot},
    own_host::OwnHost,
    writes::{Verdict, Writes},
};
use crate::{
    admin::client::{AdminClient, AskError, DeployOptions, Deployed, RouteOf},
    cli::{
        build::Source,
        cargo::Sources,
        deploy::summary,
        modules::route,
        output::{plain, short, waiting},
        project::Built,
    },
    message::ModuleName,
};

/// Builds and deploys a module again and again.
pub(super) struct Cycle {
    source: Source,
    name: ModuleName,
    client: AdminClient,
    /// None if another process is the host.
    host: Option<Arc<OwnHost>>,
    changes: Changes,
    inputs: Inputs,
    /// The last snapshot of the inputs.
    seen: Snapshot,
    /// Inputs that were written during the last build, with another content or the same.
    written: BTreeSet<PathBuf>,
    changed: BTreeSet<PathBuf>,
    writes: Writes,
    /// The file that was deployed last.
    in_force: Option<Deployed>,
    /// Whether the last round failed.
    failed: bool,
}

impl Cycle {
    pub(super) fn new(
        source: Source,
        name: ModuleName,
        client: AdminClient,
        host: Option<Arc<OwnHost>>,
    ) -> Result<Self> {
        Ok(Self {
            source,
            name,
            client,
            host,
            changes: Changes::new()?,
            inputs: Inputs::default(),
            seen: Snapshot::default(),
            written: BTreeSet::new(),
            changed: BTreeSet::new(),
            writes: Writes::default(),
            in_force: None,
            failed: false,
        })
    }

    pub(super) const fn client(&self) -> &AdminClient {
        &self.client
    }

    /// Goes on until it makes no sense to: there is no compiler, or the host does not know the token.
    pub(super) async fn run(mut self) -> Result<()> {
        loop {
            self.round().await?;
            if !self.is_to_be_built_again()? {
                self.next_change().await?;
            }
        }
    }

    /// Watches the inputs and takes a snapshot of them.
    fn look(&mut self) -> Result<()> {
        let (deep, mut flat) = self.inputs.watched();
        let settings = self.host.as_ref().and_then(|host| host.settings_directory());
        flat.extend(settings.map(Path::to_owned));
        self.changes.watch(&deep, &flat)?;
        self.seen = self.inputs.snapshot();
        Ok(())
    }

    /// Notes inputs that were written since a build began: they may have come too late for the compiler. Called
    /// before the build is reported, since the user may react at once.
    fn look_back(&mut self, began: SystemTime) -> Result<()> {
        let before = std::mem::take(&mut self.seen);
        self.look()?;
        self.written = before.written_since(began, &self.seen);
        self.changed = before.changed(&self.seen);
        Ok(())
    }

    /// Whether inputs that were written during a build are a reason for another one.
    fn is_to_be_built_again(&mut self) -> Result<bool> {
        let written = match self.writes.during_build(std::mem::take(&mut self.written)) {
            Verdict::Done => return Ok(false),
            Verdict::BuildAgain => return Ok(true),
            Verdict::ByBuilds(written) => written,
        };
        for path in written.intersection(&self.changed) {
            self.say(&format!(
                "warning: each build changes {}, so that is not a reason to build again; let it write where \
                 nothing is a source: a build script to OUT_DIR, or with cargo::rerun-if-changed for what it \
                 reads, other tools beside the file of [build]",
                plain(&path.display().to_string())
            ))?;
        }
        Ok(false)
    }

    /// Resolves when an input has another content than the last build has seen.
    async fn next_change(&mut self) -> Result<()> {
        loop {
            self.changes.next().await;
            if let Some(said) = self.host.as_ref().and_then(|host| host.settings_change()) {
                self.say(&said)?;
            }
            let before = std::mem::take(&mut self.seen);
            self.look()?;
            if !before.changed(&self.seen).is_empty() {
                return Ok(());
            }
        }
    }

    async fn round(&mut self) -> Result<()> {
        let began = SystemTime::now();
        // Also after a mistake in a manifest: the project may be another than before.
        let of = match self.source.find() {
            Ok(of) => of,
            Err(error) => {
                let manifests = ["Cargo.toml", "tidegate.toml"];
                self.inputs.paths.extend(manifests.map(|name| self.source.path.join(name)));
                self.look_back(began)?;
                return self.failed(&format!("error: {error:#}"));
            }
        };
        let sources = of.sources();
        if self.inputs.paths.is_empty() {
            // Nothing was built yet, so every file may be an input.
            self.inputs = self.all(&sources);
            self.look()?;
        }
        self.announce("is being compiled");
        let built = of.build(self.source.debug, &self.source.arguments).await;
        let named = built.as_ref().ok().and_then(|built| of.inputs(built));
        self.inputs = match named {
            Some(named) => Inputs {
                paths: named.into_iter().chain(sources.manifests).collect(),
                excluded: self.excluded(sources.outputs),
            },
            // A missing input may be created next.
            None => self.all(&sources),
        };
        self.look_back(began)?;
        let built = match built {
            Ok(built) => built,
            Err(error) if error.is_of_machine() => return Err(error.into()),
            Err(error) if error.is_of_sources() => {
                self.announce("does not compile; the terminal of `tidegate dev` says why");
                return self.failed(&format!("error: {} does not compile", of.name()));
            }
            Err(error) => return self.failed(&format!("error: {error}")),
        };
        match &self.in_force {
            Some(Deployed { version, digest, .. }) if *digest == built.digest => {
                // Said only after a failed round: most rounds without a change come from comments.
                if self.failed {
                    self.say(&format!("version {version} ({}) is this one", short(digest)))?;
                }
            }
            _ => return self.deploy(built).await,
        }
        self.failed = false;
        Ok(())
    }

    /// Returns all possible inputs: files in the directories of the crates, besides the known ones.
    fn all(&self, sources: &Sources) -> Inputs {
        let paths = self.inputs.paths.iter().chain(&sources.directories).chain(&sources.manifests);
        let paths = paths.cloned().collect();
        Inputs { paths, excluded: self.excluded(sources.outputs.clone()) }
    }

    fn excluded(&self, mut outputs: BTreeSet<PathBuf>) -> BTreeSet<PathBuf> {
        outputs.extend(self.host.iter().flat_map(|host| host.directories()));
        outputs
    }

    /// Tells clients that ask before there is a version.
    fn announce(&self, state: &str) {
        if let Some(host) = &self.host {
            host.announce(&self.name, state);
        }
    }

    async fn deploy(&mut self, built: Built) -> Result<()> {
        let began = Instant::now();
        let compiled = built.took.as_secs_f64();
        // Faults must be seen: no older version answers in place of the saved one.
        let options = DeployOptions { skip_probation: true, ..DeployOptions::default() };
        let asked = self.client.deploy(&self.name, built.wasm, &options);
        match waiting(&format!("deploying {}", self.name), asked).await {
            Ok(deployed) => {
                let seconds = began.elapsed().as_secs_f64();
                let what = summary(&deployed);
                self.say(&format!(
                    "{what}: compiled in {compiled:.1} s, deployed in {seconds:.1} s"
                ))?;
                for warning in &deployed.warnings {
                    self.say(&format!("warning: {}", plain(warning)))?;
                }
                self.say_routes(&deployed)?;
                (self.in_force, self.failed) = (Some(deployed), false);
                self.announce("is there");
                Ok(())
            }
            Err(error) if is_for_good(&error) => Err(error.into()),
            Err(error) => {
                self.announce("is refused; the terminal of `tidegate dev` says why");
                self.failed(&format!("error: {error}"))
            }
        }
    }

    /// Prints the routes, unless they are those that were printed last.
    fn say_routes(&self, deployed: &Deployed) -> Result<()> {
        let base = self.host.as_ref().and_then(|host| host.base());
        let lines = |deployed: &Deployed| {
            deployed.routes.iter().map(|of| line(of, base)).collect::<Vec<_>>()
        };
        let now = lines(deployed);
        if self.in_force.as_ref().map(lines).as_ref() != Some(&now) {
            for line in now {
                self.say(&line)?;
            }
        }
        Ok(())
    }

    /// Prints why a round failed, and which version goes on.
    fn failed(&mut self, why: &str) -> Result<()> {
        self.failed = true;
        self.say(why)?;
        match &self.in_force {
            Some(Deployed { version, digest, .. }) => {
                let digest = short(digest);
                self.say(&format!("version {version} ({digest}) goes on; waiting for a change"))
            }
            None => self.say("waiting for a change"),
        }
    }

    fn say(&self, text: &str) -> Result<()> {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{text}")?;
        Ok(out.flush()?)
    }
}

/// A route with its URL.
fn line(of: &RouteOf, base: Option<&str>) -> String {
    let cells = route(of);
    let (Some(kind), Some(consumer)) = (cells.first(), cells.last()) else { return String::new() };
    let place = cells.get(1).map(String::as_str).unwrap_or_default();
    let base = base.filter(|_| place.starts_with('/')).unwrap_or_default();
    // http and https alike.
    let base = match (of.trigger.as_str(), base.strip_prefix("http")) {
        ("websocket", Some(rest)) => format!("ws{rest}"),
        _ => base.to_owned(),
    };
    format!("  {kind:9} {base}{place}  {consumer}")
}

/// Whether the next file would be refused as well.
fn is_for_good(error: &AskError) -> bool {
    matches!(error, AskError::Token)
        || matches!(error, AskError::Refused { status, .. } if status.as_u16() == 401)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_stand_in_columns_with_urls_to_open() {
        let route = |json: &str| serde_json::from_str::<RouteOf>(json).unwrap();
        let page =
            r#"{"module":"t","consumer":"page","trigger":"http","method":"GET","pattern":"/t"}"#;
        let socket = r#"{"module":"t","consumer":"Echo","trigger":"websocket","pattern":"/t/s"}"#;
        let channel = r#"{"module":"t","consumer":"work","trigger":"channel","channel":"t.work"}"#;
        for (of, base, expected) in [
            (page, Some("http://h:1"), "  GET       http://h:1/t  page"),
            (socket, Some("http://h:1"), "  WEBSOCKET ws://h:1/t/s  Echo"),
            (socket, Some("https://h:1"), "  WEBSOCKET wss://h:1/t/s  Echo"),
            (socket, None, "  WEBSOCKET /t/s  Echo"),
            (channel, Some("http://h:1"), "  CHANNEL   t.work  work"),
        ] {
            assert_eq!(line(&route(of), base), expected);
        }
    }
}
