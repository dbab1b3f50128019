//! Supabase: PostgreSQL over COPY against clients that do nothing but that, and PostgREST with an eye on what Osiris computes itself.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::measure::{Cost, compared, cost, share};
use super::served::Served;
use super::{Bench, Row, data};
use crate::download::POSTGREST;
use crate::{Outcome, shell};

const COLUMNS: &str = "l_orderkey BIGINT NOT NULL, l_partkey BIGINT NOT NULL, l_suppkey BIGINT NOT NULL, \
    l_linenumber INT NOT NULL, l_quantity NUMERIC(15,2) NOT NULL, l_extendedprice NUMERIC(15,2) NOT NULL, \
    l_discount NUMERIC(15,2) NOT NULL, l_tax NUMERIC(15,2) NOT NULL, l_returnflag TEXT NOT NULL, l_linestatus TEXT NOT NULL, \
    l_shipdate DATE NOT NULL, l_commitdate DATE NOT NULL, l_receiptdate DATE NOT NULL, l_shipinstruct TEXT NOT NULL, \
    l_shipmode TEXT NOT NULL, l_comment TEXT NOT NULL";
/// A hundred thousand rows.
const OVER_REST: &str = "0.0167";

/// All of them, on one server.
pub(super) fn supabase(bench: &Bench) -> Outcome<Vec<Row>> {
    let program = bench.reference.with_file_name("osiris-bench-supabase");
    let postgrest = POSTGREST.path();
    if !postgrest.exists() {
        POSTGREST.fetch()?;
    }
    let server = Served::start(Command::new(&program).arg("serve").env("OSIRIS_TEST_POSTGREST_PROGRAM", postgrest))?;
    let mut work = Work { bench, server, program };
    let csv = bench.lineitem(&bench.scale)?;
    let binary = bench.directory.join(format!("lineitem_{}.pgcopy", bench.scale));
    work.server.ask(&format!("CREATE TABLE lineitem ({COLUMNS}); CREATE TABLE target ({COLUMNS})"))?;
    work.psql(&format!("\\copy lineitem FROM '{}' (FORMAT csv, HEADER)", csv.display()))?;
    work.psql(&format!("\\copy lineitem TO '{}' (FORMAT binary)", binary.display()))?;
    work.server.ask("VACUUM ANALYZE lineitem")?;
    let mut rows = vec![work.read()?, work.write(&csv, &binary)?];
    rows.push(work.upsert_over_rest()?);
    std::fs::remove_file(&binary).map_err(|error| format!("{}: {error}", binary.display()))?;
    Ok(rows)
}

struct Work<'a> {
    bench: &'a Bench,
    server: Served,
    program: PathBuf,
}

impl Work<'_> {
    /// PostgreSQL -> store against a client that reads the same COPY and throws it away.
    fn read(&self) -> Outcome<Row> {
        let step = "  - id: source\n    component: supabase.extractor\n    mode: read\n    config: {query: SELECT * FROM lineitem}\n";
        let pipeline = data::pipeline(&self.project("supabase-read")?, &[step.to_owned()])?;
        let (mut theirs, mut ours) = (Vec::new(), Vec::new());
        for _ in 0..self.bench.rounds {
            let mut discard = Command::new(&self.program);
            theirs.push(cost(discard.args([
                "discard",
                self.server.about("dsn_of_others")?,
                "SELECT * FROM lineitem",
            ]))?);
            ours.push(cost(&mut self.bench.run(&pipeline, &["--store", "memory"]))?);
        }
        let work = "lineitem in PostgreSQL -> store in memory".to_owned();
        Ok(compared(work, &ours, "the same COPY, thrown away", &theirs, "1.25"))
    }

    /// store -> PostgreSQL: a run that reads Parquet and writes, less one that only reads, against psql with a prepared binary file.
    fn write(&mut self, csv: &Path, binary: &Path) -> Outcome<Row> {
        let (both, only_read) = self.pipelines("supabase-write", csv, "table: target")?;
        let (mut theirs, mut ours) = (Vec::new(), Vec::new());
        for _ in 0..self.bench.rounds {
            self.server.ask("TRUNCATE target")?;
            theirs.push(self.psql(&format!("\\copy target FROM '{}' (FORMAT binary)", binary.display()))?);
            self.server.ask("TRUNCATE target")?;
            let without = cost(&mut self.bench.run(&only_read, &["--store", "memory"]))?;
            let with = cost(&mut self.bench.run(&both, &["--store", "memory"]))?;
            ours.push(with.beyond(without));
        }
        let work = "store -> PostgreSQL, append".to_owned();
        Ok(compared(work, &ours, "psql \\copy of a binary file", &theirs, "1.3"))
    }

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

    fn psql(&self, command: &str) -> Outcome<Cost> {
        let found =
            shell::find_program("psql", &[]).ok_or("`psql` is missing: install the package `postgresql-client`")?;
        cost(Command::new(found).args([
            "--no-psqlrc",
            "--quiet",
            "--command",
            command,
            self.server.about("dsn_of_others")?,
        ]))
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
