//! The example of the README: both files are there and hold what another tool computes from the sample.

use std::fs::File;

use osiris_e2e::{Program, Project};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;

#[test]
fn the_flights_example_writes_both_files_and_they_are_right() {
    let project = Project::copy_of(Program::built(), "examples/flights");
    let run = project.run(&["run", "pipeline.yaml"]).with_code(0);
    assert!(
        run.stderr.contains("done: the ledger balances, 5,042 rows read, 5,042 written, 0 rejected"),
        "{}",
        run.stderr
    );

    let delays = project.read("out/delays.csv");
    let lines: Vec<&str> = delays.lines().collect();
    assert_eq!(lines.len(), 17);
    assert_eq!(lines[0], "airline,flights,cancelled,mean_departure_delay,mean_arrival_delay");
    assert!(lines[1].starts_with("United Air Lines Inc.,837,17,"), "{}", lines[1]);
    assert!(lines[16].starts_with("SkyWest Airlines Inc.,1,"), "{}", lines[16]);

    let reader = SerializedFileReader::new(File::open(project.path("out/flights.parquet")).unwrap()).unwrap();
    let schema = reader.metadata().file_metadata().schema_descr();
    let column = |name: &str| (0..schema.num_columns()).find(|index| schema.column(*index).name() == name).unwrap();
    let (departed, airline, carrier) = (column("dep_time"), column("airline"), column("carrier"));
    let mut rows = 0;
    let mut unknown = 0;
    for row in reader.get_row_iter(None).unwrap().map(Result::unwrap) {
        rows += 1;
        unknown += u32::from(row.get_long(departed).is_err());
        if row.get_string(carrier).unwrap() == "UA" {
            assert_eq!(row.get_string(airline).unwrap(), "United Air Lines Inc.");
        }
    }
    assert_eq!((rows, unknown), (5026, 130), "130 flights have no departure time");
    assert_eq!(reader.metadata().file_metadata().num_rows(), 5026);
}

#[test]
fn a_second_run_writes_the_same_bytes() {
    let project = Project::copy_of(Program::built(), "examples/flights");
    let bytes = || ["out/flights.parquet", "out/delays.csv"].map(|path| std::fs::read(project.path(path)).unwrap());
    project.run(&["run", "pipeline.yaml", "--jobs", "1", "--threads", "1"]).with_code(0);
    let first = bytes();
    project.run(&["run", "pipeline.yaml", "--store", "memory"]).with_code(0);
    assert!(first == bytes(), "whatever the store and the number of threads");
}

#[test]
fn the_example_with_parameters_runs() {
    let project = Project::empty(Program::built());
    for example in ["flights", "params"] {
        let copy = Project::copy_of(Program::built(), &format!("examples/{example}"));
        for file in copy.files() {
            project.write(std::path::Path::new(example).join(&file), std::fs::read(copy.path(&file)).unwrap());
        }
    }
    project.run(&["run", "params/pipeline.yaml", "--param", "airport=LGA", "--profile", "summary"]).with_code(0);
    let longest = project.read("params/out/longest-LGA.csv");
    assert_eq!(longest.lines().count(), 4, "{longest}");
}
