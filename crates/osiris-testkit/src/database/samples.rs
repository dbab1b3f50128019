//! Tables of a server that hold a [`Sample`], in its own SQL.

use arrow::array::AsArray as _;
use osiris_core::Result;

use super::DatabaseServer;
use crate::Sample;
use crate::services::{Brand, MysqlServer, Postgres};

/// A table with a value that its extractor refuses by default.
#[derive(Debug, Clone, Copy)]
pub struct BadValue {
    /// What is wrong with it.
    pub name: &'static str,
    /// The table.
    pub table: &'static str,
    /// Makes it.
    pub setup: &'static str,
}

/// The SQL of a server for the tables that suites read and write.
pub trait SampleServer: DatabaseServer {
    /// The name under which its tests are left out.
    const SERVICE: &'static str;
    /// The scheme of its connection URLs.
    const SCHEME: &'static str;
    /// The columns of a sample.
    const COLUMNS: &'static str;
    /// A table with a value that cannot be read exactly.
    const BAD_VALUE: BadValue;
    /// A type that holds small integers only, and an integer that it cannot hold.
    const NARROW: (&'static str, u64);
    /// The names and types of the columns of the table `target`.
    const TARGET_COLUMNS: &'static str;

    /// A value of the column with this index as SQL.
    fn literal(column: usize, text: &str) -> String;

    /// What a query needs that computes a sample of any size, and the query.
    fn volume(sample: Sample, padding: usize) -> (&'static str, String);

    /// A column of the table `target`, in quotes; a boolean as `true` or `false`.
    fn shown(name: &str, column_type: &str) -> String;

    /// How many requests the server has answered, if it counts them.
    fn round_trips(&self) -> impl Future<Output = Result<Option<u64>>> + Send {
        async { Ok(None) }
    }

    /// Fills the table `source` without the driver.
    fn fill(&self, sample: Sample) -> impl Future<Output = Result<()>> + Send {
        async move {
            let create = format!("DROP TABLE IF EXISTS source; CREATE TABLE source ({})", Self::COLUMNS);
            self.execute(&create).await?;
            for rows in sample.text()?.rows().chunks(500) {
                let row = |row: &Vec<Option<String>>| {
                    let cells = row.iter().enumerate().map(|(column, cell)| match cell {
                        None => "NULL".to_owned(),
                        Some(text) => Self::literal(column, text),
                    });
                    format!("({})", cells.collect::<Vec<_>>().join(", "))
                };
                let rows: Vec<String> = rows.iter().map(row).collect();
                self.execute(&format!("INSERT INTO source VALUES {}", rows.join(", "))).await?;
            }
            Ok(())
        }
    }
}

/// The length of the padding of a sample.
pub(super) fn padding(sample: Sample) -> Result<usize> {
    let first = sample.batches().next().transpose()?;
    let column = first.as_ref().and_then(|batch| batch.column_by_name("padding"));
    Ok(column.map_or(0, |column| column.as_string::<i32>().iter().flatten().next().map_or(0, str::len)))
}

impl<B: Brand> SampleServer for MysqlServer<B> {
    const SERVICE: &'static str = B::SERVICE;
    const SCHEME: &'static str = "mysql";
    const COLUMNS: &'static str =
        "id BIGINT PRIMARY KEY, name TEXT, amount DECIMAL(12,2), day DATE, at DATETIME(6), flag TINYINT(1)";
    const BAD_VALUE: BadValue = BadValue {
        name: "a zero date",
        table: "zero",
        setup: "SET sql_mode = ''; DROP TABLE IF EXISTS zero; CREATE TABLE zero (d DATE); \
                INSERT INTO zero VALUES ('0000-00-00')",
    };
    const NARROW: (&'static str, u64) = ("TINYINT", 7000);
    const TARGET_COLUMNS: &'static str = "SELECT COLUMN_NAME, COLUMN_TYPE FROM information_schema.COLUMNS \
        WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'target' ORDER BY ORDINAL_POSITION";

    fn literal(column: usize, text: &str) -> String {
        // The sixth column is the boolean, which is a number here.
        if column == 5 { text.to_owned() } else { format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''")) }
    }

    fn volume(sample: Sample, padding: usize) -> (&'static str, String) {
        let columns = "a.d + 10 * b.d + 100 * c.d + 1000 * e.d + 10000 * f.d + 100000 * g.d + 1000000 * h.d";
        let query = format!(
            "SELECT id, LEFT(REPEAT(SHA2(id, 512), {}), {padding}) AS padding FROM (SELECT {columns} AS id FROM digits a, \
             digits b, digits c, digits e, digits f, digits g, digits h) n WHERE id < {}",
            padding / 128 + 1,
            sample.rows()
        );
        let setup = "DROP TABLE IF EXISTS digits; CREATE TABLE digits (d INT); \
                     INSERT INTO digits VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)";
        (setup, query)
    }

    fn shown(name: &str, column_type: &str) -> String {
        let quoted = format!("`{}`", name.replace('`', "``"));
        if column_type == "tinyint(1)" { format!("ELT({quoted} + 1, 'false', 'true')") } else { quoted }
    }

    async fn round_trips(&self) -> Result<Option<u64>> {
        let count = self.rows("SHOW GLOBAL STATUS LIKE 'Questions'").await?;
        Ok(count.first().and_then(|row| row[1].as_deref()?.parse().ok()))
    }
}

impl SampleServer for Postgres {
    const SERVICE: &'static str = "postgres";
    const SCHEME: &'static str = "postgresql";
    const COLUMNS: &'static str =
        "id bigint PRIMARY KEY, name text, amount numeric(12,2), day date, at timestamp, flag boolean";
    const BAD_VALUE: BadValue = BadValue {
        name: "not a number",
        table: "nan",
        setup: "DROP TABLE IF EXISTS nan; CREATE TABLE nan (n numeric(5,2)); INSERT INTO nan VALUES ('NaN')",
    };
    const NARROW: (&'static str, u64) = ("smallint", 70_000);
    const TARGET_COLUMNS: &'static str = "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute \
        WHERE attrelid = to_regclass('public.target') AND attnum > 0 AND NOT attisdropped ORDER BY attnum";

    fn literal(_: usize, text: &str) -> String {
        format!("'{}'", text.replace('\'', "''"))
    }

    fn volume(sample: Sample, padding: usize) -> (&'static str, String) {
        let query = format!(
            "SELECT id, left(repeat(md5(id::text), {}), {padding}) AS padding FROM generate_series(0::bigint, {}) AS n (id)",
            padding / 32 + 1,
            sample.rows().saturating_sub(1)
        );
        ("SELECT 1", query)
    }

    fn shown(name: &str, column_type: &str) -> String {
        let quoted = format!("\"{}\"", name.replace('"', "\"\""));
        if column_type == "boolean" { format!("{quoted}::text") } else { quoted }
    }
}
