//! Fetches the next page while the last one is stored: the network and the store work at the same time, and at most
//! three pages are in memory.

use osiris_core::Result;
use tokio::sync::mpsc;

/// Pages between the network and the store, besides the one being stored.
const PAGES_IN_FLIGHT: usize = 1;

/// A source of pages, one after the other.
pub trait PageSource: Send {
    /// A page.
    type Page: Send;

    /// The next page; `None` after the last one.
    ///
    /// # Errors
    /// When the page cannot be fetched. It is not called again after an error.
    fn next_page(&mut self) -> impl Future<Output = Result<Option<Self::Page>>> + Send;
}

/// The queue of fetched pages.
#[derive(Debug)]
pub struct PageQueue<P>(mpsc::Receiver<P>);

impl<P> PageQueue<P> {
    /// The next page; `None` after the last one.
    ///
    /// # Cancel safety
    /// No page is lost.
    pub async fn next(&mut self) -> Option<P> {
        self.0.recv().await
    }
}

/// Fetches every page of `source`, while `store` stores the pages that were fetched before. Returns what `store`
/// returns. A store that drops its queue ends the fetching.
///
/// # Errors
/// The first error of either of them.
///
/// # Cancel safety
/// If dropped, fetching and storing stop where they are.
pub async fn read_ahead<S, T, F>(source: &mut S, store: impl FnOnce(PageQueue<S::Page>) -> F) -> Result<T>
where
    S: PageSource,
    F: Future<Output = Result<T>>,
{
    let (sender, receiver) = mpsc::channel(PAGES_IN_FLIGHT);
    let fetching = async {
        // Moved in here, so that the store sees the end of the queue when this half ends.
        let sender = sender;
        while let Some(page) = source.next_page().await? {
            if sender.send(page).await.is_err() {
                break;
            }
        }
        Ok(())
    };
    let ((), stored) = tokio::try_join!(fetching, store(PageQueue(receiver)))?;
    Ok(stored)
}
