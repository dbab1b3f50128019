//! What Parquet can hold and DuckDB would change: every value is what the file has, or the column is refused.

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta};
use osiris_core::Inputs;
use parquet::data_type::Int96;
use proptest::prelude::*;
use serde_json::json;

use crate::bench::Bench;
use crate::parquet_file::{Leaf, Stored, int96, write};

const WRITER: &str = "filesystem.parquet_writer";

/// 2020-01-02 03:04:05.123456789, a nanosecond before 1970, 1970.
const NANOS: [i64; 3] = [1_577_934_245_123_456_789, -1, 0];

fn int96s(nanoseconds: &[i128]) -> Leaf {
    Leaf::all(Stored::Int96(nanoseconds.iter().copied().map(int96).collect()), nanoseconds.len())
}

fn int64s(values: &[i64]) -> Leaf {
    Leaf::all(Stored::Int64(values.to_vec()), values.len())
}

/// The nanoseconds since 1970 of a date of any year.
fn at(year: i32, month: u32, day: u32, micros: i128) -> i128 {
    let days = NaiveDate::from_ymd_opt(year, month, day).unwrap() - NaiveDate::default();
    i128::from(days.num_days()) * 86_400_000_000_000 + micros * 1000
}

#[tokio::test]
async fn int96_timestamps_keep_their_years_and_their_nanoseconds() {
    let bench = Bench::new();
    let micros =
        [at(9999, 12, 31, 86_399_999_999), at(1, 1, 1, 0), at(1677, 1, 1, 0), at(1582, 10, 14, 43_200_000_000)];
    write(&bench.path("us.parquet"), "optional int96 ts;", &[int96s(&micros)]);
    let table = bench.parquet(json!({"path": "us.parquet"})).await.unwrap();
    assert_eq!(table.columns(), ["ts TIMESTAMP"]);
    assert_eq!(
        table.rows().concat(),
        ["9999-12-31T23:59:59.999999", "0001-01-01T00:00:00", "1677-01-01T00:00:00", "1582-10-14T12:00:00"]
    );
    write(&bench.path("ns.parquet"), "optional int96 ts;", &[int96s(&NANOS.map(i128::from))]);
    let table = bench.parquet(json!({"path": "ns.parquet"})).await.unwrap();
    assert_eq!(table.columns(), ["ts TIMESTAMP_NS"]);
    let exact = ["2020-01-02T03:04:05.123456789", "1969-12-31T23:59:59.999999999", "1970-01-01T00:00:00"];
    assert_eq!(table.rows().concat(), exact);
    // All digits go on to the next file.
    bench.run(WRITER, json!({"path": "o.parquet"}), Inputs::one(table.table)).await.unwrap();
    assert_eq!(bench.parquet(json!({"path": "o.parquet"})).await.unwrap().rows().concat(), exact);
    // The unit holds for all files and for the condition.
    let both = bench.parquet(json!({"path": "*s.parquet", "filter": "ts < '1970-01-01'"})).await.err().unwrap();
    assert!(both.message().contains("nanoseconds"), "{both}");
    let filtered = json!({"path": "ns.parquet", "filter": "ts = '2020-01-02 03:04:05.123456789'"});
    assert_eq!(bench.parquet(filtered).await.unwrap().rows(), [[exact[0]]]);
}

#[tokio::test]
async fn nanoseconds_beside_years_that_they_do_not_reach_are_refused() {
    let bench = Bench::new();
    let ends = [at(1677, 9, 22, 0) + 1, at(2262, 4, 11, 0) - 1];
    write(&bench.path("in.parquet"), "optional int96 ts;", &[int96s(&ends)]);
    let table = bench.parquet(json!({"path": "in.parquet"})).await.unwrap();
    assert_eq!(table.rows().concat(), ["1677-09-22T00:00:00.000000001", "2262-04-10T23:59:59.999999999"]);
    write(
        &bench.path("t.parquet"),
        "optional int96 ts; optional int32 id;",
        &[int96s(&[1, at(9999, 12, 31, 0)]), Leaf::all(Stored::Int32(vec![1, 2]), 2)],
    );
    insta::assert_snapshot!(bench.parquet_error(json!({"path": "t.parquet"})).await, @"
    validation: step `step`: column `ts` has timestamps with nanoseconds and years before 1678 or after 2261, which are out of range for TIMESTAMP_NS
    hint: set `dtype: {ts: VARCHAR}` for text, or exclude it with `columns`
    ");
    for (dtype, message) in [("TIMESTAMP", "TIMESTAMP"), ("TIMESTAMP_NS", "TIMESTAMP_NS"), ("DATE", "DATE")] {
        let error = bench.parquet(json!({"path": "t.parquet", "dtype": {"ts": dtype}})).await.err().unwrap();
        assert_eq!(error.message(), format!("column `ts` has values that {message} cannot hold exactly"));
    }
    let text =
        bench.parquet(json!({"path": "t.parquet", "dtype": {"TS": "VARCHAR"}, "columns": ["ts"]})).await.unwrap();
    assert_eq!(text.rows().concat(), ["1970-01-01 00:00:00.000000001", "9999-12-31 00:00:00"]);
    // A column that nobody asks for is not looked at.
    let others = bench.parquet(json!({"path": "t.parquet", "columns": ["id"]})).await.unwrap();
    assert_eq!(others.rows(), [["1"], ["2"]]);
    let filtered = bench.parquet(json!({"path": "t.parquet", "columns": ["id"], "filter": "TS > '2000-01-01'"})).await;
    assert!(filtered.is_err());
}

#[tokio::test]
async fn points_in_time_of_nanoseconds_are_exact_or_refused() {
    let bench = Bench::new();
    write(&bench.path("plain.parquet"), "optional int64 ts (TIMESTAMP(NANOS,false));", &[int64s(&NANOS)]);
    let table = bench.parquet(json!({"path": "plain.parquet"})).await.unwrap();
    assert_eq!(
        (table.columns(), &table.rows()[1][0]),
        (vec!["ts TIMESTAMP_NS".to_owned()], &"1969-12-31T23:59:59.999999999".to_owned())
    );
    let utc = "optional int64 ts (TIMESTAMP(NANOS,true));";
    write(&bench.path("us.parquet"), utc, &[int64s(&[1_577_934_245_123_456_000, -1000, 0])]);
    let table = bench.parquet(json!({"path": "us.parquet"})).await.unwrap();
    assert_eq!(table.columns(), ["ts INSTANT"]);
    assert_eq!(
        table.rows().concat(),
        ["2020-01-02T03:04:05.123456Z", "1969-12-31T23:59:59.999999Z", "1970-01-01T00:00:00Z"]
    );
    write(&bench.path("t.parquet"), utc, &[int64s(&NANOS)]);
    insta::assert_snapshot!(bench.parquet_error(json!({"path": "t.parquet"})).await, @"
    validation: step `step`: column `ts` has timestamps with nanoseconds, but only microseconds can be read
    hint: set `dtype: {ts: TIMESTAMP_NS}` for UTC without a zone or `VARCHAR` for text, or exclude it with `columns`
    ");
    let stated = |name: &str| json!({"path": "t.parquet", "dtype": {"ts": name}});
    let table = bench.parquet(stated("TIMESTAMP_NS")).await.unwrap();
    assert_eq!(
        (table.columns(), &table.rows()[0][0]),
        (vec!["ts TIMESTAMP_NS".to_owned()], &"2020-01-02T03:04:05.123456789".to_owned())
    );
    let table = bench.parquet(stated("VARCHAR")).await.unwrap();
    assert_eq!(table.rows()[1], ["1969-12-31 23:59:59.999999999+00"]);
    insta::assert_snapshot!(bench.parquet_error(stated("TIMESTAMPTZ")).await, @"
    validation: step `step`: column `ts` has values that TIMESTAMPTZ cannot hold exactly
    hint: set another type in `dtype`, such as VARCHAR, or convert the column in SQL
    ");
    // The greatest number is a time, not infinity.
    write(&bench.path("t.parquet"), utc, &[int64s(&[i64::MAX])]);
    for config in [json!({"path": "t.parquet"}), stated("TIMESTAMP_NS"), stated("VARCHAR")] {
        assert!(bench.parquet(config).await.is_err());
    }
}

/// A number in as many bytes as `length`, the first byte first.
fn big_endian(value: i128, length: usize) -> Vec<u8> {
    let mut bytes = vec![if value < 0 { 0xFF } else { 0 }; length.saturating_sub(16)];
    let whole = value.to_be_bytes();
    bytes.extend_from_slice(&whole[16_usize.saturating_sub(length)..]);
    bytes
}

#[tokio::test]
async fn a_decimal_of_many_digits_stays_one_while_its_values_have_at_most_38() {
    let bench = Bench::new();
    let most = 10_i128.pow(38) - 1;
    let numbers =
        |values: &[i128], length| Stored::Fixed(values.iter().map(|value| big_endian(*value, length)).collect());
    let schema = "optional fixed_len_byte_array(17) x (DECIMAL(39,2)); optional int32 id;";
    let ids = Leaf::all(Stored::Int32(vec![1, 2, 3, 4]), 4);
    let file = |values: &[i128]| [Leaf::all(numbers(values, 17), 4), ids.clone()];
    write(&bench.path("in/r=1/d39.parquet"), schema, &file(&[150, -225, most, -most]));
    write(&bench.path("in/r=2/d39.parquet"), schema, &file(&[0, 1, -1, 2]));
    let table = bench.parquet(json!({"path": "in", "filter": "x < 1", "columns": ["x", "r"]})).await.unwrap();
    assert_eq!(table.columns(), ["x DECIMAL(38,2)", "r BIGINT"]);
    assert_eq!(table.rows()[..2], [["-2.25", "1"], ["-999999999999999999999999999999999999.99", "1"]]);
    assert_eq!(table.rows().len(), 6);
    // One more, in 128 bits and beyond them.
    for too_many in [most + 1, -most - 1, i128::MAX] {
        write(&bench.path("t.parquet"), schema, &file(&[1, 2, 3, too_many]));
        let error = bench.parquet(json!({"path": "t.parquet"})).await.err().unwrap();
        assert_eq!(
            error.message(),
            "column `x` has decimals of more than 38 digits: at most 38 digits can be read exactly"
        );
        assert_eq!(bench.parquet(json!({"path": "t.parquet", "columns": ["id"]})).await.unwrap().rows().len(), 4);
    }
    let beyond: Vec<Vec<u8>> = (0..4).map(|_| [vec![1], vec![0; 16]].concat()).collect();
    write(&bench.path("t.parquet"), schema, &[Leaf::all(Stored::Fixed(beyond), 4), ids.clone()]);
    insta::assert_snapshot!(bench.parquet_error(json!({"path": "t.parquet"})).await, @"
    validation: step `step`: column `x` has decimals of more than 38 digits: at most 38 digits can be read exactly
    hint: write it as text where the file is created, or exclude it with `columns`
    ");
    let schema = "optional fixed_len_byte_array(32) x (DECIMAL(76,50)); optional int32 id;";
    write(&bench.path("t.parquet"), schema, &[Leaf::all(numbers(&[1, 2, 3, 4], 32), 4), ids]);
    insta::assert_snapshot!(bench.parquet_error(json!({"path": "t.parquet"})).await, @"
    validation: step `step`: column `x` is DECIMAL(76,50): at most 38 digits can be read exactly
    hint: write it as text where the file is created, or exclude it with `columns`
    ");
    assert_eq!(bench.parquet(json!({"path": "t.parquet", "columns": ["id"]})).await.unwrap().rows().len(), 4);
    assert_eq!(bench.scratch(), 0);
}

#[tokio::test]
async fn decimals_of_another_scale_are_other_columns() {
    let bench = Bench::new();
    let five = Leaf::all(Stored::Int64(vec![12345]), 1);
    write(&bench.path("in/a.parquet"), "optional int64 x (DECIMAL(10,2));", std::slice::from_ref(&five));
    write(&bench.path("in/b.parquet"), "optional int64 x (DECIMAL(10,4));", &[five]);
    insta::assert_snapshot!(bench.parquet_error(json!({"path": "in"})).await, @"
    validation: step `step`: columns of `in/b.parquet` differ from `in/a.parquet`: it has `x` as INT64 DECIMAL(10,4), not INT64 DECIMAL(10,2)
    hint: read the files in two steps and join them in SQL
    ");
}

#[tokio::test]
async fn what_has_no_exact_counterpart_is_refused_by_name() {
    let bench = Bench::new();
    let interval = |months: u32, days: u32| [months.to_le_bytes(), days.to_le_bytes(), 1500_u32.to_le_bytes()].concat();
    let schema = "optional fixed_len_byte_array(12) x (INTERVAL);";
    write(&bench.path("t.parquet"), schema, &[Leaf::all(Stored::Fixed(vec![interval(14, 3)]), 1)]);
    let months = bench.parquet(json!({"path": "t.parquet"})).await.unwrap();
    assert_eq!(months.rows(), [["14 mons 3 days 1.500000000 secs"]]);
    for wrong in [interval(1 << 31, 0), interval(0, u32::MAX)] {
        write(&bench.path("t.parquet"), schema, &[Leaf::all(Stored::Fixed(vec![wrong]), 1)]);
        let error = bench.parquet(json!({"path": "t.parquet"})).await.err().unwrap();
        assert_eq!(error.message(), "column `x` has intervals of 2,147,483,648 or more months or days");
    }
    write(
        &bench.path("t.parquet"),
        "optional int64 x (TIME(NANOS,true)); optional binary b (BSON);",
        &[int64s(&[86_399_999_999_999, 1]), Leaf::all(Stored::Bytes(vec![vec![5, 0, 0, 0, 0]; 2]), 2)],
    );
    let table = bench.parquet(json!({"path": "t.parquet"})).await.unwrap();
    assert_eq!(table.columns(), ["x VARCHAR", "b BLOB"]);
    assert_eq!(table.rows(), [["23:59:59.999999999", "0500000000"], ["00:00:00.000000001", "0500000000"]]);
}

#[tokio::test]
async fn a_stated_type_holds_every_value_or_is_refused() {
    let bench = Bench::new();
    let select = "SELECT i AS id, i / 4 AS half, [i] AS list, DATE '2024-01-01' AS day FROM range(3) t(i)";
    bench.write(WRITER, select, json!({"path": "t.parquet"})).await.unwrap();
    let stated = |types: serde_json::Value| json!({"path": "t.parquet", "dtype": types});
    let table =
        bench.parquet(stated(json!({"id": "int16", "half": "DECIMAL(5,2)", "day": "TIMESTAMP"}))).await.unwrap();
    assert_eq!(table.columns(), ["id SMALLINT", "half DECIMAL(5,2)", "list BIGINT[]", "day TIMESTAMP"]);
    insta::assert_snapshot!(bench.parquet_error(stated(json!({"half": "BIGINT"}))).await, @"
    validation: step `step`: column `half` has values that BIGINT cannot hold exactly
    hint: set another type in `dtype`, such as VARCHAR, or convert the column in SQL
    ");
    insta::assert_snapshot!(bench.parquet_error(stated(json!({"list": "VARCHAR"}))).await, @"
    validation: step `step`: `dtype` sets a type for the nested column `list`
    hint: remove it from `dtype`, and convert it in SQL
    ");
    insta::assert_snapshot!(bench.parquet_error(stated(json!({"day": "TIMESTAMPTZ"}))).await, @"
    validation: step `step`: column `day` has values that TIMESTAMPTZ cannot hold exactly
    hint: set another type in `dtype`, such as VARCHAR, or convert the column in SQL
    ");
    insta::assert_snapshot!(bench.parquet_error(stated(json!({"dya": "DATE"}))).await, @"
    validation: step `step`: `dtype` names columns that the file does not have: `dya` (did you mean `day`?)
    hint: its columns: id, half, list, day
    ");
    insta::assert_snapshot!(bench.parquet_error(stated(json!({"day": "DAT"}))).await, @"
    validation: step `step`: its config is not valid: dtype.day: `DAT` is not a type for text
    hint: did you mean `DATE`?
    ");
}

/// A kind of leaf: its type in a schema, how a number makes a value, and that value as text.
struct Kind {
    physical: &'static str,
    annotation: &'static str,
    make: fn(i64) -> (Raw, String),
}

enum Raw {
    Bool(bool),
    Int32(i32),
    Int64(i64),
    Int96(Int96),
    Float(f32),
    Double(f64),
    Bytes(Vec<u8>),
    Fixed(Vec<u8>),
}

fn collect(values: Vec<Raw>, physical: &str) -> Stored {
    macro_rules! all {
        ($($physical:literal => $kind:ident),*) => {
            match physical.split('(').next().unwrap() {
                $($physical => Stored::$kind(values.into_iter().map(|raw| match raw { Raw::$kind(value) => value, _ => unreachable!() }).collect()),)*
                other => panic!("{other}"),
            }
        };
    }
    all!("boolean" => Bool, "int32" => Int32, "int64" => Int64, "int96" => Int96, "float" => Float, "double" => Double,
        "binary" => Bytes, "fixed_len_byte_array" => Fixed)
}

/// A number below `most`, from any.
fn below(seed: i64, most: i64) -> i64 {
    seed.rem_euclid(most)
}

fn small(seed: i64) -> i32 {
    i32::try_from(below(seed, 1 << 31)).unwrap()
}

/// Microseconds between the years 1 and 9999.
fn micros(seed: i64) -> i64 {
    below(seed, 315_537_897_600_000_000) - 62_135_596_800_000_000
}

fn moment(micros: i64) -> String {
    format!("{:?}", DateTime::from_timestamp_micros(micros).unwrap().naive_utc())
}

fn moment_of(nanos: i64) -> String {
    format!("{:?}", DateTime::from_timestamp_nanos(nanos).naive_utc())
}

fn of_day(nanos: i64) -> String {
    format!("{:?}", NaiveTime::default() + TimeDelta::nanoseconds(nanos))
}

fn decimal_text(value: i128, scale: usize) -> String {
    let digits = format!("{:0>width$}", value.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if value < 0 { "-" } else { "" };
    if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

fn wide(seed: i64) -> i128 {
    i128::from(seed) * 9_999_999_999_999_999_999
}

const KINDS: &[Kind] = &[
    Kind { physical: "boolean", annotation: "", make: |seed| (Raw::Bool(seed % 2 == 0), (seed % 2 == 0).to_string()) },
    Kind { physical: "int32", annotation: "", make: |seed| (Raw::Int32(small(seed)), small(seed).to_string()) },
    Kind { physical: "int64", annotation: "", make: |seed| (Raw::Int64(seed), seed.to_string()) },
    Kind {
        physical: "int32",
        annotation: "(INTEGER(8,true))",
        make: |seed| {
            let value = i32::try_from(below(seed, 256) - 128).unwrap();
            (Raw::Int32(value), value.to_string())
        },
    },
    Kind {
        physical: "int32",
        annotation: "(INTEGER(32,false))",
        make: |seed| (Raw::Int32(small(seed).wrapping_neg()), small(seed).wrapping_neg().cast_unsigned().to_string()),
    },
    Kind {
        physical: "int64",
        annotation: "(INTEGER(64,false))",
        make: |seed| (Raw::Int64(seed), seed.cast_unsigned().to_string()),
    },
    Kind {
        physical: "float",
        annotation: "",
        make: |seed| {
            let value = f32::from(i16::try_from(below(seed, 2000) - 1000).unwrap()) / 8.0;
            (Raw::Float(value), format!("{value:?}"))
        },
    },
    Kind {
        physical: "double",
        annotation: "",
        make: |seed| {
            let value = f64::from(small(seed % 100_000)) / 8.0;
            (Raw::Double(value), format!("{value:?}"))
        },
    },
    Kind {
        physical: "binary",
        annotation: "(STRING)",
        make: |seed| (Raw::Bytes(format!("é{seed}").into_bytes()), format!("é{seed}")),
    },
    Kind {
        physical: "binary",
        annotation: "(ENUM)",
        make: |seed| (Raw::Bytes(format!("E{seed}").into_bytes()), format!("E{seed}")),
    },
    Kind {
        physical: "binary",
        annotation: "(JSON)",
        make: |seed| (Raw::Bytes(format!("[{seed}]").into_bytes()), format!("[{seed}]")),
    },
    Kind {
        physical: "binary",
        annotation: "",
        make: |seed| (Raw::Bytes(seed.to_be_bytes().to_vec()), format!("{seed:016x}")),
    },
    Kind {
        physical: "fixed_len_byte_array(8)",
        annotation: "",
        make: |seed| (Raw::Fixed(seed.to_be_bytes().to_vec()), format!("{seed:016x}")),
    },
    Kind {
        physical: "fixed_len_byte_array(16)",
        annotation: "(UUID)",
        make: |seed| {
            let text = format!("{seed:016x}{seed:016x}");
            let parts = [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]];
            (Raw::Fixed([seed.to_be_bytes(), seed.to_be_bytes()].concat()), parts.join("-"))
        },
    },
    Kind {
        physical: "int32",
        annotation: "(DATE)",
        make: |seed| {
            let days = i32::try_from(micros(seed).div_euclid(86_400_000_000)).unwrap();
            (Raw::Int32(days), (NaiveDate::default() + TimeDelta::days(days.into())).to_string())
        },
    },
    Kind {
        physical: "int32",
        annotation: "(TIME(MILLIS,false))",
        make: |seed| {
            let ms = below(seed, 86_400_000);
            (Raw::Int32(i32::try_from(ms).unwrap()), of_day(ms * 1_000_000))
        },
    },
    Kind {
        physical: "int64",
        annotation: "(TIME(MICROS,false))",
        make: |seed| {
            let us = below(seed, 86_400_000_000);
            (Raw::Int64(us), of_day(us * 1000))
        },
    },
    Kind {
        physical: "int64",
        annotation: "(TIMESTAMP(MILLIS,false))",
        make: |seed| {
            let ms = micros(seed).div_euclid(1000);
            (Raw::Int64(ms), moment(ms * 1000))
        },
    },
    Kind {
        physical: "int64",
        annotation: "(TIMESTAMP(MILLIS,true))",
        make: |seed| {
            let ms = micros(seed).div_euclid(1000);
            (Raw::Int64(ms), moment(ms * 1000) + "Z")
        },
    },
    Kind {
        physical: "int64",
        annotation: "(TIMESTAMP(MICROS,false))",
        make: |seed| (Raw::Int64(micros(seed)), moment(micros(seed))),
    },
    Kind {
        physical: "int64",
        annotation: "(TIMESTAMP(MICROS,true))",
        make: |seed| (Raw::Int64(micros(seed)), moment(micros(seed)) + "Z"),
    },
    Kind {
        physical: "int64",
        annotation: "(TIMESTAMP(NANOS,false))",
        make: |seed| (Raw::Int64(seed), moment_of(seed)),
    },
    Kind {
        physical: "int64",
        annotation: "(TIMESTAMP(NANOS,true))",
        make: |seed| {
            let us = seed / 1000;
            (Raw::Int64(us * 1000), moment(us) + "Z")
        },
    },
    Kind {
        physical: "int96",
        annotation: "",
        make: |seed| (Raw::Int96(int96(i128::from(micros(seed)) * 1000)), moment(micros(seed))),
    },
    Kind {
        physical: "int96",
        annotation: "",
        make: |seed| {
            let nanos = seed / 2;
            (Raw::Int96(int96(nanos.into())), moment_of(nanos))
        },
    },
    Kind {
        physical: "int32",
        annotation: "(DECIMAL(9,2))",
        make: |seed| {
            let value = small(seed % 1_000_000_000) % 1_000_000_000;
            (Raw::Int32(value), decimal_text(value.into(), 2))
        },
    },
    Kind {
        physical: "int64",
        annotation: "(DECIMAL(18,9))",
        make: |seed| {
            let value = seed % 1_000_000_000_000_000_000;
            (Raw::Int64(value), decimal_text(value.into(), 9))
        },
    },
    Kind {
        physical: "fixed_len_byte_array(16)",
        annotation: "(DECIMAL(38,10))",
        make: |seed| (Raw::Fixed(big_endian(wide(seed), 16)), decimal_text(wide(seed), 10)),
    },
    Kind {
        physical: "binary",
        annotation: "(DECIMAL(20,0))",
        make: |seed| (Raw::Bytes(big_endian(seed.into(), 9)), decimal_text(seed.into(), 0)),
    },
    Kind {
        physical: "fixed_len_byte_array(25)",
        annotation: "(DECIMAL(58,20))",
        make: |seed| (Raw::Fixed(big_endian(wide(seed), 25)), decimal_text(wide(seed), 20)),
    },
    Kind {
        physical: "binary",
        annotation: "(DECIMAL(76,38))",
        make: |seed| (Raw::Bytes(big_endian(wide(seed), 32)), decimal_text(wide(seed), 38)),
    },
];

/// Where the leaves stand.
#[derive(Debug, Clone, Copy)]
enum Layout {
    Flat,
    Struct,
    List,
    ListOfStructs,
    Map,
}

type Values = Option<Vec<Option<i64>>>;

impl Layout {
    fn field(self, name: &str, kind: &Kind) -> String {
        let leaf = |leaf: &str| format!("optional {} {leaf} {};", kind.physical, kind.annotation);
        match self {
            Self::Flat => leaf(name),
            Self::Struct => format!("optional group {name} {{ {} }}", leaf("f")),
            Self::List => format!("optional group {name} (LIST) {{ repeated group list {{ {} }} }}", leaf("element")),
            Self::ListOfStructs => format!(
                "optional group {name} (LIST) {{ repeated group list {{ optional group element {{ {} }} }} }}",
                leaf("f")
            ),
            Self::Map => format!(
                "optional group {name} (MAP) {{ repeated group key_value {{ required binary key (STRING); {} }} }}",
                leaf("value")
            ),
        }
    }

    fn is_many(self) -> bool {
        matches!(self, Self::List | Self::ListOfStructs | Self::Map)
    }

    /// The leaves of a column, and the text of its rows.
    fn column(self, kind: &Kind, rows: &[Values]) -> (Vec<Leaf>, Vec<String>) {
        let (mut raws, mut definitions, mut repetitions, mut texts) = (vec![], vec![], vec![], vec![]);
        let mut keys = Vec::new();
        let deepest = match self {
            Self::Flat => 1,
            Self::Struct => 2,
            Self::List | Self::Map => 3,
            Self::ListOfStructs => 4,
        };
        for row in rows {
            // One value or none where there is one of them.
            let row =
                if self.is_many() { row.clone() } else { row.as_ref().map(|row| vec![row.first().copied().flatten()]) };
            let Some(items) = row else {
                definitions.push(0);
                repetitions.push(0);
                texts.push("∅".to_owned());
                continue;
            };
            if items.is_empty() {
                definitions.push(1);
                repetitions.push(0);
            }
            let mut shown = Vec::new();
            for (index, item) in items.iter().enumerate() {
                repetitions.push(i16::from(index > 0));
                keys.push(format!("k{index}").into_bytes());
                definitions.push(deepest - i16::from(item.is_none()));
                let text = item.map_or("∅".to_owned(), |seed| {
                    let (raw, text) = (kind.make)(seed);
                    raws.push(raw);
                    text
                });
                shown.push(match self {
                    Self::Struct | Self::ListOfStructs => format!("{{f: {text}}}"),
                    Self::Map => format!("k{index}: {text}"),
                    Self::Flat | Self::List => text,
                });
            }
            let shown = shown.join(", ");
            texts.push(match self {
                Self::Flat | Self::Struct => shown,
                Self::List | Self::ListOfStructs => format!("[{shown}]"),
                Self::Map => format!("{{{shown}}}"),
            });
        }
        let repetitions = self.is_many().then_some(repetitions);
        let mut leaves = Vec::new();
        if matches!(self, Self::Map) {
            let definitions = definitions.iter().map(|level| (*level).min(2)).collect();
            leaves.push(Leaf { stored: Stored::Bytes(keys), definitions, repetitions: repetitions.clone() });
        }
        leaves.push(Leaf { stored: collect(raws, kind.physical), definitions, repetitions });
        (leaves, texts)
    }
}

fn rows() -> impl Strategy<Value = Vec<Values>> {
    let number = prop_oneof![any::<i64>(), -1_000_000_000_000..1_000_000_000_000_i64, -3..3_i64];
    let items = proptest::collection::vec(proptest::option::of(number), 0..4);
    proptest::collection::vec(proptest::option::of(items), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Every type of the format at every depth, each value as the file has it.
    #[test]
    fn every_value_of_every_parquet_type_is_what_the_file_has(
        rows in rows(),
        layout in prop_oneof![Just(Layout::Flat), Just(Layout::Struct), Just(Layout::List), Just(Layout::ListOfStructs), Just(Layout::Map)],
    ) {
        let (mut schema, mut leaves, mut expected) = (String::new(), vec![], vec![]);
        for (index, kind) in KINDS.iter().enumerate() {
            schema.push_str(&layout.field(&format!("c{index}"), kind));
            let (column, texts) = layout.column(kind, &rows);
            leaves.extend(column);
            expected.push(texts);
        }
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let bench = Bench::new();
            write(&bench.path("t.parquet"), &schema, &leaves);
            let table = bench.parquet(json!({"path": "t.parquet"})).await.unwrap();
            let (columns, found) = (table.columns(), table.rows());
            for (index, texts) in expected.iter().enumerate() {
                let found: Vec<_> = found.iter().map(|row| row[index].as_str()).collect();
                prop_assert_eq!(&found, texts, "{:?} {}", layout, columns[index]);
            }
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn nan_is_found_although_the_statistics_of_the_file_leave_it_out() {
    let bench = Bench::new();
    let doubles = Leaf::all(Stored::Double(vec![1.0, f64::NAN, 3.0]), 3);
    let floats = Leaf::all(Stored::Float(vec![1.0, f32::NAN, 3.0]), 3);
    let inner = Leaf { definitions: vec![2; 3], ..doubles.clone() };
    let schema = "optional double d; optional float f; optional group s { optional double x; }";
    write(&bench.path("nan.parquet"), schema, &[doubles, floats, inner]);
    for materialize in ["view", "table"] {
        for filter in ["d > 5", "f > 5", "isnan(d)", "s.x > 5", "isnan(s.x)"] {
            let config = json!({"path": "nan.parquet", "filter": filter, "materialize": materialize});
            assert_eq!(bench.parquet(config).await.unwrap().rows().len(), 1, "{materialize}: {filter}");
        }
        bench.parquet(json!({"path": "nan.parquet", "materialize": materialize})).await.unwrap();
        for query in ["d > 5", "f > 5", "isnan(d)", "d = 'nan'::DOUBLE", "s.x > 5", "isnan(s.x)"] {
            let found = bench.query(&format!("SELECT count(*)::VARCHAR FROM steps.step WHERE {query}")).await;
            assert_eq!(found, "1", "{materialize}: {query}");
        }
        for column in ["d", "f", "s.x"] {
            let greatest = bench.query(&format!("SELECT max({column})::VARCHAR FROM steps.step")).await;
            assert_eq!(greatest, "nan", "{materialize}: {column}");
        }
    }
}
