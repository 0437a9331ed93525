//! Random runs side by side, and a checker: replayed one after the other in the order of their numbers, each
//! must have read what the runs before it left.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::future::join_all;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::runtime::Handle;

use super::{Subject, key, module, prefix};
use crate::{
    capability::store::{CommitError, Data, Quota, ReadError, Store, Transaction, Value, Write},
    shutdown::Drain,
};

const WORKERS: u64 = 6;
const RUNS: usize = 40;
const PREFIXES: [&str; 3] = ["a:", "b:", ""];

/// What a run read.
#[derive(Clone, Debug)]
enum Saw {
    Key(String, Option<i64>),
    Prefix(&'static str, Vec<(String, i64)>),
}

/// A run that was committed. Without a number it wrote nothing.
#[derive(Clone, Debug)]
struct Run {
    number: Option<u64>,
    saw: Vec<Saw>,
    wrote: Vec<(String, Write)>,
}

type State = BTreeMap<String, i64>;

fn holds(state: &State, saw: &Saw) -> bool {
    match saw {
        Saw::Key(key, value) => state.get(key) == value.as_ref(),
        Saw::Prefix(prefix, entries) => {
            let there = state.iter().filter(|(key, _)| key.starts_with(prefix));
            there.eq(entries.iter().map(|(key, value)| (key, value)))
        }
    }
}

/// Finds the first run that cannot have been where its number says. Returns the last state otherwise.
fn check(runs: &[Run]) -> Result<State, String> {
    let mut writers: Vec<_> = runs.iter().filter(|run| run.number.is_some()).collect();
    writers.sort_by_key(|run| run.number);
    let mut states = vec![State::new()];
    for (number, run) in (1..).zip(writers) {
        if run.number != Some(number) {
            return Err(format!("{run:?} has another number than {number}"));
        }
        let mut state = states.last().cloned().unwrap_or_default();
        if let Some(saw) = run.saw.iter().find(|saw| !holds(&state, saw)) {
            return Err(format!("commit {number} saw {saw:?} in {state:?}"));
        }
        for (key, write) in &run.wrote {
            match write {
                Write::Set { value: Value { data: Data::Integer(integer), .. }, .. } => {
                    state.insert(key.clone(), *integer);
                }
                Write::Add(delta) => *state.entry(key.clone()).or_default() += delta,
                _ => drop(state.remove(key)),
            }
        }
        states.push(state);
    }
    let only_read = runs.iter().filter(|run| run.number.is_none());
    for run in only_read {
        let is_there = states.iter().any(|state| run.saw.iter().all(|saw| holds(state, saw)));
        if !is_there {
            return Err(format!("no state is what {run:?} saw"));
        }
    }
    Ok(states.pop().unwrap_or_default())
}

fn integer(value: &Value) -> i64 {
    match value.data {
        Data::Integer(integer) => integer,
        Data::Bytes(_) => panic!("only integers are written"),
    }
}

/// Reads and writes at random. None: something has changed meanwhile.
async fn attempt(run: &mut Transaction, random: &mut StdRng, unique: i64) -> Option<Vec<Saw>> {
    let any_key = |random: &mut StdRng| {
        let of = PREFIXES[random.random_range(0..2)];
        format!("{of}{}", random.random_range(0..4))
    };
    let mut saw = Vec::new();
    for _ in 0..random.random_range(0..4) {
        if random.random_range(0..3) == 0 {
            let of = PREFIXES[random.random_range(0..3)];
            let (mut entries, mut cursor) = (Vec::new(), None);
            loop {
                let listed = match run.list(&prefix(of), cursor, 2).await {
                    Ok(listed) => listed,
                    Err(ReadError::Conflict(_)) => return None,
                    Err(error) => panic!("{error}"),
                };
                let some = listed.entries.into_iter();
                entries.extend(some.map(|(key, value)| (key.to_string(), integer(&value))));
                cursor = listed.cursor;
                if cursor.is_none() {
                    break;
                }
            }
            saw.push(Saw::Prefix(of, entries));
        } else {
            let name = any_key(random);
            match run.get(&key(&name)).await {
                Ok(value) => saw.push(Saw::Key(name, value.as_ref().map(integer))),
                Err(ReadError::Conflict(_)) => return None,
                Err(error) => panic!("{error}"),
            }
        }
        tokio::task::yield_now().await;
    }
    for at in 0..random.random_range(0..3) {
        let name = key(&any_key(random));
        match random.random_range(0..4) {
            0 => run.delete(name).unwrap(),
            1 => run.add(name, 1).unwrap(),
            _ => run.set(name, Value::of_integer(unique + at), None).unwrap(),
        }
    }
    Some(saw)
}

async fn work(store: Arc<dyn Store>, worker: u64) -> Vec<Run> {
    let mut random = StdRng::seed_from_u64(worker);
    let mut runs = Vec::new();
    while runs.len() < RUNS {
        let mut run = Transaction::new(Arc::clone(&store), module("auction"));
        let unique = i64::try_from(worker * 1_000_000 + runs.len() as u64 * 1_000).unwrap();
        let Some(saw) = attempt(&mut run, &mut random, unique).await else { continue };
        let commit = run.take(Quota::NONE);
        let wrote = commit.writes.iter().map(|(key, write)| (key.to_string(), write.clone()));
        let wrote = wrote.collect();
        match store.commit(&module("auction"), commit).await {
            Ok(committed) => runs.push(Run { number: committed.number, saw, wrote }),
            Err(CommitError::Conflict(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    runs
}

pub(in super::super) async fn histories_are_serializable(subject: Subject) {
    let drain = Drain::new(Handle::current());
    let workers =
        (0..WORKERS).map(|worker| drain.spawn("worker", work(Arc::clone(&subject.store), worker)));
    let mut runs = Vec::new();
    for worker in join_all(workers).await {
        runs.extend(worker.unwrap());
    }
    let last = check(&runs).unwrap_or_else(|wrong| panic!("{wrong}"));
    let all = subject.run().list(&prefix(""), None, 1_000).await.unwrap().entries;
    let all = all.into_iter().map(|(key, value)| (key.to_string(), integer(&value)));
    assert_eq!(all.collect::<State>(), last);
}

/// The checker finds what it is there for.
mod planted {
    use super::{Run, Saw, Value, Write, check};

    fn set(to: i64) -> Write {
        Write::Set { value: Value::of_integer(to), time_to_live: None }
    }

    fn run(number: u64, saw: &[Saw], wrote: &[(&str, Write)]) -> Run {
        let wrote = wrote.iter().map(|(key, write)| ((*key).to_owned(), write.clone()));
        Run { number: (number > 0).then_some(number), saw: saw.to_vec(), wrote: wrote.collect() }
    }

    fn saw(key: &str, value: Option<i64>) -> Saw {
        Saw::Key(key.to_owned(), value)
    }

    #[test]
    fn anomalies_are_found() {
        let first = run(1, &[], &[("a:1", set(1)), ("a:2", set(1))]);
        let good = [
            first.clone(),
            run(2, &[saw("a:1", Some(1))], &[("a:1", Write::Add(2)), ("a:2", Write::Delete)]),
            run(0, &[saw("a:1", Some(3)), saw("a:2", None)], &[]),
        ];
        assert_eq!(check(&good).unwrap().into_iter().collect::<Vec<_>>(), [("a:1".to_owned(), 3)]);
        let lost_update = [
            first.clone(),
            run(2, &[saw("a:1", Some(1))], &[("a:1", set(2))]),
            run(3, &[saw("a:1", Some(1))], &[("a:1", set(3))]),
        ];
        let write_skew = [
            first.clone(),
            run(2, &[saw("a:1", Some(1)), saw("a:2", Some(1))], &[("a:1", Write::Delete)]),
            run(3, &[saw("a:1", Some(1)), saw("a:2", Some(1))], &[("a:2", Write::Delete)]),
        ];
        let both = vec![("a:1".to_owned(), 1), ("a:2".to_owned(), 1)];
        let phantom = [
            first.clone(),
            run(2, &[], &[("a:3", set(2))]),
            run(3, &[Saw::Prefix("a:", both)], &[("b:1", set(3))]),
        ];
        let never_written = [first.clone(), run(2, &[saw("a:1", Some(7))], &[("b:1", set(2))])];
        let half = [first.clone(), run(0, &[saw("a:1", Some(1)), saw("a:2", None)], &[])];
        let number_twice = [first.clone(), first];
        let mixed: [&[Run]; 6] =
            [&lost_update, &write_skew, &phantom, &never_written, &half, &number_twice];
        for runs in mixed {
            assert!(check(runs).is_err(), "{runs:?}");
        }
    }
}
