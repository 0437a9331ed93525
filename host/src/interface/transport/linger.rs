//! The end of a connection whose client may still be sending. Closing a socket with unread bytes
//! resets it, and then the client may never see the answer (RFC 9112, section 9.6). So what still
//! comes is read and forgotten, within limits.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

/// Bytes that are read and forgotten at most.
const LINGER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes read at a time.
const SCRATCH_BYTES: usize = 16 * 1024;

/// How long a client may take to notice that nothing more is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Without sending anything.
    pub(super) quiet: Duration,
    /// In all.
    pub(super) whole: Duration,
}

/// A client that was told all, and has not closed.
pub(super) struct Linger {
    left: usize,
    quiet: Duration,
    end: Instant,
    look: Pin<Box<Sleep>>,
    scratch: Box<[u8]>,
}

impl Linger {
    pub(super) fn new(patience: Patience) -> Self {
        let Patience { quiet, whole } = patience;
        let now = Instant::now();
        Self {
            left: LINGER_BYTES_MAX,
            quiet,
            end: now + whole,
            look: Box::pin(sleep_until(now + quiet.min(whole))),
            scratch: vec![0; SCRATCH_BYTES].into(),
        }
    }

    /// Resolves when the client has closed, or is waited for no longer.
    pub(super) fn poll<S>(&mut self, context: &mut Context<'_>, mut socket: Pin<&mut S>) -> Poll<()>
    where
        S: AsyncRead,
    {
        loop {
            if self.look.as_mut().poll(context).is_ready() {
                return Poll::Ready(());
            }
            let mut buffer = ReadBuf::new(&mut self.scratch);
            let read = ready!(socket.as_mut().poll_read(context, &mut buffer));
            let bytes = buffer.filled().len();
            if read.is_err() || bytes == 0 || bytes >= self.left {
                return Poll::Ready(());
            }
            self.left -= bytes;
            self.look.as_mut().reset(self.end.min(Instant::now() + self.quiet));
        }
    }
}

/// Says that nothing more comes, and reads what still comes until the other side closes. The caller says
/// for how long.
pub(crate) async fn read_out<S>(socket: &mut S)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    // An error means that the client is gone, which ends the reading as well.
    drop(socket.shutdown().await);
    let mut scratch = vec![0; SCRATCH_BYTES];
    while socket.read(&mut scratch).await.is_ok_and(|bytes| bytes > 0) {}
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const PATIENCE: Patience =
        Patience { quiet: Duration::from_secs(5), whole: Duration::from_secs(30) };

    /// How many seconds a client is waited for that sends this many bytes every so many seconds.
    async fn waited(bytes: usize, every: u64) -> u64 {
        let (mut client, server) = tokio::io::duplex(SCRATCH_BYTES);
        let (mut linger, started) = (Linger::new(PATIENCE), Instant::now());
        let sending = async {
            for round in 1.. {
                sleep_until(started + Duration::from_secs(round * every)).await;
                if client.write_all(&vec![0; bytes]).await.is_err() {
                    return;
                }
            }
        };
        tokio::pin!(server);
        tokio::select! {
            () = poll_fn(|context| linger.poll(context, server.as_mut())) => {}
            () = sending => {}
        }
        started.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_goes_on_sending_is_waited_for_within_limits() {
        assert_eq!(waited(1, 10).await, 5, "it says nothing");
        assert_eq!(waited(1, 4).await, 30, "it drips");
        assert_eq!(waited(LINGER_BYTES_MAX / 4, 1).await, 4, "it sends as much as is read");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_closes_is_not_waited_for() {
        let (client, server) = tokio::io::duplex(SCRATCH_BYTES);
        let (mut linger, started) = (Linger::new(PATIENCE), Instant::now());
        drop(client);
        tokio::pin!(server);
        poll_fn(|context| linger.poll(context, server.as_mut())).await;
        assert_eq!(started.elapsed(), Duration::ZERO);
    }
}
