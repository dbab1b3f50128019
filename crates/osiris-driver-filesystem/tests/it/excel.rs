//! What the extractor of Excel workbooks reads and refuses.

use std::io::{Cursor, Read as _, Write as _};

use osiris_core::{Code, ErrorKind, Inputs};
use rust_xlsxwriter::{Format, Formula, Workbook, Worksheet};
use serde_json::json;
use zip::write::SimpleFileOptions;

use crate::bench::Bench;

/// A workbook with one sheet.
fn workbook(fill: impl FnOnce(&mut Worksheet)) -> Vec<u8> {
    let mut workbook = Workbook::new();
    fill(workbook.add_worksheet());
    workbook.save_to_buffer().unwrap()
}

/// Rows of texts from the first cell on; an empty one is no cell.
fn texts(sheet: &mut Worksheet, rows: &[&[&str]]) {
    for (row, texts) in (0..).zip(rows) {
        for (column, text) in (0..).zip(*texts) {
            if !text.is_empty() {
                sheet.write_string(row, column, *text).unwrap();
            }
        }
    }
}

/// The same workbook with `part` changed.
fn with_part(workbook: &[u8], part: &str, change: impl Fn(String) -> String) -> Vec<u8> {
    let mut archive = zip::ZipArchive::new(Cursor::new(workbook)).unwrap();
    let mut changed = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).unwrap();
        let name = file.name().unwrap().into_owned();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        changed.start_file(&name, SimpleFileOptions::default()).unwrap();
        changed.write_all(if name == part { change(text) } else { text }.as_bytes()).unwrap();
    }
    changed.finish().unwrap().into_inner()
}

/// The frame of a workbook that Excel has encrypted: a compound file with the package in it.
fn encrypted() -> Vec<u8> {
    let mut file = vec![0; 512 * 3];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &[0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1]);
    // Version, byte order, sizes of sectors; one sector for the allocation table, the second for the directory.
    put(26, &[3, 0, 0xFE, 0xFF, 9, 0, 6, 0]);
    put(44, &[1, 0, 0, 0, 1, 0, 0, 0]);
    put(60, &[0xFE, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0xFE, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0]);
    put(80, &[0xFF; 512 - 80]);
    put(512, &[0xFF; 512]);
    put(512, &[0xFD, 0xFF, 0xFF, 0xFF, 0xFE, 0xFF, 0xFF, 0xFF]);
    for (entry, name) in [(1024, "Root Entry"), (1152, "EncryptedPackage")] {
        let name: Vec<u8> = name.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
        put(entry, &name);
        put(entry + 64, &[u8::try_from(name.len()).unwrap(), 0]);
    }
    file
}

#[tokio::test]
async fn every_column_gets_the_type_that_holds_all_of_its_values() {
    let bench = Bench::new();
    let book = workbook(|sheet| {
        let names = ["id", "price", "code", "flag", "day", "at", "clock", "mixed", "sum"];
        texts(sheet, &[names.as_slice()]);
        let date = Format::new().set_num_format("yyyy-mm-dd");
        let time = Format::new().set_num_format("dd/mm/yyyy hh:mm:ss");
        for (row, whole) in [(1, 1.0), (2, -20_000_000_000.0)] {
            sheet.write_number(row, 0, whole).unwrap();
            sheet.write_string(row, 2, "007").unwrap();
            sheet.write_boolean(row, 3, row == 1).unwrap();
            sheet.write_number_with_format(row, 4, 45_321.0 + f64::from(row), &date).unwrap();
        }
        sheet.write_number(1, 1, 1.5).unwrap();
        sheet.write_number(2, 1, 2.0).unwrap();
        sheet.write_number_with_format(1, 5, 45_322.75, &time).unwrap();
        sheet.write_number_with_format(2, 5, 45_322.0, &time).unwrap();
        sheet.write_number_with_format(1, 6, 0.25, &Format::new().set_num_format("hh:mm")).unwrap();
        sheet.write_number(1, 7, 1.5).unwrap();
        sheet.write_string(2, 7, "Žluťoučký \"kůň\",\n🐎").unwrap();
        sheet.write_formula(1, 8, Formula::new("=A2*2").set_result("2")).unwrap();
    });
    bench.put("t.xlsx", book);
    let table = bench.excel(json!({"path": "t.xlsx"})).await.unwrap();
    assert_eq!(
        table.columns(),
        [
            "id BIGINT",
            "price DOUBLE",
            "code VARCHAR",
            "flag BOOLEAN",
            "day DATE",
            "at TIMESTAMP",
            "clock TIME",
            "mixed VARCHAR",
            "sum BIGINT"
        ]
    );
    assert_eq!(
        table.rows(),
        [
            ["1", "1.5", "007", "true", "2024-01-31", "2024-01-31T18:00:00", "06:00:00", "1.5", "2"],
            [
                "-20000000000",
                "2.0",
                "007",
                "false",
                "2024-02-01",
                "2024-01-31T00:00:00",
                "∅",
                "Žluťoučký \"kůň\",\n🐎",
                "∅"
            ]
        ]
    );
    assert_eq!((table.output.counts.read, bench.scratch()), (2, 0));
    let text = bench.excel(json!({"path": "t.xlsx", "dtype": "text", "columns": ["day", "ID"]})).await.unwrap();
    assert_eq!(text.columns(), ["day VARCHAR", "id VARCHAR"]);
    assert_eq!(text.rows()[0], ["2024-01-31", "1"]);
    let typed =
        json!({"path": "t.xlsx", "columns": ["code", "id"], "dtype": {"code": "INTEGER", "id": "DECIMAL(12,1)"}});
    assert_eq!(bench.excel(typed).await.unwrap().rows(), [["7", "1.0"], ["7", "-20000000000.0"]]);
}

#[tokio::test]
async fn dates_are_counted_from_1904_where_the_workbook_says_so() {
    let bench = Bench::new();
    let book = workbook(|sheet| {
        texts(sheet, &[&["day"]]);
        let date = Format::new().set_num_format_index(14);
        sheet.write_number_with_format(1, 0, 43_860.0, &date).unwrap();
    });
    let old = with_part(&book, "xl/workbook.xml", |text| text.replace("<workbookPr ", "<workbookPr date1904=\"1\" "));
    bench.put("new.xlsx", book).put("old.xlsx", old);
    let days = async |path: &str| bench.excel(json!({"path": path})).await.unwrap().rows();
    assert_eq!(days("new.xlsx").await, [["2020-01-30"]]);
    assert_eq!(days("old.xlsx").await, [["2024-01-31"]]);
}

#[tokio::test]
async fn merged_cells_empty_rows_and_columns_without_a_name_or_a_value() {
    let bench = Bench::new();
    let book = workbook(|sheet| {
        let format = Format::new();
        texts(sheet, &[&[], &["", "a", "", "A", ""], &[], &["", "x", "", "1"], &["", "", "", "2"], &[], &["", "y"]]);
        sheet.merge_range(7, 1, 8, 3, "merged", &format).unwrap();
        for row in 9..40 {
            sheet.write_blank(row, 1, &Format::new().set_bold()).unwrap();
            sheet.write_blank(row, 3, &Format::new().set_bold()).unwrap();
        }
    });
    bench.put("t.xlsx", book);
    let table = bench.excel(json!({"path": "t.xlsx"})).await.unwrap();
    assert_eq!(table.columns(), ["a VARCHAR", "A_1 VARCHAR"]);
    assert_eq!(table.rows(), [["x", "1"], ["∅", "2"], ["y", "∅"], ["merged", "∅"]]);
    // One column: an empty row is a NULL, but for those at the end.
    let one = bench.excel(json!({"path": "t.xlsx", "range": "D2:D"})).await.unwrap();
    assert_eq!(one.columns(), ["A VARCHAR"]);
    assert_eq!(one.rows(), [["∅"], ["1"], ["2"]]);
}

#[tokio::test]
async fn sheet_range_header_and_limit() {
    let bench = Bench::new();
    let mut book = Workbook::new();
    texts(
        book.add_worksheet().set_name("First").unwrap(),
        &[&["note"], &["k", "v", "w"], &["a", "b", "c"], &["d", "e", "f"]],
    );
    texts(book.add_worksheet().set_name("Přehled").unwrap(), &[&["second"], &["1"]]);
    book.add_worksheet().set_name("Empty").unwrap();
    bench.put("t.xlsx", book.save_to_buffer().unwrap());
    for (config, columns, rows) in [
        (json!({"range": "A2:C4"}), vec!["k", "v", "w"], vec![vec!["a", "b", "c"], vec!["d", "e", "f"]]),
        (json!({"header": 2, "limit": 1}), vec!["k", "v", "w"], vec![vec!["a", "b", "c"]]),
        (json!({"header": 2, "columns": ["w", "K"]}), vec!["w", "k"], vec![vec!["c", "a"], vec!["f", "d"]]),
        (json!({"range": "B3:C", "header": false}), vec!["column0", "column1"], vec![vec!["b", "c"], vec!["e", "f"]]),
        (json!({"range": "B3:B4", "header": false, "columns": ["x"]}), vec!["x"], vec![vec!["b"], vec!["e"]]),
        (json!({"sheet": "PŘEHLED"}), vec!["second"], vec![vec!["1"]]),
        (json!({"sheet": 2}), vec!["second"], vec![vec!["1"]]),
    ] {
        let mut config = config;
        config["path"] = json!("t.xlsx");
        let table = bench.excel(config.clone()).await.unwrap();
        let names: Vec<&str> = table.table.schema().names().collect();
        assert_eq!(names, columns, "{config}");
        assert_eq!(table.rows(), rows, "{config}");
    }
    for (config, message, hint) in [
        (json!({"sheet": "Frist"}), "`t.xlsx` has no sheet `Frist`", "did you mean `First`?"),
        (json!({"sheet": 4}), "`t.xlsx` has no sheet 4", "its sheets: `First`, `Přehled`, `Empty`"),
        (json!({"sheet": "Empty"}), "`t.xlsx`, sheet `Empty` is empty: it has no header", "set `sheet` or `range`"),
        (json!({"header": 9}), "`t.xlsx`, sheet `First`: row 9 has no column names", "counted from 1 as Excel does"),
        (json!({}), "`t.xlsx`, sheet `First`: row 2: column B has a value, but no name", "`range`"),
        (json!({"range": "2:3"}), "invalid range `2:3`", "`B2:F100`"),
        (json!({"range": "B2:C4", "header": 5}), "row 5 is outside of the range", "the rows 2 to 4"),
        (
            json!({"header": false, "range": "A2:C4", "columns": ["x"]}),
            "`t.xlsx`, sheet `First`: `columns` has 1 names, but row 2 has 3 columns",
            "name every column",
        ),
    ] {
        let mut config = config;
        config["path"] = json!("t.xlsx");
        let error = bench.excel_error(config).await;
        assert!(error.contains(message) && error.contains(hint), "{error}");
    }
}

#[tokio::test]
async fn error_cells_are_rejects_with_sheet_row_and_column() {
    let bench = Bench::new();
    let book = workbook(|sheet| {
        sheet.set_name("Data").unwrap();
        texts(sheet, &[&["id", "rate", "note"], &["a", "", ""], &["b", "", ""], &[], &["c", "", ""]]);
        sheet.write_formula(1, 1, Formula::new("=1/0").set_result("#DIV/0!")).unwrap();
        sheet.write_number(2, 1, 1.0).unwrap();
        sheet.write_string(4, 1, "many").unwrap();
        sheet.write_formula(4, 2, Formula::new("=NA()").set_result("#N/A")).unwrap();
    });
    bench.put("t.xlsx", book);
    let error = bench.excel(json!({"path": "t.xlsx"})).await.err().unwrap();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Validation, Code::BadLine));
    assert_eq!(error.message(), "`t.xlsx`, sheet `Data`: row 2: column `rate`: the value is #DIV/0!");
    // An error in a column that is not read does no harm.
    let ids = bench.excel(json!({"path": "t.xlsx", "columns": ["id"]})).await.unwrap();
    assert_eq!(ids.rows(), [["a"], ["b"], ["c"]]);
    let config = json!({"path": "t.xlsx", "columns": ["id", "rate"], "on_bad_lines": "reject", "max_rejects": 2,
        "dtype": {"rate": "INTEGER"}});
    let table = bench.excel(config).await.unwrap();
    assert_eq!(table.rows(), [["b", "1"]]);
    assert_eq!((table.output.counts.read, table.output.counts.rejected), (3, 2));
    let rejects = bench.rejects().await;
    let named =
        |index: usize| (rejects[index]["n"].as_u64(), rejects[index]["c"].clone(), rejects[index]["why"].clone());
    assert_eq!(named(0), (Some(2), json!("rate"), json!("`t.xlsx`, sheet `Data`: the value is #DIV/0!")));
    assert_eq!(rejects[0]["row"], "{\"id\":\"a\",\"rate\":\"#DIV/0!\"}");
    assert_eq!(named(1), (Some(5), json!("rate"), json!("`t.xlsx`, sheet `Data`: the value is not INTEGER")));
    let typed = json!({"path": "t.xlsx", "range": "A1:B", "header": 1, "dtype": {"id": "INTEGER"}, "columns": ["id"]});
    let error = bench.excel_error(typed).await;
    assert!(error.contains("`t.xlsx`, sheet `Data`: row 2, column `id`: the value is not INTEGER"), "{error}");
}

#[tokio::test]
async fn what_is_no_whole_workbook_is_told_as_such() {
    let bench = Bench::new();
    let book = workbook(|sheet| texts(sheet, &[&["a"], &["1"]]));
    bench.put("text.xlsx", "a,b\n1,2\n").put("empty.xlsx", "").put("cut.xlsx", &book[..book.len() / 2]);
    let mut flipped = book.clone();
    // In the compressed bytes of the first part.
    flipped[100] ^= 0xFF;
    bench.put("flipped.xlsx", flipped).put("locked.xlsx", encrypted());
    bench.put("old.xlsx", [[0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1].as_slice(), &[0; 1024]].concat());
    bench.put("xml.xlsx", with_part(&book, "xl/worksheets/sheet1.xml", |text| text.replace("</sheetData>", "</sheet")));
    let mut other = zip::ZipWriter::new(Cursor::new(Vec::new()));
    other.start_file("content.xml", SimpleFileOptions::default()).unwrap();
    bench.put("ods.xlsx", other.finish().unwrap().into_inner());
    for (path, message, hint) in [
        ("text.xlsx", "`text.xlsx` is not an Excel workbook", "filesystem.csv_extractor"),
        ("empty.xlsx", "`empty.xlsx` is empty", "check how the file was created"),
        ("cut.xlsx", "`cut.xlsx` is damaged", "copy the file again"),
        ("flipped.xlsx", "`flipped.xlsx` is damaged", "copy the file again"),
        ("old.xlsx", "`old.xlsx` is not an Excel workbook of 2007 or later", "save it as an Excel workbook (.xlsx)"),
        ("locked.xlsx", "`locked.xlsx` is protected by a password", "remove the password"),
        ("xml.xlsx", "`xml.xlsx` is damaged", "copy the file again"),
        ("ods.xlsx", "`ods.xlsx` is an OpenDocument sheet (.ods), which is not read", "save it as"),
    ] {
        let error = bench.excel(json!({"path": path})).await.err().unwrap();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Validation, Code::InvalidFile), "{error:?}");
        assert!(error.message().contains(message), "{error}");
        assert!(error.hint().unwrap().contains(hint), "{error:?}");
    }
    assert_eq!(bench.scratch(), 0);
}

#[tokio::test]
async fn a_workbook_that_unpacks_to_too_much_is_refused() {
    let bench = Bench::new();
    let book = workbook(|sheet| texts(sheet, &[&["a"], &["x".repeat(20_000).as_str()]]));
    bench.put("t.xlsx", book);
    let error = bench.excel_error(json!({"path": "t.xlsx", "max_uncompressed_bytes": 20_000})).await;
    assert!(error.contains("`t.xlsx` is larger than 20000 bytes uncompressed"), "{error}");
    assert!(error.contains("raise `max_uncompressed_bytes`"), "{error}");
    assert_eq!(bench.excel(json!({"path": "t.xlsx"})).await.unwrap().rows()[0][0].len(), 20_000);
}

#[tokio::test]
async fn a_large_sheet_and_several_workbooks() {
    let bench = Bench::new();
    let large = workbook(|sheet| {
        texts(sheet, &[&["n", "name"]]);
        for row in 1..=100_000_u32 {
            sheet.write_number(row, 0, row).unwrap();
            sheet.write_string(row, 1, format!("name {row}")).unwrap();
        }
    });
    bench.put("in/a.xlsx", large);
    bench.put("in/b.xlsx", workbook(|sheet| texts(sheet, &[&["NAME", "n"], &["last", "x"]])));
    bench.put("in/~$a.xlsx", "a workbook that is open in Excel");
    let table = bench.excel(json!({"path": "in/a.xlsx"})).await.unwrap();
    assert_eq!(table.columns(), ["n BIGINT", "name VARCHAR"]);
    let sums = bench.query("SELECT concat(count(*), ' ', sum(n), ' ', max(name)) FROM steps.step").await;
    assert_eq!(sums, "100000 5000050000 name 99999");
    let both = bench.excel(json!({"path": "in", "add_filename": true})).await.unwrap();
    assert_eq!(both.columns(), ["n VARCHAR", "name VARCHAR", "filename VARCHAR"]);
    assert_eq!(both.rows().last().unwrap(), &["x", "last", "in/b.xlsx"]);
    let limited = bench.excel(json!({"path": "in/*.xlsx", "limit": 3})).await.unwrap();
    assert_eq!(limited.rows().len(), 3);
    let dry = bench.dry_run("filesystem.excel_extractor", json!({"path": "in/a.xlsx"}), Inputs::none()).await;
    assert!(dry.is_ok(), "{:?}", dry.err());
}

#[tokio::test]
async fn standard_input_is_read() {
    let book: &'static [u8] = workbook(|sheet| texts(sheet, &[&["a"], &["x"]])).leak();
    let bench = Bench::with_stdin(book);
    assert_eq!(bench.excel(json!({"path": "-"})).await.unwrap().rows(), [["x"]]);
}
