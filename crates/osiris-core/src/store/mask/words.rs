//! The words that DuckDB's messages about values are made of. Any other word in such a message may come from a cell.

use std::collections::HashSet;
use std::sync::LazyLock;

use crate::store::sql::is_function;

/// Words of messages, in small letters.
const WORDS: &str = "
    a accepts access according accurate accurately action active actual add adding addition aes after aggregate
    aggregates alias aliases align all allocate allocation allowed already also alter amount an analyze and another
    any appear append appender applied approx are argument arguments array arrays as asof assertion async at attempted
    auto average bar base base64 be because been before behavior between bigger bignum bin binary bind binding
    bindings bit bitstring blob boolean both bound boundary brace bracket bucket but by byte bytes caching calculates
    call called calls can can't candidate cannot case cast casting casts centuries change character characters
    charclass check child children clause closed closing code codepoint collection colon column columns combine
    combined comma commit common comparison component compressed compression computes concatenates concrete condition
    conditions config configuration connection consider constant constraint constraints contain contained containing
    contains content context control conversion convert converts coordinate copy correlated corrupt corrupted could
    count create created crs csv current data date datetime day days dd debug decades decimal decode decompression
    default defaults defined definition dependency dependent deprecated depth desc destination dict dictionary did
    different digit dimensions directly directory disable disabled distinct division document does doesn't drop
    duplicate during each either element elements empty enable encode encoded encoding encountered encryption end
    endian enough entries entry enum epoch equal error escape escaped etc exactly exceed exceeds exception exchange
    execute execution exist exists expected expects explicit explicitly export exported expr expression expressions
    external extract failed failure false fetch field fields file files filesystem fill filter find finds first fit
    flag flags flush follow followed following follows for force foreign format formatting found frame from fully
    function functions gb generated geojson geometries geometry geoparquet get gib given global got grapheme greater
    group grouping groups gzip handle handled handling has hash have having header here hex hexadecimal hh high higher
    hive hours hugeint id identifier identifiers ids if ignore ignored implemented implicit implicitly in inclusive
    inconsistency incorrect index inequal infer initialize inner input inputs insert inside instead integer internal
    interval into invalid is it its join json key keys keyword kib kurtosis large larger last lateral lcm least left
    length lengths less level levels limit line list lists literal log logging long lookahead low lower magic
    malformed map maps match materialization max maximum may member memory merge metadata method mib microseconds
    might millennia milliseconds min minimum minutes mismatch missing mix mm mode modifier modulo months more most ms
    multi multiple multiplication must name named names nanoseconds near needed negation negative nested new no non
    none not nothing null nulls num number numeric numerical object occurred of offset on once one only open operand
    operation operations operator option options or order ordered ordering other out output outside overflow override
    padding pairs parameter parameters parenthesis parquet parse part partition passed path paths pattern per perform
    perl pivot plan please point pointer points position positional positive preceding precision predicate prefix
    present preserve primary process produced product projection property provide provided qualified quantile query
    quote radix range re read reader reading recognized recursive reference referenced referencing regex registered
    rejects remove rename render repetition replace represent representation represented representing required
    requires reservoir reset resize resolve resolved resource respect result return returned returning returns rewrite
    rewriting right rollback root row rowid rows rule same sample scalar scale scan schedule schema schemas second
    seconds seed seek select sequence set setseed shift should shredded signature single size sizes slice smaller sort
    source spatial specification specified specifier specify sql srid ss start starting state statement statements
    statistics stats steps str stream string strings strptime struct structs subqueries subquery substring subtraction
    suffix sum support supported supports surrogate system table tables take takes target temporary text than that the
    there these this threshold time timedelta timezone timezones tinyint to token too top trailing transaction
    transformer tree true try two type types unable unbound uncompressed unexpected unicode unimplemented union unique
    units unknown unnamed unnest unpivot unrecognized unsupported unterminated update us use used using utf utf8 uuid
    valid value values variable variant vector verification version view violates want was we weeks were when where
    whether which while width wildcards window with within without wkb wkt write writer writing yet you your yyyy zero
    zone zones";

/// Types, as SQL and as the engine call them.
const TYPES: &str = "
    array bigint bignum bit blob bool boolean char date decimal double enum float geometry hugeint int int128 int16 int32
    int64 int8 integer interval json list map object real smallint struct text time timestamp timestamp_ms timestamp_ns
    timestamp_s timestamptz timetz time_ns tinyint ubigint uhugeint uint128 uint16 uint32 uint64 uint8 uinteger union
    usmallint utf8 utinyint uuid varchar variant";

static KNOWN: LazyLock<(HashSet<&str>, HashSet<&str>)> =
    LazyLock::new(|| (WORDS.split_whitespace().collect(), TYPES.split_whitespace().collect()));

/// Whether a word is one of DuckDB's: of its messages, a type, or a function.
pub(super) fn is_known(word: &str) -> bool {
    let lower = word.to_lowercase();
    KNOWN.0.contains(lower.as_str()) || is_type(word) || is_function(&lower)
}

/// Whether a word is the name of a type.
pub(super) fn is_type(word: &str) -> bool {
    KNOWN.1.contains(word.to_lowercase().as_str())
}
