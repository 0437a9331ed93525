//! WASI as a guest sees it: empty, but for the directories and variables that are granted.

use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

use crate::{
    capability::{Directories, Directory, Grants},
    engine::log::LogSink,
};

/// The most random bytes that a guest gets in one call.
const RANDOM_BYTES_MAX: u64 = 64 * 1024;

/// Begins the WASI of an instance, without its directories.
pub(in crate::engine) fn context(grants: &Grants, log: &LogSink) -> WasiCtxBuilder {
    let mut wasi = WasiCtxBuilder::new();
    wasi.stdout(log.clone()).stderr(log.clone()).max_random_size(RANDOM_BYTES_MAX);
    // Each socket would be a descriptor of the process, even one that reaches nobody.
    wasi.allow_tcp(false).allow_udp(false);
    for (name, value) in grants.environment.iter() {
        wasi.env(name, value);
    }
    wasi
}

/// Opens directories for the WASI of an instance. One that is gone is an error.
pub(in crate::engine) fn open(
    directories: &Directories,
    wasi: &mut WasiCtxBuilder,
) -> wasmtime::Result<()> {
    for Directory { guest, host, write } in directories.iter() {
        let permissions = if *write { FsPerms::ReadWrite } else { FsPerms::ReadOnly };
        wasi.preopened_dir(host, guest, permissions).map_err(|error| {
            let place = host.display();
            wasmtime::Error::msg(format!("the directory {place} cannot be opened: {error}"))
        })?;
    }
    Ok(())
}
