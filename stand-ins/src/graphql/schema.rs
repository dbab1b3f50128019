//! The schema: many items, in the three styles of pagination, with an owner, labels that have pages of their own, and a
//! field that sometimes fails.

use async_graphql::{ComplexObject, Context, Error, Object, SimpleObject};

use super::Records;

/// An item, as the source holds it.
#[derive(Debug, Clone, Default, PartialEq, SimpleObject)]
#[graphql(complex, name = "Item")]
pub struct Record {
    /// Its key, by which items are sorted.
    pub id: i64,
    /// A text.
    pub name: Option<String>,
    /// A number of any length.
    pub amount: Option<String>,
    /// A date.
    pub day: Option<String>,
    /// A date with a time.
    pub at: Option<String>,
    /// A boolean.
    pub flag: Option<bool>,
}

#[derive(SimpleObject)]
struct Owner {
    id: i64,
    name: String,
}

#[derive(SimpleObject)]
struct Label {
    name: String,
}

#[derive(SimpleObject)]
struct Labels {
    nodes: Vec<Label>,
    page_info: PageInfo,
}

#[ComplexObject]
impl Record {
    /// One of three; items with an id that ends in 9 have none.
    async fn owner(&self) -> Option<Owner> {
        (self.id % 10 != 9).then(|| Owner { id: self.id % 3, name: format!("owner {}", self.id % 3) })
    }

    /// As many as the last digit of the id says.
    async fn labels(&self, #[graphql(default = 3)] first: usize) -> Labels {
        let all = usize::try_from(self.id % 10).unwrap();
        let nodes = (0..all.min(first)).map(|label| Label { name: format!("label {label}") }).collect();
        Labels { nodes, page_info: PageInfo { has_next_page: first < all, end_cursor: None } }
    }

    /// Fails for items with an id that ends in 4.
    async fn fragile(&self) -> Result<Option<i64>, Error> {
        if self.id % 10 == 4 { Err(Error::new("the fragile part is broken")) } else { Ok(Some(self.id)) }
    }
}

#[derive(SimpleObject)]
struct PageInfo {
    has_next_page: bool,
    end_cursor: Option<String>,
}

#[derive(SimpleObject)]
struct ItemEdge {
    cursor: String,
    node: Option<Record>,
}

#[derive(SimpleObject)]
#[graphql(complex)]
struct ItemConnection {
    nodes: Vec<Option<Record>>,
    page_info: PageInfo,
    total_count: usize,
}

#[ComplexObject]
impl ItemConnection {
    async fn edges(&self) -> Vec<ItemEdge> {
        let edge =
            |item: &Option<Record>| item.clone().map(|node| ItemEdge { cursor: cursor(node.id), node: Some(node) });
        self.nodes.iter().filter_map(edge).collect()
    }
}

#[derive(SimpleObject)]
struct ItemPage {
    items: Vec<Record>,
    total: usize,
    has_more: bool,
}

fn cursor(id: i64) -> String {
    format!("after item {id}")
}

/// The largest page, whatever is requested.
#[derive(Debug, Clone, Copy)]
pub(super) struct LargestPage(pub(super) usize);

pub(super) struct Query;

/// What a page of `rows` of items costs.
fn price(rows: Option<i32>, child: usize) -> usize {
    usize::try_from(rows.unwrap_or(1000)).unwrap_or(0) * child + 1
}

#[Object]
impl Query {
    #[graphql(complexity = "price(first, child_complexity)")]
    async fn items(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<ItemConnection, Error> {
        let all = ctx.data::<Records>()?.get();
        let from = match &after {
            None => 0,
            Some(after) => {
                let id = after.strip_prefix("after item ").and_then(|id| id.parse::<i64>().ok());
                let id = id.ok_or_else(|| Error::new("this is no cursor"))?;
                all.partition_point(|item| item.id <= id)
            }
        };
        let page = page(ctx, &all, from, first)?;
        let has_next_page = from + page.len() < all.len();
        let end_cursor = page.last().map(|last| cursor(last.id));
        let nodes = page.into_iter().map(Some).collect();
        Ok(ItemConnection { nodes, page_info: PageInfo { has_next_page, end_cursor }, total_count: all.len() })
    }

    #[graphql(complexity = "price(limit, child_complexity)")]
    async fn items_from(
        &self,
        ctx: &Context<'_>,
        #[graphql(default)] offset: usize,
        limit: Option<i32>,
    ) -> Result<Vec<Record>, Error> {
        let all = ctx.data::<Records>()?.get();
        page(ctx, &all, offset, limit)
    }

    #[graphql(complexity = "price(per_page, child_complexity)")]
    async fn item_page(
        &self,
        ctx: &Context<'_>,
        #[graphql(default = 1)] page: usize,
        per_page: Option<i32>,
    ) -> Result<ItemPage, Error> {
        let all = ctx.data::<Records>()?.get();
        let size = usize::try_from(per_page.unwrap_or(100))?.min(ctx.data::<LargestPage>()?.0);
        let from = (page - 1) * size;
        let items = self::page(ctx, &all, from, per_page)?;
        let has_more = from + items.len() < all.len();
        Ok(ItemPage { items, total: all.len(), has_more })
    }

    async fn item(&self, ctx: &Context<'_>, id: i64) -> Result<Option<Record>, Error> {
        Ok(ctx.data::<Records>()?.get().iter().find(|item| item.id == id).cloned())
    }

    async fn version(&self) -> &'static str {
        "1"
    }
}

fn page(ctx: &Context<'_>, all: &[Record], from: usize, size: Option<i32>) -> Result<Vec<Record>, Error> {
    let size = usize::try_from(size.unwrap_or(100)).map_err(|_| Error::new("a page has at least one row"))?;
    let size = size.min(ctx.data::<LargestPage>()?.0);
    Ok(all.iter().skip(from).take(size).cloned().collect())
}
