//! The table that a request is looked up in.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
};

use matchit::{InsertError, Router};

use super::{EventChannels, Pattern, Policy, RouteSpec, Trigger, canonical, decode};
use crate::message::{ChannelName, ModuleName, PathParam};

/// A route in force.
#[derive(Clone, Debug)]
pub struct Route {
    /// The module.
    pub module: ModuleName,
    /// Its consumer.
    pub consumer: Arc<str>,
    /// The path as declared.
    pub pattern: Pattern,
    /// Whether the consumer wants to know that an HTTP client left early.
    pub disconnect: bool,
    /// Where the module's events go.
    pub channels: Arc<EventChannels>,
    /// How the module's connections are treated.
    pub policy: Arc<Policy>,
}

/// What one module declares.
#[derive(Clone, Debug)]
pub struct Declared<'a> {
    /// The module.
    pub module: &'a ModuleName,
    /// Its consumers.
    pub routes: &'a [RouteSpec],
    /// How its connections are treated.
    pub policy: Policy,
}

/// Why routes cannot stand side by side.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RouteError {
    /// Two consumers of a module have one name.
    #[error("module {module} has two consumers named {consumer}; give each its own name")]
    DuplicateConsumer {
        /// The module.
        module: ModuleName,
        /// The name.
        consumer: Arc<str>,
    },
    /// A path is taken.
    #[error(
        "{kind} {path} of module {module} ({consumer}) is taken by {holder}; \
         change one of the paths or serve one of the modules"
    )]
    PathTaken {
        /// `HTTP` with a method, or `WebSocket`.
        kind: String,
        /// The path.
        path: Pattern,
        /// The module that comes second.
        module: ModuleName,
        /// Its consumer.
        consumer: Arc<str>,
        /// Module and consumer that have the path, or a path that cannot stand beside it.
        holder: String,
    },
    /// A channel has another owner.
    #[error(
        "channel {channel} of module {module} is declared by module {holder} already; \
         a channel has one owner, rename one of them"
    )]
    ChannelTaken {
        /// The channel.
        channel: ChannelName,
        /// The module that comes second.
        module: ModuleName,
        /// The module that has it.
        holder: ModuleName,
    },
}

/// What a look-up came to.
#[derive(Debug)]
pub enum Resolution {
    /// A route and what its path captured.
    Found(Found),
    /// The path exists with other methods, which are given.
    WrongMethod(Vec<String>),
    /// Nobody has the path.
    NotFound,
    /// The path is no text.
    BadPath,
}

/// A route and what its path captured.
#[derive(Debug)]
pub struct Found {
    /// The route.
    pub route: Arc<Route>,
    /// The parameters, decoded.
    pub params: Vec<PathParam>,
}

/// Routes of all modules. Immutable once built.
#[derive(Clone, Default)]
pub struct RouteTable {
    http: Router<Methods>,
    websocket: Router<Arc<Route>>,
    /// Which module reads which channel: those of the application and those of events.
    owners: Arc<HashMap<ChannelName, ModuleName>>,
    listing: Vec<(String, Arc<Route>)>,
}

#[derive(Clone, Debug, Default)]
struct Methods(BTreeMap<String, Arc<Route>>);

impl RouteTable {
    /// Puts the routes of modules side by side; the order of the modules does not matter.
    pub fn build(modules: &[Declared<'_>]) -> Result<Self, RouteError> {
        let mut building = Building::default();
        for declared in modules {
            building.add(declared)?;
        }
        building.finish()
    }

    /// Looks up an HTTP request by its method and its path as the client wrote it.
    pub fn http(&self, method: &str, raw_path: &str) -> Resolution {
        let Ok(path) = canonical(raw_path) else { return Resolution::BadPath };
        let Ok(found) = self.http.at(&path) else { return Resolution::NotFound };
        let methods = &found.value.0;
        let fallback = || if method == "HEAD" { methods.get("GET") } else { None };
        match methods.get(method).or_else(fallback) {
            Some(route) => resolve(route, &found.params),
            None => Resolution::WrongMethod(allowed(methods)),
        }
    }

    /// Looks up a WebSocket by its path as the client wrote it.
    pub fn websocket(&self, raw_path: &str) -> Resolution {
        let Ok(path) = canonical(raw_path) else { return Resolution::BadPath };
        match self.websocket.at(&path) {
            Ok(found) => resolve(found.value, &found.params),
            Err(_) => Resolution::NotFound,
        }
    }

    /// Which module reads which channel.
    pub const fn owners(&self) -> &Arc<HashMap<ChannelName, ModuleName>> {
        &self.owners
    }

    /// All routes with their kind (`GET`, `WEBSOCKET`), in the order of their paths.
    pub fn listing(&self) -> &[(String, Arc<Route>)] {
        &self.listing
    }
}

fn resolve(route: &Arc<Route>, params: &matchit::Params<'_, '_>) -> Resolution {
    let decoded = params
        .iter()
        .map(|(name, value)| {
            Ok(PathParam { name: name.to_owned(), value: decode(value)?.into_owned() })
        })
        .collect::<Result<_, super::PathError>>();
    match decoded {
        Ok(params) => Resolution::Found(Found { route: Arc::clone(route), params }),
        Err(_) => Resolution::BadPath,
    }
}

fn allowed(methods: &BTreeMap<String, Arc<Route>>) -> Vec<String> {
    let mut allowed: Vec<String> = methods.keys().cloned().collect();
    if methods.contains_key("GET") && !methods.contains_key("HEAD") {
        allowed.push("HEAD".to_owned());
    }
    allowed
}

#[derive(Default)]
struct Building {
    http: BTreeMap<String, Methods>,
    websocket: BTreeMap<String, Arc<Route>>,
    owners: HashMap<ChannelName, ModuleName>,
}

impl Building {
    fn add(&mut self, declared: &Declared<'_>) -> Result<(), RouteError> {
        let module = declared.module;
        let channels = Arc::new(EventChannels::of(module));
        let policy = Arc::new(declared.policy.clone());
        let mut names = std::collections::HashSet::new();
        for channel in channels.all() {
            self.owners.insert(channel.clone(), module.clone());
        }
        for spec in declared.routes {
            if !names.insert(&spec.consumer) {
                let consumer = Arc::clone(&spec.consumer);
                return Err(RouteError::DuplicateConsumer { module: module.clone(), consumer });
            }
            let route = |pattern: &Pattern, disconnect| {
                Arc::new(Route {
                    module: module.clone(),
                    consumer: Arc::clone(&spec.consumer),
                    pattern: pattern.clone(),
                    disconnect,
                    channels: Arc::clone(&channels),
                    policy: Arc::clone(&policy),
                })
            };
            match &spec.trigger {
                Trigger::Http { methods, path, disconnect } => {
                    let route = route(path, *disconnect);
                    let at = self.http.entry(path.as_str().to_owned()).or_default();
                    for method in methods {
                        if let Some(holder) = at.0.insert(method.clone(), Arc::clone(&route)) {
                            return Err(taken(&format!("HTTP {method}"), &route, &holder));
                        }
                    }
                }
                Trigger::Websocket { path } => {
                    let route = route(path, false);
                    let key = path.as_str().to_owned();
                    if let Some(holder) = self.websocket.insert(key, Arc::clone(&route)) {
                        return Err(taken("WebSocket", &route, &holder));
                    }
                }
                Trigger::Channel(channel) => self.own(channel, module)?,
            }
        }
        Ok(())
    }

    fn own(&mut self, channel: &ChannelName, module: &ModuleName) -> Result<(), RouteError> {
        match self.owners.insert(channel.clone(), module.clone()) {
            Some(holder) => {
                let (channel, module) = (channel.clone(), module.clone());
                Err(RouteError::ChannelTaken { channel, module, holder })
            }
            None => Ok(()),
        }
    }

    fn finish(self) -> Result<RouteTable, RouteError> {
        let mut table = RouteTable { owners: Arc::new(self.owners), ..RouteTable::default() };
        for (path, methods) in self.http {
            for (method, route) in &methods.0 {
                table.listing.push((method.clone(), Arc::clone(route)));
            }
            let first = methods.0.values().next().cloned();
            insert(&mut table.http, &path, methods, "HTTP", first.as_deref())?;
        }
        for (path, route) in self.websocket {
            table.listing.push(("WEBSOCKET".to_owned(), Arc::clone(&route)));
            insert(&mut table.websocket, &path, Arc::clone(&route), "WebSocket", Some(&route))?;
        }
        Ok(table)
    }
}

fn taken(kind: &str, route: &Route, holder: &Route) -> RouteError {
    RouteError::PathTaken {
        kind: kind.to_owned(),
        path: route.pattern.clone(),
        module: route.module.clone(),
        consumer: Arc::clone(&route.consumer),
        holder: format!("module {} ({})", holder.module, holder.consumer),
    }
}

fn insert<T>(
    router: &mut Router<T>,
    path: &str,
    value: T,
    kind: &str,
    route: Option<&Route>,
) -> Result<(), RouteError> {
    // Paths are checked before; what is left is a conflict such as `/{a}` beside `/{b}`.
    let (Err(error), Some(route)) = (router.insert(path, value), route) else { return Ok(()) };
    let holder = match error {
        InsertError::Conflict { with } => format!("the path {with}"),
        other => other.to_string(),
    };
    Err(RouteError::PathTaken {
        kind: kind.to_owned(),
        path: route.pattern.clone(),
        module: route.module.clone(),
        consumer: Arc::clone(&route.consumer),
        holder,
    })
}

impl fmt::Debug for RouteTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouteTable").field("routes", &self.listing.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::routing::OnFault;

    fn http(consumer: &str, methods: &[&str], path: &str) -> RouteSpec {
        let methods = methods.iter().map(|&method| method.to_owned()).collect();
        let path = Pattern::parse(path).unwrap();
        let trigger = Trigger::Http { methods, path, disconnect: false };
        RouteSpec { consumer: consumer.into(), trigger }
    }

    fn channel(consumer: &str, name: &str) -> RouteSpec {
        let trigger = Trigger::Channel(ChannelName::parse(name).unwrap());
        RouteSpec { consumer: consumer.into(), trigger }
    }

    fn build(modules: &[(&str, Vec<RouteSpec>)]) -> Result<RouteTable, RouteError> {
        let names: Vec<_> =
            modules.iter().map(|(name, _)| ModuleName::parse(name).unwrap()).collect();
        let second = Duration::from_secs(1);
        let policy = Policy { event_expiry: second, deadline: second, on_fault: OnFault::Close };
        let declared: Vec<_> = names
            .iter()
            .zip(modules)
            .map(|(module, (_, routes))| Declared { module, routes, policy: policy.clone() })
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
        assert_eq!(consumer(table.http("GET", "/x/one")), Some(("one".into(), vec![])));
        let (name, values) = consumer(table.http("GET", "/x/a%2Fb%20c")).unwrap();
        assert_eq!((name.as_str(), values), ("any", vec!["a/b c".to_owned()]));
        assert!(matches!(table.http("GET", "/x/"), Resolution::NotFound));
        assert!(matches!(table.http("GET", "/x/%ff"), Resolution::BadPath));
    }

    #[test]
    fn another_method_is_told_which_are_allowed_and_get_answers_head() {
        let table = build(&[("a", vec![http("c", &["GET", "PUT"], "/")])]).unwrap();
        let Resolution::WrongMethod(allowed) = table.http("POST", "/") else { panic!() };
        assert_eq!(allowed, ["GET", "PUT", "HEAD"]);
        assert!(consumer(table.http("HEAD", "/")).is_some());
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
}
