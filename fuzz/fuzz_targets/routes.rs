//! Paths of routes and of requests: one form each, and what a route captures is what stood there.
#![no_main]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use libfuzzer_sys::fuzz_target;
use tidegate::{
    message::ModuleName,
    routing::{
        Declared, Found, Guards, Head, OnFault, Pattern, Policy, Resolution, RouteSpec, RouteTable,
        Trigger, canonical, decode,
    },
};

// The first line is the path of a request; each other line is the path of a route.
fuzz_target!(|text: &str| {
    let mut lines = text.lines();
    let path = lines.next().unwrap_or_default();
    let patterns: Vec<Pattern> =
        lines.take(8).filter_map(|line| Pattern::parse(line).ok()).collect();
    for pattern in &patterns {
        assert_eq!(Pattern::parse(pattern.as_str()).as_ref(), Ok(pattern), "it has one form");
    }
    if let Ok(once) = canonical(path) {
        assert_eq!(canonical(&once).as_deref(), Ok(&*once), "{path:?} has one form");
    }
    let forwards = table(patterns.iter());
    let backwards = table(patterns.iter().rev());
    assert_eq!(forwards.is_some(), backwards.is_some(), "{patterns:?}");
    let (Some(forwards), Some(backwards)) = (forwards, backwards) else { return };
    match (look_up(&forwards, path), look_up(&backwards, path)) {
        (Resolution::Found(found), Resolution::Found(again)) => {
            assert_eq!(found.route.pattern, again.route.pattern, "{path:?} in {patterns:?}");
            assert_eq!(Ok(fill(&found)), decode(path).map(Into::into), "{:?}", found.route.pattern);
        }
        (Resolution::NotFound, Resolution::NotFound) => {}
        (Resolution::BadPath, Resolution::BadPath) => assert!(canonical(path).is_err()),
        other => panic!("{path:?} in {patterns:?}: {other:?}"),
    }
});

fn look_up(table: &RouteTable, path: &str) -> Resolution {
    table.http("GET", path, &Head { host: None, headers: &Default::default() })
}

/// Each route in a module of its own.
fn table<'a>(patterns: impl Iterator<Item = &'a Pattern>) -> Option<RouteTable> {
    let modules: Vec<(ModuleName, [RouteSpec; 1])> = patterns
        .enumerate()
        .map(|(at, pattern)| {
            let trigger = Trigger::Http {
                methods: BTreeSet::from(["GET".to_owned()]),
                path: pattern.clone(),
                guards: Guards::default(),
                disconnect: false,
            };
            let name = ModuleName::parse(&format!("m{at}")).expect("a letter and digits");
            (name, [RouteSpec { consumer: Arc::from("c"), trigger }])
        })
        .collect();
    let policy = Policy {
        event_expiry: Duration::from_secs(10),
        deadline: Duration::from_secs(5),
        on_fault: OnFault::Close,
        user_limit: None,
        sections: None,
        activation: 1,
    };
    let retries = BTreeMap::new();
    let declared: Vec<Declared<'_>> = modules
        .iter()
        .map(|(module, routes)| Declared {
            module,
            routes,
            access: Default::default(),
            resumes: Default::default(),
            policy: policy.clone(),
            retries: &retries,
            files: &[],
        })
        .collect();
    RouteTable::build(&declared).ok()
}

/// The path of a route with what it captured in the places of its parameters, decoded.
fn fill(found: &Found) -> String {
    let mut values = found.params.iter();
    let segments = found.route.pattern.as_str().split('/').map(|segment| {
        if segment.starts_with('{') {
            values.next().expect("each parameter has a value").value.clone()
        } else {
            decode(segment).expect("a route's path is text").into_owned()
        }
    });
    let filled = segments.collect::<Vec<_>>().join("/");
    assert!(values.next().is_none(), "no value without a parameter");
    filled
}
