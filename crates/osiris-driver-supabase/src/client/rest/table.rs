//! Requests for a table: built by `postgrest`, sent by `osiris-http`. `postgrest`'s own client is never used: it has
//! neither rate limits nor timeouts, and its environment variables have no effect here. What `postgrest` does not
//! support (`columns`, `missing`, counts, what to return) is set on the request before it is sent; see
//! `docs/decisions/0010`.

use std::time::Duration;

use osiris_core::{Error, Result};
use osiris_http::{Bytes, Method, Page, Repeat, Request};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use postgrest::{Builder, Postgrest};

use super::Rest;
use crate::filter::{Reserved, quote_name};

/// Characters that need no encoding in a path.
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
    /// When the name of the schema is not valid in a header.
    pub(crate) fn new(rest: Rest, schema: &str, table: &str) -> Result<Self> {
        if schema.is_empty() || !schema.bytes().all(|byte| (b' '..0x7f).contains(&byte)) {
            return Err(Error::validation(format!("the schema `{schema}` cannot be named over REST"))
                .with_hint("its name must be ASCII in an HTTP header: connect to the database (`dsn`), or rename it"));
        }
        let base = rest.http().base_url().as_str().trim_end_matches('/').to_owned();
        let postgrest = Postgrest::new(base).schema(schema);
        let (schema, table) = (schema.to_owned(), table.to_owned());
        Ok(Self { rest, postgrest, schema, table, timeout: None })
    }

    /// The same with a timeout for each request.
    #[must_use]
    pub(crate) fn with_timeout(mut self, limit: Option<Duration>) -> Self {
        self.timeout = limit;
        self
    }

    /// The same with requests that are not cancelled once they are sent.
    #[must_use]
    pub(crate) fn awaited(mut self) -> Self {
        self.rest = self.rest.to_the_end();
        self
    }

    /// Its API.
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

    /// A request builder for it.
    pub(crate) fn from(&self) -> Builder {
        self.postgrest.from(utf8_percent_encode(&self.table, PLAIN).to_string())
    }

    /// The request that `builder` describes, without its body.
    ///
    /// # Errors
    /// When the request is invalid.
    pub(crate) fn request(&self, builder: Builder, what: &'static str) -> Result<Request> {
        let built = builder
            .build()
            .build()
            .map_err(|error| Error::validation(format!("{what}: invalid request")).with_source(error.without_url()))?;
        let method = Method::from_bytes(built.method().as_str().as_bytes())
            .map_err(|error| Error::unknown("invalid HTTP method").with_source(error))?;
        let mut request = Request::new(method, built.url().clone()).what(what);
        for (name, value) in built.headers() {
            let value = value
                .to_str()
                .map_err(|error| Error::validation("the value of a header is not text").with_source(error))?;
            request = request.header(name.as_str(), value)?;
        }
        Ok(match self.timeout {
            Some(limit) => request.timeout(limit),
            None => request,
        })
    }

    /// The same with `Prefer` values.
    ///
    /// # Errors
    /// When the request is invalid.
    pub(crate) fn preferring(&self, request: Request, preferences: &[&str]) -> Result<Request> {
        request.header("Prefer", &preferences.join(","))
    }

    /// Sends a request.
    ///
    /// # Errors
    /// When the request fails.
    pub(crate) async fn fetch(&self, request: &Request) -> Result<Page> {
        self.rest.http().fetch(request).await
    }
}

/// Builds an insert request with these rows as JSON.
///
/// # Errors
/// Never because of the body.
pub(crate) fn with_rows(request: Request, rows: Bytes, repeat: Repeat) -> Result<Request> {
    Ok(request.body("application/json", rows)?.repeat(repeat))
}

/// A list of names in PostgREST syntax.
pub(crate) fn name_list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(|name| quote_name(name, Reserved::No)).collect::<Vec<_>>().join(",")
}

/// The total number of rows, from a response to a request with `count=exact`.
pub(crate) fn total(page: &Page) -> Option<u64> {
    page.header("content-range")?.rsplit_once('/')?.1.parse().ok()
}

/// The error for a response without the requested count.
pub(crate) fn uncounted() -> Error {
    Error::validation("the server did not return the number of rows")
        .with_context("request header", "Prefer: count=exact")
        .with_hint("check the address; a proxy may drop the header `Content-Range`")
}

/// Compares the requested preferences with those that the server applied.
///
/// # Errors
/// When it ignored a preference that affects a write, applied another one, or applied one without a request, such as
/// rolling back at the end (`tx=rollback`).
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
            "the API's version is too old, its configuration forces preferences on requests, or a proxy changes the \
             headers `Prefer` or `Preference-Applied`",
        ))
    };
    for preference in preferences {
        let decides = name(preference) == "resolution";
        match applied.iter().find(|applied| name(applied) == name(preference)) {
            Some(applied) if applied == preference => {}
            Some(applied) => return refused(applied, &format!("requested `{preference}`, but the server applied")),
            // The content of the response shows whether this was applied; older versions do not list it.
            None if decides => return refused(preference, "the server did not apply"),
            None => {}
        }
    }
    let uncalled = |applied: &&&str| matches!(name(applied).as_str(), "resolution" | "tx" | "missing" | "handling");
    match applied.iter().filter(uncalled).find(|applied| !preferences.iter().any(|asked| name(asked) == name(applied)))
    {
        Some(applied) if *applied == "tx=commit" => Ok(()),
        Some(applied) => refused(applied, "without a request, the server applied"),
        None => Ok(()),
    }
}
