//! Where connections are taken: addresses, Unix sockets, inherited descriptors.

use std::{
    fmt, io,
    net::SocketAddr,
    os::{fd::OwnedFd, unix::fs::FileTypeExt as _},
    path::{Path, PathBuf},
    str::FromStr,
};

use listenfd::ListenFd;
use socket2::{Domain, SockAddr, Socket as Socket2, Type};
use tokio::net::{TcpListener, UnixListener};
use tokio_util::either::Either;

use super::{unix_access::UnixAccess, wire::Socket};

/// Connections that wait to be accepted on a Unix socket.
const UNIX_BACKLOG: i32 = 1024;
/// The first descriptor that systemd passes (`sd_listen_fds(3)`).
const FIRST_INHERITED: usize = 3;

/// Where to listen, as a setting says it: `[http://|https://]` and `IP:PORT`, `unix:PATH` or `fd:N`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    place: Place,
    tls: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Tcp(SocketAddr),
    Unix(PathBuf),
    /// A descriptor that systemd passed.
    Inherited(usize),
}

/// A text that names no endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a valid address to listen on; write \"127.0.0.1:8000\", \"https://0.0.0.0:8443\", \
     \"unix:/run/tidegate.sock\" or \"fd:3\""
)]
pub struct EndpointError(String);

impl Endpoint {
    /// An address without TLS.
    pub const fn tcp(address: SocketAddr) -> Self {
        Self { place: Place::Tcp(address), tls: false }
    }

    /// The place of a descriptor that systemd passes, by its number from 0.
    pub(in crate::interface) const fn inherited(number: usize) -> Self {
        Self { place: Place::Inherited(FIRST_INHERITED + number), tls: false }
    }

    /// Whether TLS is spoken.
    pub const fn tls(&self) -> bool {
        self.tls
    }

    /// The address, if it is one.
    pub const fn address(&self) -> Option<SocketAddr> {
        match self.place {
            Place::Tcp(address) => Some(address),
            Place::Unix(_) | Place::Inherited(_) => None,
        }
    }
}

impl Endpoint {
    /// Checks whether it can be listened on, by this process or by the one that does so now.
    pub fn check(&self) -> Result<(), BindError> {
        let checked = match &self.place {
            Place::Tcp(address) => std::net::TcpListener::bind(address).map(drop),
            Place::Unix(path) => check_unix(path),
            // It is passed when systemd starts the service.
            Place::Inherited(_) => Ok(()),
        };
        match checked {
            Err(source) if source.kind() != io::ErrorKind::AddrInUse => {
                Err(BindError::new(self, source))
            }
            _ => Ok(()),
        }
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let (tls, rest) = match text.strip_prefix("https://") {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix("http://").unwrap_or(text)),
        };
        let wrong = || EndpointError(text.to_owned());
        let place = if let Some(path) = rest.strip_prefix("unix:").filter(|path| !path.is_empty()) {
            Place::Unix(path.into())
        } else if let Some(number) = rest.strip_prefix("fd:") {
            let number = number.parse().map_err(|_| wrong())?;
            if number < FIRST_INHERITED {
                return Err(wrong());
            }
            Place::Inherited(number)
        } else {
            Place::Tcp(rest.parse().map_err(|_| wrong())?)
        };
        Ok(Self { place, tls })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.tls { "https://" } else { "http://" })?;
        match &self.place {
            Place::Tcp(address) => write!(f, "{address}"),
            Place::Unix(path) => write!(f, "unix:{}", path.display()),
            Place::Inherited(number) => write!(f, "fd:{number}"),
        }
    }
}

/// A listener that could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {place}: {source}")]
pub struct BindError {
    place: String,
    source: io::Error,
}

impl BindError {
    /// Says where it was.
    pub fn new(place: impl fmt::Display, source: io::Error) -> Self {
        Self { place: place.to_string(), source }
    }
}

/// An open listener.
#[derive(Debug)]
pub(in crate::interface) struct Listener {
    /// With the real port.
    pub(in crate::interface) endpoint: Endpoint,
    socket: Either<TcpListener, (UnixListener, Option<SocketFile>)>,
}

impl Listener {
    pub(in crate::interface) async fn bind(
        endpoint: Endpoint,
        inherited: &mut ListenFd,
        access: UnixAccess,
    ) -> Result<Self, BindError> {
        let opened = match &endpoint.place {
            Place::Tcp(address) => TcpListener::bind(address).await.map(Either::Left),
            Place::Unix(path) => bind_unix(path, access).map(Either::Right),
            Place::Inherited(number) => inherit(inherited, *number),
        };
        let socket = opened.map_err(|source| BindError::new(&endpoint, source))?;
        let place = match &socket {
            Either::Left(listener) => match listener.local_addr() {
                Ok(address) => Place::Tcp(address),
                Err(source) => return Err(BindError::new(&endpoint, source)),
            },
            Either::Right(_) => endpoint.place,
        };
        Ok(Self { endpoint: Endpoint { place, tls: endpoint.tls }, socket })
    }

    /// The next connection; with both ends, unless it is local.
    pub(in crate::interface) async fn accept(
        &self,
    ) -> io::Result<(Socket, Option<(SocketAddr, SocketAddr)>)> {
        match &self.socket {
            Either::Left(listener) => {
                let (socket, client) = listener.accept().await?;
                let server = socket.local_addr()?;
                Ok((Either::Left(socket), Some((client, server))))
            }
            Either::Right((listener, _)) => {
                let (socket, _) = listener.accept().await?;
                Ok((Either::Right(socket), None))
            }
        }
    }
}

type Opened = Either<TcpListener, (UnixListener, Option<SocketFile>)>;

fn inherit(inherited: &mut ListenFd, number: usize) -> io::Result<Opened> {
    let at = number - FIRST_INHERITED;
    // What is not of one kind is left at its place for the other.
    if let Ok(Some(listener)) = inherited.take_tcp_listener(at) {
        listener.set_nonblocking(true)?;
        return TcpListener::from_std(listener).map(Either::Left);
    }
    match inherited.take_unix_listener(at)? {
        Some(listener) => {
            listener.set_nonblocking(true)?;
            Ok(Either::Right((UnixListener::from_std(listener)?, None)))
        }
        None => Err(io::Error::new(
            io::ErrorKind::NotFound,
            "no such descriptor was passed; LISTEN_FDS and LISTEN_PID of systemd name them",
        )),
    }
}

fn bind_unix(path: &Path, access: UnixAccess) -> io::Result<(UnixListener, Option<SocketFile>)> {
    let socket = Socket2::new(Domain::UNIX, Type::STREAM, None)?;
    let address = SockAddr::unix(path)?;
    match socket.bind(&address) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_abandoned(path) => {
            std::fs::remove_file(path)?;
            socket.bind(&address)?;
        }
        other => other?,
    }
    let file = SocketFile(path.to_owned());
    // Nobody can connect before it listens.
    access.apply(path)?;
    socket.listen(UNIX_BACKLOG)?;
    socket.set_nonblocking(true)?;
    let listener = std::os::unix::net::UnixListener::from(OwnedFd::from(socket));
    Ok((UnixListener::from_std(listener)?, Some(file)))
}

fn check_unix(path: &Path) -> io::Result<()> {
    std::os::unix::net::SocketAddr::from_pathname(path)?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    if !directory.is_dir() {
        let problem = format!("there is no directory {}", directory.display());
        return Err(io::Error::new(io::ErrorKind::NotFound, problem));
    }
    match std::fs::symlink_metadata(path) {
        Ok(file) if !file.file_type().is_socket() => Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "a file that is not a socket is there",
        )),
        _ => Ok(()),
    }
}

/// A process that was killed leaves its socket's file, on which nobody listens.
fn is_abandoned(path: &Path) -> bool {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    is_socket && std::os::unix::net::UnixStream::connect(path).err().is_some_and(refused)
}

/// The file of a Unix socket, which does not go away with the socket.
#[derive(Debug)]
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Somebody else may have removed it.
        drop(std::fs::remove_file(&self.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_endpoint_reads_back_as_it_is_written() {
        for text in [
            "http://127.0.0.1:8000",
            "https://[::1]:8443",
            "http://unix:/run/tidegate.sock",
            "https://fd:3",
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
        }
        let bare: Endpoint = "127.0.0.1:1".parse().unwrap();
        assert_eq!(bare, Endpoint::tcp("127.0.0.1:1".parse().unwrap()));
    }

    #[test]
    fn what_is_no_endpoint_is_refused_with_the_forms_there_are() {
        for text in ["", "localhost:80", "127.0.0.1", "unix:", "fd:2", "fd:x", "ftp://127.0.0.1:1"]
        {
            let error = text.parse::<Endpoint>().unwrap_err().to_string();
            assert!(error.contains("unix:/run/tidegate.sock"), "{text}: {error}");
        }
    }
}
