//! What `fuzz/` reaches: the look at an uploaded file before anything is compiled.

use super::{FileLimits, file_limits, wasip1};

/// A file is refused, or is of a size that may be compiled. What a component is made of is looked at
/// like one that was uploaded.
pub fn upload(file: &[u8]) {
    let limits = FileLimits::default();
    if file_limits::inspect(file, &limits).is_err() {
        return;
    }
    if let Ok(component) = wasip1::component(file) {
        drop(file_limits::inspect(&component, &limits));
    }
}
