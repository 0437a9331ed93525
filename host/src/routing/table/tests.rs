//! Which requests find which routes.

use std::time::Duration;

use http::{HeaderMap, HeaderValue};

use super::*;
use crate::routing::OnFault;

fn http(consumer: &str, methods: &[&str], path: &str) -> RouteSpec {
    let methods = methods.iter().map(|&method| method.to_owned()).collect();
    let path = Pattern::parse(path).unwrap();
    let trigger = Trigger::Http { methods, path, guards: Guards::default(), disconnect: false };
    RouteSpec { consumer: consumer.into(), trigger }
}

type Fields<'a> = &'a [(&'static str, &'static str)];

fn guards(host: &str, fields: Fields<'_>) -> Guards {
    let fields: Vec<_> = fields.iter().map(|&(name, value)| (name, value.as_bytes())).collect();
    Guards::parse(Some(host).filter(|host| !host.is_empty()), &fields).unwrap()
}

/// A route of `GET /`, or of another method, with guards.
fn guarded(consumer: &str, method: &str, host: &str, fields: Fields<'_>) -> RouteSpec {
    let mut spec = http(consumer, &[method], "/");
    if let Trigger::Http { guards: none, .. } = &mut spec.trigger {
        *none = guards(host, fields);
    }
    spec
}

fn with_head<T>(host: &str, fields: Fields<'_>, look_up: impl FnOnce(&Head<'_>) -> T) -> T {
    let mut headers = HeaderMap::new();
    for &(name, value) in fields {
        headers.append(name, HeaderValue::from_static(value));
    }
    look_up(&Head { host: Some(host).filter(|host| !host.is_empty()), headers: &headers })
}

fn get(table: &RouteTable, path: &str) -> Resolution {
    with_head("", &[], |head| table.http("GET", path, head))
}

fn channel(consumer: &str, name: &str) -> RouteSpec {
    let channel = ChannelName::parse(name).unwrap();
    let trigger = Trigger::Channel { channel, retries: None };
    RouteSpec { consumer: consumer.into(), trigger }
}

fn build(modules: &[(&str, Vec<RouteSpec>)]) -> Result<RouteTable, RouteError> {
    let names: Vec<_> = modules.iter().map(|(name, _)| ModuleName::parse(name).unwrap()).collect();
    let second = Duration::from_secs(1);
    let policy = Policy {
        event_expiry: second,
        deadline: second,
        on_fault: OnFault::Close,
        user_limit: None,
        sections: None,
        activation: 1,
    };
    let no_retries = BTreeMap::new();
    let declared: Vec<_> = names
        .iter()
        .zip(modules)
        .map(|(module, (_, routes))| Declared {
            module,
            routes,
            access: BTreeMap::new(),
            resumes: BTreeMap::new(),
            policy: policy.clone(),
            files: &[],
            retries: &no_retries,
        })
        .collect();
    RouteTable::build(&declared)
}

fn consumer(resolution: Resolution) -> Option<(String, Vec<String>)> {
    let Resolution::Found(found) = resolution else { return None };
    let values = found.params.into_iter().map(|param| param.value).collect();
    Some((found.route.consumer.to_string(), values))
}

#[test]
fn a_literal_goes_before_a_parameter_and_parameters_are_decoded() {
    let routes = vec![http("any", &["GET"], "/x/{name}"), http("one", &["GET"], "/x/one")];
    let table = build(&[("a", routes)]).unwrap();
    assert_eq!(consumer(get(&table, "/x/one")), Some(("one".into(), vec![])));
    let (name, values) = consumer(get(&table, "/x/a%2Fb%20c")).unwrap();
    assert_eq!((name.as_str(), values), ("any", vec!["a/b c".to_owned()]));
    assert!(matches!(get(&table, "/x/"), Resolution::NotFound));
    assert!(matches!(get(&table, "/x/%ff"), Resolution::BadPath));
}

#[test]
fn another_method_is_told_which_are_allowed_and_get_answers_head() {
    let table = build(&[("a", vec![http("c", &["GET", "PUT"], "/")])]).unwrap();
    let Resolution::WrongMethod(allowed) = with_head("", &[], |head| table.http("POST", "/", head))
    else {
        panic!()
    };
    assert_eq!(allowed, ["GET", "PUT", "HEAD"]);
    assert!(consumer(with_head("", &[], |head| table.http("HEAD", "/", head))).is_some());
}

#[test]
fn modules_may_share_a_path_but_not_a_method_of_it() {
    let one = ("one", vec![http("list", &["GET"], "/items")]);
    let two = ("two", vec![http("add", &["POST"], "/items")]);
    assert!(build(&[one.clone(), two]).is_ok());
    let error = build(&[one, ("two", vec![http("all", &["GET"], "/items")])]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "HTTP GET /items of module two (all) is taken by module one (list); \
         change one of the paths or serve one of the modules"
    );
}

#[test]
fn paths_that_cannot_be_told_apart_are_a_conflict() {
    let a = ("a", vec![http("c", &["GET"], "/{x}")]);
    let b = ("b", vec![http("d", &["GET"], "/{y}")]);
    let error = build(&[a, b]).unwrap_err().to_string();
    assert!(error.contains("/{y}") && error.contains("/{x}"), "{error}");
}

#[test]
fn a_channel_has_one_owner_and_a_consumer_one_name() {
    let a = ("a", vec![channel("c", "jobs.do")]);
    let b = ("b", vec![channel("d", "jobs.do")]);
    assert!(matches!(build(&[a, b]), Err(RouteError::ChannelTaken { .. })));
    let twice = vec![channel("c", "x"), channel("c", "y")];
    assert!(matches!(build(&[("a", twice)]), Err(RouteError::DuplicateConsumer { .. })));
}

#[test]
fn of_routes_whose_guards_hold_the_more_exact_host_and_then_more_fields_win() {
    let specs = vec![
        guarded("open", "GET", "", &[]),
        guarded("two", "GET", "", &[("a", "1"), ("b", "1")]),
        guarded("field", "GET", "", &[("a", "1")]),
        guarded("domain", "GET", "*.example.com", &[]),
        guarded("name", "GET", "www.example.com", &[]),
        guarded("named-field", "GET", "www.example.com", &[("a", "2")]),
        guarded("longer", "GET", "*.eu.example.com", &[]),
    ];
    // The order in which they are declared does not matter.
    let reversed = specs.iter().rev().cloned().collect();
    for specs in [specs, reversed] {
        let table = build(&[("m", specs)]).unwrap();
        for (host, fields, expected) in [
            ("", &[][..], "open"),
            ("other.net", &[("b", "1")], "open"),
            ("other.net", &[("a", "2")], "open"),
            ("other.net", &[("a", "1")], "field"),
            ("other.net", &[("b", "1"), ("a", "1")], "two"),
            ("api.example.com", &[("a", "1"), ("b", "1")], "domain"),
            ("paris.eu.example.com:80", &[], "longer"),
            ("WWW.example.com", &[("a", "1"), ("b", "1")], "name"),
            ("www.example.com:8000", &[("a", "2"), ("b", "1")], "named-field"),
        ] {
            let found = with_head(host, fields, |head| table.http("GET", "/", head));
            assert_eq!(consumer(found), Some((expected.into(), vec![])), "{host} {fields:?}");
        }
    }
}

#[test]
fn where_no_guard_holds_there_is_nothing_and_only_methods_that_hold_are_allowed() {
    let routes = vec![
        guarded("put", "PUT", "a.net", &[]),
        guarded("get", "GET", "b.net", &[]),
        guarded("head", "HEAD", "b.net", &[("x", "1")]),
    ];
    let table = build(&[("m", routes)]).unwrap();
    let allowed = |host, fields| match with_head(host, fields, |head| table.http("X", "/", head)) {
        Resolution::WrongMethod(allowed) => allowed,
        _ => Vec::new(),
    };
    assert_eq!(allowed("a.net", &[]), ["PUT"]);
    assert_eq!(allowed("b.net", &[]), ["GET", "HEAD"]);
    assert_eq!(allowed("b.net", &[("x", "1")]), ["GET", "HEAD"]);
    assert!(allowed("c.net", &[]).is_empty());
    let http = |method, host, fields| with_head(host, fields, |head| table.http(method, "/", head));
    assert!(matches!(http("GET", "c.net", &[]), Resolution::NotFound));
    let Resolution::WrongMethod(methods) = http("GET", "a.net", &[]) else { panic!() };
    assert_eq!(methods, ["PUT"]);
    for (fields, expected) in [(&[][..], "get"), (&[("x", "1")], "head"), (&[("x", "2")], "get")] {
        let found = consumer(http("HEAD", "b.net", fields));
        assert_eq!(found, Some((expected.into(), vec![])), "{fields:?}");
    }
}

#[test]
fn guards_that_could_both_hold_with_none_more_exact_are_a_conflict() {
    let conflict =
        |one: RouteSpec, other: RouteSpec| build(&[("a", vec![one]), ("b", vec![other])]);
    let error = conflict(
        guarded("c", "GET", "x.net", &[("a", "1")]),
        guarded("d", "GET", "x.net", &[("b", "1")]),
    );
    assert_eq!(
        error.unwrap_err().to_string(),
        "HTTP GET / host=x.net b=1 of module b (d) and / host=x.net a=1 of module a (c) could both \
         take a request; give one of them the guards of both, or another path"
    );
    for (one, other, conflicts) in [
        (guards("x.net", &[]), guards("X.net", &[]), true),
        (guards("x.net", &[]), guards("y.net", &[]), false),
        (guards("*.x.net", &[]), guards("*.y.net", &[]), false),
        (guards("*.x.net", &[]), guards("a.x.net", &[]), false),
        (guards("", &[("a", "1")]), guards("", &[("a", "2")]), false),
        (guards("", &[("a", "1")]), guards("", &[("a", "1"), ("b", "1")]), false),
        (guards("", &[("a", "1")]), guards("", &[("A", "1")]), true),
        (guards("x.net", &[("a", "1")]), guards("", &[("a", "1")]), false),
    ] {
        assert_eq!(one.conflict_with(&other), conflicts, "{one} and {other}");
        assert_eq!(other.conflict_with(&one), conflicts, "{other} and {one}");
    }
}

#[test]
fn a_websocket_is_found_by_its_guards_too() {
    let spec = |consumer: &str, host| {
        let (path, guards) = (Pattern::parse("/ws").unwrap(), guards(host, &[]));
        RouteSpec { consumer: consumer.into(), trigger: Trigger::Websocket { path, guards } }
    };
    let table = build(&[("m", vec![spec("one", "a.net"), spec("two", "b.net")])]).unwrap();
    let found = |host| with_head(host, &[], |head| consumer(table.websocket("/ws", head)));
    assert_eq!(found("b.net:1"), Some(("two".into(), vec![])));
    assert_eq!(found("c.net"), None);
    let twice = build(&[("m", vec![spec("one", "a.net"), spec("two", "a.net")])]);
    assert!(matches!(twice, Err(RouteError::GuardsOverlap { .. })));
}
