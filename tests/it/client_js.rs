//! The JavaScript client, `clients/js`, in a real browser.

use std::{collections::BTreeMap, fs};

use serde_json::{Value, json};
use tests::{
    Browser, Driver, FaultProxy, Host, HostBuilder, Network, Process, auth_section, example, guest,
    root, token_for,
};

use crate::{
    TIDEGATE,
    browser::{join, say, shows},
};

/// A host, and a page of it in which scripts may use `Watched`, `Held` and `message`.
struct Page {
    browser: Browser,
    _driver: Driver,
}

impl Page {
    async fn of(address: std::net::SocketAddr) -> Self {
        let driver = Driver::start().await;
        let browser = driver.browse("page", &format!("http://{address}/chat")).await;
        browser.run(include_str!("client_js/page.js")).await;
        Self { browser, _driver: driver }
    }

    async fn with(host: HostBuilder) -> (Host, Self) {
        let host = host.example("chat").start().await;
        let page = Self::of(host.address()).await;
        (host, page)
    }

    async fn run(&self, script: &str) -> Value {
        self.browser.run(script).await
    }

    async fn close(self, host: Host) {
        self.browser.close().await;
        host.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_comes_back_after_a_drain_joins_again_and_talks() {
    let chat = format!("chat={}", example("chat").display());
    let first = Process::serve(TIDEGATE, &["--module", &chat]).await;
    let address = first.address;
    let driver = Driver::start().await;
    let page = format!("http://{address}/chat/tide");
    let ann = driver.browse("ann", &page).await;
    let bob = driver.browse("bob", &page).await;
    join(&ann, "Ann").await;
    join(&bob, "Bob").await;
    first.signal("TERM").await;
    assert_eq!(first.wait().await, Some(0));
    shows(&ann, "connection lost (1001)").await;
    shows(&bob, "connection lost (1001)").await;
    let second = Process::serve_at(address, TIDEGATE, &["--module", &chat]).await;
    for window in [&ann, &bob] {
        window.shows("//*[@id='status' and .='connected']").await;
    }
    say(&ann, "here again").await;
    shows(&bob, "here again").await;
    ann.close().await;
    bob.close().await;
    drop(second);
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_clients_of_a_drained_host_choose_delays_over_the_whole_span() {
    let modules = [("chat", example("chat")), ("streams", guest("streams"))]
        .map(|(name, file)| format!("{name}={}", file.display()));
    let arguments = ["--module", &modules[0], "--module", &modules[1]];
    let first = Process::serve(TIDEGATE, &arguments).await;
    let address = first.address;
    let page = Page::of(address).await;
    page.run(
        "window.sockets = [];
         for (let i = 0; i < 50; i += 1) {
           const clock = new Held();
           const platform = { ...clock.platform, random: () => (i + 0.5) / 50 };
           const socket = new Watched('/streams', { platform });
           sockets.push({ clock, socket });
           await socket.until('open');
         }",
    )
    .await;
    first.signal("TERM").await;
    assert_eq!(first.wait().await, Some(0));
    let chosen = page
        .run(
            "return Promise.all(sockets.map(async ({ socket }) => {
               const { code, attempt, delay } = await socket.until('reconnecting');
               return [code, attempt, Math.round(delay)];
             }));",
        )
        .await;
    // One client in each hundred milliseconds of five seconds.
    let expected: Vec<_> = (0..50).map(|i| json!([1001, 1, 50 + 100 * i])).collect();
    assert_eq!(chosen, json!(expected));
    let second = Process::serve_at(address, TIDEGATE, &arguments).await;
    // One after the other: this browser holds many at once back for seconds.
    let back = "for (const { clock, socket } of sockets) {
                  clock.run();
                  await socket.until('open', 2);
                }
                return sockets.every(({ socket }) => socket.state === 'open');";
    assert_eq!(page.run(back).await, true);
    page.browser.close().await;
    drop(second);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_whose_token_expires_comes_back_with_another_and_keeps_its_place_in_the_queue() {
    let host =
        Host::builder().guest("users").section(&auth_section("leeway = \"2s\"")).compiler(TIDEGATE);
    let (host, page) = Page::with(host).await;
    let [old, new] = [0, 3_600].map(|seconds| token_for("ada", &json!({}), seconds));
    let seen = page
        .run(&format!(
            "const asked = [];
             const token = async ({{ fresh }}) => (asked.push(fresh), fresh ? {new:?} : {old:?});
             const socket = new Watched('/room', {{ first: 100, queueMessages: 10, token }});
             await socket.until('open');
             const {{ code }} = await socket.until('close');
             for (let i = 0; i < 5; i += 1) socket.send(`${{i}}`);
             await socket.until('message', 5);
             const said = socket.events.filter(({{ type }}) => type === 'message');
             const numbers = said.map(({{ data }}) => data.match(/: (\\d) /)[1]).join('');
             const {{ state, protocol }} = socket;
             socket.close();
             return {{ asked, code, numbers, state, protocol, url: socket.url }};"
        ))
        .await;
    assert_eq!(seen["asked"], json!([false, true]), "{seen}");
    assert_eq!((&seen["code"], &seen["numbers"]), (&json!(4401), &json!("01234")), "{seen}");
    assert_eq!((&seen["state"], &seen["protocol"]), (&json!("open"), &json!("tidegate")), "{seen}");
    assert_eq!(seen["url"], format!("ws://{}/room", host.address()), "it has no token");
    page.close(host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_loses_its_network_goes_on_with_its_connection() {
    let host = Host::builder().guest("resume").section(&auth_section("")).compiler(TIDEGATE);
    let host = host.example("chat").start().await;
    let proxy = FaultProxy::before(host.address().port()).await;
    let page = Page::of(proxy.address()).await;
    page.run(
        "window.socket = new Watched('/long', { first: 100, resume: true });
         await socket.until('open');
         socket.send('one');
         await socket.until('message', 2);",
    )
    .await;
    for (turn, network) in [(1, Network::Cut), (2, Network::HalfOpen)] {
        proxy.set(network);
        if network == Network::HalfOpen {
            // Neither side is told; the page hears that its network changes.
            page.run("socket.send('lost on the way');").await;
            host.post("/say/long/into-the-void").await;
            proxy.set(Network::Cut);
        }
        page.run(&format!("await socket.until('reconnecting', {turn});")).await;
        for number in 0..5 {
            assert_eq!(host.post(&format!("/say/long/{turn}.{number}")).await.status, 200);
        }
        proxy.set(Network::Works);
        page.run(&format!("await socket.until('open', {turn} + 1);")).await;
    }
    let seen = page
        .run(
            "socket.send('two');
             const of = (type) => socket.events.filter((event) => event.type === type);
             const last = () => of('message').at(-1).data;
             for (let n = of('message').length; !last().startsWith('two'); n += 1) {
               await socket.until('message', n + 1);
             }
             const opened = of('open').map(({ resumed }) => resumed);
             return { opened, got: of('message').map(({ data }) => data), types: socket.types };",
        )
        .await;
    let of_turn = |turn| (0..5).map(move |number| format!("{turn}.{number}"));
    let mut expected = vec!["offered tidegate".to_owned(), "one 1".to_owned()];
    expected.extend(of_turn(1));
    expected.push("into-the-void".to_owned());
    expected.extend(of_turn(2));
    // The message that the host had not read was sent again.
    expected.extend(["lost on the way 2".to_owned(), "two 3".to_owned()]);
    assert_eq!(seen["got"], json!(expected), "{seen}");
    assert_eq!(seen["opened"], json!([false, true, true]), "{seen}");
    assert_eq!(host.app().metrics().lost_clients.get(), 0);
    page.close(host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_of_the_application_ends_it_for_good() {
    let (host, page) = Page::with(Host::builder().guest("streams")).await;
    for (frame, code, reason) in [
        ("{ stream: 'close', payload: 4001 }", 4001, "asked to"),
        ("{ stream: 'close', payload: 1000 }", 1000, "asked to"),
        ("'of no stream'", 4400, "*"),
    ] {
        let end = page
            .run(&format!(
                "window.clock = new Held();
                 window.socket = new Watched('/streams', {{ platform: clock.platform }});
                 await socket.until('open');
                 socket.sendJson({frame});
                 const {{ code, reason }} = await socket.until('end');
                 dispatchEvent(new Event('online'));
                 const {{ state, types }} = socket;
                 return {{ code, reason, state, types, timers: clock.size }};",
            ))
            .await;
        assert_eq!((&end["code"], &end["state"]), (&json!(code), &json!("closed")), "{frame}");
        assert!(reason == "*" || end["reason"] == reason, "{end}");
        assert_eq!(end["types"], json!(["open", "close", "end"]), "{frame}");
        assert_eq!(end["timers"], 0, "nothing is planned after {frame}");
    }
    page.close(host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_1013_a_client_waits_longer_than_after_a_fault() {
    let host = Host::builder().guest("streams").guest("counter").with("on_fault = 'continue'");
    let (host, page) = Page::with(host).await;
    let after = async |path: &str, frame: &str, times: u32| {
        page.run(&format!(
            "const platform = {{ random: () => 0.5 }};
             const socket = new Watched('{path}', {{ platform }});
             await socket.until('open');
             for (let i = 0; i < {times}; i += 1) socket.send({frame:?});
             const {{ code, delay }} = await socket.until('reconnecting');
             socket.close();
             return [code, delay];",
        ))
        .await
    };
    let fault = r#"{"stream": "fault", "payload": null}"#;
    assert_eq!(after("/streams", fault, 1).await, json!([1011, 500]));
    // After 20 faults the module rests, and the next frame meets that.
    assert_eq!(after("/count", "fault", 21).await, json!([1013, 5500]));
    page.close(host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_opens_and_is_over_at_once_and_what_is_refused_count_as_failures() {
    let (host, page) = Page::with(Host::builder().guest("streams")).await;
    for (path, code, opened) in [("/useless", 4000, true), ("/nowhere", 1006, false)] {
        let seen = page
            .run(&format!(
                "const seen = [];
                 const shouldReconnect = ({{ code, attempt, opened }}) => {{
                   seen.push([code, attempt, opened]);
                   return attempt < 4;
                 }};
                 const platform = {{ random: () => 1 }};
                 const options = {{ first: 10, shouldReconnect, platform }};
                 const socket = new Watched('{path}', options);
                 await socket.until('end');
                 const delays = socket.events.flatMap(({{ delay }}) => delay ?? []);
                 return {{ seen, delays }};",
            ))
            .await;
        let expected: Vec<_> = (1..=4).map(|attempt| json!([code, attempt, opened])).collect();
        assert_eq!(seen, json!({ "seen": expected, "delays": [10, 20, 40] }), "{path}");
    }
    page.close(host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_a_network_waits_and_connects_when_it_is_back() {
    let (host, page) = Page::with(Host::builder().guest("streams")).await;
    let open = "window.socket = new Watched('/streams', { longest: 600_000 });
                await socket.until('open');";
    page.run(open).await;
    page.browser.offline(true).await;
    let delay = page
        .run(
            "if (socket.state === 'open') socket.sendJson({ stream: 'fault', payload: 1 });
             return (await socket.until('reconnecting')).delay;",
        )
        .await;
    assert!(delay.as_f64().unwrap() >= 300_000.0, "{delay} is no hurry");
    page.browser.offline(false).await;
    page.run("await socket.until('open', 2);").await;
    page.close(host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tab_that_nobody_sees_waits_and_tries_when_it_is_seen() {
    let (host, page) = Page::with(Host::builder()).await;
    let hidden = page
        .run(
            "window.see = (value) => {
               Object.defineProperty(document, 'visibilityState', { value, configurable: true });
               document.dispatchEvent(new Event('visibilitychange'));
             };
             see('hidden');
             window.socket = new Watched('/nowhere', { first: 10, longest: 600_000 });
             await socket.until('reconnecting', 2);
             return socket.events.map(({ delay }) => delay);",
        )
        .await;
    assert!(hidden[0].as_f64().unwrap() <= 10.0, "{hidden}");
    assert!(hidden[1].as_f64().unwrap() >= 300_000.0, "{hidden}");
    page.run("see('visible'); await socket.until('reconnecting', 3);").await;
    page.close(host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_share_a_socket_and_bad_frames_are_error_events() {
    let (host, page) = Page::with(Host::builder().guest("streams")).await;
    let heard = page
        .run(
            r#"const socket = new Watched("/streams");
               const names = ["news", "chat", "__proto__", "constructor", ""];
               const streams = names.map((name) => socket.stream(name));
               const raw = socket.stream("raw");
               await socket.until("open");
               const heard = Promise.all(streams.map(message));
               for (const stream of streams) stream.send({ to: stream.name });
               const payloads = await heard;
               const wrong = [
                 "", "[]", '"x"', '{"stream": "news"}', '{"stream": "other", "payload": 1}',
                 '{"stream": "hasOwnProperty", "payload": {"__proto__": {"polluted": 1}}}',
               ];
               for (const text of wrong) raw.send(text);
               await socket.until("error", wrong.length);
               const errors = socket.events.filter(({ type }) => type === "error");
               const again = message(streams[0]);
               streams[0].send("still here");
               return { payloads, errors: errors.map(({ error, data }) => [error, data]), wrong,
                 again: await again, state: socket.state, polluted: {}.polluted ?? null };"#,
        )
        .await;
    let to = |name: &str| json!({ "to": name });
    let names = ["news", "chat", "__proto__", "constructor", ""];
    assert_eq!(heard["payloads"], json!(names.map(to)));
    let wrong = heard["wrong"].as_array().unwrap();
    let errors: Vec<_> = wrong.iter().map(|text| json!(["FrameError", text])).collect();
    assert_eq!(heard["errors"], json!(errors));
    assert_eq!((&heard["again"], &heard["state"]), (&json!("still here"), &json!("open")));
    assert_eq!(heard["polluted"], Value::Null);
    page.close(host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_is_bounded_and_sent_in_order_after_what_open_sends() {
    let (host, page) = Page::with(Host::builder().guest("counter")).await;
    let heard = page
        .run(
            r#"const refused = [];
               const attempt = (socket, text) => {
                 try {
                   socket.send(text);
                 } catch ({ name, reason }) {
                   refused.push([text, name, reason]);
                 }
               };
               const none = new Watched("/count");
               attempt(none, "early");
               none.close();
               attempt(none, "late");
               const few = new Watched("/count", { queueMessages: 2, queueBytes: 6 });
               few.addEventListener("open", () => few.send("join"));
               for (const text of ["one", "seven", "two", "x"]) attempt(few, text);
               await few.until("message", 3);
               const heard = few.events.flatMap(({ data }) => data ?? []);
               few.close();
               const never = new Watched("/nowhere", { queueMessages: 1 });
               never.send("kept");
               await never.until("reconnecting");
               never.close(4000, "enough");
               return { refused, heard, end: await never.until("end") };"#,
        )
        .await;
    let refused = [
        ["early", "SendError", "not-open"],
        ["late", "SendError", "ended"],
        ["seven", "SendError", "queue-full"],
        ["x", "SendError", "queue-full"],
    ];
    assert_eq!(heard["refused"], json!(refused));
    assert_eq!(heard["heard"], json!(["1:join:1", "1:one:2", "1:two:3"]));
    assert_eq!((&heard["end"]["code"], &heard["end"]["unsent"]), (&json!(4000), &json!(["kept"])));
    page.close(host).await;
}

/// The files of the client, by name.
fn files() -> BTreeMap<String, String> {
    fs::read_dir(root().join("clients/js/src"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "js"))
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chat_serves_the_client_as_it_is_published() {
    let host = Host::builder().example("chat").start().await;
    let files = files();
    assert!(files.contains_key("index.js"));
    for (name, text) in files {
        let path = format!("/chat/tidegate/{name}");
        let reply = host.get(&path).await;
        assert_eq!((reply.status, reply.text()), (200, text.as_str()), "{name}");
        assert_eq!(reply.header("content-type"), Some("text/javascript; charset=utf-8"));
        assert_eq!(reply.header("cache-control"), Some("no-cache"));
        let tag = reply.header("etag").unwrap();
        for (kept, status) in
            [(tag.to_owned(), 304), (format!("\"old\", W/{tag}"), 304), ("\"old\"".to_owned(), 200)]
        {
            let headers = [("if-none-match", kept.as_str())];
            let again = host.client().request("GET", &path, &headers, "").await;
            assert_eq!((again.status, again.header("etag")), (status, Some(tag)), "{kept}");
            assert_eq!(again.body.is_empty(), status == 304);
        }
    }
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_the_chat_runs_no_script_but_its_files() {
    let host = Host::builder().example("chat").start().await;
    let reply = host.get("/chat").await;
    let policy = reply.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'self'") && !policy.contains("unsafe"), "{policy}");
    host.stop().await;
}

#[test]
fn the_client_has_the_version_of_the_workspace() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let version = manifest.lines().find_map(|line| line.strip_prefix("version = ")).unwrap();
    let package = fs::read_to_string(root().join("clients/js/package.json")).unwrap();
    let package: Value = serde_json::from_str(&package).unwrap();
    assert_eq!(package["version"], version.trim_matches('"'));
}
