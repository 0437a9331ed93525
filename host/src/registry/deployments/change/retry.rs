//! Repeats a change that came second to another process which only noted the end of a probation.

use crate::{
    message::ModuleName,
    registry::{
        deployments::{DeployError, Deployments},
        store::{Manifest, StoreError},
    },
};

/// How often a change is tried. A version ends its probation once, so more than two tries take a user who
/// deploys as fast.
const TRIES_MAX: usize = 5;

impl Deployments {
    /// Makes a change, and makes it again where only notes of another process came first. A change that another
    /// user asked for is not overruled: then it fails with [`StoreError::Changed`].
    pub(super) async fn again<T, F>(
        &self,
        module: &ModuleName,
        once: impl Fn() -> F,
    ) -> Result<T, DeployError>
    where
        F: Future<Output = Result<T, DeployError>>,
    {
        let _announced = self.store.is_shared().then(|| self.preparations.announce(module));
        Box::pin(self.refresh(module)).await?;
        for _ in 1..TRIES_MAX {
            match once().await {
                Err(DeployError::Store(error @ StoreError::Changed { .. })) => {
                    if !self.read_notes(module).await? {
                        return Err(error.into());
                    }
                }
                done => return done,
            }
        }
        once().await
    }

    /// Adopts the notes of another process. Returns false if it changed more than notes.
    async fn read_notes(&self, module: &ModuleName) -> Result<bool, DeployError> {
        let Some(before) = self.manifest(module) else { return Ok(false) };
        let mut stored = self.store.load().await?.into_iter();
        match stored.find(|it| it.name == *module).and_then(|it| it.manifest) {
            Some(now) if is_noted(&before, &now) => {
                // If that changes, too, the next try says so.
                self.adopt(module, &now).await?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}

/// Whether nothing but the end of a probation, good or bad, lies between two manifests.
fn is_noted(before: &Manifest, now: &Manifest) -> bool {
    let is_same = (now.active, now.activation) == (before.active, before.activation);
    let failed = now.rolled_back.as_ref().is_some_and(|it| it.version == before.active);
    (is_same || failed)
        && (now.last, &now.versions, &now.settings)
            == (before.last, &before.versions, &before.settings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{Written, store::RolledBack};

    #[test]
    fn only_how_a_version_did_is_a_note() {
        let before = Manifest {
            id: String::new(),
            revision: 7,
            activation: 3,
            active: 2,
            active_since: None,
            previous: Some(1),
            probation: true,
            rolled_back: None,
            last: 2,
            versions: Vec::new(),
            settings: Written::default(),
        };
        let proved = Manifest { revision: 8, probation: false, ..before.clone() };
        let failed = Manifest {
            activation: 4,
            active: 1,
            previous: None,
            rolled_back: Some(RolledBack { version: 2, reason: "it traps".to_owned() }),
            ..proved.clone()
        };
        let deployed = Manifest { activation: 4, active: 3, last: 3, ..before.clone() };
        let activated = Manifest { activation: 4, active: 1, ..proved.clone() };
        let again = Manifest { activation: 5, ..proved.clone() };
        let settings = serde_json::from_str(r#"{"reuse": 10}"#).unwrap();
        let set = Manifest { settings, ..proved.clone() };
        for (now, noted) in [
            (&proved, true),
            (&failed, true),
            (&deployed, false),
            (&activated, false),
            (&again, false),
            (&set, false),
        ] {
            assert_eq!(is_noted(&before, now), noted, "{now:?}");
        }
    }
}
