//! Modules in a directory: `NAME/module.json` and `NAME/DIGEST.wasm`.
//!
//! Every file is written beside its place, synced and moved there. The manifest before is kept as
//! `module.json.before`, in case the disk damages the one that holds.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use serde_json::Value;

use super::{Manifest, ModuleStore, StoreError, Stored};
use crate::{
    engine::digest,
    message::{CorrelationId, ModuleName},
};

const MANIFEST: &str = "module.json";
const BEFORE: &str = "module.json.before";
/// Locked during writes, since two processes may overlap during a restart.
const LOCK: &str = ".lock";
/// The prefix of the names of files that are being written or removed.
const ON_ITS_WAY: &str = ".tmp-";

/// Modules in a directory. Clones are the same store.
#[derive(Clone, Debug)]
pub struct DirectoryStore {
    root: Arc<Path>,
    /// The step at which a test lets the process die.
    #[cfg(test)]
    dies: Arc<tests::Dies>,
}

impl DirectoryStore {
    /// Opens a directory, and makes it if it is missing: for its owner only, since settings may hold
    /// secrets.
    pub fn open(root: &Path) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(root)?;
        Ok(Self {
            root: root.into(),
            #[cfg(test)]
            dies: Arc::default(),
        })
    }

    fn of(&self, module: &ModuleName) -> PathBuf {
        self.root.join(module.as_str())
    }

    #[cfg(test)]
    fn step(&self) -> io::Result<()> {
        self.dies.step()
    }

    #[cfg(not(test))]
    #[expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "fails in tests only")]
    const fn step(&self) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self) -> io::Result<File> {
        let file = File::options().create(true).append(true).open(self.root.join(LOCK))?;
        file.lock()?;
        Ok(file)
    }

    /// Writes a file: whole, or not at all.
    fn put(&self, directory: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
        let beside = directory.join(format!("{ON_ITS_WAY}{}", CorrelationId::random()));
        let written = (|| {
            let mut file = File::create_new(&beside)?;
            self.step()?;
            file.write_all(bytes)?;
            self.step()?;
            file.sync_all()?;
            self.step()?;
            fs::rename(&beside, directory.join(name))
        })();
        if written.is_err() && !self.is_dead() {
            // The error that matters is the first one.
            drop(fs::remove_file(&beside));
        }
        written
    }

    #[cfg(test)]
    fn is_dead(&self) -> bool {
        self.dies.is_dead()
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "dies in tests only")]
    const fn is_dead(&self) -> bool {
        false
    }

    fn sync(&self, directory: &Path) -> io::Result<()> {
        self.step()?;
        File::open(directory)?.sync_all()
    }

    fn load_all(&self) -> io::Result<Vec<Stored>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            let Some(name) = entry.file_name().to_str().and_then(|it| ModuleName::parse(it).ok())
            else {
                continue;
            };
            // Killed before its first commit.
            if entry.path().join(MANIFEST).exists() || entry.path().join(BEFORE).exists() {
                all.push(load_one(name, &entry.path()));
            }
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    fn commit_one(
        &self,
        module: &ModuleName,
        manifest: &Manifest,
        wasm: Option<&[u8]>,
    ) -> Result<(), StoreError> {
        let _locked = self.lock()?;
        let directory = self.of(module);
        fs::create_dir_all(&directory)?;
        self.sync(&self.root)?;
        let now = load_one(module.clone(), &directory).manifest;
        if now.as_ref().map_or(0, |now| now.revision) + 1 != manifest.revision {
            return Err(StoreError::Changed { module: module.clone() });
        }
        if let Some(wasm) = wasm {
            self.put(&directory, &format!("{}.wasm", digest(wasm)), wasm)?;
            self.sync(&directory)?;
        }
        if let Some(now) = &now {
            self.put(&directory, BEFORE, &to_bytes(now))?;
        }
        self.put(&directory, MANIFEST, &to_bytes(manifest))?;
        // From here on the commit stands.
        if let Err(error) = self.sync(&directory) {
            tracing::warn!(%error, %module, "a change may not outlive a loss of power");
        }
        // Left-over files cost room only.
        if let Err(error) = tidy(&directory, manifest, now.as_ref()) {
            tracing::debug!(%error, %module, "files that nothing needs are left");
        }
        Ok(())
    }

    fn delete_one(&self, module: &ModuleName) -> Result<(), StoreError> {
        let _locked = self.lock()?;
        let away = self.root.join(format!("{ON_ITS_WAY}{}", CorrelationId::random()));
        match fs::rename(self.of(module), &away) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            renamed => renamed?,
        }
        self.sync(&self.root)?;
        // It has no name any more; left-over files cost room only.
        if let Err(error) = fs::remove_dir_all(&away) {
            tracing::debug!(%error, %module, "files of a deleted module are left");
        }
        Ok(())
    }
}

/// Removes files that neither the manifest nor the one before names.
fn tidy(directory: &Path, manifest: &Manifest, before: Option<&Manifest>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let needed = match name.strip_suffix(".wasm") {
            Some(digest) => {
                manifest.has_file(digest) || before.is_some_and(|it| it.has_file(digest))
            }
            None => !name.starts_with(ON_ITS_WAY),
        };
        if !needed {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// The manifest with a checksum over the rest, so that a damaged one is noticed.
fn to_bytes(manifest: &Manifest) -> Vec<u8> {
    let mut value = serde_json::to_value(manifest).expect("a manifest is JSON");
    let checksum = digest(value.to_string().as_bytes());
    if let Some(fields) = value.as_object_mut() {
        fields.insert("checksum".to_owned(), Value::String(checksum));
    }
    let mut bytes = serde_json::to_vec_pretty(&value).expect("a value is JSON");
    bytes.push(b'\n');
    bytes
}

fn from_bytes(bytes: &[u8]) -> Result<Manifest, String> {
    let mut value: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let checksum = value.as_object_mut().and_then(|fields| fields.remove("checksum"));
    if checksum != Some(Value::String(digest(value.to_string().as_bytes()))) {
        return Err("its checksum is another".to_owned());
    }
    serde_json::from_value(value).map_err(|error| error.to_string())
}

fn read(path: &Path) -> Result<Manifest, String> {
    from_bytes(&fs::read(path).map_err(|error| error.to_string())?)
}

fn load_one(name: ModuleName, directory: &Path) -> Stored {
    let path = directory.join(MANIFEST);
    let error = match read(&path) {
        Ok(manifest) => return Stored { name, manifest: Some(manifest), fault: None },
        Err(error) => error,
    };
    if !path.exists() && !directory.join(BEFORE).exists() {
        return Stored { name, manifest: None, fault: None };
    }
    let damaged = format!("{} is damaged ({error})", path.display());
    let (manifest, then) = match read(&directory.join(BEFORE)) {
        Ok(before) => (Some(before), "the state before its last change is served"),
        Err(_) => (None, "nothing of it is served; deploy the module again"),
    };
    Stored { name, manifest, fault: Some(format!("{damaged}; {then}")) }
}

fn read_wasm(path: &Path, wanted: &str) -> Result<Vec<u8>, StoreError> {
    let damaged = |what: String| StoreError::Damaged { digest: wanted.to_owned(), what };
    let wasm = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(damaged("missing".to_owned()));
        }
        other => other?,
    };
    match digest(&wasm) {
        found if found == wanted => Ok(wasm),
        found => Err(damaged(format!("damaged: its digest is {found}"))),
    }
}

fn named(error: StoreError) -> StoreError {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    match error {
        StoreError::Io(error)
            if matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge) =>
        {
            StoreError::Full(error)
        }
        other => other,
    }
}

impl DirectoryStore {
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&store)).await;
        done.map_err(|error| StoreError::Io(io::Error::other(error)))?.map_err(named)
    }
}

#[async_trait]
impl ModuleStore for DirectoryStore {
    async fn load(&self) -> Result<Vec<Stored>, StoreError> {
        self.blocking(|store| Ok(store.load_all()?)).await
    }

    async fn wasm(&self, module: &ModuleName, digest: &str) -> Result<Vec<u8>, StoreError> {
        let (path, digest) = (self.of(module).join(format!("{digest}.wasm")), digest.to_owned());
        self.blocking(move |_| read_wasm(&path, &digest)).await
    }

    async fn commit(
        &self,
        module: &ModuleName,
        manifest: &Manifest,
        wasm: Option<Vec<u8>>,
    ) -> Result<(), StoreError> {
        let (module, manifest) = (module.clone(), manifest.clone());
        self.blocking(move |store| store.commit_one(&module, &manifest, wasm.as_deref())).await
    }

    async fn delete(&self, module: &ModuleName) -> Result<(), StoreError> {
        let module = module.clone();
        self.blocking(move |store| store.delete_one(&module)).await
    }
}

#[cfg(test)]
mod tests;
