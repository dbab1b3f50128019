//! Supabase over REST, with an eye on what Osiris computes itself: the server sets the pace.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::measure::{cost, share};
use super::served::Served;
use super::{Bench, Row, data};
use crate::Outcome;
use crate::download::POSTGREST;

const COLUMNS: &str = "l_orderkey BIGINT NOT NULL, l_partkey BIGINT NOT NULL, l_suppkey BIGINT NOT NULL, \
    l_linenumber INT NOT NULL, l_quantity NUMERIC(15,2) NOT NULL, l_extendedprice NUMERIC(15,2) NOT NULL, \
    l_discount NUMERIC(15,2) NOT NULL, l_tax NUMERIC(15,2) NOT NULL, l_returnflag TEXT NOT NULL, l_linestatus TEXT NOT NULL, \
    l_shipdate DATE NOT NULL, l_commitdate DATE NOT NULL, l_receiptdate DATE NOT NULL, l_shipinstruct TEXT NOT NULL, \
    l_shipmode TEXT NOT NULL, l_comment TEXT NOT NULL";
/// A hundred thousand rows.
const OVER_REST: &str = "0.0167";

/// On a server of our own.
pub(super) fn supabase(bench: &Bench) -> Outcome<Vec<Row>> {
    let program = bench.reference.with_file_name("osiris-bench-supabase");
    let postgrest = POSTGREST.path();
    if !postgrest.exists() {
        POSTGREST.fetch()?;
    }
    let server = Served::start(Command::new(&program).arg("serve").env("OSIRIS_TEST_POSTGREST_PROGRAM", postgrest))?;
    let mut work = Work { bench, server };
    Ok(vec![work.upsert_over_rest()?])
}

struct Work<'a> {
    bench: &'a Bench,
    server: Served,
}

impl Work<'_> {
    /// What Osiris computes while PostgREST upserts: a run that reads Parquet and writes, less one that only reads.
    fn upsert_over_rest(&mut self) -> Outcome<Row> {
        let csv = self.bench.lineitem(OVER_REST)?;
        let config = "table: keyed, mode: upsert, key: [l_orderkey, l_linenumber], batch_size: 5000, connection: \"@supabase.rest\"";
        let (both, only_read) = self.pipelines("supabase-rest", &csv, config)?;
        self.server.ask(&format!(
            "CREATE TABLE keyed ({COLUMNS}, PRIMARY KEY (l_orderkey, l_linenumber)); GRANT ALL ON keyed TO service_role; \
             NOTIFY pgrst, 'reload schema'"
        ))?;
        let mut ours = Vec::new();
        for _ in 0..self.bench.rounds {
            let without = cost(&mut self.bench.run(&only_read, &["--store", "memory"]))?;
            let with = cost(&mut self.bench.run(&both, &["--store", "memory"]))?;
            ours.push(with.beyond(without));
        }
        Ok(share("upsert of 100,000 rows over REST", &ours, "0.25"))
    }

    /// One that reads the rows of `csv` from Parquet and writes them, and one that only reads.
    fn pipelines(&self, name: &str, csv: &Path, config: &str) -> Outcome<(PathBuf, PathBuf)> {
        let source = self.bench.parquet_of(csv)?;
        let read = data::extract("source", "filesystem.parquet_extractor", &source);
        let write = data::write("write", "source", "supabase.writer", config);
        let both = data::pipeline(&self.project(&format!("{name}/both"))?, &[read.clone(), write])?;
        Ok((both, data::pipeline(&self.project(&format!("{name}/read"))?, &[read])?))
    }

    /// An empty directory whose connections file names the server, over both channels and over REST alone.
    fn project(&self, name: &str) -> Outcome<PathBuf> {
        let directory = self.bench.fresh(name)?;
        let path = directory.join("osiris_connections.yaml");
        let fields: Vec<String> = ["pg_host", "pg_port", "pg_user", "pg_password", "pg_database", "url", "key"]
            .into_iter()
            .map(|name| {
                let value = self.server.about(name)?;
                Ok(if name == "pg_port" { format!("{name}: {value}") } else { format!("{name}: \"{value}\"") })
            })
            .collect::<Outcome<_>>()?;
        let fields = fields.join(", ");
        let text = format!(
            "version: 1\nconnections:\n  supabase:\n    both: {{default: true, tls: disabled, {fields}}}\n    \
             rest: {{channel: rest, {fields}}}\n"
        );
        std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(directory)
    }
}
