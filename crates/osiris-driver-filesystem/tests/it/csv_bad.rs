//! What the CSV extractor refuses, and the words it finds for it.

use osiris_core::ErrorKind;
use serde_json::json;

use crate::bench::Bench;

#[tokio::test]
async fn a_missing_file_suggests_a_near_name() {
    let bench = Bench::new();
    bench.put("in/movies.csv", "a\n1\n");
    insta::assert_snapshot!(bench.csv_error(json!({"path": "in/movie.csv"})).await, @"
    validation: step `step`: `in/movie.csv` does not exist
    hint: did you mean `movies.csv`?
    ");
    insta::assert_snapshot!(bench.csv_error(json!({"path": "on/movies.csv"})).await, @"
    validation: step `step`: `on` does not exist
    hint: did you mean `in`?
    ");
    insta::assert_snapshot!(bench.csv_error(json!({"path": "in/books.csv"})).await, @"
    validation: step `step`: `in/books.csv` does not exist
    hint: its directory has `movies.csv`
    ");
}

#[tokio::test]
async fn a_directory_without_csv_files_says_what_it_holds() {
    let bench = Bench::new();
    bench.put("in/a.parquet", "x").put("in/b.md", "x");
    std::fs::create_dir(bench.path("empty")).unwrap();
    insta::assert_snapshot!(bench.csv_error(json!({"path": "in"})).await, @"
    validation: step `step`: the directory `in` has no CSV file
    hint: it has `a.parquet`, `b.md`; use a glob for files with other extensions
    ");
    insta::assert_snapshot!(bench.csv_error(json!({"path": "empty"})).await, @"
    validation: step `step`: the directory `empty` has no CSV file
    hint: it is empty
    ");
}

#[tokio::test]
async fn a_glob_that_matches_nothing_says_what_there_is() {
    let bench = Bench::new();
    bench.put("in/a.tsv", "x");
    insta::assert_snapshot!(bench.csv_error(json!({"path": "in/*.csv"})).await, @"
    validation: step `step`: no file matches `in/*.csv`
    hint: `in` has `a.tsv`
    ");
    insta::assert_snapshot!(bench.csv_error(json!({"path": "*.csv"})).await, @"
    validation: step `step`: no file matches `*.csv`
    hint: its directory has `in/a.tsv`
    ");
    insta::assert_snapshot!(bench.csv_error(json!({"path": "in/[.csv"})).await, @"
    validation: step `step`: `in/[.csv` is not a valid glob
    hint: write `*`, `?`, `[abc]`, `{a,b}`, or `**` for any directories
    ");
}

#[tokio::test]
async fn an_empty_file_is_refused() {
    let bench = Bench::new();
    bench.put("t.csv", "").put("u.csv", "\n\n");
    insta::assert_snapshot!(bench.csv_error(json!({"path": "t.csv"})).await, @"
    validation: step `step`: `t.csv` is empty: it has no header
    hint: check how the file was created: a file without rows still needs a header
    ");
    insta::assert_snapshot!(bench.csv_error(json!({"path": "u.csv"})).await, @"
    validation: step `step`: `u.csv` is empty: it has no header
    hint: check how the file was created: a file without rows still needs a header
    ");
    insta::assert_snapshot!(bench.csv_error(json!({"path": "u.csv", "skip_rows": 1})).await, @"
    validation: step `step`: `u.csv` ends within the rows to skip
    hint: lower `skip_rows` or `header`
    ");
}

#[tokio::test]
async fn a_ragged_row_is_named() {
    let bench = Bench::new();
    bench.put("t.csv", "a,b\n1,\"x\ny\"\n1,2,3\n");
    insta::assert_snapshot!(bench.csv_error(json!({"path": "t.csv"})).await, @"
    validation: step `step`: `t.csv`: line 4 has 3 fields, expected 2
    hint: fix the line, check `delimiter`, or set `on_bad_lines: reject`
    ");
    bench.put("u.csv", "a,b\n1\n");
    insta::assert_snapshot!(bench.csv_error(json!({"path": "u.csv"})).await, @"
    validation: step `step`: `u.csv`: line 2 has 1 field, expected 2
    hint: fix the line, check `delimiter`, or set `on_bad_lines: reject`
    ");
}

#[tokio::test]
async fn an_unclosed_quote_is_named() {
    let bench = Bench::new();
    bench.put("t.csv", "a,b\n1,\"2\n3,4\n5,6\n");
    insta::assert_snapshot!(bench.csv_error(json!({"path": "t.csv"})).await, @r#"
    validation: step `step`: `t.csv`: unclosed quote on line 2
    hint: close it, or double it if it is part of the text: `""`
    "#);
    bench.put("u.csv", "a,b\n\"1\"x,2\n");
    insta::assert_snapshot!(bench.csv_error(json!({"path": "u.csv"})).await, @r#"
    validation: step `step`: `u.csv`: line 2 has text after a closing quote
    hint: double the quotes inside the text (`""`), check `delimiter`, or set `on_bad_lines: reject`
    "#);
}

#[tokio::test]
async fn a_wrong_encoding_is_named_with_its_byte() {
    let bench = Bench::new();
    bench.put("t.csv", b"a\ncaf\xe9\n").put("u.csv", b"\xff\xfea\0\n\0");
    insta::assert_snapshot!(bench.csv_error(json!({"path": "t.csv"})).await, @"
    validation: step `step`: `t.csv` is not UTF-8: byte 5 on line 2 is not valid
    hint: set `encoding` to that of the file, such as `latin-1`, `windows-1250` or `utf-16`
    ");
    insta::assert_snapshot!(bench.csv_error(json!({"path": "u.csv"})).await, @"
    validation: step `step`: `u.csv` is not UTF-8: byte 0 on line 1 is not valid
    hint: the file begins with a UTF-16 byte order mark: set `encoding: utf-16`
    ");
    insta::assert_snapshot!(bench.csv_error(json!({"path": "t.csv", "encoding": "ascii"})).await, @"
    validation: step `step`: `t.csv` is not ASCII: byte 5 on line 2 is not valid
    hint: set `encoding` to that of the file, such as `utf-8`, `latin-1`, `windows-1250` or `utf-16`
    ");
}

#[tokio::test]
async fn a_broken_compressed_file_is_named() {
    let bench = Bench::new();
    bench.put("t.csv.gz", "no gzip").put("t.csv.zip", "no zip").put("t.csv.zst", "no zstd");
    insta::assert_snapshot!(bench.csv_error(json!({"path": "t.csv.gz"})).await, @"
    validation: step `step`: `t.csv.gz` is not valid gzip: unexpected end of file
    hint: check how the file was created: it may be truncated; or set `compression`
    ");
    insta::assert_snapshot!(bench.csv_error(json!({"path": "t.csv.zip"})).await, @"
    validation: step `step`: `t.csv.zip` is not a valid zip archive: invalid Zip archive: Could not find EOCD
    hint: check how the file was created: it may be truncated; or set `compression`
    ");
    insta::assert_snapshot!(bench.csv_error(json!({"path": "t.csv.zst"})).await, @"
    validation: step `step`: `t.csv.zst` is not valid zstd: Unknown frame descriptor
    hint: check how the file was created: it may be truncated; or set `compression`
    ");
}

#[tokio::test]
async fn files_with_other_columns_are_named() {
    let bench = Bench::new();
    bench.put("a.csv", "id,name\n1,x\n").put("b.csv", "id,nane\n1,x\n");
    insta::assert_snapshot!(bench.csv_error(json!({"path": "*.csv"})).await, @"
    validation: step `step`: columns of `b.csv` differ from `a.csv`: it lacks `name` and also has `nane`
    hint: is `nane` the same as `name`?
    ");
}

#[tokio::test]
async fn a_value_that_its_stated_type_cannot_hold_is_named_by_line_and_column() {
    let bench = Bench::new();
    bench.put("t.csv", "id,n,price\n1,5,\"1.5\n\"\n2,5.5,2.125\n");
    insta::assert_snapshot!(bench.csv_error(json!({"path": "t.csv", "dtype": {"n": "INTEGER"}})).await, @"
    validation: step `step`: `t.csv`: line 4, column `n`: the value is not INTEGER
    hint: fix the value, set another type for `n`, or set `on_bad_lines: reject`
    ");
    insta::assert_snapshot!(bench.csv_error(json!({"path": "t.csv", "dtype": {"price": "DECIMAL(10,2)"}})).await, @"
    validation: step `step`: `t.csv`: line 2, column `price`: the value is not DECIMAL(10,2)
    hint: fix the value, set another type for `price`, or set `on_bad_lines: reject`
    ");
    insta::assert_snapshot!(bench.csv_error(json!({"path": "t.csv", "dtype": {"id": "BOOLEAN"}})).await, @"
    validation: step `step`: `t.csv`: line 4, column `id`: the value is not BOOLEAN
    hint: fix the value, set another type for `id`, or set `on_bad_lines: reject`
    ");
    insta::assert_snapshot!(bench.csv_error(json!({"path": "t.csv", "parse_dates": ["n"]})).await, @"
    validation: step `step`: `t.csv`: line 2, column `n`: the value is not a date
    hint: fix the value, set another type for `n`, or set `on_bad_lines: reject`
    ");
    insta::assert_snapshot!(bench.csv_error(json!({"path": "t.csv", "parse_dates": {"n": "%d/%m/%Y"}})).await, @"
    validation: step `step`: `t.csv`: line 2, column `n`: the value is not a date in the format `%d/%m/%Y`
    hint: fix the value, set another type for `n`, or set `on_bad_lines: reject`
    ");
}

#[tokio::test]
async fn a_number_too_large_for_its_stated_type_is_refused() {
    let bench = Bench::new();
    bench.put("t.csv", "n\n1\n300\n");
    insta::assert_snapshot!(bench.csv_error(json!({"path": "t.csv", "dtype": {"n": "TINYINT"}})).await, @"
    validation: step `step`: `t.csv`: line 3, column `n`: the value is not TINYINT
    hint: fix the value, set another type for `n`, or set `on_bad_lines: reject`
    ");
}

#[tokio::test]
async fn unknown_columns_are_listed_together() {
    let bench = Bench::new();
    bench.put("t.csv", "id,name\n1,x\n");
    insta::assert_snapshot!(bench.csv_error(json!({"path": "t.csv", "columns": ["naem", "x"]})).await, @"
    validation: step `step`: `columns` names columns that the file does not have: `naem` (did you mean `name`?), `x`
    hint: its columns: id, name
    ");
    insta::assert_snapshot!(bench.csv_error(json!({"path": "t.csv", "dtype": {"nam": "text"}})).await, @"
    validation: step `step`: `dtype` or `parse_dates` names columns that the file does not have: `nam` (did you mean `name`?)
    hint: its columns: id, name
    ");
    insta::assert_snapshot!(bench.csv_error(json!({"path": "t.csv", "add_filename": "ID"})).await, @"
    validation: step `step`: the file already has a column `id`
    hint: rename the column of file names: `add_filename: source_file`
    ");
    insta::assert_snapshot!(bench.csv_error(json!({"path": "t.csv", "header": false, "columns": ["x"]})).await, @"
    validation: step `step`: `t.csv`: `columns` has 1, but line 1 has 2 fields
    hint: with `header: false`, name every column of the file
    ");
}

#[tokio::test]
async fn every_problem_of_a_configuration_is_reported_at_once() {
    let bench = Bench::new();
    let config = json!({
        "path": "ftp://host/t.csv", "delimiter": ",,", "comment": "\"", "encoding": "uft-8",
        "dtype": {"a": "INTEGR", "b": "DECIMAL(40,2)"}, "max_rejects": 5, "columns": ["a", "A"],
    });
    insta::assert_snapshot!(bench.csv_error(config).await, @r"
    validation: step `step`: its config has 8 problems:
      - delimiter: must be one ASCII character (such as `,`, `;`, `|` or `\t`)
      - comment: must not be a quote, a line end or NUL (such as `,`, `;`, `|`)
      - encoding: unknown encoding `uft-8` (did you mean `utf-8`?)
      - dtype.a: `INTEGR` is not a type for text (did you mean `INTEGER`?)
      - dtype.b: invalid type `DECIMAL(40,2)`: at most 38 digits, and a scale no greater than the number of digits
      - path: `ftp://` is not supported (use a local path, or an address of `s3://`, `gs://`, `az://` or `https://`)
      - columns.1: `A` is named twice
      - max_rejects: `max_rejects` has no effect with `on_bad_lines: error` (set `on_bad_lines: reject`)
    hint: fix them all and run again
    ");
    insta::assert_snapshot!(bench.csv_error(json!({"path": "t.csv", "delimitre": ";", "limit": -1})).await, @"
    validation: step `step`: its config has 2 problems:
      - delimitre: unknown field `delimitre` (did you mean `delimiter`?)
      - limit: -1 is too small: at least 0
    hint: fix them all and run again
    ");
}

#[tokio::test]
async fn a_path_that_leaves_the_base_directory_is_refused() {
    use osiris_core::{Inputs, StepRequest};
    let bench = Bench::new();
    bench.put("base/t.csv", "a\n1\n").put("secret.csv", "a\n1\n");
    std::os::unix::fs::symlink(bench.path("secret.csv"), bench.path("base/link.csv")).unwrap();
    let mut messages = Vec::new();
    let secret = bench.path("secret.csv").display().to_string();
    for path in ["t.csv", "../secret.csv", "link.csv", &secret] {
        let step = (json!({"path": path}), json!({"base_dir": "base"}));
        match bench.request("filesystem.csv_extractor", StepRequest::new("step"), step, Inputs::none()).await {
            Ok(output) => messages.push(format!("{} row", output.rows)),
            Err(error) => messages.push(bench.shown(error)),
        }
    }
    insta::assert_snapshot!(messages.join("\n"), @"
    1 row
    permission: step `step`: `../secret.csv` is outside the connection's base_dir
    hint: use a path below base_dir, without `..`, or another connection
    permission: step `step`: `link.csv` is outside the connection's base_dir
    hint: use a path below base_dir, without `..`, or another connection
    permission: step `step`: `[data]/secret.csv` is outside the connection's base_dir
    hint: use a path below base_dir, without `..`, or another connection
    ");
}

#[tokio::test]
async fn a_file_that_may_not_be_read_is_a_permission_error() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::new();
    bench.put("t.csv", "a\n1\n");
    std::fs::set_permissions(bench.path("t.csv"), std::fs::Permissions::from_mode(0o000)).unwrap();
    let mut path = "t.csv";
    if std::fs::read(bench.path(path)).is_ok() {
        // The superuser may read any file of ours; this one not even he.
        path = "/proc/sys/vm/compact_memory";
    }
    let message = bench.csv_error(json!({"path": path})).await.replace(path, "t.csv");
    insta::assert_snapshot!(message, @"
    permission: step `step`: `t.csv` cannot be opened: Permission denied
    hint: change the file's owner or mode, or run as a user with access
    ");
}

#[tokio::test]
async fn bad_lines_are_kept_as_rejects_within_the_limit() {
    let bench = Bench::new();
    bench.put("t.csv", "a,b\n1,x\n2\n\"3\"z,y\n4,w\n5,6,7\n");
    let config = json!({"path": "t.csv", "on_bad_lines": "reject", "max_rejects": 3});
    let table = bench.csv(config).await.unwrap();
    assert_eq!(table.rows(), [["1", "x"], ["4", "w"]]);
    assert_eq!((table.output.counts.read, table.output.counts.stored, table.output.counts.rejected), (5, 2, 3));
    insta::assert_snapshot!(serde_json::to_string_pretty(&bench.rejects().await).unwrap(), @r#"
    [
      {
        "n": 3,
        "c": null,
        "why": "`t.csv`: 1 field, expected 2",
        "row": "2"
      },
      {
        "n": 4,
        "c": null,
        "why": "`t.csv`: text after a closing quote",
        "row": "\"3\"z,y"
      },
      {
        "n": 6,
        "c": null,
        "why": "`t.csv`: 3 fields, expected 2",
        "row": "5,6,7"
      }
    ]
    "#);
}

#[tokio::test]
async fn values_that_a_stated_type_refuses_are_kept_as_rejects() {
    let bench = Bench::new();
    bench.put("t.csv", "b,a\n\"x\ny\",1\ny,2 \nw,z\nv,4\n");
    let config = json!({"path": "t.csv", "on_bad_lines": "reject", "max_rejects": 1, "dtype": {"a": "INTEGER"}});
    let table = bench.csv(config).await.unwrap();
    assert_eq!(table.rows(), [["x\ny", "1"], ["y", "2"], ["v", "4"]]);
    assert_eq!(table.columns(), ["b VARCHAR", "a INTEGER"]);
    insta::assert_snapshot!(serde_json::to_string_pretty(&bench.rejects().await).unwrap(), @r#"
    [
      {
        "n": 5,
        "c": "a",
        "why": "`t.csv`: the value is not INTEGER",
        "row": "{\"b\":\"w\",\"a\":\"z\"}"
      }
    ]
    "#);
}

#[tokio::test]
async fn more_rejects_than_allowed_fail_the_step() {
    let bench = Bench::new();
    bench.put("t.csv", "a,b\n1\n2\n");
    let error = bench.csv(json!({"path": "t.csv", "on_bad_lines": "reject", "max_rejects": 1})).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Integrity);
    let many: String = (0..5000).map(|row| format!("{row}\n")).collect();
    bench.put("u.csv", format!("a,b\n{many}"));
    let error = bench.csv(json!({"path": "u.csv", "on_bad_lines": "reject"})).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Integrity);
}
