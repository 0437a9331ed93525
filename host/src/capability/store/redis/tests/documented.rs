//! `docs/store.md` names all keys and scripts that there are, and no others.

use crate::redis::documented::{Documented, allowed};

const LAYER: &str = include_str!("../../../../../../docs/redis.md");
const DOCUMENTED: Documented = Documented {
    page: include_str!("../../../../../../docs/store.md"),
    folders: &["capability/store/redis/scripts"],
};

#[test]
fn every_script_is_documented() {
    DOCUMENTED.assert_has_every_script();
}

#[test]
fn every_key_is_documented() {
    DOCUMENTED.assert_has_every_key();
}

/// Otherwise a user of the documented ACL cannot run the script.
#[test]
fn every_command_of_scripts_is_in_the_documented_acl() {
    DOCUMENTED.assert_may_be_run_with(&allowed(LAYER, "ACL SETUSER tidegate on"));
}
