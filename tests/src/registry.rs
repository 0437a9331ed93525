//! An OCI registry of tests: Debian's `docker-registry`, in a directory and on a port of its own.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::program;

/// A registry that is stopped when this is dropped.
#[derive(Debug)]
pub struct ImageRegistry {
    process: Child,
    /// Where it listens.
    pub address: SocketAddr,
    _directory: TempDir,
}

impl ImageRegistry {
    /// A registry that lets everybody in. None where it is not to be had, which is right only outside of CI.
    pub fn start() -> Option<Self> {
        Self::start_with(None)
    }

    /// A registry that lets the user `ada` in with a password alone.
    pub fn with_password(password: &str) -> Option<Self> {
        let hash = Command::new(program("htpasswd")?)
            .args(["-nbB", "-C", "4", "ada", password])
            .output()
            .unwrap();
        assert!(hash.status.success(), "{hash:?}");
        Self::start_with(Some(&hash.stdout))
    }

    fn start_with(users: Option<&[u8]>) -> Option<Self> {
        let program = program("docker-registry")?;
        let directory = tempfile::tempdir().unwrap();
        let auth = users.map(|users| {
            let file = directory.path().join("users");
            std::fs::write(&file, users).unwrap();
            format!("auth:\n  htpasswd:\n    realm: tests\n    path: {}\n", file.display())
        });
        let auth = auth.unwrap_or_default();
        // Somebody else may take the port before the registry does.
        for _ in 0..10 {
            let free = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = free.local_addr().unwrap();
            drop(free);
            let file = directory.path().join("config.yml");
            let at = directory.path().join("images");
            let settings = format!(
                "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}\n\
                 http:\n  addr: {address}\n  secret: of-tests\n{auth}",
                at.display()
            );
            std::fs::write(&file, settings).unwrap();
            if let Some(process) = launch(&program, &file, address) {
                return Some(Self { process, address, _directory: directory });
            }
        }
        panic!("no port for a registry");
    }
}

/// Starts it and waits until it listens. None if it has ended.
fn launch(program: &Path, file: &Path, address: SocketAddr) -> Option<Child> {
    let mut process = Command::new(program)
        .args([Path::new("serve"), file])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while TcpStream::connect(address).is_err() {
        if process.try_wait().unwrap().is_some() {
            return None;
        }
        std::thread::yield_now();
    }
    Some(process)
}

impl Drop for ImageRegistry {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
