//! Statements made of pieces, to find out whether what a guard accepts changes anything.
//!
//! `OSIRIS_FUZZ_SECONDS=600` makes new statements for that long instead of the same few thousand.

use std::time::{Duration, Instant, SystemTime};

/// How many statements are made without a time.
const STATEMENTS: u64 = 20_000;

/// How a statement begins, in any SQL. Pieces that often make one that the server understands.
pub const HEADS: [&str; 12] = [
    "SELECT",
    "SELECT *",
    "SELECT a FROM t",
    "SELECT * FROM t",
    "WITH x AS (SELECT 1)",
    "TABLE t",
    "VALUES (1)",
    "(SELECT 1)",
    "DELETE FROM t",
    "UPDATE t SET a = a + 1",
    "INSERT INTO t VALUES (9)",
    "-- x\n",
];

/// What a statement goes on with, in any SQL.
pub const PIECES: [&str; 39] = [
    "DELETE FROM t",
    "UPDATE t SET a = a + 1",
    "INSERT INTO t VALUES (9)",
    "TRUNCATE t",
    "DROP TABLE t",
    "CREATE TABLE u (a INT)",
    "CALL p()",
    "FOR UPDATE",
    "FOR SHARE",
    "SELECT 1",
    "UNION",
    "ALL",
    "FROM t",
    "WHERE a = 1",
    "a",
    "t.a",
    "1",
    "1.",
    ".5",
    "'x'",
    "'a\\'",
    "''",
    "'",
    "\"",
    "\\",
    "(",
    ")",
    ",",
    ";",
    ".",
    "*",
    "--",
    "\n",
    "/*",
    "*/",
    "AS",
    "ANALYZE",
    "ORDER BY 1",
    "LIMIT 1",
];

/// Statements, and what became of them.
#[derive(Debug)]
pub struct Statements {
    heads: Vec<&'static str>,
    pieces: Vec<&'static str>,
    random: u64,
    end: Option<Instant>,
    /// How many were made.
    pub tried: u64,
    /// How many the guard accepted.
    pub accepted: u64,
    /// How many of them the server understood.
    pub understood: u64,
}

impl Statements {
    /// Of these pieces and of those of any SQL.
    pub fn new(heads: &[&'static str], pieces: &[&'static str]) -> Self {
        let patience = patience();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self {
            heads: HEADS.iter().chain(heads).copied().collect(),
            pieces: PIECES.iter().chain(pieces).chain(&["ů"]).copied().collect(),
            random: if patience.is_some() { u64::from(now.subsec_nanos()) ^ now.as_secs() } else { 0 },
            end: patience.map(|patience| Instant::now() + patience),
            tried: 0,
            accepted: 0,
            understood: 0,
        }
    }

    /// The next one, as long as there is time.
    pub fn next_statement(&mut self) -> Option<String> {
        if self.end.map_or(self.tried >= STATEMENTS, |end| Instant::now() >= end) {
            return None;
        }
        self.tried += 1;
        let head = self.below(self.heads.len());
        let mut sql = self.heads[head].to_owned();
        for _ in 0..self.below(7) {
            if self.below(5) > 0 {
                sql.push(' ');
            }
            let piece = self.below(self.pieces.len());
            sql.push_str(self.pieces[piece]);
        }
        Some(sql)
    }

    /// Whether it is time to look at the data again.
    pub fn is_checkpoint(&self) -> bool {
        self.accepted.is_multiple_of(50)
    }

    /// Checks that enough of them were statements.
    ///
    /// # Panics
    /// When not.
    pub fn conclude(&self) {
        let Self { tried, accepted, understood, .. } = self;
        assert!(*understood > 100, "of {tried} statements {accepted} were accepted and only {understood} understood");
    }

    /// SplitMix64.
    fn below(&mut self, count: usize) -> usize {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(count).unwrap()).unwrap()
    }
}

#[expect(clippy::disallowed_methods, reason = "a test may be asked to run for longer")]
fn patience() -> Option<Duration> {
    std::env::var("OSIRIS_FUZZ_SECONDS").ok()?.parse().ok().map(Duration::from_secs)
}
