//! Listens and accepts.

use std::{sync::Arc, time::Duration};

use listenfd::ListenFd;
use tokio::{
    runtime::Handle,
    time::{Instant, sleep_until},
};

use super::{
    Hub, InterfaceConfig,
    admission::Admission,
    backlog::Lines,
    connections::Connections,
    inbox,
    limits_log::LimitsLog,
    roster, serve,
    transport::{
        BindError, Certificates, Endpoint, Listener, Peer, Raw, TlsConfig, TlsError, report, watch,
    },
    unsent::ResponseSizes,
    users::Users,
    websocket::Returns,
};
use crate::{
    auth::Auth,
    capability::sessions::Sessions,
    layer::{ChannelLayer, LayerError},
    message::NodeName,
    routing::Routes,
    shutdown::Drain,
    telemetry::{Metrics, Traces},
};

/// How long to wait after an accept that failed: the process may be out of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How often the files of the certificate are looked at.
const CERTIFICATE_CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// Serves HTTP and WebSocket.
#[derive(Debug)]
pub struct InterfaceServer {
    listeners: Vec<Listener>,
    endpoints: Vec<Endpoint>,
    certificates: Option<Arc<Certificates>>,
    pub(super) hub: Arc<Hub>,
}

/// A server that runs.
#[derive(Debug)]
pub struct Running {
    pub(super) hub: Arc<Hub>,
    /// Reads the inbox until the last connection has ended.
    pub(super) reader: Drain,
    certificates: Option<Arc<Certificates>>,
}

/// What an interface server is made of.
#[derive(Debug)]
pub struct Parts {
    /// Settings.
    pub config: InterfaceConfig,
    /// Carries events away and answers back.
    pub layer: Arc<dyn ChannelLayer>,
    /// Says which consumer a request is for.
    pub routes: Routes,
    /// Finds out who somebody is.
    pub auth: Option<Arc<Auth>>,
    /// The sessions of the host; none if it keeps none.
    pub sessions: Option<Arc<Sessions>>,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Takes spans.
    pub traces: Traces,
    /// The name that the process is reached by.
    pub node: NodeName,
}

impl InterfaceServer {
    /// Reads the certificate; nothing is listened on yet.
    pub fn new(parts: Parts, tls: Option<TlsConfig>) -> Result<Self, TlsError> {
        let certificates = tls.map(Certificates::load).transpose()?;
        let Parts { config, layer, routes, auth, sessions, metrics, traces, node } = parts;
        let hub = Hub {
            admission: Admission::new(&config.limits),
            config,
            node,
            layer,
            routes,
            users: Users::new(auth, sessions),
            connections: Connections::default(),
            returns: Returns::default(),
            open_sockets: Arc::default(),
            lines: Lines::default(),
            metrics,
            traces,
            limits_log: LimitsLog::default(),
            response_sizes: ResponseSizes::default(),
            drain: Drain::new(Handle::current()),
        };
        Ok(Self { listeners: Vec::new(), endpoints: Vec::new(), certificates, hub: Arc::new(hub) })
    }

    /// Opens listeners. Nothing is accepted yet.
    pub async fn bind(&mut self, endpoints: Vec<Endpoint>) -> Result<(), BindError> {
        let mut inherited = ListenFd::from_env();
        for endpoint in endpoints {
            let listener = Listener::bind(endpoint, &mut inherited, self.hub.config.unix).await?;
            self.endpoints.push(listener.endpoint.clone());
            self.listeners.push(listener);
        }
        let unused =
            (0..inherited.len()).filter(|at| matches!(inherited.take_raw_fd(*at), Ok(Some(_))));
        for at in unused {
            tracing::warn!(
                place = %Endpoint::inherited(at),
                "a socket that systemd passes is not in `listen`: whoever connects there waits for ever"
            );
        }
        Ok(())
    }

    /// Where is listened, with the real ports.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// Starts to accept.
    pub async fn start(self) -> Result<Running, LayerError> {
        let Self { listeners, hub, certificates, .. } = self;
        hub.layer.open_inbox(&hub.node).await?;
        hub.layer.lend_recipient(&hub.node, inbox::recipient(&hub));
        hub.layer.lend_respondent(&hub.node, roster::respondent(&hub));
        hub.layer.count_sockets(&hub.node, Arc::clone(&hub.open_sockets));
        let reader = Drain::new(Handle::current());
        reader.spawn_until_stopped("inbox", inbox::read(Arc::clone(&hub)));
        if let Some(certificates) = &certificates {
            let watching = watch(Arc::clone(certificates), CERTIFICATE_CHECK_INTERVAL);
            reader.spawn_until_stopped("certificate", watching);
        }
        for listener in listeners {
            let accepting = accept(listener, certificates.clone(), Arc::clone(&hub));
            hub.drain.spawn("accept", accepting);
        }
        Ok(Running { hub, reader, certificates })
    }
}

impl Running {
    /// Reads the certificate and the keys of tokens again. What cannot be used changes nothing and is logged.
    pub fn reload(&self) {
        if let Some(certificates) = &self.certificates {
            report(certificates.reload());
        }
        if let Some(auth) = &self.hub.users.auth {
            auth.reread();
        }
    }
}

async fn accept(listener: Listener, certificates: Option<Arc<Certificates>>, hub: Arc<Hub>) {
    let tls = certificates.filter(|_| listener.endpoint.tls()).map(|it| it.acceptor());
    loop {
        let accepted = tokio::select! {
            () = hub.drain.stopping() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, ends)) => {
                let peer = Peer::new(ends);
                let (place, beyond) = hub.admission.enter();
                if beyond.is_some_and(|reason| hub.refuse(reason, peer.client.ip())) {
                    // Closed unread: whatever is said to it would cost what the limit saves.
                    continue;
                }
                let raw = Raw::new(socket, peer, &hub.config.timeouts);
                let serving = serve::serve(raw, place, tls.clone(), Arc::clone(&hub));
                hub.drain.spawn("connection", serving);
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep_until(Instant::now() + ACCEPT_PAUSE).await;
            }
        }
    }
}
