//! The scripts of the module store.

crate::redis::declare_scripts! {
    store_load store_file store_offer store_commit store_delete store_meet
}
