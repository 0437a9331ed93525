//! WASI as a guest sees it: empty, but for the directories and variables that are granted.

use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder};

use crate::{
    capability::{Directory, Grants},
    engine::log::LogSink,
};

/// The most random bytes that a guest gets in one call.
const RANDOM_BYTES_MAX: u64 = 64 * 1024;

/// Makes the WASI of an instance. A granted directory that is gone is an error.
pub(in crate::engine) fn context(grants: &Grants, log: &LogSink) -> wasmtime::Result<WasiCtx> {
    let mut wasi = WasiCtxBuilder::new();
    wasi.stdout(log.clone()).stderr(log.clone()).max_random_size(RANDOM_BYTES_MAX);
    // Each socket would be a descriptor of the process, even one that reaches nobody.
    wasi.allow_tcp(false).allow_udp(false);
    for (name, value) in grants.environment.iter() {
        wasi.env(name, value);
    }
    for Directory { guest, host, write } in grants.directories.iter() {
        let permissions = if *write { FsPerms::ReadWrite } else { FsPerms::ReadOnly };
        wasi.preopened_dir(host, guest, permissions).map_err(|error| {
            let place = host.display();
            wasmtime::Error::msg(format!("the directory {place} cannot be opened: {error}"))
        })?;
    }
    Ok(wasi.build())
}
