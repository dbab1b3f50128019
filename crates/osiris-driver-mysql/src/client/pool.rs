//! The connections of the steps that run at the same time: at most so many, kept while anybody needs the pool, closed with
//! its last user. Nothing is kept between runs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use osiris_core::{Error, Result};
use sqlx::Connection as _;
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};

use super::session::{Idle, Session};
use super::{ServerFacts, Target, open};

/// How long a connection may take to say good-bye.
const GOODBYE: Duration = Duration::from_secs(1);

/// The pools that somebody uses.
#[derive(Default)]
pub(super) struct Pools(Mutex<Vec<Weak<Shared>>>);

impl Pools {
    /// The client of `target`: over the pool that is there, or a new one. It has been reached and asked for its facts.
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

/// A pool, held by all its clients and sessions.
pub(super) struct Shared {
    target: Target,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Idle>>,
    facts: OnceCell<Arc<ServerFacts>>,
}

impl Shared {
    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    /// Keeps a connection, unless enough are kept.
    pub(super) fn keep(&self, connection: Idle) -> Result<(), Idle> {
        let mut idle = lock(&self.idle);
        if idle.len() >= self.target.connection.pool.size {
            return Err(connection);
        }
        idle.push(connection);
        Ok(())
    }

    /// The latest one kept, and those that are too old.
    fn take(&self) -> (Option<Idle>, Vec<Idle>) {
        let limits = &self.target.connection.pool;
        let mut idle = lock(&self.idle);
        let old = |one: &mut Idle| limits.recycle.is_some_and(|recycle| one.opened.elapsed() >= recycle);
        let superfluous: Vec<Idle> = idle.extract_if(.., old).collect();
        (idle.pop(), superfluous)
    }

    /// A kept connection that is one too many beside those in use.
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
            tracing::debug!(id = idle.identity.id, "a kept connection is gone; opening another");
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
        // Without a runtime the sockets are just closed.
        if let (false, Ok(runtime)) = (idle.is_empty(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(async {
                for one in idle {
                    close(one).await;
                }
            });
        }
    }
}

/// A server with a pool of connections to it. Cheap to clone. The last clone to go closes the connections.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    facts: Arc<ServerFacts>,
}

/// The right to one of the pool's connections, for one that is opened by other means. Given back on drop.
pub(crate) struct Permit(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

impl Client {
    /// The facts of the server, read over a connection that is kept.
    async fn first(&self) -> Result<Arc<ServerFacts>> {
        let permit = self.turn().await?;
        let idle = self.shared.idle_or_new().await?;
        let mut session = Session::new(idle, permit, Arc::clone(&self.shared), Arc::default());
        let limit = self.shared.target.connection.connect_timeout;
        let facts = crate::error::within(limit, "asking the server for its settings", ServerFacts::read(&mut session));
        let facts = facts.await?;
        session.release().await;
        Ok(Arc::new(facts))
    }

    /// A connection, as soon as one is free.
    ///
    /// # Errors
    /// When a new one is needed and cannot be opened.
    pub(crate) async fn acquire(&self) -> Result<Session> {
        let permit = self.turn().await?;
        self.session(permit).await
    }

    /// `count` connections, as soon as so many are free at once: steps that wait for several cannot block each other.
    ///
    /// # Errors
    /// When there can never be so many, or one of them cannot be opened.
    pub(crate) async fn acquire_many(&self, count: usize) -> Result<Vec<Session>> {
        let capacity = self.capacity();
        let wanted = u32::try_from(count).ok().filter(|_| count <= capacity).ok_or_else(|| {
            Error::validation(format!("{count} connections are needed, and the connection allows {capacity}"))
                .with_hint("raise `pool_size` or `max_connections`, or take fewer `partitions`")
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

    /// The right to open one connection by other means, as soon as one is free; a kept one makes room for it.
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

    /// The facts of the server.
    pub(crate) fn facts(&self) -> &ServerFacts {
        &self.facts
    }

    /// The most connections at a time.
    pub(crate) fn capacity(&self) -> usize {
        self.shared.target.connection.pool.capacity()
    }

    /// Ends the use of the pool; if nobody else uses it, its connections are closed when this returns.
    pub(crate) async fn close(self) {
        if let Some(shared) = Arc::into_inner(self.shared) {
            for one in shared.drain() {
                close(one).await;
            }
        }
    }
}

fn closed() -> Error {
    Error::unknown("the pool is closed").with_hint("run again; if it stays, report it")
}

async fn answers(idle: &mut Idle, limit: Duration) -> bool {
    matches!(tokio::time::timeout(limit, idle.connection.ping()).await, Ok(Ok(())))
}

/// Says good-bye to the server, which then counts no aborted connection.
pub(super) async fn close(idle: Idle) {
    let _ = tokio::time::timeout(GOODBYE, idle.connection.close()).await;
}

/// A poisoned lock guards a list that is whole: nothing panics between two states of it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
