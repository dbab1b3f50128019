//! The network's side of an extraction: one request for each page, the next as soon as the last is handed over.

use std::hash::{DefaultHasher, Hash, Hasher};

use osiris_core::{Error, ErrorKind, ExecutionContext, Result, Unit, event, metric};
use osiris_http::HttpClient;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::answer::Answer;
use super::pages::Position;
use super::plan::Plan;
use crate::client::request;
use crate::config::PageStyle;
use crate::error::asks_for_less;

/// Fetches pages until the last one, and hands them over.
pub(super) async fn pages(
    plan: &Plan,
    client: &HttpClient,
    sender: mpsc::Sender<Answer>,
    ctx: &ExecutionContext,
) -> Result<()> {
    let mut position = plan.first();
    let mut before = None;
    let mut number = 0;
    loop {
        let answer = page(plan, client, position.as_mut()).await.map_err(|error| advised(error, number + 1))?;
        number += 1;
        let rows = answer.found.document().row_count();
        ctx.log_event(event::EXTRACTION_PAGE, json!({"page": number, "rows": rows}));
        if let Some(total) = answer.total(plan) {
            ctx.progress().expect_rows(total);
        }
        if let Some(usage) = answer.usage() {
            client.pace().observe(&usage);
        }
        let more = match (&mut position, &plan.paging) {
            (Some(position), Some(paging)) => {
                differs(&answer, &mut before, paging.style, number)?;
                let more = position.advance(answer.page_info(plan, paging)?, answer.items(plan))?;
                more && !is_enough(plan, number)
            }
            _ => false,
        };
        if sender.send(answer).await.is_err() || !more {
            break;
        }
    }
    ctx.log_metric(metric::PAGES_FETCHED, number, Unit::Calls, Value::Null);
    Ok(())
}

/// An error with the page and, where nobody said so yet, what to do.
fn advised(error: Error, page: u64) -> Error {
    let hint = match (error.hint(), error.kind()) {
        (Some(_), _) => None,
        (None, ErrorKind::Network) => {
            Some("the server or the way to it has trouble: try later, or raise `max_retries`")
        }
        (None, ErrorKind::Timeout) => Some("ask for less at once, or raise `timeout` of the connection"),
        (None, _) => Some("check `endpoint` of the connection, and the query"),
    };
    let error = error.with_context("page", page);
    hint.into_iter().fold(error, Error::with_hint)
}

fn is_enough(plan: &Plan, number: u64) -> bool {
    let most = plan.paging.as_ref().and_then(|paging| paging.max_pages);
    let enough = most.is_some_and(|most| number >= most);
    if enough {
        tracing::info!(pages = number, "there are more pages than were asked for");
    }
    enough
}

/// One page. One that is too large for the server is asked for again at half the size.
async fn page(plan: &Plan, client: &HttpClient, mut position: Option<&mut Position>) -> Result<Answer> {
    loop {
        let mut variables = plan.variables.clone();
        if let Some(position) = &position {
            position.fill(&mut variables);
        }
        let request = request(client, &plan.text, plan.operation.as_deref(), &variables, "reading a page")?;
        let error = match client.fetch_as(&request, |page| Answer::read(plan, page)).await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let position = position.as_mut().filter(|_| asks_for_less(&error));
        let smaller = position.and_then(|position| position.halve().then(|| position.page_size()));
        let Some(page_size) = smaller else { return Err(error) };
        tracing::warn!(error = error.message(), page_size, "the page was too large: asking for less");
    }
}

/// A page that is the same as the one before: the server does not heed the variable, and the pages would never end.
fn differs(answer: &Answer, before: &mut Option<u64>, style: PageStyle, number: u64) -> Result<()> {
    if style == PageStyle::Cursor || answer.found.document().row_count() == 0 {
        return Ok(());
    }
    let mut hasher = DefaultHasher::new();
    answer.found.document().rows().for_each(|row| row.as_str().hash(&mut hasher));
    let hash = hasher.finish();
    if before.replace(hash) == Some(hash) {
        return Err(Error::integrity(format!("page {number} is the same as the one before")).with_hint(
            "the server does not heed the variable that names the page; or select a field that tells rows apart",
        ));
    }
    Ok(())
}
