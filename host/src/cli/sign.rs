//! `tidegate sign` and `tidegate signing-key`

use std::{
    fs::{File, OpenOptions},
    io::{IsTerminal as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use clap::Args;
use data_encoding::BASE64;
use minisign::{KeyPair, SecretKey, SecretKeyBox};

use super::{output::say, signature::beside};

/// Nobody else may read a key.
const KEY_MODE: u32 = 0o600;

/// The arguments of `sign`.
#[derive(Debug, Args)]
pub(super) struct SignArguments {
    /// The .wasm file; its signature is written to FILE.minisig
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The key, a file that `tidegate signing-key` or `minisign -G` has made
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// A comment that the signature covers, such as a version [default: the file's name and the time]
    #[arg(long, value_name = "TEXT", value_parser = super::host::one_line)]
    comment: Option<String>,
    #[command(flatten)]
    password: Password,
}

/// The arguments of `signing-key`.
#[derive(Debug, Args)]
pub(super) struct KeyArguments {
    /// The key to make; its public part is written to FILE.pub
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Make a key without a password, for machines that build
    #[arg(long, conflicts_with = "password_file")]
    no_password: bool,
    #[command(flatten)]
    password: Password,
}

/// The flag of commands that need the password of a key.
#[derive(Debug, Args)]
struct Password {
    /// A file whose first line is the password of the key [default: the terminal is asked]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

/// A key cannot be made or used.
#[derive(Debug, thiserror::Error)]
enum KeyError {
    #[error("there is a file {} already; name another one", .0.display())]
    Exists(PathBuf),
    #[error("cannot write {}: {source}", .file.display())]
    Write { file: PathBuf, source: std::io::Error },
    #[error("cannot read {}: {source}", .file.display())]
    Read { file: PathBuf, source: std::io::Error },
    #[error(
        "{} is no key to sign with: {reason}; give the file that `tidegate signing-key` or `minisign -G` has \
         made, not its .pub", .file.display()
    )]
    Form { file: PathBuf, reason: String },
    #[error("the key {} has a password, and there is no terminal to ask for it; give --password-file", .0.display())]
    NoTerminal(PathBuf),
    #[error("the password is not that of the key {}: {reason}", .file.display())]
    Password { file: PathBuf, reason: String },
}

impl Password {
    /// The password of a key. None: the library asks the terminal.
    fn read(&self, key: &Path) -> Result<Option<String>, KeyError> {
        let Some(file) = &self.password_file else {
            let is_terminal = std::io::stdin().is_terminal();
            return is_terminal.then_some(None).ok_or_else(|| KeyError::NoTerminal(key.to_owned()));
        };
        let text = std::fs::read_to_string(file)
            .map_err(|source| KeyError::Read { file: file.clone(), source })?;
        Ok(Some(text.lines().next().unwrap_or_default().to_owned()))
    }
}

/// Writes the signature of a file.
pub(super) fn sign(arguments: &SignArguments) -> Result<()> {
    let SignArguments { file, key, comment, password } = arguments;
    let wasm = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
    let secret = secret(key, password)?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let time = humantime::format_rfc3339_seconds(std::time::SystemTime::now());
    let comment = comment.clone().unwrap_or_else(|| format!("{} {time}", one_word(&name)));
    let signed = minisign::sign(None, &secret, wasm, Some(&comment), Some("signature of a module"))
        .with_context(|| format!("cannot sign {}", file.display()))?;
    let at = beside(file);
    std::fs::write(&at, signed.into_string())
        .with_context(|| format!("cannot write {}", at.display()))?;
    say(&at.display().to_string())
}

/// The name of a file for a line of text.
fn one_word(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).collect()
}

fn secret(file: &Path, password: &Password) -> Result<SecretKey, KeyError> {
    let form = |reason: String| KeyError::Form { file: file.to_owned(), reason };
    let text = std::fs::read_to_string(file)
        .map_err(|source| KeyError::Read { file: file.to_owned(), source })?;
    // Whether it has a password is known once it is read, and reading it with the library asks for one.
    let line = text.lines().nth(1).ok_or_else(|| form("it has one line".to_owned()))?;
    let bytes = BASE64.decode(line.trim().as_bytes()).map_err(|error| form(error.to_string()))?;
    let key = SecretKey::from_bytes(&bytes).map_err(|error| form(error.to_string()))?;
    let boxed = SecretKeyBox::from_string(&text).map_err(|error| form(error.to_string()))?;
    if !key.is_encrypted() {
        return boxed.into_unencrypted_secret_key().map_err(|error| form(error.to_string()));
    }
    boxed
        .into_secret_key(password.read(file)?)
        .map_err(|error| KeyError::Password { file: file.to_owned(), reason: error.to_string() })
}

/// Makes a key, and says what to do with its public part.
pub(super) fn make_key(arguments: &KeyArguments) -> Result<()> {
    let KeyArguments { file, no_password, password } = arguments;
    let mut public = file.as_os_str().to_owned();
    public.push(".pub");
    let public = PathBuf::from(public);
    if let Some(there) = [file, &public].into_iter().find(|it| it.exists()) {
        return Err(KeyError::Exists(there.clone()).into());
    }
    let pair = if *no_password {
        KeyPair::generate_unencrypted_keypair()
    } else {
        KeyPair::generate_encrypted_keypair(password.read(file)?)
    };
    let pair = pair.context("cannot make a key")?;
    let (secret, shown) = (pair.sk.to_box(Some("key to sign modules with"))?, pair.pk.to_box()?);
    write_new(file, KEY_MODE, &secret.to_string())?;
    write_new(&public, 0o644, &shown.to_string())?;
    say(&format!(
        "{} signs, and is a secret; {} is its public part. Hosts that take its files alone have in tidegate.toml:\n\n\
         [upload]\nsigners = [\"{}\"]",
        file.display(),
        public.display(),
        pair.pk.to_base64()
    ))
}

/// Writes a file that is not there.
fn write_new(file: &Path, mode: u32, text: &str) -> Result<(), KeyError> {
    let failed = |source| KeyError::Write { file: file.to_owned(), source };
    let mut options = OpenOptions::new();
    let mut made = options.write(true).create_new(true).mode(mode).open(file).map_err(failed)?;
    made.write_all(text.as_bytes()).map_err(failed)
}
