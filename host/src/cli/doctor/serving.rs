//! Checks for serving: settings, a data directory, ports, and limits of the machine.

use std::{
    env, fs, io,
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::Result;
use rustix::process::{Resource, getrlimit};

use super::{Check, Checks, Part};
use crate::{
    admin::{
        AdminToken,
        client::{AdminAddress, AdminClient},
    },
    cli::{host::login, settings::Settings},
    config::Config,
    engine::Engine,
    interface::Endpoint,
};

/// Open files below which a host serves few connections.
const OPEN_FILES_MIN: u64 = 4_096;
/// How much a clock may be behind the file of this program.
const CLOCK_LAG_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The program that answers on the admin address.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answers {
    Nobody,
    AHost,
}

pub(super) fn checks(settings: Settings) -> Result<Vec<Check>> {
    let mut checks = Checks::new(Part::Serve);
    machine(&mut checks);
    let config = match settings.read() {
        Ok(config) => config,
        Err(error) => {
            checks.fail("settings", error.to_string(), "docs/settings.md has all there are");
            return Ok(checks.checks);
        }
    };
    let modules = config.modules.len();
    checks.ok("settings", format!("valid; {modules} modules (`tidegate check` loads them)"));
    open_files(&mut checks, config.interface.limits.connections);
    pool(&mut checks, config.worker.as_ref().map_or(1, |worker| worker.slots));
    data_directory(&mut checks, &config.data_dir);
    token(&mut checks, &config.data_dir);
    let answers = admin(&mut checks, &config)?;
    for endpoint in &config.listen {
        port(&mut checks, "listen", "--listen", endpoint, answers);
    }
    port(&mut checks, "admin port", "--admin", &Endpoint::tcp(config.admin), answers);
    Ok(checks.checks)
}

fn machine(checks: &mut Checks) {
    let made = env::current_exe().and_then(fs::metadata).and_then(|file| file.modified());
    let behind = made.ok().and_then(|made| made.duration_since(SystemTime::now()).ok());
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    match behind {
        Some(behind) if behind > CLOCK_LAG_MAX => checks.fail(
            "clock",
            format!("{now}, which is before this program was made"),
            "set it (`timedatectl set-ntp true`): certificates, cookies and records go by it",
        ),
        _ => checks.ok("clock", now),
    }
}

fn open_files(checks: &mut Checks, connections: Option<usize>) {
    let limit = getrlimit(Resource::Nofile).maximum;
    let wanted = connections.and_then(|limit| u64::try_from(limit).ok()).unwrap_or(OPEN_FILES_MIN);
    match limit {
        None => checks.ok("open files", "without limit"),
        Some(limit) if limit >= wanted => {
            checks.ok("open files", format!("{limit}; each connection takes one"));
        }
        Some(limit) => checks.warn(
            "open files",
            format!("{limit}, and each connection takes one"),
            format!("raise the hard limit to {wanted} (`ulimit -Hn`, LimitNOFILE= of systemd)"),
        ),
    }
}

fn pool(checks: &mut Checks, slots: usize) {
    let virtual_memory = match getrlimit(Resource::As).current {
        None => "virtual memory is without limit".to_owned(),
        Some(bytes) => format!("virtual memory is limited to {bytes} bytes"),
    };
    match Engine::new(slots, Arc::default()) {
        Ok(engine) if engine.is_pooled() => {
            checks.ok("pool", format!("instances for {slots} slots; {virtual_memory}"));
        }
        Ok(_) => checks.warn(
            "pool",
            format!("no pool of instances, so that each run starts slower; {virtual_memory}"),
            "lift the limit (`ulimit -v unlimited`), or give fewer --slots",
        ),
        Err(error) => checks.fail(
            "pool",
            error.to_string(),
            "lift the limits on virtual memory and threads (`ulimit -v`, `ulimit -u`)",
        ),
    }
}

fn data_directory(checks: &mut Checks, directory: &Path) {
    // A missing directory is made in the nearest one that exists.
    let there = directory.ancestors().find(|place| place.exists() || place.as_os_str().is_empty());
    let there = there.filter(|place| !place.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let probe = there.join(format!(".tidegate-doctor-{}", std::process::id()));
    let tried = fs::write(&probe, "").and_then(|()| fs::remove_file(&probe));
    let shown = directory.display();
    match tried {
        Ok(()) if there == directory => checks.ok("data directory", format!("{shown}, writable")),
        Ok(()) => checks.ok("data directory", format!("{shown}, made at the first start")),
        Err(error) => checks.fail(
            "data directory",
            format!("{shown}: cannot write in {}: {error}", there.display()),
            "give this user the directory, or another one with --data-dir",
        ),
    }
}

fn token(checks: &mut Checks, directory: &Path) {
    let file = directory.join("admin-token");
    let mode = match fs::metadata(&file) {
        Ok(metadata) => metadata.permissions().mode() & 0o777,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return checks.ok("admin token", "none yet; made at the first start");
        }
        Err(error) => {
            let found = format!("{}: {error}", file.display());
            return checks.fail("admin token", found, "give this user the data directory");
        }
    };
    let shown = file.display();
    if mode & 0o077 != 0 {
        let found = format!("{shown} has mode {mode:03o}: others than its owner may use it");
        return checks.fail("admin token", found, format!("`chmod 600 {shown}`"));
    }
    match AdminToken::read(directory) {
        Ok(_) => checks.ok("admin token", format!("{shown}, its owner's alone")),
        Err(error) => {
            let fix = format!("`rm {shown}`; the next start makes one");
            checks.fail("admin token", format!("{shown}: {error}"), fix);
        }
    }
}

/// Asks the program that listens on the admin address.
fn admin(checks: &mut Checks, config: &Config) -> Result<Answers> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let address: AdminAddress = config.admin.into();
    let token = AdminToken::read(&config.data_dir);
    let no_token = token.is_err();
    let token = token.unwrap_or_else(|_| AdminToken::new(""));
    let (alive, modules) = runtime.block_on(async {
        let client = AdminClient::new(address.clone(), token, login());
        (client.alive().await, client.modules().await)
    });
    match (alive, modules) {
        (Err(error), _) if error.is_of_connection() => {
            checks.ok("host", format!("none serves at {address} now"));
            return Ok(Answers::Nobody);
        }
        (Err(error), _) => {
            let fix = "that program is not a Tidegate host: stop it, or choose another --admin";
            checks.fail("host", error.to_string(), fix);
            return Ok(Answers::Nobody);
        }
        (Ok(()), Ok(modules)) => {
            checks.ok("host", format!("one serves at {address}, with {} modules", modules.len()));
        }
        (Ok(()), Err(_)) if no_token => checks.warn(
            "host",
            format!("one serves at {address}, and there is no token for it here"),
            "give its --data-dir, so that `deploy` and the like may ask it",
        ),
        (Ok(()), Err(error)) => {
            let fix = "give the --data-dir of the host that serves there";
            checks.warn("host", error.to_string(), fix);
        }
    }
    Ok(Answers::AHost)
}

fn port(checks: &mut Checks, name: &'static str, flag: &str, at: &Endpoint, answers: Answers) {
    let Some(address) = at.address() else {
        return checks.ok(name, format!("{at}, not tried"));
    };
    match TcpListener::bind(address) {
        Ok(_) => checks.ok(name, format!("{at} is free")),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && answers == Answers::AHost => {
            checks.ok(name, format!("{at} is taken, and a host serves here"));
        }
        Err(error) => {
            let fix = match error.kind() {
                io::ErrorKind::PermissionDenied => {
                    format!("choose a port above 1023 with {flag}, or allow it this program")
                }
                _ => format!("end what holds it (`ss -ltnp`), or choose another with {flag}"),
            };
            checks.fail(name, format!("{at}: {error}"), fix);
        }
    }
}
