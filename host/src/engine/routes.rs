//! Reads what a module declares, and checks it.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    Fault, Limits, LoadError, Program,
    bindings::exports::tidegate::channels::consumer::{
        ChannelTrigger, Guards as DeclaredGuards, HttpTrigger, Route, Trigger as Declared,
        WebsocketTrigger,
    },
    instance,
};
use crate::{
    message::ChannelName,
    routing::{Guards, Pattern, RouteSpec, Trigger},
};

/// Bytes of all routes together, about.
const ROUTE_BYTES: usize = 1024 * 1024;

/// Runs the module's `routes` under the limits of an invocation.
pub(super) async fn read(
    program: &Program,
    limits: &Limits,
    most: usize,
) -> Result<Vec<RouteSpec>, LoadError> {
    let _running = program.engine.clock.run();
    let limits = Arc::new(limits.clone());
    let mut store = instance::new_store(program, &limits, &Arc::default());
    store.set_hostcall_fuel(ROUTE_BYTES);
    let ask = async {
        store.set_fuel(limits.fuel)?;
        store.set_epoch_deadline(1);
        let module = program.pre.instantiate_async(&mut store).await?;
        module.tidegate_channels_consumer().call_routes(&mut store).await
    };
    let declared = match tokio::time::timeout(limits.deadline, ask).await {
        Ok(Ok(routes)) => routes,
        Ok(Err(error)) => {
            let fault = Fault::from_engine(&error);
            if let Fault::CallBytes { .. } = fault {
                return Err(LoadError::RouteBytes { limit: ROUTE_BYTES });
            }
            let finished = instance::finish(&mut store, Some(fault.clone()), &limits);
            return Err(LoadError::Routes(finished.fault.unwrap_or(fault)));
        }
        Err(_) => {
            let limit = limits.deadline;
            return Err(LoadError::Routes(Fault::Deadline { used: limit, limit }));
        }
    };
    if declared.is_empty() {
        return Err(LoadError::NoConsumers);
    }
    let found = declared.len();
    if found > most {
        let (what, found, limit) = ("routes", found as u64, most as u64);
        return Err(LoadError::TooMany { what, found, limit, setting: "upload.routes" });
    }
    declared.into_iter().map(check).collect()
}

fn check(route: Route) -> Result<RouteSpec, LoadError> {
    let consumer = route.consumer;
    if let Err(error) = crate::message::GroupName::parse(&consumer) {
        return Err(LoadError::ConsumerName { name: consumer, error });
    }
    let pattern = |path: String| {
        Pattern::parse(&path).map_err(|error| LoadError::Path {
            consumer: consumer.clone(),
            path,
            error,
        })
    };
    let trigger = match route.trigger {
        Declared::Http(HttpTrigger { methods, path, guards, disconnect }) => {
            let (path, guards) = (pattern(path)?, check_guards(&consumer, &guards)?);
            Trigger::Http { methods: check_methods(&consumer, methods)?, path, guards, disconnect }
        }
        Declared::Websocket(WebsocketTrigger { path, guards }) => {
            Trigger::Websocket { path: pattern(path)?, guards: check_guards(&consumer, &guards)? }
        }
        Declared::Channel(ChannelTrigger { name, retries }) => {
            let channel = check_channel(&consumer, &name)?;
            if let Some(retries) = retries {
                check_retries(&consumer, &channel, retries)?;
            }
            Trigger::Channel { channel, retries }
        }
    };
    Ok(RouteSpec { consumer: consumer.into(), trigger })
}

fn check_methods(consumer: &str, methods: Vec<String>) -> Result<BTreeSet<String>, LoadError> {
    if methods.is_empty() {
        return Err(LoadError::NoMethods(consumer.to_owned()));
    }
    for method in &methods {
        let token = http::Method::from_bytes(method.as_bytes()).is_ok();
        if !token || method.bytes().any(|byte| byte.is_ascii_lowercase()) {
            let (consumer, method) = (consumer.to_owned(), method.clone());
            return Err(LoadError::Method { consumer, method });
        }
    }
    Ok(methods.into_iter().collect())
}

fn check_guards(consumer: &str, declared: &DeclaredGuards) -> Result<Guards, LoadError> {
    let headers: Vec<_> = (declared.headers.iter())
        .map(|header| (header.name.as_str(), header.value.as_slice()))
        .collect();
    Guards::parse(declared.host.as_deref(), &headers)
        .map_err(|error| LoadError::Guard { consumer: consumer.to_owned(), error })
}

fn check_channel(consumer: &str, name: &str) -> Result<ChannelName, LoadError> {
    let wrong = |reason: String| LoadError::Channel {
        consumer: consumer.to_owned(),
        channel: name.to_owned(),
        reason,
    };
    let channel = ChannelName::parse(name).map_err(|error| wrong(error.to_string()))?;
    if channel.is_reserved() {
        return Err(wrong("`http.` and `websocket.` belong to the interface server".into()));
    }
    if channel.is_reply_channel() {
        return Err(wrong("a name with `!` is the channel of a connection".into()));
    }
    Ok(channel)
}

/// The most that a message is run again.
pub(crate) const MOST_RETRIES: u32 = 100;

fn check_retries(consumer: &str, channel: &ChannelName, retries: u32) -> Result<(), LoadError> {
    let wrong = |reason: String| LoadError::Channel {
        consumer: consumer.to_owned(),
        channel: channel.to_string(),
        reason,
    };
    if retries > MOST_RETRIES {
        let reason = format!("a message is run again {MOST_RETRIES} times at most, not {retries}");
        return Err(wrong(reason));
    }
    channel.dead().map(drop).map_err(|error| wrong(format!("with `.dead` behind it, {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::bindings::tidegate::channels::types::Header;

    fn refused(consumer: &str, trigger: Declared) -> String {
        let route = Route { consumer: consumer.to_owned(), trigger };
        check(route).unwrap_err().to_string()
    }

    fn http(methods: &[&str], path: &str) -> Declared {
        let methods = methods.iter().map(|&method| method.to_owned()).collect();
        let guards = guards(None, &[]);
        Declared::Http(HttpTrigger { methods, path: path.to_owned(), guards, disconnect: false })
    }

    fn guards(host: Option<&str>, headers: &[(&str, &str)]) -> DeclaredGuards {
        let header =
            |&(name, value): &(&str, &str)| Header { name: name.into(), value: value.into() };
        DeclaredGuards {
            host: host.map(str::to_owned),
            headers: headers.iter().map(header).collect(),
        }
    }

    #[test]
    fn what_a_module_declares_wrongly_is_named_with_consumer_and_rule() {
        assert_eq!(
            refused("hello", http(&["GET"], "hello")),
            "the path \"hello\" of consumer hello is malformed: a path starts with `/`"
        );
        let websocket = |path: &str, guards| {
            Declared::Websocket(WebsocketTrigger { path: path.to_owned(), guards })
        };
        let twice = websocket("/{a}/{a}", guards(None, &[]));
        assert!(refused("chat", twice).contains("the parameter `a` is there twice"));
        let port = websocket("/", guards(Some("a:80"), &[]));
        assert!(refused("chat", port).starts_with("a guard of consumer chat: `a:80` is no host"));
        let field = websocket("/", guards(None, &[("a b", "c")]));
        assert!(refused("chat", field).contains("`a b` is no header field"));
        assert!(refused("hello", http(&[], "/")).contains("names no HTTP method"));
        assert!(refused("hello", http(&["get"], "/")).contains("\"get\" of consumer hello"));
        assert!(refused("hello", http(&["G T"], "/")).contains("is no HTTP method"));
        assert!(refused("a b", http(&["GET"], "/")).contains("the consumer name \"a b\""));
    }

    #[test]
    fn a_module_cannot_declare_channels_of_the_interface_server_or_of_connections() {
        for (name, rule) in [
            ("http.request.other", "belong to the interface server"),
            ("websocket.send", "belong to the interface server"),
            ("node!local", "is the channel of a connection"),
            ("a b", "is not one of"),
            ("", "at least 1 byte"),
        ] {
            let channel =
                Declared::Channel(ChannelTrigger { name: name.to_owned(), retries: None });
            let message = refused("work", channel);
            assert!(message.contains(rule), "{name:?}: {message}");
        }
    }
}
