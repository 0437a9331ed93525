//! The data of a module: transactions, conflicts, time to live, listings, schemas and rules.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidegate_sdk::testing::TestHost;
use tidegate_sdk::{
    Context, Error, OldValue, Request, Result, StoreError, Stored, channel, export, http,
};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Item {
    name: String,
    price: u32,
}

impl Stored for Item {}

fn tea(price: u32) -> Item {
    Item { name: "tea".to_owned(), price }
}

/// Reads, changes and writes an item in one run. The query says what else it does.
#[http("POST /raise/{key}")]
fn raise(cx: &mut Context, request: &Request, key: &str) -> Result<String> {
    let store = cx.store();
    let mut item = store.get(key)?.unwrap_or_else(|| tea(0));
    item.price += 1;
    store.set(key, &item)?;
    assert_eq!(store.get(key)?, Some(tea(item.price)), "a run sees its own writes");
    cx.info(format!("raised to {}", item.price));
    cx.send("store.raised", &item)?;
    match request.query("then").as_deref() {
        Some("fail") => Err(Error::failed("on purpose")),
        Some("panic") => panic!("on purpose"),
        Some("refuse") => Err(Error::bad_request("answered, so that it stays")),
        Some("flush") => {
            cx.flush()?;
            store.get::<Item>("other")?;
            store.set("after", &1)?;
            Ok(item.price.to_string())
        }
        _ => Ok(item.price.to_string()),
    }
}

#[channel("store.raised")]
fn raised(cx: &mut Context, item: &Item) -> Result<()> {
    Ok(cx.store().add("raised", item.price.into())?)
}

#[http("POST /add/{key}/{delta}")]
fn add(cx: &mut Context, key: &str, delta: i64) -> Result<&'static str> {
    cx.store().add(key, delta)?;
    Ok("done")
}

#[http("POST /remember/{key}/{seconds}")]
fn remember(cx: &mut Context, key: &str, seconds: u64) -> Result<&'static str> {
    cx.store().set_for(key, &tea(1), Duration::from_secs(seconds))?;
    Ok("done")
}

#[http("GET /item/{key}")]
fn item(cx: &mut Context, key: &str) -> Result<String> {
    let item: Option<Item> = cx.store().get(key)?;
    Ok(item.map_or_else(|| "none".to_owned(), |item| item.price.to_string()))
}

/// Copies all below one prefix to below another, and lists both.
#[http("POST /copy")]
fn copy(cx: &mut Context) -> Result<String> {
    let store = cx.store();
    for entry in store.list::<u64>("from:") {
        let (key, number) = entry?;
        store.set(&key.replace("from:", "to:"), &number)?;
    }
    store.delete("from:000")?;
    store.set("from:0005", &5_u64)?;
    let keys: Vec<_> = store.keys("from:").collect::<Result<_, _>>()?;
    let all = store.keys("to:").count();
    let first: Vec<_> = keys.iter().take(2).map(String::as_str).collect();
    Ok(format!("{} {} {all}", first.join(" "), keys.len()))
}

/// Runs a closure's worth of calls and says how each was refused.
#[http("GET /rules")]
fn rules(cx: &mut Context) -> String {
    let store = cx.store();
    let long = "k".repeat(513);
    let refused = [
        store.get::<Item>("").map(drop),
        store.get::<Item>(&long).map(drop),
        store.set_bytes("large", vec![0; 256 * 1024 + 1]),
        store.set_bytes("largest", vec![0; 256 * 1024]),
        store.get_many::<Item>(&[] as &[&str]).map(drop),
        store.get_many::<Item>(&vec!["k"; 1_001]).map(drop),
        store.set_for("brief", &1, Duration::from_micros(999)),
        store.set_for("long", &1, Duration::from_secs(11 * 365 * 24 * 3600)),
        store.set_bytes("bytes", "x").and_then(|()| store.add("bytes", 1)),
        store.of("other").get::<Item>("k").map(drop),
        store.keys(&long).next().map_or(Ok(()), |key| key.map(drop)),
        store.counter("bytes").map(drop),
        store.get::<Item>("bytes").map(drop),
    ];
    let told =
        |it: Result<(), StoreError>| it.map_or_else(|error| error.to_string(), |()| "ok".into());
    refused.map(told).join("\n")
}

#[http("POST /flood/{writes}/{bytes}")]
fn flood(cx: &mut Context, writes: usize, bytes: usize) -> Result<&'static str> {
    for number in 0..writes {
        cx.store().set_bytes(&format!("{number:08}"), vec![0; bytes - 8])?;
    }
    Ok("done")
}

#[http("GET /of/{module}")]
fn of(cx: &mut Context, module: &str) -> Result<String> {
    let view = cx.store().of(module);
    let prices = view.get_many::<Item>(&["a", "b"])?;
    let prices: Vec<_> = prices.into_iter().map(|item| item.map(|item| item.price)).collect();
    Ok(format!("{prices:?} {}", view.counter("n")?))
}

export! { raise, raised, add, remember, item, copy, rules, flood, of }

fn host() -> TestHost {
    TestHost::new(consumers())
}

fn post(host: &TestHost, path: &str) -> (u16, String) {
    let response = host.request("POST", path).send();
    (response.status(), response.text())
}

#[test]
fn what_a_run_wrote_is_there_for_the_next_one() {
    let host = host();
    assert_eq!(post(&host, "/raise/tea"), (200, "1".to_owned()));
    assert_eq!(post(&host, "/raise/tea"), (200, "2".to_owned()));
    assert_eq!(host.data().get("tea"), Some(tea(2)));
    assert_eq!(host.data().counter("raised"), 3);
    assert_eq!(host.data().keys(), ["raised", "tea"]);
    assert_eq!(host.data().get::<Item>("coffee"), None);
}

#[test]
fn a_fault_takes_back_what_was_written_and_an_answer_does_not() {
    let host = host();
    for (then, status, kept) in
        [("fail", 500, None), ("panic", 500, None), ("refuse", 400, Some(1))]
    {
        assert_eq!(post(&host, &format!("/raise/{then}?then={then}")).0, status);
        assert_eq!(host.data().get(then), kept.map(tea), "{then}");
    }
    assert_eq!(host.data().counter("raised"), 1);
}

#[test]
fn a_run_whose_data_has_changed_is_done_again_with_what_is_there_now() {
    let host = host();
    host.before_commit(|data| data.set("tea", &tea(10)));
    assert_eq!(post(&host, "/raise/tea"), (200, "11".to_owned()));
    let logs: Vec<_> = host.logs().into_iter().map(|line| line.text).collect();
    assert_eq!(logs, ["raised to 11"], "the record is that of the last attempt");
    assert_eq!(host.messages("store.raised").len(), 1);
    assert_eq!(host.data().counter("raised"), 11);

    host.conflict_once("tea");
    assert_eq!(post(&host, "/raise/tea"), (200, "12".to_owned()));
    host.conflict_once("another");
    assert_eq!(post(&host, "/raise/tea"), (200, "13".to_owned()));
    assert_eq!(host.faults(), []);
}

#[test]
fn a_run_is_done_ten_times_at_most() {
    let host = host();
    host.data().set("tea", &tea(10));
    for _ in 0..10 {
        host.conflict_once("tea");
    }
    assert_eq!(post(&host, "/raise/tea").0, 500);
    let fault = &host.faults()[0].text;
    assert!(fault.starts_with("the key \"tea\" changed while the run used it"), "{fault}");
    assert_eq!(host.messages("store.raised").len(), 0);
    for _ in 0..9 {
        host.conflict_once("tea");
    }
    assert_eq!(post(&host, "/raise/tea").0, 200);
}

#[test]
fn a_fault_on_data_that_has_changed_is_no_fault_yet() {
    let host = host();
    host.data().set("n", &"text".to_owned());
    host.before_commit(|data| data.set("n", &tea(1)));
    // Without a second read the run would not be checked.
    assert_eq!(host.get("/item/n").status(), 500, "a single read is not asked for again");
    host.data().set("from:1", &"text".to_owned());
    host.before_commit(|data| data.set("from:1", &1_u64));
    assert_eq!(post(&host, "/copy").0, 200);
}

#[test]
fn a_flush_commits_and_after_it_a_conflict_is_a_fault() {
    let host = host();
    host.before_commit(|data| data.set("tea", &tea(10)));
    assert_eq!(post(&host, "/raise/tea?then=flush"), (200, "11".to_owned()));
    assert_eq!(host.data().counter("after"), 1);

    host.before_commit(|_| {});
    host.conflict_once("other");
    assert_eq!(post(&host, "/raise/tea?then=flush").0, 500);
    assert_eq!(host.data().get("tea"), Some(tea(12)), "what was flushed stays");
    let fault = &host.faults()[0].text;
    assert!(fault.starts_with("the key \"other\" changed"), "{fault}");
}

#[test]
fn additions_read_nothing_so_they_do_not_conflict() {
    let host = host();
    host.before_commit(|data| data.set("n", &40));
    assert_eq!(post(&host, "/add/n/2").0, 200);
    assert_eq!(host.data().counter("n"), 42);
    host.data().set("text", &"x".to_owned());
    assert_eq!(post(&host, "/add/text/1").0, 500);
    assert!(host.faults()[0].text.contains("\"text\" is not an integer"), "{:?}", host.faults());
    host.data().set("most", &i64::MAX);
    assert_eq!(post(&host, "/add/most/1").0, 500);
    assert!(host.faults()[1].text.contains("leave the range"), "{:?}", host.faults());
}

#[test]
fn a_value_with_a_time_to_live_is_gone_when_the_clock_says_so() {
    let host = host();
    assert_eq!(post(&host, "/remember/tea/60").0, 200);
    host.advance(Duration::from_secs(59));
    assert_eq!(host.get("/item/tea").text(), "1");
    host.advance(Duration::from_secs(1));
    assert_eq!(host.get("/item/tea").text(), "none");
    assert_eq!(host.data().keys(), Vec::<String>::new());
}

#[test]
fn a_listing_pages_by_itself_and_has_the_own_writes() {
    let host = host();
    for number in 0..1_250_u64 {
        host.data().set(&format!("from:{number:03}"), &number);
    }
    assert_eq!(post(&host, "/copy").1, "from:0005 from:001 1250 1250");
    assert_eq!(host.data().get("to:1249"), Some(1_249_u64));
    // A key that comes into a range that was listed is a change of it.
    host.before_commit(|data| data.set("from:5000", &5_000_u64));
    assert_eq!(post(&host, "/copy").1, "from:0005 from:001 1251 1252");
}

#[test]
fn calls_that_break_a_rule_say_which() {
    let host = host();
    let told = host.get("/rules").text();
    let expected = [
        "a key has at least 1 byte",
        "a key has at most 512 bytes; this one has 513",
        "a value has at most 262144 bytes; this one has 262145",
        "ok",
        "a call reads 1 to 1000 keys; this one asks for 0",
        "a call reads 1 to 1000 keys; this one asks for 1001",
        "a time to live is 1 to 315360000000 ms; this one is 0 ms",
        "a time to live is 1 to 315360000000 ms; this one is 346896000000 ms",
        "\"bytes\" is not an integer, and `add` changes integers only",
        "let them be granted: modules.test.grants.data = [\"other\"]",
        "a key has at most 512 bytes; this one has 513",
        "\"bytes\": it is not an integer",
        "\"bytes\": it does not read as `consumers::store::Item`",
    ];
    for (told, expected) in told.lines().zip(expected) {
        assert!(told.contains(expected), "{told}");
    }
    assert_eq!(told.lines().count(), expected.len());
}

#[test]
fn a_run_writes_4096_keys_and_16_mib() {
    let host = host();
    assert_eq!(post(&host, "/flood/4096/8").0, 200);
    assert_eq!(post(&host, "/flood/4097/8").0, 500);
    assert_eq!(post(&host, "/flood/128/131072").0, 200);
    assert_eq!(post(&host, "/flood/129/131072").0, 500);
    let faults: Vec<_> = host.faults().into_iter().map(|fault| fault.text).collect();
    let rest = "Divide the work among several messages";
    assert_eq!(
        faults,
        [
            format!("a run writes at most 4096 keys and timers. {rest}"),
            format!("a run writes at most 16777216 bytes. {rest}"),
        ]
    );
}

#[test]
fn keys_of_another_module_need_a_grant_and_are_not_part_of_the_transaction() {
    assert_eq!(host().get("/of/other").status(), 500);
    let host = host().granted_data("other");
    host.data_of("other").set("b", &tea(7));
    host.data_of("other").set("n", &3);
    assert_eq!(host.get("/of/other").text(), "[None, Some(7)] 3");
    assert_eq!(host.get("/of/test").status(), 200, "its own are its own");
    assert_eq!(host.data().keys(), Vec::<String>::new());
}

/// Versions of a type, each with a schema number.
mod versions {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    pub(super) struct Unnumbered {
        pub(super) name: String,
    }

    impl Stored for Unnumbered {}

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    pub(super) struct Second {
        pub(super) first: String,
        pub(super) last: String,
    }

    impl Stored for Second {
        const SCHEMA: u32 = 2;

        fn migrate(schema: u32, old: OldValue<'_>) -> Result<Self> {
            assert_eq!(schema, 0);
            let Unnumbered { name } = old.read()?;
            let (first, last) = name.split_once(' ').ok_or_else(|| Error::failed("no space"))?;
            Ok(Self { first: first.to_owned(), last: last.to_owned() })
        }
    }

    #[derive(Serialize, Deserialize)]
    pub(super) struct Lazy {}

    impl Stored for Lazy {
        const SCHEMA: u32 = 3;
    }

    /// Reads the same key as each of them.
    #[http("GET /versions")]
    fn read(cx: &mut Context) -> String {
        let store = cx.store();
        let old = store.get::<Unnumbered>("name").map(|it| format!("{it:?}"));
        let new = store.get::<Second>("name").map(|it| format!("{it:?}"));
        let all = store.get::<Vec<Second>>("names").map(|it| format!("{it:?}"));
        let lazy = store.get::<Lazy>("name").map(drop).expect_err("it is of another shape");
        let told = |it: Result<String, StoreError>| it.unwrap_or_else(|error| error.to_string());
        format!("{}\n{}\n{}\n{lazy}", told(old), told(new), told(all))
    }

    export! { read }
}

#[test]
fn an_old_value_is_migrated_and_a_newer_one_is_an_error() {
    use versions::{Second, Unnumbered};
    let host = TestHost::new(versions::consumers());
    let second = || Second { first: "Ada".to_owned(), last: "King".to_owned() };
    host.data().set("name", &Unnumbered { name: "Ada King".to_owned() });
    host.data().set("names", &vec![second()]);
    let told = host.get("/versions").text();
    let lines: Vec<_> = told.lines().collect();
    assert_eq!(lines[0], "Some(Unnumbered { name: \"Ada King\" })");
    assert_eq!(lines[1], "Some(Second { first: \"Ada\", last: \"King\" })");
    assert_eq!(lines[2], "Some([Second { first: \"Ada\", last: \"King\" }])");
    assert!(lines[3].contains("schema 0, and this version reads schema 3"), "{}", lines[3]);
    assert!(lines[3].contains("Write `Stored::migrate`"), "{}", lines[3]);

    host.data().set("name", &second());
    let told = host.get("/versions").text();
    let expected =
        "newer-schema: \"name\" has schema 2, and this version of the module reads up to 0";
    assert!(told.starts_with(expected), "{told}");

    host.data().set("name", &Unnumbered { name: "Ada".to_owned() });
    let told = host.get("/versions").text();
    assert_eq!(told.lines().nth(1), Some("\"name\": no space"));
}

/// Kinds of values that need no `impl`.
mod of_kinds {
    use super::*;

    #[http("GET /kinds")]
    fn kinds(cx: &mut Context) -> Result<&'static str> {
        let store = cx.store();
        store.set("n", &u64::MAX)?;
        assert_eq!(store.get("n")?, Some(u64::MAX));
        store.set("n", &-7_i8)?;
        store.add("n", 2)?;
        assert_eq!((store.get("n")?, store.counter("n")?), (Some(-5_i8), -5));
        store.set("n", &1.5_f64)?;
        assert_eq!(store.get("n")?, Some(1.5_f64));
        store.set("n", &vec!["a".to_owned()])?;
        assert_eq!(store.get("n")?, Some(vec!["a".to_owned()]));
        store.set("n", &tidegate_sdk::testing::json!({ "a": [1, null] }))?;
        assert_eq!(store.get("n")?, Some(tidegate_sdk::testing::json!({ "a": [1, null] })));
        store.set_bytes("n", [0, 255])?;
        assert_eq!(store.get_bytes("n")?, Some(vec![0, 255]));
        store.set_bytes_for("n", "x", Duration::from_secs(1))?;
        store.delete("n")?;
        assert_eq!((store.get_bytes("n")?, store.counter("n")?), (None, 0));
        Ok("done")
    }

    export! { kinds }
}

#[test]
fn integers_collections_json_and_bytes_are_values() {
    let host = TestHost::new(of_kinds::consumers());
    assert_eq!(host.get("/kinds").status(), 200, "{:?}", host.faults());
}
