//! Checks the functions that a user's statement calls: one that may change data (`VOLATILE`) and is not known to be
//! read-only is refused. A read-only transaction prevents writes to the database, but not what a function does
//! elsewhere.

use osiris_core::{Error, Result};
use osiris_sql::guard::FunctionCall;

use crate::client::{Session, literal};

const CONTEXT: &str = "checking the functions of the query";

/// Refuses functions that may change data.
///
/// # Errors
/// When one of `calls` may change data, or the query fails.
pub(super) async fn refuse(session: &mut Session, calls: &[FunctionCall]) -> Result<()> {
    if calls.is_empty() {
        return Ok(());
    }
    let found = session.rows(&question(calls), CONTEXT).await?;
    let text = |row: &[Option<String>], index: usize| row.get(index).cloned().flatten().unwrap_or_default();
    let called = found
        .iter()
        .map(|row| (text(row, 0), text(row, 1), text(row, 2)))
        .find(|(_, name, _)| !FunctionCall::is_known_reader(name));
    let Some((schema, name, arguments)) = called else { return Ok(()) };
    Err(Error::validation(format!("the query calls `{schema}.{name}()`, which is VOLATILE: it may change data"))
        .with_hint(format!(
            "remove it; if it only reads, declare it STABLE: ALTER FUNCTION {schema}.{name}({arguments}) STABLE"
        )))
}

/// All volatile functions that the names may refer to, and their arguments. A name without a schema is resolved by the
/// search path; one in the position of a column can only be a function of a row.
fn question(calls: &[FunctionCall]) -> String {
    let rows: Vec<String> = calls
        .iter()
        .map(|call| {
            let schema = call.schema.as_deref().map_or_else(|| "NULL".to_owned(), literal);
            format!("({schema}::text, {}::text, {})", literal(&call.name), call.attribute)
        })
        .collect();
    format!(
        "SELECT DISTINCT n.nspname, p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid) \
         FROM (VALUES {}) AS called(schema, name, attribute) \
         JOIN pg_catalog.pg_proc p ON p.proname = called.name \
         JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
         LEFT JOIN pg_catalog.pg_type t ON t.oid = p.proargtypes[0] \
         WHERE p.provolatile = 'v' \
         AND CASE WHEN called.schema IS NULL THEN pg_catalog.pg_function_is_visible(p.oid) ELSE n.nspname = called.schema END \
         AND (NOT called.attribute OR (p.pronargs > 0 AND p.pronargs - p.pronargdefaults <= 1 AND (t.typtype = 'c' OR t.typname = 'record'))) \
         ORDER BY 1, 2, 3",
        rows.join(", ")
    )
}
