//! What `fuzz/` reaches: the look at an uploaded file before anything is compiled.

use super::{FileLimits, adapt, structure};

/// A file is refused, or is of a size that may be compiled. What a component is made of is looked at
/// like one that was uploaded.
pub fn upload(file: &[u8]) {
    let limits = FileLimits::default();
    if structure::inspect(file, &limits).is_err() {
        return;
    }
    if let Ok(component) = adapt::component(file) {
        drop(structure::inspect(&component, &limits));
    }
}
