//! The scripts of what the admin API keeps.

crate::redis::declare_scripts! {
    admin_tokens admin_token_add admin_token_revoke admin_token_used
    admin_once_begin admin_once_end
}
