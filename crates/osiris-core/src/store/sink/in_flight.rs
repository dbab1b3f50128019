//! Back-pressure: a limit on the bytes of the batches in flight.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{Error, Result};

/// The unit in which bytes in flight are counted.
const KIB: usize = 1024;

/// The limit on batches in flight.
#[derive(Clone)]
pub(super) struct InFlight {
    permits: Arc<Semaphore>,
    /// The limit, in KiB.
    limit: u32,
}

impl InFlight {
    /// A limit of so many bytes.
    pub(super) fn new(bytes: usize) -> Self {
        let limit = u32::try_from(bytes / KIB).unwrap_or(u32::MAX).max(1);
        Self { permits: Arc::new(Semaphore::new(limit as usize)), limit }
    }

    /// Waits for permits for `bytes`; a batch larger than the limit takes all of them.
    pub(super) async fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit> {
        // At least one, even for rows without bytes: whoever waits until nothing is in flight waits for them too.
        self.acquire(u32::try_from(bytes.div_ceil(KIB)).unwrap_or(u32::MAX).clamp(1, self.limit)).await
    }

    /// Waits until nothing is in flight.
    pub(super) async fn empty(&self) -> Result<()> {
        self.acquire(self.limit).await.map(drop)
    }

    async fn acquire(&self, units: u32) -> Result<OwnedSemaphorePermit> {
        let acquired = Arc::clone(&self.permits).acquire_many_owned(units).await;
        acquired.map_err(|error| Error::unknown("the sink is closed").with_source(error))
    }
}
