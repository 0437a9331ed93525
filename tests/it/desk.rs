//! A directory in which commands of Tidegate run, and a host that they ask.

use std::{
    path::{Path, PathBuf},
    process::Output,
};

use serde_json::Value;
use tempfile::TempDir;
use tests::{Process, guest};
use tokio::process::Command;

use crate::TIDEGATE;

/// A directory in which commands run, with the login of nobody.
pub(crate) struct Desk(pub(crate) TempDir);

impl Desk {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A copy of a test guest.
    pub(crate) fn copy(&self, name: &str) -> PathBuf {
        let copy = self.path(&format!("{name}.wasm"));
        std::fs::copy(guest(name), &copy).unwrap();
        copy
    }

    pub(crate) async fn run(&self, program: impl AsRef<Path>, arguments: &[&str]) -> Output {
        self.run_with(&[], program, arguments).await
    }

    pub(crate) async fn run_with(
        &self,
        variables: &[(&str, &str)],
        program: impl AsRef<Path>,
        arguments: &[&str],
    ) -> Output {
        let mut command = Command::new(program.as_ref());
        command.args(arguments).current_dir(self.0.path()).env_remove("TIDEGATE_TOKEN");
        // What the tester is logged in to is no matter of tests.
        command.env("DOCKER_CONFIG", self.0.path()).env("HOME", self.0.path());
        command.env_remove("XDG_RUNTIME_DIR").env_remove("REGISTRY_AUTH_FILE");
        command.envs(variables.iter().copied());
        command.kill_on_drop(true).output().await.unwrap()
    }

    /// Status and output of a command of Tidegate; with a failure, what it says is wrong.
    pub(crate) async fn tidegate(&self, arguments: &[&str]) -> (i32, String) {
        self.tidegate_with(&[], arguments).await
    }

    /// The same with variables.
    pub(crate) async fn tidegate_with(
        &self,
        variables: &[(&str, &str)],
        arguments: &[&str],
    ) -> (i32, String) {
        let output = self.run_with(variables, TIDEGATE, arguments).await;
        let status = output.status.code().unwrap();
        let told = if status == 0 { output.stdout } else { output.stderr };
        (status, String::from_utf8(told).unwrap().trim_end().to_owned())
    }
}

/// A host that commands of a desk ask.
pub(crate) struct Asked {
    pub(crate) host: Process,
    flags: [String; 4],
}

impl Asked {
    pub(crate) async fn serve(desk: &Desk, settings: &str) -> Self {
        let (file, data) = (desk.path("host.toml"), desk.path("data").display().to_string());
        std::fs::write(&file, settings).unwrap();
        let file = file.display().to_string();
        let host = Process::serve(TIDEGATE, &["--config", &file, "--data-dir", &data]).await;
        let admin = format!("http://{}", host.admin);
        Self { host, flags: ["--admin".to_owned(), admin, "--data-dir".to_owned(), data] }
    }

    pub(crate) async fn tidegate(&self, desk: &Desk, arguments: &[&str]) -> (i32, String) {
        let flags: Vec<_> = self.flags.iter().map(String::as_str).collect();
        desk.tidegate(&[arguments, &flags].concat()).await
    }

    pub(crate) async fn stop(self) {
        self.host.signal("TERM").await;
        assert_eq!(self.host.wait().await, Some(0));
    }

    /// The last version of a module, as its history has it.
    pub(crate) async fn last(&self, module: &str) -> Value {
        let details = self.host.api().module(module).await;
        details.get("history").and_then(Value::as_array).unwrap().last().unwrap().clone()
    }
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Files with signatures, and the line of settings that names their signer.
pub(crate) async fn key(desk: &Desk, name: &str) -> String {
    let (status, said) = desk.tidegate(&["signing-key", name, "--no-password"]).await;
    assert_eq!(status, 0, "{said}");
    let signers = said.lines().last().unwrap();
    assert!(said.contains("[upload]") && signers.starts_with("signers = [\"RW"), "{said}");
    signers.to_owned()
}
