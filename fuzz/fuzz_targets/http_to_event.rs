//! The bytes of a client up to the events that consumers see.
#![no_main]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use tidegate::{
    interface::{InterfaceConfig, fuzzing::Edge},
    message::{ModuleName, Protocol, Scope},
    routing::{
        Declared, Guards, OnFault, Pattern, Policy, RouteSpec, RouteTable, Routes, Trigger, decode,
    },
};

thread_local! {
    static EDGE: Edge = Edge::new(routes());
}

fuzz_target!(|bytes: &[u8]| {
    for (scope, body) in EDGE.with(|edge| edge.events(bytes)) {
        check_target(&scope);
        check_headers(&scope);
        check_body(&scope, &body);
    }
});

fn check_target(scope: &Scope) {
    assert!(scope.raw_path.starts_with('/'), "{scope:?}");
    assert_eq!(decode(&scope.raw_path).as_deref(), Ok(scope.path.as_str()));
    assert!(!scope.path.contains('\0'), "{scope:?}");
    assert!(!scope.method.is_empty() && scope.method.bytes().all(|b| b.is_ascii_graphic()));
    assert!(scope.query_string.bytes().all(|byte| byte > b' ' && byte != 0x7f), "{scope:?}");
    let target = scope.raw_path.len() + scope.query_string.len();
    assert!(target <= InterfaceConfig::default().limits.uri_bytes, "{target}");
    for param in &scope.path_params {
        assert!(scope.path.contains(&param.value), "{scope:?}");
    }
}

fn check_headers(scope: &Scope) {
    let limits = InterfaceConfig::default().limits;
    assert!(scope.headers.len() <= limits.header_count);
    let mut bytes = 0;
    for (name, value) in &scope.headers {
        bytes += name.as_str().len() + value.len();
        assert!(!name.as_str().contains('_'), "{name}");
        let value = value.as_bytes();
        let is_control =
            |&byte: &u8| byte != b'\t' && (byte < b' ' || byte == 0x7f || byte == 0x85);
        assert!(!value.iter().any(is_control), "{name}: {value:?}");
        assert_eq!(value.trim_ascii(), value, "{name}: {value:?}");
    }
    assert!(bytes <= limits.header_bytes);
    assert!(values(scope, "transfer-encoding").len() <= 1, "{scope:?}");
    assert!(values(scope, "sec-websocket-key").len() <= 1 || scope.protocol == Protocol::Http);
    let hosts = values(scope, "host").len();
    assert!(hosts == 1 || hosts == 0 && scope.http_version == "1.0", "{scope:?}");
    // What a stranger says of himself.
    assert!(values(scope, "x-forwarded-for").is_empty(), "{scope:?}");
}

fn check_body(scope: &Scope, body: &Bytes) {
    let lengths = values(scope, "content-length");
    assert!(lengths.iter().all(|length| Some(length) == lengths.first()), "{lengths:?}");
    let length = lengths.first().map(|length| std::str::from_utf8(length).unwrap_or_default());
    if scope.protocol == Protocol::Websocket {
        return assert!(body.is_empty());
    }
    if !values(scope, "transfer-encoding").is_empty() {
        return assert_eq!(length, None, "a body has one end: {scope:?}");
    }
    assert_eq!(length.unwrap_or("0").parse(), Ok(body.len()), "{scope:?}");
}

fn values<'a>(scope: &'a Scope, name: &str) -> Vec<&'a [u8]> {
    let named = scope.headers.iter().filter(|(its, _)| its.as_str() == name);
    named.map(|(_, value)| value.as_bytes()).collect()
}

fn routes() -> Routes {
    let pattern = |path| Pattern::parse(path).expect("a path as any");
    let http = |path, methods: &[&str]| Trigger::Http {
        methods: methods.iter().map(|&method| method.to_owned()).collect::<BTreeSet<_>>(),
        path: pattern(path),
        guards: Guards::default(),
        disconnect: false,
    };
    let guards = Guards::parse(Some("*.example"), &[("x-v", b"2")]).expect("guards as any");
    let triggers = [
        http("/", &["GET", "POST", "PUT"]),
        http("/a/{b}", &["GET", "POST"]),
        http("/r/{*rest}", &["POST"]),
        Trigger::Websocket { path: pattern("/w"), guards: Guards::default() },
        Trigger::Websocket { path: pattern("/w"), guards },
    ];
    let spec = |(at, trigger)| RouteSpec { consumer: Arc::from(format!("c{at}")), trigger };
    let specs: Vec<RouteSpec> = triggers.into_iter().enumerate().map(spec).collect();
    let policy = Policy {
        event_expiry: Duration::from_secs(10),
        deadline: Duration::from_secs(5),
        on_fault: OnFault::Close,
        user_limit: None,
        sections: None,
        activation: 1,
    };
    let module = ModuleName::parse("m").expect("a letter");
    let retries = BTreeMap::new();
    let declared = [Declared {
        module: &module,
        routes: &specs,
        access: Default::default(),
        resumes: Default::default(),
        policy,
        retries: &retries,
        files: &[],
    }];
    let routes = Routes::default();
    routes.replace(RouteTable::build(&declared).expect("routes beside one another"));
    routes
}
