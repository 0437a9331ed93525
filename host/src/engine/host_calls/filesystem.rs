//! `wasi:filesystem`: marks runs that change something in a granted directory as not repeatable.
//!
//! A file changes through a descriptor that was opened for writing, or through a directory. So a few calls
//! are watched, and wasmtime still does their work.

use wasmtime::{
    StoreContextMut,
    component::{Linker, Resource},
};
use wasmtime_wasi::{
    filesystem::WasiFilesystemView as _,
    p2::{
        FsResult,
        bindings::filesystem::types::{
            Descriptor, DescriptorFlags, ErrorCode, HostDescriptor as _, NewTimestamp, OpenFlags,
            PathFlags,
        },
    },
};

use crate::engine::instance::{Job, Run};

/// The name of the interface in wasmtime's linker. Another name would add a second interface.
const INTERFACE: &str = "wasi:filesystem/types@0.2.12";

impl Run {
    fn changes_files(&mut self) {
        let may_write = |job: &Job| job.lent.grants.directories.are_writable();
        self.effects.is_final |= self.job.as_ref().is_some_and(may_write);
    }
}

/// Replaces a call of wasmtime by one that marks the run first.
macro_rules! watch {
    ($interface:ident, $name:literal, $method:ident, ($($argument:ident: $type:ty),*), $changes:expr) => {
        $interface.func_wrap_async(
            concat!("[method]descriptor.", $name),
            |mut store: StoreContextMut<'_, Run>, (fd, $($argument),*): (Resource<Descriptor>, $($type),*)| {
                Box::new(async move {
                    let run = store.data_mut();
                    // Before it is done: the deadline may cut it.
                    if $changes {
                        run.changes_files();
                    }
                    answer(run.filesystem().$method(fd, $($argument),*).await)
                })
            },
        )?
    };
}

/// Watches the calls that change files. The linker already has wasmtime's interfaces.
pub(in crate::engine) fn watch_changes(linker: &mut Linker<Run>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let mut types = linker.instance(INTERFACE)?;
    watch!(
        types,
        "open-at",
        open_at,
        (links: PathFlags, path: String, open: OpenFlags, flags: DescriptorFlags),
        open.intersects(OpenFlags::CREATE | OpenFlags::TRUNCATE)
            || flags.contains(DescriptorFlags::WRITE)
    );
    watch!(types, "create-directory-at", create_directory_at, (path: String), true);
    watch!(types, "remove-directory-at", remove_directory_at, (path: String), true);
    watch!(types, "unlink-file-at", unlink_file_at, (path: String), true);
    watch!(types, "symlink-at", symlink_at, (from: String, to: String), true);
    watch!(
        types,
        "link-at",
        link_at,
        (links: PathFlags, from: String, directory: Resource<Descriptor>, to: String),
        true
    );
    watch!(
        types,
        "rename-at",
        rename_at,
        (from: String, directory: Resource<Descriptor>, to: String),
        true
    );
    watch!(types, "set-times", set_times, (accessed: NewTimestamp, changed: NewTimestamp), true);
    watch!(
        types,
        "set-times-at",
        set_times_at,
        (links: PathFlags, path: String, accessed: NewTimestamp, changed: NewTimestamp),
        true
    );
    linker.allow_shadowing(false);
    Ok(())
}

/// Returns a failure to the guest. Misuse of a handle traps instead.
fn answer<T>(done: FsResult<T>) -> wasmtime::Result<(Result<T, ErrorCode>,)> {
    match done {
        Ok(value) => Ok((Ok(value),)),
        Err(error) => Ok((Err(error.downcast()?),)),
    }
}
