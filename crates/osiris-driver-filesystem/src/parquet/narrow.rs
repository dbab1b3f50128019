//! Copies a file with another footer, so that DuckDB reads exactly what it would otherwise change or reject:
//!
//! | in the file | DuckDB would | in the copy |
//! | --- | --- | --- |
//! | a decimal of more than 38 digits | make it a DOUBLE | a decimal of 38; a value that has more is an error |
//! | a time of day of nanoseconds in UTC | cut it to microseconds | one of no zone |
//! | BSON | refuse the file | bytes |

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::Arc;

use osiris_core::{Error, Result, private};
use parquet::basic::{ConvertedType, LogicalType, TimeUnit};
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    FileMetaData, ParquetMetaData, ParquetMetaDataBuilder, ParquetMetaDataWriter, RowGroupMetaData,
};
use parquet::schema::types::{SchemaDescriptor, Type, TypePtr};

use super::footer::{DIGITS, decimal, is_bson, is_cut_time, metadata};
use crate::error::io_error;

/// Copies the file at `path`, named `name` in messages, to `copy`. The pages are copied unchanged.
///
/// # Errors
/// When the file cannot be read, or the copy cannot be written.
pub(super) fn copy(path: &Path, name: &str, copy: &Path) -> Result<()> {
    let open = || File::open(path).map_err(|error| io_error("cannot be opened", name, error));
    let failed = |error| io_error("could not be copied to the scratch directory", name, error);
    let unwritten = |error: ParquetError| {
        Error::unknown(format!("the footer of `{name}` could not be rewritten")).with_source(error)
    };
    let narrow = narrow(&metadata(open()?, name)?).map_err(unwritten)?;
    let mut file = open()?;
    let pages = pages(&mut file).map_err(|error| io_error("cannot be read", name, error))?;
    let mut target = private::create(copy).map_err(failed)?;
    io::copy(&mut file.take(pages), &mut target).map_err(failed)?;
    ParquetMetaDataWriter::new(&mut target, &narrow).finish().map_err(unwritten)?;
    target.flush().map_err(failed)
}

/// The bytes before the footer; leaves `file` at its start. A file ends with the length of its footer and a magic number, of four
/// bytes each.
fn pages(file: &mut File) -> io::Result<u64> {
    let end = file.seek(SeekFrom::End(-8))?;
    let mut length = [0; 4];
    file.read_exact(&mut length)?;
    file.rewind()?;
    Ok(end.saturating_sub(u64::from(u32::from_le_bytes(length))))
}

fn narrow(metadata: &ParquetMetaData) -> Result<ParquetMetaData, ParquetError> {
    let file = metadata.file_metadata();
    let schema = Arc::new(SchemaDescriptor::new(narrow_type(&file.schema_descr().root_schema_ptr())?));
    let narrow = FileMetaData::new(
        file.version(),
        file.num_rows(),
        file.created_by().map(str::to_owned),
        file.key_value_metadata().cloned(),
        Arc::clone(&schema),
        file.column_orders().cloned(),
    );
    let groups = metadata.row_groups().iter().map(|group| without_statistics(group, &schema));
    let groups = groups.collect::<Result<Vec<_>, _>>()?;
    Ok(ParquetMetaDataBuilder::new(narrow).set_row_groups(groups).build())
}

/// The row group without the statistics of the changed columns.
fn without_statistics(group: &RowGroupMetaData, schema: &SchemaDescriptor) -> Result<RowGroupMetaData, ParquetError> {
    let columns = group.columns().iter().zip(schema.columns()).map(|(column, narrow)| {
        if column.column_descr().self_type() == narrow.self_type() {
            return Ok(column.clone());
        }
        column.clone().into_builder().clear_statistics().build()
    });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    group.clone().into_builder().set_column_metadata(columns).build()
}

fn narrow_type(field: &TypePtr) -> Result<TypePtr, ParquetError> {
    let info = field.get_basic_info();
    match field.as_ref() {
        Type::PrimitiveType { physical_type, type_length, precision, scale, .. } => {
            let (logical, converted) = (info.logical_type_ref(), info.converted_type());
            let wide = decimal((*precision, *scale), logical, converted);
            let wide = wide.filter(|(precision, scale)| *precision > DIGITS && *scale <= DIGITS);
            let mut narrow = Type::primitive_type_builder(info.name(), *physical_type)
                .with_repetition(info.repetition())
                .with_length(*type_length)
                .with_id(info.has_id().then(|| info.id()));
            if let Some((_, scale)) = wide {
                narrow = narrow
                    .with_converted_type(ConvertedType::DECIMAL)
                    .with_logical_type(Some(LogicalType::decimal(scale, DIGITS)))
                    .with_precision(DIGITS)
                    .with_scale(scale);
            } else if is_cut_time(logical) {
                narrow = narrow.with_logical_type(Some(LogicalType::time(false, TimeUnit::NANOS)));
            } else if !is_bson(logical, converted) {
                return Ok(Arc::clone(field));
            }
            Ok(Arc::new(narrow.build()?))
        }
        Type::GroupType { fields, .. } => {
            let narrow = fields.iter().map(narrow_type).collect::<Result<Vec<_>, _>>()?;
            let mut group = Type::group_type_builder(info.name())
                .with_converted_type(info.converted_type())
                .with_logical_type(info.logical_type_ref().cloned())
                .with_fields(narrow)
                .with_id(info.has_id().then(|| info.id()));
            if info.has_repetition() {
                group = group.with_repetition(info.repetition());
            }
            Ok(Arc::new(group.build()?))
        }
    }
}
