//! Requests about one table: built by `postgrest`, sent by `osiris-http`. `postgrest`'s own client is never used: it has neither
//! pace nor limits, and what it would read of the environment has no effect here. What `postgrest` has no word for (`columns`,
//! `missing`, counts, what to return) is set on the request before it is sent; see `docs/decisions/0010`.

use std::time::Duration;

use osiris_core::{Error, Result};
use osiris_http::{Bytes, Method, Page, Repeat, Request};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use postgrest::{Builder, Postgrest};

use super::Rest;
use crate::filter::{Reserved, quote_name};

/// What may stand in a path as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A table or view behind PostgREST.
#[derive(Clone)]
pub(crate) struct TableApi {
    rest: Rest,
    postgrest: Postgrest,
    schema: String,
    table: String,
    timeout: Option<Duration>,
}

impl TableApi {
    /// The table `table` of `schema`.
    ///
    /// # Errors
    /// A schema whose name no header can hold.
    pub(crate) fn new(rest: Rest, schema: &str, table: &str) -> Result<Self> {
        if schema.is_empty() || !schema.bytes().all(|byte| (b' '..0x7f).contains(&byte)) {
            return Err(Error::validation(format!("the schema `{schema}` cannot be named over REST"))
                .with_hint("HTTP headers hold ASCII only: use a direct channel (`dsn`), or another name"));
        }
        let base = rest.http().base_url().as_str().trim_end_matches('/').to_owned();
        let postgrest = Postgrest::new(base).schema(schema);
        let (schema, table) = (schema.to_owned(), table.to_owned());
        Ok(Self { rest, postgrest, schema, table, timeout: None })
    }

    /// The same with a time limit of its own for each request.
    #[must_use]
    pub(crate) fn with_timeout(mut self, limit: Option<Duration>) -> Self {
        self.timeout = limit;
        self
    }

    /// The same, whose requests are not given up once they are sent.
    #[must_use]
    pub(crate) fn awaited(mut self) -> Self {
        self.rest = self.rest.to_the_end();
        self
    }

    /// The API that it is reached by.
    pub(crate) fn rest(&self) -> &Rest {
        &self.rest
    }

    /// `schema.table`, for messages.
    pub(crate) fn shown(&self) -> String {
        format!("{}.{}", self.schema, self.table)
    }

    /// Its schema.
    pub(crate) fn schema(&self) -> &str {
        &self.schema
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.table
    }

    /// A request about it in the making.
    pub(crate) fn from(&self) -> Builder {
        self.postgrest.from(utf8_percent_encode(&self.table, PLAIN).to_string())
    }

    /// The request that `builder` describes, without its body.
    ///
    /// # Errors
    /// What HTTP cannot carry.
    pub(crate) fn request(&self, builder: Builder, what: &'static str) -> Result<Request> {
        let built = builder.build().build().map_err(|error| {
            Error::validation(format!("{what}: no request can be made of it")).with_source(error.without_url())
        })?;
        let method = Method::from_bytes(built.method().as_str().as_bytes())
            .map_err(|error| Error::unknown("a method that HTTP does not have").with_source(error))?;
        let mut request = Request::new(method, built.url().clone()).what(what);
        for (name, value) in built.headers() {
            let value =
                value.to_str().map_err(|error| Error::validation("a header that is no text").with_source(error))?;
            request = request.header(name.as_str(), value)?;
        }
        Ok(match self.timeout {
            Some(limit) => request.timeout(limit),
            None => request,
        })
    }

    /// The same, with what is preferred of the answer.
    ///
    /// # Errors
    /// What HTTP cannot carry.
    pub(crate) fn preferring(&self, request: Request, preferences: &[&str]) -> Result<Request> {
        request.header("Prefer", &preferences.join(","))
    }

    /// Sends a request.
    ///
    /// # Errors
    /// What became of it.
    pub(crate) async fn fetch(&self, request: &Request) -> Result<Page> {
        self.rest.http().fetch(request).await
    }
}

/// Makes a request to insert rows that carries these as JSON.
///
/// # Errors
/// None that a body could cause.
pub(crate) fn with_rows(request: Request, rows: Bytes, repeat: Repeat) -> Result<Request> {
    Ok(request.body("application/json", rows)?.repeat(repeat))
}

/// Names in a list, as PostgREST reads them.
pub(crate) fn name_list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(|name| quote_name(name, Reserved::No)).collect::<Vec<_>>().join(",")
}

/// How many rows there are in all, by an answer to a request with `count=exact`.
pub(crate) fn total(page: &Page) -> Option<u64> {
    page.header("content-range")?.rsplit_once('/')?.1.parse().ok()
}

/// The error of an answer without the count that was asked for.
pub(crate) fn uncounted() -> Error {
    Error::validation("the server does not say how many rows there are")
        .with_context("asked for", "Prefer: count=exact")
        .with_hint("check the address; a proxy on the way may drop the header `Content-Range`")
}

/// Compares what was asked for with what the server says that it did.
///
/// # Errors
/// When it left out a preference that decides what a write does, did another one instead, or did what nobody asked for, such as
/// taking everything back at the end (`tx=rollback`).
pub(crate) fn ensure_applied(page: &Page, preferences: &[&str], what: &str) -> Result<()> {
    let applied: Vec<&str> = page
        .headers()
        .get_all("preference-applied")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split([',', ';']).map(str::trim))
        .collect();
    let name = |preference: &str| preference.split('=').next().unwrap_or_default().to_owned();
    let refused = |preference: &str, why: &str| {
        Err(Error::validation(format!("{what}: {why} `{preference}`")).with_hint(
            "the API's version is too old, its configuration forces preferences on requests, or a proxy on the way changes the \
             headers `Prefer` or `Preference-Applied`",
        ))
    };
    for preference in preferences {
        let decides = name(preference) == "resolution";
        match applied.iter().find(|applied| name(applied) == name(preference)) {
            Some(applied) if applied == preference => {}
            Some(applied) => return refused(applied, &format!("asked for `{preference}`, the server did")),
            // What the answer tells is seen by the answer itself; older versions do not list it.
            None if decides => return refused(preference, "the server does not do"),
            None => {}
        }
    }
    let uncalled = |applied: &&&str| matches!(name(applied).as_str(), "resolution" | "tx" | "missing" | "handling");
    match applied.iter().filter(uncalled).find(|applied| !preferences.iter().any(|asked| name(asked) == name(applied)))
    {
        Some(applied) if *applied == "tx=commit" => Ok(()),
        Some(applied) => refused(applied, "without being asked the server did"),
        None => Ok(()),
    }
}
