//! What a module does wrong costs the slots it may use for a moment, and nothing else.

use std::sync::Arc;

use tests::{Client, Host, Reply};

/// With four slots a module may hold two.
const SLOTS: &str = "slots = 4";

/// Starts the guest beside `hello`, lets it run in every slot it may use, and checks that
/// neighbours are served meanwhile, that clients get an id, that record and counter exist, that the
/// slots work again, and that the pool is empty.
async fn contained(guest: &str, path: &str, kind: &'static str, set: &str) -> Vec<Reply> {
    let host = Host::builder().set(SLOTS).example("hello").guest(guest).with(set).start().await;
    let mut watch = host.websocket("/watch").await;
    let client = host.client();
    let run = |client: Client| async move { client.get(path).await };
    let busy = async { tokio::join!(run(client), run(client)) };
    let neighbours = async {
        // Both slots that the guest may use are busy now.
        assert_eq!([watch.text().await, watch.text().await], ["running", "running"]);
        for _ in 0..10 {
            assert_eq!(client.get("/hello/neighbour").await.text(), "Hello, neighbour!\n");
        }
    };
    let ((one, two), ()) = tokio::join!(busy, neighbours);
    for reply in [&one, &two] {
        assert_eq!(reply.status, 500, "{}", reply.text());
        let text = reply.text();
        assert!(text.starts_with("500 Internal Server Error: the consumer failed\nid: "), "{text}");
        let record = host.record_of(text);
        assert_eq!(record.fault().unwrap().kind(), kind, "{record:?}");
        assert_eq!(
            (record.module.as_str(), record.channel.as_str()),
            (guest, &*format!("http.request.{guest}"))
        );
        assert_eq!(&*record.consumer, path.trim_start_matches('/'));
        assert!(record.version > 0 && record.usage.host_calls > 0);
    }
    assert_eq!(host.invocations(guest, kind), 2);
    // More than there are slots: all of them work.
    for _ in 0..5 {
        assert_eq!(host.get("/ok").await.text(), "ok");
    }
    host.instances_left(0).await;
    assert_eq!(host.app().layer().statistics().await.unwrap().channels.len(), 0);
    drop(watch);
    host.stop().await;
    vec![one, two]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loop_without_end_runs_out_of_fuel() {
    // A machine that is busy otherwise gives a long run little time.
    contained("spin", "/run", "fuel", "[modules.spin.limits]\ndeadline = '60s'").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loop_with_fuel_without_end_meets_the_deadline() {
    contained("spin", "/run", "deadline", "[modules.spin.limits]\nfuel = 1_000_000_000_000").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recursion_without_end_overflows_its_own_stack() {
    contained("recurse", "/run", "stack", "").await;
    contained("recurse", "/arrays", "trap", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_ends_at_the_limit() {
    contained("grow", "/run", "memory", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_a_fault_with_its_message_and_place_in_the_record() {
    let host = Host::builder().set(SLOTS).guest("panic").start().await;
    let reply = host.get("/run").await;
    let record = host.record_of(reply.text());
    assert!(record.log.text.contains("the tide is out"), "{}", record.log.text);
    assert!(record.log.text.contains("panic.rs:"), "{}", record.log.text);
    assert!(!record.log.text.contains("RUST_BACKTRACE"), "{}", record.log.text);
    let fault = record.fault().unwrap().to_string();
    assert!(fault.starts_with("panicked at ") && fault.ends_with(": the tide is out"), "{fault}");
    assert!(!reply.text().contains("tide"), "the client never sees internals");
    host.stop().await;
    contained("panic", "/run", "trap", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_million_log_lines_end_with_the_host_calls() {
    contained("log-flood", "/run", "host_calls", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_million_calls_into_the_host_end_with_the_host_calls() {
    contained("call-flood", "/run", "host_calls", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sends_without_end_break_the_number_of_messages() {
    contained("send-flood", "/run", "outbox_messages", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_sends_without_end_break_the_size_of_the_outbox() {
    contained("send-flood", "/large", "outbox_bytes", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_past_the_deadline_is_cut_short() {
    contained("sleep", "/run", "deadline", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_ends_the_invocation_and_not_the_host() {
    contained("exit", "/run", "exit", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sending_to_the_interface_server_is_refused_and_counted() {
    contained("trespass", "/run", "failed", "").await;
    let host = Host::builder().set(SLOTS).guest("trespass").start().await;
    let told = host.get("/each").await;
    let lines: Vec<_> = told.text().lines().collect();
    assert_eq!(lines.len(), 6, "{lines:#?}");
    assert!(lines.iter().all(|line| !line.ends_with("sent")), "{lines:#?}");
    assert_eq!(host.sends_refused("trespass"), 6);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_loops_at_its_start_is_refused_and_the_others_are_served() {
    let host = Host::builder().set(SLOTS).example("hello").start().await;
    let file = tests::guest("spin-at-start");
    let (refused, reply) =
        tokio::join!(host.try_deploy("spin-at-start", &file), host.get("/hello/neighbour"));
    assert_eq!(reply.status, 200);
    let error = refused.unwrap_err().to_string();
    assert!(error.contains("its routes could not be read: used 10"), "{error}");
    assert_eq!(host.get("/ok").await.status, 404);
    host.instances_left(0).await;
    host.stop().await;
}

/// Loops at its start only when it serves: its routes come from elsewhere.
#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_begins_to_loop_at_its_start_costs_its_slots_only() {
    use std::time::Duration;
    use tidegate::{
        engine::{Limits, Program},
        registry::Candidate,
        routing,
    };

    let host = Host::builder().set(SLOTS).example("hello").start().await;
    let wasm = std::fs::read(tests::guest("spin-at-start")).unwrap();
    let program = Program::compile(host.app().deployments().loader().engine(), &wasm).unwrap();
    let trigger = routing::Trigger::Http {
        methods: ["GET".to_owned()].into(),
        path: routing::Pattern::parse("/run").unwrap(),
        guards: routing::Guards::default(),
        disconnect: false,
    };
    let candidate = Candidate {
        name: tidegate::message::ModuleName::parse("start").unwrap(),
        number: 1,
        program: Arc::new(program),
        routes: vec![routing::RouteSpec { consumer: "run".into(), trigger }],
        declarations: Arc::default(),
        settings: tidegate::registry::ModuleSettings {
            limits: Limits { deadline: Duration::from_secs(60), ..Limits::default() },
            ..tidegate::registry::ModuleSettings::default()
        },
        probation: false,
        active_since: None,
    };
    host.app().deployments().registry().activate(vec![(candidate, 1)]).unwrap();
    let (one, two, reply) =
        tokio::join!(host.get("/run"), host.get("/run"), host.get("/hello/neighbour"));
    assert_eq!(reply.status, 200);
    for reply in [one, two] {
        assert_eq!(reply.status, 500);
        assert_eq!(host.record_of(reply.text()).fault().unwrap().kind(), "fuel");
    }
    assert_eq!(host.invocations("start", "fuel"), 2);
    host.instances_left(0).await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_whose_consumer_loops_is_closed_with_1011_and_an_id() {
    let host = Host::builder()
        .set(SLOTS)
        .example("hello")
        .guest("spin")
        .with("[modules.spin.limits]\ndeadline = '60s'")
        .start()
        .await;
    let mut watch = host.websocket("/watch").await;
    let mut sockets = [host.websocket("/run").await, host.websocket("/run").await];
    for socket in &mut sockets {
        socket.send("loop").await;
    }
    assert_eq!([watch.text().await, watch.text().await], ["running", "running"]);
    assert_eq!(host.get("/hello/neighbour").await.status, 200);
    for socket in &mut sockets {
        let (code, reason) = socket.closed().await;
        assert_eq!(code, 1011);
        assert_eq!(host.record_of(&reason).fault().unwrap().kind(), "fuel");
    }
    assert_eq!((host.closes("1011"), host.invocations("spin", "fuel")), (2, 2));
    let mut again = host.websocket("/run").await;
    again.send("echo").await;
    assert_eq!(again.text().await, "echo");
    host.instances_left(0).await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trap_in_disconnect_leaves_nothing_behind() {
    let host =
        Host::builder().set(SLOTS).example("hello").guest("trap-in-disconnect").start().await;
    let mut watch = host.websocket("/watch").await;
    for _ in 0..2 {
        let mut socket = host.websocket("/run").await;
        socket.send("hi").await;
        assert_eq!(socket.text().await, "hi");
        socket.close(1000).await;
        assert_eq!(watch.text().await, "running");
        assert_eq!(host.get("/hello/neighbour").await.status, 200);
    }
    // The next connection of the module comes after both, in the same channel.
    host.websocket("/run").await.close(1000).await;
    assert_eq!(watch.text().await, "running");
    drop(watch);
    let metrics = Arc::clone(host.app().metrics());
    let records = Arc::clone(host.app().records());
    host.stop().await;
    let of = |record: &&Arc<tidegate::worker::Record>| record.fault().is_some();
    let records = records.latest();
    let faults: Vec<_> = records.iter().filter(of).collect();
    assert_eq!(faults.len(), 3);
    for record in faults {
        assert_eq!(record.fault().unwrap().kind(), "trap");
        assert_eq!(record.channel.as_str(), "websocket.disconnect.trap-in-disconnect");
    }
    assert!(metrics.render().contains("connections{protocol=\"websocket\"} 0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_sees_nothing_but_the_clock() {
    let host = Host::builder().guest("looker").start().await;
    // The host itself listens there.
    let seen = host.get(&format!("/look/{}", host.address().port())).await;
    let lines: Vec<_> = seen.text().lines().filter(|line| line.ends_with("true")).collect();
    assert_eq!((seen.text().lines().count(), lines), (10, vec!["clock: true"]), "{}", seen.text());
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_whose_thread_gave_up_its_priority_gets_another_thread() {
    let host = Host::builder().set("slots = 1").guest("spin").start().await;
    for _ in 0..3 {
        assert_eq!(host.get("/run").await.status, 500);
        assert_eq!(host.get("/ok").await.text(), "ok");
    }
    let metrics = Arc::clone(host.app().metrics());
    assert_eq!(host.stop().await, 0);
    assert_eq!(metrics.slots_busy.get(), 0);
}
