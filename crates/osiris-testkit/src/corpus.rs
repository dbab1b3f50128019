//! Values that have broken data tools before: secrets, column names, step ids.

/// Secrets with characters that URLs, JSON, shells and SQL write differently, and in forms that look like other things.
pub const SECRETS: [&str; 7] = [
    "p@ss/w0rd+==",
    "with space & \"quotes\" and 'ticks'",
    "back\\slash%40percent",
    "line\nbreak-and\ttab",
    "žluťoučký-kůň",
    "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoidGVzdCJ9.c2lnbmF0dXJl",
    "$ecret${HOME}#hash?query=1",
];

/// Column names that need quoting, or that are words of SQL.
pub const COLUMN_NAMES: [&str; 8] =
    ["select", "a b", "ů", "double\"quote", "tick'tick", "semi;colon", "back\\slash", "comma,dot.slash/"];

/// Step ids as a pipeline may have them.
pub const STEP_IDS: [&str; 5] = ["step", "extract-movies", "step.1", "select", "Ů step"];
