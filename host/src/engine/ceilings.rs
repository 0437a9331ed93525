//! The shape of the pool: what an instance of any module has at most.

/// The largest memory that any module may be given: the pool's shape has one ceiling.
pub(crate) const MEMORY_CEILING: usize = 256 * 1024 * 1024;
/// What a component may have of each. The pool has as many for every instance, so that one module
/// cannot take what another needs.
///
/// A small Rust guest has 3 core instances, CPython with `componentize-py --stub-wasi` 38, and each
/// native extension is one more. They cost the pool nothing but a count.
pub(super) const CORE_INSTANCES: u32 = 128;
pub(super) const MEMORIES: u32 = 4;
pub(super) const TABLES: u32 = 16;
/// Elements of all tables of one instance.
pub(super) const TABLE_ELEMENTS: usize = 100_000;
