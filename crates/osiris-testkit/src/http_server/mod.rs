//! A scriptable HTTP server on loopback: answers as a closure says, keeps what it was asked, breaks off where it is told to.
//! It runs on a thread of its own, so that a test may block, and ends when it is dropped.

mod reply;
mod seen;

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use osiris_core::{Error, Result};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::certificates::Authority;

pub use reply::Reply;
pub use seen::Seen;

type Answer = Pin<Box<dyn Future<Output = Reply> + Send>>;
type Handler = Arc<dyn Fn(Seen) -> Answer + Send + Sync>;

/// A server that is up as long as this value lives.
pub struct HttpServer {
    address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

/// Bodies that are kept for [`HttpServer::requests`], in bytes: the memory of a test is not to grow with what it sends.
const KEPT: usize = 16 << 20;

struct Shared {
    handler: Handler,
    seen: Mutex<Vec<Seen>>,
    kept: AtomicUsize,
    connections: AtomicUsize,
}

impl HttpServer {
    /// Starts a server that answers each request as `handler` says.
    ///
    /// # Errors
    /// When there is no port or no thread left.
    pub fn start<F, A>(handler: F) -> Result<Self>
    where
        F: Fn(Seen) -> A + Send + Sync + 'static,
        A: Future<Output = Reply> + Send + 'static,
    {
        Self::serve(None, Arc::new(move |seen| Box::pin(handler(seen))))
    }

    /// The same over TLS, with a certificate of `authority` for these names and addresses.
    ///
    /// # Errors
    /// As for [`start`](Self::start), and when the certificate cannot be made.
    pub fn start_tls<F, A>(authority: &Authority, names: &[&str], handler: F) -> Result<Self>
    where
        F: Fn(Seen) -> A + Send + Sync + 'static,
        A: Future<Output = Reply> + Send + 'static,
    {
        let directory = tempfile::tempdir()?;
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let (certificate, key) = authority.issue(directory.path(), "server", &names)?;
        Self::start_with_certificate(&certificate, &key, handler)
    }

    /// The same with this certificate and its key, in PEM.
    ///
    /// # Errors
    /// As for [`start`](Self::start), and when the files cannot be read.
    pub fn start_with_certificate<F, A>(certificate: &Path, key: &Path, handler: F) -> Result<Self>
    where
        F: Fn(Seen) -> A + Send + Sync + 'static,
        A: Future<Output = Reply> + Send + 'static,
    {
        Self::serve(Some(acceptor(certificate, key)?), Arc::new(move |seen| Box::pin(handler(seen))))
    }

    /// A server with these answers in order; the last one is given for ever.
    ///
    /// # Errors
    /// As for [`start`](Self::start); when there is no answer at all.
    pub fn scripted(replies: impl IntoIterator<Item = Reply>) -> Result<Self> {
        let replies: Vec<Reply> = replies.into_iter().collect();
        if replies.is_empty() {
            return Err(Error::validation("a scripted server needs at least one answer"));
        }
        let next = AtomicUsize::new(0);
        Self::start(move |_| {
            let index = next.fetch_add(1, Ordering::Relaxed).min(replies.len() - 1);
            std::future::ready(replies[index].clone())
        })
    }

    fn serve(tls: Option<TlsAcceptor>, handler: Handler) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            handler,
            seen: Mutex::default(),
            kept: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
        });
        let stop = CancellationToken::new();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (work, stopped) = (Arc::clone(&shared), stop.clone());
        let thread = std::thread::Builder::new().name(format!("http {}", address.port())).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = stopped.cancelled() => {}
                    () = accept(listener, tls, work) => {}
                }
            });
        })?;
        Ok(Self { address, scheme, shared, stop, thread: Some(thread) })
    }

    /// Its address, without a slash at the end.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// Its address under another name, such as `localhost`.
    pub fn url_as(&self, host: &str) -> String {
        format!("{}://{host}:{}", self.scheme, self.port())
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The requests so far, in the order in which they came. After 16 MB of bodies those that follow are kept without.
    pub fn requests(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many connections were made to it.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.stop.cancel();
        let Some(thread) = self.thread.take() else { return };
        // An answer may be at work in DuckDB, which does not survive the end of the process. (The last owner may be an answer itself.)
        if thread.thread().id() != std::thread::current().id() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn note(&self, seen: &Seen) {
        let before = self.kept.fetch_add(seen.body().len(), Ordering::Relaxed);
        let kept = if before < KEPT { seen.clone() } else { seen.without_body() };
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(kept);
    }
}

fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor> {
    let pem =
        |error: rustls::pki_types::pem::Error| Error::unknown("a certificate could not be read").with_source(error);
    let tls = |error: rustls::Error| Error::unknown("TLS could not be set up").with_source(error);
    let certificates = CertificateDer::pem_file_iter(certificate).map_err(pem)?;
    let certificates = certificates.collect::<Result<Vec<_>, _>>().map_err(pem)?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(pem)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(tls)?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(tls)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Takes connections until it is dropped, and all of them with it.
async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        shared.connections.fetch_add(1, Ordering::Relaxed);
        while connections.try_join_next().is_some() {}
        let (tls, shared) = (tls.clone(), Arc::clone(&shared));
        connections.spawn(async move {
            match tls {
                None => connection(stream, shared).await,
                // A handshake that fails is the client's to report.
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        connection(stream, shared).await;
                    }
                }
            }
        });
    }
}

async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, shared: Arc<Shared>) {
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let shared = Arc::clone(&shared);
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            let seen = Seen::new(&head, body);
            shared.note(&seen);
            let reply = (shared.handler)(seen).await;
            // An error here closes the connection without an answer.
            reply.into_response().await.ok_or(HungUp)
        }
    });
    // A client that goes away in the middle is part of the tests.
    let _: Result<(), hyper::Error> =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// The server closes the connection instead of answering.
#[derive(Debug)]
struct HungUp;

impl std::fmt::Display for HungUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the server hung up")
    }
}

impl std::error::Error for HungUp {}
