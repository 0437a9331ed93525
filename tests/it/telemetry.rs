//! Spans and lines of guests, as a collector of OpenTelemetry gets them.

use std::{path::Path, time::SystemTime};

use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::json;
use tests::{
    Certificate, Client, Collector, Got, Outside, Process, RedisServer, Socket, Taking, attribute,
    background, give_up, guest, hexadecimal, must, nanoseconds,
};

use crate::TIDEGATE;

/// The kinds of spans, as numbers of OTLP.
const INTERNAL: i32 = 1;
const SERVER: i32 = 2;
const CLIENT: i32 = 3;
const CONSUMER: i32 = 5;
/// The status of one with an error.
const ERROR: i32 = 2;

/// Serves modules, and sends what there is at once.
async fn serve(
    collector: &Collector,
    modules: &[(&str, &Path)],
    more: &[&str],
    variables: &[(&str, &str)],
) -> Process {
    let modules: Vec<_> =
        modules.iter().map(|(name, file)| format!("{name}={}", file.display())).collect();
    let mut arguments: Vec<_> =
        modules.iter().flat_map(|module| ["--module", module.as_str()]).collect();
    arguments.extend(more);
    let endpoint = collector.url.clone();
    let mut all = vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "20"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "20"),
        ("TIDEGATE_DRAIN_DELAY", "0s"),
        // What proxies say counts.
        ("TIDEGATE_INTERFACE_TRUSTED_PROXIES", "127.0.0.1"),
    ];
    all.extend(variables);
    Process::serve_with("127.0.0.1:0".parse().unwrap(), TIDEGATE, &arguments, &all).await
}

async fn metric(host: &Process, name: &str) -> u64 {
    let text = Client::new(host.admin).get("/metrics").await.text().to_owned();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0, |value| value.parse().unwrap())
}

/// Waits until a count is at least so high.
async fn until_metric(host: &Process, name: &str, least: u64) {
    must(name, async { while metric(host, name).await < least {} }).await;
}

async fn stop(host: Process) {
    host.signal("TERM").await;
    assert_eq!(host.wait().await, Some(0));
}

/// A header field of the last request.
fn head(got: &Got, name: &str) -> Option<String> {
    Some(got.heads.last()?.get(name)?.to_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_a_span_and_its_run_is_a_part_of_it() {
    let collector = Collector::http().await;
    let variables = [
        ("OTEL_SERVICE_NAME", "shop"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=secret"),
    ];
    let hello = tests::example("hello");
    let host = serve(&collector, &[("hello", &hello)], &[], &variables).await;
    let before = nanoseconds(SystemTime::now());
    let reply = Client::new(host.address).get("/hello/Ada?secret=1").await;
    let id = reply.header("x-request-id").unwrap().to_owned();
    let name = "GET /hello/{name}";
    let got = collector
        .until("both spans", |got| got.count(name) == 1 && got.count("run hello.hello") == 1)
        .await;
    let (request, run) = (got.span(name), got.span("run hello.hello"));
    assert_eq!((request.kind, run.kind), (SERVER, CONSUMER));
    for span in [&request, &run] {
        assert_eq!(hexadecimal(&span.trace_id), id, "the correlation id is the trace");
        assert!(before <= span.start_time_unix_nano);
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano);
        assert!(span.links.is_empty());
        assert_eq!(span.status.clone().unwrap_or_default().code, 0);
    }
    assert_eq!(request.parent_span_id, b"");
    assert_eq!(run.parent_span_id, request.span_id);
    let of = |name| attribute(&request.attributes, name).unwrap();
    assert_eq!(of("http.request.method"), "GET");
    assert_eq!(of("http.response.status_code"), "200");
    assert_eq!(of("url.path"), "/hello/Ada");
    assert_eq!(of("tidegate.module"), "hello");
    let of = |name| attribute(&run.attributes, name).unwrap();
    assert_eq!((of("tidegate.version"), of("tidegate.outcome")), ("1".into(), "ok".into()));
    assert_eq!(of("messaging.destination.name"), "http.request.hello");
    assert!(of("tidegate.fuel").parse::<u64>().unwrap() > 0);
    assert!(!format!("{:?}", got.spans).contains("secret"), "no query is in a span");

    let resource = |name: &str| got.resource.iter().find(|(key, _)| key == name).unwrap().1.clone();
    assert_eq!(resource("service.name"), "shop");
    assert_eq!(resource("deployment.environment.name"), "test");
    assert!(resource("service.instance.id").starts_with("node-"));
    assert_eq!(head(&got, "x-key").as_deref(), Some("secret"));
    until_metric(&host, "tidegate_telemetry_sent_total{signal=\"spans\"}", 2).await;
    stop(host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trace_of_a_trusted_proxy_goes_on_and_that_of_a_stranger_does_not() {
    const SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const NOT_SAMPLED: &str = "00-5bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
    let collector = Collector::http().await;
    let hello = tests::example("hello");
    let host = serve(&collector, &[("hello", &hello)], &[], &[]).await;
    let client = Client::new(host.address);
    let ask = async |client: &Client, value: &str| {
        let fields = [("traceparent", value), ("x-request-id", &"7".repeat(32))];
        let reply = client.request("GET", "/hello/a", &fields, "").await;
        reply.header("x-request-id").unwrap().to_owned()
    };
    assert_eq!(ask(&client, NOT_SAMPLED).await, NOT_SAMPLED[3..35]);
    assert_eq!(ask(&client, SAMPLED).await, SAMPLED[3..35]);
    assert_eq!(ask(&client, "00-nonsense").await, "7".repeat(32));
    let run = "run hello.hello";
    let got = collector.until("the runs that are sampled", |got| got.count(run) == 2).await;
    let traces: Vec<_> = got.spans.iter().map(|span| hexadecimal(&span.trace_id)).collect();
    assert!(!traces.contains(&NOT_SAMPLED[3..35].to_owned()), "{traces:?}");
    let of_proxy = |span: &&Span| hexadecimal(&span.trace_id) == SAMPLED[3..35];
    let spans: Vec<_> = got.spans.iter().filter(of_proxy).collect();
    assert_eq!(spans.len(), 2, "{traces:?}");
    let parents: Vec<_> = spans.iter().map(|span| hexadecimal(&span.parent_span_id)).collect();
    assert!(parents.contains(&SAMPLED[36..52].to_owned()), "{parents:?}");
    stop(host).await;

    let variables = [("TIDEGATE_INTERFACE_TRUSTED_PROXIES", "10.0.0.1")];
    let host = serve(&collector, &[("hello", &hello)], &[], &variables).await;
    let id = ask(&Client::new(host.address), SAMPLED).await;
    assert_ne!(id, SAMPLED[3..35]);
    let got = collector.until("its run", |got| got.count(run) == 3).await;
    assert!(got.spans.iter().any(|span| hexadecimal(&span.trace_id) == id));
    stop(host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_a_socket_are_linked_to_its_handshake_and_its_end_is_a_span() {
    let collector = Collector::http().await;
    let echo = tests::example("echo");
    let host = serve(&collector, &[("echo", &echo)], &[], &[]).await;
    let mut socket = Socket::open(host.address, "/echo").await;
    socket.send("one").await;
    socket.text().await;
    socket.close(1000).await;
    let got =
        collector.until("the end", |got| got.count("websocket") == 1 && runs(got).len() == 3).await;
    let handshake = got.span("WEBSOCKET /echo");
    let of = |name| attribute(&handshake.attributes, name).unwrap();
    assert_eq!(
        (of("http.request.method"), of("http.response.status_code")),
        ("GET".into(), "101".into())
    );
    let end = got.span("websocket");
    assert_eq!((end.kind, &end.parent_span_id), (INTERNAL, &handshake.span_id));
    let channels =
        ["websocket.connect.echo", "websocket.receive.echo", "websocket.disconnect.echo"];
    for channel in channels {
        let is_of = |span: &&Span| {
            attribute(&span.attributes, "messaging.destination.name").as_deref() == Some(channel)
        };
        let run = got.spans.iter().find(is_of).unwrap_or_else(|| panic!("{channel}"));
        assert_eq!(run.trace_id, handshake.trace_id);
        if channel == channels[0] {
            assert_eq!((&run.parent_span_id, run.links.len()), (&handshake.span_id, 0));
        } else {
            assert_eq!(run.parent_span_id, b"", "{channel}");
            let [link] = &run.links[..] else { panic!("{channel}: {:?}", run.links) };
            assert_eq!((&link.span_id, &link.trace_id), (&handshake.span_id, &handshake.trace_id));
        }
    }
    stop(host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_whose_client_leaves_is_a_span_with_an_error() {
    let collector = Collector::http().await;
    let host = serve(&collector, &[("hold", &guest("hold"))], &[], &[]).await;
    let mut watch = Socket::open(host.address, "/watch").await;
    let client = Client::new(host.address);
    let leaving = background(async move { client.get("/hold").await });
    assert_eq!(watch.text().await, "held");
    give_up(leaving).await;
    let got = collector.until("its span", |got| got.count("GET /hold") == 1).await;
    let span = got.span("GET /hold");
    assert_eq!(span.status.unwrap().code, ERROR);
    assert_eq!(attribute(&span.attributes, "http.response.status_code"), None);
    drop(watch);
    stop(host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_clients_make_up_is_in_no_name() {
    let collector = Collector::http().await;
    let hello = tests::example("hello");
    let host = serve(&collector, &[("hello", &hello)], &[], &[]).await;
    let client = Client::new(host.address);
    assert_eq!(client.get("/nothing").await.status, 404);
    assert_eq!(client.request("TIDE", "/hello/a", &[], "").await.status, 405);
    let got = collector.until("both", |got| got.spans.len() == 2).await;
    for (name, method, path) in [("GET", "GET", "/nothing"), ("HTTP", "_OTHER", "/hello/a")] {
        let span = got.span(name);
        assert_eq!(attribute(&span.attributes, "http.request.method").unwrap(), method);
        assert_eq!(attribute(&span.attributes, "url.path").unwrap(), path);
    }
    stop(host).await;
}

fn runs(got: &Got) -> Vec<String> {
    let names = got.spans.iter().map(|span| span.name.clone());
    names.filter(|name| name.starts_with("run ")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn work_in_the_background_is_a_part_of_what_asked_for_it() {
    let collector = Collector::http().await;
    let jobs = tests::example("jobs");
    let host = serve(&collector, &[("jobs", &jobs)], &[], &[]).await;
    let fields = [("content-type", "application/json")];
    let reply =
        Client::new(host.address).request("POST", "/jobs", &fields, r#"{"below":10}"#).await;
    assert_eq!(reply.status, 202, "{}", reply.text());
    let got = collector
        .until("the last run", |got| {
            got.count("run jobs.report") == 1 && got.count("POST /jobs") == 1
        })
        .await;
    let chain = ["POST /jobs", "run jobs.submit", "run jobs.count", "run jobs.report"];
    let spans = chain.map(|name| got.span(name));
    for pair in spans.windows(2) {
        let [cause, span] = pair else { unreachable!() };
        assert_eq!(span.trace_id, cause.trace_id);
        assert_eq!(span.parent_span_id, cause.span_id, "{} of {}", span.name, cause.name);
    }
    stop(host).await;
}

/// Serves a guest that may reach a server.
async fn reaching(collector: &Collector, outside: &Outside, module: &str) -> Process {
    let directory = tempfile::tempdir().unwrap();
    let (settings, file) = (directory.path().join("tidegate.toml"), guest(module));
    let grant = format!("grants.http = ['{}']", outside.address);
    std::fs::write(&settings, format!("[modules.{module}]\nfile = {file:?}\n{grant}\n")).unwrap();
    // They are read before it serves.
    serve(collector, &[], &["--config", settings.to_str().unwrap()], &[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_outside_names_its_span_and_is_of_the_trace_of_its_run() {
    let (collector, outside) = (Collector::http().await, Outside::start().await);
    let host = reaching(&collector, &outside, "fetches").await;
    let client = Client::new(host.address);
    let fields = [("content-type", "application/json")];
    let asked = json!({ "url": outside.url("/fields"), "value": "mine" }).to_string();
    assert_eq!(client.request("POST", "/fetch", &fields, asked).await.status, 200);
    let got = collector
        .until("the result's run", |got| runs(got).iter().any(|name| name.contains("done")))
        .await;
    let run = got.span("run fetches.fetch");
    let fetch = got.span("GET");
    // It went through the store, as its result does: they are of the trace, and a part of no span.
    assert_eq!((fetch.kind, &fetch.trace_id), (CLIENT, &run.trace_id));
    assert_eq!(fetch.parent_span_id, b"");
    assert_eq!(attribute(&fetch.attributes, "http.response.status_code").unwrap(), "200");
    let result = got.spans.iter().find(|span| span.name.contains("done")).unwrap();
    assert_eq!((&result.parent_span_id[..], &result.trace_id), (&b""[..], &run.trace_id));
    let named = |trace: &[u8], span: &[u8]| {
        format!("traceparent: 00-{}-{}-01", hexadecimal(trace), hexadecimal(span))
    };
    let [asked] = &outside.asked()[..] else { panic!("one request") };
    assert!(asked.head.contains(&named(&fetch.trace_id, &fetch.span_id)), "{}", asked.head);

    stop(host).await;

    // A request that a run makes itself is of its own span.
    let host = reaching(&collector, &outside, "outgoing").await;
    let client = Client::new(host.address);
    let reply = client.request("POST", "/ask", &[], outside.url("/fields")).await;
    assert!(reply.text().starts_with("200"), "{}", reply.text());
    let got = collector.until("its run", |got| got.count("run outgoing.ask") == 1).await;
    let run = got.span("run outgoing.ask");
    let asked = outside.asked().pop().unwrap();
    assert!(asked.head.contains(&named(&run.trace_id, &run.span_id)), "{}", asked.head);
    stop(host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_is_an_error_and_lines_of_a_run_name_its_span() {
    let collector = Collector::http().await;
    let host = serve(&collector, &[("panic", &guest("panic"))], &[], &[]).await;
    assert_eq!(Client::new(host.address).get("/run").await.status, 500);
    let got = collector
        .until("both spans", |got| got.count("run panic.run") == 1 && got.count("GET /run") == 1)
        .await;
    for name in ["run panic.run", "GET /run"] {
        assert_eq!(got.span(name).status.unwrap().code, ERROR, "{name}");
    }
    stop(host).await;

    let host = serve(&collector, &[("bridges", &guest("bridges"))], &[], &[]).await;
    assert_eq!(Client::new(host.address).get("/run").await.text(), "logged");
    let said = |got: &Got| {
        let bodies = got.lines.iter().map(|line| format!("{:?}", line.body));
        bodies.filter(|body| body.contains("from ")).count()
    };
    let got =
        collector.until("lines", |got| said(got) == 2 && got.count("run bridges.run") == 1).await;
    let run = got.span("run bridges.run");
    let lines: Vec<_> =
        got.lines.iter().filter(|line| format!("{:?}", line.body).contains("from ")).collect();
    for (line, (level, text)) in lines
        .iter()
        .zip([("WARN", "bridges: from log"), ("ERROR", "bridges: from tracing level=7")])
    {
        assert_eq!(line.severity_text, level);
        assert!(format!("{:?}", line.body).contains(text), "{line:?}");
        assert_eq!((&line.trace_id, &line.span_id), (&run.trace_id, &run.span_id));
        assert_eq!(attribute(&line.attributes, "tidegate.module").unwrap(), "bridges");
        assert_eq!(attribute(&line.attributes, "tidegate.version").unwrap(), "1");
    }
    stop(host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_goes_on_over_redis_from_process_to_process() {
    let (collector, redis) = (Collector::http().await, RedisServer::start());
    let url = redis.url();
    let jobs = tests::example("jobs");
    let front = ["--layer", url.as_str(), "--no-worker"];
    let host = serve(&collector, &[("jobs", &jobs)], &front, &[]).await;
    let endpoint = collector.url.clone();
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "20"),
        ("TIDEGATE_DRAIN_DELAY", "0s"),
    ];
    let arguments = ["worker", "--layer", url.as_str()];
    let address = "127.0.0.1:0".parse().unwrap();
    let worker = Process::serve_with(address, TIDEGATE, &arguments, &variables).await;
    let fields = [("content-type", "application/json")];
    let reply =
        Client::new(host.address).request("POST", "/jobs", &fields, r#"{"below":10}"#).await;
    assert_eq!(reply.status, 202, "{}", reply.text());
    let chain = ["POST /jobs", "run jobs.submit", "run jobs.count", "run jobs.report"];
    let got =
        collector.until("all spans", |got| chain.iter().all(|name| got.count(name) == 1)).await;
    for pair in chain.map(|name| got.span(name)).windows(2) {
        let [cause, span] = pair else { unreachable!() };
        assert_eq!((&span.trace_id, &span.parent_span_id), (&cause.trace_id, &cause.span_id));
    }
    stop(worker).await;
    stop(host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_and_lines_go_over_grpc_too() {
    let collector = Collector::grpc().await;
    let variables =
        [("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=secret")];
    let host = serve(&collector, &[("bridges", &guest("bridges"))], &[], &variables).await;
    Client::new(host.address).get("/run").await;
    let got = collector
        .until("spans and lines", |got| {
            got.count("run bridges.run") == 1 && got.count("GET /run") == 1 && got.lines.len() == 2
        })
        .await;
    assert_eq!(head(&got, "x-key").as_deref(), Some("secret"));
    assert_eq!(got.span("run bridges.run").parent_span_id, got.span("GET /run").span_id);
    stop(host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_is_reached_over_tls_and_takes_what_is_compressed() {
    let (directory, certificate) = (tempfile::tempdir().unwrap(), Certificate::new());
    certificate.write(directory.path());
    let (file, _) = Certificate::files(directory.path());
    let collectors = [
        ("http/protobuf", "content-encoding", Collector::https(&certificate).await),
        ("grpc", "grpc-encoding", Collector::grpc_tls(&certificate).await),
    ];
    for (protocol, field, collector) in collectors {
        let variables = [
            ("SSL_CERT_FILE", file.to_str().unwrap()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ];
        let host = serve(&collector, &[("bridges", &guest("bridges"))], &[], &variables).await;
        Client::new(host.address).get("/run").await;
        let come = |got: &Got| got.count("run bridges.run") == 1 && got.lines.len() == 2;
        let got = collector.until(protocol, come).await;
        assert_eq!(head(&got, field).as_deref(), Some("gzip"), "{protocol}");
        stop(host).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_of_traces_is_sampled_whole() {
    let collector = Collector::http().await;
    let variables =
        [("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "0.5")];
    let hello = tests::example("hello");
    let host = serve(&collector, &[("hello", &hello)], &[], &variables).await;
    let client = Client::new(host.address);
    for _ in 0..100 {
        client.get("/hello/a").await;
    }
    // All that is left is sent at the end.
    stop(host).await;
    let got = collector.got();
    let (requests, runs) = (got.count("GET /hello/{name}"), got.count("run hello.hello"));
    assert!((20..=80).contains(&requests), "{requests}");
    assert_eq!(requests, runs);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_fails_costs_no_request_and_what_is_lost_is_counted() {
    const LOST: &str = "tidegate_telemetry_lost_total{signal=\"spans\",reason=\"";
    let collector = Collector::http().await;
    let variables = [
        ("OTEL_BSP_MAX_QUEUE_SIZE", "64"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "32"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "600000"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "600000"),
        ("OTEL_LOGS_EXPORTER", "none"),
    ];
    let hello = tests::example("hello");
    let host = serve(&collector, &[("hello", &hello)], &[], &variables).await;
    let client = Client::new(host.address);
    collector.take(Taking::Nothing);
    client.get("/hello/a").await;
    // That of the request and that of its run: no other one is on its way.
    until_metric(&host, &format!("{LOST}refused\"}}"), 2).await;

    // While it does not answer, as many wait as may.
    collector.take(Taking::Never);
    let before = collector.got().requests;
    client.get("/hello/a").await;
    collector.until("a request", |got| got.requests > before).await;
    for _ in 0..100 {
        assert_eq!(client.get("/hello/a").await.status, 200);
    }
    until_metric(&host, &format!("{LOST}queue_full\"}}"), 100).await;
    // The end does not wait for the ten minutes that a batch may take.
    stop(host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_gets_what_comes_after_it_is_there() {
    let collector = Collector::http().await;
    let hello = tests::example("hello");
    let host = serve(&collector, &[("hello", &hello)], &[], &[]).await;
    let client = Client::new(host.address);
    collector.take(Taking::Nothing);
    client.get("/hello/a").await;
    let lost = "tidegate_telemetry_lost_total{signal=\"spans\",reason=\"refused\"}";
    until_metric(&host, lost, 1).await;
    collector.take(Taking::All);
    let reply = client.get("/hello/b").await;
    let id = reply.header("x-request-id").unwrap().to_owned();
    let has = |got: &Got| got.spans.iter().filter(|it| hexadecimal(&it.trace_id) == id).count();
    collector.until("its spans", |got| has(got) == 2).await;
    stop(host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variable_that_cannot_be_used_stops_the_start_with_its_rule() {
    let directory = tempfile::tempdir().unwrap();
    for (name, value, rule) in [
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "127.0.0.1:4318",
            "does not begin with http:// or https://",
        ),
        ("OTEL_TRACES_SAMPLER", "sometimes", "is not one of always_on"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "is neither \"http/protobuf\" nor \"grpc\""),
    ] {
        for command in ["serve", "check"] {
            let mut tidegate = tokio::process::Command::new(TIDEGATE);
            tidegate.args([command, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
            tidegate.arg("--data-dir").arg(directory.path());
            tidegate.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1").env(name, value);
            let output = must("it ends", tidegate.output()).await.unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(3), "{command} {name}: {said}");
            assert!(said.contains(name) && said.contains(rule), "{command}: {said}");
        }
    }
}
