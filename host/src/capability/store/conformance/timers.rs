//! Parcels that are stored for later.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::runtime::Handle;

use super::{Subject, is_conflict_of_key, key, module, value};
use crate::{
    capability::store::{
        Commit, CommitError, Counted, Due, DueTime, InputError, Parcel, Quota, RunId, TimerPlace,
        TimerWrite, Transaction, Usage, WRITES_MAX, WRITTEN_BYTES_MAX,
    },
    shutdown::Drain,
};

const SECOND: Duration = Duration::from_secs(1);
const ALL: usize = 1_000;

fn parcel(target: &str) -> Parcel {
    Parcel { target: target.to_owned(), payload: Bytes::from_static(b"\0\xffpayload") }
}

fn after(seconds: u64) -> DueTime {
    DueTime::after_millis(seconds * 1_000).unwrap()
}

/// The same moment for each call with the same argument.
fn at(since_1970: Duration) -> DueTime {
    DueTime::at_millis(since_1970.as_millis().try_into().unwrap()).unwrap()
}

fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap()
}

/// Sets a timer whose parcel goes to a target of its own name, or of `anonymous`.
fn set(run: &mut Transaction, name: Option<&str>, due: DueTime) {
    run.set_timer(name.map(key), due, parcel(name.unwrap_or("anonymous"))).unwrap();
}

impl Subject {
    async fn set_timer(&self, name: &str, due: DueTime) {
        let mut run = self.run();
        set(&mut run, Some(name), due);
        self.commit(&mut run).await.unwrap();
    }

    /// Moves all that is due. Returns how long it takes until the next.
    async fn move_due(&self) -> Option<Duration> {
        loop {
            match self.store.due(ALL).await.unwrap() {
                Due { next: Some(Duration::ZERO), .. } => {}
                Due { next, .. } => return next,
            }
        }
    }

    /// Where the parcels go that wait.
    async fn targets(&self) -> Vec<String> {
        let waiting = self.store.waiting(&module("auction"), None, 10_000).await.unwrap();
        waiting.into_iter().map(|(_, parcel)| parcel.target).collect()
    }

    async fn standing(&self) -> Vec<String> {
        let timers = self.store.timers(&module("auction"), None, 10_000).await.unwrap();
        let names = timers.into_iter().map(|timer| {
            let name = timer.key.map_or_else(|| "anonymous".to_owned(), |key| key.to_string());
            assert_eq!(timer.target, name);
            name
        });
        names.collect()
    }

    async fn usage(&self) -> Usage {
        self.store.usage(&module("auction")).await.unwrap()
    }
}

pub(in super::super) async fn a_timer_is_relayed_once_when_it_is_due(subject: Subject) {
    let auction = module("auction");
    assert_eq!(subject.store.due(ALL).await.unwrap(), Due::default());
    subject.set_timer("close", after(1_000)).await;
    let usage = Usage { number: 1, timers: 1, ..Usage::default() };
    assert_eq!(subject.usage().await, usage);
    assert_eq!(subject.store.modules().await.unwrap(), [module("auction")]);
    subject.clock.advance(800 * SECOND).await;
    let next = subject.move_due().await.unwrap();
    assert!(next > SECOND && next <= 200 * SECOND, "{next:?}");
    assert!(subject.targets().await.is_empty());
    subject.clock.advance(200 * SECOND).await;
    let due = subject.store.due(ALL).await.unwrap();
    assert_eq!(due, Due { modules: vec![auction.clone()], next: None });
    let waiting = subject.store.waiting(&auction, None, ALL).await.unwrap();
    let [(place, moved)] = waiting.as_slice() else { panic!("{waiting:?}") };
    assert_eq!((place.number, place.at, moved), (2, 0, &parcel("close")));
    let usage = Usage { number: 2, relayed: 1, ..Usage::default() };
    assert_eq!(subject.usage().await, usage);
    assert!(subject.standing().await.is_empty());
    assert_eq!(subject.store.due(ALL).await.unwrap(), Due::default());
    subject.store.forget(&auction, &[*place]).await.unwrap();
    subject.set_timer("close", after(0)).await;
    assert_eq!(subject.usage().await.number, 3);
    subject.move_due().await;
    assert_eq!(subject.targets().await, ["close"]);
}

pub(in super::super) async fn timers_are_due_in_the_order_of_their_moments_then_of_setting(
    subject: Subject,
) {
    let noon = now() + 5_000 * SECOND;
    let mut run = subject.run();
    for (name, due) in [("z", at(noon)), ("late", at(noon + SECOND)), ("y", at(noon))] {
        set(&mut run, Some(name), due);
    }
    set(&mut run, Some("early"), at(noon - SECOND));
    subject.commit(&mut run).await.unwrap();
    // More than nine commits, with keys and without.
    let mut expected: Vec<String> = ["early", "z", "y"].map(str::to_owned).into();
    for number in (0..11).rev() {
        let name = (number % 3 > 0).then(|| format!("k:{number}"));
        let mut run = subject.run();
        set(&mut run, name.as_deref(), at(noon));
        subject.commit(&mut run).await.unwrap();
        expected.push(name.unwrap_or_else(|| "anonymous".to_owned()));
    }
    expected.push("late".to_owned());
    assert_eq!(subject.standing().await, expected);
    subject.clock.advance(6_000 * SECOND).await;
    // Steps that end among timers of one moment.
    for moved in [2, 4, 6] {
        let due = subject.store.due(2).await.unwrap();
        assert_eq!(due, Due { modules: vec![module("auction")], next: Some(Duration::ZERO) });
        assert_eq!(subject.targets().await, expected[..moved]);
    }
    subject.move_due().await;
    assert_eq!(subject.targets().await, expected);
}

pub(in super::super) async fn a_timer_with_a_key_that_stands_replaces_it(subject: Subject) {
    subject.set_timer("a", after(1_000)).await;
    subject.set_timer("b", after(4_000)).await;
    let mut run = subject.run();
    let later = Parcel { target: "later".to_owned(), ..parcel("a") };
    run.set_timer(Some(key("a")), after(3_000), later).unwrap();
    set(&mut run, Some("b"), after(10));
    subject.commit(&mut run).await.unwrap();
    assert_eq!(subject.usage().await.timers, 2);
    subject.clock.advance(2_000 * SECOND).await;
    let next = subject.move_due().await.unwrap();
    assert!(next <= 1_000 * SECOND, "{next:?}");
    assert_eq!(subject.targets().await, ["b"]);
    subject.clock.advance(1_000 * SECOND).await;
    assert_eq!(subject.move_due().await, None);
    assert_eq!(subject.targets().await, ["b", "later"]);
    // One that was moved does not stand any more.
    subject.set_timer("a", after(10)).await;
    assert_eq!(subject.usage().await.timers, 1);
}

pub(in super::super) async fn timers_without_a_key_stand_side_by_side(subject: Subject) {
    let mut run = subject.run();
    for _ in 0..3 {
        set(&mut run, None, after(10));
    }
    subject.commit(&mut run).await.unwrap();
    assert_eq!(subject.usage().await.timers, 3);
    subject.clock.advance(10 * SECOND).await;
    subject.move_due().await;
    assert_eq!(subject.targets().await, ["anonymous"; 3]);
}

pub(in super::super) async fn a_cancelled_timer_is_not_relayed(subject: Subject) {
    subject.set_timer("a", after(1_000)).await;
    subject.set_timer("é \0\n{}", after(2_000)).await;
    let mut run = subject.run();
    run.cancel_timer(key("a")).unwrap();
    run.cancel_timer(key("not there")).unwrap();
    assert!(run.changes_something());
    let committed = subject.commit(&mut run).await.unwrap();
    assert_eq!(committed.number, Some(3));
    assert_eq!(subject.usage().await.timers, 1);
    let next = subject.store.due(ALL).await.unwrap().next.unwrap();
    assert!(next > 1_000 * SECOND, "{next:?}");
    let mut run = subject.run();
    run.cancel_timer(key("é \0\n{}")).unwrap();
    subject.commit(&mut run).await.unwrap();
    subject.clock.advance(5_000 * SECOND).await;
    assert_eq!(subject.store.due(ALL).await.unwrap(), Due::default());
    assert_eq!(subject.usage().await, Usage { number: 4, ..Usage::default() });
}

pub(in super::super) async fn the_last_call_of_a_run_on_a_timer_counts(subject: Subject) {
    let mut run = subject.run();
    set(&mut run, Some("a"), after(1_000));
    set(&mut run, Some("b"), after(20));
    set(&mut run, Some("a"), after(30));
    set(&mut run, Some("gone"), after(1));
    run.cancel_timer(key("gone")).unwrap();
    run.cancel_timer(key("back")).unwrap();
    set(&mut run, Some("back"), after(10));
    subject.commit(&mut run).await.unwrap();
    assert!(!run.changes_something());
    assert_eq!(subject.standing().await, ["back", "b", "a"]);
    // A commit may name a key several times, too.
    let write = |due| TimerWrite::Set { key: Some(key("a")), due, parcel: parcel("a") };
    let mut commit = Commit::new(RunId::random(), Quota::NONE);
    commit.timers = vec![
        write(after(2)),
        TimerWrite::Cancel { key: key("a") },
        TimerWrite::Cancel { key: key("a") },
        write(after(5_000)),
        write(after(1)),
        TimerWrite::Cancel { key: key("b") },
        TimerWrite::Cancel { key: key("b") },
    ];
    subject.store.commit(&module("auction"), commit).await.unwrap();
    assert_eq!(subject.standing().await, ["a", "back"]);
    assert_eq!(subject.usage().await.timers, 2);
}

pub(in super::super) async fn a_moment_in_the_past_is_due_at_once(subject: Subject) {
    let mut run = subject.run();
    set(&mut run, Some("first"), at(now() - 1_000 * SECOND));
    set(&mut run, Some("second"), at(Duration::ZERO));
    set(&mut run, None, after(0));
    subject.commit(&mut run).await.unwrap();
    assert_eq!(subject.move_due().await, None);
    assert_eq!(subject.targets().await, ["first", "second", "anonymous"]);
}

pub(in super::super) async fn a_commit_without_effect_sets_and_cancels_no_timer(subject: Subject) {
    subject.set(&[("a", "1")]).await;
    subject.set_timer("stays", after(10)).await;
    let mut run = subject.run();
    run.get(&key("a")).await.unwrap();
    set(&mut run, Some("never"), after(0));
    run.cancel_timer(key("stays")).unwrap();
    subject.set(&[("a", "2")]).await;
    assert!(is_conflict_of_key(&subject.commit(&mut run).await, "a"));
    assert_eq!(subject.standing().await, ["stays"]);
    assert_eq!(subject.usage().await.timers, 1);
    // Its outcome is known like that of any commit.
    let mut run = subject.run();
    set(&mut run, None, after(10));
    let twice = run.take(Quota::NONE);
    for _ in 0..2 {
        subject.store.commit(&module("auction"), twice.clone()).await.unwrap();
    }
    assert_eq!(subject.standing().await, ["stays", "anonymous"]);
}

pub(in super::super) async fn a_quota_of_timers_holds_and_what_makes_room_passes(subject: Subject) {
    let quota = Quota { timers: 2, ..Quota::NONE };
    let mut run = subject.run();
    set(&mut run, Some("a"), after(1_000));
    set(&mut run, None, after(2_000));
    subject.commit_within(&mut run, quota).await.unwrap();
    for name in [Some("b"), None] {
        let mut run = subject.run();
        set(&mut run, name, after(10));
        run.set(key("n"), value("1"), None).unwrap();
        let refused = subject.commit_within(&mut run, quota).await;
        let expected = CommitError::Quota { what: Counted::Timers, needed: 3, limit: 2 };
        assert_eq!(refused, Err(expected));
    }
    assert_eq!(subject.get("n").await, None);
    assert_eq!(subject.standing().await, ["a", "anonymous"]);
    let mut run = subject.run();
    set(&mut run, Some("a"), after(3_000));
    subject.commit_within(&mut run, quota).await.unwrap();
    let mut run = subject.run();
    run.cancel_timer(key("a")).unwrap();
    set(&mut run, Some("b"), after(3_000));
    subject.commit_within(&mut run, quota).await.unwrap();
    // With a smaller quota what leaves no more than there was passes.
    let smaller = Quota { timers: 1, ..quota };
    let mut run = subject.run();
    set(&mut run, Some("b"), after(4_000));
    subject.commit_within(&mut run, smaller).await.unwrap();
    let mut run = subject.run();
    run.cancel_timer(key("b")).unwrap();
    subject.commit_within(&mut run, smaller).await.unwrap();
    // What is due makes room, and is relayed whatever the quota of parcels is.
    subject.clock.advance(2_000 * SECOND).await;
    subject.move_due().await;
    assert_eq!(subject.usage().await.relayed, 1);
    let mut run = subject.run();
    set(&mut run, None, after(10));
    subject.commit_within(&mut run, Quota { relayed: 0, ..smaller }).await.unwrap();
}

pub(in super::super) async fn a_cleared_module_has_no_timers(subject: Subject) {
    let auction = module("auction");
    let mut run = subject.run();
    for number in 0..1_200 {
        set(&mut run, (number % 2 > 0).then(|| number.to_string()).as_deref(), after(10));
    }
    subject.commit(&mut run).await.unwrap();
    let mut other = subject.run_of("auction-2");
    set(&mut other, Some("1"), after(20));
    subject.store.commit(&module("auction-2"), other.take(Quota::NONE)).await.unwrap();
    subject.store.clear(&auction).await.unwrap();
    assert_eq!(subject.usage().await, Usage { number: 1, ..Usage::default() });
    assert_eq!(subject.store.modules().await.unwrap(), [module("auction-2")]);
    assert!(subject.standing().await.is_empty());
    subject.clock.advance(100 * SECOND).await;
    let due = subject.store.due(ALL).await.unwrap();
    assert_eq!(due, Due { modules: vec![module("auction-2")], next: None });
    // No key of before is in the way.
    subject.set_timer("1", after(10)).await;
    assert_eq!(subject.usage().await, Usage { number: 2, timers: 1, ..Usage::default() });
}

pub(in super::super) async fn timers_of_all_modules_are_due_by_one_call(subject: Subject) {
    let names = ["auction", "b", "c", "d", "e"];
    for (seconds, name) in (1..).zip(names) {
        let mut run = subject.run_of(name);
        set(&mut run, Some("a"), after(1_000 * seconds));
        set(&mut run, Some("later"), after(10_000));
        subject.store.commit(&module(name), run.take(Quota::NONE)).await.unwrap();
    }
    let next = subject.move_due().await.unwrap();
    assert!(next <= 1_000 * SECOND, "{next:?}");
    subject.clock.advance(3_500 * SECOND).await;
    let mut moved = subject.store.due(ALL).await.unwrap();
    moved.modules.sort();
    assert_eq!(moved.modules, ["auction", "b", "c"].map(module));
    assert!(moved.next.unwrap() <= 500 * SECOND, "{:?}", moved.next);
    for name in names {
        let usage = subject.store.usage(&module(name)).await.unwrap();
        let expected = if ["d", "e"].contains(&name) { (2, 0) } else { (1, 1) };
        assert_eq!((usage.timers, usage.relayed), expected, "{name}");
    }
}

pub(in super::super) async fn callers_at_once_move_each_timer_once(subject: Subject) {
    const TIMERS: usize = 500;
    let mut run = subject.run();
    for number in 0..TIMERS {
        let seconds = u64::try_from(number).unwrap();
        run.set_timer(None, after(seconds), parcel(&number.to_string())).unwrap();
    }
    subject.commit(&mut run).await.unwrap();
    subject.clock.advance(1_000 * SECOND).await;
    let callers = (0..4).map(|_| {
        let store = Arc::clone(&subject.store);
        let moves = async move { while store.due(7).await.unwrap().next.is_some() {} };
        Drain::new(Handle::current()).spawn("caller", moves)
    });
    for caller in join_all(callers).await {
        caller.unwrap();
    }
    let expected: Vec<_> = (0..TIMERS).map(|number| number.to_string()).collect();
    assert_eq!(subject.targets().await, expected);
    let usage = subject.usage().await;
    assert_eq!((usage.timers, usage.relayed), (0, 500));
}

pub(in super::super) async fn a_step_of_large_timers_ends_early(subject: Subject) {
    let payload = Bytes::from(vec![0xab; 2 * 1024 * 1024]);
    let mut run = subject.run();
    for _ in 0..5 {
        let large = Parcel { target: "large".to_owned(), payload: payload.clone() };
        run.set_timer(None, after(0), large).unwrap();
    }
    subject.commit(&mut run).await.unwrap();
    let due = subject.store.due(ALL).await.unwrap();
    assert_eq!(due, Due { modules: vec![module("auction")], next: Some(Duration::ZERO) });
    assert_eq!(subject.usage().await.relayed, 2);
    subject.move_due().await;
    assert_eq!(subject.usage().await.relayed, 5);
}

pub(in super::super) async fn timers_are_listed_page_by_page(subject: Subject) {
    let noon = now() + 5_000 * SECOND;
    let mut run = subject.run();
    for number in 0..20 {
        // Most of them are due at one moment.
        let due = if number < 15 { at(noon) } else { at(noon + number * SECOND) };
        set(&mut run, (number % 4 > 0).then(|| number.to_string()).as_deref(), due);
    }
    subject.commit(&mut run).await.unwrap();
    let all = subject.standing().await;
    assert_eq!(all[..3], ["anonymous", "1", "2"]);
    let list = async |after: Option<TimerPlace>, limit| {
        subject.store.timers(&module("auction"), after, limit).await.unwrap()
    };
    let (mut names, mut last) = (Vec::new(), None);
    loop {
        let page = list(last, 3).await;
        let Some(end) = page.last() else { break };
        last = Some(end.place);
        names.extend(page.into_iter().map(|timer| timer.target));
    }
    assert_eq!(names, all);
    let millis = u64::try_from(noon.as_millis()).unwrap();
    let first = &list(None, 1).await[0];
    assert_eq!(first.place.due.0, millis * 1_000);
    // It goes on where it ended although the timer there is gone.
    let fifth = list(None, 6).await[5].place;
    let mut run = subject.run();
    run.cancel_timer(key("5")).unwrap();
    subject.commit(&mut run).await.unwrap();
    assert_eq!(list(Some(fifth), 1).await[0].target, "6");
    assert!(list(None, 0).await.is_empty());
    assert!(subject.store.timers(&module("other"), None, 10).await.unwrap().is_empty());
}

pub(in super::super) async fn timers_count_for_what_a_run_may_write(subject: Subject) {
    let mut run = subject.run();
    set(&mut run, Some("own"), after(10));
    for _ in 0..WRITES_MAX - 2 {
        set(&mut run, None, after(10));
    }
    run.set(key("a"), value("1"), None).unwrap();
    let refused = Err(InputError::TooManyWrites { limit: WRITES_MAX });
    assert_eq!(run.set(key("b"), value("1"), None), refused);
    assert_eq!(run.cancel_timer(key("b")), refused);
    assert_eq!(run.set_timer(None, after(10), parcel("b")), refused);
    run.set_timer(Some(key("own")), after(20), parcel("own")).unwrap();
    subject.commit(&mut run).await.unwrap();
    assert_eq!(subject.usage().await.timers, WRITES_MAX as u64 - 1);
    let large = |bytes| Parcel { target: "t".to_owned(), payload: Bytes::from(vec![0; bytes]) };
    let half = WRITTEN_BYTES_MAX / 2;
    let mut run = subject.run();
    run.set_timer(Some(key("a")), after(10), large(half)).unwrap();
    let refused = run.set_timer(None, after(10), large(half));
    assert_eq!(refused, Err(InputError::TooManyBytes { limit: WRITTEN_BYTES_MAX }));
    run.set_timer(Some(key("a")), after(10), large(half + 1)).unwrap();
    run.cancel_timer(key("a")).unwrap();
    run.set_timer(None, after(10), large(half)).unwrap();
    run.take(Quota::NONE);
    run.set_timer(None, after(10), large(half)).unwrap();
}
