//! The table that a request is looked up in.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
    time::Duration,
};

use matchit::{InsertError, Router};

use super::{
    Access, EventChannels, Files, Guards, Head, Pattern, Policy, RouteError, RouteSpec, Trigger,
    canonical, decode, files::FileTable,
};
use crate::message::{ChannelName, Lasting, ModuleName, PathParam};

/// An active route.
#[derive(Clone, Debug)]
pub struct Route {
    /// The module.
    pub module: ModuleName,
    /// Its consumer.
    pub consumer: Arc<str>,
    /// The path as declared.
    pub pattern: Pattern,
    /// What else must hold of a request.
    pub guards: Guards,
    /// Demands on the user. None: nobody asks who it is.
    pub access: Option<Arc<Access>>,
    /// Whether the consumer wants to know that an HTTP client left early.
    pub disconnect: bool,
    /// For how long its WebSockets are kept whose clients were lost. None: they end at once.
    pub resume: Option<Duration>,
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
    /// Demands of consumers on users, by consumer.
    pub access: BTreeMap<Arc<str>, Arc<Access>>,
    /// For how long consumers keep WebSockets whose clients were lost, by consumer.
    pub resumes: BTreeMap<Arc<str>, Duration>,
    /// How its connections are treated.
    pub policy: Policy,
    /// Its directories of files.
    pub files: &'a [Files],
    /// How often messages of a channel are run again, in place of what its consumer says.
    pub retries: &'a BTreeMap<ChannelName, u32>,
}

/// What a look-up came to.
#[derive(Debug)]
pub enum Resolution {
    /// A route and what its path captured.
    Found(Found),
    /// The path exists with other methods, which are given.
    WrongMethod(Vec<String>),
    /// Nobody has the path, or the guards of nobody who has it hold.
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
    websocket: Router<Choices>,
    files: FileTable,
    /// Which module reads which channel: those of the application and those of events.
    owners: Arc<HashMap<ChannelName, ModuleName>>,
    lasting: Arc<HashMap<ChannelName, Lasting>>,
    listing: Vec<(String, Arc<Route>)>,
}

#[derive(Clone, Debug, Default)]
struct Methods(BTreeMap<String, Choices>);

impl Methods {
    fn route(&self, method: &str, head: &Head<'_>) -> Option<&Arc<Route>> {
        self.0.get(method)?.route(head)
    }

    fn allowed(&self, head: &Head<'_>) -> Vec<String> {
        let taken = |choices: &Choices| choices.route(head).is_some();
        let mut allowed: Vec<String> = (self.0.iter())
            .filter(|(_, choices)| taken(choices))
            .map(|(method, _)| method.clone())
            .collect();
        let has = |method: &str| self.0.get(method).is_some_and(taken);
        if has("GET") && !has("HEAD") {
            allowed.push("HEAD".to_owned());
        }
        allowed
    }
}

/// The routes of one path and method.
#[derive(Clone, Debug, Default)]
struct Choices {
    /// Those with the more exact guards first.
    guarded: Vec<Arc<Route>>,
    /// The one without guards, found at once where there is no other.
    open: Option<Arc<Route>>,
}

impl Choices {
    fn route(&self, head: &Head<'_>) -> Option<&Arc<Route>> {
        self.guarded.iter().find(|route| route.guards.hold(head)).or(self.open.as_ref())
    }

    fn iter(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.guarded.iter().chain(&self.open)
    }

    fn add(&mut self, kind: &str, route: &Arc<Route>) -> Result<(), RouteError> {
        if let Some(holder) = self.iter().find(|held| held.guards.conflict_with(&route.guards)) {
            return Err(taken(kind, route, holder));
        }
        if route.guards.is_empty() {
            self.open = Some(Arc::clone(route));
            return Ok(());
        }
        let exactness = route.guards.exactness();
        let place = self.guarded.partition_point(|held| held.guards.exactness() > exactness);
        self.guarded.insert(place, Arc::clone(route));
        Ok(())
    }
}

impl RouteTable {
    /// Puts the routes of modules side by side; the order of the modules does not matter.
    pub fn build(modules: &[Declared<'_>]) -> Result<Self, RouteError> {
        let mut building = Building::default();
        for declared in modules {
            building.add(declared)?;
        }
        building.finish()
    }

    /// Looks up an HTTP request by its method, its path as the client wrote it, and its head.
    pub fn http(&self, method: &str, raw_path: &str, head: &Head<'_>) -> Resolution {
        let Ok(path) = canonical(raw_path) else { return Resolution::BadPath };
        let Ok(found) = self.http.at(&path) else { return Resolution::NotFound };
        let methods = found.value;
        let fallback = || if method == "HEAD" { methods.route("GET", head) } else { None };
        if let Some(route) = methods.route(method, head).or_else(fallback) {
            return resolve(route, &found.params);
        }
        match methods.allowed(head) {
            allowed if allowed.is_empty() => Resolution::NotFound,
            allowed => Resolution::WrongMethod(allowed),
        }
    }

    /// The directory that has a path which no consumer has, and what stands behind its prefix.
    pub fn files<'a>(&self, raw_path: &'a str) -> Option<(Arc<Files>, &'a str)> {
        self.files.at(raw_path)
    }

    /// Looks up a WebSocket by its path as the client wrote it, and the head of its handshake.
    pub fn websocket(&self, raw_path: &str, head: &Head<'_>) -> Resolution {
        let Ok(path) = canonical(raw_path) else { return Resolution::BadPath };
        let Ok(found) = self.websocket.at(&path) else { return Resolution::NotFound };
        match found.value.route(head) {
            Some(route) => resolve(route, &found.params),
            None => Resolution::NotFound,
        }
    }

    /// The channels that keep messages until they are done.
    pub const fn lasting(&self) -> &Arc<HashMap<ChannelName, Lasting>> {
        &self.lasting
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

#[derive(Default)]
struct Building {
    http: BTreeMap<String, Methods>,
    websocket: BTreeMap<String, Choices>,
    owners: HashMap<ChannelName, ModuleName>,
    lasting: HashMap<ChannelName, Lasting>,
    /// Channels for what cannot be done, with the modules whose messages go there.
    dead: HashMap<ChannelName, ModuleName>,
    files: FileTable,
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
        self.files.add(module, declared.files)?;
        for spec in declared.routes {
            if !names.insert(&spec.consumer) {
                let consumer = Arc::clone(&spec.consumer);
                return Err(RouteError::DuplicateConsumer { module: module.clone(), consumer });
            }
            let route = |pattern: &Pattern, guards: &Guards, disconnect| {
                Arc::new(Route {
                    module: module.clone(),
                    consumer: Arc::clone(&spec.consumer),
                    pattern: pattern.clone(),
                    guards: guards.clone(),
                    access: declared.access.get(&spec.consumer).cloned(),
                    resume: declared.resumes.get(&spec.consumer).copied(),
                    disconnect,
                    channels: Arc::clone(&channels),
                    policy: Arc::clone(&policy),
                })
            };
            match &spec.trigger {
                Trigger::Http { methods, path, guards, disconnect } => {
                    let route = route(path, guards, *disconnect);
                    let at = self.http.entry(path.as_str().to_owned()).or_default();
                    for method in methods {
                        let choices = at.0.entry(method.clone()).or_default();
                        choices.add(&format!("HTTP {method}"), &route)?;
                    }
                }
                Trigger::Websocket { path, guards } => {
                    let route = route(path, guards, false);
                    let choices = self.websocket.entry(path.as_str().to_owned()).or_default();
                    choices.add("WebSocket", &route)?;
                }
                Trigger::Channel { channel, retries } => {
                    self.own(channel, module)?;
                    let retries = declared.retries.get(channel).copied().or(*retries);
                    if let Some(retries) = retries.filter(|retries| *retries > 0) {
                        let lease = declared.policy.lease();
                        self.keep(channel, module, Lasting { retries, lease })?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Also the channel for what cannot be done is nobody else's.
    fn keep(
        &mut self,
        channel: &ChannelName,
        module: &ModuleName,
        lasting: Lasting,
    ) -> Result<(), RouteError> {
        let Ok(dead) = channel.dead() else {
            return Err(RouteError::NoDeadName {
                channel: channel.clone(),
                module: module.clone(),
            });
        };
        if let Some(holder) = self.owners.get(&dead).filter(|holder| *holder != module) {
            let (module, holder) = (module.clone(), holder.clone());
            return Err(RouteError::ChannelTaken { channel: dead, module, holder });
        }
        self.dead.insert(dead, module.clone());
        self.lasting.insert(channel.clone(), lasting);
        Ok(())
    }

    fn own(&mut self, channel: &ChannelName, module: &ModuleName) -> Result<(), RouteError> {
        if let Some(holder) = self.dead.get(channel).filter(|holder| *holder != module) {
            let (channel, module) = (channel.clone(), module.clone());
            return Err(RouteError::ChannelTaken { channel, module, holder: holder.clone() });
        }
        match self.owners.insert(channel.clone(), module.clone()) {
            Some(holder) => {
                let (channel, module) = (channel.clone(), module.clone());
                Err(RouteError::ChannelTaken { channel, module, holder })
            }
            None => Ok(()),
        }
    }

    fn finish(self) -> Result<RouteTable, RouteError> {
        let mut table = RouteTable {
            owners: Arc::new(self.owners),
            lasting: Arc::new(self.lasting),
            files: self.files,
            ..RouteTable::default()
        };
        for (path, methods) in self.http {
            for (method, choices) in &methods.0 {
                let listed = choices.iter().map(|route| (method.clone(), Arc::clone(route)));
                table.listing.extend(listed);
            }
            let first = methods.0.values().flat_map(Choices::iter).next().cloned();
            insert(&mut table.http, &path, methods, "HTTP", first.as_deref())?;
        }
        for (path, choices) in self.websocket {
            let kind = || "WEBSOCKET".to_owned();
            table.listing.extend(choices.iter().map(|route| (kind(), Arc::clone(route))));
            let first = choices.iter().next().cloned();
            insert(&mut table.websocket, &path, choices, "WebSocket", first.as_deref())?;
        }
        Ok(table)
    }
}

fn taken(kind: &str, route: &Route, holder: &Route) -> RouteError {
    let (kind, path) = (kind.to_owned(), route.pattern.clone());
    let (module, consumer) = (route.module.clone(), Arc::clone(&route.consumer));
    let owner = format!("module {} ({})", holder.module, holder.consumer);
    if route.guards.is_empty() {
        return RouteError::PathTaken { kind, path, module, consumer, holder: owner };
    }
    let holder = format!("{path}{} of {owner}", holder.guards);
    let guards = Box::new(route.guards.clone());
    RouteError::GuardsOverlap { kind, path, guards, module, consumer, holder }
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
mod tests;
