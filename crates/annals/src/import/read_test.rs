//! What each format reads, and what it reports.

use proptest::prelude::*;

use super::*;

fn source(bytes: &[u8]) -> Source {
    Source::new(io::Cursor::new(bytes.to_vec()), None)
}

fn read(bytes: &[u8], format: Format) -> Vec<Result<Row, BadRow>> {
    let mut rows = Rows::open(source(bytes), format).unwrap();
    let mut read = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        read.push(row);
    }
    read
}

fn refusal(bytes: &[u8], format: Format) -> String {
    format!("{:#}", Rows::open(source(bytes), format).err().expect("the file is refused"))
}

fn json(rows: &[Result<Row, BadRow>]) -> Vec<String> {
    rows.iter().map(|row| row.as_ref().unwrap().as_json().to_string()).collect()
}

fn bad(rows: &[Result<Row, BadRow>]) -> Vec<(u64, &str)> {
    rows.iter().filter_map(|row| row.as_ref().err()).map(|bad| (bad.line, bad.reason.as_str())).collect()
}

#[test]
fn a_quote_in_a_tsv_is_a_quote() {
    let rows = read(b"a\tb\n\"x\t\"\"y\"\n", Format::Tsv);
    assert_eq!(json(&rows), [r#"{"a":"\"x","b":"\"\"y\""}"#]);
}

#[test]
fn a_byte_order_mark_and_carriage_returns_are_no_part_of_a_row() {
    for (format, bytes) in [
        (Format::Tsv, &b"\xef\xbb\xbfa\tb\r\n1\t2\r\n"[..]),
        (Format::Csv, b"\xef\xbb\xbfa,b\r\n1,2\r\n"),
        (Format::Ndjson, b"\xef\xbb\xbf{\"a\":\"1\",\"b\":\"2\"}\r\n"),
    ] {
        assert_eq!(json(&read(bytes, format)), [r#"{"a":"1","b":"2"}"#], "{format:?}");
    }
}

#[test]
fn the_last_line_needs_no_end_and_empty_lines_are_passed_over() {
    for format in [Format::Tsv, Format::Csv] {
        let rows = read(b"a\n1\n\n2", format);
        assert_eq!(json(&rows), [r#"{"a":"1"}"#, r#"{"a":"2"}"#], "{format:?}");
    }
    assert_eq!(read(b"a\n1\n\n2", Format::Tsv)[1].as_ref().unwrap().line, 4);
}

#[test]
fn a_ragged_row_is_reported_with_its_line_and_the_rest_is_read() {
    for (format, bytes) in [(Format::Tsv, &b"a\tb\n1\n1\t2\n1\t2\t3\n"[..]), (Format::Csv, b"a,b\n1\n1,2\n1,2,3\n")] {
        let rows = read(bytes, format);
        let expected =
            [(2, "the row has 1 field, the header 2 fields"), (4, "the row has 3 fields, the header 2 fields")];
        assert_eq!(bad(&rows), expected, "{format:?}");
        assert_eq!(rows.len(), 3, "{format:?}");
    }
}

#[test]
fn bad_utf_8_is_reported_with_its_line_and_the_rest_is_read() {
    let rows = read(b"a\n\xff\n1\n", Format::Tsv);
    assert_eq!(bad(&rows), [(2, "the line is not UTF-8 (at byte 1)")]);
    assert_eq!(bad(&read(b"a\n\xff\n1\n", Format::Csv)), [(2, "the row is not UTF-8")]);
    assert_eq!(rows.len(), 2);
}

#[test]
fn a_csv_field_in_quotes_may_hold_commas_quotes_and_lines() {
    let rows = read(b"a,b\n\"x, \"\"y\"\"\",\"1\n2\"\nlast,row\n", Format::Csv);
    assert_eq!(json(&rows), [r#"{"a":"x, \"y\"","b":"1\n2"}"#, r#"{"a":"last","b":"row"}"#]);
    assert_eq!(rows[1].as_ref().unwrap().line, 4);
}

#[test]
fn ndjson_keeps_values_and_lexemes() {
    let rows = read(b"{\"n\":1.50,\"list\":[true,null]}\n", Format::Ndjson);
    assert_eq!(json(&rows), [r#"{"n":1.50,"list":[true,null]}"#]);
}

#[test]
fn a_line_that_is_no_object_or_no_json_is_reported() {
    let rows = read(b"[1]\n{\"a\":\n{}\n", Format::Ndjson);
    let bad = bad(&rows);
    assert_eq!(bad[0], (1, "the line is not a JSON object"));
    assert_eq!(bad[1].0, 2);
    assert!(bad[1].1.starts_with("the line must be JSON"), "{}", bad[1].1);
    assert_eq!(rows.len(), 3);
}

#[test]
fn a_line_that_is_too_long_is_passed_over() {
    let mut bytes = b"a\n".to_vec();
    bytes.resize(bytes.len() + MAX_ROW_BYTES + 1, b'x');
    bytes.extend_from_slice(b"\nlast\n");
    let rows = read(&bytes, Format::Tsv);
    assert_eq!(bad(&rows), [(2, "the line is longer than 8 MiB")]);
    assert_eq!(json(&rows[1..]), [r#"{"a":"last"}"#]);
}

#[test]
fn an_open_quote_ends_the_file_before_it_fills_the_memory() {
    let mut bytes = b"a,b\n1,\"".to_vec();
    bytes.resize(MAX_ROW_BYTES * 2, b'x');
    let mut rows = Rows::open(source(&bytes), Format::Csv).unwrap();
    let error = format!("{:#}", rows.next().unwrap_err());
    assert!(error.contains("a quote may be left open"), "{error}");
}

#[test]
fn a_file_without_header_or_with_a_column_twice_is_refused() {
    assert!(refusal(b"", Format::Tsv).starts_with("the file is empty"));
    assert!(refusal(b"", Format::Csv).starts_with("the file is empty"));
    assert_eq!(refusal(b"a\tb\ta\n", Format::Tsv), "the header names the column `a` twice");
    assert_eq!(refusal(b"\xff\n", Format::Csv), "the header cannot be read: it is not UTF-8");
}

#[test]
fn a_column_that_the_header_lacks_is_refused_before_the_first_row() {
    let rows = Rows::open(source(b"Title\tCode\n"), Format::Tsv).unwrap();
    assert!(rows.require(["Code"].into_iter()).is_ok());
    let error = rows.require(["Code", "Titel"].into_iter()).unwrap_err();
    assert_eq!(error.to_string(), "there is no column `Titel`; did you mean `Title`?");
}

#[test]
fn the_format_is_the_extension_of_the_file() {
    let format = |path: &str| Format::of_file(Path::new(path));
    assert_eq!(format("a/tasks.TSV").unwrap(), Format::Tsv);
    assert_eq!(format("x.jsonl").unwrap(), Format::Ndjson);
    assert!(format("tasks.txt").unwrap_err().to_string().contains("--format"));
}

proptest! {
    #[test]
    fn a_written_tsv_is_read_back(fields in prop::collection::vec(["[^\t\r\n]{1,9}", "[^\t\r\n]{0,9}"], 0..9)) {
        let text = fields.iter().map(|[a, b]| format!("{a}\t{b}\n")).collect::<Vec<_>>().concat();
        let rows = read(format!("a\tb\n{text}").as_bytes(), Format::Tsv);
        let read: Vec<_> = rows.into_iter().map(|row| {
            let row = row.unwrap();
            [row.get("a").unwrap().as_str().unwrap().to_owned(), row.get("b").unwrap().as_str().unwrap().to_owned()]
        }).collect();
        prop_assert_eq!(read, fields);
    }

    #[test]
    fn a_written_csv_is_read_back(fields in prop::collection::vec(["\\PC{0,9}", "[,\"\r\nx]{0,9}"], 0..9)) {
        let mut writer = ::csv::Writer::from_writer(b"a,b\n".to_vec());
        for field in &fields {
            writer.write_record(field).unwrap();
        }
        let rows = read(&writer.into_inner().unwrap(), Format::Csv);
        let read: Vec<_> = rows.into_iter().map(|row| {
            let row = row.unwrap();
            [row.get("a").unwrap().as_str().unwrap().to_owned(), row.get("b").unwrap().as_str().unwrap().to_owned()]
        }).collect();
        prop_assert_eq!(read, fields);
    }

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for format in [Format::Tsv, Format::Csv, Format::Ndjson] {
            if let Ok(mut rows) = Rows::open(source(&bytes), format) {
                while let Ok(Some(_)) = rows.next() {}
            }
        }
    }
}
