//! Parquet files that the crate `parquet` writes, with any type that the format has.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DoubleType, FixedLenByteArray, FixedLenByteArrayType, FloatType, Int32Type,
    Int64Type, Int96, Int96Type,
};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

/// The values of a leaf column that are not NULL, as they are stored.
#[derive(Debug, Clone)]
pub(crate) enum Stored {
    Bool(Vec<bool>),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Int96(Vec<Int96>),
    Float(Vec<f32>),
    Double(Vec<f64>),
    Bytes(Vec<Vec<u8>>),
    Fixed(Vec<Vec<u8>>),
}

/// A leaf column: values, and where they stand.
#[derive(Debug, Clone)]
pub(crate) struct Leaf {
    pub(crate) stored: Stored,
    pub(crate) definitions: Vec<i16>,
    pub(crate) repetitions: Option<Vec<i16>>,
}

impl Leaf {
    /// A column of as many values, none NULL, which may be.
    pub(crate) fn all(stored: Stored, count: usize) -> Self {
        Self { stored, definitions: vec![1; count], repetitions: None }
    }
}

/// Writes a file with the columns of `schema`, the fields of a message type.
pub(crate) fn write(path: &Path, schema: &str, leaves: &[Leaf]) {
    let schema = Arc::new(parse_message_type(&format!("message m {{ {schema} }}")).unwrap());
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut writer =
        SerializedFileWriter::new(File::create(path).unwrap(), schema, Arc::new(WriterProperties::default())).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut leaves = leaves.iter();
    while let Some(mut column) = group.next_column().unwrap() {
        let leaf = leaves.next().unwrap();
        let (definitions, repetitions) = (Some(leaf.definitions.as_slice()), leaf.repetitions.as_deref());
        macro_rules! put {
            ($kind:ty, $values:expr) => {
                column.typed::<$kind>().write_batch($values, definitions, repetitions).unwrap()
            };
        }
        match &leaf.stored {
            Stored::Bool(values) => put!(BoolType, values),
            Stored::Int32(values) => put!(Int32Type, values),
            Stored::Int64(values) => put!(Int64Type, values),
            Stored::Int96(values) => put!(Int96Type, values),
            Stored::Float(values) => put!(FloatType, values),
            Stored::Double(values) => put!(DoubleType, values),
            Stored::Bytes(values) => {
                let values: Vec<ByteArray> = values.iter().cloned().map(ByteArray::from).collect();
                put!(ByteArrayType, &values)
            }
            Stored::Fixed(values) => {
                let values: Vec<FixedLenByteArray> = values.iter().cloned().map(FixedLenByteArray::from).collect();
                put!(FixedLenByteArrayType, &values)
            }
        };
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
}

/// Nanoseconds since 1970 as an INT96: the nanoseconds of the day in 64 bits, then the Julian day in 32.
pub(crate) fn int96(nanoseconds: i128) -> Int96 {
    const DAY: i128 = 86_400_000_000_000;
    let day = u32::try_from(nanoseconds.div_euclid(DAY) + 2_440_588).unwrap();
    let nanos = u64::try_from(nanoseconds.rem_euclid(DAY)).unwrap();
    let words = [nanos & 0xFFFF_FFFF, nanos >> 32].map(|word| u32::try_from(word).unwrap());
    let mut value = Int96::new();
    value.set_data(words[0], words[1], day);
    value
}
