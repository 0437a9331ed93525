//! Variations of where a server is and how one logs in there.

use deadpool_redis::redis::{ConnectionAddr, ConnectionInfo, RedisConnectionInfo};

/// The same server and database, without user and password.
pub(super) fn without_login(info: &ConnectionInfo) -> ConnectionInfo {
    let settings = info.redis_settings();
    let bare =
        RedisConnectionInfo::default().set_db(settings.db()).set_protocol(settings.protocol());
    info.clone().set_redis_settings(bare)
}

/// The same server and login at another address.
pub(super) fn at(info: &ConnectionInfo, host: String, port: u16) -> ConnectionInfo {
    let address = match info.addr() {
        ConnectionAddr::TcpTls { insecure, tls_params, .. } => ConnectionAddr::TcpTls {
            host,
            port,
            insecure: *insecure,
            tls_params: tls_params.clone(),
        },
        _ => ConnectionAddr::Tcp(host, port),
    };
    info.clone().set_addr(address)
}

/// The same address with or without TLS.
pub(super) fn speaking(info: ConnectionInfo, with_tls: bool) -> ConnectionInfo {
    let address = match (info.addr().clone(), with_tls) {
        (ConnectionAddr::Tcp(host, port), true) => {
            ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
        }
        (ConnectionAddr::TcpTls { host, port, .. }, false) => ConnectionAddr::Tcp(host, port),
        (address, _) => address,
    };
    info.set_addr(address)
}
