//! Back-pressure: room for batches on their way, counted in bytes.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{Error, Result};

/// The unit in which bytes on their way are counted.
const KIB: usize = 1024;

/// Room for batches on their way.
#[derive(Clone)]
pub(super) struct InFlight {
    room: Arc<Semaphore>,
    /// All of it, in KiB.
    most: u32,
}

impl InFlight {
    /// Room for so many bytes.
    pub(super) fn new(bytes: usize) -> Self {
        let most = u32::try_from(bytes / KIB).unwrap_or(u32::MAX).max(1);
        Self { room: Arc::new(Semaphore::new(most as usize)), most }
    }

    /// Waits for room for `bytes`, or for all there is.
    pub(super) async fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit> {
        // Some, even for rows without bytes: who waits for everything waits for them too.
        self.acquire(u32::try_from(bytes.div_ceil(KIB)).unwrap_or(u32::MAX).clamp(1, self.most)).await
    }

    /// Waits until nothing is on its way.
    pub(super) async fn empty(&self) -> Result<()> {
        self.acquire(self.most).await.map(drop)
    }

    async fn acquire(&self, units: u32) -> Result<OwnedSemaphorePermit> {
        let taken = Arc::clone(&self.room).acquire_many_owned(units).await;
        taken.map_err(|error| Error::unknown("the way into the store was closed").with_source(error))
    }
}
