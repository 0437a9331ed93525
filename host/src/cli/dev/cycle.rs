//! One round after the other: find the crate, compile, deploy, wait for a change.

use std::{
    collections::BTreeSet,
    io::Write as _,
    path::{self, PathBuf},
    time::Instant,
};

use anyhow::Result;

use super::changes::Changes;
use crate::{
    admin::client::{AdminClient, AskError, Deployed},
    cli::{
        build::Source,
        cargo::{Built, CargoError, compile, sources},
        deploy::summary,
        modules::route,
        output::{plain, short, waiting},
    },
    message::ModuleName,
};

/// Builds and deploys a module again and again.
pub(super) struct Cycle {
    source: Source,
    name: ModuleName,
    client: AdminClient,
    /// Where its pages are, if that is known.
    base: Option<String>,
    /// Where the host of this process writes.
    data_dir: Option<PathBuf>,
    changes: Changes,
    /// What was deployed last.
    in_force: Option<Deployed>,
    /// The last round came to nothing.
    failed: bool,
}

impl Cycle {
    pub(super) fn new(
        source: Source,
        name: ModuleName,
        client: AdminClient,
        base: Option<String>,
        data_dir: Option<PathBuf>,
    ) -> Result<Self> {
        let data_dir = data_dir.map(path::absolute).transpose()?;
        let changes = Changes::new()?;
        Ok(Self { source, name, client, base, data_dir, changes, in_force: None, failed: false })
    }

    pub(super) const fn client(&self) -> &AdminClient {
        &self.client
    }

    /// Goes on until it makes no sense to: there is no compiler, or the host does not know the token.
    pub(super) async fn run(mut self) -> Result<()> {
        loop {
            // What changes from here on is for the next round.
            self.changes.forget();
            self.round().await?;
            self.changes.next().await;
        }
    }

    async fn round(&mut self) -> Result<()> {
        // Also after a mistake in a manifest: the crate may be another than before.
        let of = match self.source.find() {
            Ok(of) => of,
            Err(error) => return self.failed(&format!("error: {error:#}")),
        };
        let (watched, mut outputs): (BTreeSet<_>, _) = sources(&of);
        outputs.extend(self.data_dir.clone());
        self.changes.watch(&watched, outputs)?;
        let built = match compile(&of, self.source.debug, &self.source.arguments).await {
            Ok(built) => built,
            Err(error) if error.is_of_machine() => return Err(error.into()),
            Err(CargoError::Failed { name, .. }) => {
                return self.failed(&format!("error: {name} does not compile"));
            }
            Err(error) => return self.failed(&format!("error: {error}")),
        };
        match &self.in_force {
            Some(Deployed { version, digest, .. }) if *digest == built.digest => {
                // Said only to whoever has put something right: most such rounds come of comments.
                if self.failed {
                    self.say(&format!("version {version} ({}) is this one", short(digest)))?;
                }
            }
            _ => return self.deploy(built).await,
        }
        self.failed = false;
        Ok(())
    }

    async fn deploy(&mut self, built: Built) -> Result<()> {
        let began = Instant::now();
        let compiled = built.took.as_secs_f64();
        let asked = self.client.deploy(&self.name, built.wasm);
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
                Ok(())
            }
            Err(error) if is_for_good(&error) => Err(error.into()),
            Err(error) => self.failed(&format!("error: {error}")),
        }
    }

    /// Says what is served, unless it is what was said last.
    fn say_routes(&self, deployed: &Deployed) -> Result<()> {
        let lines = |deployed: &Deployed| {
            let line = |of| {
                let base = self.base.as_deref().unwrap_or_default();
                match route(of).as_slice() {
                    [kind, place, consumer] if place.starts_with('/') => {
                        format!("  {kind:9} {base}{place}  {consumer}")
                    }
                    cells => format!("  {}", cells.join("  ")),
                }
            };
            deployed.routes.iter().map(line).collect::<Vec<_>>()
        };
        let now = lines(deployed);
        if self.in_force.as_ref().map(lines).as_ref() != Some(&now) {
            for line in now {
                self.say(&line)?;
            }
        }
        Ok(())
    }

    /// Says why a round came to nothing, and what goes on.
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

/// Whether the next file would be refused as well.
fn is_for_good(error: &AskError) -> bool {
    matches!(error, AskError::Token)
        || matches!(error, AskError::Refused { status, .. } if status.as_u16() == 401)
}
