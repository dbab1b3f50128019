//! The connection pool of the steps that run at the same time: limited in size, and closed with
//! its last user. Nothing is kept between runs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use osiris_core::{Error, Result};
use osiris_sql::{CONNECT_TIMEOUT, within};
use sqlx::Connection as _;
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};

use super::session::{Idle, Session};
use super::{ServerInfo, Target, open};

/// Time limit for a clean close.
const GOODBYE: Duration = Duration::from_secs(1);

/// The pools in use.
#[derive(Default)]
pub(super) struct Pools(Mutex<Vec<Weak<Shared>>>);

impl Pools {
    /// The client of `target`, with an existing pool or a new one. It is connected and has the server's information.
    pub(super) async fn client(&self, target: Target) -> Result<Client> {
        let shared = self.shared(target);
        let client = Client { facts: Arc::default(), shared };
        let facts = client.shared.facts.get_or_try_init(|| client.first()).await?;
        Ok(Client { facts: Arc::clone(facts), shared: Arc::clone(&client.shared) })
    }

    fn shared(&self, target: Target) -> Arc<Shared> {
        let mut pools = lock(&self.0);
        pools.retain(|pool| pool.strong_count() > 0);
        if let Some(found) = pools.iter().filter_map(Weak::upgrade).find(|pool| pool.target.is_same(&target)) {
            return found;
        }
        let shared = Arc::new(Shared {
            permits: Arc::new(Semaphore::new(target.connection.pool.capacity())),
            target,
            idle: Mutex::default(),
            facts: OnceCell::new(),
        });
        pools.push(Arc::downgrade(&shared));
        shared
    }
}

/// A pool, shared by its clients and sessions.
pub(super) struct Shared {
    target: Target,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Idle>>,
    facts: OnceCell<Arc<ServerInfo>>,
}

impl Shared {
    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    /// Keeps an idle connection, unless the pool has enough.
    pub(super) fn keep(&self, connection: Idle) -> Result<(), Idle> {
        let mut idle = lock(&self.idle);
        if idle.len() >= self.target.connection.pool.size {
            return Err(connection);
        }
        idle.push(connection);
        Ok(())
    }

    /// Takes the most recent idle connection, and those that are too old.
    fn take(&self) -> (Option<Idle>, Vec<Idle>) {
        let limits = &self.target.connection.pool;
        let mut idle = lock(&self.idle);
        let old = |one: &mut Idle| limits.recycle.is_some_and(|recycle| one.opened.elapsed() >= recycle);
        let superfluous: Vec<Idle> = idle.extract_if(.., old).collect();
        (idle.pop(), superfluous)
    }

    /// An idle connection beyond the limit.
    fn surplus(&self) -> Option<Idle> {
        let capacity = self.target.connection.pool.capacity();
        let mut idle = lock(&self.idle);
        let in_use = capacity - self.permits.available_permits();
        if in_use + idle.len() > capacity { idle.pop() } else { None }
    }

    async fn idle_or_new(&self) -> Result<Idle> {
        loop {
            let (found, superfluous) = self.take();
            for one in superfluous {
                close(one).await;
            }
            let Some(mut idle) = found else { break };
            if !self.target.connection.pool.pre_ping || answers(&mut idle, self.target.connection.connect_timeout).await
            {
                return Ok(idle);
            }
            tracing::debug!(id = idle.identity.id, "an idle connection was closed; opening another");
        }
        let (connection, identity) = open::open(&self.target).await?;
        Ok(Idle { connection, identity, opened: Instant::now() })
    }

    fn drain(&self) -> Vec<Idle> {
        std::mem::take(&mut *lock(&self.idle))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let idle = self.drain();
        // Without a runtime the sockets are only closed.
        if let (false, Ok(runtime)) = (idle.is_empty(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(async {
                for one in idle {
                    close(one).await;
                }
            });
        }
    }
}

/// A server with its connection pool. Cheap to clone; dropping the last clone closes the connections.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    facts: Arc<ServerInfo>,
}

/// A permit for a connection that is opened outside the pool. Released on drop.
pub(crate) struct Permit(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

impl Client {
    /// The server's information, read over a connection that goes to the pool.
    async fn first(&self) -> Result<Arc<ServerInfo>> {
        let permit = self.turn().await?;
        let idle = self.shared.idle_or_new().await?;
        let mut session = Session::new(idle, permit, Arc::clone(&self.shared), Arc::default());
        let limit = self.shared.target.connection.connect_timeout;
        let facts = ServerInfo::read(&mut session);
        let facts = within(limit, CONNECT_TIMEOUT, "reading the server's settings", facts).await?;
        session.release().await;
        Ok(Arc::new(facts))
    }

    /// Waits for a free connection.
    ///
    /// # Errors
    /// When a new one is needed and cannot be opened.
    pub(crate) async fn acquire(&self) -> Result<Session> {
        let permit = self.turn().await?;
        self.session(permit).await
    }

    /// Waits for `count` free connections at once, so that steps that need several cannot deadlock.
    ///
    /// # Errors
    /// When the pool is too small, or a connection cannot be opened.
    pub(crate) async fn acquire_many(&self, count: usize) -> Result<Vec<Session>> {
        let capacity = self.capacity();
        let wanted = u32::try_from(count).ok().filter(|_| count <= capacity).ok_or_else(|| {
            Error::validation(format!("{count} connections needed, but the connection allows {capacity}"))
                .with_hint("raise `pool_size` or `max_connections`, or set fewer `partitions`")
        })?;
        let many = Arc::clone(&self.shared.permits).acquire_many_owned(wanted).await;
        let mut permits = many.map_err(|_| closed())?;
        let mut sessions = Vec::with_capacity(count);
        for _ in 0..count {
            let one = permits.split(1).ok_or_else(closed)?;
            sessions.push(self.session(Permit(one)).await?);
        }
        Ok(sessions)
    }

    /// Waits for a permit to open a connection outside the pool; an idle one is closed for it if needed.
    ///
    /// # Errors
    /// Never while the client lives.
    pub(crate) async fn permit(&self) -> Result<Permit> {
        let permit = self.turn().await?;
        if let Some(surplus) = self.shared.surplus() {
            close(surplus).await;
        }
        Ok(permit)
    }

    async fn turn(&self) -> Result<Permit> {
        Arc::clone(&self.shared.permits).acquire_owned().await.map(Permit).map_err(|_| closed())
    }

    async fn session(&self, permit: Permit) -> Result<Session> {
        let idle = self.shared.idle_or_new().await?;
        Ok(Session::new(idle, permit, Arc::clone(&self.shared), Arc::clone(&self.facts)))
    }

    /// The server's information.
    pub(crate) fn facts(&self) -> &ServerInfo {
        &self.facts
    }

    /// The maximum number of connections.
    pub(crate) fn capacity(&self) -> usize {
        self.shared.target.connection.pool.capacity()
    }

    /// Releases the pool; if this was the last user, its connections are closed when this returns.
    pub(crate) async fn close(self) {
        if let Some(shared) = Arc::into_inner(self.shared) {
            for one in shared.drain() {
                close(one).await;
            }
        }
    }
}

fn closed() -> Error {
    Error::unknown("the pool is closed").with_hint("run again; if it fails again, report a bug")
}

async fn answers(idle: &mut Idle, limit: Duration) -> bool {
    matches!(tokio::time::timeout(limit, idle.connection.ping()).await, Ok(Ok(())))
}

/// Closes cleanly, so that the server does not count an aborted connection.
pub(super) async fn close(idle: Idle) {
    let _ = tokio::time::timeout(GOODBYE, idle.connection.close()).await;
}

/// A poisoned lock is harmless: nothing panics while the list is inconsistent.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
