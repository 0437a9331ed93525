//! Compiles a file where it can be stopped: in a child process with a limit on its memory and its
//! time, since a compiler cannot be interrupted and a file can be made to keep it busy.
//!
//! The child is this program with a hidden command. It reads the file from its standard input and
//! writes compiled code to its standard output; no file of its making is ever read.
//!
//! Its time is processor time, so that a busy machine refuses no file that an idle one takes.

use std::{
    io::{self, Read as _, Write as _},
    path::PathBuf,
    process::{ExitStatus, Stdio},
    thread,
    time::Duration,
};

use rustix::{
    process::{Resource, Rlimit, setrlimit},
    time::ClockId,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    process::Command,
    time::{Instant, timeout_at},
};

use super::{LoadError, limits::processor_time, log, pool, wasip1};

/// The hidden command that makes this program compile.
pub const COMMAND: &str = "compile-module";
/// How the child says that the file is at fault: the exit status for modules that are refused. Its
/// standard error has a line with the code of the refusal, and the reason.
const REFUSED: i32 = 4;
/// What is read of its standard error.
const REASON: u64 = 16 * 1024;
/// Threads of the child: it must not take every core from those who are served.
const THREADS: &str = "2";

/// How many times its processor time a child has by the clock, for machines that are busy.
const CLOCK_FACTOR: u32 = 2;
/// How often the child looks at the processor time that it has used.
const CHECK_INTERVAL: Duration = Duration::from_millis(20);

/// What compiling one file may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileLimits {
    /// Address space, in bytes.
    pub memory: usize,
    /// Processor time of all threads together.
    pub time: Duration,
}

impl Default for CompileLimits {
    fn default() -> Self {
        // 13,000 functions of CPython and its libraries take 16 s; a file may have 50,000.
        Self { memory: 2 * 1024 * 1024 * 1024, time: Duration::from_secs(120) }
    }
}

/// How files are compiled.
#[derive(Clone, Debug, Default)]
pub struct Compiler {
    /// The program to run; none compiles in this process, where nothing can stop it.
    pub program: Option<PathBuf>,
    /// What it may use.
    pub limits: CompileLimits,
}

impl Compiler {
    /// Compiles a file in a child process, which is killed when this is dropped.
    pub(super) async fn run(&self, program: &PathBuf, wasm: &[u8]) -> Result<Vec<u8>, LoadError> {
        let broken = |error: io::Error| LoadError::Compiler(error.to_string());
        let mut child = Command::new(program)
            .arg(COMMAND)
            .arg(self.limits.memory.to_string())
            .arg(self.limits.time.as_millis().to_string())
            .env_clear()
            .env("RAYON_NUM_THREADS", THREADS)
            // Each arena of the allocator takes address space, used or not.
            .env("MALLOC_ARENA_MAX", THREADS)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(broken)?;
        let (Some(mut stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(LoadError::Compiler("it has no pipes".to_owned()));
        };
        let talk = async {
            let give = async move {
                // A child that does not read says why in another way.
                drop(stdin.write_all(wasm).await);
            };
            let ((), code, reason) =
                tokio::join!(give, read(stdout, self.limits.memory as u64), read(stderr, REASON));
            Ok::<_, io::Error>((child.wait().await?, code?, reason?))
        };
        let limit = self.limits.time;
        let waited = limit.saturating_mul(CLOCK_FACTOR);
        match timeout_at(Instant::now() + waited, talk).await {
            Err(_) => Err(LoadError::CompileStalled { limit, waited }),
            Ok(Err(error)) => Err(broken(error)),
            Ok(Ok((status, code, reason))) => {
                self.outcome(status, code, &String::from_utf8_lossy(&reason))
            }
        }
    }

    fn outcome(
        &self,
        status: ExitStatus,
        code: Vec<u8>,
        reason: &str,
    ) -> Result<Vec<u8>, LoadError> {
        let reason = reason.trim_end();
        match status.code() {
            Some(0) => Ok(code),
            Some(REFUSED) => Err(self.refusal(reason)),
            _ if OUT_OF_MEMORY.iter().any(|text| reason.contains(text)) => {
                Err(LoadError::CompileMemory { limit: self.limits.memory })
            }
            _ if reason.contains("overflowed its stack") => {
                Err(LoadError::invalid("what is in it is nested too deep for the compiler"))
            }
            _ => Err(LoadError::Compiler(log::one_line(&format!("{status}: {reason}")))),
        }
    }

    /// The refusal that the child wrote with [`write_refusal`].
    fn refusal(&self, text: &str) -> LoadError {
        let (code, reason) = text.split_once('\n').unwrap_or((text, ""));
        match code {
            OUT_OF_TIME => LoadError::CompileTime { limit: self.limits.time },
            CORE_MODULE => LoadError::CoreModule(log::one_line(reason)),
            FEATURE => {
                let (feature, reason) = reason.split_once('\n').unwrap_or((reason, ""));
                LoadError::feature(feature, reason)
            }
            INVALID => LoadError::invalid(reason),
            _ => LoadError::Compiler(log::one_line(text)),
        }
    }
}

/// Texts of a child without memory: of Rust's allocator, which aborts, of a mapping, of a buffer that could not grow, and
/// of a thread whose stack found no room, which `pthread_create` tells as EAGAIN.
const OUT_OF_MEMORY: &[&str] =
    &["memory allocation of", "os error 12", "out of memory", "code: 11, kind: WouldBlock"];

/// Codes of refusals that the child writes.
const OUT_OF_TIME: &str = "time";
const CORE_MODULE: &str = "core-module";
const FEATURE: &str = "feature";
const INVALID: &str = "invalid";

fn write_refusal(error: &LoadError) -> String {
    match error {
        LoadError::CoreModule(reason) => format!("{CORE_MODULE}\n{reason}"),
        LoadError::Feature { feature, reason } => format!("{FEATURE}\n{feature}\n{reason}"),
        // The parent names the kind again.
        LoadError::Invalid(reason) => format!("{INVALID}\n{reason}"),
        other => format!("{INVALID}\n{other}"),
    }
}

async fn read(from: impl AsyncRead + Unpin, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(most).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

/// Why the child has no code to give. The reason stands on its standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompileFailure {
    /// The file is at fault.
    Refused,
    /// Something else is.
    Broken,
}

/// The child: compiles what comes in, within a limit on its memory and one on its processor time.
pub fn serve(memory: u64, time: Duration) -> Result<(), CompileFailure> {
    answer(memory, time).map_err(|(failure, reason)| {
        // Without anybody who reads it there is nobody to tell.
        drop(writeln!(io::stderr(), "{reason}"));
        failure
    })
}

fn answer(memory: u64, time: Duration) -> Result<(), (CompileFailure, String)> {
    let broken = |error: io::Error| (CompileFailure::Broken, error.to_string());
    let refused = |error: LoadError| (CompileFailure::Refused, write_refusal(&error));
    let limit = |most| Rlimit { current: Some(most), maximum: Some(most) };
    setrlimit(Resource::As, limit(memory)).map_err(|error| broken(error.into()))?;
    // A file that makes the compiler fail must not fill the disk.
    setrlimit(Resource::Core, limit(0)).map_err(|error| broken(error.into()))?;
    thread::Builder::new().spawn(move || end_after(time)).map_err(broken)?;
    let mut wasm = Vec::new();
    io::stdin().read_to_end(&mut wasm).map_err(broken)?;
    let component = wasip1::component(&wasm).map_err(refused)?;
    let code = pool::compile(&component).map_err(refused)?;
    io::stdout().write_all(&code).map_err(broken)
}

/// Ends this process when it has computed for so long. The kernel's own limit counts whole seconds.
#[expect(clippy::exit, reason = "a compiler cannot be stopped in any other way")]
fn end_after(time: Duration) {
    while processor_time(ClockId::ProcessCPUTime) < time {
        thread::park_timeout(CHECK_INTERVAL);
    }
    drop(writeln!(io::stderr(), "{OUT_OF_TIME}"));
    std::process::exit(REFUSED);
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    #[test]
    fn a_child_without_memory_is_told_from_one_that_is_broken() {
        let compiler = Compiler { program: None, limits: CompileLimits::default() };
        let outcome = |raw: i32, reason: &str| {
            compiler.outcome(ExitStatus::from_raw(raw), Vec::new(), reason).unwrap_err()
        };
        for (raw, reason) in [
            (6, "memory allocation of 4096 bytes failed"),
            (1 << 8, "Cannot allocate memory (os error 12)"),
            (1 << 8, "out of memory"),
            (
                101 << 8,
                "ThreadPoolBuildError { kind: IOError(Os { code: 11, kind: WouldBlock, message: \"..\" }) }",
            ),
        ] {
            let error = outcome(raw, reason);
            assert!(matches!(error, LoadError::CompileMemory { .. }), "{reason}: {error}");
        }
        let error = outcome(1 << 8, "no such file");
        assert!(matches!(error, LoadError::Compiler(_)), "{error}");
    }
}
