//! Who is in a group, by member: what clients, channels and consumers are told.

use serde_json::{Value, json};
use tests::{Host, Socket, must};

/// The next message about presence. Others are left out.
pub(crate) async fn told(socket: &mut Socket) -> Value {
    loop {
        let text = socket.text().await;
        if let Some(told) = serde_json::from_str::<Value>(&text)
            .ok()
            .and_then(|mut it| it.get_mut("presence").map(Value::take))
        {
            return told;
        }
    }
}

/// The next message about something else.
async fn answer(socket: &mut Socket, asked: &Value) -> String {
    socket.send(asked.to_string()).await;
    loop {
        let text = socket.text().await;
        if !text.starts_with("{\"presence\":") {
            return text;
        }
    }
}

/// Follows what a client is told until these are the members.
pub(crate) async fn until(socket: &mut Socket, members: &mut Value, expected: &Value) {
    while members != expected {
        let told = told(socket).await;
        if let Some(list) = told.get("members") {
            *members = list.clone();
        }
        for word in ["joined", "updated"] {
            let changed = told.get(word).and_then(Value::as_object);
            for (key, facts) in changed.into_iter().flatten() {
                members[key] = facts.clone();
            }
        }
        let left = told.get("left").and_then(Value::as_array);
        for key in left.into_iter().flatten() {
            members.as_object_mut().unwrap().remove(key.as_str().unwrap());
        }
    }
}

async fn host() -> Host {
    Host::builder().guest("presence").start().await
}

async fn members(host: &Host, room: &str) -> Value {
    let reply = host.get(&format!("/members/{room}")).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    serde_json::from_str(reply.text()).unwrap()
}

/// Waits until these are the members of a room.
async fn expect(host: &Host, room: &str, expected: Value) {
    must("the members", async { while members(host, room).await != expected {} }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_get_the_members_when_they_join_and_then_who_comes_and_goes() {
    let host = host().await;
    let mut ada = host.websocket("/room/a/ada").await;
    let list = told(&mut ada).await;
    assert_eq!((&list["group"], &list["count"]), (&json!("presence.room.a"), &json!(1)));
    assert_eq!(list["members"], json!({ "ada": {} }));
    let mut seen = list["members"].clone();
    let mut bob = host.websocket("/room/a/bob").await;
    assert_eq!(told(&mut bob).await["members"], json!({ "ada": {}, "bob": {} }));
    until(&mut ada, &mut seen, &json!({ "ada": {}, "bob": {} })).await;
    assert_eq!(answer(&mut bob, &json!({ "facts": { "at": [1, 2.5] } })).await, "ok");
    until(&mut ada, &mut seen, &json!({ "ada": {}, "bob": { "at": [1, 2.5] } })).await;
    bob.close(1000).await;
    until(&mut ada, &mut seen, &json!({ "ada": {} })).await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_tabs_are_one_member_and_a_reload_is_no_change() {
    let host = host().await;
    let mut watcher = host.websocket("/room/told/watcher").await;
    let mut seen = told(&mut watcher).await["members"].clone();
    let mut tabs = Vec::new();
    for _ in 0..3 {
        tabs.push(host.websocket("/room/told/ada").await);
    }
    until(&mut watcher, &mut seen, &json!({ "ada": {}, "watcher": {} })).await;
    assert_eq!(answer(&mut watcher, &json!("count")).await, "2");
    for tab in tabs.drain(..) {
        tab.close(1000).await;
    }
    // The page is loaded again before its time is over.
    let ada = host.websocket("/room/told/ada").await;
    let mut eve = host.websocket("/room/told/eve").await;
    let list = told(&mut eve).await;
    assert_eq!(list["members"], json!({ "ada": {}, "eve": {}, "watcher": {} }));
    let change = told(&mut watcher).await;
    assert_eq!((&change["joined"], change.get("left")), (&json!({ "eve": {} }), None), "{change}");
    ada.close(1000).await;
    seen = list["members"].clone();
    until(&mut watcher, &mut seen, &json!({ "eve": {}, "watcher": {} })).await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn server_sent_events_tell_it_too() {
    let host = host().await;
    let mut stream = host.client().start("GET", "/events/sse/ada", &[], "").await;
    let mut text = String::new();
    let mut events = async |count: usize| {
        while text.matches("\n\n").count() < count {
            text.push_str(std::str::from_utf8(&stream.part().await.unwrap().unwrap()).unwrap());
        }
        let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
        assert_eq!(text.matches("event: presence\n").count(), text.matches("\n\n").count());
        data.map(|it| serde_json::from_str::<Value>(it).unwrap()).collect::<Vec<_>>()
    };
    let list = events(1).await.remove(0);
    assert_eq!(list["members"], json!({ "ada": {} }));
    let _bob = host.websocket("/room/sse/bob").await;
    let told = must("both are told", events(3)).await;
    assert_eq!(told.last().unwrap()["joined"], json!({ "bob": {} }));
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_of_the_module_is_told() {
    let host = host().await;
    let mut watch = host.websocket("/watch").await;
    let ada = host.websocket("/room/told/ada").await;
    let joined: Value = serde_json::from_str(&watch.text().await).unwrap();
    assert_eq!((&joined["group"], &joined["count"]), (&json!("presence.room.told"), &json!(1)));
    assert_eq!((&joined["joined"], &joined["left"]), (&json!({ "ada": {} }), &json!([])));
    ada.close(1000).await;
    let left: Value = serde_json::from_str(&watch.text().await).unwrap();
    assert_eq!((&left["from"], &left["left"]), (&joined["version"], &json!(["ada"])));
    assert_eq!((&left["joined"], &left["count"]), (&json!({}), &json!(0)));
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_beyond_the_list_is_counted() {
    let host = host().await;
    let mut sockets = Vec::new();
    for name in ["a", "b", "c", "d"] {
        sockets.push(host.websocket(&format!("/room/many/{name}")).await);
    }
    let list = told(&mut sockets[3]).await;
    assert_eq!((&list["count"], list.get("members")), (&json!(4), None));
    let mut first = told(&mut sockets[0]).await;
    while first["count"] != 4 {
        first = told(&mut sockets[0]).await;
    }
    assert_eq!(first.get("joined"), None, "{first}");
    // Consumers read them all, part by part.
    let page = answer(&mut sockets[1], &json!({ "list": [null, 3] })).await;
    assert_eq!(page, json!([["a", "b", "c"], 4, "c"]).to_string());
    let page = answer(&mut sockets[1], &json!({ "list": ["c", 3] })).await;
    assert_eq!(page, json!([["d"], 4, null]).to_string());
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_call_that_breaks_a_rule_has_an_answer_that_says_it() {
    let host = host().await;
    let mut socket = host.websocket("/room/rules/ada").await;
    for (asked, rule) in [
        (json!({ "large": 2_000 }), "at most 1024 are taken"),
        (json!("bytes"), "\"x\" has bytes"),
        (json!({ "become": "" }), "1 to 256 bytes and no control characters"),
        (json!({ "become": "a\nb" }), "1 to 256 bytes and no control characters"),
        (json!({ "become": "x".repeat(257) }), "1 to 256 bytes and no control characters"),
        (json!({ "in": "other.room" }), "group other.room is not this module's"),
        (json!({ "in": "_user.ada" }), "group _user.ada is one of the host's own"),
        (json!({ "list": [null, 0] }), "1 to 1000 members, not 0"),
        (json!({ "list": [null, 1_001] }), "1 to 1000 members, not 1001"),
        (json!({ "list": ["\n", 1] }), "the cursor is none"),
        (json!({ "lists": 101 }), "a run reads 100 parts"),
        (json!({ "lists": 100 }), "ok"),
    ] {
        let text = answer(&mut socket, &asked).await;
        assert!(text.contains(rule), "{asked}: {text}");
    }
    // What was refused has changed nothing, and a connection may become another member.
    assert_eq!(members(&host, "rules").await, json!({ "ada": {} }));
    assert_eq!(answer(&mut socket, &json!({ "become": "bob" })).await, "ok");
    expect(&host, "rules", json!({ "bob": {} })).await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_the_group_or_fails_is_gone_like_who_leaves() {
    let host = host().await;
    let mut ada = host.websocket("/room/ends/ada").await;
    let mut bob = host.websocket("/room/ends/bob").await;
    expect(&host, "ends", json!({ "ada": {}, "bob": {} })).await;
    ada.send(json!("leave").to_string()).await;
    // The run that fails closes its socket; what it called is not done.
    bob.send(json!("fail").to_string()).await;
    expect(&host, "ends", json!({})).await;
    // It is open all the same.
    assert_eq!(answer(&mut ada, &json!("count")).await, "0");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_list_the_members_of_a_group() {
    let host = host().await;
    let api = host.admin();
    let mut ada = host.websocket("/room/listed/ada").await;
    assert_eq!(answer(&mut ada, &json!({ "facts": { "n": 1 } })).await, "ok");
    let _bob = host.websocket("/room/listed/bob").await;
    expect(&host, "listed", json!({ "ada": { "n": 1 }, "bob": {} })).await;
    let path = "groups/presence.room.listed/members";
    let first = api.done("GET", &format!("{path}?limit=1"), "").await;
    let expected = json!({
        "group": "presence.room.listed", "total": 2, "cursor": "ada",
        "members": [{ "key": "ada", "facts": { "n": 1 } }],
    });
    assert_eq!(first, expected);
    let rest = api.done("GET", &format!("{path}?cursor=ada"), "").await;
    assert_eq!(rest["members"], json!([{ "key": "bob", "facts": {} }]));
    assert_eq!(rest.get("cursor"), None);
    let nobody = api.done("GET", "groups/presence.nobody/members", "").await;
    assert_eq!((&nobody["total"], &nobody["members"]), (&json!(0), &json!([])));
    let (status, code, text) = api.refused("GET", "groups/_user.ada/members", "").await;
    assert_eq!((status, &*code), (403, "reserved"), "{text}");
    for (query, code) in
        [("limit=0", "limit"), ("limit=1001", "limit"), ("cursor=%0A", "cursor"), ("x=1", "query")]
    {
        let (status, refused, text) = api.refused("GET", &format!("{path}?{query}"), "").await;
        assert_eq!((status, &*refused), (400, code), "{text}");
    }
    host.stop().await;
}
