//! Paging over HTTP: every page once, one request each, and what a page that is too large or a limit comes to.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use osiris_core::{Error, Result, RetryPolicy, event, metric};
use osiris_http::pages::{
    NextPage, PagePosition, PageQueue, PageSource, PageSummary, PagedApi, Pager, next_link, read_ahead,
};
use osiris_http::{Document, HttpClient, Page, Request, RowPath};
use osiris_testkit::http_server::{HttpServer, Reply, Seen};
use osiris_testkit::{Bench, Recording};
use serde_json::{Value, json};

use crate::{client, settings};

/// An API whose answers are `{"items": [...], "next": ..., "total": ...}`.
struct Items(HttpClient);

struct ItemPage {
    document: Document,
    link: Option<osiris_http::Url>,
}

impl PagedApi for Items {
    type Page = ItemPage;

    async fn fetch(&self, position: &PagePosition) -> Result<ItemPage> {
        let request = match position.url() {
            Some(url) => Request::get(url.clone()),
            None => Request::get(self.0.url("items")?).query(position.query()),
        };
        let read = |page: &Page| {
            let document = page.document(&"items".parse::<RowPath>()?)?;
            Ok(ItemPage { document, link: next_link(page)? })
        };
        self.0.fetch_as(&request, read).await
    }

    fn summary(&self, page: &ItemPage) -> Result<PageSummary> {
        let envelope = page.document.envelope();
        let next = match (&page.link, envelope["more"].as_bool()) {
            (Some(link), _) => NextPage::Link(link.clone()),
            (None, Some(true)) => NextPage::More,
            (None, Some(false)) => NextPage::Last,
            (None, None) => NextPage::by_cursor(envelope.get("next")),
        };
        let summary = PageSummary::new(page.document.row_count(), next).with_total(envelope["total"].as_u64());
        Ok(summary.with_count(envelope["count"].as_u64()))
    }

    fn fingerprint(&self, page: &ItemPage) -> Option<u64> {
        Some(page.document.fingerprint())
    }

    fn is_too_large(&self, error: &Error) -> bool {
        has_status(error, "413")
    }

    fn largest_page(&self, error: &Error) -> Option<u64> {
        has_status(error, "422").then_some(3)
    }
}

fn has_status(error: &Error, status: &str) -> bool {
    error.context().iter().any(|(key, value)| *key == "status" && value == status)
}

fn number(seen: &Seen, name: &str, otherwise: usize) -> usize {
    let pairs = seen.query().split('&').filter_map(|pair| pair.split_once('='));
    let value = pairs.filter(|(key, _)| *key == name).map(|(_, value)| value.parse().unwrap()).next();
    value.unwrap_or(otherwise)
}

/// Rows `from..` of `count`, as many as `size` says.
fn items(from: usize, size: usize, count: usize) -> Vec<Value> {
    (from..count.min(from + size)).map(|id| json!({"id": id})).collect()
}

/// A server whose pages are found by `answer`.
fn server(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> HttpServer {
    HttpServer::start(move |seen| std::future::ready(answer(&seen))).unwrap()
}

struct Run {
    ids: Vec<usize>,
    bench: Bench,
    total: Option<u64>,
}

/// Reads every page ahead.
async fn read(server: &HttpServer, position: PagePosition, max_pages: Option<u64>) -> Result<Run> {
    let bench = Bench::new(|_| Ok(())).unwrap();
    let ctx = bench.run_context().step("extract");
    let client = client(settings(server).with_retry(RetryPolicy::never())).for_step(&ctx);
    let mut pager = Pager::new(Items(client), position, &ctx).with_max_pages(max_pages);
    let collect = |mut queue: PageQueue<ItemPage>| async move {
        let mut ids = Vec::new();
        while let Some(page) = queue.next().await {
            ids.extend(page.document.rows().map(|row| row.get("id").unwrap().raw().parse::<usize>().unwrap()));
        }
        Ok(ids)
    };
    let ids = read_ahead(&mut pager, collect).await?;
    drop(pager);
    let total = ctx.progress().total_rows();
    drop(ctx);
    Ok(Run { ids, bench, total })
}

fn pages(bench: &Bench) -> (Option<u64>, usize) {
    let fetched = bench.metrics().matching("metric", metric::PAGES_FETCHED);
    let events = bench.events().matching("event", event::EXTRACTION_PAGE);
    (fetched.last().and_then(|line| line["value"].as_u64()), events.len())
}

#[tokio::test]
async fn every_style_reads_every_row_once() {
    let by_cursor = server(|seen| {
        let from = number(seen, "after", 0);
        let rows = items(from, number(seen, "limit", 10), 25);
        let next = from + rows.len();
        let next = if next < 25 { json!(next.to_string()) } else { Value::Null };
        Reply::json(200, &json!({"items": rows, "next": next, "total": 25}))
    });
    let run = read(&by_cursor, PagePosition::cursor("after").with_size("limit", 10), None).await.unwrap();
    assert_eq!((run.ids, run.total, pages(&run.bench)), ((0..25).collect(), Some(25), (Some(3), 3)));

    let by_offset = server(|seen| Reply::json(200, &json!({"items": items(number(seen, "skip", 0), 10, 25)})));
    let run = read(&by_offset, PagePosition::offset("skip"), None).await.unwrap();
    assert_eq!((run.ids, pages(&run.bench)), ((0..25).collect(), (Some(4), 4)), "an empty page is the end");

    let by_page = server(|seen| {
        let page = number(seen, "page", 1);
        Reply::json(200, &json!({"items": items((page - 1) * 10, 10, 25), "more": page < 3}))
    });
    let run = read(&by_page, PagePosition::page("page"), None).await.unwrap();
    assert_eq!((run.ids, pages(&run.bench)), ((0..25).collect(), (Some(3), 3)));

    let by_link = server(|seen| {
        let from = number(seen, "from", 0);
        let reply = Reply::json(200, &json!({"items": items(from, 10, 25)}));
        if from < 20 {
            reply.header("link", &format!("</items?from={}>; title=\"další\"; rel=\"next\"", from + 10))
        } else {
            reply
        }
    });
    let run = read(&by_link, PagePosition::link(), None).await.unwrap();
    assert_eq!((run.ids, pages(&run.bench)), ((0..25).collect(), (Some(3), 3)));
}

#[tokio::test]
async fn a_page_that_is_too_large_is_asked_for_in_halves_and_grows_again() {
    let sizes = Arc::<Mutex<Vec<usize>>>::default();
    let asked = Arc::clone(&sizes);
    let server = server(move |seen| {
        let (from, size) = (number(seen, "after", 0), number(seen, "limit", 0));
        let mut asked = asked.lock().unwrap();
        asked.push(size);
        // It has a bad minute: the first page is refused until it is small.
        if from == 0 && size > 2 {
            return Reply::text(413, "too large");
        }
        let next = if from + size < 100 { json!((from + size).to_string()) } else { Value::Null };
        Reply::json(200, &json!({"items": items(from, size, 100), "next": next}))
    });
    let run = read(&server, PagePosition::cursor("after").with_size("limit", 8), None).await.unwrap();
    assert_eq!(run.ids, (0..100).collect::<Vec<_>>());
    let sizes = sizes.lock().unwrap();
    assert_eq!(sizes[..4], [8, 4, 2, 2]);
    assert_eq!(sizes[3..].iter().filter(|size| **size == 2).count(), 31, "after 32 good pages as much as was refused");
    assert_eq!(sizes[34..38], [4, 4, 4, 4]);
    assert_eq!(sizes[38], 8);
}

#[tokio::test]
async fn a_page_is_no_larger_than_the_server_says() {
    let server = server(|seen| {
        let (from, size) = (number(seen, "after", 0), number(seen, "limit", 0));
        if size > 3 {
            return Reply::text(422, "at most 3");
        }
        let next = if from + size < 200 { json!((from + size).to_string()) } else { Value::Null };
        Reply::json(200, &json!({"items": items(from, size, 200), "next": next}))
    });
    let run = read(&server, PagePosition::cursor("after").with_size("limit", 1000), None).await.unwrap();
    assert_eq!(run.ids, (0..200).collect::<Vec<_>>());
    assert_eq!(server.requests().len(), 1 + 67, "it is refused once");
    let refuses = self::server(|_| Reply::text(422, "at most 3"));
    let error = read(&refuses, PagePosition::cursor("after").with_size("limit", 1000), None).await.err().unwrap();
    assert!(has_status(&error, "422") && refuses.requests().len() == 2);
}

/// Pages of 10 of `rows` rows, by offset or by cursor. `count` gets the number of the request, from 0, and the row where the page begins.
fn counted(rows: usize, count: impl Fn(usize, usize) -> usize + Send + Sync + 'static) -> HttpServer {
    let requests = AtomicUsize::new(0);
    server(move |seen| {
        let from = number(seen, "skip", 0) + number(seen, "after", 0);
        let counted = count(requests.fetch_add(1, Relaxed), from);
        let found = items(from, 10, rows);
        let next = (from + found.len() < rows).then(|| (from + 10).to_string());
        Reply::json(200, &json!({"items": found, "count": counted, "next": next}))
    })
}

/// What came, or why not.
async fn complete(server: &HttpServer, position: PagePosition) -> std::result::Result<usize, String> {
    let run = read(server, position, None).await;
    run.map(|run| run.ids.len()).map_err(|error| error.message().to_owned())
}

#[tokio::test]
async fn by_offset_fewer_rows_than_the_first_page_counts_are_an_error() {
    let by_offset = || PagePosition::offset("skip");
    let short = |count: usize, rows: usize, pages: usize| -> std::result::Result<usize, String> {
        Err(format!("the server counts {count} rows, but returned {rows} in {pages} pages"))
    };
    // The same count on every page.
    assert_eq!(complete(&counted(25, |_, _| 25), by_offset()).await, Ok(25));
    assert_eq!(complete(&counted(25, |_, _| 30), by_offset()).await, short(30, 25, 4));
    // A page behind the last row counts nothing, such as with `count(*) OVER ()`.
    let over = |rows: usize, all: usize| counted(rows, move |_, from| if from < rows { all } else { 0 });
    assert_eq!(complete(&over(30, 30), by_offset()).await, Ok(30));
    assert_eq!(complete(&over(30, 100), by_offset()).await, short(100, 30, 4));
    // Rows that are deleted move those behind them, which are then in no page.
    assert_eq!(complete(&counted(25, |request, _| 30 - request), by_offset()).await, short(30, 25, 4));
    // Rows that are left.
    assert_eq!(complete(&counted(25, |_, from| 25_usize.saturating_sub(from)), by_offset()).await, Ok(25));
    // Rows that are added.
    assert_eq!(complete(&counted(25, |request, _| 25 + request), by_offset()).await, Ok(25));
    assert_eq!(complete(&counted(25, |_, _| 65), by_offset().with_skipped(Some(40))).await, Ok(25));
    assert_eq!(complete(&counted(25, |_, _| 66), by_offset().with_skipped(Some(40))).await, short(66, 25, 4));
    assert_eq!(complete(&counted(25, |_, _| 66), by_offset().with_skipped(None)).await, Ok(25));
}

#[tokio::test]
async fn by_cursor_the_first_page_says_whether_rows_were_deleted() {
    let by_cursor = || PagePosition::cursor("after");
    for (count, expected) in [
        (counted(25, |_, _| 25), Ok(25)),
        (counted(25, |request, _| if request < 3 { 30 } else { 25 }), Ok(25)),
        (counted(25, |request, _| 30 - request), Err(4)),
        // Only the pages behind the first one say so.
        (counted(25, |_, from| if from == 0 { 100 } else { 0 }), Err(4)),
        (counted(25, |_, _| 100), Err(4)),
    ] {
        let outcome = complete(&count, by_cursor()).await;
        match expected {
            Ok(rows) => assert_eq!(outcome, Ok(rows)),
            Err(requests) => {
                assert!(outcome.unwrap_err().contains("but returned 25 in 3 pages"));
                assert_eq!(count.requests().len(), requests, "the first page is requested once more");
            }
        }
    }
}

#[tokio::test]
async fn pages_that_go_round_in_a_circle_are_an_error() {
    let same = server(|_| Reply::json(200, &json!({"items": [{"id": 1}], "next": "a"})));
    let failed = |result: Result<Run>| result.err().unwrap().message().to_owned();
    assert_eq!(
        failed(read(&same, PagePosition::cursor("after"), None).await),
        "pagination loop: the server returned the cursor after row 2 again"
    );
    assert_eq!(failed(read(&same, PagePosition::offset("skip"), None).await), "page 2 is identical to page 1");
    let error = read(&same, PagePosition::page("page"), None).await.err().unwrap();
    assert_eq!(
        error.hint(),
        Some("check that the server uses the parameter `page`; if it does, select a field that identifies each row")
    );
}

#[tokio::test]
async fn a_server_that_sends_the_same_page_with_a_new_cursor_is_an_error() {
    let ignores = |by_link: bool| {
        let requests = AtomicUsize::new(0);
        server(move |_| {
            let request = requests.fetch_add(1, Relaxed);
            let reply = Reply::json(200, &json!({"items": items(0, 2, 2), "next": request.to_string()}));
            if by_link { reply.header("link", &format!("</items?from={request}>; rel=\"next\"")) } else { reply }
        })
    };
    for (server, position, check) in [
        (ignores(false), PagePosition::cursor("after"), "check that the server uses the parameter `after`"),
        (ignores(true), PagePosition::link(), "check that the server moves on"),
    ] {
        let error = read(&server, position, None).await.err().unwrap();
        assert_eq!((error.message(), server.requests().len()), ("page 2 is identical to page 1", 2));
        let hint = format!("{check}; if it does, select a field that identifies each row");
        assert_eq!(error.hint(), Some(hint.as_str()));
    }
    // The last page may be like the one before it, and one without rows like any other.
    let alike = server(|seen| {
        let from = number(seen, "after", 0);
        let next = (from < 3).then(|| (from + 1).to_string());
        let rows = if from == 1 { items(0, 0, 0) } else { items(from / 3, 1, 2) };
        Reply::json(200, &json!({"items": rows, "next": next}))
    });
    assert_eq!(read(&alike, PagePosition::cursor("after"), None).await.unwrap().ids, [0, 0, 1]);
    let last = server(|seen| {
        let next = (number(seen, "after", 0) == 0).then_some("1");
        Reply::json(200, &json!({"items": items(0, 1, 1), "next": next}))
    });
    assert_eq!(read(&last, PagePosition::cursor("after"), None).await.unwrap().ids, [0, 0]);
}

#[tokio::test]
async fn an_error_names_its_page_and_is_not_followed_by_requests() {
    let server = HttpServer::scripted([
        Reply::json(200, &json!({"items": [{"id": 1}], "next": "a"})),
        Reply::text(400, "no"),
        Reply::text(500, "never"),
    ]);
    let server = server.unwrap();
    let error = read(&server, PagePosition::cursor("after"), None).await.err().unwrap();
    assert!(error.context().iter().any(|(key, value)| *key == "page" && value == "2"), "{error:?}");
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_limit_of_pages_and_a_sample_end_the_list_early() {
    let endless = || server(|seen| Reply::json(200, &json!({"items": items(number(seen, "skip", 0), 5, 1000)})));
    let limited = endless();
    let captured = Recording::default();
    let writer = captured.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let run = read(&limited, PagePosition::offset("skip"), Some(3)).await.unwrap();
    drop(guard);
    let warned = captured.text().matches("stopped at the page limit (`max_pages`): the server has more pages").count();
    assert_eq!(warned, 1, "{}", captured.text());
    assert_eq!((run.ids.len(), limited.requests().len(), pages(&run.bench)), (15, 3, (Some(3), 3)));

    let sampled = endless();
    let bench = Bench::new(|_| Ok(())).unwrap();
    let ctx = bench.run_context().step("extract");
    let api = Items(client(settings(&sampled)));
    let mut pager = Pager::new(api, PagePosition::offset("skip"), &ctx).with_sample(true);
    assert!(pager.next_page().await.unwrap().is_some());
    assert!(pager.next_page().await.unwrap().is_none());
    assert_eq!(sampled.requests().len(), 1);
}

#[tokio::test]
async fn a_store_that_has_enough_ends_the_fetching() {
    let server = server(|seen| Reply::json(200, &json!({"items": items(number(seen, "skip", 0), 5, 1000)})));
    let bench = Bench::new(|_| Ok(())).unwrap();
    let ctx = bench.run_context().step("extract");
    let mut pager = Pager::new(Items(client(settings(&server))), PagePosition::offset("skip"), &ctx);
    let first = read_ahead(&mut pager, |mut queue| async move { Ok(queue.next().await.is_some()) }).await;
    assert!(first.unwrap());
    assert!(server.requests().len() < 5);
    let refused = read_ahead(&mut pager, |_| async { Err::<(), _>(Error::unknown("the disk is full")) }).await;
    assert_eq!(refused.unwrap_err().message(), "the disk is full");
}
