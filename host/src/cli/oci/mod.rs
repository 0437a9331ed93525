//! Modules in OCI registries, in the layout of the CNCF: a manifest with one layer, the file.
//!
//! <https://tag-runtime.cncf.io/wgs/wasm/deliverables/wasm-oci-artifact/>

mod artifact;
mod error;
mod pull;
mod push;
mod reference;
mod registry;

pub(super) use self::{
    error::RegistryError,
    pull::{Pulled, pull},
    push::push,
    reference::Place,
};
