//! How to get from one page to the next: the mapping `pagination`, as pipelines write it.

use schemars::JsonSchema;
use serde::Deserialize;

/// How to get from one page to the next.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pagination {
    /// What names a page. Default: cursor.
    #[serde(default)]
    pub style: Option<PageStyle>,
    /// Where the object is that says whether there is a next page, such as `data.users.pageInfo`. Default: the
    /// `pageInfo` that the query selects next to the rows; styles other than cursor do not need it and end at an empty
    /// page.
    #[serde(default)]
    pub path: Option<String>,
    /// The member of that object with the cursor of the next page. Default: `endCursor`.
    #[serde(default)]
    pub cursor_field: Option<String>,
    /// Where the cursor of the next page is in the last item of a list, for a server that gives no `endCursor`:
    /// `data.users.edges[-1].cursor`, or a key by which the rows are sorted, such as `data.users[-1].id` for
    /// `users(where: {id: {_gt: $after}}, order_by: {id: asc})`, which must be unique. An empty page is then the end, unless `pageInfo`
    /// says so before. Default: none.
    #[serde(default)]
    pub cursor_path: Option<String>,
    /// The member that says whether there is a next page. Default: `hasNextPage`.
    #[serde(default)]
    pub has_next_field: Option<String>,
    /// The variable of the query that names the page. Default: `after`, `offset` or `page`, by the style. Its value in `variables`,
    /// or its default in the query, is where to start.
    #[serde(default)]
    pub variable: Option<String>,
    /// The number of the first page, for the style `page`: 1, or 0 where the server counts from 0. `osiris plan` shows it. A start in
    /// `variables` takes precedence. Default: 1.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1))]
    pub first_page: Option<u64>,
    /// Where the server's own count of all rows is, such as `data.users.totalCount` or `data._allUsersMeta.count`. If fewer rows come than
    /// it says at first, the step fails, unless `max_pages` ended it, or the query itself requests a part of the list. By cursor rows may
    /// be deleted meanwhile: the first page, requested once more, then counts fewer. Default: the `totalCount` that the query selects
    /// next to the rows, or the `count` in `_usersMeta` next to a list `users`.
    #[serde(default)]
    pub total: Option<String>,
    /// The variable of the query that takes `page_size`. Default: none. With it, a page that is too large for the
    /// server is requested again at half the size, or at the size that the server states.
    #[serde(default)]
    pub page_size_variable: Option<String>,
    /// Rows per page. Default: 1000. Servers have limits of their own, often 100.
    #[serde(default)]
    #[schemars(range(min = 1, max = 10_000))]
    pub page_size: Option<u64>,
    /// How many pages to read at most. Default: 0, all of them.
    #[serde(default)]
    pub max_pages: Option<u64>,
}

/// What names a page.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PageStyle {
    /// The cursor that the page before gave, as in Relay.
    #[default]
    Cursor,
    /// How many rows come before it.
    Offset,
    /// Its number.
    Page,
}
