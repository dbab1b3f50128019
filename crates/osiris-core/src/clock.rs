//! The time and the random numbers of a run and of its clients, which tests replace so that they need not wait [DRV-027].

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;

/// The current time, and waiting. Network timeouts do not use it: they run on the runtime's clock.
#[async_trait]
pub trait Clock: Send + Sync + 'static {
    /// The time of a monotonic clock.
    fn now(&self) -> Instant;

    /// The time of day, to which HTTP dates refer.
    fn wall(&self) -> SystemTime;

    /// Waits for `duration`.
    async fn sleep(&self, duration: Duration);
}

/// The clock of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// A clock for tests: sleeping advances it at once, and each sleep is recorded.
#[derive(Debug, Clone)]
pub struct SimulatedClock(Arc<Mutex<Simulated>>);

#[derive(Debug)]
struct Simulated {
    start: (Instant, SystemTime),
    elapsed: Duration,
    slept: Vec<Duration>,
}

impl SimulatedClock {
    /// A clock that starts at this time of day.
    pub fn starting_at(wall: SystemTime) -> Self {
        let start = (Instant::now(), wall);
        Self(Arc::new(Mutex::new(Simulated { start, elapsed: Duration::ZERO, slept: Vec::new() })))
    }

    /// Advances it.
    pub fn advance(&self, duration: Duration) {
        self.with(|inner| inner.elapsed += duration);
    }

    /// How far it has advanced since its start.
    pub fn elapsed(&self) -> Duration {
        self.with(|inner| inner.elapsed)
    }

    /// Every wait so far, in order.
    pub fn slept(&self) -> Vec<Duration> {
        self.with(|inner| inner.slept.clone())
    }

    fn with<T>(&self, read: impl FnOnce(&mut Simulated) -> T) -> T {
        read(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Default for SimulatedClock {
    fn default() -> Self {
        Self::starting_at(SystemTime::now())
    }
}

#[async_trait]
impl Clock for SimulatedClock {
    fn now(&self) -> Instant {
        self.with(|inner| inner.start.0 + inner.elapsed)
    }

    fn wall(&self) -> SystemTime {
        self.with(|inner| inner.start.1 + inner.elapsed)
    }

    async fn sleep(&self, duration: Duration) {
        self.with(|inner| {
            inner.elapsed += duration;
            inner.slept.push(duration);
        });
        tokio::task::yield_now().await;
    }
}

/// A source of random numbers: one in 0..1 at each call.
pub type Jitter = Arc<dyn Fn() -> f64 + Send + Sync>;

/// The random numbers of the operating system.
pub fn random() -> Jitter {
    Arc::new(fastrand::f64)
}
