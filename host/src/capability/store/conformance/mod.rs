//! What every store must do. A backend runs all of it with [`conformance_cases`].

mod conflicts;
mod counters;
mod expiry;
mod histories;
mod listings;
mod outcomes;
mod quotas;
mod relay;
mod timers;
mod upkeep;
mod writes;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;

pub(super) use self::{
    conflicts::*, counters::*, expiry::*, histories::*, listings::*, outcomes::*, quotas::*,
    relay::*, timers::*, upkeep::*, writes::*,
};
use super::{
    Commit, CommitError, Committed, Conflicting, Data, Key, Prefix, Quota, ReadError, Store,
    TimeToLive, Transaction, Value,
};
use crate::message::ModuleName;

/// A store under test and its time.
pub(super) struct Subject {
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Box<dyn Clock>,
}

/// The time of a store, moved on by the case.
#[async_trait]
pub(super) trait Clock: Send + Sync {
    /// Moves it on.
    async fn advance(&self, span: Duration);
}

/// The cases for any store, given to another macro.
macro_rules! conformance_cases {
    ($with:ident! $how:tt) => {
        $with! {
            $how
            a_value_comes_out_as_it_went_in
            the_longest_key_and_the_largest_value_pass
            a_run_sees_its_own_writes_and_nobody_else_does_before_the_commit
            a_module_sees_its_own_keys_only
            many_keys_come_in_the_order_that_they_were_asked_for
            a_run_goes_on_after_a_flush
            modules_are_read_by_others_without_a_check
            a_changed_key_is_a_conflict_and_nothing_is_written
            a_key_that_came_or_went_is_a_conflict
            a_key_that_changed_and_changed_back_is_a_conflict
            a_key_that_was_read_twice_and_changed_between_is_found_at_once
            a_phantom_is_a_conflict
            a_key_beyond_the_page_that_was_read_is_not
            write_skew_is_a_conflict
            a_run_that_only_reads_is_checked_if_it_read_twice
            blind_writes_do_not_conflict
            an_addition_never_conflicts_with_another
            an_addition_is_seen_by_the_run_and_by_those_that_read
            only_integers_are_added_to
            integers_are_exact_to_the_last_bit
            many_runs_that_read_and_set_one_counter_lose_nothing
            an_expired_key_is_gone_and_makes_room
            what_expired_after_the_first_read_is_there_for_the_whole_run
            a_new_value_has_a_new_time_to_live
            what_has_expired_is_swept_step_by_step
            a_listing_is_in_the_order_of_bytes_and_ends
            a_listing_goes_on_where_it_ended
            a_cursor_of_another_prefix_is_refused
            own_writes_are_in_listings
            a_page_of_large_values_ends_early
            a_listing_steps_over_what_has_expired
            commits_are_numbered
            the_outcome_of_a_run_is_known
            a_run_whose_outcome_was_asked_for_does_not_commit_later
            a_message_that_is_done_is_not_done_again
            a_note_is_forgotten_in_its_time
            a_quota_of_bytes_holds_and_what_makes_room_passes
            a_quota_of_keys_holds
            what_is_relayed_comes_in_order_until_it_is_forgotten
            what_waits_to_be_relayed_is_bounded
            a_timer_is_relayed_once_when_it_is_due
            timers_are_due_in_the_order_of_their_moments_then_of_setting
            a_timer_with_a_key_that_stands_replaces_it
            timers_without_a_key_stand_side_by_side
            a_cancelled_timer_is_not_relayed
            the_last_call_of_a_run_on_a_timer_counts
            a_moment_in_the_past_is_due_at_once
            a_commit_without_effect_sets_and_cancels_no_timer
            a_quota_of_timers_holds_and_what_makes_room_passes
            a_cleared_module_has_no_timers
            timers_of_all_modules_are_due_by_one_call
            callers_at_once_move_each_timer_once
            a_step_of_large_timers_ends_early
            timers_are_listed_page_by_page
            timers_count_for_what_a_run_may_write
            an_export_is_one_moment
            a_cleared_module_has_nothing_and_goes_on_counting
            usage_follows_every_change
            histories_are_serializable
        }
    };
}
pub(super) use conformance_cases;

/// Makes a test of each case; `$make`, awaited, is what it runs on.
macro_rules! one_test_each {
    ([$test:meta; $make:expr] $($case:ident)*) => {
        $(
            #[$test]
            async fn $case() {
                $crate::capability::store::conformance::$case($make.await).await;
            }
        )*
    };
}
pub(super) use one_test_each;

fn module(name: &str) -> ModuleName {
    ModuleName::parse(name).unwrap()
}

fn key(text: &str) -> Key {
    Key::parse(text).unwrap()
}

fn prefix(text: &str) -> Prefix {
    Prefix::parse(text).unwrap()
}

fn value(text: &str) -> Value {
    Value::of_bytes(Bytes::copy_from_slice(text.as_bytes()), 0).unwrap()
}

fn text(value: Option<Value>) -> Option<String> {
    value.map(|value| match value.data {
        Data::Bytes(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
        Data::Integer(integer) => integer.to_string(),
    })
}

impl Subject {
    /// A run of the usual module.
    fn run(&self) -> Transaction {
        self.run_of("auction")
    }

    fn run_of(&self, name: &str) -> Transaction {
        Transaction::new(Arc::clone(&self.store), module(name))
    }

    async fn commit(&self, run: &mut Transaction) -> Result<Committed, CommitError> {
        self.commit_within(run, Quota::NONE).await
    }

    async fn commit_within(
        &self,
        run: &mut Transaction,
        quota: Quota,
    ) -> Result<Committed, CommitError> {
        self.store.commit(&module("auction"), run.take(quota)).await
    }

    /// A commit of the usual module that sets one key.
    fn setting(&self, name: &str, to: &str) -> Commit {
        let mut run = self.run();
        run.set(key(name), value(to), None).unwrap();
        run.take(Quota::NONE)
    }

    /// Sets keys in one run.
    async fn set(&self, entries: &[(&str, &str)]) {
        let mut run = self.run();
        for (name, to) in entries {
            run.set(key(name), value(to), None).unwrap();
        }
        self.commit(&mut run).await.unwrap();
    }

    async fn set_for(&self, name: &str, to: &str, millis: i64) {
        let mut run = self.run();
        let span = TimeToLive::from_millis(millis).unwrap();
        run.set(key(name), value(to), Some(span)).unwrap();
        self.commit(&mut run).await.unwrap();
    }

    async fn get(&self, name: &str) -> Option<String> {
        text(self.run().get(&key(name)).await.unwrap())
    }

    /// All keys of a prefix, page by page.
    async fn list(&self, run: &mut Transaction, of: &str, limit: usize) -> Vec<String> {
        let (mut keys, mut cursor) = (Vec::new(), None);
        loop {
            let listed = run.list(&prefix(of), cursor, limit).await.unwrap();
            assert!(listed.entries.len() <= limit);
            keys.extend(listed.entries.into_iter().map(|(key, _)| key.to_string()));
            cursor = listed.cursor;
            if cursor.is_none() {
                return keys;
            }
        }
    }
}

fn is_conflict_of_key(result: &Result<Committed, CommitError>, name: &str) -> bool {
    matches!(result, Err(CommitError::Conflict(Conflicting::Key(found))) if *found == key(name))
}

fn is_conflict_of_prefix(result: &Result<Committed, CommitError>, of: &str) -> bool {
    matches!(result, Err(CommitError::Conflict(Conflicting::Prefix(found))) if *found == prefix(of))
}

fn is_conflict(result: &Result<Option<Value>, ReadError>) -> bool {
    matches!(result, Err(ReadError::Conflict(_)))
}
