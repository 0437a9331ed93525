//! What every channel layer must do. A backend runs all of it with [`conformance_cases`] and [`presence_cases`].
//!
//! The cases are those of asgiref's suite and what it left open: order, concurrent readers, fairness,
//! exact expiry, renewal of memberships, the longest names, the largest message, sending later.

mod channels;
mod groups;
mod histories;
mod inboxes;
mod lasting;
mod later;
mod online;
mod presence;
mod waiting;

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::{advance, timeout};

pub(super) use self::{
    channels::*, groups::*, histories::*, inboxes::*, lasting::*, later::*, online::*, presence::*,
    waiting::*,
};
use super::{Capacities, ChannelLayer, Dispatch, LastingChannels, LayerConfig, Owners, Received};
use crate::{
    message::{
        ChannelName, Content, CorrelationId, GroupName, LocalName, Message, ModuleName, NodeName,
        Payload,
    },
    telemetry::Metrics,
};

/// A layer under test, what it counted as lost, and its time.
pub(super) struct Subject {
    pub(super) layer: Arc<dyn ChannelLayer>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) clock: Box<dyn Clock>,
}

/// The time of a layer, moved on by the case.
#[async_trait]
pub(super) trait Clock: Send + Sync {
    /// Moves it on.
    async fn advance(&self, span: Duration);

    /// How long the real clock runs until it is certain that there is nothing.
    fn patience(&self) -> Duration;

    /// How much of a span may be over already when somebody looks.
    fn grain(&self) -> Duration;
}

/// The paused clock of the runtime: it moves on by itself only when nothing else can happen.
pub(super) struct Paused;

#[async_trait]
impl Clock for Paused {
    async fn advance(&self, span: Duration) {
        advance(span).await;
    }

    fn patience(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn grain(&self) -> Duration {
        Duration::from_millis(1)
    }
}

/// The settings that the cases count on.
pub(super) fn config() -> LayerConfig {
    LayerConfig {
        message_bytes: 1_000,
        capacities: Capacities::new(5, [("small.*", 1)]).unwrap(),
        expiry: Duration::from_secs(60),
        group_expiry: Duration::from_secs(600),
        groups_per_connection: Some(3),
        presence_members: 20,
        inbox_bytes: 2_000,
        delayed_messages: 10,
        total_bytes: 4_000,
    }
}

/// Makes a test of each case; `$make`, awaited, is what it runs on.
macro_rules! one_test_each {
    ([$test:meta; $make:expr] $($case:ident)*) => {
        $(
            #[$test]
            async fn $case() {
                $crate::layer::conformance::$case($make.await).await;
            }
        )*
    };
}
pub(super) use one_test_each;

/// The cases for what shares out slots among all channels at once, given to another macro.
macro_rules! fairness_cases {
    ($with:ident! $how:tt) => {
        $with! {
            $how
            the_module_that_holds_fewest_is_served_first
            a_module_at_its_ceiling_is_left_out
        }
    };
}
pub(super) use fairness_cases;

/// The cases for any layer, given to another macro.
macro_rules! conformance_cases {
    ($with:ident! $how:tt) => {
        $with! {
            $how
            a_message_is_received_once_and_in_order
            a_reader_of_many_channels_gets_each_message_with_its_channel
            content_comes_out_as_it_went_in
            a_full_channel_refuses_and_takes_again_when_read
            capacities_go_by_pattern
            a_message_expires_exactly_and_is_counted
            an_expired_message_makes_room
            a_message_may_say_how_long_it_waits
            concurrent_readers_lose_and_double_nothing
            a_worker_that_stops_loses_nothing
            a_busy_channel_does_not_starve_a_quiet_one
            names_of_99_bytes_carry_messages
            the_largest_message_passes_and_one_byte_more_does_not
            a_later_message_comes_neither_early_nor_twice
            later_messages_come_in_order_of_their_time
            too_many_later_messages_are_refused
            a_later_message_waits_for_room_and_then_expires
            a_group_message_reaches_members_once_each
            leaving_a_group_ends_it_and_is_idempotent
            a_membership_expires_unless_renewed
            a_full_member_misses_a_group_message_and_the_sender_is_told
            group_messages_to_connections_come_as_one_entry_for_a_node
            a_message_to_a_connection_arrives_in_the_inbox_in_order
            an_inbox_is_bounded_in_bytes_and_done_marks_always_fit
            a_closed_inbox_takes_its_memberships_along
            leaving_all_groups_at_once
            a_join_that_finds_no_room_fails_and_leaves_the_other_members
            a_connection_is_a_member_of_so_many_groups_and_a_named_channel_of_any_number
            a_message_to_a_user_reaches_each_connection_and_no_other
            a_user_has_so_many_connections_and_the_newest_is_refused
            the_oldest_connections_of_a_user_make_room_for_a_new_one
            the_group_of_a_user_does_not_count_among_those_of_a_connection
            connections_of_users_end_with_their_node
            who_joins_from_a_position_gets_all_behind_it_in_order_and_once
            a_position_that_the_history_does_not_have_is_told_as_a_gap
            a_history_keeps_so_many_messages_for_so_long
            a_history_is_read_page_by_page
            who_reads_groups_without_messages_pushes_out_none_that_has_some
            what_is_too_much_to_catch_up_with_is_told_as_a_gap
            a_module_that_is_full_takes_nothing_from_who_is_up_to_date
            an_end_is_for_those_who_are_there
            members_of_either_kind_get_each_message_once
            concurrent_senders_leave_no_hole_and_nothing_out_of_order
            a_member_that_leaves_gets_nothing_more
            a_group_that_is_not_remembered_has_no_history
            room_is_told_when_a_full_channel_is_read
            statistics_tell_depth_and_age
            a_probe_counts_as_sent_and_as_received
            a_message_that_is_done_does_not_come_again
            a_message_that_failed_comes_again_after_its_pause_and_then_goes_to_the_dead
            a_message_whose_worker_is_gone_comes_again
            a_lasting_message_outlives_the_usual_expiry
            waiting_messages_are_shown_in_pages_and_stay
            a_dead_letter_is_moved_to_its_channel_where_its_tries_count_anew
            what_finds_no_room_is_not_moved
            a_text_that_is_no_id_finds_nothing
        }
    };
}
pub(super) use conformance_cases;

/// The cases of presence, given to another macro. They wait for many things, so they run apart from cases that say how
/// soon something is.
macro_rules! presence_cases {
    ($with:ident! $how:tt) => {
        $with! {
            $how
            a_member_with_three_connections_is_one_and_leaves_with_its_last
            a_connection_may_become_another_member
            clients_get_a_list_and_then_what_changes
            who_comes_back_in_time_causes_nothing
            a_channel_is_told_who_comes_and_goes
            who_came_and_left_between_two_announcements_stays_with_nobody
            who_got_a_count_gets_a_list_once_there_may_be_one
            a_module_in_a_group_of_another_leaves_its_rule_as_it_is
            beyond_the_list_clients_get_the_count_and_later_a_list_again
            members_come_in_parts_and_in_order
            a_group_holds_so_many_members_and_a_member_so_many_connections
            a_closed_inbox_takes_its_members_along
            random_joins_and_leaves_are_those_of_a_model
        }
    };
}
pub(super) use presence_cases;

fn channel(name: &str) -> ChannelName {
    ChannelName::parse(name).unwrap()
}

fn group(name: &str) -> GroupName {
    GroupName::parse(name).unwrap()
}

fn id() -> CorrelationId {
    CorrelationId::random()
}

/// `{"n": number}`
fn content(number: u8) -> Content {
    Content::parse(Bytes::from(vec![0x81, 0xa1, b'n', 0xcc, number])).unwrap()
}

/// A map of exactly so many bytes.
fn content_of(bytes: u16) -> Content {
    let mut map = vec![0x81, 0xa1, b'b', 0xc5];
    let filler = bytes - 6;
    map.extend(filler.to_be_bytes());
    map.extend(vec![0; filler.into()]);
    Content::parse(map.into()).unwrap()
}

fn message(number: u8) -> Message {
    Message::custom(content(number), id())
}

/// A reader of some channels, each of which belongs to a module of the same name.
struct Reader {
    owners: Arc<Owners>,
    lasting: Arc<LastingChannels>,
    held: HashMap<ModuleName, usize>,
    max: usize,
    ceiling: usize,
    /// What came beside the message that was taken: a slot that a slow call asked for is asked for elsewhere, too.
    beside: Mutex<VecDeque<Received>>,
}

impl Reader {
    fn of(channels: &[&str]) -> Self {
        let owned = channels.iter().enumerate();
        let module = |at: usize| ModuleName::parse(&format!("module-{at}")).unwrap();
        let owners: Owners = owned.map(|(at, name)| (channel(name), module(at))).collect();
        let owners = Arc::new(owners);
        Self {
            owners,
            lasting: Arc::default(),
            held: HashMap::new(),
            max: 1,
            ceiling: 100,
            beside: Mutex::default(),
        }
    }

    /// A worker with this demand.
    fn attach(&self, layer: &dyn ChannelLayer) -> Worker {
        let slots = self.max + self.held.values().sum::<usize>();
        let worker = Worker(Dispatch::new(slots, self.ceiling));
        for (module, slots) in &self.held {
            worker.0.hold(module, *slots);
        }
        worker.0.read(Arc::clone(&self.owners), Arc::clone(&self.lasting));
        layer.attach(&worker.0);
        worker
    }

    /// What a worker with this demand is handed. It stops when it has the first message, or after
    /// `patience`.
    async fn receive(&self, layer: &dyn ChannelLayer, patience: Duration) -> Vec<Received> {
        let worker = self.attach(layer);
        let first = timeout(patience, worker.0.next(layer)).await;
        worker.0.close();
        let mut received: Vec<_> = first.ok().flatten().into_iter().collect();
        while let Some(next) = worker.0.next(layer).await {
            received.push(next);
        }
        received
    }

    /// What there is now; nothing is waited for.
    async fn ready(&self, subject: &Subject) -> Vec<(String, u8)> {
        let received = self.receive(&*subject.layer, subject.clock.patience()).await;
        received.into_iter().map(numbered).collect()
    }

    async fn take(&self, layer: &Arc<dyn ChannelLayer>) -> Received {
        if let Some(beside) = self.beside.lock().unwrap().pop_front() {
            return beside;
        }
        let mut received = self.receive(&**layer, Duration::MAX).await.into_iter();
        let first = received.next().unwrap();
        self.beside.lock().unwrap().extend(received);
        first
    }

    async fn next(&self, layer: &Arc<dyn ChannelLayer>) -> (String, u8) {
        numbered(self.take(layer).await)
    }
}

/// Ends its demand when it is dropped.
struct Worker(Arc<Dispatch>);

impl Worker {
    /// The next message, whose slot is free again.
    async fn next(&self, layer: &Arc<dyn ChannelLayer>) -> (String, u8) {
        let received = self.0.next(&**layer).await.unwrap();
        self.0.release(&received.module);
        numbered(received)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.0.close();
    }
}

fn numbered(received: Received) -> (String, u8) {
    let Payload::Custom(content) = received.message.payload else { panic!("no event was sent") };
    (received.channel.to_string(), *content.as_bytes().last().unwrap())
}

async fn numbers(reader: &Reader, subject: &Subject) -> Vec<u8> {
    let mut numbers = Vec::new();
    loop {
        match &reader.ready(subject).await[..] {
            [] => return numbers,
            received => numbers.extend(received.iter().map(|(_, number)| *number)),
        }
    }
}

fn connection(node: &NodeName) -> (ChannelName, LocalName) {
    let local = LocalName::random();
    (ChannelName::of_connection(node, &local), local)
}
