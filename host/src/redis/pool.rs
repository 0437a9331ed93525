//! The connections to one server.
//!
//! `deadpool-redis` makes them, and `deadpool` bounds them and keeps the idle ones. The manager of
//! `deadpool-redis` asks the server at each use whether the connection works. That would be a command
//! more for each blocking pop, so the manager here does not: a connection is only given back after an
//! answer came over it.

use std::time::Duration;

use deadpool::managed::{self, Metrics, Object, RecycleResult};
use deadpool_redis::{
    Runtime,
    redis::{
        AsyncConnectionConfig, ConnectionInfo, ErrorKind, RedisError, RedisResult,
        aio::MultiplexedConnection,
    },
};

/// Connections of a process to a server for one partition: one for commands, one that waits for work, one that waits
/// for requests to servers outside, one that waits for an inbox. With fewer the waits would hold each other up.
const CONNECTIONS_MAX: usize = 4;

/// A connection that belongs to the pool.
pub(super) type Lent = Object<Manager>;

pub(super) struct Manager(deadpool_redis::Manager);

impl managed::Manager for Manager {
    type Type = MultiplexedConnection;
    type Error = RedisError;

    async fn create(&self) -> RedisResult<MultiplexedConnection> {
        managed::Manager::create(&self.0).await
    }

    async fn recycle(
        &self,
        _connection: &mut MultiplexedConnection,
        _metrics: &Metrics,
    ) -> RecycleResult<RedisError> {
        Ok(())
    }
}

#[derive(Clone)]
pub(super) struct Pool(managed::Pool<Manager>);

impl Pool {
    pub(super) fn open(info: ConnectionInfo, timeout: Duration) -> RedisResult<Self> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(timeout))
            .set_response_timeout(Some(timeout));
        let manager = Manager(deadpool_redis::Manager::new_with_config(info, config)?);
        let pool = managed::Pool::builder(manager).max_size(CONNECTIONS_MAX);
        let built = pool.runtime(Runtime::Tokio1).build();
        built.map(Self).map_err(|error| {
            RedisError::from((ErrorKind::InvalidClientConfig, "no pool", error.to_string()))
        })
    }

    /// A connection, or waits until another is given back.
    pub(super) async fn lend(&self) -> RedisResult<Lent> {
        self.0.get().await.map_err(|error| match error {
            managed::PoolError::Backend(error) => error,
            other => RedisError::from((ErrorKind::Io, "no connection", other.to_string())),
        })
    }

    /// The same for a command that nothing else may wait behind.
    pub(super) async fn lend_alone(&self) -> RedisResult<LentAlone> {
        let lent = self.lend().await?;
        Ok(LentAlone { connection: MultiplexedConnection::clone(&lent), lent: Some(lent) })
    }
}

/// A connection for one command. It leaves the pool and is closed unless the answer came: a pop that
/// still waits on it would take entries for nobody.
pub(super) struct LentAlone {
    pub(super) connection: MultiplexedConnection,
    lent: Option<Lent>,
}

impl LentAlone {
    /// The answer came.
    pub(super) fn give_back(mut self) {
        drop(self.lent.take());
    }
}

impl Drop for LentAlone {
    fn drop(&mut self) {
        drop(self.lent.take().map(Object::take));
    }
}
