//! Pages into the table: what is new goes on, what is known is counted, and every stretch is verified when it is full.

use std::collections::HashSet;
use std::sync::Arc;

use osiris_core::{ExecutionContext, Result, event};
use serde_json::json;

use super::adapt::Adapt;
use super::ident::Ident;
use super::output::Output;
use super::pager::{Page, Pager};
use super::plan::Plan;
use super::seen::Seen;
use super::verify::{Piece, Place, Verifier};
use crate::client::{AnswerColumn, Client};
use crate::hogql::{From, Range, To};

/// After so many rows a stretch is verified: what its ids take up in memory is bounded by it.
const STRETCH_ROWS: usize = 100_000;

/// Takes pages.
pub(super) struct Taker<'a> {
    verifier: Verifier,
    pagers: Pagers<'a>,
    output: Output,
    seen: Seen,
    stretch: Stretch,
    /// The whole range, as counted before the first page.
    total: Option<u64>,
    ended: Counts,
    ctx: &'a ExecutionContext,
}

/// What is needed to read a range once more.
struct Pagers<'a> {
    client: Client,
    plan: &'a Plan,
    adapt: Arc<Adapt>,
}

/// The rows since the last verification.
struct Stretch {
    from: From,
    taken: HashSet<Ident>,
    places: Vec<Place>,
}

/// What it came to.
pub(super) struct Ended {
    pub(super) read: u64,
    pub(super) deduplicated: u64,
    pub(super) altered: u64,
    pub(super) pages: u64,
    pub(super) seen: Seen,
}

#[derive(Default)]
struct Counts {
    read: u64,
    deduplicated: u64,
    pages: u64,
}

impl<'a> Taker<'a> {
    pub(super) fn new(
        client: Client,
        plan: &'a Plan,
        output: Output,
        adapt: Arc<Adapt>,
        total: Option<u64>,
        ctx: &'a ExecutionContext,
    ) -> Result<Self> {
        Ok(Self {
            verifier: Verifier::new(client.clone(), plan),
            pagers: Pagers { client, plan, adapt },
            output,
            seen: plan.seen()?,
            stretch: Stretch::new(plan.range.from.clone()),
            total,
            ended: Counts::default(),
            ctx,
        })
    }

    /// Takes a page of the first reading.
    pub(super) async fn take(&mut self, page: Page) -> Result<()> {
        let last = page.rows.last().map(|row| row.key.clone());
        self.store(page).await?;
        if let (true, Some(last)) = (self.stretch.taken.len() >= STRETCH_ROWS, last) {
            self.verify(To::Through(last.clone()), From::After(last)).await?;
        }
        Ok(())
    }

    /// Verifies the last stretch and ends the table.
    pub(super) async fn finish(mut self, columns: &[AnswerColumn]) -> Result<Ended> {
        let to = self.pagers.plan.range.to.clone();
        self.verify(to, From::Start).await?;
        self.output.declare(columns);
        let altered = self.output.finish().await?;
        let Counts { read, deduplicated, pages } = self.ended;
        Ok(Ended { read, deduplicated, altered, pages, seen: self.seen })
    }

    /// Sends the new rows of a page on.
    async fn store(&mut self, page: Page) -> Result<()> {
        self.ended.pages += 1;
        self.ended.read += page.rows.len() as u64;
        let fields = json!({"page": self.ended.pages, "rows": page.rows.len()});
        self.ctx.log_event(event::EXTRACTION_PAGE, fields);
        let mut keep = Vec::with_capacity(page.rows.len());
        for row in &page.rows {
            let ident = Ident::of(&row.key.id);
            let is_new = self.stretch.taken.insert(ident.clone());
            if is_new {
                self.stretch.places.push((row.key.time, ident));
            }
            keep.push(is_new && !self.seen.note(row, self.pagers.plan.lookback)?);
        }
        let left_out = keep.iter().filter(|keep| !**keep).count();
        self.ended.deduplicated += left_out as u64;
        if left_out == 0 {
            keep.clear();
        }
        self.output.push(&page.columns, page.document, keep).await?;
        self.expect();
        Ok(())
    }

    /// The total of the progress, without what is left out, and never less than what is there.
    fn expect(&self) {
        let Some(total) = self.total else { return };
        let expected = total.saturating_sub(self.ended.deduplicated);
        self.ctx.progress().expect_rows(expected.max(self.ctx.progress().rows()));
    }

    /// Compares the stretch that ends at `to` with PostHog's own count, reads again what differs, and begins the next stretch.
    async fn verify(&mut self, to: To, next: From) -> Result<()> {
        let range = Range { from: self.stretch.from.clone(), to };
        let taken = self.stretch.taken.len() as u64;
        let counted = self.verifier.count(&range).await?;
        if counted != taken {
            tracing::warn!(counted, taken, "PostHog counts other rows than it gave: reading them again");
            self.reread(range).await?;
        }
        self.stretch = Stretch::new(next);
        Ok(())
    }

    /// Reads the halves of what differs again, until PostHog counts the rows that it gives.
    async fn reread(&mut self, range: Range) -> Result<()> {
        let places = std::mem::take(&mut self.stretch.places);
        let mut pieces = vec![Piece::new(range, places)];
        while let Some(piece) = pieces.pop() {
            for half in piece.halves() {
                let places = self.read_again(&half).await?;
                let counted = self.verifier.count(&half).await?;
                pieces.extend(piece.next(half, places, counted)?);
            }
        }
        Ok(())
    }

    /// Reads a range once more, and keeps what is new. Returns the places of all its rows.
    async fn read_again(&mut self, range: &Range) -> Result<Vec<Place>> {
        let Pagers { client, plan, adapt } = &self.pagers;
        let mut pager = Pager::new(client.clone(), plan, range.clone(), Arc::clone(adapt));
        let mut distinct = HashSet::new();
        let mut places = Vec::new();
        while let Some(page) = pager.next().await? {
            for row in &page.rows {
                let ident = Ident::of(&row.key.id);
                if distinct.insert(ident.clone()) {
                    places.push((row.key.time, ident));
                }
            }
            self.store(page).await?;
        }
        Ok(places)
    }
}

impl Stretch {
    fn new(from: From) -> Self {
        Self { from, taken: HashSet::new(), places: Vec::new() }
    }
}
