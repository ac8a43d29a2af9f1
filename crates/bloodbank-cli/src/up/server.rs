//! Connections: how many, for how long, and how they end.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, header};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};
use tower::Service;

use super::tls::Tls;

/// The most connections at a time. What comes then is closed.
const MOST_CONNECTIONS: u32 = 4_096;

/// How long a caller may take to send the head of a request, and how long a connection may be idle.
const HEAD: Duration = Duration::from_secs(30);

/// The largest head of a request, in bytes.
const LARGEST_HEAD: usize = 64 << 10;

/// How long after the end has begun a connection that is idle may bring one more request: its caller may
/// not have seen yet that it ends.
const LINGER: Duration = Duration::from_millis(500);

/// How long is waited where the system has no room for a connection.
const NO_ROOM: Duration = Duration::from_millis(100);

/// Serves a router.
pub(super) struct Server {
    pub(super) listener: TcpListener,
    pub(super) tls: Option<Tls>,
    pub(super) router: Router,
}

/// What each connection is served with.
#[derive(Clone)]
struct Serving {
    tls: Option<Tls>,
    router: Router,
    /// Turns true when each answer is the last one of its connection.
    ending: watch::Receiver<bool>,
    /// Turns true when connections that are idle end, too.
    closing: watch::Receiver<bool>,
    room: Arc<Semaphore>,
}

impl Server {
    /// Serves until `ending` turns true. Then takes no more connections, finishes what was accepted, and
    /// gives whether that was all done in the time that is left.
    pub(super) async fn run(self, mut ending: watch::Receiver<bool>, time: Duration) -> bool {
        let Server { listener, tls, router } = self;
        let room = Arc::new(Semaphore::new(MOST_CONNECTIONS as usize));
        let close = watch::Sender::new(false);
        let closing = close.subscribe();
        let serving = Serving { tls, router, ending: ending.clone(), closing, room: room.clone() };
        let mut told = pin!(turned(&mut ending));
        loop {
            tokio::select! {
                () = &mut told => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, from)) => serving.take(stream, from),
                    Err(error) => refused(&error).await,
                },
            }
        }
        // The system has agreed on these already; to close them now would reset them.
        while let Some((stream, from)) = waiting(&listener).await {
            serving.take(stream, from);
        }
        drop(listener);
        sleep(LINGER).await;
        close.send_replace(true);
        // All places are free when all connections have ended.
        let ended = room.acquire_many(MOST_CONNECTIONS);
        timeout(time.saturating_sub(LINGER), ended).await.is_ok()
    }
}

impl Serving {
    fn take(&self, stream: TcpStream, from: SocketAddr) {
        let Ok(place) = self.room.clone().try_acquire_owned() else {
            tracing::warn!(%from, "there are {MOST_CONNECTIONS} connections; one more was closed");
            return;
        };
        let serving = self.clone();
        tokio::spawn(async move {
            // An error means that it is gone, which shows soon.
            let _ = stream.set_nodelay(true);
            match &serving.tls {
                None => serving.serve(stream, from).await,
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => serving.serve(stream, from).await,
                    Err(error) => tracing::debug!(%from, %error, "no TLS"),
                },
            }
            drop(place);
        });
    }

    async fn serve<S>(&self, stream: S, from: SocketAddr)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Serving { router, ending, mut closing, .. } = self.clone();
        let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
            request.extensions_mut().insert(ConnectInfo(from));
            let (answer, ending) = (router.clone().call(request), ending.clone());
            async move {
                let mut answer = answer.await?;
                if *ending.borrow() {
                    let close = HeaderValue::from_static("close");
                    answer.headers_mut().insert(header::CONNECTION, close);
                }
                Ok::<_, std::convert::Infallible>(answer)
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .max_buf_size(LARGEST_HEAD)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = &mut connection => ended,
            () = turned(&mut closing) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%from, %error, "a connection ended");
        }
    }
}

/// Done when it is true.
async fn turned(flag: &mut watch::Receiver<bool>) {
    // An error means that nobody can turn it any more; then what serves ends, too.
    let _ = flag.wait_for(|flag| *flag).await;
}

/// A connection that waits to be taken, if there is one.
async fn waiting(listener: &TcpListener) -> Option<(TcpStream, SocketAddr)> {
    std::future::poll_fn(|context| match listener.poll_accept(context) {
        Poll::Ready(accepted) => Poll::Ready(accepted.ok()),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// One that ended before it was taken is nobody's loss; where the system has no room, others must end
/// first.
async fn refused(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        tracing::warn!(%error, "a connection cannot be taken");
        sleep(NO_ROOM).await;
    }
}
